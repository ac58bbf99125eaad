"""The curves with a name that are polygons."""

import numpy as np
from scipy.special import expit

from mialab import _check
from mialab._validation import door
from mialab.tradeoff.pair import Pair


@door
def pure(epsilon: float) -> Pair:
    """Return the best that any attack can do against a mechanism of which only (ε, 0) is known.

    TPR ≤ min(e^ε · FPR, 1 − e^−ε · (1 − FPR)): one corner. It is the curve of randomized response with two
    answers, the worst mechanism that the promise allows (Kairouz, Oh & Viswanath 2015, Theorem 3.3).

    Raises
    ------
    ValueError
        If ``epsilon`` is negative or not finite.

    Examples
    --------
    >>> round(float(pure(1.0).tpr(0.01)), 6)
    0.027183
    """
    return approximate(epsilon, 0.0)


@door
def approximate(epsilon: float, delta: float) -> Pair:
    """Return the best that any attack can do against a mechanism of which only (ε, δ) is known.

    With probability δ the output gives the world away; else it is randomized response (Kairouz, Oh &
    Viswanath 2015, Theorem 3.3).

    Raises
    ------
    ValueError
        If ``epsilon`` is negative or not finite, or ``delta`` is not in [0, 1].

    Examples
    --------
    >>> round(float(approximate(1.0, 0.1).tpr(0.01)), 6)
    0.127183
    """
    _check.not_negative("epsilon", epsilon)
    _check.probability("delta", delta)
    hidden = (1 - delta) * expit(np.array([epsilon, -epsilon]))
    return Pair(np.array([delta, *hidden, 0.0]), np.array([0.0, *hidden[::-1], delta]))


@door
def randomized_response(epsilon: float, answers: int = 2) -> Pair:
    """Return the exact curve of randomized response, for two people's true answers that differ.

    The reported answer is the true one with probability e^ε/(e^ε + k − 1), and each other with
    1/(e^ε + k − 1). With more than two answers most reports fit neither truth, and the curve lies inside the
    pure one: the best accuracy is (2·e^ε + k − 2)/(2·(e^ε + k − 1)).

    Parameters
    ----------
    epsilon
        At least 0.
    answers
        Number k of possible answers, at least 2.

    Examples
    --------
    >>> two, four = randomized_response(1.0), randomized_response(1.0, 4)
    >>> print(round(two.tpr(0.01), 6), round(four.tpr(0.01), 6), round(two.auc, 6), round(four.auc, 6))
    0.027183 0.027183 0.731059 0.702793
    """
    _check.not_negative("epsilon", epsilon)
    _check.at_least("answers", answers, 2)
    truth = 1 / (1 + (answers - 1) * np.exp(-epsilon))
    lie = truth * np.exp(-epsilon)
    rest = (answers - 2) * lie
    return Pair(np.array([truth, rest, lie]), np.array([lie, rest, truth]))
