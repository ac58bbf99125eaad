"""Running statistics: moving averages of the means and variances of batches, kept in the model's file.

After every training batch with mean m, and with a share ρ that torch calls momentum,

    r_new = (1 − ρ) r_old + ρ m.

So the batch k steps back has weight ρ(1 − ρ)^k. Weights wₖ average as well
as 1/Σwₖ² batches of equal weight, which is (2 − ρ)/ρ: 19 batches at torch's default of 0.1. For tracing, a
record k steps back among batches of B is a member of a mean over B(2 − ρ)/ρ records, in which it counts
(2 − ρ)(1 − ρ)^k times; put both into `aggregates.expected_tpr`.

Two files, one step apart, give the batch itself: m = (r_new − (1 − ρ) r_old)/ρ, with their rounding
divided by ρ.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import nn

from mialab import _check
from mialab._validation import door
from mialab.leaks.aggregates import Release


@door
@dataclass(frozen=True, eq=False)
class RunningStats:
    """What a batch-norm layer has stored.

    Attributes
    ----------
    mean, variance
        Float64 (features,): the running averages. Torch averages the *unbiased* variances, while it
        normalises by the biased ones.
    batches
        How many batches it has seen.

    Raises
    ------
    ValueError
        If shapes differ, a number is not finite, or a variance or the number of batches is negative.

    Examples
    --------
    >>> RunningStats.of(nn.BatchNorm1d(2)).variance
    array([1., 1.])
    """

    mean: Release
    variance: Release
    batches: int

    def __post_init__(self):
        for name in ("mean", "variance"):
            _check.finite(name, getattr(self, name))
        if not np.all(self.variance >= 0):
            _check.refuse("variance", "be at least 0 in every feature", self.variance.min())
        _check.count("batches", self.batches, 0)

    @classmethod
    @door
    def of(cls, layer: nn.modules.batchnorm._BatchNorm) -> "RunningStats":
        """Read a layer's buffers.

        Raises
        ------
        ValueError
            If it keeps no running averages.
        """
        if layer.running_mean is None or layer.running_var is None or layer.num_batches_tracked is None:
            _check.refuse("layer", "keep running averages", layer)
        mean, variance, batches = (tensor.cpu().numpy().astype(np.float64) for tensor in layer.buffers())
        return cls(mean, variance, int(batches))


@door
def ema_weights(momentum: float, batches: int) -> Float[ndarray, "batches"]:
    """Return the weights ρ(1 − ρ)^k of the last batches in an exponential moving average, newest first.

    Raises
    ------
    ValueError
        If ``momentum`` is not in (0, 1] or ``batches`` is below 1.

    Examples
    --------
    >>> ema_weights(0.5, 3)
    array([0.5  , 0.25 , 0.125])
    """
    _check.rate("momentum", momentum)
    _check.at_least("batches", batches, 1)
    if batches > 2**31:
        _check.refuse("batches", "be at most 2**31, since all weights are listed", batches)
    return momentum * (1 - momentum) ** np.arange(batches)


@door
def effective_batches(momentum: float) -> float:
    """Return (2 − ρ)/ρ: as many batches of equal weight would average as well.

    Examples
    --------
    >>> effective_batches(1.0), round(effective_batches(0.1), 6)
    (1.0, 19.0)
    """
    _check.rate("momentum", momentum)
    return (2 - momentum) / momentum


@door
def batch_stats_between(
    before: RunningStats, after: RunningStats, momentum: float, n: int
) -> tuple[Release, Release]:
    """Return mean and biased variance of the one batch that lies between two running statistics.

    Parameters
    ----------
    before, after
        Running statistics one step apart, in this order.
    momentum
        The layer's share ρ of the newest batch, in (0, 1].
    n
        Values per feature in the batch: its records, times the positions of a feature map. Torch stores
        n/(n − 1) times the variance.

    Raises
    ------
    ValueError
        If a number is outside its range, they are not one step apart, or the variance comes
        out negative by more than float32 rounding explains: then they do not have this momentum.

    Examples
    --------
    >>> before = RunningStats(np.array([0.0]), np.array([1.0]), 0)
    >>> after = RunningStats(np.array([0.5]), np.array([1.1]), 1)
    >>> mean, variance = batch_stats_between(before, after, 0.1, n=4)
    >>> mean.round(6), variance.round(6)
    (array([5.]), array([1.5]))
    """
    _check.rate("momentum", momentum)
    _check.count("n", n, 2)
    if after.batches - before.batches != 1:
        _check.refuse("before and after", "be one batch apart", after.batches - before.batches)
    mean = (after.mean - (1 - momentum) * before.mean) / momentum
    unbiased = (after.variance - (1 - momentum) * before.variance) / momentum
    rounding = 4 * np.finfo(np.float32).eps * (np.abs(before.variance) + np.abs(after.variance)) / momentum
    if np.any(unbiased < -rounding):
        worst = f"a batch variance of {unbiased.min():.4g}"
        _check.refuse("before and after", f"come from a layer with momentum {momentum}", worst)
    return mean, unbiased * (n - 1) / n
