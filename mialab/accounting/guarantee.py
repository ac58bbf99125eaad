"""A promise, with everything it depends on."""

from dataclasses import dataclass
from enum import StrEnum

from mialab import _check
from mialab._round import digits_up, up
from mialab._types import Finer
from mialab._validation import door

_LONGEST = 30  # characters of a unit


class Neighbours(StrEnum):
    """Which two data sets the promise compares, in the words that the command takes.

    Examples
    --------
    >>> Neighbours("replace-one") is Neighbours.REPLACE, str(Neighbours.ADD_REMOVE)
    (True, 'add-remove')
    """

    ADD_REMOVE = "add-remove"
    """One of them has exactly one record more than the other; the number of records is secret."""
    REPLACE = "replace-one"
    """Both have the same number of records, which is public, and differ in one."""


@door
@dataclass(frozen=True)
class Guarantee:
    """An upper bound that was proved: (ε, δ)-differential privacy.

    For any two neighbours D, D′ and every set S of outputs, P[M(D) ∈ S] ≤ e^ε · P[M(D′) ∈ S] + δ
    (Dwork & Roth 2014, Definition 2.4).

    Attributes
    ----------
    epsilon
        At least 0, finite: a mechanism without a finite ε makes no promise.
    delta
        In [0, 1].
    neighbours
        Which data sets are compared. Two guarantees with different neighbours cannot be compared.
    unit
        In how much of the data they differ: a "record", or all that belongs to a "client", a "user-day", a
        "person". A short word; two guarantees with different units cannot be compared either.

    Raises
    ------
    ValueError
        If a number is out of its range, ``neighbours`` is not one of the two, or ``unit`` is not a word of at
        most 30 characters.

    Examples
    --------
    >>> print(Guarantee(1.0, 0.0, Neighbours.ADD_REMOVE))
    ε ≤ 1 at δ = 0 (proved, add-remove)
    >>> print(Guarantee(1.0, 0.0, Neighbours.ADD_REMOVE, unit="client"))
    ε ≤ 1 at δ = 0 (proved, add-remove one client)
    """

    epsilon: Finer
    delta: Finer
    neighbours: Neighbours
    unit: str = "record"

    def __post_init__(self):
        _check.not_negative("epsilon", self.epsilon)
        _check.probability("delta", self.delta)
        for name in ("epsilon", "delta"):
            object.__setattr__(self, name, up(getattr(self, name)))
        check_unit(self.unit)

    def __str__(self) -> str:
        """Print both numbers rounded upward: a bound on paper holds as well."""
        epsilon, delta = digits_up(self.epsilon), digits_up(self.delta)
        between = " " if self.neighbours == Neighbours.REPLACE else " one "
        differ_in = "" if self.unit == "record" else between + self.unit
        return f"ε ≤ {epsilon} at δ = {delta} (proved, {self.neighbours}{differ_in})"


def check_unit(unit: str) -> None:
    """Refuse what is no short word."""
    if not (unit.isprintable() and 0 < len(unit.strip()) == len(unit) <= _LONGEST):
        _check.refuse("unit", f"be a word of 1 to {_LONGEST} characters", repr(unit))
