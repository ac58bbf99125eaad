"""The privacy loss accountant: every output's loss is kept, and nothing is given away but the grid.

The loss of an output is the logarithm of its likelihood ratio, with the record against without. Losses of
independent steps add up, so their distribution is a convolution, which a Fourier transform makes a power
(Koskela, Jälkö & Honkela 2020). Three things keep it on the safe side and true in the far tail:

* the grid only makes outputs more telling (`_discretize`);
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
from mialab.accounting._discretize import Plan, PrivacyLossDistribution, discretize, onto, plan, scaled
from mialab.accounting.guarantee import Guarantee, Neighbours
from mialab.accounting.steps import SampledGaussian, Steps, read, unit_of
from mialab.tradeoff import DominatingPair, epsilon_at
from mialab.tradeoff.convert import allowed
from mialab.tradeoff.pair import SUM

_OUTPUTS = 2**14  # of the curve that is handed out
_LARGEST = 700  # loss: e^−709 is the smallest float that has all its digits
_FAINT = 1e-11  # sampling rate over noise, below which a step's losses are lost in rounding
_MOST_STEPS = 10**9
_A_STEP = 1e-14  # share of any chance that the rounding of one step may hide
_NOTHING_TO_PLAN = Plan(1.0, (0.0, 0.0), (1.0, 1.0), np.zeros(1))
_NOTHING = -50.0  # logarithm of a frequency's height that a float does not see beside 1


@door
def curve(*phases: Steps) -> DominatingPair:
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
    told, look = _planned(phases)
    if not look.largest <= _LARGEST:
        got = f"{look.largest:.0f}: there is too little noise"
        _check.refuse("privacy losses", f"be at most {_LARGEST}", got)
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
    unit, both = unit_of(phases), curve(*phases)
    epsilon = _epsilon(both, phases, delta)
    if not np.isfinite(epsilon):
        beyond = max(both.member[0], both.non_member[-1])
        _check.refuse("delta", f"be above what lies beyond the grid, {beyond:.1e}", delta)
    return Guarantee(epsilon, delta, Neighbours.ADD_REMOVE, unit)


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
    told, look = _planned(phases)
    return _epsilon(_curve(told, look), told, delta) if look.largest <= _LARGEST else np.inf


def _planned(phases: Sequence[Steps]) -> tuple[list[SampledGaussian], Plan]:
    """Return the phases and a plan; what tells less than floats can see is made to tell as much as they see.

    More sampling is never harder to tell apart, nor is less noise: the rest is post-processing.
    """
    exact = read(phases)
    if (total := sum(step.steps for step in exact)) > _MOST_STEPS:
        _check.refuse("steps", f"sum to at most {_MOST_STEPS:.0e}, beyond which rounding counts", total)
    told = []
    for step in exact:
        noise = min(step.noise_multiplier, 1 / _FAINT)
        told.append(SampledGaussian(noise, min(max(step.sampling_rate, _FAINT * noise), 1.0), step.steps))
    return told, plan(told) if told else _NOTHING_TO_PLAN


def _curve(phases: Sequence[SampledGaussian], look: Plan) -> DominatingPair:
    if not phases:
        return DominatingPair(np.ones(1), np.ones(1))
    each = [discretize(step, look.spacing, look.ends) for step in phases]
    times = np.array([step.steps for step in phases])
    return _few_outputs(_compose(each, times, look), _rounded(phases))


def _rounded(phases: Sequence[Steps]) -> float:
    """Return the share by which rounding may have made any chance too small."""
    return _A_STEP * sum(int(step.steps) for step in phases)


def _epsilon(both: DominatingPair, phases: Sequence[Steps], delta: float) -> float:
    sharp = float(delta) * (1 - _rounded(phases))
    epsilon, swapped = epsilon_at(both, sharp), both.swapped()
    if swapped.delta(epsilon) > allowed(swapped, sharp):  # seldom: removing tells more
        epsilon = epsilon_at(swapped, sharp)
    return epsilon


def _compose(each: Sequence[PrivacyLossDistribution], times: ndarray, look: Plan) -> PrivacyLossDistribution:
    """Return the distribution of the sum of all losses, on the plan's grid.

    What gives the record, or its absence, away does so in some step, or by a sum beyond the grid. A sum
    beyond an end came back on the other side of the circle: in both worlds it is counted once more.
    """
    start = int(np.floor(look.ends[0] / look.spacing))
    least = int(np.ceil(look.ends[1] / look.spacing)) - start + 1
    size = int(fft.next_fast_len(least, real=True))  # type: ignore[arg-type]
    chance = _sum_of_losses(each, times, start, size, look.tilts)
    low, high = look.spacing * (start - 1), look.spacing * (start + size)
    left, right = look.slopes
    over = np.exp(times @ [one.log_moment(right) for one in each] - right * high)
    under = np.exp(times @ [one.log_moment(-1 - left) for one in each] + left * low)
    sure, sure_not = (
        float(-np.expm1(times @ np.log1p(-np.array(given_away))) + over + under)
        for given_away in ([one.sure for one in each], [one.sure_not for one in each])
    )
    return PrivacyLossDistribution(chance, start, look.spacing, sure, sure_not)


def _sum_of_losses(
    each: Sequence[PrivacyLossDistribution], times: ndarray, start: int, size: int, tilts: ndarray
) -> ndarray:
    """Return the chances of the sum of all losses, at ``start``, ``start`` + 1, … times the spacing."""
    log_moments = [[one.log_moment(tilt) for one in each] for tilt in tilts]
    moments = np.array(log_moments) @ times
    loss = (start + np.arange(size)) * each[0].spacing
    change = np.diff(moments) / np.diff(tilts)  # where two neighbouring tilts magnify equally
    which = np.searchsorted(change, loss)
    chance = np.zeros(size)
    for k, tilt in enumerate(tilts):
        here = which == k
        if here.any():
            waves = [_wave(*of, size, tilt) for of in zip(each, log_moments[k], strict=True)]
            tilted = np.roll(_convolve(waves, times, size), -(start % size))
            chance[here] = scaled(np.maximum(tilted[here], 0), moments[k] - tilt * loss[here])
    return chance


def _wave(one: PrivacyLossDistribution, log_moment: float, size: int, tilt: float) -> ndarray:
    """Return the Fourier transform of tilted chances with a sum of 1, on a circle where loss 0 is place 0."""
    weight = np.exp(one.log_chance + tilt * one.loss - log_moment)
    place = (one.start + np.arange(len(weight))) % size
    return np.asarray(fft.rfft(np.bincount(place, weight, minlength=size)))


def _convolve(waves: Sequence[ndarray], times: ndarray, size: int) -> ndarray:
    """Return the distribution of a sum on the circle, from the transforms of its terms."""
    with np.errstate(divide="ignore"):
        height = sum(many * np.log(np.abs(wave)) for wave, many in zip(waves, times, strict=True))
    seen = height > _NOTHING  # few, after many steps: the sum is smooth
    product = np.zeros(size // 2 + 1, dtype=complex)
    product[seen] = np.prod([wave[seen] ** many for wave, many in zip(waves, times, strict=True)], axis=0)
    return np.asarray(fft.irfft(product, size))


def _few_outputs(whole: PrivacyLossDistribution, rounded: float) -> DominatingPair:
    """Hand out few outputs: neighbours are merged as in one step, between losses that are further apart.

    They are 0, and losses at equal steps of the loss and of its chance in either world.
    """
    chances, last = (whole.chance, np.exp(whole.log_chance - whole.loss)), len(whole.chance) - 1
    even = np.linspace(0, last, _OUTPUTS // 2).astype(int)
    sums = [np.cumsum(chance) for chance in chances]
    dense = [np.searchsorted(up_to, np.linspace(0, up_to[-1], _OUTPUTS // 4)) for up_to in sums]
    kept = np.unique(np.clip(np.concatenate([[-whole.start], even, *dense]), 0, last))
    cell = np.cumsum(np.bincount(kept, minlength=len(whole.chance)))
    cells = [np.bincount(cell, chance, minlength=len(kept) + 1) for chance in chances]
    member, _, _ = onto(whole.loss[kept], *cells)
    non_member = scaled(member, -whole.loss[kept])
    return DominatingPair(
        _whole(np.concatenate([[whole.sure], member[::-1], [0]]), rounded),
        _whole(np.concatenate([[0], non_member[::-1], [whole.sure_not]]), rounded),
    )


def _whole(chance: ndarray, rounded: float) -> ndarray:
    """Return chances with a sum of 1, if rounding alone kept them from it; others are left to be refused."""
    total = chance.sum()
    return chance / total if SUM < abs(total - 1) <= rounded else chance
