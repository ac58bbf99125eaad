"""Where to look at a sum of losses: how wide, how finely, and through which tilts.

From sums over a few thousand outputs. A plan need not be exact: the accountant bounds what it left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from mialab.accounting._logs import log_sum
from mialab.accounting._one_step import loss_at, reach
from mialab.accounting.steps import Steps

TAIL = 1e-20  # what may lie beyond the grid
_FINE = 6e-3  # spacing of the grid, in standard deviations of a step's loss
_MOST = 2**20  # points of the grid
_APART = 6  # standard deviations between the centres of two tilted sums
_SLOPES = np.geomspace(1e-3, 1e5, 97)


@dataclass(frozen=True)
class Plan:
    """Spacing and ends of the grid; the slopes of the Chernoff bound beyond either end; tilts, rising."""

    spacing: float
    ends: tuple[float, float]
    slopes: tuple[float, float]
    tilts: ndarray


def plan(phases: Sequence[Steps]) -> Plan:
    """Return a plan that leaves less than about `TAIL` beyond either end."""
    tilt = np.concatenate([-1 - _SLOPES[::-1], np.linspace(-0.9, -0.1, 9), _SLOPES])
    moment = _moments(phases, tilt, (-np.inf, np.inf))
    right = (moment[-len(_SLOPES) :] - np.log(TAIL)) / _SLOPES
    left = (moment[: len(_SLOPES)][::-1] - np.log(TAIL)) / _SLOPES
    ends = -float(left.min()), float(right.min())
    slopes = float(_SLOPES[left.argmin()]), float(_SLOPES[right.argmin()])
    spacing = max(_FINE * _deviation(phases), (ends[1] - ends[0]) / _MOST)
    tilts = _divide(tilt, _moments(phases, tilt, ends), ends, slopes)
    return _wider(Plan(spacing, ends, slopes, tilts), sum(step.steps for step in phases))


def _wider(exact: Plan, steps: int) -> Plan:
    """Leave room for what the grid adds to a sum: ``steps`` numbers, each in an interval of one spacing.

    With chance `TAIL` they stray by √(steps · ln(1/TAIL)/2) spacings (Hoeffding 1963).
    """
    room = exact.spacing * np.sqrt(-np.log(TAIL) / 2 * steps)
    steepest = 4 * room / (steps * exact.spacing**2)  # the slope at which that is proved
    left, right = (slope * steepest / (slope + steepest) for slope in exact.slopes)
    ends = float(exact.ends[0] - room), float(exact.ends[1] + room)
    return Plan(exact.spacing, ends, (float(left), float(right)), exact.tilts)


def _moments(phases: Sequence[Steps], tilt: ndarray, ends: tuple[float, float]) -> ndarray:
    """Return the logarithm of the mean of e^(tilt · sum of losses), each loss between the ends."""
    total = np.zeros(len(tilt))
    for step in phases:
        log_chance, loss = _coarse(step)
        here = (loss >= ends[0]) & (loss <= ends[1])
        total += step.steps * log_sum(log_chance[here] + tilt[:, None] * loss[here])
    return total


def _deviation(phases: Sequence[Steps]) -> float:
    """Return the standard deviation of the loss of an average step, in the world where it is smaller."""
    variance = np.zeros(2)
    for step in phases:
        log_chance, loss = _coarse(step)
        for world, chance in enumerate([np.exp(log_chance), np.exp(log_chance - loss)]):
            variance[world] += step.steps * chance @ (loss - chance @ loss) ** 2
    return float(np.sqrt(variance.min() / sum(step.steps for step in phases)))


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


def _coarse(step: Steps) -> tuple[ndarray, ndarray]:
    """Return logarithms of chances with the record, and losses, of outputs on a coarse grid."""
    output = np.linspace(*reach(step, TAIL / step.steps), 1001)
    loss = loss_at(step, output)
    log_chance = loss - output**2 / (2 * step.noise_multiplier**2)
    return log_chance - log_sum(log_chance), loss
