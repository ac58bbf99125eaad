"""What becomes of guarantees when there are many releases, or many records.

Sums are exact and the rest is computed to 60 digits; then the last step rounds upward.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction

from mialab import _check
from mialab._round import up
from mialab._validation import door
from mialab.accounting.guarantee import Guarantee, Neighbours

_DIGITS = 60
_MOST = 700  # e^ε is then a float


@door
def basic(*guarantees: Guarantee) -> Guarantee:
    """Return what several releases about the same records promise together: ε and δ add up.

    Dwork & Roth 2014, Theorem 3.16; it holds too where a later mechanism is chosen after seeing the
    earlier answers.

    Raises
    ------
    ValueError
        If there is none, or their neighbours or units differ.

    Examples
    --------
    >>> print(basic(*10 * [Guarantee(0.1, 0.0, Neighbours.REPLACE)]))
    ε ≤ 1.00001 at δ = 0 (proved, replace-one)

    (Ten times the float 0.1 is a little more than 1, and the bound says so.)
    """
    _check_alike(guarantees)
    epsilon = sum(Fraction(each.epsilon) for each in guarantees)
    delta = min(sum(Fraction(each.delta) for each in guarantees), 1)
    return replace(guarantees[0], epsilon=up(epsilon), delta=up(delta))


@door
def advanced(guarantee: Guarantee, times: int, *, slack: float) -> Guarantee:
    """Return what ``times`` releases promise together, for an additional δ of ``slack``.

    ε′ = ε·√(2k·ln(1/slack)) + k·ε·(e^ε − 1), δ′ = k·δ + slack (Dwork & Roth 2014, Theorem 3.20). For few
    releases this is worse than `basic`; both hold.

    Parameters
    ----------
    guarantee
        Of each release.
    times
        How many, at least 1.
    slack
        In (0, 1): the δ that is paid for the smaller ε.

    Raises
    ------
    ValueError
        If ``times`` is below 1, ``slack`` is not in (0, 1), or ε is above 700.

    Examples
    --------
    >>> print(advanced(Guarantee(0.1, 0.0, Neighbours.REPLACE), 100, slack=1e-6))
    ε ≤ 6.30824 at δ = 1e-06 (proved, replace-one)
    """
    _check.at_least("times", times, 1)
    _check.probability("slack", slack, open_ends=True)
    if guarantee.epsilon > _MOST:
        _check.refuse("guarantee", f"have an ε of at most {_MOST}", guarantee)
    with localcontext(prec=_DIGITS):
        one, k = Decimal(guarantee.epsilon), Decimal(times)
        epsilon = one * (2 * k * -Decimal(slack).ln()).sqrt() + k * one * (one.exp() - 1)
    delta = min(times * Fraction(guarantee.delta) + Fraction(slack), Fraction(1))
    return replace(guarantee, epsilon=up(epsilon), delta=up(delta))


@door
def group(guarantee: Guarantee, size: int) -> Guarantee:
    """Return what is promised to ``size`` records that change together, such as a family.

    (k·ε, δ·(1 + e^ε + … + e^((k−1)ε))): walk from one data set to the other in k steps, and apply
    the definition at each (Vadhan 2017, §2).

    Raises
    ------
    ValueError
        If ``size`` is below 1.

    Examples
    --------
    >>> print(group(Guarantee(1.0, 1e-6, Neighbours.ADD_REMOVE), 3))
    ε ≤ 3 at δ = 1.11074e-05 (proved, add-remove)
    """
    _check.count("size", size, 1)
    epsilon = up(Fraction(guarantee.epsilon) * size)
    return replace(guarantee, epsilon=epsilon, delta=_group_delta(guarantee, size))


@door
def replace_one(guarantee: Guarantee) -> Guarantee:
    """Return what "add-remove" promises where one record is replaced: two steps, twice the ε.

    Raises
    ------
    ValueError
        If the guarantee is not about adding or removing a record. There is no way back: a promise for
        data sets of one size says nothing about data sets of two sizes.

    Examples
    --------
    >>> print(replace_one(Guarantee(1.0, 0.0, Neighbours.ADD_REMOVE)))
    ε ≤ 2 at δ = 0 (proved, replace-one)
    """
    if guarantee.neighbours != Neighbours.ADD_REMOVE:
        _check.refuse("guarantee", f"be for {Neighbours.ADD_REMOVE}", guarantee)
    return replace(group(guarantee, 2), neighbours=Neighbours.REPLACE)


@door
def parallel(*guarantees: Guarantee, fixed_parts: bool = False) -> Guarantee:
    """Return what releases about disjoint parts of the data promise together: the weakest of them.

    McSherry 2009. If one record is *replaced* and its own content decides which part it is
    in, it can leave one part and enter another: two parts change, and both change their size. So
    "replace one" is accepted only for parts that were fixed without looking at the records.

    Raises
    ------
    ValueError
        If there is none, their neighbours or units differ, or records may be replaced and the parts are not
        fixed.

    Examples
    --------
    >>> north, south = (Guarantee(epsilon, 0.0, Neighbours.ADD_REMOVE) for epsilon in (0.5, 2.0))
    >>> print(parallel(north, south))
    ε ≤ 2 at δ = 0 (proved, add-remove)
    """
    _check_alike(guarantees)
    if guarantees[0].neighbours == Neighbours.REPLACE and not fixed_parts:
        _check.refuse("fixed_parts", f"be True for {Neighbours.REPLACE}", fixed_parts)
    epsilon, delta = (max(getattr(each, name) for each in guarantees) for name in ("epsilon", "delta"))
    return replace(guarantees[0], epsilon=epsilon, delta=delta)


def _group_delta(guarantee: Guarantee, size: int) -> float:
    """Return δ·(1 + e^ε + … + e^((size−1)ε)), at most 1, rounded upward."""
    if guarantee.delta == 0 or size == 1:
        return guarantee.delta
    if guarantee.epsilon * (size - 1) > 750:  # e^750 times the smallest float is above 1
        return 1.0
    with localcontext(prec=_DIGITS):
        one = Decimal(guarantee.epsilon)
        series = (
            ((size * one).exp() - 1) / (one.exp() - 1) if one > Decimal("1e-20") else size * one.exp() ** size
        )
        return up(min(Decimal(guarantee.delta) * series, Decimal(1)))


def _check_alike(guarantees: Sequence[Guarantee]) -> None:
    """Refuse guarantees about different things."""
    _check.at_least("number of guarantees", len(guarantees), 1)
    for name in ("neighbours", "unit"):
        if len(kinds := {getattr(each, name) for each in guarantees}) > 1:
            _check.refuse("guarantees", f"have the same {name}", " and ".join(sorted(kinds)))
