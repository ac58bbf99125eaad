"""One training run, many canaries: a bound without a thousand models."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import bdtr, expit, gammaln, log_expit

from mialab import _check
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.biased import p_value_of_biased
from mialab.audit.evidence import Evidence, p_of_coins
from mialab.audit.ranks import ranks_of
from mialab.audit.result import AuditResult, Method, allowed_error, check_terms, largest_refuted
from mialab.game import Design, Outcome
from mialab.metrics import Estimate
from mialab.metrics.estimate import proportion_at_least, proportion_at_most

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
    by_lot
        How many of the guesses lots among equal scores would decide: they are neither right nor wrong.
    lost
        How many could not have been right, had the same scores ranked as many members highest.
    coins
        Two-sided p-value of the number of members, or None where nobody said.

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
    by_lot: int = field(default=0, kw_only=True, repr=False, compare=False)
    lost: int = field(default=0, kw_only=True, repr=False, compare=False)
    coins: float | None = field(default=None, kw_only=True, repr=False, compare=False)

    def __post_init__(self):
        _check.at_least("canaries", self.canaries, 1)
        if self.canaries > _MOST:
            _check.refuse("canaries", f"be at most {_MOST}", self.canaries)
        for name, limit in (("guesses", "canaries"), ("right", "guesses")):
            if not 0 <= getattr(self, name) <= getattr(self, limit):
                rule = f"be in 0 … {getattr(self, limit)} ({limit})"
                _check.refuse(name, rule, getattr(self, name))
        for name in ("by_lot", "lost"):
            if not 0 <= getattr(self, name) <= self.guesses - self.right:
                rule = f"be in 0 … {self.guesses - self.right} (guesses that are not right)"
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
        _check.at_least(name, value, 0)
    if not 1 <= ins + outs <= records:
        _check.refuse("ins + outs", f"be in 1 … {records} (records)", ins + outs)
    coins = p_of_coins(outcome.design, int(outcome.member.sum()), records)
    ranks, made = ranks_of(outcome), ins + outs
    right, possible = (int(some.right(ins, outs)[0]) for some in (ranks, ranks.best()))
    wrong = int(ranks.turned().right(outs, ins)[0])
    by_lot, lost = made - right - wrong, made - possible
    return Guesses(right, made, records, outcome.design, by_lot=by_lot, lost=lost, coins=coins)


@door
def one_run(
    guesses: Guesses, *, neighbours: Neighbours, delta: float = 0.0, confidence: float = 0.95
) -> AuditResult:
    """Return the ε that the guesses prove, although all canaries share one training run.

    Steinke, Nasr & Jagielski 2023, Appendix D: the largest ε whose `p_value` is at most 1 − confidence.

    Every canary is in or out by its own fair coin, and the guesses may use whatever came out of the run,
    but none of the coins that are guessed. So `Design.COINS` is admitted as well, for the records
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

    def bound(right: int) -> float:
        return bound_of_guesses(right, made, 0, trials, 0.5, delta, error)

    epsilon, ceiling, evidence = bound(guesses.right), bound(made), of_guesses(guesses, bound, confidence)
    return AuditResult(epsilon, delta, confidence, ONE_RUN, neighbours, design, trials, ceiling, evidence)


def of_guesses(guesses: Guesses, bound: Callable[[int], float], confidence: float) -> Evidence:
    """Return the evidence of guesses; ``bound`` takes how many are right."""
    made, right, lots = guesses.guesses, guesses.right, guesses.by_lot
    error = (1 - confidence) / 2
    share = (right + lots / 2) / made if made else 0.5
    low, high = proportion_at_least(right, made, error), proportion_at_most(right + lots, made, error)
    rank = Estimate(share, min(low, share), max(high, share), confidence, "Clopper-Pearson")
    flat = "" if made > lots else "equal scores, or none, decide all guesses"
    turned = bound(made - right - lots)
    return Evidence("right guesses", rank, bound(made - guesses.lost), turned, flat, guesses.coins)


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
    return bound_of_guesses(made, made, 0, canaries, 0.5, delta, allowed_error(confidence))


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
def bound_of_guesses(
    right: int, ins: int, outs: int, canaries: int, p_in: float, delta: float, error: float
) -> float:
    """Return the largest ε that so many right guesses refute."""
    of = p_value_of(right, ins + outs, canaries, delta)
    if p_in != 0.5:
        of = p_value_of_biased(right, ins, outs, p_in)
    return largest_refuted(lambda epsilon: of(epsilon) <= error)


def p_value_of(right: int, guesses: int, canaries: int, delta: float) -> Callable[[float], float]:
    """Return the p-value as a function of ε; what does not depend on ε is computed once."""
    ways = _log_ways(guesses) if delta > 0 else np.empty(0)

    def p_value(epsilon: float) -> float:
        luck = float(bdtr(guesses - right, guesses, expit(-epsilon)))
        if delta == 0 or right == 0:
            return luck
        fewer = _seen(right, guesses, epsilon)
        of_each = np.exp(ways[fewer] + fewer * log_expit(epsilon) + (guesses - fewer) * log_expit(-epsilon))
        steepest = float(np.max(np.cumsum(of_each) / (right - fewer)))
        return min(1.0, luck + 2 * canaries * delta * steepest)

    return p_value


@lru_cache(maxsize=8)  # what was seen and what could have been are of the same numbers of guesses
def _log_ways(guesses: int) -> Float[ndarray, "numbers"]:
    some = np.arange(guesses + 1)
    return gammaln(guesses + 1) - gammaln(some + 1) - gammaln(guesses - some + 1)


def _seen(right: int, guesses: int, epsilon: float) -> Int[ndarray, "numbers"]:
    """Return the numbers below ``right`` whose chance is no 0 as a float, falling: the others add nothing."""
    expected, reach = guesses * float(expit(epsilon)), 20 * np.sqrt(guesses)  # e^−800 (Hoeffding 1963)
    first = max(0, min(int(expected - reach), right - 1))
    return np.arange(first, min(right, int(expected + reach) + 1))[::-1]
