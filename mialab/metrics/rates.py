"""Rates of one rule that was fixed without the target's membership, from whole numbers.

Intervals are exact: Clopper-Pearson for one rate; for a number made of both, each rate gets half of the
allowed error, so that both intervals hold at once at least as often as ``confidence`` says.
"""

from collections.abc import Callable
from dataclasses import astuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mialab import _check
from mialab._types import MemberMatrix
from mialab._validation import door
from mialab.game import Counts
from mialab.metrics.estimate import Estimate, clopper_pearson, proportion_at_least, proportion_at_most


@door
def tpr(counts: Counts, *, confidence: float = 0.95) -> Estimate:
    """Return the true-positive rate: the share of members that was accused.

    Examples
    --------
    >>> print(tpr(Counts(true_positives=80, members=100, false_positives=10, non_members=100)))
    0.800 [0.708, 0.873]
    """
    return clopper_pearson(counts.true_positives, counts.members, confidence=confidence)


@door
def fpr(counts: Counts, *, confidence: float = 0.95) -> Estimate:
    """Return the false-positive rate: the share of non-members that was accused.

    Examples
    --------
    >>> print(fpr(Counts(true_positives=80, members=100, false_positives=10, non_members=100)))
    0.100 [0.049, 0.176]
    """
    return clopper_pearson(counts.false_positives, counts.non_members, confidence=confidence)


@door
def advantage(counts: Counts, *, confidence: float = 0.95) -> Estimate:
    """Return TPR − FPR, in [−1, 1].

    Yeom et al. 2018, Definition 4. Zero for a coin. For a rule fixed in advance only: the largest value
    over thresholds is biased upward.

    Examples
    --------
    >>> print(advantage(Counts(true_positives=80, members=100, false_positives=10, non_members=100)))
    0.700 [0.507, 0.838]
    """
    return _of_both(counts, lambda tp, fp: tp - fp, confidence)


@door
def balanced_accuracy(counts: Counts, *, confidence: float = 0.95) -> Estimate:
    """Return the share of right answers if half of the records were members: (1 + TPR − FPR)/2.

    Examples
    --------
    >>> print(balanced_accuracy(Counts(true_positives=80, members=100, false_positives=10, non_members=100)))
    0.850 [0.754, 0.919]
    """
    return _of_both(counts, lambda tp, fp: (1 + tp - fp) / 2, confidence)


@door
def precision(counts: Counts, *, prior: float, confidence: float = 0.95) -> Estimate:
    """Return the share of members among the accused, if a share ``prior`` of all records were members.

    π·TPR / (π·TPR + (1 − π)·FPR). The sample's own share of members plays no part.

    Raises
    ------
    ValueError
        If ``prior`` is not in (0, 1), or nobody was accused, so that there is no such share.

    Examples
    --------
    >>> counts = Counts(true_positives=80, members=100, false_positives=10, non_members=100)
    >>> print(precision(counts, prior=0.5))
    0.889 [0.787, 0.953]
    >>> print(precision(counts, prior=0.01))
    0.075 [0.036, 0.169]
    """
    _check.probability("prior", prior, open_ends=True)
    if counts.true_positives + counts.false_positives == 0:
        _check.refuse("counts", "have somebody accused", "nobody")

    def share(tp: float, fp: float) -> float:
        right = prior * tp
        return right / (right + (1 - prior) * fp) if right or fp else 0.0

    return _of_both(counts, share, confidence)


@door
def memorisation(
    correct: Bool[ndarray, "models records"], member: MemberMatrix, *, min_count: int = 20
) -> Float[ndarray, "records"]:
    """Return, for every record, how much more often models that hold it answer it correctly.

    Feldman & Zhang 2020, Eq. (1): P(correct | in) − P(correct | out), each estimated by the share among
    the fleet's models. Its mean over records is, in expectation, the generalisation
    gap.

    Parameters
    ----------
    correct, member
        (models, records): whether each model answers each record correctly, and whether it holds it.
    min_count
        How many models a record needs on each side.

    Returns
    -------
    Float (records,) in [−1, 1]; NaN for a record with fewer than ``min_count`` models on a side.

    Raises
    ------
    ValueError
        If shapes differ, an array is not bool, or ``min_count`` is below 1.

    Examples
    --------
    >>> member = np.array([[True, True], [True, False], [False, True], [False, False]])
    >>> correct = np.array([[True, True], [True, True], [False, True], [True, True]])
    >>> memorisation(correct, member, min_count=2)
    array([0.5, 0. ])
    """
    _check.at_least("min_count", min_count, 1)
    inside, outside = member.sum(axis=0), (~member).sum(axis=0)
    enough = np.minimum(inside, outside) >= min_count
    with np.errstate(invalid="ignore"):
        gain = (correct & member).sum(axis=0) / inside - (correct & ~member).sum(axis=0) / outside
    return np.where(enough, gain, np.nan)


def _of_both(counts: Counts, of: Callable[[float, float], float], confidence: float) -> Estimate:
    """Carry both rates' intervals through a function that rises with TPR and falls with FPR."""
    _check.confidence(confidence)
    error = (1 - confidence) / 4
    hits, members, false, others = astuple(counts)[:4]
    highest = of(proportion_at_most(hits, members, error), proportion_at_least(false, others, error))
    lowest = of(proportion_at_least(hits, members, error), proportion_at_most(false, others, error))
    value = of(hits / members, false / others)
    return Estimate(value, lowest, highest, confidence, "Clopper-Pearson, both rates")
