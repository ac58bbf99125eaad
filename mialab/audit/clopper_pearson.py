"""Two rates, each with its exact limit: a bound from one rule that was fixed in advance."""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.special import betaincinv

from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.result import AuditResult, Method, allowed_error, check_terms, largest_refuted, of_rule
from mialab.game import Counts, Design

RATES = Method("Clopper-Pearson, fixed threshold", (Design.RUNS,))

Whole = int | np.integer | ndarray


@door
def fixed_threshold(
    counts: Counts, *, neighbours: Neighbours, delta: float = 0.0, confidence: float = 0.95
) -> AuditResult:
    """Return the ε that two rates prove, of a rule fixed before the trials were seen.

    ε ≥ ln((TPR_lo − δ)/FPR_hi), each limit one-sided and exact (Clopper & Pearson 1934) with half of
    the allowed error (Jagielski, Ullman & Oprea 2020). With the roles swapped, ε ≥ ln((TNR_lo − δ)/FNR_hi):
    TNR_lo = 1 − FPR_hi and FNR_hi = 1 − TPR_lo, the same two limits, so the swap costs nothing and the
    larger of both is the bound.

    The trials of either side must be independent, each a training run of its own, and their number fixed
    in advance: who stops when the bound looks good has another experiment. Canaries of one run share
    their model, and no proof of this bound covers them: use `one_run`. A threshold that was picked on the
    same trials is not fixed in advance: use `split`.

    Parameters
    ----------
    counts
        Of a rule fixed in advance, with ``design=Design.RUNS``.
    neighbours
        Which data sets the two sides of the trials are.
    delta
        In [0, 1).
    confidence
        In (0, 1).

    Raises
    ------
    ValueError
        If a number is out of its range, or the design is another.

    Examples
    --------
    >>> counts = Counts(500, 500, 0, 500, design=Design.RUNS)
    >>> print(fixed_threshold(counts, neighbours=Neighbours.REPLACE, confidence=0.99))
    ε ≥ 4.541 at δ = 0 (99 % confident, Clopper-Pearson, fixed threshold)
    """
    check_terms(delta, confidence, neighbours)
    RATES.admit(counts.design)
    sides, error = (counts.members, counts.non_members), allowed_error(confidence)

    def bound(true: int, false: int) -> float:
        return _bound(true, false, sides, delta, error)

    return of_rule(counts, bound, RATES, neighbours=neighbours, delta=delta, confidence=confidence)


@door
def ceiling_of_rates(
    members: int, non_members: int, *, delta: float = 0.0, confidence: float = 0.95
) -> float:
    """Return the most that `fixed_threshold` can prove: every member accused, and nobody else.

    Examples
    --------
    >>> round(ceiling_of_rates(500, 500), 6)
    4.905594
    """
    check_terms(delta, confidence, Neighbours.REPLACE)
    Counts(members, members, 0, non_members)
    return _bound(members, 0, (members, non_members), delta, allowed_error(confidence))


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def _bound(true: int, false: int, sides: tuple[int, int], delta: float, error: float) -> float:
    """Return the largest ε that the two limits refute."""
    limits = rate_limits(true, false, sides, error)
    return largest_refuted(lambda epsilon: bool(rates_refute(*limits, epsilon, delta)))


def rate_limits(
    true_positives: Whole, false_positives: Whole, sides: tuple[int, int], error: float
) -> tuple[Float[ndarray, "*trials"], Float[ndarray, "*trials"]]:
    """Return TPR_lo and 1 − FPR_hi; both hold at once but with probability ``error``."""
    members, non_members = sides
    spared = non_members - np.asarray(false_positives)
    return lower_limits(true_positives, members, error / 2), lower_limits(spared, non_members, error / 2)


def rates_refute(
    tpr_low: Float[ndarray, "*trials"],
    tnr_low: Float[ndarray, "*trials"],
    epsilon: float,
    delta: float,
) -> Bool[ndarray, "*trials"]:
    """Tell whether rates this high are forbidden: TPR > e^ε · FPR + δ, or TNR > e^ε · FNR + δ."""
    grows = np.exp(epsilon)
    accused = tpr_low - delta > grows * (1 - tnr_low)
    return np.asarray(accused | (tnr_low - delta > grows * (1 - tpr_low)))


def lower_limits(successes: Whole, trials: int, error: float) -> Float[ndarray, "*trials"]:
    """Return the exact one-sided lower limits of many proportions."""
    some = np.maximum(successes, 1)
    return np.asarray(np.where(np.asarray(successes) > 0, betaincinv(some, trials - some + 1, error), 0.0))
