"""What the shadows say of a record: how many hold it, around where their signals lie, and how widely.

Attacks that compare with models that did, and did not, see a record need no more of the shadows than these
few sums. `leave_one_out` makes every model of a fleet the target once, with all the others as its shadows:
the sums of its shadows are those of the fleet less its own share, so nothing is summed twice.

Where a record has too few shadows, the other records stand in for it, by one of three rules: `fill_either`,
`average_record` and `ShadowStats.pooled_variance`, each an average over the records that do have enough.
Where no record has, the error names a record that would need it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._design import warn_unless_coins
from mialab._validation import door
from mialab.game import Observations

__all__ = ["LeaveOneOut", "leave_one_out", "log_means", "shadow_stats"]

Signals = Float[ndarray, "*models records"]
PerTarget = Float[ndarray, "*models 1"]


@door
@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """The shadows of every model of a fleet at once: for each model, all the other models.

    Attributes
    ----------
    fleet
        At least two models.

    Examples
    --------
    >>> fleet = Observations(np.zeros((3, 2)), np.array([[True, False], [False, True], [True, True]]))
    >>> len(LeaveOneOut(fleet))
    2
    """

    fleet: Observations

    def __post_init__(self):
        _check.at_least("the number of models", len(self.fleet), 2)

    def __len__(self) -> int:
        """Return how many shadows each model has."""
        return len(self.fleet) - 1


Shadows = Observations | LeaveOneOut


@door
def leave_one_out(attack: Callable[[Signals, LeaveOneOut], Signals], *fleets: Observations) -> Observations:
    """Score every record for every model of a fleet, with all the other models as its shadows.

    The same scores as `Observations.leave_one_out`, which calls the attack once for each model; this calls
    it once, with `LeaveOneOut`, so it takes attacks that know it: those of `lira`, `rmia` and `few_shadows`,
    and `threshold.calibrated`. Hundreds of models on tens of thousands of records take seconds. Where
    membership is not like coins, it warns as that does.

    Parameters
    ----------
    attack
        A function (target, shadows) → score. Give it options with `functools.partial`.
    fleets
        One fleet; or one for each of several queries of the same models about the same records, such
        as shifted copies of an image. Scores are then averaged over the queries, as the reference code
        of Carlini et al. 2022 does: for logarithms of likelihoods, that takes queries for independent.

    Returns
    -------
    The scores (models, records) in the place of the signals, beside the same membership.

    Raises
    ------
    ValueError
        If there is no fleet, or the fleets differ in shape or membership.

    Examples
    --------
    >>> from mialab.attacks import threshold
    >>> fleet = Observations(np.array([[3.0], [1.0], [0.0]]), np.array([[True], [False], [False]]))
    >>> leave_one_out(threshold.calibrated, fleet).signal
    array([[ 2.5],
           [ 1. ],
           [-1. ]])
    """
    _check.at_least("the number of fleets", len(fleets), 1)
    for fleet in fleets[1:]:
        if not np.array_equal(fleet.member, fleets[0].member):
            _check.refuse("fleets", "have the same membership", "another one")
    warn_unless_coins(fleets[0].member)
    scores = [attack(fleet.signal, LeaveOneOut(fleet)) for fleet in fleets]
    mean = np.mean(scores, axis=0) if len(scores) > 1 else scores[0]
    return Observations(mean, fleets[0].member)


@dataclass(frozen=True, eq=False)
class ShadowStats:
    """The shadows that hold each record, or those that do not.

    Attributes
    ----------
    count
        How many there are.
    mean
        Their mean signal; NaN where there are none.
    scatter
        The sum of the squares of their distances from it; 0 where there are fewer than two.
    """

    count: Signals
    mean: Signals
    scatter: Signals

    @cached_property
    def freedom(self) -> Signals:
        """Degrees of freedom of the scatter: one less than there are shadows, and never below 0."""
        return np.maximum(self.count - 1, 0)

    @property
    def pooled_variance(self) -> PerTarget:
        """The variance between the shadows of a record, averaged over records.

        The sum of all scatters over the sum of their degrees of freedom: what is different between records
        plays no part. Refuses shadows of which no record has two whose signals differ.

        Examples
        --------
        >>> ShadowStats(np.array([2.0, 3.0]), np.zeros(2), np.array([1.0, 5.0])).pooled_variance
        array([2.])
        """
        rule = "have two models whose signals differ on the same side of some record"
        refuse_without(self.scatter > 0, rule)
        return self.scatter.sum(axis=-1, keepdims=True) / self.freedom.sum(axis=-1, keepdims=True)

    def variance(self, *, pooled: bool = False) -> Signals:
        """Return the variance of each record; the pooled one if asked for, or where it is unknown or 0."""
        if pooled:
            return np.broadcast_to(self.pooled_variance, self.mean.shape)
        own = self.scatter / np.maximum(self.freedom, 1)
        return np.where(own > 0, own, self.pooled_variance) if (own == 0).any() else own


@door
def shadow_stats(target: Signals, shadows: Shadows) -> tuple[ShadowStats, ShadowStats]:
    """Sum up the shadows that hold each record, and those that do not.

    Parameters
    ----------
    target
        The target's signals (records,); or, with `LeaveOneOut`, every target's (models, records).
    shadows
        The attacker's own models; or, with `LeaveOneOut`, all the other models of the fleet.

    Returns
    -------
    The shadows with and without the record, each of the shape of ``target``.

    Raises
    ------
    ValueError
        If the target does not fit the shadows, or the square of a signal is not finite.

    Examples
    --------
    >>> shadows = Observations(np.array([[1.0], [3.0], [0.0]]), np.array([[True], [True], [False]]))
    >>> inside, outside = shadow_stats(np.array([2.0]), shadows)
    >>> inside.mean, inside.scatter, outside.mean, outside.count
    (array([2.]), array([2.]), array([0.]), array([1.]))
    """
    return _in_and_out(target, shadows, _stats, _stats_less_each)


@door
def log_means(target: Signals, shadows: Shadows) -> tuple[Signals, Signals]:
    """Return the logarithms of the mean of exp(signal), with and without the record.

    For signals that are logarithms of probabilities, so that even probabilities too small for a float
    are averaged. NaN where no shadow holds the record, or none is without it.

    Examples
    --------
    >>> shadows = Observations(np.log([[0.9], [0.5], [0.1]]), np.array([[True], [True], [False]]))
    >>> np.exp(log_means(np.array([0.0]), shadows)).round(3)
    array([[0.7],
           [0.1]])
    """
    return _in_and_out(target, shadows, _log_mean, _log_mean_less_each)


def _in_and_out(target: Signals, shadows: Shadows, plain: Callable, less_each: Callable) -> tuple[Any, Any]:
    """Refuse a target that does not fit its shadows; summarise those with each record, and those without."""
    if isinstance(shadows, LeaveOneOut):
        shadows, summarise = shadows.fleet, less_each
        _check.same_shape("target", target, "shadows.fleet.signal", shadows.signal)
    else:
        summarise = plain
        _check.dimensions("target", target, "records")
        sizes = target.size, shadows.signal.shape[1]
        if sizes[0] != sizes[1]:
            rule = "have the same number of records"
            _check.refuse("target and shadows", rule, f"{sizes[0]} and {sizes[1]}")
    if target is not shadows.signal:  # as it is in `leave_one_out`
        _check.squares("target", target)
    _check.squares("shadows.signal", shadows.signal)
    return summarise(shadows.signal, shadows.member), summarise(shadows.signal, ~shadows.member)


def _stats(signal: ndarray, chosen: ndarray) -> ShadowStats:
    """Sum up the chosen models of every record, from the largest on: equal signals scatter by exactly 0."""
    count = chosen.sum(axis=0).astype(float)
    top = np.max(signal, axis=0, where=chosen, initial=-np.inf)
    below = np.where(chosen, signal - np.where(count > 0, top, 0), 0)
    mean = _ratio(below.sum(axis=0), count)
    distance = np.where(chosen, below - mean, 0)
    return ShadowStats(count, np.where(count > 0, top + mean, np.nan), np.sum(distance**2, axis=0))


def _stats_less_each(signal: ndarray, chosen: ndarray) -> ShadowStats:
    """Sum up the chosen models of every record, once for each model that is left out.

    With n chosen models, mean m and scatter S, leaving out one at distance d from m leaves the mean
    m − d/(n − 1) and the scatter S − d²·n/(n − 1). Where that difference cancels most digits, as where
    one model lies far from all others, the few scatters concerned are summed afresh.
    """
    whole = _stats(signal, chosen)
    count = whole.count - chosen
    distance = np.where(chosen, signal - np.where(whole.count > 0, whole.mean, 0), 0)
    mean = np.where(count > 0, whole.mean - _ratio(distance, count, 0), np.nan)
    scatter = whole.scatter - distance**2 * (1 + _ratio(1, count, 0))
    cancelled = (scatter < 1e-4 * whole.scatter) & (count >= 2)
    for model, record in np.argwhere(cancelled):
        rest = chosen[:, [record]].copy()
        rest[model] = False
        scatter[model, record] = _stats(signal[:, [record]], rest).scatter[0]
    return ShadowStats(count, mean, np.where(count >= 2, scatter, 0))


def _log_mean(signal: ndarray, chosen: ndarray) -> ndarray:
    """Average exp(signal) over the chosen models of every record."""
    top = np.max(signal, axis=0, where=chosen, initial=-np.inf)
    count = chosen.sum(axis=0)
    total = np.exp(np.where(chosen, signal - np.where(count > 0, top, 0), -np.inf)).sum(axis=0)
    return top + np.log(_ratio(total, count))


def _log_mean_less_each(signal: ndarray, chosen: ndarray) -> ndarray:
    """Average exp(signal) over the chosen models of every record, once for each that is left out.

    The largest term of a record is subtracted from no sum: its row is averaged over the others.
    """
    held = np.where(chosen, signal, -np.inf)
    largest, columns = held.argmax(axis=0), np.arange(signal.shape[1])
    top = np.where(chosen.any(axis=0), held[largest, columns], 0)
    share = np.exp(held - top)
    rest, count = share.sum(axis=0) - share, chosen.sum(axis=0) - chosen
    result = np.full(signal.shape, np.nan)
    np.log(_ratio(rest, count), where=(count > 0) & (rest > 0), out=result)
    result += top
    others = chosen.copy()
    others[largest, columns] = False
    result[largest, columns] = _log_mean(signal, others)
    return result


def _ratio(above: ndarray | int, below: ndarray, nothing: float = np.nan) -> ndarray:
    """Divide, with ``nothing`` where there is nothing to divide by."""
    result = np.full(np.broadcast_shapes(np.shape(above), below.shape), float(nothing))
    return np.divide(above, below, where=below > 0, out=result)


def fill_either(inside: Signals, outside: Signals) -> tuple[Signals, Signals]:
    """Fill a record's missing mean with the one on the other side, moved by the average difference.

    Parameters
    ----------
    inside, outside
        Means with and without each record; NaN where there is no such shadow.

    Raises
    ------
    ValueError
        If something is missing and no record has both.

    Examples
    --------
    >>> fill_either(np.array([3.0, np.nan]), np.array([1.0, 5.0]))
    (array([3., 7.]), array([1., 5.]))
    """
    gap = inside - outside
    known = ~np.isnan(gap)
    refuse_without(known, "hold some record in one model and not in another")
    gap = mean_over(gap, known)
    filled = np.where(np.isnan(inside), outside + gap, inside)
    return filled, np.where(np.isnan(outside), inside - gap, outside)


def average_record(outside: Signals) -> tuple[PerTarget, PerTarget]:
    """Return the mean and the variance, over records, of their means without them.

    Parameters
    ----------
    outside
        Means (records,) or (models, records) without each record; NaN where there is no such shadow.

    Raises
    ------
    ValueError
        If no record has such a shadow.

    Examples
    --------
    >>> average_record(np.array([1.0, 3.0, np.nan]))
    (array([2.]), array([2.]))
    """
    known = ~np.isnan(outside)
    refuse_without(known, "include a model without some record")
    mean = mean_over(outside, known)
    square = np.sum((outside - mean) ** 2, axis=-1, keepdims=True, where=known)
    return mean, square / np.maximum(known.sum(axis=-1, keepdims=True) - 1, 1)


def mean_over(values: Signals, known: np.ndarray) -> PerTarget:
    """Return the mean over the records that are known, with the records' axis kept.

    Examples
    --------
    >>> mean_over(np.array([1.0, 3.0, 9.0]), np.array([True, True, False]))
    array([2.])
    """
    return np.mean(values, axis=-1, keepdims=True, where=known)


def refuse_without(known: np.ndarray, rule: str) -> None:
    """Refuse shadows that leave some target without a single record that is known, and name the first.

    Raises
    ------
    ValueError
        With the rule that shadows must follow.
    """
    stuck = ~known & ~known.any(axis=-1, keepdims=True)
    if stuck.any():
        record = int(np.argwhere(stuck)[0][-1])
        _check.refuse("shadows", rule, f"none to stand in for record {record}")
