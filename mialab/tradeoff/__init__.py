"""The whole promise in one picture: the best any attacker can do, at every false-positive rate.

A curve answers two questions, and each answer determines the other (they are convex conjugates):
``curve.tpr(fpr)``, the largest TPR that any attack can reach at an FPR, and ``curve.delta(epsilon)``, the
smallest δ for which the (ε, δ) inequality holds: TPR ≤ e^ε · FPR + δ for every attack.

    pair.py         Pair                                any two output distributions, exactly
    named.py        pure, approximate,                  the curves with a name
                    randomized_response
    continuous.py   GaussianCurve, LaplaceCurve         closed forms
    polygon.py      above, below                        a Pair on either side of any curve
    convert.py      advantage, accuracy, epsilon_at, …  a curve in one number, and back
    belief.py       belief, most_believed               what an accusation is worth where few are members

Many releases: multiply. ``pure(0.1) ** 100`` is the exact curve of a hundred answers, and
``GaussianCurve(1) * GaussianCurve(2)`` that of two. A curve has no interval; measured rates have theirs.
"""

from mialab.tradeoff.belief import belief, most_believed
from mialab.tradeoff.continuous import GaussianCurve, LaplaceCurve
from mialab.tradeoff.convert import (
    Curve,
    accuracy,
    advantage,
    epsilon_at,
    epsilon_from_accuracy,
    epsilon_from_advantage,
    epsilon_from_rates,
)
from mialab.tradeoff.named import approximate, pure, randomized_response
from mialab.tradeoff.pair import Pair
from mialab.tradeoff.polygon import above, below

__all__ = [
    "Curve",
    "GaussianCurve",
    "LaplaceCurve",
    "Pair",
    "above",
    "accuracy",
    "advantage",
    "approximate",
    "belief",
    "below",
    "epsilon_at",
    "epsilon_from_accuracy",
    "epsilon_from_advantage",
    "epsilon_from_rates",
    "most_believed",
    "pure",
    "randomized_response",
]
