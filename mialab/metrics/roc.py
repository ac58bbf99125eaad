"""The receiver operating characteristic: TPR against FPR, over all thresholds."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import bdtr, bdtrc

from mialab import _check
from mialab._validation import door
from mialab.game import Outcome
from mialab.metrics.estimate import Estimate, proportion_at_least, proportion_at_most, widened

RESOLVED_FROM = 10  # false positives: below it, an FPR is not known


@door
@dataclass(frozen=True, eq=False, repr=False)
class Roc:
    """All rules "accuse from this score on", from accusing nobody to accusing everybody.

    Attributes
    ----------
    threshold
        Float (points,), falling; the first is infinity. Each distinct score is a point, so records of
        equal score are accused together.
    fpr, tpr
        Float (points,), rising from 0 to 1.
    members, non_members
        How many records (or weights of records) are behind the rates.

    Examples
    --------
    >>> roc = roc_curve(Outcome(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False])))
    >>> roc
    Roc(4 points: 2 members, 2 non-members)
    >>> roc.fpr, roc.tpr, roc.auc
    (array([0. , 0. , 0.5, 1. ]), array([0. , 0.5, 1. , 1. ]), 0.875)
    >>> roc.tpr_at(0.1), roc.advantage_at(threshold=2.0)
    (0.5, 0.5)
    """

    threshold: Float[ndarray, "points"]
    fpr: Float[ndarray, "points"]
    tpr: Float[ndarray, "points"]
    members: float
    non_members: float

    def __repr__(self) -> str:
        """Say how many points there are, and of what."""
        sides = f"{self.members:,.0f} members, {self.non_members:,.0f} non-members"
        return f"Roc({len(self.threshold):,} points: {sides})"

    @property
    def auc(self) -> float:
        """The area under the curve: P(member > non-member) + P(equal)/2, the Mann-Whitney statistic."""
        return float(np.sum(np.diff(self.fpr) * (self.tpr[1:] + self.tpr[:-1])) / 2)

    @property
    def largest_advantage(self) -> float:
        """The largest TPR − FPR. It is chosen on the data it is quoted for, and so biased upward."""
        return float(np.max(self.tpr - self.fpr))

    @door
    def point_at(self, fpr: float) -> int:
        """Return the number of the last point whose false-positive rate is at most ``fpr``."""
        _check.probability("fpr", fpr)
        return int(np.searchsorted(self.fpr, fpr, side="right")) - 1

    @door
    def tpr_at(self, fpr: float) -> float:
        """Return the highest TPR among the rules whose FPR is at most ``fpr``; nothing is interpolated."""
        return float(self.tpr[self.point_at(fpr)])

    @door
    def advantage_at(self, threshold: float) -> float:
        """Return TPR − FPR of accusing from this threshold on, which was fixed in advance."""
        point = int(np.searchsorted(-self.threshold, -threshold, side="right")) - 1
        return float(self.tpr[point] - self.fpr[point])

    @door
    def resolves(self, fpr: float) -> bool:
        """Tell whether at least ten false positives are behind `tpr_at` this rate."""
        return bool(round(self.fpr[self.point_at(fpr)] * self.non_members, 6) >= RESOLVED_FROM)


@door
def roc_curve(outcome: Outcome) -> Roc:
    """Return the ROC of the raw scores, with ties handled exactly.

    Examples
    --------
    >>> roc_curve(Outcome(np.array([2.0, 1.0]), np.array([True, False]))).auc
    1.0
    """
    return weighted_roc(*rank_scores(outcome.score), outcome.member * 1.0, ~outcome.member * 1.0)


def rank_scores(score: Float[ndarray, "cells"]) -> tuple[ndarray, ndarray]:
    """Return the rank of every score, equal ones sharing theirs, and the distinct scores; highest first."""
    negative, rank = np.unique(-score, return_inverse=True)
    return rank, -negative


def weighted_roc(rank: ndarray, distinct: ndarray, member: ndarray, non_member: ndarray) -> Roc:
    """Build the ROC from what `rank_scores` returned and the weight of every cell on either side."""
    hits, false = (
        np.append(0.0, np.cumsum(np.bincount(rank, weight, minlength=len(distinct))))
        for weight in (member, non_member)
    )
    threshold = np.append(np.inf, distinct)
    return Roc(threshold, false / false[-1], hits / hits[-1], float(hits[-1]), float(false[-1]))


@door
def auc(outcome: Outcome, *, confidence: float = 0.95) -> Estimate:
    """Return the area under the ROC, ties counting one half, with an interval.

    Whatever the distributions of the scores, the variance of this estimate is at most A(1 − A)/k, where
    A is the true area and k the smaller of the two numbers of records (van Dantzig 1951; Birnbaum &
    Klose 1957): no larger than that of a proportion of k trials. So it is given the Clopper-Pearson
    interval of such a proportion, with A·k successes, which need not be a whole number. Where scores are
    smooth and both sides equally large, it is about a quarter wider than it has to be; intervals that
    are as short as they can be there (DeLong's, Newcombe's) hold the truth in two of three cases where
    a few records decide.

    Parameters
    ----------
    outcome
        Scores of independent records.
    confidence
        In (0, 1).

    Examples
    --------
    >>> print(auc(Outcome(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False]))))
    0.875 [0.102, 1.000]
    """
    roc = roc_curve(outcome)
    return auc_of(roc.auc, min(roc.members, roc.non_members), confidence=confidence)


def auc_of(area: float, smaller: float, *, confidence: float = 0.95) -> Estimate:
    """Return an area under the ROC with its interval; ``smaller`` is how many the smaller side has.

    Examples
    --------
    >>> print(auc_of(0.875, 2))
    0.875 [0.102, 1.000]
    """
    _check.confidence(confidence)
    wins, error = area * smaller, (1 - confidence) / 2
    low, high = proportion_at_least(wins, smaller, error), proportion_at_most(wins, smaller, error)
    return widened(area, low, high, confidence, "Clopper-Pearson, smaller side")


@door
@dataclass(frozen=True, eq=False, repr=False)
class Band:
    """Intervals for the TPR at several false-positive rates, each with its own confidence.

    Attributes
    ----------
    fpr, low, high
        Float (points,).
    confidence
        Of each interval, not of all at once.
    method
        Where the intervals come from.
    """

    fpr: Float[ndarray, "points"]
    low: Float[ndarray, "points"]
    high: Float[ndarray, "points"]
    confidence: float
    method: str

    def __repr__(self) -> str:
        """Say how many intervals there are, and where they come from."""
        return f"Band({len(self.fpr):,} rates; {100 * self.confidence:g} %, {self.method})"


@door
def band(outcome: Outcome, fpr: Float[ndarray, "points"], *, confidence: float = 0.95) -> Band:
    """Return the intervals of `tpr_at` at several false-positive rates.

    Examples
    --------
    >>> outcome = Outcome(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False]))
    >>> band(outcome, np.array([0.5, 1.0])).high
    array([1., 1.])
    """
    _check.hold("fpr", fpr, 1, "rates")
    estimates = _tprs_at(outcome, fpr.tolist(), confidence)
    low, high = np.array([(one.low, one.high) for one in estimates]).T
    return Band(fpr, low, high, confidence, estimates[0].method)


@door
def tpr_at(outcome: Outcome, fpr: float, *, confidence: float = 0.95) -> Estimate:
    """Return the TPR that the attack reaches at a false-positive rate, with an exact interval.

    The threshold that has this FPR is itself unknown. Sort the n non-members' scores, highest first;
    the FPR of "accuse above the j-th" is at most Beta(j, n − j + 1), whatever the distribution of
    the scores, so P(Bin(n, fpr) < j) bounds the probability that it exceeds ``fpr``; likewise from the
    other side. That gives one threshold surely too high and one surely too low; given the non-members,
    the members that pass them are binomial. Each of the four statements gets a quarter of the error.

    Parameters
    ----------
    outcome
        Scores of independent records.
    fpr
        In [0, 1]. Where fewer than ten false positives are behind it, the estimate is marked as not
        resolved; its interval holds all the same. (The threshold lies just above the first non-member
        that may not be accused, so with k allowed the estimate of a coin is about (k + 1)/n, not k/n.)
    confidence
        In (0, 1).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> member = rng.random(2000) < 0.5
    >>> print(tpr_at(Outcome(rng.normal(size=2000) + member, member), 0.1))
    0.392 [0.307, 0.473]
    >>> print(tpr_at(Outcome(rng.normal(size=2000) + member, member), 0.001))
    not resolved [0.000, 0.069]
    """
    return _tprs_at(outcome, [fpr], confidence)[0]


def _tprs_at(outcome: Outcome, rates: list[float], confidence: float) -> list[Estimate]:
    """Return what `tpr_at` does at several rates, and sort the scores only once."""
    _check.confidence(confidence)
    roc, estimates = roc_curve(outcome), []
    members, others = (np.sort(outcome.score[side])[::-1] for side in (outcome.member, ~outcome.member))
    for fpr in rates:
        value = roc.tpr_at(fpr)
        low, high = _tpr_interval(members, others, fpr, (1 - confidence) / 4)
        method = "order statistics and Clopper-Pearson"
        estimates.append(widened(value, low, high, confidence, method, roc.resolves(fpr)))
    return estimates


def _tpr_interval(members: ndarray, non_members: ndarray, fpr: float, error: float) -> tuple[float, float]:
    """Return the two limits of `tpr_at`; scores fall, and each of four statements may fail with ``error``."""
    n, counts = len(non_members), np.arange(len(non_members) + 1)
    at_most, above = bdtr(counts, n, fpr), bdtrc(counts, n, fpr)  # P(Bin(n, fpr) ≤ count), P(… > count)
    surely_high = int(np.sum(at_most <= error))  # the largest j with P(Bin < j) ≤ error
    surely_low = int(np.sum(above > error)) + 1  # the smallest j with P(Bin ≥ j) ≤ error
    low, high = 0.0, 1.0
    if surely_high >= 1:
        low = proportion_at_least(int(np.sum(members > non_members[surely_high - 1])), len(members), error)
    if surely_low <= n:
        high = proportion_at_most(int(np.sum(members >= non_members[surely_low - 1])), len(members), error)
    return low, high
