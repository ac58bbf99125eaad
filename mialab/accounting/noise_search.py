"""How much noise a promise needs."""

import math
from dataclasses import replace

import numpy as np

from mialab import _check
from mialab._validation import door
from mialab.accounting import privacy_loss, renyi
from mialab.accounting.guarantee import Guarantee, Neighbours
from mialab.accounting.steps import SampledGaussian, read
from mialab.tradeoff import GaussianCurve

_LEAST_DELTA = 1e-18


@door
def smallest_noise(target: Guarantee, *, sampling_rate: float, steps: int, precision: float = 1e-3) -> float:
    """Return a noise multiplier that keeps the promise, at most a share ``precision`` above the smallest.

    Bisection, which keeps the end at which the privacy loss accountant proves the promise. Where it can
    follow no smaller noise (losses above 700: an ε in the hundreds), that is the answer. Where ε is so small
    that the accountant's grid leaves no room for it, the answer is a power of two at which moments, or the
    curve of the unsampled steps, prove the promise.

    Parameters
    ----------
    target
        The ε and δ that must not be exceeded, for adding or removing a record.
    sampling_rate, steps
        As in `SampledGaussian`.
    precision
        Above 0; relative.

    Raises
    ------
    ValueError
        If a number is out of its range, ``target`` is about replacing a record, its δ is 0 (no amount of
        Gaussian noise does that), or so large that no noise is needed; or below 10⁻¹⁸, where what the
        accountant leaves out (10⁻²⁰) begins to count.

    Examples
    --------
    >>> one = Guarantee(1.0, 1e-5, Neighbours.ADD_REMOVE)
    >>> f"{smallest_noise(one, sampling_rate=0.01, steps=1000):.3f}"
    '1.415'
    """
    _check.at_least("steps", steps, 1)
    (run,) = read([SampledGaussian(1.0, sampling_rate, steps)])
    _check_search(target, run, precision)

    def private(noise: float) -> bool:
        epsilon = privacy_loss.least_epsilon(replace(run, noise_multiplier=noise), delta=target.delta)
        return epsilon <= target.epsilon

    plenty = enough = _plenty(target, run)
    if not private(enough) and not private(enough := 2 * plenty):
        return plenty  # others proved it, and the grid adds more to such a small ε than there is room for
    too_little = enough / 2
    while private(too_little):
        too_little, enough = too_little / 2, too_little
    while enough - too_little > precision * too_little:
        middle = (too_little + enough) / 2
        too_little, enough = (too_little, middle) if private(middle) else (middle, enough)
    return enough


def _plenty(target: Guarantee, run: SampledGaussian) -> float:
    """Return noise that is enough by moments, or if the record took part in every step: a power of two."""
    noise = 1.0
    while True:
        in_every_step = GaussianCurve(math.sqrt(run.steps) / noise)
        if in_every_step.delta(target.epsilon) <= target.delta:
            return noise
        moments = renyi.divergence(replace(run, noise_multiplier=noise))
        if renyi.least_epsilon(moments, delta=target.delta) <= target.epsilon:
            return noise
        noise *= 2


def _check_search(target: Guarantee, run: SampledGaussian, precision: float) -> None:
    if target.neighbours != Neighbours.ADD_REMOVE:
        _check.refuse("target", f"be for {Neighbours.ADD_REMOVE}", target)
    _check.positive("precision", precision)
    with np.errstate(divide="ignore"):
        ever = -np.expm1(run.steps * np.log1p(-run.sampling_rate))
    delta = target.delta
    if not 0 < delta < ever:
        _check.refuse("target.delta", f"be in (0, {ever:g}), below the chance of ever taking part", delta)
    if delta < _LEAST_DELTA:
        _check.refuse(
            "target.delta", f"be at least {_LEAST_DELTA:g}, well above what a grid leaves out", delta
        )
