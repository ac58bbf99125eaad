"""A whole trade-off curve on trial at all thresholds at once: the scores themselves set the cuts."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import bdtrc, betainccinv, expit

from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.curve import CurveTest
from mialab.audit.evidence import of_ranks
from mialab.audit.ranks import Ranks, ranks_of
from mialab.audit.result import Method, check_terms
from mialab.game import Design, Outcome
from mialab.tradeoff import Curve, DominatingPair

ANYWHERE = Method("exact test of the curve, cut by rank", (Design.RUNS,))
_TAILS = np.append(
    1.0,
    expit(np.concatenate([np.arange(20, -8, -0.01), np.arange(-8, -30, -0.04), np.arange(-30, -70, -0.25)])),
)


@door
def curve_anywhere(
    outcome: Outcome, curve: Curve, *, neighbours: Neighbours, confidence: float = 0.95
) -> CurveTest:
    """Test a curve everywhere at once, with thresholds that the scores themselves set.

    "Accuse what scores above the j-th highest of the n non-members", for j = 1, 2, 4, … up to n/2. The FPR
    of that rule is unknown, and its distribution is known: at most Beta(j, n − j + 1), whatever the scores
    (order statistics; equal scores only make it smaller). Given the non-members, the m members are fresh
    trials, accused with a TPR of at most curve.tpr(FPR). So the mean of P(Bin(m, curve.tpr(FPR)) ≥ accused)
    over that distribution is an exact p-value, in which nothing unknown is left. The roles are swapped as
    well: "spare what scores below the j-th lowest member". All these rules share the error (Bonferroni).

    The mean is a sum over quantiles, each taken at its worse end.

    Parameters
    ----------
    outcome
        Scores of all trials, with ``design=Design.RUNS``.
    curve, neighbours, confidence
        As in `curve_at`.

    Raises
    ------
    ValueError
        If a number is out of its range, or the design is another.

    Examples
    --------
    >>> from mialab.tradeoff import GaussianCurve
    >>> rng, member = np.random.default_rng(0), np.arange(1000) < 500
    >>> outcome = Outcome(rng.normal(size=1000) + member, member, design=Design.RUNS)
    >>> for mu in (0.5, 1.0):
    ...     print(curve_anywhere(outcome, GaussianCurve(mu), neighbours=Neighbours.REPLACE).finding)
    violated
    consistent
    """
    check_terms(0.0, confidence, neighbours)
    ANYWHERE.admit(outcome.design)
    ranks = ranks_of(outcome)

    def of(some: Ranks) -> float:
        return p_anywhere(passed(some), some.sides, curve)

    evidence, sides = of_ranks(ranks, of, confidence=confidence), ranks.sides
    least, terms = p_anywhere(sides, sides, curve), (confidence, ANYWHERE, neighbours, outcome.design)
    return CurveTest(of(ranks), least, *terms, sum(sides), evidence)


def passed(ranks: Ranks) -> tuple[Int[ndarray, "cuts"], Int[ndarray, "others"]]:
    """Return how many members are above the first cuts, and how many non-members below the second."""
    member, non_member = ranks.member, ranks.non_member
    m, n = ranks.sides
    above = m - np.searchsorted(member, non_member[n - cuts(n)], side="right")
    return above, np.searchsorted(non_member, member[cuts(m) - 1], side="left")


def cuts(size: int) -> Int[ndarray, "cuts"]:
    """Return the ranks that are looked at: 1, 2, 4, … up to half of the records."""
    return 2 ** np.arange(max(1, int(np.log2(size))))


def p_anywhere(beyond: tuple[ndarray | int, ndarray | int], sides: tuple[int, int], curve: Curve) -> float:
    """Return the p-value of `curve_anywhere` from the numbers of `passed`."""
    swapped = curve.swapped() if isinstance(curve, DominatingPair) else curve
    rules = ((beyond[0], *sides, curve.tpr), (beyond[1], *sides[::-1], swapped.tpr))
    each = [p_of_cuts(np.broadcast_to(hits, cuts(n).shape), m, n, tpr) for hits, m, n, tpr in rules]
    every = np.concatenate(each)
    return float(min(1.0, every.size * every.min()))


def p_of_cuts(hits: Int[ndarray, "cuts"], trials: int, others: int, tpr: Callable) -> Float[ndarray, "cuts"]:
    """Return, for each cut by rank among the others, the p-value of so many of the trials beyond it."""
    reached = bdtrc(hits[:, None] - 1.0, trials, np.clip(tpr(_quantiles(others)), 0, 1))
    reached = np.where(hits[:, None] > 0, reached, 1.0)
    return reached @ -np.diff(_TAILS, append=0.0)


@lru_cache(maxsize=64)
def _quantiles(others: int) -> Float[ndarray, "cuts quantiles"]:
    """Return the FPR of each cut that is exceeded with the next smaller of the tail probabilities."""
    ranks = cuts(others)[:, None]
    upper = betainccinv(ranks, others - ranks + 1, np.append(_TAILS[1:], 0.0))
    return np.clip(upper, 0, 1)
