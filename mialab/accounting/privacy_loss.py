"""The privacy loss accountant: every output's loss is kept, and nothing is given away but the grid.

The loss of an output is the logarithm of its likelihood ratio, with the record against without. Losses of
independent steps add up, so their distribution is a convolution, which a Fourier transform makes a power
(Koskela, Jälkö & Honkela 2020). Three things keep it on the safe side and true in the far tail:

* the grid only makes outputs more telling (`_one_step`);
* what lies beyond the grid counts as giving the record away, with a Chernoff bound on how much that is;
* a Fourier transform errs by 10⁻¹⁶ of the *largest* chance, so it is done several times, each time with the
  losses weighted by another e^(tilt · loss): each part of the tail is once near the largest.

What is left is the rounding of floats: about 10⁻¹⁶ · steps of each number, and where a cell of the grid holds
a small share of a tail, 10⁻¹⁶ of that tail. `delta` and `guarantee` count 10⁻¹⁴ · steps against the promise.
A step whose q/σ is below 10⁻¹¹ is taken for one where it is that.

One composition serves both directions: adding a record exchanges the two worlds, and a more telling output is
more telling either way.
"""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray
from scipy import fft

from mialab import _check
from mialab._validation import door
from mialab.accounting._logs import log_sum, scaled
from mialab.accounting._one_step import Losses, loss_at, losses, onto, reach
from mialab.accounting._plan import TAIL, Plan, plan
from mialab.accounting.guarantee import Guarantee, Neighbours
from mialab.accounting.steps import SampledGaussian, Steps, read
from mialab.tradeoff import Pair, epsilon_at
from mialab.tradeoff.convert import allowed
from mialab.tradeoff.pair import _SUM

_OUTPUTS = 2**14  # of the curve that is handed out
_LARGEST = 700  # loss: e^−709 is the smallest float that has all its digits
_LEAST_NOISE = 0.01  # a step with less has losses of thousands
_FAINT = 1e-11  # sampling rate over noise, below which a step's losses are lost in rounding
_MOST_STEPS = 10**9
_A_STEP = 1e-14  # share of any chance that the rounding of one step may hide
_NOTHING = -50.0  # logarithm of a frequency's height that a float does not see beside 1


@door
def curve(*phases: Steps) -> Pair:
    """Return the trade-off curve of all steps together: the best any attack can do, up to the grid.

    ``member`` is "with the record". Its ``delta`` speaks of removing it, that of its ``swapped()`` of adding
    it; a promise needs both, and `delta` and `guarantee` take the larger.

    Parameters
    ----------
    phases
        Steps that may differ in noise and sampling rate.

    Raises
    ------
    ValueError
        If there is no phase, a field of one is out of its range, there are more than 10⁹ steps, or losses get
        so large (above 700) that a chance without the record is no float any more. ε would be in the
        hundreds: no promise worth the name.

    Examples
    --------
    >>> from mialab import tradeoff
    >>> from mialab.accounting import SampledGaussian
    >>> run = curve(SampledGaussian(4.0, 0.01, 10_000))
    >>> print(round(tradeoff.advantage(run), 4), round(float(run.tpr(0.001)), 5))
    0.101 0.00229
    """
    told = _told(phases)
    look = _look(told)
    if not (largest := _largest(look)) <= _LARGEST:
        _check.refuse("privacy losses", f"be at most {_LARGEST}", f"{largest:.0f}: there is too little noise")
    return _curve(told, look)


@door
def delta(*phases: Steps, epsilon: float) -> float:
    """Return the smallest δ at ``epsilon``, of adding and removing a record.

    Examples
    --------
    >>> from mialab.accounting import SampledGaussian
    >>> print(f"{delta(SampledGaussian(4.0, 0.01, 10_000), epsilon=1.0):.3e}")
    4.244e-06
    """
    _check.not_negative("epsilon", epsilon)
    both = curve(*phases)
    largest = max(both.delta(epsilon), both.swapped().delta(epsilon))
    return float(min(largest * (1 + _rounded(phases)), 1.0))


@door
def guarantee(*phases: Steps, delta: float) -> Guarantee:
    """Return the smallest ε at ``delta``, of adding and removing a record.

    Raises
    ------
    ValueError
        If ``delta`` is not in (0, 1), or not above what lies beyond the grid, about 10⁻²⁰; or as in `curve`.

    Examples
    --------
    >>> from mialab.accounting import SampledGaussian
    >>> print(guarantee(SampledGaussian(4.0, 0.01, 10_000), delta=1e-5))
    ε ≤ 0.946871 at δ = 1e-05 (proved, add-remove)
    """
    _check.probability("delta", delta, open_ends=True)
    both = curve(*phases)
    epsilon = _epsilon(both, phases, delta)
    if not np.isfinite(epsilon):
        beyond = max(both.member[0], both.non_member[-1])
        _check.refuse("delta", f"be above what lies beyond the grid, {beyond:.1e}", delta)
    return Guarantee(epsilon, delta, Neighbours.ADD_REMOVE)


@door
def least_epsilon(*phases: Steps, delta: float) -> float:
    """Return the ε of `guarantee`, or infinity where nothing can be proved: for a search.

    Examples
    --------
    >>> from mialab.accounting import SampledGaussian
    >>> least_epsilon(SampledGaussian(0.02, 1.0, 1), delta=1e-5)
    inf
    """
    _check.probability("delta", delta, open_ends=True)
    told = _told(phases)
    look = _look(told)
    return _epsilon(_curve(told, look), told, delta) if _largest(look) <= _LARGEST else np.inf


def _told(phases: Sequence[Steps]) -> Sequence[Steps]:
    """Return the phases; those that tell less than floats can see are made to tell as much as they see.

    More sampling is never harder to tell apart, nor is less noise: the rest is post-processing.
    """
    exact = read(*phases)
    if (total := sum(step.steps for step in exact)) > _MOST_STEPS:
        _check.refuse("steps", f"sum to at most {_MOST_STEPS:.0e}, beyond which rounding counts", total)
    noises = [min(step.noise_multiplier, 1 / _FAINT) for step in exact]
    return [
        SampledGaussian(noise, min(max(step.sampling_rate, _FAINT * noise), 1.0), step.steps)
        for noise, step in zip(noises, exact, strict=True)
    ]


def _look(phases: Sequence[Steps]) -> Plan:
    """Return the plan; where a single step's losses are in the thousands, only that its ends are too far."""
    least = min(step.noise_multiplier for step in phases)
    if least < _LEAST_NOISE:
        loss = 0.5 / least / least
        return Plan(loss, (-loss, loss), (1.0, 1.0), np.zeros(1))
    return plan(phases)


def _largest(look: Plan) -> float:
    return max(-look.ends[0], look.ends[1])


def _curve(phases: Sequence[Steps], look: Plan) -> Pair:
    times = np.array([step.steps for step in phases])
    each = [_one(step, look) for step in phases]
    start = int(np.floor(look.ends[0] / look.spacing))
    size = _fast(int(np.ceil(look.ends[1] / look.spacing)) - start + 1)
    chance = _sum_of_losses(each, times, start, size, look.tilts)
    ends = look.spacing * np.array([start - 1, start + size])
    return _pair(chance, start, look.spacing, *_beyond(each, times, ends, look.slopes), _rounded(phases))


def _rounded(phases: Sequence[Steps]) -> float:
    """Return the share by which rounding may have made any chance too small."""
    return _A_STEP * sum(int(step.steps) for step in phases)


def _epsilon(both: Pair, phases: Sequence[Steps], delta: float) -> float:
    sharp = float(delta) * (1 - _rounded(phases))
    epsilon, swapped = epsilon_at(both, sharp), both.swapped()
    if swapped.delta(epsilon) > allowed(swapped, sharp):  # seldom: removing tells more
        epsilon = epsilon_at(swapped, sharp)
    return epsilon


def _fast(least: int) -> int:
    """Return a length of at least this, of which a Fourier transform is quick."""
    return int(fft.next_fast_len(least, real=True))  # type: ignore[arg-type]


def _one(step: Steps, look: Plan) -> Losses:
    """Return one step's losses. One that is by itself beyond the end of the sums gives the record away."""
    low, high = loss_at(step, np.array(reach(step, TAIL / step.steps)))
    return losses(step, look.spacing, (max(low, look.ends[0]), min(high, look.ends[1])))


def _log_moment(each: Sequence[Losses], times: ndarray, tilt: float) -> float:
    """Return the logarithm of the sum over losses of chance · e^(tilt · loss), all steps together."""
    with np.errstate(divide="ignore"):
        return float(
            sum(
                many * log_sum(np.log(one.chance) + tilt * one.loss)
                for one, many in zip(each, times, strict=True)
            )
        )


def _sum_of_losses(each: Sequence[Losses], times: ndarray, start: int, size: int, tilts: ndarray) -> ndarray:
    """Return the chances of the sum of all losses, at ``start``, ``start`` + 1, … times the spacing."""
    moments = [_log_moment(each, times, tilt) for tilt in tilts]
    loss = (start + np.arange(size)) * each[0].spacing
    change = np.diff(moments) / np.diff(tilts)  # where two neighbouring tilts magnify equally
    which = np.searchsorted(change, loss)
    chance = np.zeros(size)
    for k, tilt in enumerate(tilts):
        here = which == k
        if here.any():
            tilted = _convolve(each, times, start, size, tilt)
            chance[here] = scaled(np.maximum(tilted[here], 0), moments[k] - tilt * loss[here])
    return chance


def _convolve(each: Sequence[Losses], times: ndarray, start: int, size: int, tilt: float) -> ndarray:
    """Return the distribution of the sum of tilted losses, each scaled to a sum of 1."""
    waves = [np.asarray(fft.rfft(_tilted(one, size, tilt))) for one in each]
    with np.errstate(divide="ignore"):
        height = sum(many * np.log(np.abs(wave)) for wave, many in zip(waves, times, strict=True))
    seen = height > _NOTHING  # few, after many steps: the sum is smooth
    product = np.zeros(size // 2 + 1, dtype=complex)
    product[seen] = np.prod([wave[seen] ** many for wave, many in zip(waves, times, strict=True)], axis=0)
    return np.roll(np.asarray(fft.irfft(product, size)), -(start % size))


def _tilted(one: Losses, size: int, tilt: float) -> ndarray:
    """Return tilted chances with a sum of 1, wound around a circle on which loss 0 is at place 0."""
    with np.errstate(divide="ignore"):
        weight = np.log(one.chance) + tilt * one.loss
    place = (one.start + np.arange(len(weight))) % size
    return np.bincount(place, np.exp(weight - log_sum(weight)), minlength=size)


def _beyond(
    each: Sequence[Losses], times: ndarray, ends: ndarray, slopes: tuple[float, float]
) -> tuple[float, float]:
    """Return what gives the record, or its absence, away: in some step, or by a sum beyond the grid.

    A sum beyond an end came back on the other side of the circle: in both worlds it is counted once more.
    """
    left, right = slopes
    over = np.exp(_log_moment(each, times, right) - right * ends[1])
    under = np.exp(_log_moment(each, times, -1 - left) + left * ends[0])
    sure = -np.expm1(sum(times * np.log1p([-one.sure for one in each])))
    sure_not = -np.expm1(sum(times * np.log1p([-one.sure_not for one in each])))
    return float(sure + over + under), float(sure_not + over + under)


def _pair(chance: ndarray, start: int, spacing: float, sure: float, sure_not: float, rounded: float) -> Pair:
    """Hand out few outputs: neighbours are merged as in one step, between losses that are further apart."""
    loss = (start + np.arange(len(chance))) * spacing
    without = scaled(chance, -loss)
    kept = _few(chance, without, -start)
    cell = np.cumsum(np.bincount(kept, minlength=len(chance)))
    cells = [np.bincount(cell, one, minlength=len(kept) + 1) for one in (chance, without)]
    member, _, _ = onto(loss[kept], *cells)
    non_member = scaled(member, -loss[kept])
    return Pair(
        _whole(np.append([sure], np.append(member[::-1], 0)), rounded),
        _whole(np.append([0], np.append(non_member[::-1], sure_not)), rounded),
    )


def _whole(chance: ndarray, rounded: float) -> ndarray:
    """Return chances with a sum of 1, if rounding alone kept them from it; others are left to be refused."""
    total = chance.sum()
    return chance / total if _SUM < abs(total - 1) <= rounded else chance


def _few(chance: ndarray, without: ndarray, zero: int) -> ndarray:
    """Return which losses to keep: 0, and at equal steps of the loss and of its chance in either world."""
    last = len(chance) - 1
    even = np.linspace(0, last, _OUTPUTS // 2).astype(int)
    each = [np.cumsum(one) for one in (chance, without)]
    dense = [np.searchsorted(one, np.linspace(0, one[-1], _OUTPUTS // 4)) for one in each]
    return np.unique(np.clip(np.concatenate([[zero], even, *dense]), 0, last))
