"""Accuse what the model finds easy, or what it finds easier than other models do.

The signal itself is the score of the simplest attack. What is left to decide is the threshold, and the
attacker decides it on shadow models, where the members are known: so the rule is fixed before the target
is looked at, and its counts on the target are honest.
"""

import numpy as np

from mialab import _check
from mialab._validation import door
from mialab.attacks.shadow_stats import Shadows, Signals, average_record, shadow_stats
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
def calibrated(target: Signals, shadows: Shadows) -> Signals:
    """Score each record by how much higher its signal is than the shadows without it would have it.

    Easy is not a member. Difficulty calibration, Watson et al. 2022: the score of the target less the mean
    score of reference models.

    Parameters
    ----------
    target
        The target's signals (records,).
    shadows
        The attacker's own models on the same records; only those without a record are asked about it.
        A record that all of them hold is compared with the average record.

    Returns
    -------
    Scores (records,).

    Raises
    ------
    ValueError
        If numbers of records differ, or every shadow holds every record.

    Examples
    --------
    >>> shadows = Observations(np.array([[5.0, 1.0], [3.0, 0.0]]), np.array([[False, True], [False, False]]))
    >>> calibrated(np.array([5.0, 5.0]), shadows)
    array([1., 5.])
    """
    outside = shadow_stats(target, shadows)[1].mean
    return target - np.where(np.isnan(outside), average_record(outside)[0], outside)


def _share_from(thresholds: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Return the share of signals that are at least each threshold."""
    return (len(signal) - np.searchsorted(np.sort(signal), thresholds, side="left")) / len(signal)
