"""The whole promise in one picture: the best any attacker can do, at every false-positive rate.

A curve answers two questions, and each answer determines the other (they are convex conjugates):
``curve.tpr(fpr)``, the largest TPR that any attack can reach at an FPR, and ``curve.delta(epsilon)``, the
smallest δ for which the (ε, δ) inequality holds: TPR ≤ e^ε · FPR + δ for every attack.

    pair.py         DominatingPair                any two output distributions, exactly
                    pure, approximate,            those with a name
                    randomized_response
                    outer_polygon                 a pair around any curve
    continuous.py   GaussianCurve, LaplaceCurve   closed forms
    convert.py      advantage, epsilon_at, …      a curve in one number, and back
                    posterior, posterior_bound    what an accusation is worth where few are members

Many releases: multiply. ``pure(0.1) ** 100`` is the exact curve of a hundred answers, and
``GaussianCurve(1) * GaussianCurve(2)`` that of two. A curve has no interval; measured rates have theirs.
"""

from mialab.tradeoff.continuous import GaussianCurve, LaplaceCurve
from mialab.tradeoff.convert import (
    Curve,
    accuracy,
    advantage,
    epsilon_at,
    epsilon_from_rates,
    posterior,
    posterior_bound,
)
from mialab.tradeoff.pair import (
    DominatingPair,
    approximate,
    outer_polygon,
    pure,
    randomized_response,
)

__all__ = [
    "Curve",
    "DominatingPair",
    "GaussianCurve",
    "LaplaceCurve",
    "accuracy",
    "advantage",
    "approximate",
    "epsilon_at",
    "epsilon_from_rates",
    "outer_polygon",
    "posterior",
    "posterior_bound",
    "pure",
    "randomized_response",
]
