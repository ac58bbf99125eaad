"""The threshold may be chosen from the data: the ranking is cut at places that no label decides.

Two tests. `bound_of_cuts` takes (ε, δ), on independent runs and on coins. `p_value_of_order` takes any curve,
on independent runs. In both, equal scores count for the mechanism.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import bdtrc, betainccinv, betaln, expit, xlog1py, xlogy

from mialab._quadrature import panels
from mialab.audit import one_run
from mialab.audit.claims import Claim, Epsilon, EpsilonDelta, Family
from mialab.audit.evidence import AllRight, Made, Ranks
from mialab.audit.result import largest_refuted
from mialab.game import Design
from mialab.tradeoff import DominatingPair

MIDDLE = 0.4  # the share of the allowed error that the cut in the middle may spend
ENDS = (1 / 4, 1 / 10, 1 / 25)  # where else the ranking is cut, from either end
_CLOSE = 1e-3  # how closely a bound of `p_value_of_order` is searched for; the refuted end is kept
_SPREADS = np.concatenate([[-40, -20], np.arange(-12.0, 13), [20, 40]])
_TAILS = np.append(
    1.0,
    expit(np.concatenate([np.arange(20, -8, -0.01), np.arange(-8, -30, -0.04), np.arange(-30, -70, -0.25)])),
)


class Cut(NamedTuple):
    """How many of the highest are members, and how many records, members and non-members there are."""

    found: int
    places: int
    members: int
    non_members: int


Cuts = tuple[tuple[float, Cut | Made], ...]


def bound_of_cuts(ranks: Ranks, family: Epsilon, error: float) -> float:
    """Return the ε that the cuts prove, which share the error.

    The ranking is cut at places that depend on the number of trials only: in the middle, and at 1/4, 1/10
    and 1/25 of the trials from either end. Each cut has an exact test of its own. The middle may err with
    0.4 of the allowed error and the others share the rest equally, so that one of them is wrong with
    no more than all of it (Bonferroni): ε is refuted if a single one refutes it.

    * Independent runs, their number on either side fixed in advance: the test is `p_value_of_cut`.
    * Coins: the highest places are guessed in, or the lowest out, or both, and every record
      in the middle; the test is that of one run. Of coins with a known bias the middle
      is where a share ``p_in`` lies above.
    """
    return _bound(cuts_of(ranks), family, error)


def p_value_of_cuts(ranks: Ranks, claim: EpsilonDelta) -> float:
    """Return the smallest p-value of the cuts, each divided by its share of the error."""
    return min(1.0, *(_p_value(cut, claim) / share for share, cut in cuts_of(ranks)))


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def _bound(cuts: Cuts, family: Epsilon, error: float) -> float:
    best = 0.0
    for share, cut in cuts:
        refuted = _refuted(cut, family, share * error)
        if refuted(best):  # else this cut proves no more than the ones before it
            best = max(best, largest_refuted(refuted))
    return best


def _refuted(cut: Cut | Made, family: Epsilon, error: float) -> Callable[[float], bool]:
    return lambda epsilon: _p_value(cut, family.claim(epsilon)) <= error


def _p_value(cut: Cut | Made, claim: EpsilonDelta) -> float:
    return p_value_of_cut(cut, claim) if isinstance(cut, Cut) else one_run.p_value(cut, claim)


def cuts_of(ranks: Ranks) -> Cuts:
    """Return each cut's share of the error, and what was found there."""
    (members, non_members), trials = ranks.sides, ranks.score.size
    middle, ends = middle_and_ends(trials)
    if ranks.design == Design.RUNS:
        places = [middle, *ends, *(trials - end for end in ends)]
        found = ranks.surely(np.array(places)).tolist()
        cuts = [Cut(*hits, members, non_members) for hits in zip(found, places, strict=True)]
    else:
        middle = int(ranks.p_in * trials)
        made = [(middle, trials - middle)]
        made += [pair for end in ends for pair in ((end, 0), (0, end), (end, end))]
        right = ranks.right(*np.array(made).T).tolist()
        cuts = [Made(hits, *pair, trials, ranks.p_in) for hits, pair in zip(right, made, strict=True)]
    others = len(cuts) - 1
    return tuple(zip([MIDDLE] + [(1 - MIDDLE) / others] * others, cuts, strict=True))


def middle_and_ends(trials: int) -> tuple[int, tuple[int, ...]]:
    """Return where the ranking is cut: the middle, and how far from either end.

    Examples
    --------
    >>> middle_and_ends(1000)
    (500, (250, 100, 40))
    """
    return trials // 2, tuple(max(1, round(part * trials)) for part in ENDS)


def p_value_of_cut(cut: Cut, claim: EpsilonDelta) -> float:
    """Return at most how likely so many members are in the highest places, which were fixed in advance.

    Put every trial at the false-positive rate that accusing from its score on would have. Then non-members
    are uniform on [0, 1], and members have the distribution function TPR(u), which stays below f(u) =
    min(e^ε · u + δ, 1 − (1 − u − δ)/e^ε, 1) (Kairouz, Oh & Viswanath 2015). Draw members from f
    instead, with the same luck, and each of them only climbs: so the chance is largest for f itself, at all
    cuts at once. At least t members are in the highest k exactly if t of them stand above the
    non-member number j = k − t + 1, whose place is Beta(j, n₀ − j + 1); the chance is
    E P(Bin(n₁, f(U)) ≥ t) over that place U. Where scores are equal, read them in any order drawn without
    looking at membership: TPR is a straight line there, and still below f, which is concave.

    Examples
    --------
    >>> round(p_value_of_cut(Cut(2, 2, 2, 2), EpsilonDelta(0.0, 0.0)), 6)  # one of six orders
    0.166667
    """
    found, places, members, non_members = cut
    above = places - found + 1
    if found > min(places, members):
        return 0.0
    if found == 0 or above > non_members:
        return 1.0
    place, weight = panels(borders(found, above, (members, non_members), *claim))
    log_density = xlogy(above - 1, place) + xlog1py(non_members - above, -place)
    density = np.exp(log_density - betaln(above, non_members - above + 1))
    return float(weight @ (density * bdtrc(found - 1, members, claim.tpr(place))))


def borders(
    found: float, above: float, sides: tuple[int, int], epsilon: float, delta: float
) -> Float[ndarray, "borders"]:
    """Cut [0, 1] at the corners of f, and finely where the non-member is and where the binomial turns."""
    members, non_members = sides
    mean, grows = above / (non_members + 1), np.exp(epsilon)
    place = mean + _SPREADS * np.sqrt(mean * (1 - mean) / (non_members + 2))
    rate = found / (members + 1)
    tpr = rate + _SPREADS * np.sqrt(rate * (1 - rate) / (members + 2))
    turn = np.maximum((tpr - delta) / grows, 1 - delta - (1 - tpr) * grows)
    corners = [0.0, (1 - delta) * expit(-epsilon), 1 - delta, 1.0]
    return np.unique(np.clip(np.concatenate([place, turn, corners]), 0, 1))


def p_value_of_order(ranks: Ranks, claim: Claim) -> float:
    """Return a p-value of a curve at all thresholds at once, which the scores themselves set.

    "Accuse what scores above the j-th highest of the n non-members", for j = 1, 2, 4, … up to n/2. The FPR
    of that rule is unknown, and its distribution is known: at most Beta(j, n − j + 1), whatever the scores
    (order statistics; equal scores only make it smaller). Given the non-members, the m members are fresh
    trials, accused with a TPR of at most curve.tpr(FPR). So the mean of P(Bin(m, curve.tpr(FPR)) ≥ accused)
    over that distribution is an exact p-value, in which nothing unknown is left. The roles are swapped as
    well: "spare what scores below the j-th lowest member". All these rules share the error (Bonferroni).

    The mean is a sum over quantiles, each taken at its worse end.
    """
    return _p_of_passed(passed(ranks), ranks.sides, claim)


def bound_of_order(ranks: Ranks, family: Family, error: float) -> float:
    """Return the largest number of the family that is refuted: p-values rise with the curve."""
    beyond, sides = passed(ranks), ranks.sides
    return largest_refuted(
        lambda number: _p_of_passed(beyond, sides, family.claim(number)) <= error, close=_CLOSE
    )


def passed(ranks: Ranks) -> tuple[Int[ndarray, "cuts"], Int[ndarray, "others"]]:
    """Return how many members are above the first cuts, and how many non-members below the second."""
    m, n = ranks.sides
    if isinstance(ranks, AllRight):
        return np.full(cuts(n).shape, m), np.full(cuts(m).shape, n)
    member, non_member = ranks.member, ranks.non_member
    above = m - np.searchsorted(member, non_member[n - cuts(n)], side="right")
    return above, np.searchsorted(non_member, member[cuts(m) - 1], side="left")


def cuts(size: int) -> Int[ndarray, "cuts"]:
    """Return the ranks that are looked at: 1, 2, 4, … up to half of the records."""
    return 2 ** np.arange(max(1, int(np.log2(size))))


def _p_of_passed(beyond: tuple[ndarray, ndarray], sides: tuple[int, int], claim: Claim) -> float:
    swapped = claim.swapped() if isinstance(claim, DominatingPair) else claim
    (above, below), (m, n) = beyond, sides
    every = np.concatenate([p_of_cuts(above, m, n, claim.tpr), p_of_cuts(below, n, m, swapped.tpr)])
    return float(min(1.0, every.size * every.min()))


def p_of_cuts(hits: Int[ndarray, "cuts"], trials: int, others: int, tpr: Callable) -> Float[ndarray, "cuts"]:
    """Return, for each cut by rank among the others, the p-value of so many of the trials beyond it."""
    reached = bdtrc(hits[:, None] - 1.0, trials, np.clip(tpr(_quantiles(others)), 0, 1))
    reached = np.where(hits[:, None] > 0, reached, 1.0)
    return reached @ -np.diff(_TAILS, append=0.0)


@lru_cache(maxsize=64)
def _quantiles(others: int) -> Float[ndarray, "cuts quantiles"]:
    """Return the FPR of each cut that is exceeded with the next smaller of the tail probabilities."""
    ranks = cuts(others)[:, None]
    upper = betainccinv(ranks, others - ranks + 1, np.append(_TAILS[1:], 0.0))
    return np.clip(upper, 0, 1)
