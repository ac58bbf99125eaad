"""Many private models, trained as one tensor program."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn
from tqdm import tqdm

from mialab import _rng
from mialab._functional import as_tensor
from mialab._types import Inputs, MemberMatrix
from mialab._validation import door
from mialab.dp_sgd._validation import check_private
from mialab.dp_sgd.clipping import check_finite, is_common, make_clipper
from mialab.dp_sgd.fit import PrivateRun
from mialab.dp_sgd.fleet_clipping import make_fleet_clipper
from mialab.dp_sgd.recipe import DpSgd
from mialab.dp_sgd.sampling import poisson_batches
from mialab.dp_sgd.update import check_weights, noisy_mean, optimizer
from mialab.train import Fleet, vectorize
from mialab.train._model_checks import check_member
from mialab.train.batching import look_up
from mialab.train.fleet import flatten, load, trainable, unflatten
from mialab.train.steps import linear_layers


@door
def fit_many_private(
    make_model: Callable[[], nn.Module],
    x: Inputs,
    y: Int[ndarray, "records"],
    member: MemberMatrix,
    recipe: DpSgd,
    *,
    rng: np.random.Generator,
    device: str = "cpu",
    memory_bytes: float = 2**30,
    pretrained: bool = False,
) -> Fleet:
    """Train one private model for every row of ``member``, each on the records of its row.

    Model ``i`` is the one that `fit_private` would train alone on ``x[member[i]], y[member[i]]`` with
    ``rng.spawn(len(member))[i]``, up to rounding: its own weights, batches and noise. Modules that cannot be
    trained as one tensor program are trained by `fit_private`, one by one; a warning says so, and why. (It is
    for whoever trains: where a step came out differently, that may be a record's doing.)

    Parameters
    ----------
    make_model, x, y, recipe, device, pretrained
        As in `fit_private`. The nominal batch is the same for all models, whatever the number of their
        records: it is public.
    member
        Bool (models, records); every row holds at least one record.
    rng
        Its children decide each model's weights, batches, noise and masks of dropout. Whoever knows it takes
        the noise off again: models that are to be given away want ``mialab.secure.SystemGenerator()``.
    memory_bytes
        Models are trained in shards, cut so that an estimate of what a step holds stays below this.

    Returns
    -------
    The fleet, on ``device``, in the order of the rows.

    Raises
    ------
    ValueError
        As in `fit_private`, or if a row of ``member`` is empty.

    Examples
    --------
    >>> from mialab import models, train
    >>> x, y = np.eye(4, dtype=np.float32).repeat(50, axis=0), np.arange(4).repeat(50)
    >>> member = np.stack([np.ones(200, dtype=bool), np.arange(200) % 2 == 0])
    >>> recipe = DpSgd(1.0, 0.5, sampling_rate=0.2, steps=60, nominal_batch=40, learning_rate=1.0)
    >>> fleet = fit_many_private(
    ...     lambda: models.mlp(4, (), 4), x, y, member, recipe, rng=np.random.default_rng(0)
    ... )
    >>> train.predict(fleet, x[::50]).argmax(axis=-1)
    array([[0, 1, 2, 3],
           [0, 1, 2, 3]])
    """
    example, x = check_private(make_model, x, y, device, dropout=True, pretrained=pretrained)
    check_member(member)
    shards = vectorize.shards(len(member), _bytes_per_model(example, member, recipe), memory_bytes)
    records = as_tensor(x).to(device), as_tensor(y).to(device)
    run = _Run(make_model, records, member, recipe)
    common = is_common(recipe.clip)
    why = vectorize.why_not(example, records[0], 1) if common else "the clip is hardly a float"
    return vectorize.train_fleet(why, shards, rng.spawn(len(member)), recipe.steps, run.together, run.alone)


@dataclass
class _Run:
    """One call of `fit_many_private`."""

    make_model: Callable[[], nn.Module]
    records: tuple[Tensor, Tensor]
    member: np.ndarray
    recipe: DpSgd

    def together(self, shard: slice, rngs: list[np.random.Generator], bar: tqdm) -> Fleet:
        """Train some of the models as one tensor program."""
        x, recipe = self.records[0], self.recipe
        witness = _rng.fresh(self.make_model, copy.deepcopy(rngs[-1])).to(x.device).train()
        modules = [_rng.fresh(self.make_model, rng).to(x.device) for rng in rngs]
        template, state = modules[0].train(), vectorize.stack_alike(modules)
        del modules
        noises = [_rng.Noise(rng, x.device) for rng in rngs]
        trained = trainable(template)
        weights = nn.Parameter(flatten({name: state[name] for name in trained}))
        state |= unflatten(weights.detach(), trained)
        descent = optimizer(weights, recipe)
        fleet_clipper, clipper = make_fleet_clipper(template, state, recipe.clip), make_clipper(witness, x)
        for step, (batch, there) in enumerate(_filled(self.member[shard], recipe, rngs), start=1):
            (inputs, labels), weight = look_up(*self.records, batch), torch.from_numpy(there).to(x)
            total, norms = vectorize.attempt(fleet_clipper, inputs, labels, weight)
            if not recipe.noise_std:
                check_finite(norms.flatten(), f" at step {step}")
            elif not norms.isfinite().all():
                # Alone, such a gradient counts as 0, or is scaled before it is squared.
                # Without a word: a notice would tell of a record.
                raise vectorize.NotVectorizableError
            if step in vectorize.CHECKED_STEPS or step == recipe.steps:
                load(witness, {name: tensor[-1] for name, tensor in state.items()})
                one = weight[-1] > 0
                alone, _ = vectorize.attempt(clipper, inputs[-1][one], labels[-1][one], recipe.clip)
                _check_sum(total[-1], torch.cat([part.to(total).flatten() for part in alone.values()]))
            each = zip(total, noises, strict=True)
            weights.grad = torch.stack([noisy_mean(one, recipe, noise, weights.dtype) for one, noise in each])
            descent.step()
            bar.update()
        check_weights(weights)
        return Fleet(template.eval(), {name: tensor.detach().clone() for name, tensor in state.items()})

    def alone(self, number: int, rng: np.random.Generator) -> nn.Module:
        """Train one model by the plain loop."""
        x, y = self.records
        row = torch.from_numpy(self.member[number]).to(x.device)
        return PrivateRun(self.make_model, (x[row], y[row]), self.recipe, rng).train()


def _check_sum(total: Tensor, alone: Tensor) -> None:
    """Hold a model's sum against the sum that it has alone."""
    if not vectorize.is_close(total, alone, torch.zeros_like(total), 0.0):
        raise vectorize.NotVectorizableError(
            "as one tensor program, the sum of its clipped gradients is another"
        )


def _filled(
    member: np.ndarray, recipe: DpSgd, rngs: list[np.random.Generator]
) -> Iterator[tuple[Int[ndarray, "models batch"], Float[ndarray, "models batch"]]]:
    """Yield every step's batches as record numbers, filled up to the longest, and who of them is there."""
    own = [np.flatnonzero(row) for row in member]
    streams = [
        poisson_batches(rows.size, recipe.sampling_rate, recipe.steps, rng=rng)
        for rows, rng in zip(own, rngs, strict=True)
    ]
    for drawn in zip(*streams, strict=True):
        longest = max(1, *(batch.size for batch in drawn))
        batches = np.stack(
            [
                np.resize(np.append(rows[batch], rows[:1]), longest)
                for rows, batch in zip(own, drawn, strict=True)
            ]
        )
        there = np.arange(longest) < np.array([[batch.size] for batch in drawn])
        yield batches, there.astype(float)


def _bytes_per_model(model: nn.Module, member: np.ndarray, recipe: DpSgd) -> float:
    """Estimate what one model takes while it trains: a rule of thumb, not a bound.

    Weights, their sums, noise and the optimizer's; and, but for perceptrons, two gradients for every record.
    """
    weights = sum(weight.numel() for weight in model.parameters())
    batch = recipe.sampling_rate * member.sum(axis=1).max()
    each = 0 if linear_layers(model) else 2 * (batch + 3 * batch**0.5)
    return 4 * weights * (6 + each)
