"""Accuse what the model finds easy: one threshold for all records, or one for each class.

The signal itself is the score of the simplest attack. What is left to decide is the threshold, and the
attacker decides it on shadow models, where the members are known: so the rule is fixed before the target
is looked at, and its counts on the target are honest.
"""

import numpy as np

from mialab import _check
from mialab._types import Label, Score
from mialab._validation import door
from mialab.game import Observations


@door
def choose_threshold(shadows: Observations, *, fpr: float | None = None) -> float:
    """Choose the threshold that would have served best on the shadow models.

    Yeom et al. 2018, §3.2, choose it from the average training loss; here it is read off the pooled
    signals of the shadows.

    Parameters
    ----------
    shadows
        Signals and membership of the attacker's own models.
    fpr
        The largest share of the shadows' non-members that may be accused. Without it, the threshold
        with the largest TPR − FPR on the shadows is chosen.

    Returns
    -------
    A signal value; accuse from it on. Infinity if even the highest signal accuses too many.

    Raises
    ------
    ValueError
        If the shadows have no members or no non-members, or ``fpr`` is not in [0, 1].

    Examples
    --------
    >>> shadows = Observations(np.array([[5.0, 4.0, 1.0, 0.0]]), np.array([[True, True, False, False]]))
    >>> choose_threshold(shadows), choose_threshold(shadows, fpr=0.5)
    (4.0, 1.0)
    """
    signal, member = shadows.signal.ravel(), shadows.member.ravel()
    _check.both_kinds("shadows.member", member)
    candidates = np.append(np.unique(signal), np.inf)
    hits = _share_from(candidates, signal[member])
    false = _share_from(candidates, signal[~member])
    if fpr is None:
        return float(candidates[np.argmax(hits - false)])
    _check.probability("fpr", fpr)
    return float(candidates[np.argmax(false <= fpr)])


@door
def per_class(target: Score, shadows: Observations, label: Label, *, fpr: float | None = None) -> Score:
    """Score each record by how far its signal lies above the threshold of its class.

    Song & Mittal 2021: models find some classes easier than others, so each class gets the
    threshold that serves best among the shadows' records of that class. Accuse from 0 on.

    Parameters
    ----------
    target
        The target's signals (records,).
    shadows
        The attacker's own models on the same records.
    label
        The records' classes.
    fpr
        As for `choose_threshold`, for each class on its own.

    Returns
    -------
    Scores (records,). Where even the highest signal of a class may not be accused, its threshold lies
    just above all that the target or the shadows show there.

    Raises
    ------
    ValueError
        If numbers of records differ, a signal is not finite, a label is no integer, or the shadows have no
        members or no non-members of a class.

    Examples
    --------
    >>> signal = np.array([[5.0, 4.0, 1.0, 0.0]])
    >>> shadows = Observations(signal, np.array([[True, False, True, False]]))
    >>> per_class(np.array([5.0, 4.0, 1.0, 0.0]), shadows, np.array([0, 0, 1, 1]))
    array([ 0., -1.,  0., -1.])
    """
    if not len(target) == shadows.signal.shape[1] == len(label):
        sizes = f"{len(target)}, {shadows.signal.shape[1]} and {len(label)}"
        _check.refuse("target, shadows and label", "have the same number of records", sizes)
    _check.finite("target", target)
    score = np.empty(len(target))
    for one in np.unique(label):
        there = label == one
        own = Observations(shadows.signal[:, there], shadows.member[:, there])
        highest = max(target[there].max(), own.signal.max())
        score[there] = target[there] - min(choose_threshold(own, fpr=fpr), np.nextafter(highest, np.inf))
    return score


def _share_from(thresholds: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Return the share of signals that are at least each threshold."""
    return (len(signal) - np.searchsorted(np.sort(signal), thresholds, side="left")) / len(signal)
