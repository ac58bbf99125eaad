"""What stands in where a record has too few shadows: the other records.

Three stated rules, each an average over the records that do have enough shadows. Where no record has, the
error names a record that would need it.
"""

import numpy as np

from mialab import _check
from mialab.attacks.sides import PerTarget, Side, Signals

__all__: list[str] = []  # for the other attacks alone


def fill_either(inside: Signals, outside: Signals) -> tuple[Signals, Signals]:
    """Fill a record's missing mean with its mean on the other side, moved by the average difference.

    Parameters
    ----------
    inside, outside
        Means with and without each record; NaN where there is no shadow on that side.

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
    mean = mean_over(gap, known)
    return (
        np.where(np.isnan(inside), outside + mean, inside),
        np.where(np.isnan(outside), inside - mean, outside),
    )


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


def pooled_variance(side: Side) -> PerTarget:
    """Return the variance between shadows on one side of a record, averaged over records.

    The sum of all scatters over the sum of their degrees of freedom: what is different between records
    plays no part.

    Raises
    ------
    ValueError
        If no record has two shadows on this side whose signals differ.

    Examples
    --------
    >>> pooled_variance(Side(np.array([2.0, 3.0]), np.zeros(2), np.array([1.0, 5.0])))
    array([2.])
    """
    refuse_without(side.scatter > 0, "have two models whose signals differ on the same side of some record")
    return side.scatter.sum(axis=-1, keepdims=True) / side.freedom.sum(axis=-1, keepdims=True)


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
