"""The number of right verdicts: is 65 per cent against 60 a smoking gun, or luck."""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray
from scipy.special import bdtr, expit

from mialab import _check
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.one_run import Guesses, one_run
from mialab.audit.result import AuditResult, Method, allowed_error, check_terms, largest_refuted
from mialab.game import Counts, Design

ACCURACY = Method("accuracy, fixed threshold", (Design.RUNS, Design.COINS, Design.ONE_RUN))


@door
def accuracy(
    counts: Counts, *, neighbours: Neighbours, delta: float = 0.0, confidence: float = 0.95
) -> AuditResult:
    """Return the ε that the number of right verdicts proves, of a rule fixed in advance.

    Half of the records being members, nobody is right more often than (e^ε + δ)/(1 + e^ε) (Kairouz, Oh &
    Viswanath 2015). So the right verdicts are compared with that many coins.

    * Independent runs, as many with the record as without. The two rates may differ, but their mean is
      bounded, and of all independent trials with the same mean those with the same rate reach most
      often any number that is one or more above the expected one (Hoeffding 1956). It is a joint test
      of both rates, exact where they are equal.
    * Coins: all verdicts are guesses, and the bound is that of `one_run`, on its conditions.

    Parameters
    ----------
    counts
        Of a rule fixed in advance.
    neighbours, delta, confidence
        As in `fixed_threshold`.

    Raises
    ------
    ValueError
        If a number is out of its range, the design is another, or the runs are not as many on both sides.

    Examples
    --------
    >>> counts = Counts(375, 500, 125, 500, design=Design.RUNS)
    >>> print(accuracy(counts, neighbours=Neighbours.REPLACE))
    ε ≥ 0.976 at δ = 0 (95 % confident, accuracy, fixed threshold)
    """
    check_terms(delta, confidence, neighbours)
    ACCURACY.admit(counts.design)
    right = counts.true_positives + counts.non_members - counts.false_positives
    trials = counts.members + counts.non_members
    if counts.design != Design.RUNS:
        guesses = Guesses(right, trials, trials, counts.design)
        bound = one_run(guesses, neighbours=neighbours, delta=delta, confidence=confidence)
        epsilon, ceiling = bound.epsilon_lower, bound.ceiling
    else:
        _check_balanced(counts)
        epsilon, ceiling = (
            _bound(best, trials, delta, allowed_error(confidence)) for best in (right, trials)
        )
    return AuditResult(epsilon, delta, confidence, ACCURACY, neighbours, counts.design, trials, ceiling)


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
