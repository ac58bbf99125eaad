"""The area under the ROC: the chance that a random member outscores a random non-member."""

from scipy.special import betaincinv

from mialab import _check
from mialab._validation import door
from mialab.game import Outcome
from mialab.metrics.estimate import Estimate
from mialab.metrics.roc import roc_curve


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
    >>> import numpy as np
    >>> print(auc(Outcome(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False]))))
    0.875 [0.102, 1.000]
    """
    _check.confidence(confidence)
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
    low = float(betaincinv(wins, smaller - wins + 1, error)) if area > 0 else 0.0
    high = 1 - float(betaincinv(smaller - wins, wins + 1, error)) if area < 1 else 1.0
    return Estimate(area, min(low, area), max(high, area), confidence, "Clopper-Pearson, smaller side")
