"""Training many models as one tensor program, in shards, with checkpoints."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor, nn
from tqdm import tqdm

from mialab import _rng
from mialab._functional import as_tensor, class_logits
from mialab._types import Inputs, MemberMatrix
from mialab._validation import door
from mialab.train import hidden, vectorize
from mialab.train._model_checks import check_member, check_training
from mialab.train.batching import fleet_batches, look_up
from mialab.train.checkpoint import Checkpoint
from mialab.train.fit import fit_tensors, optimizer, train_step
from mialab.train.fleet import Fleet, State, state_of
from mialab.train.recipe import Sgd
from mialab.train.steps import zero_velocity

_PROBED = 8  # records that an untrained model is asked about


@door
def fit_many(
    make_model: Callable[[], nn.Module],
    x: Inputs,
    y: Int[ndarray, "records"],
    member: MemberMatrix,
    recipe: Sgd,
    *,
    rng: np.random.Generator,
    device: str = "cpu",
    checkpoint_folder: str | Path | None = None,
    memory_bytes: float = 2**30,
    pretrained: bool = False,
) -> Fleet:
    """Train one model for every row of ``member``, each on the records of its row.

    The models never see each other. Model ``i`` is the one that ``fit`` would train alone on
    ``x[member[i]], y[member[i]]`` with ``rng.spawn(len(member))[i]``, up to rounding. All take the same
    number of steps; a model with fewer records goes through them more often. Modules that cannot be trained
    as one tensor program are trained by `fit`, one by one; a warning says so, and why.

    Parameters
    ----------
    make_model
        Called without arguments, returns a module of its own with fresh random weights.
    x, y
        All records and their labels 0 … classes - 1; 0 or 1 for models with a single logit.
    member
        Bool (models, records); every row holds at least one record.
    recipe
        What is done at every step.
    rng
        Its children decide each model's initial weights, order of records, and what its forward pass draws.
        Torch's global seed plays no part.
    device
        ``"cpu"`` or ``"cuda"``.
    checkpoint_folder
        Where to keep finished shards and, every ten seconds, the one in progress. A run that was
        interrupted and is called again with the same arguments goes on from there and ends with the
        same bits; a run that was finished is read back. Where models are trained one by one, those that are
        finished are kept, unless training changes more in them than parameters and buffers.
    memory_bytes
        Shards are cut so that an estimate of weights, velocities and activations stays below this.
    pretrained
        As in `fit`.

    Returns
    -------
    The fleet, on ``device``, in the order of the rows.

    Raises
    ------
    ValueError
        If shapes or labels do not fit, a row is empty, a value is not finite, the device is not there,
        ``make_model`` returns the same module again, or the same weights without ``pretrained``, or the
        checkpoint is damaged or belongs to another run.

    Examples
    --------
    >>> from mialab import models, train
    >>> x, y = np.eye(4, dtype=np.float32), np.arange(4)
    >>> member = np.array([[True, True, True, True], [True, True, False, False]])
    >>> fleet = fit_many(
    ...     lambda: models.mlp(4, (8,), 4), x, y, member, Sgd(steps=50), rng=np.random.default_rng(0)
    ... )
    >>> (train.predict(fleet, x).argmax(axis=-1) == y)[member].all()
    np.True_
    """
    example, x, bytes_per_record = check_training(make_model, x, y, device, pretrained=pretrained)
    check_member(member)
    # Weights, velocities, gradients, and twice all that a forward pass makes: a rule of thumb, not a bound.
    weights = sum(weight.numel() for weight in example.parameters())
    bytes_per_model = 12 * weights + 2 * recipe.batch_size * (bytes_per_record + x[0].nbytes)
    shards = vectorize.shards(len(member), bytes_per_model, memory_bytes)
    inputs, labels = as_tensor(x).to(device), as_tensor(y).to(device)
    about = hidden.checksum([recipe, repr(example), device.split(":")[0], x, y]) if checkpoint_folder else ""
    run = _Run(make_model, inputs, labels, member, recipe, checkpoint_folder, about)
    why = vectorize.why_not(example, inputs, recipe.batch_size)
    return vectorize.train_fleet(why, shards, rng.spawn(len(member)), recipe.steps, run.together, run.alone)


@dataclass
class _Run:
    """One call of `fit_many`."""

    make_model: Callable[[], nn.Module]
    x: Tensor
    y: Tensor
    member: np.ndarray
    recipe: Sgd
    folder: str | Path | None
    about: str  # what a checkpoint belongs to

    def together(self, shard: slice, rngs: list[np.random.Generator], bar: tqdm) -> Fleet:
        """Train some models as one tensor program, from their checkpoint if there is one."""
        witness = self.fresh(copy.deepcopy(rngs[-1]))
        modules = [self.fresh(rng) for rng in rngs]
        template, state = modules[0], vectorize.stack_alike(modules)
        del modules
        velocity = zero_velocity(template, state)
        tensors = state | {f"velocity/{name}": speed for name, speed in velocity.items()}
        name, member = f"models-{shard.start:06d}", self.member[shard]
        saved = self.checkpoint(name, witness, member, rngs, tensors) if self.folder else None
        done = saved.restore() if saved else 0
        bar.update(done)

        steps = self.recipe.steps
        step = vectorize.checked_step(template, state, velocity, self.recipe, witness, done)
        members = [np.flatnonzero(row) for row in member]
        batches = fleet_batches(members, steps, self.recipe.batch_size, rngs=rngs)
        for number, batch in enumerate(islice(batches, done, None), start=done + 1):
            step(*look_up(self.x, self.y, batch))
            bar.update()
            if saved:
                saved.save(number, last=number == steps)
        return Fleet(template.eval(), {name: tensor.detach() for name, tensor in state.items()})

    def alone(self, number: int, rng: np.random.Generator) -> nn.Module:
        """Train one model by the plain loop, or read it back."""
        row = self.member[number]
        rows = torch.from_numpy(np.flatnonzero(row)).to(self.x.device)
        train = partial(fit_tensors, self.make_model, self.x[rows], self.y[rows], self.recipe, rng=rng)
        start = self.fresh(copy.deepcopy(rng)) if self.folder else None
        if start is None or any(isinstance(one, nn.UninitializedParameter) for one in start.parameters()):
            return train()
        saved = self.checkpoint(f"model-{number:06d}", start, row, [rng], state_of(start))
        if saved.restore():
            return start.eval()
        model = train()
        if hidden.fingerprint(model) == hidden.fingerprint(start):
            saved.tensors = state_of(model)
            saved.save(self.recipe.steps, last=True)
        return model

    def fresh(self, rng: np.random.Generator) -> nn.Module:
        """Return one more model."""
        return _rng.fresh(self.make_model, rng).to(self.x.device)

    def checkpoint(
        self,
        name: str,
        start: nn.Module,
        member: np.ndarray,
        rngs: list[np.random.Generator],
        tensors: State,
    ) -> Checkpoint:
        """Name a checkpoint; ``start`` is one of its models before training."""
        seeds = [(str(one.bit_generator.seed_seq), one) for one in rngs]
        fingerprint = hidden.checksum([self.about, name, seeds, member, tensors])
        probe = _probe(hidden.copy_of(start), self.x, self.y, self.recipe)
        return Checkpoint(Path(self.folder or "") / f"{name}.npz", fingerprint, probe, tensors)


def _probe(model: nn.Module, x: Tensor, y: Tensor, recipe: Sgd) -> np.ndarray:
    """Return an untrained model's logits on a few records, and for each weight a number of its gradient."""
    rows = np.resize(np.arange(len(x)), min(recipe.batch_size, _PROBED))
    with _rng.torch_stream(np.random.default_rng(0)):
        with torch.no_grad():
            logits = class_logits(model.eval()(x[rows])).flatten()
        train_step(model.train(), optimizer(model, recipe), x[rows], y[rows], recipe)
    gradients = [weight.grad.to_dense().flatten() for weight in model.parameters() if weight.grad is not None]
    signed = [one @ torch.arange(len(one)).to(one).cos() for one in gradients]  # a sum would hide the order
    return torch.stack([*logits, *signed]).cpu().to(torch.complex128).numpy()
