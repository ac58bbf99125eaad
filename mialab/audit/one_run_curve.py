"""One training run against a whole curve: sharper than against one ε, and relative to that curve."""

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr, ndtri

from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.curve import CurveTest
from mialab.audit.gaussian import GaussianBound, largest_mu
from mialab.audit.one_run import Guesses, of_guesses
from mialab.audit.result import Method, allowed_error, check_terms
from mialab.game import Design
from mialab.tradeoff import Curve, DominatingPair, GaussianCurve, LaplaceCurve

ONE_RUN_CURVE = Method("one run against a curve", (Design.ONE_RUN, Design.COINS))
_LEAST_LOG = -700.0  # p-values are not told apart below e^−700


@door
def curve_in_one_run(
    guesses: Guesses, curve: Curve, *, neighbours: Neighbours, confidence: float = 0.95
) -> CurveTest:
    """Test a claimed curve with many canaries in one training run.

    Mahloujifar, Melis & Chaudhuri 2025, for canaries that are in or out. Of m canaries, k are guessed
    and C of the guesses are right. Let T_j be P(C ≥ j), and g(x) the best rate of right guesses against a
    rate x of wrong ones that the curve allows (itself, where it is symmetric). For every j ≥ 1::

        E[C · 1(C ≥ j)]/m  ≤  g( E[(k − C) · 1(C ≥ j − 1)]/m )                                  (1)

    Proof. Take one canary, and fix all other coins. "It is right, and at least j − 1 others are" has, for
    either side of its coin, the probability that the curve allows against "it is wrong, and at least j − 1
    others are right": the same set of outputs with the coin turned. Average over the two sides, all other
    coins and all canaries; g is concave, so the inequality survives. Right with j − 1 others means C ≥ j,
    which counts C canaries; wrong with j − 1 others means C ≥ j − 1, which counts k − C of them.

    Summed by parts, (1) says, with h the inverse of g,

        (k − j + 1) · T_{j−1}  ≥  Σ_{i≥j} T_i + m · h( (j · T_j + Σ_{i>j} T_i)/m ),

    and its right side rises with every T. So the smallest tails that go with T_c = α are found by going
    down from j = c, starting from T_c = α and nothing above it, always with the larger of the right side and
    T_j. If T_0 comes out above 1, then P(C ≥ c) ≥ α is impossible. The p-value is the largest α
    that is not.

    Parameters
    ----------
    guesses
        From `guess`, or counted elsewhere; as in `one_run`.
    curve
        The claim about each canary's coin: "member" is "in". What is no `DominatingPair` must be symmetric.
    neighbours, confidence
        As in `one_run`.

    Raises
    ------
    ValueError
        If a number is out of its range, the design is another, or the curve is of a kind that has no
        inverse here.

    Examples
    --------
    >>> seen = Guesses(right=760, guesses=1000, canaries=1000, design=Design.ONE_RUN)
    >>> for mu in (0.4, 1.0):
    ...     test = curve_in_one_run(seen, GaussianCurve(mu), neighbours=Neighbours.REPLACE)
    ...     print(test)  # doctest: +NORMALIZE_WHITESPACE
    violated: p ≤ 0.0124, at best 1.12e-25, with these scores 1.12e-25; right guesses 0.760 [0.732, 0.786]
        (95 % confident, one run against a curve)
    consistent: p ≤ 0.655, at best 1.74e-07, with these scores 1.74e-07; right guesses 0.760 [0.732, 0.786]
        (95 % confident, one run against a curve)
    """
    check_terms(0.0, confidence, neighbours)
    ONE_RUN_CURVE.admit(guesses.design)

    def of(right: int) -> float:
        return p_value_of_curve(Guesses(right, guesses.guesses, guesses.canaries), curve)

    p, least, evidence = of(guesses.right), of(guesses.guesses), of_guesses(guesses, of, confidence)
    terms = confidence, ONE_RUN_CURVE, neighbours, guesses.design, guesses.canaries
    return CurveTest(p, least, *terms, evidence)


@door
def gaussian_in_one_run(
    guesses: Guesses, *, neighbours: Neighbours, confidence: float = 0.95
) -> GaussianBound:
    """Return the μ that the guesses prove: the largest whose Gaussian curve is refuted.

    Its ``relative`` gives an ε(δ) that holds if the curve is a Gaussian one. Parameters and errors as in
    `curve_in_one_run`.

    Examples
    --------
    >>> from mialab.audit.one_run import one_run
    >>> seen = Guesses(right=760, guesses=1000, canaries=1000, design=Design.ONE_RUN)
    >>> bound = gaussian_in_one_run(seen, neighbours=Neighbours.REPLACE)
    >>> for line in bound, bound.relative(1e-5), one_run(seen, neighbours=Neighbours.REPLACE, delta=1e-5):
    ...     print(line)
    μ ≥ 0.482 (95 % confident, one run against a curve)
    ε ≥ 1.915 at δ = 1e-05, if the curve is Gaussian (95 % confident, one run against a curve)
    ε ≥ 1.028 at δ = 1e-05 (95 % confident, one run)
    """
    check_terms(0.0, confidence, neighbours)
    ONE_RUN_CURVE.admit(guesses.design)
    m, k, error = guesses.canaries, guesses.guesses, allowed_error(confidence)

    def bound(right: int) -> float:
        return largest_mu(lambda mu: impossible(error, right, k, m, inverse(GaussianCurve(mu))))

    terms = confidence, ONE_RUN_CURVE, neighbours, guesses.design, m
    return GaussianBound(bound(guesses.right), *terms, bound(k), of_guesses(guesses, bound, confidence))


@door
def p_value_of_curve(guesses: Guesses, curve: Curve) -> float:
    """Return at most how likely so many right guesses are, against a mechanism that keeps to the curve.

    Bisection of the logarithm, which keeps the impossible end.

    Examples
    --------
    >>> round(p_value_of_curve(Guesses(65, 100, 100), GaussianCurve(0.5)), 3)
    0.565
    """
    numbers = guesses.right, guesses.guesses, guesses.canaries, inverse(curve)
    low, high = _LEAST_LOG, 0.0
    if guesses.right == 0 or impossible(np.exp(low), *numbers):
        return 1.0 if guesses.right == 0 else float(np.exp(low))
    while low < (middle := (low + high) / 2) < high and high - low > 1e-12:
        low, high = (low, middle) if impossible(float(np.exp(middle)), *numbers) else (middle, high)
    return float(np.exp(high))


def impossible(chance: float, right: int, guesses: int, canaries: int, wrong: Callable) -> bool:
    """Tell whether at least so many right guesses cannot have this probability: T_0 > 1.

    It ends as soon as a tail is above 1, or stops growing: then it never grows again.
    """
    tail, beyond = chance, 0.0
    for j in range(right, 0, -1):
        needed = (tail + beyond + canaries * wrong((j * tail + beyond) / canaries)) / (guesses - j + 1)
        if needed > 1:
            return True
        if needed <= tail:
            return False
        tail, beyond = needed, beyond + tail
    return False


def inverse(curve: Curve) -> Callable[[float], float]:
    """Return the smallest rate of wrong guesses with which a curve allows a rate of right ones."""
    if isinstance(curve, GaussianCurve):
        return lambda right: float(ndtr(ndtri(min(right, 1.0)) - curve.mu))
    if isinstance(curve, LaplaceCurve):
        return lambda right: _inverse_laplace(min(right, 1.0), curve.epsilon)
    if isinstance(curve, DominatingPair):
        false, true = either_side(curve).corners
        all_right = int(np.argmax(true == 1.0)) + 1  # from here on more wrong guesses buy nothing
        return lambda right: float(np.interp(right, true[:all_right], false[:all_right]))
    kinds = "a DominatingPair, a GaussianCurve or a LaplaceCurve"
    raise ValueError(f"curve must be {kinds}, got {type(curve).__name__}")


def _inverse_laplace(right: float, epsilon: float) -> float:
    """Turn the three pieces of the curve around."""
    shrink = np.exp(-epsilon)
    if right <= 0.5:
        return right * shrink
    return shrink / (4 * (1 - right)) if 1 - right >= shrink / 2 else 1 - (1 - right) / shrink


def either_side(pair: DominatingPair) -> DominatingPair:
    """Return the curve of guessing a fair coin, right against wrong: one half "in", one half "out".

    Examples
    --------
    >>> from mialab.tradeoff import pure
    >>> bool(np.allclose(either_side(pure(1.0)).corners, pure(1.0).corners))
    True
    """
    worlds = pair.member, pair.non_member
    return DominatingPair(np.concatenate(worlds) / 2, np.concatenate(worlds[::-1]) / 2)
