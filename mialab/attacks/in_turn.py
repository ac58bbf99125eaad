"""Every model is the target once, all at once."""

from collections.abc import Callable

import numpy as np

from mialab import _check
from mialab._design import warn_unless_coins
from mialab._types import SignalMatrix
from mialab._validation import door
from mialab.attacks.sides import Others, Signals
from mialab.game import Observations


@door
def in_turn(attack: Callable[[Signals, Others], Signals], *fleets: Observations) -> SignalMatrix:
    """Score every record for every model of a fleet, with all the other models as its shadows.

    The same scores as `Observations.in_turn`, which calls the attack once for each model; this calls
    it once, with `Others`, so it takes attacks that know them: those of `lira`, `rmia`, `few_shadows`
    and `difficulty`. Hundreds of models on tens of thousands of records take seconds. Where membership is not
    like coins, it warns as that does.

    Parameters
    ----------
    attack
        A function (target, shadows) → score. Give it options with `functools.partial`.
    fleets
        One fleet; or one for each of several queries of the same models about the same records, such
        as shifted copies of an image. Scores are then averaged over the queries, as the reference code
        of Carlini et al. 2022 does: for logarithms of likelihoods, that takes queries for independent.

    Returns
    -------
    Scores (models, records).

    Raises
    ------
    ValueError
        If there is no fleet, or the fleets differ in shape or membership.

    Examples
    --------
    >>> from mialab.attacks import difficulty
    >>> fleet = Observations(np.array([[3.0], [1.0], [0.0]]), np.array([[True], [False], [False]]))
    >>> in_turn(difficulty.calibrated, fleet)
    array([[ 2.5],
           [ 1. ],
           [-1. ]])
    """
    _check.at_least("the number of fleets", len(fleets), 1)
    for fleet in fleets[1:]:
        if not np.array_equal(fleet.member, fleets[0].member):
            _check.refuse("fleets", "have the same membership", "another one")
    warn_unless_coins(fleets[0].member)
    return np.mean([attack(fleet.signal, Others(fleet)) for fleet in fleets], axis=0)
