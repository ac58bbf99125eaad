"""The area under the ROC: the chance that a random member outscores a random non-member."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit, logit, ndtri

from mialab import _check
from mialab.game import Outcome
from mialab.metrics.estimate import Estimate


def auc(outcome: Outcome, *, confidence: float = 0.95) -> Estimate:
    """Return the area under the ROC, ties counting one half, with an interval.

    The interval is the smallest that holds two others. That of DeLong, DeLong & Clarke-Pearson 1988,
    taken on the logit scale, asks nothing of the scores' distribution but is too short where almost
    all pairs are in order (and has no width where all are). Method 5 of Newcombe 2006 stays honest
    there, but supposes scores of about one shape. Together they hold the truth at least about as often
    as they say; the tests try them on smooth, tied, mixed and almost separated scores.

    Parameters
    ----------
    outcome
        Scores of independent records.
    confidence
        In (0, 1).

    Examples
    --------
    >>> print(auc(Outcome(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False]))))
    0.875 [0.228, 0.994]
    """
    _check.probability("confidence", confidence, open_ends=True)
    members, non_members = outcome.score[outcome.member], outcome.score[~outcome.member]
    wins = _shares_beaten(members, non_members)
    area = float(wins.mean())
    z = float(ndtri((1 + confidence) / 2))
    low, high = _newcombe(area, len(members), len(non_members), z)
    if 0 < area < 1 and min(len(members), len(non_members)) > 1:
        losses = _shares_beaten(non_members, members)
        error = np.sqrt(wins.var(ddof=1) / len(members) + losses.var(ddof=1) / len(non_members))
        step = z * error / (area * (1 - area))
        low, high = min(low, expit(logit(area) - step)), max(high, expit(logit(area) + step))
    return Estimate(area, float(low), float(high), confidence, "DeLong (logit) and Newcombe")


def _shares_beaten(score: Float[ndarray, "a"], others: Float[ndarray, "b"]) -> Float[ndarray, "a"]:
    """Return, for every score, the share of the others below it, equal ones counting one half."""
    others = np.sort(others)
    below, up_to = (np.searchsorted(others, score, side=side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(others))


def _newcombe(area: float, members: int, non_members: int, z: float) -> tuple[float, float]:
    """Return the areas that differ from ``area`` by z of their own standard errors.

    Newcombe 2006, method 5: Hanley and McNeil's variance for exponential scores, with the mean of the two
    numbers in place of each of them. Turning both kinds round turns the area into its complement.
    """
    mean, pairs = (members + non_members) / 2, members * non_members
    return _newcombe_low(area, mean, pairs, z), 1 - _newcombe_low(1 - area, mean, pairs, z)


def _newcombe_low(area: float, mean: float, pairs: int, z: float) -> float:
    """Return the smaller root; the trivial one at an area of 1 is divided out."""
    from scipy.optimize import brentq  # as slow to import as all the rest of this package

    def excess(candidate: float) -> float:
        shape = (1 - candidate) / (2 - candidate) + candidate / (1 + candidate)
        variance_but_one_factor = candidate * (1 + (mean - 1) * shape) / pairs
        if area == 1:
            return (1 - candidate) - z**2 * variance_but_one_factor
        return (area - candidate) ** 2 - z**2 * variance_but_one_factor * (1 - candidate)

    return 0.0 if area == 0 else float(np.asarray(brentq(excess, 0, area)))
