"""The threshold may be chosen from the data: a few cuts through the ranking share the allowed error."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.special import bdtrc, betaln, xlog1py, xlogy

from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit._quadrature import borders, highest_tpr, panels
from mialab.audit.one_run import Guesses, guess, p_value_of
from mialab.audit.result import AuditResult, Method, allowed_error, check_terms, largest_refuted
from mialab.game import Design, Outcome

ANY_THRESHOLD = Method("any threshold", (Design.RUNS, Design.COINS, Design.ONE_RUN))
MIDDLE = 0.4  # the share of the allowed error that the cut in the middle may spend
ENDS = (1 / 4, 1 / 10, 1 / 25)  # where else the ranking is cut, from either end

RankTest = tuple[int, int, int, int]  # members found, places, members, non-members
Tests = tuple[tuple[float, RankTest | Guesses], ...]


@door
def any_threshold(
    outcome: Outcome, *, neighbours: Neighbours, delta: float = 0.0, confidence: float = 0.95
) -> AuditResult:
    """Return the ε that a ranking proves: no threshold need be fixed, nothing is spent on choosing it.

    The ranking is cut at places that depend on the number of trials only: in the middle, and at 1/4, 1/10
    and 1/25 of the trials from either end. Each cut has an exact test of its own. The middle may err with
    0.4 of the allowed error and the others share the rest equally, so that one of them is wrong with
    no more than all of it (Bonferroni): ε is refuted if a single one refutes it.

    * Independent runs, their number on either side fixed in advance: the test is `rank_p_value`.
    * Coins: the highest places are guessed in, or the lowest out, or both, and every record
      in the middle; the test is that of `one_run`, on its conditions.

    Equal scores count for the mechanism: members stand below the non-members whom they are equal to.

    Parameters
    ----------
    outcome
        Scores of all trials, with their design.
    neighbours, delta, confidence
        As in `fixed_threshold`.

    Raises
    ------
    ValueError
        If a number is out of its range, or the design is another.

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
    tests = _rank_tests(outcome) if outcome.design == Design.RUNS else _guess_tests(outcome)
    all_right = tuple((share, _all_right(test)) for share, test in tests)
    epsilon, ceiling = (_bound(some, delta, allowed_error(confidence)) for some in (tests, all_right))
    trials = outcome.member.size
    return AuditResult(epsilon, delta, confidence, ANY_THRESHOLD, neighbours, outcome.design, trials, ceiling)


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


def _rank_tests(outcome: Outcome) -> Tests:
    """Return each cut's share of the error, and what was found there."""
    order = np.lexsort((outcome.member, -outcome.score))
    found = np.append(0, np.cumsum(outcome.member[order]))
    members, trials = int(found[-1]), outcome.member.size
    middle, ends = middle_and_ends(trials)
    others = [*ends, *(trials - end for end in ends)]
    cuts = [(int(found[cut]), cut, members, trials - members) for cut in (middle, *others)]
    return tuple(zip(_shares(len(others)), cuts, strict=True))


def _guess_tests(outcome: Outcome) -> Tests:
    """Return each number of guesses with its share of the error, and how many were right."""
    trials = outcome.member.size
    middle, ends = middle_and_ends(trials)
    others = [pair for end in ends for pair in ((end, 0), (0, end), (end, end))]
    made = [guess(outcome, ins=ins, outs=outs) for ins, outs in ((middle, trials - middle), *others)]
    return tuple(zip(_shares(len(others)), made, strict=True))


def _shares(others: int) -> list[float]:
    return [MIDDLE] + [(1 - MIDDLE) / others] * others


def _all_right(test: RankTest | Guesses) -> RankTest | Guesses:
    if isinstance(test, Guesses):
        return replace(test, right=test.guesses)
    _, places, members, non_members = test
    return min(places, members), places, members, non_members


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def _bound(tests: Tests, delta: float, error: float) -> float:
    lucks = [(_luck_of(test, delta), share * error) for share, test in tests]
    return largest_refuted(lambda epsilon: any(luck(epsilon) <= allowed for luck, allowed in lucks))


def _luck_of(test: RankTest | Guesses, delta: float) -> Callable[[float], float]:
    """Return the p-value as a function of ε."""
    if isinstance(test, Guesses):
        return p_value_of(test.right, test.guesses, test.canaries, delta)
    found, places, *sides = test
    return lambda epsilon: rank_p_value(found, places, (sides[0], sides[1]), epsilon, delta)
