"""Coins of a known bias: how many guesses are right under (ε, 0), each side with its own chance."""

from collections.abc import Callable

import numpy as np
from scipy.special import bdtr, expit, gammaln, log_expit, logit

from mialab import _check


def p_value_of_biased(right: int, ins: int, outs: int, p_in: float) -> Callable[[float], float]:
    """Return, as a function of ε, at most how likely so many right guesses are at δ = 0.

    Given the output of an (ε, 0) mechanism and all other coins, the odds of one coin are at most e^ε times,
    and at least e^−ε times, what they were: p/(1 − p) for "in". So a guess "in" is right with a chance of at
    most p·e^ε/(p·e^ε + 1 − p), and a guess "out" of (1 − p)·e^ε/((1 − p)·e^ε + p), whatever the other guesses
    came to. One coin after the other, the number of right ones is reached no more often than that of
    independent guesses with these chances: the sum of two binomials. With p = ½ it is the test of `one_run`
    (Steinke, Nasr & Jagielski 2023, Theorem 5.2, with another prior).

    Parameters
    ----------
    right
        How many guesses are right.
    ins, outs
        How many were guessed in, and out; at least one in all.
    p_in
        In (0, 1): the chance of "in" that every coin has.

    Examples
    --------
    >>> p_value = p_value_of_biased(1, 1, 0, 0.3)  # one guess, and right
    >>> round(p_value(0.0), 6), round(p_value(np.log(7 / 3)), 6)
    (0.3, 0.5)
    """
    wrong, odds = ins + outs - right, float(logit(p_in))

    def p_value(epsilon: float) -> float:
        of_ins = float(expit(-epsilon - odds))
        among_ins = _likely(ins, of_ins, wrong)
        ways = gammaln(ins + 1) - gammaln(among_ins + 1) - gammaln(ins - among_ins + 1)
        log_chance = among_ins * log_expit(-epsilon - odds) + (ins - among_ins) * log_expit(epsilon + odds)
        others = np.minimum(wrong - among_ins, outs).astype(float)
        return min(1.0, float(np.exp(ways + log_chance) @ bdtr(others, outs, expit(odds - epsilon))))

    return p_value


def check_bias(p_in: float, delta: float) -> None:
    """Refuse a bias together with δ > 0, which nothing is proved for."""
    if p_in != 0.5 and delta > 0:
        _check.refuse("delta", f"be 0 with p_in = {p_in:g}", delta)


def _likely(trials: int, chance: float, most: int) -> np.ndarray:
    """Return the numbers up to ``most`` whose chance is no 0 as a float: e^−800 (Hoeffding 1963)."""
    expected, reach = trials * chance, 20 * np.sqrt(trials)
    return np.arange(max(0, int(expected - reach)), min(trials, most, int(expected + reach) + 1) + 1)
