"""The number of right verdicts: is 65 per cent against 60 a smoking gun, or luck."""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray
from scipy.special import bdtr, expit

from mialab import _check
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.biased import check_bias
from mialab.audit.evidence import p_of_coins
from mialab.audit.one_run import Guesses, bound_of_guesses
from mialab.audit.result import AuditResult, Method, allowed_error, check_terms, largest_refuted, of_rule
from mialab.game import Counts, Design

ACCURACY = Method("accuracy, fixed threshold", (Design.RUNS, Design.COINS, Design.ONE_RUN))


@door
def accuracy(
    counts: Counts,
    *,
    neighbours: Neighbours,
    delta: float = 0.0,
    confidence: float = 0.95,
    p_in: float = 0.5,
) -> AuditResult:
    """Return the ε that the number of right verdicts proves, of a rule fixed in advance.

    Half of the records being members, nobody is right more often than (e^ε + δ)/(1 + e^ε) (Kairouz, Oh &
    Viswanath 2015). So the right verdicts are compared with that many coins.

    * Independent runs, as many with the record as without. The two rates may differ, but their mean is
      bounded, and of all independent trials with the same mean those with the same rate reach most
      often any number that is one or more above the expected one (Hoeffding 1956). It is a joint test
      of both rates, exact where they are equal.
    * Coins: all verdicts are guesses, and the bound is that of `one_run`, on its conditions. Of coins with a
      known bias, ``p_in``, each side of the verdicts has its own chance (`biased.p_value_of_biased`).

    Parameters
    ----------
    counts
        Of a rule fixed in advance.
    neighbours, delta, confidence
        As in `fixed_threshold`.
    p_in
        In (0, 1): how probable it was for every record, on its own, to be a member. Not what came of it.

    Raises
    ------
    ValueError
        If a number is out of its range, the design is another, the runs are not as many on both sides, or
        ``p_in`` is not ½ though δ > 0 or there are no coins.

    Examples
    --------
    >>> counts = Counts(375, 500, 125, 500, design=Design.RUNS)
    >>> print(accuracy(counts, neighbours=Neighbours.REPLACE))
    ε ≥ 0.976 at δ = 0 (95 % confident, accuracy, fixed threshold)
    """
    check_terms(delta, confidence, neighbours)
    ACCURACY.admit(counts.design)
    check_bias(p_in, delta)
    trials, error = counts.members + counts.non_members, allowed_error(confidence)
    coins = p_of_coins(counts.design, counts.members, trials, p_in)
    if counts.design == Design.RUNS:
        _check_balanced(counts)

    def bound(true: int, false: int) -> float:
        right = true + counts.non_members - false
        if counts.design == Design.RUNS:
            return _bound(right, trials, delta, error)
        return bound_of_guesses(right, true + false, trials - true - false, trials, p_in, delta, error)

    terms = {"neighbours": neighbours, "delta": delta, "confidence": confidence}
    return of_rule(counts, bound, ACCURACY, **terms, coins=coins)


@door
def luck(right: int, trials: int, *, allowed: float) -> float:
    """Return how likely at least ``right`` of ``trials`` are, if each is right with probability ``allowed``.

    The exact binomial p-value.

    Raises
    ------
    ValueError
        If more trials are right than there are, or ``allowed`` is not in [0, 1].

    Examples
    --------
    >>> round(luck(65, 100, allowed=0.6), 3), round(luck(650, 1000, allowed=0.6), 5)
    (0.179, 0.00065)
    """
    _check.probability("allowed", allowed)
    _check.at_least("trials", trials, 1)
    if not 0 <= right <= trials:
        _check.refuse("right", f"be in 0 … {trials} (trials)", right)
    Guesses(right, trials, trials)
    return float(bdtr(trials - right, trials, 1 - allowed))


def accuracy_refutes(
    right: int | Int[ndarray, "*trials"], trials: int, epsilon: float, delta: float, error: float
) -> Bool[ndarray, "*trials"]:
    """Tell whether so many right verdicts, of half members and half not, refute (ε, δ)."""
    wrong_rate = (1 - delta) * expit(-epsilon)
    above = np.asarray(right) >= trials * (1 - wrong_rate) + 1  # where Hoeffding's theorem speaks
    return np.asarray(above & (bdtr(trials - np.asarray(right), trials, wrong_rate) <= error))


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def _bound(right: int, trials: int, delta: float, error: float) -> float:
    return largest_refuted(lambda epsilon: bool(accuracy_refutes(right, trials, epsilon, delta, error)))


def _check_balanced(counts: Counts) -> None:
    if counts.members != counts.non_members:
        sides = f"{counts.members} and {counts.non_members}"
        _check.refuse("independent runs", "be as many on both sides for accuracy", sides)
