"""A promise, with everything it depends on."""

from dataclasses import dataclass
from enum import StrEnum

from mialab import _check
from mialab._round import digits_up, up
from mialab._types import Finer
from mialab._validation import door


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

    Raises
    ------
    ValueError
        If a number is out of its range, or ``neighbours`` is not one of the two.

    Examples
    --------
    >>> print(Guarantee(1.0, 0.0, Neighbours.ADD_REMOVE))
    ε ≤ 1 at δ = 0 (proved, add-remove)
    """

    epsilon: Finer
    delta: Finer
    neighbours: Neighbours

    def __post_init__(self):
        _check.not_negative("epsilon", self.epsilon)
        _check.probability("delta", self.delta)
        for name in ("epsilon", "delta"):
            object.__setattr__(self, name, up(getattr(self, name)))

    def __str__(self) -> str:
        """Print both numbers rounded upward: a bound on paper holds as well."""
        epsilon, delta = digits_up(self.epsilon), digits_up(self.delta)
        return f"ε ≤ {epsilon} at δ = {delta} (proved, {self.neighbours})"
