"""One training run, many canaries: a bound without a thousand models."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import bdtr, expit, gammaln, log_expit, logit, ndtr, ndtri

from mialab import _check
from mialab._bisection import bisect
from mialab.audit.claims import Claim, Epsilon, EpsilonDelta, Family, Gaussian
from mialab.audit.evidence import Made
from mialab.audit.result import largest_refuted
from mialab.tradeoff import DominatingPair, GaussianCurve, LaplaceCurve

_LEAST_LOG = -700.0  # p-values against a curve are not told apart below e^−700
_CLOSE = 1e-7  # how closely μ is searched for; the refuted end is kept


def p_value(made: Made, claim: Claim) -> float:
    """Return at most how likely so many right guesses are, although all canaries share one training run.

    Every canary is in or out by its own coin, and the guesses may use whatever came out of the run,
    but none of the coins that are guessed. So the records of one target are admitted as well, whose attacker
    owns other models; not targets taken in turn, each attacked with the membership of the others.
    Independent runs, each with a fair coin of its own, are independent coins too. A fixed number of members
    is refused: the last coin would follow from the rest, and the bound fails (at no leak at all, 15 of 30
    being members, in 7.2 % of the cases).

    Under (ε, δ) it is β + 2·m·δ·α, with q = e^ε/(1 + e^ε), β = P(Bin(r, q) ≥ v) and α the largest, over
    1 ≤ i ≤ v, of P(v − i ≤ Bin(r, q) < v)/i, for v of r guesses right and m canaries (Steinke, Nasr &
    Jagielski 2023, Appendix D). For coins of another bias, and for curves, see `p_value_of_biased` and
    `p_value_of_curve`.
    """
    if not isinstance(claim, EpsilonDelta):
        return p_value_of_curve(made, claim)
    if made.p_in != 0.5:
        return p_value_of_biased(made, claim.epsilon)
    right, guesses, (epsilon, delta) = made.right, made.guesses, claim
    luck = float(bdtr(guesses - right, guesses, expit(-epsilon)))
    if delta == 0 or right == 0:
        return luck
    fewer = _likely(guesses, float(expit(epsilon)), right - 1)[::-1]
    of_each = np.exp(
        _log_ways(guesses)[fewer] + fewer * log_expit(epsilon) + (guesses - fewer) * log_expit(-epsilon)
    )
    steepest = float(np.max(np.cumsum(of_each) / (right - fewer)))
    return min(1.0, luck + 2 * made.canaries * delta * steepest)


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def bound(made: Made, family: Family, error: float) -> float:
    """Return the largest number of the family that is refuted."""
    if isinstance(family, Epsilon):
        return largest_refuted(lambda epsilon: p_value(made, family.claim(epsilon)) <= error)
    return largest_refuted(lambda mu: impossible(error, made, inverse(Gaussian(mu))), close=_CLOSE)


@lru_cache(maxsize=8)  # what was seen and what could have been are of the same numbers of guesses
def _log_ways(guesses: int) -> Float[ndarray, "numbers"]:
    some = np.arange(guesses + 1)
    return gammaln(guesses + 1) - gammaln(some + 1) - gammaln(guesses - some + 1)


def p_value_of_biased(made: Made, epsilon: float) -> float:
    """Return at most how likely so many right guesses are at (ε, 0), if every coin is "in" with ``p_in``.

    Given the output of an (ε, 0) mechanism and all other coins, the odds of one coin are at most e^ε times,
    and at least e^−ε times, what they were: p/(1 − p) for "in". So a guess "in" is right with a chance of at
    most p·e^ε/(p·e^ε + 1 − p), and a guess "out" of (1 − p)·e^ε/((1 − p)·e^ε + p), whatever the other guesses
    came to. One coin after the other, the number of right ones is reached no more often than that of
    independent guesses with these chances: the sum of two binomials (Steinke, Nasr & Jagielski 2023,
    Theorem 5.2, with another prior).

    Examples
    --------
    >>> one_right = Made(1, ins=1, outs=0, canaries=1, p_in=0.3)
    >>> [round(p_value_of_biased(one_right, epsilon), 6) for epsilon in (0.0, np.log(7 / 3))]
    [0.3, 0.5]
    """
    ins, wrong, odds = made.ins, made.guesses - made.right, float(logit(made.p_in))
    among_ins = _likely(ins, float(expit(-epsilon - odds)), wrong)
    ways = gammaln(ins + 1) - gammaln(among_ins + 1) - gammaln(ins - among_ins + 1)
    log_chance = among_ins * log_expit(-epsilon - odds) + (ins - among_ins) * log_expit(epsilon + odds)
    others = np.minimum(wrong - among_ins, made.outs).astype(float)
    return min(1.0, float(np.exp(ways + log_chance) @ bdtr(others, made.outs, expit(odds - epsilon))))


def _likely(trials: int, chance: float, most: int) -> ndarray:
    """Return the numbers up to ``most`` whose chance is no 0 as a float, and ``most`` if there are none.

    The others have less than e^−800 (Hoeffding 1963), and add nothing.
    """
    expected, reach = trials * chance, 20 * np.sqrt(trials)
    last = min(trials, most, int(expected + reach) + 1)
    return np.arange(max(0, min(int(expected - reach), last)), last + 1)


def p_value_of_curve(made: Made, claim: Claim) -> float:
    """Return at most how likely so many right guesses are, against a mechanism that keeps to a curve.

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
    that is not; it is searched for on the scale of logarithms, and the impossible end is kept.

    Raises
    ------
    ValueError
        If the curve is of a kind that has no inverse here.
    """
    wrong = inverse(claim)

    def out_of_the_question(log_chance: float) -> bool:
        return impossible(float(np.exp(log_chance)), made, wrong)

    if made.right == 0:
        return 1.0
    if out_of_the_question(_LEAST_LOG):
        return float(np.exp(_LEAST_LOG))
    return float(np.exp(bisect(out_of_the_question, 0.0, _LEAST_LOG, close=1e-12)[0]))


def impossible(chance: float, made: Made, wrong: Callable) -> bool:
    """Tell whether at least so many right guesses cannot have this probability: T_0 > 1.

    It ends as soon as a tail is above 1, or stops growing: then it never grows again.
    """
    tail, beyond, canaries = chance, 0.0, made.canaries
    for j in range(made.right, 0, -1):
        needed = (tail + beyond + canaries * wrong((j * tail + beyond) / canaries)) / (made.guesses - j + 1)
        if needed > 1:
            return True
        if needed <= tail:
            return False
        tail, beyond = needed, beyond + tail
    return False


def inverse(claim: Claim) -> Callable[[float], float]:
    """Return the smallest rate of wrong guesses with which a curve allows a rate of right ones."""
    if isinstance(claim, Gaussian | GaussianCurve):
        return lambda right: float(ndtr(ndtri(min(right, 1.0)) - claim.mu))
    if isinstance(claim, LaplaceCurve):
        return lambda right: _inverse_laplace(min(right, 1.0), claim.epsilon)
    if isinstance(claim, DominatingPair):
        false, true = either_side(claim).corners
        all_right = int(np.argmax(true == 1.0)) + 1  # from here on more wrong guesses buy nothing
        return lambda right: float(np.interp(right, true[:all_right], false[:all_right]))
    return _check.refuse(
        "curve", "be a DominatingPair, a GaussianCurve or a LaplaceCurve", type(claim).__name__
    )


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
