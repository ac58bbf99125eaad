"""What an audit proved, with everything that it depends on."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from mialab import _check
from mialab._round import decimals_down, digits_down
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.evidence import Evidence, of_counts, unfair
from mialab.game import Counts, Design

_LARGEST_ERROR = 1 - 1e-6


@door
@dataclass(frozen=True)
class Method:
    """A way to a bound, and the experiments that it is proved for.

    Attributes
    ----------
    name
        As it is printed with the bound.
    proved_for
        How membership may have been decided.

    Examples
    --------
    >>> Method("accuracy", (Design.RUNS,)).admit(Design.UNKNOWN)
    Traceback (most recent call last):
    ...
    ValueError: design must be known, or no bound is possible, got unknown
    """

    name: str
    proved_for: tuple[Design, ...]

    @door
    def admit(self, design: Design) -> None:
        """Refuse a design that this method is not proved for."""
        if design == Design.UNKNOWN:
            _check.refuse("design", "be known, or no bound is possible", design)
        if design not in self.proved_for:
            allowed = " or ".join(self.proved_for)
            _check.refuse("design", f"be {allowed} ({self.name} is proved for nothing else)", design)

    def __str__(self) -> str:
        """Print the name."""
        return self.name


@door
@dataclass(frozen=True)
class AuditResult:
    """A lower bound on ε that an attacker proved.

    With probability at least ``confidence`` over the repetitions of the whole experiment, the mechanism
    is not (ε′, δ)-differentially private for any ε′ below ``epsilon_lower``. A bound of 0 says nothing.

    Attributes
    ----------
    epsilon_lower
        At least 0, finite.
    delta
        In [0, 1): the δ that the bound is for.
    confidence
        In (0, 1).
    method
        Where the bound comes from.
    neighbours
        Which data sets were told apart: the record added or removed, or replaced by another.
    design
        How membership was decided; one that the method is proved for.
    trials
        How many coins, or runs, are behind the bound.
    ceiling
        The most that so many trials could have proved, had every guess been right. Where it is below a
        claimed ε, the audit could not have told.
    evidence
        Which way the evidence ranks members, and what it could have proved at best; None where nobody said.

    Raises
    ------
    ValueError
        If a number is out of its range, the bound is above its reach, the reach above the ceiling, or the
        method is not proved for the design.

    Examples
    --------
    >>> method = Method("Clopper-Pearson, fixed threshold", (Design.RUNS,))
    >>> print(AuditResult(0.9617, 0.0, 0.95, method, Neighbours.REPLACE, Design.RUNS, 1000, 4.9055))
    ε ≥ 0.961 at δ = 0 (95 % confident, Clopper-Pearson, fixed threshold)
    """

    epsilon_lower: float
    delta: float
    confidence: float
    method: Method
    neighbours: Neighbours
    design: Design
    trials: int
    ceiling: float
    evidence: Evidence | None = None

    def __post_init__(self):
        check_terms(self.delta, self.confidence, self.neighbours)
        self.method.admit(self.design)
        _check.at_least("trials", self.trials, 1)
        _check.not_negative("epsilon_lower", self.epsilon_lower)
        _check.not_negative("ceiling", self.ceiling)
        if self.epsilon_lower > self.ceiling:
            _check.refuse("epsilon_lower", f"be at most the ceiling {self.ceiling}", self.epsilon_lower)
        if not self.epsilon_lower <= self.reach <= self.ceiling:
            _check.refuse("reach", f"be in {self.epsilon_lower} … {self.ceiling} (the ceiling)", self.reach)

    @property
    def reach(self) -> float:
        """The most that *this* evidence could have proved: the same scores, the highest of them members'.

        As many members, and of a fixed rule as many accused. Equal scores bring it below the ceiling. Where
        nobody said, it is the ceiling.
        """
        return self.ceiling if self.evidence is None else self.evidence.reach

    def __str__(self) -> str:
        """Print all numbers rounded downward: a bound on paper holds as well."""
        epsilon, delta = decimals_down(self.epsilon_lower), digits_down(self.delta)
        sure = digits_down(self.confidence, percent=True)
        terms = [f"{sure} % confident, {self.method}", self.evidence and unfair(self.evidence.coins)]
        return f"ε ≥ {epsilon} at δ = {delta} ({'; '.join(filter(None, terms))})"


def of_rule(
    counts: Counts,
    bound: Callable[[int, int], float],
    method: Method,
    *,
    neighbours: Neighbours,
    delta: float,
    confidence: float,
    coins: float | None = None,
) -> AuditResult:
    """Return what a fixed rule proved; ``bound`` takes numbers of true and of false positives."""
    seen, ceiling = bound(counts.true_positives, counts.false_positives), bound(counts.members, 0)
    evidence = of_counts(counts, bound, confidence=confidence, coins=coins)
    evidence = replace(evidence, reach=min(max(evidence.reach, seen), ceiling))
    trials = counts.members + counts.non_members
    return AuditResult(seen, delta, confidence, method, neighbours, counts.design, trials, ceiling, evidence)


def check_terms(delta: float, confidence: float, neighbours: Neighbours) -> None:
    """Refuse the terms of a bound that cannot be."""
    _check.share("delta", delta)
    _check.confidence(confidence)
    _check.one_of("neighbours", neighbours, [str(one) for one in Neighbours])


def allowed_error(confidence: float) -> float:
    """Return 1 − confidence; a little less where that is next to 1, which every ε would be refuted at.

    Examples
    --------
    >>> allowed_error(0.75), allowed_error(5e-324) < 1
    (0.25, True)
    """
    return min(1 - confidence, _LARGEST_ERROR)


def largest_refuted(refuted: Callable[[float], bool]) -> float:
    """Return the largest ε that is refuted, or 0 if none is: bisection, which keeps the refuted end.

    Examples
    --------
    >>> largest_refuted(lambda epsilon: epsilon < 3), largest_refuted(lambda epsilon: False)
    (2.9999999999999996, 0.0)
    """
    if not refuted(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while refuted(high):
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low
