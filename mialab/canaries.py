"""Canaries: planted to be found again, and three ways of looking for them.

A canary speaks for the worst record there could be, so an audit need not wait for one to turn up. From the
mildest to the strongest:

    mislabelled            a real input with a wrong label        what an outsider can hand in
    out_of_distribution    an input like no other                 the same
    as_gradients           their gradients, clipped
    dirac                  a gradient of its own, not a record    what the proof allows for

`train_with_canaries` trains, and holds every update against every canary; `last_step` and `every_step` make
a score of the final weights, and one of all updates. From the outside there is `signals.observe` on the
trained model. How much nearer to the proof each of these adversaries comes was first measured by Nasr et
al. 2021.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Real
from numpy import ndarray
from torch import Tensor, nn

from mialab import _check, _rng
from mialab._functional import as_tensor
from mialab._types import Inputs, Label, Member, Score
from mialab._validation import door
from mialab.accounting.steps import sampled_loss
from mialab.dp_sgd import DpSgd
from mialab.dp_sgd._validation import check_private
from mialab.dp_sgd.clipping import clipped
from mialab.dp_sgd.fit import PrivateRun
from mialab.game import Design, Outcome
from mialab.per_example.gradients import by_record
from mialab.train._model_checks import cast_records

CanaryGradients = Callable[[nn.Module], Float[Tensor, "canaries weights"]]


@door
def mislabelled(
    x: Inputs, y: Label, number: int, *, classes: int, rng: np.random.Generator
) -> tuple[Float[ndarray, "number *features"], Int[ndarray, "number"]]:
    """Return real inputs, drawn without repetition, each with one of the labels that it does not have.

    Raises
    ------
    ValueError
        If there are fewer records than canaries, or fewer than two classes.

    Examples
    --------
    >>> x, y = np.eye(4, dtype=np.float32), np.arange(4)
    >>> inputs, labels = mislabelled(x, y, 3, classes=4, rng=np.random.default_rng(0))
    >>> bool((labels == inputs.argmax(axis=1)).any())
    False
    """
    _check.at_least("number", number, 1)
    _check.at_least("number of records", len(x), number)
    _check.at_least("classes", classes, 2)
    _check.labels("y", y, classes)
    drawn = rng.choice(len(x), number, replace=False)
    return x[drawn], (y[drawn] + rng.integers(1, classes, size=number)) % classes


@door
def out_of_distribution(
    shape: tuple[int, ...], number: int, *, classes: int, rng: np.random.Generator
) -> tuple[Float[ndarray, "number *features"], Int[ndarray, "number"]]:
    """Return inputs of independent fair bits, and labels at random: nothing else in the data is like them.

    Examples
    --------
    >>> inputs, labels = out_of_distribution((1, 8, 8), 5, classes=10, rng=np.random.default_rng(0))
    >>> inputs.shape, np.unique(inputs).tolist(), labels.shape
    ((5, 1, 8, 8), [0.0, 1.0], (5,))
    """
    _check.at_least("number", number, 1)
    _check.at_least("classes", classes, 1)
    inputs = rng.integers(2, size=(number, *shape)).astype(np.float32)
    return inputs, rng.integers(classes, size=number)


@door
def dirac(coordinates: Int[ndarray, "canaries"], clip: float) -> CanaryGradients:
    """Return canaries that are gradients: all of the clip, on one weight each, at every step.

    No record need have such a gradient, but the proof allows it, and for one of them alone the accountant's
    curve is exact. Weights are counted in the order of the model's parameters.

    Raises
    ------
    ValueError
        If two canaries share a weight (they could not be told apart), a coordinate is negative or no integer,
        there is none, or ``clip`` is not above 0.

    Examples
    --------
    >>> from mialab.models import mlp
    >>> dirac(np.array([0, 5]), 0.1)(mlp(4, (), 2)).nonzero()
    tensor([[0, 0],
            [1, 5]])
    """
    _check.positive("clip", clip)
    _check.at_least("number of coordinates", len(coordinates), 1)
    if len(np.unique(coordinates)) < len(coordinates) or (coordinates < 0).any():
        _check.refuse("coordinates", "be distinct and at least 0", coordinates.tolist())
    where = as_tensor(coordinates).unsqueeze(1)
    kept: list[Tensor] = []  # the same at every step

    def gradients(model: nn.Module) -> Tensor:
        weights = sum(one.numel() for one in model.parameters() if one.requires_grad)
        if int(where.max()) >= weights:
            _check.refuse("coordinates", f"be below the number of weights, {weights}", int(where.max()))
        if not kept or kept[0].shape[1] != weights:
            kept[:] = [torch.zeros(len(where), weights).scatter_(1, where, clip)]
        return kept[0].to(next(model.parameters()).device)

    return gradients


@door
def as_gradients(
    inputs: Real[ndarray, "canaries *features"], labels: Int[ndarray, "canaries"], clip: float
) -> CanaryGradients:
    """Return canaries that are records: their clipped gradients at the weights of the moment.

    Raises
    ------
    ValueError
        If an input is not finite, a label is no integer, or ``clip`` is not above 0.

    Examples
    --------
    >>> from mialab.models import mlp
    >>> as_gradients(np.eye(4, dtype=np.float32), np.array([0, 1, 1, 0]), 0.1)(mlp(4, (), 2)).norm(dim=1)
    tensor([0.1000, 0.1000, 0.1000, 0.1000])
    """
    _check.positive("clip", clip)
    _check.finite("inputs", inputs)

    def gradients(model: nn.Module) -> Tensor:
        device = next(model.parameters()).device
        x, y = as_tensor(cast_records(model, inputs)).to(device), as_tensor(labels).to(device)
        return clipped(by_record(model, x, y), clip)

    return gradients


@door
@dataclass(frozen=True, eq=False)
class CanaryRun:
    """What the updates of one private run show of its canaries.

    Attributes
    ----------
    dot_product
        Float (steps, canaries): the released sum times the canary's gradient, in units of clip².
    norm
        Float (steps, canaries): the length of the canary's gradient, in units of the clip; at most 1.
    member
        Bool (canaries,): who was in, by its own fair coin.
    model
        The trained model.
    recipe
        How it was trained.

    Examples
    --------
    >>> recipe = DpSgd(clip=1.0, noise_multiplier=1.0, sampling_rate=0.5, steps=2, nominal_batch=8)
    >>> dot_product = np.array([[1.0, 0.2], [0.5, -0.4]])  # two steps, two canaries
    >>> run = CanaryRun(dot_product, np.ones((2, 2)), np.array([True, False]), nn.Identity(), recipe)
    >>> outcome = run.outcome(last_step(run))
    >>> outcome.at(0.5).true_positives, outcome.design.name
    (1, 'ONE_RUN')
    """

    dot_product: Float[ndarray, "steps canaries"]
    norm: Float[ndarray, "steps canaries"]
    member: Member
    model: nn.Module
    recipe: DpSgd

    @door
    def outcome(self, score: Score) -> Outcome:
        """End the game: one run, a fair coin for every canary."""
        return Outcome(score, self.member, design=Design.ONE_RUN)


@door
def train_with_canaries(
    make_model: Callable[[], nn.Module],
    x: Inputs,
    y: Label,
    recipe: DpSgd,
    canaries: CanaryGradients,
    *,
    rng: np.random.Generator,
    device: str = "cpu",
    pretrained: bool = False,
) -> CanaryRun:
    """Train one private model on the records and on about half of the canaries; keep what is released.

    Each canary is in by its own fair coin, and takes part in a step as every record does. Updates are made
    as in `dp_sgd.fit_private`: the same clipping, noise and descent.

    Parameters
    ----------
    make_model, x, y, recipe, device, pretrained
        As in `dp_sgd.fit_private`.
    canaries
        From `dirac` or `as_gradients`.
    rng
        Decides the coins, weights, batches, noise, and what the model draws: torch's global seed plays no
        part. Whoever knows it takes the noise off again, and needs no audit.

    Raises
    ------
    ValueError
        As in `dp_sgd.fit_private`, if the clip is infinite, or a canary's gradient is longer than the clip.

    Examples
    --------
    >>> from mialab.canaries import dirac
    >>> from mialab.models import mlp
    >>> x, y = np.eye(4, dtype=np.float32), np.arange(4)
    >>> recipe = DpSgd(clip=1.0, noise_multiplier=0.5, sampling_rate=0.5, steps=40, nominal_batch=4)
    >>> run = train_with_canaries(
    ...     lambda: mlp(4, (), 4), x, y, recipe, dirac(np.arange(16), 1.0), rng=np.random.default_rng(0)
    ... )
    >>> caught = every_step(run) > 0
    >>> print((caught == run.member).mean())
    1.0
    """
    _, x = check_private(make_model, x, y, device, dropout=False, pretrained=pretrained)
    _check.positive("clip", recipe.clip)
    run = PrivateRun(make_model, (as_tensor(x).to(device), as_tensor(y).to(device)), recipe, rng)
    with _rng.torch_stream(rng.spawn(1)[0]):  # for a model that draws
        member = rng.random(len(canaries(run.model))) < 0.5
        dot_product, norm = (np.empty((recipe.steps, len(member))) for _ in range(2))
        for step, total in enumerate(run.clipped_sums()):
            planted, units, norm[step] = _planted(canaries, run.model, recipe.clip)
            takes_part = member & (rng.random(len(member)) < recipe.sampling_rate)
            update = run.step(total.add_(torch.from_numpy(takes_part).to(total) @ planted.to(total)))
            dot_product[step] = (units @ update.double()).cpu() * (recipe.nominal_batch / recipe.clip)
    return CanaryRun(dot_product, norm, member, run.finish(), recipe)


def _planted(canaries: CanaryGradients, model: nn.Module, clip: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the canaries' gradients, the same in units of the clip, and their lengths in these units.

    What no clip would let through is refused. The units are in double precision: squares of gradients as long
    as a very small or large clip are no single-precision numbers.
    """
    planted = canaries(model).detach()
    units = planted.double() / clip
    norms = units.norm(dim=1).cpu()
    if not (longest := float(norms.max())) <= 1 + 1e-6:  # single precision
        _check.refuse("canaries", f"have gradients of at most the clip, {clip}", f"{longest * clip:.6g}")
    return planted, units, norms


@door
def last_step(run: CanaryRun) -> Score:
    """Score every canary by what the final weights tell, if the canaries' gradients were always the same.

    The sum of all updates times the gradient. With plain gradient descent and `dirac` canaries that is
    the way the weight went, (first − last) · nominal batch/(learning rate · clip): no update need be seen.

    Examples
    --------
    >>> recipe = DpSgd(clip=1.0, noise_multiplier=1.0, sampling_rate=0.5, steps=2, nominal_batch=8)
    >>> dot_product = np.array([[1.0, 0.25], [0.5, -0.75]])  # two steps, two canaries
    >>> last_step(CanaryRun(dot_product, np.ones((2, 2)), np.array([True, False]), nn.Identity(), recipe))
    array([ 1.5, -0.5])
    """
    return run.dot_product.sum(axis=0)


@door
def every_step(run: CanaryRun) -> Score:
    """Score every canary by the likelihood ratio of all updates, if nothing but noise hides it.

    With v the gradient's length and s its dot product with an update, both in units of the clip, the step
    says ln(1 − q + q·e^((2s − v²)/(2σ²))), and independent steps add up. The attacker knows the recipe. What
    other records and canaries add to s, it takes for noise.

    Raises
    ------
    ValueError
        If the recipe has no noise: then there is no likelihood to speak of.
    """
    q, sigma = run.recipe.sampling_rate, run.recipe.noise_multiplier
    _check.positive("noise_multiplier", sigma)
    loss = (2 * run.dot_product - run.norm**2) / (2 * sigma**2)
    return sampled_loss(loss, q).sum(axis=0)
