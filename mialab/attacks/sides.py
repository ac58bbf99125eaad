"""What the shadows say of a record with it and without it: how many, around where, how widely.

Attacks that compare with models that did, and did not, see a record need no more of the shadows than
these few sums. When every model of a fleet is the target once, with all the others as its shadows, the
sums of its shadows are those of the fleet less its own share: nothing is summed twice.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.game import Observations

__all__ = ["Others", "log_means", "number_of_shadows", "sides"]

Signals = Float[ndarray, "*models records"]
PerTarget = Float[ndarray, "*models 1"]


@door
@dataclass(frozen=True, eq=False)
class Others:
    """The shadows of every model of a fleet at once: for each model, all the other models.

    Attributes
    ----------
    fleet
        At least two models.
    """

    fleet: Observations

    def __post_init__(self):
        _check.at_least("the number of models", len(self.fleet), 2)


Shadows = Observations | Others


@dataclass(frozen=True, eq=False)
class Side:
    """The shadows on one side of every record.

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


@door
def sides(target: Signals, shadows: Shadows) -> tuple[Side, Side]:
    """Sum up the shadows that hold each record, and those that do not.

    Parameters
    ----------
    target
        The target's signals (records,); or, with `Others`, every target's (models, records).
    shadows
        The attacker's own models; or, with `Others`, all the other models of the fleet.

    Returns
    -------
    The sides with and without the record, each of the shape of ``target``.

    Raises
    ------
    ValueError
        If the target does not fit the shadows, or a signal of it is not finite.

    Examples
    --------
    >>> shadows = Observations(np.array([[1.0], [3.0], [0.0]]), np.array([[True], [True], [False]]))
    >>> inside, outside = sides(np.array([2.0]), shadows)
    >>> inside.mean, inside.scatter, outside.mean, outside.count
    (array([2.]), array([2.]), array([0.]), array([1.]))
    """
    check_target(target, shadows)
    if isinstance(shadows, Others):
        fleet = shadows.fleet
        return _less_each(fleet.signal, fleet.member), _less_each(fleet.signal, ~fleet.member)
    return _side(shadows.signal, shadows.member), _side(shadows.signal, ~shadows.member)


@door
def number_of_shadows(shadows: Shadows) -> int:
    """Return how many models the attacker owns."""
    return len(shadows.fleet) - 1 if isinstance(shadows, Others) else len(shadows)


def check_target(target: Signals, shadows: Shadows) -> None:
    """Refuse a target that does not fit its shadows, and signals without a finite square."""
    if isinstance(shadows, Others):
        _check.same_shape("target", target, "shadows.fleet.signal", shadows.fleet.signal)
    else:
        _check.dimensions("target", target, "records")
        if target.shape[-1] != shadows.signal.shape[1]:
            sizes = f"{target.shape[-1]} and {shadows.signal.shape[1]}"
            _check.refuse("target and shadows", "have the same number of records", sizes)
    _check.squares("target", target)
    owned = shadows.fleet if isinstance(shadows, Others) else shadows
    _check.squares("shadows.signal", owned.signal)


def _side(signal: ndarray, chosen: ndarray) -> Side:
    """Sum up the chosen models of every record, from the largest on: equal signals scatter by exactly 0."""
    count = chosen.sum(axis=0).astype(float)
    top = np.max(signal, axis=0, where=chosen, initial=-np.inf)
    below = np.where(chosen, signal - np.where(count > 0, top, 0), 0)
    mean = _ratio(below.sum(axis=0), count)
    distance = np.where(chosen, below - mean, 0)
    return Side(count, np.where(count > 0, top + mean, np.nan), np.sum(distance**2, axis=0))


def _less_each(signal: ndarray, chosen: ndarray) -> Side:
    """Sum up the chosen models of every record, once for each model that is left out.

    With n chosen models, mean m and scatter S, leaving out one at distance d from m leaves the mean
    m − d/(n − 1) and the scatter S − d²·n/(n − 1). Where that difference cancels most digits, as where
    one model lies far from all others, the few scatters concerned are summed afresh.
    """
    whole = _side(signal, chosen)
    count = whole.count - chosen
    distance = np.where(chosen, signal - np.where(whole.count > 0, whole.mean, 0), 0)
    mean = np.where(count > 0, whole.mean - _ratio(distance, count, 0), np.nan)
    scatter = whole.scatter - distance**2 * (1 + _ratio(1, count, 0))
    cancelled = (scatter < 1e-4 * whole.scatter) & (count >= 2)
    for model, record in np.argwhere(cancelled):
        rest = chosen[:, [record]].copy()
        rest[model] = False
        scatter[model, record] = _side(signal[:, [record]], rest).scatter[0]
    return Side(count, mean, np.where(count >= 2, scatter, 0))


@door
def log_means(target: Signals, shadows: Shadows) -> tuple[Signals, Signals]:
    """Return the logarithms of the mean of exp(signal), with and without the record.

    For signals that are logarithms of probabilities, so that even probabilities too small for a float
    are averaged. NaN where a record has no shadow on the side.

    Examples
    --------
    >>> shadows = Observations(np.log([[0.9], [0.5], [0.1]]), np.array([[True], [True], [False]]))
    >>> np.exp(log_means(np.array([0.0]), shadows)).round(3)
    array([[0.7],
           [0.1]])
    """
    check_target(target, shadows)
    if isinstance(shadows, Others):
        signal, member = shadows.fleet.signal, shadows.fleet.member
        return _log_mean_less_each(signal, member), _log_mean_less_each(signal, ~member)
    signal, member = shadows.signal, shadows.member
    return _log_mean(signal, member), _log_mean(signal, ~member)


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
    largest = held.argmax(axis=0)
    top = np.where(chosen.any(axis=0), held.max(axis=0), 0)
    share = np.exp(held - top)
    rest, count = share.sum(axis=0) - share, chosen.sum(axis=0) - chosen
    result = np.full(signal.shape, np.nan)
    np.log(_ratio(rest, count), where=(count > 0) & (rest > 0), out=result)
    result += top
    columns = np.arange(signal.shape[1])
    others = chosen.copy()
    others[largest, columns] = False
    result[largest, columns] = _log_mean(signal, others)
    return result


def _ratio(above: ndarray | int, below: ndarray, nothing: float = np.nan) -> ndarray:
    """Divide, with ``nothing`` where there is nothing to divide by."""
    result = np.full(np.broadcast_shapes(np.shape(above), below.shape), float(nothing))
    return np.divide(above, below, where=below > 0, out=result)
