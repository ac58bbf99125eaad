"""One private run with canaries, seen from the inside."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from mialab import _check, _rng
from mialab._functional import as_tensor
from mialab._types import Inputs, Member, Score
from mialab._validation import door
from mialab.accounting.steps import sampled_loss
from mialab.canaries.plant import CanaryGradients
from mialab.dp_sgd import DpSgd
from mialab.dp_sgd._validation import check_private
from mialab.dp_sgd.fit import PrivateRun
from mialab.game import Design, Outcome


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
    y: Int[ndarray, "records"],
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
