"""Easy is not a member: compare with models that never saw the record."""

import numpy as np

from mialab._validation import door
from mialab.attacks.priors import average_record
from mialab.attacks.sides import Shadows, Signals, sides


@door
def calibrated(target: Signals, shadows: Shadows) -> Signals:
    """Score each record by how much higher its signal is than the shadows without it would have it.

    Difficulty calibration, Watson et al. 2022: the score of the target less the mean score of
    reference models.

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
    >>> from mialab.game import Observations
    >>> shadows = Observations(np.array([[5.0, 1.0], [3.0, 0.0]]), np.array([[False, True], [False, False]]))
    >>> calibrated(np.array([5.0, 5.0]), shadows)
    array([1., 5.])
    """
    outside = sides(target, shadows)[1].mean
    return target - np.where(np.isnan(outside), average_record(outside)[0], outside)
