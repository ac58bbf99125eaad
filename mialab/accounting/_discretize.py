"""One step's privacy losses on a grid, never less telling than the step; and the grid that their sum needs.

Between two neighbouring grid points the output is made more telling: an output whose likelihood ratio lies
between theirs is replaced by one of the two, at random, such that it keeps its chance in both worlds. An
attacker can only gain from that, in either direction (Doroshenko et al. 2022 arrive at the same numbers
from the curve's side).

The grid is planned from sums over a few thousand outputs. A plan need not be exact: the accountant bounds
what it left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr, ndtri

from mialab.accounting.steps import SampledGaussian, sampled_loss

TAIL = 1e-20  # what may lie beyond the grid
_FINE = 6e-3  # spacing of the grid, in standard deviations of a step's loss
_MOST = 2**20  # points of the grid
_APART = 6  # standard deviations between the centres of two tilted sums
_SLOPES = np.geomspace(1e-3, 1e5, 97)
_LEAST_NOISE = 0.01  # a step with less has losses of thousands


def log_sum(terms: ndarray, sign: ndarray | float = 1.0) -> float | ndarray:
    """Return the logarithm of the sum of sign · e^term along the last axis.

    Examples
    --------
    >>> print(log_sum(np.array([1000.0, 1000.0])).round(6), log_sum(np.array([0.0, -np.inf])))
    1000.693147 0.0
    """
    largest = terms.max(axis=-1, keepdims=True)
    return np.log((sign * np.exp(terms - largest)).sum(axis=-1)) + largest[..., 0]


def scaled(chance: ndarray, by: ndarray) -> ndarray:
    """Return chance · e^by, where the second alone may be larger than any float.

    Examples
    --------
    >>> print(scaled(np.array([0.0, 0.5, 1e-300]), np.array([900.0, 0.0, 800.0])) > 1)
    [False False  True]
    """
    with np.errstate(divide="ignore"):
        return np.exp(np.log(chance) + by)


# --- losses on a grid ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class PrivacyLossDistribution:
    """Losses ``(start + j) · spacing``, and their chances with the record.

    Without it the chances are e^−loss times as large; what is beyond the grid gives the record away
    (``sure``: outputs that never happen without it), or its absence (``sure_not``).
    """

    chance: Float[ndarray, "losses"]
    start: int
    spacing: float
    sure: float
    sure_not: float

    @cached_property
    def loss(self) -> Float[ndarray, "losses"]:
        """The losses, rising."""
        return (self.start + np.arange(len(self.chance))) * self.spacing

    @cached_property
    def log_chance(self) -> Float[ndarray, "losses"]:
        """The logarithms of the chances with the record."""
        with np.errstate(divide="ignore"):
            return np.log(self.chance)

    def log_moment(self, tilt: float) -> float:
        """Return the logarithm of the sum over losses of chance · e^(tilt · loss)."""
        return float(log_sum(self.log_chance + tilt * self.loss))


def discretize(step: SampledGaussian, spacing: float, ends: tuple[float, float]) -> PrivacyLossDistribution:
    """Return the losses of one step on multiples of ``spacing``, that hold the two ends between them.

    Outputs beyond which less than `TAIL`, of all steps together, lies in both worlds are not looked at.
    """
    furthest = _loss(step, np.array(_reach(step)))
    low, high = max(furthest[0], ends[0]), min(furthest[1], ends[1])
    start, stop = int(np.floor(low / spacing)), int(np.ceil(high / spacing))
    loss = np.arange(start, stop + 1) * spacing
    cut = np.concatenate([[-np.inf], _output(step, loss), [np.inf]])
    absent, shifted = (_between((cut - mean) / step.noise_multiplier) for mean in (0.0, 1.0))
    present = (1 - step.sampling_rate) * absent + step.sampling_rate * shifted
    chance, sure, sure_not = onto(loss, present, absent)
    return PrivacyLossDistribution(chance, start, spacing, sure, sure_not)


def onto(loss: ndarray, present: ndarray, absent: ndarray) -> tuple[ndarray, float, float]:
    """Move the chances of each cell to the two losses around it, such that both worlds' sums stay.

    The first cell lies before the first loss, the last after the last. There the other world's whole chance
    is moved to the loss, and the rest gives everything away.
    """
    grown = scaled(absent[1:], loss)  # the chance "present", were the loss that of the left point
    lower, upper = grown[:-1], min(grown[-1], present[-1])
    right = np.clip((present[1:-1] - lower) / -np.expm1(-np.diff(loss)), 0, present[1:-1])
    chance = np.append(present[1:-1] - right, upper)
    chance[1:] += right
    chance[0] += present[0]
    sure_not = absent[0] - scaled(present[:1], -loss[:1])[0]
    return chance, float(present[-1] - upper), max(float(sure_not), 0.0)


def _loss(step: SampledGaussian, output: Float[ndarray, "outputs"]) -> Float[ndarray, "outputs"]:
    """Return the loss, which rises with the output."""
    return sampled_loss((output - 0.5) / step.noise_multiplier**2, step.sampling_rate)


def _output(step: SampledGaussian, loss: ndarray) -> ndarray:
    """Return the output with this loss, −∞ where every output has a larger one."""
    q = step.sampling_rate
    with np.errstate(divide="ignore"):  # the logarithm of e^loss − (1 − q)
        rest = loss + np.log(np.maximum(-np.expm1(np.log1p(-q) - loss), 0.0))
    return step.noise_multiplier**2 * (rest - np.log(q)) + 0.5


def _reach(step: SampledGaussian) -> tuple[float, float]:
    """Return outputs beyond which, on either side, less than `TAIL` of all steps lies in both worlds."""
    far = -ndtri(TAIL / step.steps) * step.noise_multiplier
    return -far, 1 + far


def _between(z: ndarray) -> ndarray:
    """Return the normal chance between rising cuts, from whichever tail keeps the digits."""
    middle = np.searchsorted(z, 0)
    return np.concatenate([np.diff(ndtr(z[: middle + 1])), -np.diff(ndtr(-z[middle:]))])


# --- the plan ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """Spacing and ends of the grid; the slopes of the Chernoff bound beyond either end; tilts, rising."""

    spacing: float
    ends: tuple[float, float]
    slopes: tuple[float, float]
    tilts: ndarray

    @property
    def largest(self) -> float:
        """The largest loss on either side."""
        return max(-self.ends[0], self.ends[1])


def plan(phases: Sequence[SampledGaussian]) -> Plan:
    """Return a plan that leaves less than about `TAIL` beyond either end.

    Where a single step's losses are in the thousands, it says only that its ends are too far.
    """
    if (least := min(step.noise_multiplier for step in phases)) < _LEAST_NOISE:
        loss = 0.5 / least / least
        return Plan(loss, (-loss, loss), (1.0, 1.0), np.zeros(1))
    tilt = np.concatenate([-1 - _SLOPES[::-1], np.linspace(-0.9, -0.1, 9), _SLOPES])
    coarse = [_coarse(step) for step in phases]
    times = np.array([step.steps for step in phases])
    moment = _moments(coarse, times, tilt, (-np.inf, np.inf))
    right = (moment[-len(_SLOPES) :] - np.log(TAIL)) / _SLOPES
    left = (moment[: len(_SLOPES)][::-1] - np.log(TAIL)) / _SLOPES
    ends = -float(left.min()), float(right.min())
    slopes = float(_SLOPES[left.argmin()]), float(_SLOPES[right.argmin()])
    spacing = max(_FINE * _deviation(coarse, times), (ends[1] - ends[0]) / _MOST)
    tilts = _divide(tilt, _moments(coarse, times, tilt, ends), ends, slopes)
    return _wider(Plan(spacing, ends, slopes, tilts), int(times.sum()))


def _wider(exact: Plan, steps: int) -> Plan:
    """Leave room for what the grid adds to a sum: ``steps`` numbers, each in an interval of one spacing.

    With chance `TAIL` they stray by √(steps · ln(1/TAIL)/2) spacings (Hoeffding 1963).
    """
    room = exact.spacing * np.sqrt(-np.log(TAIL) / 2 * steps)
    steepest = 4 * room / (steps * exact.spacing**2)  # the slope at which that is proved
    left, right = (slope * steepest / (slope + steepest) for slope in exact.slopes)
    ends = float(exact.ends[0] - room), float(exact.ends[1] + room)
    return Plan(exact.spacing, ends, (float(left), float(right)), exact.tilts)


def _coarse(step: SampledGaussian) -> tuple[ndarray, ndarray]:
    """Return logarithms of chances with the record, and losses, of outputs on a coarse grid."""
    output = np.linspace(*_reach(step), 1001)
    loss = _loss(step, output)
    log_chance = loss - output**2 / (2 * step.noise_multiplier**2)
    return log_chance - log_sum(log_chance), loss


def _moments(coarse: Sequence[tuple], times: ndarray, tilt: ndarray, ends: tuple[float, float]) -> ndarray:
    """Return the logarithm of the mean of e^(tilt · sum of losses), each loss between the ends."""
    total = np.zeros(len(tilt))
    for (log_chance, loss), steps in zip(coarse, times, strict=True):
        here = (loss >= ends[0]) & (loss <= ends[1])
        total += steps * log_sum(log_chance[here] + tilt[:, None] * loss[here])
    return total


def _deviation(coarse: Sequence[tuple], times: ndarray) -> float:
    """Return the standard deviation of the loss of an average step, in the world where it is smaller."""
    variance = np.zeros(2)
    for (log_chance, loss), steps in zip(coarse, times, strict=True):
        for world, chance in enumerate([np.exp(log_chance), np.exp(log_chance - loss)]):
            variance[world] += steps * chance @ (loss - chance @ loss) ** 2
    return float(np.sqrt(variance.min() / times.sum()))


def _divide(tilt: ndarray, moment: ndarray, ends: tuple, slopes: tuple) -> ndarray:
    """Return tilts a few standard deviations of the tilted sums apart.

    The mean of the tilted sum is the first derivative of the logarithmic moment, its variance the second. The
    outermost tilts are those that still leave, by Chernoff's bound, only the root of `TAIL` beyond the ends:
    from there it would come back on the other side.
    """
    over, under = moment - tilt * ends[1], moment - (1 + tilt) * ends[0]
    inside = np.where(tilt > 0, over, np.where(tilt < -1, under, 0.0)) > np.log(TAIL) / 2
    inside &= (tilt <= slopes[1]) & (tilt >= -1 - slopes[0])
    tilt, moment = tilt[inside], moment[inside]
    mean = np.maximum.accumulate(np.diff(moment) / np.diff(tilt))
    middle = (tilt[1:] + tilt[:-1]) / 2
    far = np.append(0.0, np.cumsum(np.sqrt(np.diff(mean) * np.diff(middle))))
    return np.interp(np.linspace(0, far[-1], int(np.ceil(far[-1] / _APART)) + 1), far, middle)
