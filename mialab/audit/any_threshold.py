"""The threshold may be chosen from the data: a few cuts through the ranking share the allowed error."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import bdtrc, betaln, xlog1py, xlogy

from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit._quadrature import borders, highest_tpr, panels
from mialab.audit.biased import check_bias, p_value_of_biased
from mialab.audit.evidence import of_ranks, p_of_coins, with_auc
from mialab.audit.one_run import p_value_of
from mialab.audit.ranks import Ranks, ranks_of
from mialab.audit.result import AuditResult, Method, allowed_error, check_terms, largest_refuted
from mialab.game import Design, Outcome

ANY_THRESHOLD = Method("any threshold", (Design.RUNS, Design.COINS, Design.ONE_RUN))
MIDDLE = 0.4  # the share of the allowed error that the cut in the middle may spend
ENDS = (1 / 4, 1 / 10, 1 / 25)  # where else the ranking is cut, from either end


class RankTest(NamedTuple):
    """How many of the highest are members, and how many records, members and non-members there are."""

    found: int
    places: int
    members: int
    non_members: int

    def all_right(self) -> "RankTest":
        """Return what a perfect ranking would have come to."""
        return self._replace(found=min(self.places, self.members))

    def luck(self, delta: float) -> Callable[[float], float]:
        """Return the p-value as a function of ε."""
        found, places, *sides = self
        return lambda epsilon: rank_p_value(found, places, (sides[0], sides[1]), epsilon, delta)


class GuessTest(NamedTuple):
    """How many guesses are right, how many were in and out, of how many canaries, and their bias."""

    right: int
    ins: int
    outs: int
    canaries: int
    p_in: float

    def all_right(self) -> "GuessTest":
        """Return the same number of guesses, all of them right."""
        return self._replace(right=self.ins + self.outs)

    def luck(self, delta: float) -> Callable[[float], float]:
        """Return the p-value as a function of ε."""
        if self.p_in != 0.5:
            return p_value_of_biased(*self[:3], self.p_in)
        return p_value_of(self.right, self.ins + self.outs, self.canaries, delta)


Tests = tuple[tuple[float, RankTest | GuessTest], ...]


@door
def any_threshold(
    outcome: Outcome,
    *,
    neighbours: Neighbours,
    delta: float = 0.0,
    confidence: float = 0.95,
    p_in: float = 0.5,
) -> AuditResult:
    """Return the ε that a ranking proves: no threshold need be fixed, nothing is spent on choosing it.

    The ranking is cut at places that depend on the number of trials only: in the middle, and at 1/4, 1/10
    and 1/25 of the trials from either end. Each cut has an exact test of its own. The middle may err with
    0.4 of the allowed error and the others share the rest equally, so that one of them is wrong with
    no more than all of it (Bonferroni): ε is refuted if a single one refutes it.

    * Independent runs, their number on either side fixed in advance: the test is `rank_p_value`.
    * Coins: the highest places are guessed in, or the lowest out, or both, and every record
      in the middle; the test is that of `one_run`, on its conditions. Of coins with a known bias the middle
      is where a share ``p_in`` lies above, and the test is `biased.p_value_of_biased`.

    Equal scores count for the mechanism: members stand below the non-members whom they are equal to.

    Parameters
    ----------
    outcome
        Scores of all trials, with their design.
    neighbours, delta, confidence
        As in `fixed_threshold`.
    p_in
        As in `accuracy`.

    Raises
    ------
    ValueError
        If a number is out of its range, the design is another, or ``p_in`` is not ½ though δ > 0 or there are
        no coins.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> member = np.arange(2000) < 1000
    >>> outcome = Outcome(rng.normal(size=2000) + 3 * member, member, design=Design.RUNS)
    >>> print(any_threshold(outcome, neighbours=Neighbours.REPLACE))
    ε ≥ 4.546 at δ = 0 (95 % confident, any threshold)
    """
    check_terms(delta, confidence, neighbours)
    ANY_THRESHOLD.admit(outcome.design)
    check_bias(p_in, delta)
    ranks, design, error = ranks_of(outcome), outcome.design, allowed_error(confidence)
    coins = p_of_coins(design, ranks.member.size, ranks.score.size, p_in)

    def bound(some: Ranks) -> float:
        return _bound(_tests(some, design, p_in), delta, error)

    epsilon, evidence = bound(ranks), of_ranks(ranks, bound, confidence=confidence, coins=coins)
    all_right = tuple((share, test.all_right()) for share, test in _tests(ranks, design, p_in))
    terms = delta, confidence, ANY_THRESHOLD, neighbours, design, ranks.score.size
    return AuditResult(epsilon, *terms, ceiling=_bound(all_right, delta, error), evidence=evidence)


def with_scores(result: AuditResult, ranks: Ranks, *, p_in: float = 0.5) -> AuditResult:
    """Say of what counts or guesses proved how the scores rank that they were made of."""
    if result.evidence is None:
        return result
    tests = _tests(ranks.turned(), result.design, p_in)
    turned = _bound(tests, result.delta, allowed_error(result.confidence))
    return replace(result, evidence=with_auc(result.evidence, ranks, turned, confidence=result.confidence))


def rank_p_value(
    found: int, places: int, sides: tuple[int, int], epsilon: float, delta: float = 0.0
) -> float:
    """Return at most how likely so many members are in the highest ``places``, against (ε, δ).

    Put every trial at the false-positive rate that accusing from its score on would have. Then non-members
    are uniform on [0, 1], and members have the distribution function TPR(u), which stays below f(u) =
    min(e^ε · u + δ, 1 − (1 − u − δ)/e^ε, 1) (Kairouz, Oh & Viswanath 2015). Draw members from f
    instead, with the same luck, and each of them only climbs: so the chance is largest for f itself, at all
    cuts at once. At least t members are in the highest k exactly if t of them stand above the
    non-member number j = k − t + 1, whose place is Beta(j, n₀ − j + 1); the chance is
    E P(Bin(n₁, f(U)) ≥ t) over that place U. Where scores are equal, read them in any order drawn without
    looking at membership: TPR is a straight line there, and still below f, which is concave.

    Parameters
    ----------
    found
        How many of the highest are members.
    places
        How many are the highest; fixed in advance.
    sides
        Members and non-members.
    epsilon, delta
        What is to be refuted.

    Examples
    --------
    >>> round(rank_p_value(2, 2, (2, 2), epsilon=0.0), 6)  # one of six orders
    0.166667
    """
    members, non_members = sides
    above = places - found + 1
    if found > min(places, members):
        return 0.0
    if found == 0 or above > non_members:
        return 1.0
    place, weight = panels(borders(found, above, sides, epsilon, delta))
    log_density = xlogy(above - 1, place) + xlog1py(non_members - above, -place)
    density = np.exp(log_density - betaln(above, non_members - above + 1))
    return float(weight @ (density * bdtrc(found - 1, members, highest_tpr(place, epsilon, delta))))


def middle_and_ends(trials: int) -> tuple[int, tuple[int, ...]]:
    """Return where the ranking is cut: the middle, and how far from either end.

    Examples
    --------
    >>> middle_and_ends(1000)
    (500, (250, 100, 40))
    """
    return trials // 2, tuple(max(1, round(part * trials)) for part in ENDS)


def _tests(ranks: Ranks, design: Design, p_in: float) -> Tests:
    return _rank_tests(ranks) if design == Design.RUNS else _guess_tests(ranks, p_in)


def _rank_tests(ranks: Ranks) -> Tests:
    """Return each cut's share of the error, and what was found there."""
    members, trials = ranks.member.size, ranks.score.size
    middle, ends = middle_and_ends(trials)
    cuts = [middle, *ends, *(trials - end for end in ends)]
    found = ranks.surely(np.array(cuts)).tolist()
    tests = (RankTest(*hits, members, trials - members) for hits in zip(found, cuts, strict=True))
    return tuple(zip(_shares(len(cuts) - 1), tests, strict=True))


def _guess_tests(ranks: Ranks, p_in: float) -> Tests:
    """Return each number of guesses with its share of the error, and how many were right."""
    trials = ranks.score.size
    _, ends = middle_and_ends(trials)
    middle = int(p_in * trials)
    made = [(middle, trials - middle), *(pair for end in ends for pair in ((end, 0), (0, end), (end, end)))]
    right = ranks.right(*np.array(made).T).tolist()
    tests = (GuessTest(one, *pair, trials, p_in) for one, pair in zip(right, made, strict=True))
    return tuple(zip(_shares(len(made) - 1), tests, strict=True))


def _shares(others: int) -> list[float]:
    return [MIDDLE] + [(1 - MIDDLE) / others] * others


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def _bound(tests: Tests, delta: float, error: float) -> float:
    best = 0.0
    for share, test in tests:
        refuted = _refuted(test.luck(delta), share * error)
        if refuted(best):  # else this test proves no more than the ones before it
            best = max(best, largest_refuted(refuted))
    return best


def _refuted(luck: Callable[[float], float], error: float) -> Callable[[float], bool]:
    return lambda epsilon: luck(epsilon) <= error
