"""A whole trade-off curve on trial: no rule may do better than the curve allows.

An (ε, δ) claim is one curve among many. Any curve of `mialab.tradeoff` may stand here: `pure`, `approximate`,
`GaussianCurve`, `LaplaceCurve`, a `DominatingPair`, or the exact one of `accounting.privacy_loss`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int
from numpy import ndarray
from scipy.special import expit

from mialab import _check
from mialab._round import digits_down, digits_up
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.clopper_pearson import lower_limits
from mialab.audit.evidence import Evidence, of_counts, why_upside_down
from mialab.audit.joint import _probability
from mialab.audit.result import Method, check_terms
from mialab.audit.verdict import Finding
from mialab.game import Counts, Design
from mialab.tradeoff import Curve

FIXED = Method("exact test of the curve, fixed threshold", (Design.RUNS,))

_UNSEEN = 2 * np.exp(-72.0)  # what the sum of `joint` leaves out on both sides: part of the p-value
_CLOSE = 1e-2  # how closely, of itself, a p-value is bounded from above
_PIECES = 1000  # a worst case that needs more of them is bounded less closely
_ENDS = np.concatenate([[0.0], expit(np.arange(-40, 30, 0.5)), [1.0]])  # where pieces of a curve begin


@door
@dataclass(frozen=True)
class CurveTest:
    """What an audit says of a claimed curve.

    If the curve is true, the p-value is at most any given number with at most that probability.

    Attributes
    ----------
    p_value
        In [0, 1], rounded upward.
    least
        The p-value, had every verdict been right: what this audit could have seen.
    confidence
        In (0, 1); the curve is refuted by a p-value of at most 1 − confidence.
    method, neighbours, design, trials, evidence
        As in `AuditResult`; what is said of the evidence at its best, and turned round, are p-values.

    Raises
    ------
    ValueError
        If a number is out of its range, the p-value is below its reach or the reach below the least, or the
        method is not proved for the design.
    """

    p_value: float
    least: float
    confidence: float
    method: Method
    neighbours: Neighbours
    design: Design
    trials: int
    evidence: Evidence | None = None

    def __post_init__(self):
        check_terms(0.0, self.confidence, self.neighbours)
        self.method.admit(self.design)
        _check.probability("p_value", self.p_value)
        _check.probability("least", self.least)

    @property
    def reach(self) -> float:
        """The p-value that this evidence would have had at its best; where nobody said, it is the least."""
        return self.least if self.evidence is None else self.evidence.reach

    @property
    def finding(self) -> Finding:
        """Violated, consistent or uninformative, which it is as well if the evidence is upside down."""
        if self.p_value <= 1 - self.confidence:
            return Finding.VIOLATED
        can_see = self.reach <= 1 - self.confidence and not self.upside_down
        return Finding.CONSISTENT if can_see else Finding.UNINFORMATIVE

    @property
    def upside_down(self) -> bool:
        """Whether the evidence ranks members lower, as in `Verdict`."""
        evidence = self.evidence
        return evidence is not None and (evidence.below_chance or evidence.turned <= 1 - self.confidence)

    def __str__(self) -> str:
        """Print the finding with its power."""
        p, least = digits_up(self.p_value, 3), digits_up(self.least, 3)
        sure = digits_down(self.confidence, percent=True)
        terms = f"({sure} % confident, {self.method})"
        if self.evidence is None:
            return f"{self.finding}: p ≤ {p}, at best {least} {terms}"
        reach, why = digits_up(self.reach, 3), str(self.evidence)
        if self.upside_down and self.finding != Finding.VIOLATED:
            why = why_upside_down(self.evidence, f"p ≤ {digits_up(self.evidence.turned, 3)}")
        return f"{self.finding}: p ≤ {p}, at best {least}, with these scores {reach}; {why} {terms}"


@door
def curve_at(
    counts: Counts | Sequence[Counts], curve: Curve, *, neighbours: Neighbours, confidence: float = 0.95
) -> CurveTest:
    """Test a curve at one threshold that was fixed in advance, or at several.

    The rates of a rule that the curve allows are some (FPR, TPR) with TPR ≤ curve.tpr(FPR). Outcomes are
    ordered by the p-value of two Clopper-Pearson limits, and the p-value here is the largest probability,
    over all rates that the curve allows, of an outcome at least as telling as this one. That order does not
    depend on the outcome, so the p-value is valid, and never above the one of the two limits. More
    true and fewer false positives are more telling; so the worst rates lie on the curve, and between two of
    its points no rates are worse than the higher TPR with the lower FPR: pieces are halved until that is
    close, and their upper bound is returned.

    Of several thresholds the smallest p-value counts, times their number (Bonferroni): one rule of a
    true curve is refuted no more often than its p-value says, so any of them no more often than the sum.

    Parameters
    ----------
    counts
        Of rules fixed in advance, of the same trials, with ``design=Design.RUNS``; "member" is the first
        world of the curve.
    curve
        The claim.
    neighbours, confidence
        As in `fixed_threshold`.

    Raises
    ------
    ValueError
        If there are no counts, they are not of the same trials, the design is another, or a number is out
        of its range.

    Examples
    --------
    >>> from mialab.tradeoff import GaussianCurve, pure
    >>> counts = Counts(60, 100, 5, 100, design=Design.RUNS)
    >>> for claim in (GaussianCurve(1.0), pure(2.0)):
    ...     print(curve_at(counts, claim, neighbours=Neighbours.REPLACE))  # doctest: +NORMALIZE_WHITESPACE
    violated: p ≤ 6.18e-05, at best 1.17e-31, with these scores 1.05e-10;
        balanced accuracy 0.775 [0.680, 0.848]
        (95 % confident, exact test of the curve, fixed threshold)
    consistent: p ≤ 0.251, at best 9.47e-12, with these scores 0.00017; balanced accuracy 0.775 [0.680, 0.848]
        (95 % confident, exact test of the curve, fixed threshold)
    """
    several = [counts] if isinstance(counts, Counts) else list(counts)
    check_terms(0.0, confidence, neighbours)
    sides, design = _same_trials(several)

    def of(true: int, false: int) -> float:
        return min(1.0, len(several) * _p_of(true, false, sides, curve.tpr))

    p = [of(one.true_positives, one.false_positives) for one in several]
    evidence = of_counts(several[int(np.argmin(p))], of, confidence=confidence)
    for one in several:
        other = of_counts(one, of, confidence=confidence)
        evidence = replace(
            evidence, reach=min(evidence.reach, other.reach), turned=min(evidence.turned, other.turned)
        )
    return CurveTest(min(p), of(sides[0], 0), confidence, FIXED, neighbours, design, sum(sides), evidence)


def _p_of(true: int, false: int, sides: tuple[int, int], tpr: Callable) -> float:
    """Return the p-value of `curve_at`, for one rule."""
    error = _two_limits(true, false, sides, tpr)
    if error >= 1:
        return 1.0
    low, high = both_limits(sides, error)
    least = np.searchsorted(low, tpr(high), side="right")
    return min(1.0, worst_case(least, sides, tpr) + _UNSEEN)


def both_limits(sides: tuple[int, int], error: float) -> tuple[ndarray, ndarray]:
    """Return TPR_lo and FPR_hi of all numbers of true and of false positives, each with half of the error."""
    low, spared = (lower_limits(np.arange(side + 1), side, error / 2) for side in sides)
    return low, 1 - spared[::-1]


def _two_limits(true: int, false: int, sides: tuple[int, int], tpr: Callable) -> float:
    """Return the smallest error at which two Clopper-Pearson limits lie above the curve (bisection)."""

    def refuted(log_error: float) -> bool:
        error = np.exp(log_error) / 2
        high = 1 - lower_limits(sides[1] - false, sides[1], error)
        return bool(lower_limits(true, sides[0], error) > tpr(high))

    low, high = -80.0, 0.0
    if not refuted(high):
        return 1.0
    for _ in range(40):
        low, high = (low, (low + high) / 2) if refuted((low + high) / 2) else ((low + high) / 2, high)
    return float(np.exp(high))


def worst_case(
    least: Int[ndarray, "false_positives"],
    sides: tuple[int, int],
    tpr: Callable,
    *,
    level: float | None = None,
) -> float:
    """Return an upper bound on the probability of these outcomes, for all rates that the curve allows.

    It is close, unless there is a ``level``: then the search ends when it is sure whether the largest
    probability is above.
    """
    low, high, reached, bound, above = _ENDS[:-1], _ENDS[1:], 0.0, 0.0, np.ones(1)
    for _ in range(60):
        above = _probability(least, sides, tpr(high), low)
        middle = (low + high) / 2
        reached = max(reached, float(_probability(least, sides, tpr(middle), middle).max()))
        open_ = above > max(reached * (1 + _CLOSE), level or 0.0)
        bound = max(bound, float(np.max(above, where=~open_, initial=0.0)))
        if not open_.any():
            return min(1.0, bound)
        if open_.sum() > _PIECES or (level is not None and reached > level):
            break
        low, middle, high = low[open_], middle[open_], high[open_]
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    return min(1.0, max(bound, float(above.max())))


def _same_trials(several: list[Counts]) -> tuple[tuple[int, int], Design]:
    _check.at_least("the number of counts", len(several), 1)
    kinds = {(one.members, one.non_members, one.design) for one in several}
    if len(kinds) > 1:
        _check.refuse("counts", "be of the same trials", " and ".join(map(str, kinds)))
    members, non_members, design = kinds.pop()
    FIXED.admit(design)
    return (members, non_members), design
