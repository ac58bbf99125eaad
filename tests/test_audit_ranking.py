"""Tests of a ranking: a threshold that nobody fixed in advance, and cuts at the scores themselves."""

from importlib import import_module
from itertools import combinations
from math import factorial

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom, hypergeom

from mialab.accounting import Guarantee, Neighbours
from mialab.audit import ceiling, lower_bound, p_value, split
from mialab.audit.evidence import Made
from mialab.audit.one_run import p_value_of_biased
from mialab.audit.ranking import MIDDLE, middle_and_ends
from mialab.game import Design, Outcome
from refuting import p_of_cut, p_of_guesses

ERROR = 0.05
SAME = {"neighbours": Neighbours.REPLACE}
EPSILONS = (0.0, 0.01, 0.5, float(np.log(3)), 2.0, 4.0)


def worst_regions(epsilon: float, delta: float) -> tuple[list[float], list[float]]:
    """Return the chances of members and non-members in four places, from the highest down."""
    often, seldom = (1 - delta) * float(expit(epsilon)), (1 - delta) * float(expit(-epsilon))
    return [delta, often, seldom, 0.0], [0.0, seldom, often, delta]


def chance_of_orders(orders: np.ndarray, member: list[float], non_member: list[float]) -> np.ndarray:
    """Return how likely each order (orders, trials; True for a member) is: add up every way to cut it.

    Within a region any order is as likely as any other, so n₁! n₀! · Π μᵃ νᵇ/(a + b)! for each way.
    """
    many, trials = orders.shape
    members = np.hstack([np.zeros((many, 1)), np.cumsum(orders, axis=1)])
    reached = np.zeros((many, trials + 1))
    reached[:, 0] = 1
    for mu, nu in zip(member, non_member, strict=True):
        further = np.zeros_like(reached)
        for end in range(trials + 1):
            for start in range(end + 1):
                a = members[:, end] - members[:, start]
                way = mu**a * nu ** (end - start - a) / factorial(end - start)
                further[:, end] += reached[:, start] * way
        reached = further
    side = int(orders[0].sum())
    return reached[:, -1] * factorial(side) * factorial(trials - side)


def all_orders(members: int, non_members: int) -> np.ndarray:
    places = list(combinations(range(members + non_members), members))
    orders = np.zeros((len(places), members + non_members), dtype=bool)
    np.put_along_axis(orders, np.array(places), True, axis=1)
    return orders


def refuting_orders(orders: np.ndarray, epsilon: float, delta: float, error: float = ERROR) -> np.ndarray:
    """Read the method aloud: seven cuts of every order."""
    trials, members = orders.shape[1], int(orders[0].sum())
    middle, ends = middle_and_ends(trials)
    refutes = np.zeros(len(orders), dtype=bool)
    for cut in (middle, *ends, *(trials - end for end in ends)):
        share = MIDDLE if cut == middle else 0.1
        found = orders[:, :cut].sum(axis=1)
        of = [p_of_cut(t, cut, (members, trials - members), epsilon, delta) for t in range(cut + 1)]
        refutes |= np.array(of)[found] <= share * error
    return refutes


@pytest.mark.parametrize(("sides", "delta"), [((5, 4), 0.0), ((3, 6), 0.1), ((4, 4), 0.02)])
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_definition_the_chance_of_every_order(sides, delta, epsilon):
    orders = all_orders(*sides)
    chance = chance_of_orders(orders, *worst_regions(epsilon, delta))
    assert chance.sum() == pytest.approx(1, rel=1e-12)
    for cut in range(1, sum(sides)):
        found = orders[:, :cut].sum(axis=1)
        for t in range(found.min(), found.max() + 1):
            exact = chance[found >= t].sum()
            assert p_of_cut(t, cut, sides, epsilon, delta) == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize("sides", [(50, 50), (300, 40), (40, 300), (200, 3), (1, 400)])
def test_oracle_a_hypergeometric_in_either_half(sides, rng):
    """At δ = 0: how many fell into the upper region, and any order there and below it."""
    members, non_members = sides
    a, b = np.arange(members + 1)[:, None], np.arange(non_members + 1)
    for epsilon in EPSILONS:
        fell = binom.pmf(a, members, expit(epsilon)) * binom.pmf(b, non_members, expit(-epsilon))
        for cut in rng.integers(1, sum(sides), 4):
            t = int(rng.integers(max(0, cut - non_members), min(cut, members) + 1))
            upper = hypergeom.sf(t - 1, np.maximum(a + b, cut), a, cut)
            rest = hypergeom.sf(t - a - 1, sum(sides) - a - b, members - a, np.maximum(cut - a - b, 0))
            exact = np.sum(fell * np.where(a + b >= cut, upper, rest))
            ours = p_of_cut(t, int(cut), sides, epsilon)
            assert ours == pytest.approx(exact, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("error", [ERROR, 0.5])
@pytest.mark.parametrize(("sides", "delta"), [((6, 6), 0.0), ((5, 7), 0.0), ((9, 3), 0.05), ((6, 6), 0.05)])
def test_coverage_every_order_of_twelve_runs(sides, delta, error, rng):
    orders, shares = all_orders(*sides), []
    for epsilon in EPSILONS:
        refutes, grows = refuting_orders(orders, epsilon, delta, error), np.exp(epsilon)
        shares.append(chance_of_orders(orders, *worst_regions(epsilon, delta))[refutes].sum())
        for _ in range(5):  # and other mechanisms, whose best rule need not be a threshold
            non_member = rng.dirichlet(np.ones(4))
            often = rng.permutation(4)[:2]
            up = non_member[often].sum()
            ratio = min(grows, (1 - (1 - up) / grows) / up)  # TPR of these two, at most what ε allows
            member = non_member * (1 - ratio * up) / (1 - up)
            member[often] = non_member[often] * ratio
            shares.append(chance_of_orders(orders, member, non_member)[refutes].sum())
    assert max(shares) <= error
    assert error == ERROR or max(shares) > 0.1  # twelve runs prove little at 95 %


def guesses_of(middle: int, trials: int) -> list[tuple[int, int, float]]:
    """Return ten numbers of guesses "in" and "out", each with its share of the error."""
    ends = middle_and_ends(trials)[1]
    made = [(middle, trials - middle, MIDDLE)]
    return made + [(ins * end, outs * end, 0.6 / 9) for end in ends for ins, outs in ((1, 0), (0, 1), (1, 1))]


def refuting_falls(fell: np.ndarray, epsilon: float, delta: float) -> np.ndarray:
    """Read the method aloud: ten numbers of guesses for every fall of the coins, the highest score first."""
    trials = fell.shape[1]
    refutes = np.zeros(len(fell), dtype=bool)
    for ins, outs, share in guesses_of(trials // 2, trials):
        right = fell[:, :ins].sum(axis=1) + (~fell[:, trials - outs :]).sum(axis=1)
        of = {v: p_of_guesses(int(v), ins + outs, trials, epsilon, delta) for v in np.unique(right)}
        refutes |= np.array([of[v] <= share * ERROR for v in right])
    return refutes


def test_coverage_every_fall_of_twelve_coins():
    fell, shares = (np.arange(4096)[:, None] >> np.arange(12)) % 2 == 1, []
    for epsilon in (*EPSILONS, 1.2, 1.5):
        likely = np.where(np.arange(12) < 6, expit(epsilon), expit(-epsilon))
        chance = np.where(fell, likely, 1 - likely).prod(axis=1)
        shares.append(chance[refuting_falls(fell, epsilon, 0.0)].sum())
    assert 0.001 < max(shares) <= ERROR


@pytest.mark.parametrize("delta", [0.0, 0.03])
@pytest.mark.parametrize("design", [Design.RUNS, Design.ONE_RUN])
def test_definition_above_the_truth_exactly_when_the_truth_is_refuted(design, delta, rng):
    for _ in range(15):
        trials = int(rng.integers(8, 80))
        member = rng.permutation(np.arange(trials) < trials // 2)
        outcome = Outcome(rng.normal(size=trials) + 3 * member, member, design=design)
        bound = lower_bound(outcome, delta=delta, **SAME).value
        order = member[np.argsort(-outcome.score)][None]
        refuting = refuting_orders if design == Design.RUNS else refuting_falls
        assert bound == 0 or refuting(order, bound - 1e-9, delta)[0]
        assert not refuting(order, bound + 1e-9, delta)[0]


@pytest.mark.parametrize("p_in", [0.5, 0.3, 0.8])
def test_definition_cuts_know_the_bias_of_the_coins_and_not_how_they_fell(p_in, rng):
    """The number of members is random. "In" is guessed of as many as the bias says, which no coin decides."""
    told = 0
    for _ in range(40):
        trials = int(rng.integers(8, 80))
        member = rng.permutation(np.arange(trials) < np.clip(rng.binomial(trials, p_in), 1, trials - 1))
        outcome = Outcome(rng.normal(size=trials) + 2 * member, member, design=Design.COINS)
        fell = member[np.argsort(-outcome.score)]
        p_of_each = []
        for ins, outs, share in guesses_of(int(p_in * trials), trials):
            right = int(fell[:ins].sum() + (~fell[trials - outs :]).sum())
            p_of_each.append(p_value_of_biased(Made(right, ins, outs, trials, p_in), 0.2) / share)
        said = p_value(outcome, Guarantee(0.2, 0.0, Neighbours.REPLACE), p_in=p_in)
        assert said == pytest.approx(min(1.0, *p_of_each), rel=1e-9)
        told += p_of_each[0] == min(p_of_each) < 1 and member.sum() != int(p_in * trials)
    assert told > 5  # the cut in the middle decides, and another number of members would be another cut


@pytest.mark.parametrize("delta", [1e-9, 1e-4])
def test_definition_of_many_scores_no_number_is_left_out(delta, monkeypatch, rng):
    """The bound of sums over all numbers of right guesses, to the last digit."""
    audit, of_one_run = (import_module(f"mialab.audit.{name}") for name in ("ranking", "one_run"))
    member = rng.random(10_000) < 0.5
    outcome = Outcome(rng.normal(size=10_000) + 2 * member, member, design=Design.ONE_RUN)
    fast = lower_bound(outcome, delta=delta, **SAME)
    audit._bound.cache_clear()
    monkeypatch.setattr(of_one_run, "_likely", lambda *numbers: np.arange(numbers[-1] + 1))
    slow = lower_bound(outcome, delta=delta, **SAME)
    audit._bound.cache_clear()
    assert (fast.value, fast.ceiling) == (slow.value, slow.ceiling)
    assert 1 < fast.value < fast.ceiling


def test_limit_no_leak_everywhere_equal_and_upside_down():
    member = np.arange(200) % 2 == 0
    for design in (Design.RUNS, Design.COINS):
        for score in (np.zeros(200), -1.0 * member, np.arange(200.0)):
            assert lower_bound(Outcome(score, member, design=design), **SAME).value == 0


@pytest.mark.parametrize("design", [Design.RUNS, Design.COINS, Design.ONE_RUN])
def test_limit_a_perfect_attack_reaches_the_ceiling(design):
    member = np.arange(1000) < 500
    bound = lower_bound(Outcome(np.arange(1000)[::-1] * 1.0, member, design=design), **SAME)
    assert bound.value == bound.ceiling
    assert ceiling(500, 500) - 0.3 < bound.ceiling < ceiling(500, 500)


@pytest.mark.parametrize("design", [Design.RUNS, Design.ONE_RUN])
def test_limit_only_the_order_counts_and_a_larger_delta_never_proves_more(design, rng):
    member = rng.permutation(np.arange(300) < 150)
    score = rng.normal(size=300) + 3 * member
    bounds = [
        lower_bound(Outcome(some, member, design=design), delta=delta, **SAME).value
        for some, delta in ((score, 0.0), (np.exp(score), 0.0), (score, 1e-3), (score, 0.05), (score, 0.5))
    ]
    assert bounds[0] == bounds[1] > bounds[2] > bounds[3] >= bounds[4]


def test_limit_equal_scores_count_for_the_mechanism(rng):
    member = np.arange(400) < 200
    score = rng.normal(size=400) + 3 * member
    rounded, whole = (
        lower_bound(Outcome(some, member, design=Design.RUNS), **SAME).value
        for some in (np.round(score), score)
    )
    assert 0 < rounded < whole


def scores_of(top: float, n: int, rng: np.random.Generator, design: Design) -> Outcome:
    """Draw a mixture with ε = ln 3 in the highest ``top`` of the out-scores."""
    place, high = rng.random(2 * n), rng.random(2 * n) < 3 * top
    member = np.arange(2 * n) < n if design == Design.RUNS else rng.random(2 * n) < 0.5
    score = np.where(member, np.where(high, 1 - top * place, (1 - top) * place), place)
    return Outcome(score, member, design=design)


@pytest.mark.parametrize("design", [Design.RUNS, Design.ONE_RUN])
def test_definition_one_setting_for_both_shapes(design, rng):
    """Sharp where accuracy is, and not blind where it is. More exactly in the benchmarks."""
    for top, least, share in ((0.25, 0.88, 0.9), (0.05, 0.38, 3)):
        drawn = [scores_of(top, 500, rng, design) for _ in range(20)]
        ours = np.mean([lower_bound(one, **SAME).value for one in drawn])
        theirs = np.mean([split(one, test="accuracy", rng=rng, **SAME).value for one in drawn])
        assert ours > max(least, share * theirs)
