"""Two rates of a rule that was fixed in advance: each with its exact limit, or both at once."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import bdtr, bdtrc, betaincinv

from mialab._bisection import bisect
from mialab.audit.claims import Claim, Family, Rates, ends_of
from mialab.audit.evidence import Rule
from mialab.audit.result import largest_refuted

Whole = int | np.integer | ndarray
Least = Int[ndarray, "false_positives"]  # how many true ones tell as much, for each number of false ones
Sides = tuple[int, int]

_TIE = 1e-9  # outcomes whose evidence differs by less count as equal, so that more of them are extreme
_LIKELY = 20  # pieces of which the middle is tried as well
_NUMBERS = 500  # false positives on either side of the expected number that are not taken together
_PIECES = 2000  # a worst case that needs more of them is given up, and the claim is not refuted
_CLOSE = 1e-2  # how closely, of itself, a p-value is bounded from above
_ROUNDING = 1e-14  # what logarithms and quantiles may have lost
_UNSEEN = 2 * np.exp(-72.0)  # what the sum over false positives leaves out on both sides: part of the p-value


def lower_limits(successes: Whole, trials: int, error: float) -> Float[ndarray, "*trials"]:
    """Return the exact one-sided lower limits of many proportions (Clopper & Pearson 1934)."""
    some = np.maximum(successes, 1)
    return np.asarray(np.where(np.asarray(successes) > 0, betaincinv(some, trials - some + 1, error), 0.0))


def rate_limits(
    true_positives: Whole, false_positives: Whole, sides: Sides, error: float
) -> tuple[Float[ndarray, "*members"], Float[ndarray, "*others"]]:
    """Return TPR_lo and 1 − FPR_hi; both hold at once but with probability ``error``."""
    members, non_members = sides
    spared = non_members - np.asarray(false_positives)
    return lower_limits(true_positives, members, error / 2), lower_limits(spared, non_members, error / 2)


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def bound_of_limits(rule: Rule, family: Family, error: float) -> float:
    """Return the number of the family that two limits prove, each with half of the error.

    The limits of the swapped roles are the same two, TNR_lo = 1 − FPR_hi and FNR_hi = 1 − TPR_lo, so the
    better of both roles costs nothing.
    """
    proved = float(family.just_allowing(*rate_limits(rule.true, rule.false, rule.sides, error)))
    return max(0.0, proved * (1 - _ROUNDING))


def p_value_of_limits(rule: Rule, claim: Claim) -> float:
    """Return the smallest error at which the two limits lie above the claimed curve."""

    def refuted(log_error: float) -> bool:
        tpr, tnr = rate_limits(rule.true, rule.false, rule.sides, float(np.exp(log_error)))
        return bool(tpr > claim.tpr(1 - tnr))

    if not refuted(0.0):
        return 1.0
    return float(np.exp(bisect(refuted, 0.0, -80.0, close=1e-10)[0]))


def p_value_of_both(rule: Rule, claim: Claim) -> float:
    """Return the largest chance of counts at least as telling as these, whatever rates the claim allows.

    Outcomes are ordered by `p_value_of_limits`. That order does not depend on the outcome, so the p-value
    is valid, and it is never above the one of the two limits. More true and fewer false positives are more
    telling; so the worst rates lie on the curve, and between two of its points no rates are worse than the
    higher TPR with the lower FPR: pieces are halved until that is close, and their upper bound is returned.
    """
    error = p_value_of_limits(rule, claim)
    if error >= 1:
        return 1.0
    tpr, tnr = _all_limits(rule.sides, error)
    least = np.searchsorted(tpr, claim.tpr(1 - tnr), side="right")
    return min(1.0, _worst_case(least, rule.sides, claim) + _UNSEEN)


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def bound_of_both(rule: Rule, family: Family, error: float) -> float:
    """Return the number of the family that both rates together prove.

    `bound_of_limits` pays for two limits, and both are seldom wrong at once. Here it only *orders* the
    outcomes by how telling they are, and a claim is refuted if, for all rates that it allows, an outcome
    at least as telling as this one has probability of at most ``error``: the best bound that keeps
    this order (Buehler 1957). The order depends on no claim, and a larger one allows more rates. So one
    proof is enough: guess the largest claim that no known rates save, prove it, and where that fails learn
    rates that save it.

    The worst rates lie on the curve. It is cut into pieces; telling outcomes are likelier with a higher TPR
    and a lower FPR, so no rates on a piece are worse than its highest TPR with its lowest FPR, and pieces are
    halved until that decides. For ε it takes a fraction of a second for 5,000 trials on either side, and some
    seconds for a million in all; μ is searched for less closely, and takes as long.
    """
    least, known = as_telling(rule, family, error), np.empty(0)

    def unsaved(number: float) -> bool:
        fpr = np.append(known, family.likely_worst(number))
        return not (_probability(least, rule.sides, family.claim(number).tpr(fpr), fpr) > error).any()

    low = largest_refuted(unsaved, close=family.close)
    for tries in range(60):
        if (found := _objection(least, rule.sides, family.claim(low), error)) is None:
            return low
        known = np.append(known, _worst_near(found, least, rule.sides, family.claim(low)))
        lower = largest_refuted(unsaved, close=family.close)
        low = max(lower if lower < low else low - family.close * 2**tries, 0.0)
        if low == 0:
            return 0.0
    return 0.0


def as_telling(rule: Rule, family: Family, error: float) -> Least:
    """Return, for each number of false positives, from how many true ones on it tells as much as this rule.

    One more than there are members where no number does.
    """
    tpr, tnr = _all_limits(rule.sides, error)
    told = float(family.just_allowing(tpr[rule.true], tnr[rule.false])) - _TIE
    if told == -np.inf:
        return np.zeros(rule.non_members + 1, dtype=int)
    return np.searchsorted(tpr, family.claim(told).tpr(1 - tnr))


@lru_cache(maxsize=16)
def _all_limits(sides: Sides, error: float) -> tuple[ndarray, ndarray]:
    """Return TPR_lo and 1 − FPR_hi of all numbers of true and of false positives."""
    both = rate_limits(np.arange(sides[0] + 1), np.arange(sides[1] + 1), sides, error)
    for limits in both:
        limits.flags.writeable = False
    return both


def _objection(least: Least, sides: Sides, claim: Claim, error: float) -> float | None:
    """Return an FPR of the curve that reaches them more often, or that could not be ruled out, or None."""
    ends = ends_of(claim)
    low, high = ends[:-1], ends[1:]
    for _ in range(60):
        most = _probability(least, sides, claim.tpr(high), low)
        low, high, most = low[most > error], high[most > error], most[most > error]
        if not len(low):
            return None
        middle = (low + high) / 2
        likely = middle[np.argsort(most)[-_LIKELY:]]
        reached = _probability(least, sides, claim.tpr(likely), likely)
        if len(low) > _PIECES or (reached > error).any():
            return float(likely[np.argmax(reached)])
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    return float(low[0])


def _worst_near(fpr: float, least: Least, sides: Sides, claim: Claim) -> float:
    """Return an FPR around this one that reaches them still more often."""
    for width in 1 / (20 * 8 ** np.arange(4.0)):
        some = np.clip(fpr + width * np.linspace(-1, 1, 21), 0, 1)
        fpr = float(some[np.argmax(_probability(least, sides, claim.tpr(some), some))])
    return fpr


def _worst_case(least: Least, sides: Sides, claim: Claim) -> float:
    """Return a close upper bound on the chance of these outcomes, for all rates that the claim allows."""
    ends, reached, bound, above = ends_of(claim), 0.0, 0.0, np.ones(1)
    low, high = ends[:-1], ends[1:]
    for _ in range(60):
        above = _probability(least, sides, claim.tpr(high), low)
        middle = (low + high) / 2
        reached = max(reached, float(_probability(least, sides, claim.tpr(middle), middle).max()))
        open_ = above > reached * (1 + _CLOSE)
        bound = max(bound, float(np.max(above, where=~open_, initial=0.0)))
        if not open_.any():
            return bound
        if open_.sum() > _PIECES:
            break
        low, middle, high = low[open_], middle[open_], high[open_]
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    return max(bound, float(above.max()))


def _probability(
    least: Least, sides: Sides, tpr: Rates, fpr: Float[ndarray, "pieces"]
) -> Float[ndarray, "pieces"]:
    """Return how likely the outcomes are at these rates: a sum over the false positives.

    Numbers further than 12σ + 48 from the expected one have a chance of e^−72 (Bernstein's inequality), which
    no sum of floats would notice. Where the others are thousands, they are taken in blocks, each as if all
    of it were its smallest number, for which the fewest true positives are enough: never less than the
    truth, and more by a shift of about σ/100.
    """
    members, non_members = sides
    reach = np.ceil(12 * np.sqrt(non_members * fpr * (1 - fpr)) + 48).astype(int)
    block = -(-reach // _NUMBERS)
    steps = int(np.max(-(-reach // block)))
    around = np.floor(fpr * non_members).astype(int) + block * np.arange(-steps, steps + 1)[:, None]
    false = np.clip(around, 0, non_members)
    weight = np.diff(bdtr(false * 1.0, non_members, fpr), axis=0, prepend=0.0)
    asked = least[np.minimum(np.maximum(around - block + 1, 0), false)]
    enough = np.where(asked > 0, bdtrc(np.clip(asked - 1, 0, members) * 1.0, members, tpr), 1.0)
    return (weight * enough).sum(axis=0)
