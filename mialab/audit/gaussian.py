"""A lower bound on μ, the one number of Gaussian differential privacy.

What is proved needs no assumption: the mechanism is not μ′-Gaussian-DP for any μ′ below the bound. What it
says of ε does: only *if* the mechanism's curve is a Gaussian one is its ε(δ) that of the bound. The
mechanism with the highest curve at one point may have a lower one at another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy import ndarray
from scipy.special import ndtri

from mialab import _check
from mialab._round import decimals_down, digits_down
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.curve import both_limits, worst_case
from mialab.audit.curve_ranks import ANYWHERE, p_anywhere, passed
from mialab.audit.evidence import Evidence, of_counts, of_ranks, unfair
from mialab.audit.ranks import ranks_of
from mialab.audit.result import Method, allowed_error, check_terms, largest_refuted
from mialab.game import Counts, Design, Outcome
from mialab.tradeoff import GaussianCurve

RATES = Method("Clopper-Pearson, fixed threshold", (Design.RUNS,))
JOINT = Method("exact test of the Gaussian curve, fixed threshold", (Design.RUNS,))
_QUICK = 1e-3  # how closely μ is searched for where a test takes time; the refuted end is kept
_TIE = 1e-9  # outcomes whose evidence differs by less count as equal, so that more of them are extreme


@door
@dataclass(frozen=True)
class GaussianBound:
    """A lower bound on μ that an attacker proved.

    With probability at least ``confidence`` over the repetitions of the whole experiment, the mechanism is
    not μ′-Gaussian-DP for any μ′ below ``mu_lower`` (Dong, Roth & Su 2022).

    Attributes
    ----------
    mu_lower
        At least 0, finite.
    confidence, method, neighbours, design, trials
        As in `AuditResult`.
    ceiling
        The μ that would have been proved, had every verdict been right.
    evidence
        As in `AuditResult`, in units of μ.

    Raises
    ------
    ValueError
        If a number is out of its range, the bound is above its ceiling, or the method is not proved for
        the design.

    Examples
    --------
    >>> bound = GaussianBound(1.0, 0.95, RATES, Neighbours.REPLACE, Design.RUNS, 1000, 4.7)
    >>> print(bound)
    μ ≥ 1.000 (95 % confident, Clopper-Pearson, fixed threshold)
    >>> print(bound.relative(1e-5))
    ε ≥ 4.377 at δ = 1e-05, if the curve is Gaussian (95 % confident, Clopper-Pearson, fixed threshold)
    """

    mu_lower: float
    confidence: float
    method: Method
    neighbours: Neighbours
    design: Design
    trials: int
    ceiling: float
    evidence: Evidence | None = None

    def __post_init__(self):
        check_terms(0.0, self.confidence, self.neighbours)
        self.method.admit(self.design)
        _check.at_least("trials", self.trials, 1)
        _check.not_negative("mu_lower", self.mu_lower)
        if not self.mu_lower <= self.ceiling:
            _check.refuse("mu_lower", f"be at most the ceiling {self.ceiling}", self.mu_lower)

    @door
    def epsilon(self, delta: float) -> float:
        """Return the ε at ``delta`` of the Gaussian curve of this μ, rounded downward.

        It is a bound relative to the assumed family: on ε if the curve is a Gaussian one, and else on
        nothing.

        Raises
        ------
        ValueError
            If ``delta`` is not in (0, 1): at δ = 0 no Gaussian noise has a finite ε.
        """
        _check.probability("delta", delta, open_ends=True)
        curve = GaussianCurve(self.mu_lower)
        return largest_refuted(lambda epsilon: bool(curve.delta(epsilon) > delta))

    @door
    def relative(self, delta: float) -> str:
        """Write ε with the assumption it hangs on."""
        epsilon = f"ε ≥ {decimals_down(self.epsilon(delta))} at δ = {digits_down(delta)}"
        return f"{epsilon}, if the curve is Gaussian {self._terms}"

    def __str__(self) -> str:
        """Print μ rounded downward."""
        return f"μ ≥ {decimals_down(self.mu_lower)} {self._terms}"

    @property
    def _terms(self) -> str:
        said = f"{digits_down(self.confidence, percent=True)} % confident, {self.method}"
        return f"({'; '.join(filter(None, [said, self.evidence and unfair(self.evidence.coins)]))})"


@door
def gaussian_rates(counts: Counts, *, neighbours: Neighbours, confidence: float = 0.95) -> GaussianBound:
    """Return the μ that two rates prove: Φ⁻¹(TPR_lo) − Φ⁻¹(FPR_hi).

    Each limit is exact (Clopper & Pearson 1934) and has half of the error (Nasr et al. 2023, who write
    Φ⁻¹(1 − FPR_hi) − Φ⁻¹(FNR_hi)). With the roles swapped it is the same number.

    Parameters
    ----------
    counts
        Of a rule fixed in advance, with ``design=Design.RUNS``.
    neighbours, confidence
        As in `fixed_threshold`.

    Raises
    ------
    ValueError
        If a number is out of its range, or the design is another.

    Examples
    --------
    >>> print(gaussian_rates(Counts(60, 100, 5, 100, design=Design.RUNS), neighbours=Neighbours.REPLACE))
    μ ≥ 1.204 (95 % confident, Clopper-Pearson, fixed threshold)
    """
    check_terms(0.0, confidence, neighbours)
    RATES.admit(counts.design)
    sides = counts.members, counts.non_members
    tpr, fpr = _limits(sides, allowed_error(confidence))

    def bound(true: int, false: int) -> float:
        return max(0.0, float(tpr[true] - fpr[false]))

    return _of_rule(counts, bound, RATES, neighbours, confidence)


@door
def gaussian_joint(counts: Counts, *, neighbours: Neighbours, confidence: float = 0.95) -> GaussianBound:
    """Return the μ that both rates together prove: the largest whose curve is refuted.

    The bound of `gaussian_rates` only orders the outcomes, and μ is refuted if, for all rates that the curve
    of μ allows, an outcome at least as telling as this one has probability of at most 1 − confidence. The
    order does not depend on μ and a higher curve allows more, so all smaller μ are refuted with it.

    Parameters and errors as in `gaussian_rates`; some seconds for 5,000 on either side.

    Examples
    --------
    >>> print(gaussian_joint(Counts(60, 100, 5, 100, design=Design.RUNS), neighbours=Neighbours.REPLACE))
    μ ≥ 1.456 (95 % confident, exact test of the Gaussian curve, fixed threshold)
    """
    check_terms(0.0, confidence, neighbours)
    JOINT.admit(counts.design)
    sides, error = (counts.members, counts.non_members), allowed_error(confidence)

    def bound(true: int, false: int) -> float:
        return _joint_bound(true, false, sides, error)

    return _of_rule(counts, bound, JOINT, neighbours, confidence)


@door
def gaussian_anywhere(outcome: Outcome, *, neighbours: Neighbours, confidence: float = 0.95) -> GaussianBound:
    """Return the μ that all thresholds together prove: the largest whose curve `curve_anywhere` refutes.

    The p-values rise with the curve, so all smaller μ are refuted with it, and the error of the test is
    that of the bound. Parameters and errors as in `curve_anywhere`.

    Examples
    --------
    >>> rng, member = np.random.default_rng(0), np.arange(1000) < 500
    >>> outcome = Outcome(rng.normal(size=1000) + member, member, design=Design.RUNS)
    >>> print(gaussian_anywhere(outcome, neighbours=Neighbours.REPLACE))
    μ ≥ 0.847 (95 % confident, exact test of the curve, cut by rank)
    """
    check_terms(0.0, confidence, neighbours)
    ANYWHERE.admit(outcome.design)
    ranks, error = ranks_of(outcome), allowed_error(confidence)
    sides = ranks.sides

    def bound(hits: tuple[ndarray | int, ndarray | int]) -> float:
        return largest_mu(lambda mu: p_anywhere(hits, sides, GaussianCurve(mu)) <= error, _QUICK)

    evidence = of_ranks(ranks, lambda some: bound(passed(some)), confidence=confidence)
    terms = confidence, ANYWHERE, neighbours, outcome.design, sum(sides)
    return GaussianBound(bound(passed(ranks)), *terms, ceiling=bound(sides), evidence=evidence)


def _of_rule(
    counts: Counts,
    bound: Callable[[int, int], float],
    method: Method,
    neighbours: Neighbours,
    confidence: float,
) -> GaussianBound:
    """Return what a fixed rule proved; ``bound`` takes numbers of true and of false positives."""
    mu, ceiling = bound(counts.true_positives, counts.false_positives), bound(counts.members, 0)
    evidence, trials = of_counts(counts, bound, confidence=confidence), counts.members + counts.non_members
    return GaussianBound(mu, confidence, method, neighbours, counts.design, trials, ceiling, evidence)


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def _joint_bound(true: int, false: int, sides: tuple[int, int], error: float) -> float:
    tpr, fpr = _limits(sides, error)
    told = tpr[true] - fpr[false] - _TIE
    if told == -np.inf:
        return 0.0
    least = np.searchsorted(tpr, told + fpr)
    return largest_mu(
        lambda mu: worst_case(least, sides, GaussianCurve(mu).tpr, level=error) <= error, _QUICK
    )


def _limits(sides: tuple[int, int], error: float) -> tuple[ndarray, ndarray]:
    """Return Φ⁻¹(TPR_lo) and Φ⁻¹(FPR_hi) of all numbers of true and of false positives."""
    low, high = both_limits(sides, error)
    return ndtri(low), ndtri(high)


def largest_mu(refuted: Callable[[float], bool], fine: float = 1e-7) -> float:
    """Return a μ that is refuted, the largest up to ``fine``; 0 if none is."""
    low, high = 0.0, 1.0
    if not refuted(low):
        return 0.0
    while refuted(high):
        low, high = high, 2 * high
    while high - low > fine:
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low
