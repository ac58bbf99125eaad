"""One training run, many canaries: a bound without a thousand models."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int
from numpy import ndarray
from scipy.special import bdtr, expit, gammaln, log_expit

from mialab import _check
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.result import AuditResult, Method, allowed_error, check_terms, largest_refuted
from mialab.game import Design, Outcome

_MOST = 2**31 - 1  # trials: SciPy's binomial counts no further

ONE_RUN = Method("one run", (Design.ONE_RUN, Design.COINS))


@door
@dataclass(frozen=True)
class Guesses:
    """How many of the coins were guessed, and how many guesses are right.

    Attributes
    ----------
    right, guesses, canaries
        Whole numbers, 0 ≤ right ≤ guesses ≤ canaries.
    design
        How membership was decided.

    Raises
    ------
    ValueError
        If more guesses are right than were made, or more were made than there are canaries, or there are
        2³¹ of them or more.
    """

    right: int
    guesses: int
    canaries: int
    design: Design = Design.UNKNOWN

    def __post_init__(self):
        for name in ("right", "guesses", "canaries"):
            _check.whole(name, getattr(self, name))
        _check.at_least("canaries", self.canaries, 1)
        if self.canaries > _MOST:
            _check.refuse("canaries", f"be at most {_MOST}", self.canaries)
        for name, limit in (("guesses", "canaries"), ("right", "guesses")):
            if not 0 <= getattr(self, name) <= getattr(self, limit):
                rule = f"be in 0 … {getattr(self, limit)} ({limit})"
                _check.refuse(name, rule, getattr(self, name))


@door
def guess(outcome: Outcome, *, ins: int, outs: int) -> Guesses:
    """Guess "in" for the highest scores and "out" for the lowest, and count who is right.

    The two numbers are fixed before scores and membership are compared. Where equal scores stand across
    a border, lots would have to decide which of them are guessed. Counted are as many right ones as
    there are under any lots: the fewest.

    Raises
    ------
    ValueError
        If a number is negative, or both together are more than the records, or nothing.

    Examples
    --------
    >>> outcome = Outcome(np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, True, False, True]))
    >>> guess(outcome, ins=1, outs=2)
    Guesses(right=2, guesses=3, canaries=4, design=<Design.UNKNOWN: 'unknown'>)
    """
    records = outcome.score.size
    for name, value in (("ins", ins), ("outs", outs)):
        _check.whole(name, value)
        _check.at_least(name, value, 0)
    if not 1 <= ins + outs <= records:
        _check.refuse("ins + outs", f"be in 1 … {records} (records)", ins + outs)
    right = _fewest_right(outcome.score, outcome.member, ins)
    right += _fewest_right(-outcome.score, ~outcome.member, outs)
    return Guesses(right, ins + outs, records, outcome.design)


@door
def one_run(
    guesses: Guesses, *, neighbours: Neighbours, delta: float = 0.0, confidence: float = 0.95
) -> AuditResult:
    """Return the ε that the guesses prove, although all canaries share one training run.

    Steinke, Nasr & Jagielski 2023, Appendix D: the largest ε whose `p_value` is at most 1 − confidence.

    Every canary is in or out by its own fair coin, and the guesses may use whatever came out of the run,
    but none of the coins that are guessed. So "independent coins" are admitted as well, for the records
    of one target, whose attacker owns other models; not for targets taken in turn, each attacked with
    the membership of the others. Independent runs, each with a fair coin of its own, are independent coins
    too. A fixed number of members is refused: the last coin would follow from the rest, and the bound fails
    (at no leak at all, 15 of 30 being members, in 7.2 % of the cases).

    Parameters
    ----------
    guesses
        From `guess`, or counted elsewhere.
    neighbours
        What a coin decides: whether a canary is there, or which of two.
    delta
        In [0, 1).
    confidence
        In (0, 1).

    Raises
    ------
    ValueError
        If a number is out of its range, or the design is another.

    Examples
    --------
    >>> hundred = Guesses(right=95, guesses=100, canaries=1000, design=Design.ONE_RUN)
    >>> print(one_run(hundred, neighbours=Neighbours.ADD_REMOVE, delta=1e-5))
    ε ≥ 2.165 at δ = 1e-05 (95 % confident, one run)
    """
    check_terms(delta, confidence, neighbours)
    ONE_RUN.admit(guesses.design)
    design, made, trials = guesses.design, guesses.guesses, guesses.canaries
    error = allowed_error(confidence)
    epsilon, ceiling = (_bound(right, made, trials, delta, error) for right in (guesses.right, made))
    return AuditResult(epsilon, delta, confidence, ONE_RUN, neighbours, design, trials, ceiling)


@door
def ceiling_of_one_run(
    canaries: int, *, guesses: int | None = None, delta: float = 0.0, confidence: float = 0.95
) -> float:
    """Return the most that `one_run` can prove: every guess is right, and all canaries are guessed.

    With ``guesses``, for that many of them. At δ = 0 it is ln(q/(1 − q)), q = (1 − confidence)^(1/guesses).

    Examples
    --------
    >>> round(ceiling_of_one_run(1000), 6)
    5.809068
    """
    check_terms(delta, confidence, Neighbours.REPLACE)
    made = canaries if guesses is None else guesses
    Guesses(made, made, canaries)
    return _bound(made, made, canaries, delta, allowed_error(confidence))


@door
def p_value(guesses: Guesses, epsilon: float, delta: float = 0.0) -> float:
    """Return at most how likely so many right guesses are, against an (ε, δ) mechanism.

    β + 2·m·δ·α, with q = e^ε/(1 + e^ε), β = P(Bin(r, q) ≥ v) and α the largest, over 1 ≤ i ≤ v, of
    P(v − i ≤ Bin(r, q) < v)/i, for v of r guesses right and m canaries (Steinke, Nasr & Jagielski
    2023, Appendix D).

    Raises
    ------
    ValueError
        If ``epsilon`` is negative or not finite, or ``delta`` not in [0, 1].

    Examples
    --------
    >>> round(p_value(Guesses(65, 100, 100), epsilon=0.405465), 3)
    0.179
    """
    _check.not_negative("epsilon", epsilon)
    _check.probability("delta", delta)
    return p_value_of(guesses.right, guesses.guesses, guesses.canaries, delta)(epsilon)


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def _bound(right: int, guesses: int, canaries: int, delta: float, error: float) -> float:
    of = p_value_of(right, guesses, canaries, delta)
    return largest_refuted(lambda epsilon: of(epsilon) <= error)


def p_value_of(right: int, guesses: int, canaries: int, delta: float) -> Callable[[float], float]:
    """Return the p-value as a function of ε; what does not depend on ε is computed once."""
    some = np.arange(right if delta > 0 else 0)
    ways = gammaln(guesses + 1) - gammaln(some + 1) - gammaln(guesses - some + 1)

    def p_value(epsilon: float) -> float:
        luck = float(bdtr(guesses - right, guesses, expit(-epsilon)))
        if delta == 0 or right == 0:
            return luck
        fewer = _seen(right, guesses, epsilon)
        of_each = np.exp(ways[fewer] + fewer * log_expit(epsilon) + (guesses - fewer) * log_expit(-epsilon))
        steepest = float(np.max(np.cumsum(of_each) / (right - fewer)))
        return min(1.0, luck + 2 * canaries * delta * steepest)

    return p_value


def _seen(right: int, guesses: int, epsilon: float) -> Int[ndarray, "numbers"]:
    """Return the numbers below ``right`` whose chance is no 0 as a float, falling: the others add nothing."""
    expected, reach = guesses * float(expit(epsilon)), 20 * np.sqrt(guesses)  # e^−800 (Hoeffding 1963)
    first = max(0, min(int(expected - reach), right - 1))
    return np.arange(first, min(right, int(expected + reach) + 1))[::-1]


def _fewest_right(score: np.ndarray, truth: np.ndarray, number: int) -> int:
    """Count what is true of the ``number`` highest; among equal scores take first what is not."""
    if number == 0:
        return 0
    border = np.partition(score, score.size - number)[score.size - number]
    above, at_border = score > border, score == border
    left = number - int(above.sum())
    return int((above & truth).sum()) + max(0, left - int((at_border & ~truth).sum()))
