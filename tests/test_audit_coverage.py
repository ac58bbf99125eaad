"""How often is a bound above the truth? The promise of every bound, on mechanisms of exactly known ε.

A bound is above the truth exactly when the truth is refuted (shown for the public functions below), so
thousands of repetitions are one array. Seeds are fixed, and all cells of a table share one allowed error.
"""

from itertools import product

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import binom, hypergeom

from audits import accuracy, rates
from mialab.accounting import Neighbours
from mialab.audit import Guesses, guess, lower_bound, split
from mialab.audit.betting import bet, payoff
from mialab.audit.ranking import middle_and_ends
from mialab.audit.rates import rate_limits
from mialab.game import Counts, Design, Outcome
from mialab.tradeoff import approximate
from refuting import (
    ERROR,
    OF_CUTS,
    OF_GUESSES,
    REPEATS,
    accuracy_refutes,
    enough_members,
    guesses_refute,
    members_on_top,
    p_of_guesses,
    rates_refute,
    refuted,
    right_by_rank,
    right_from_either_end,
    too_often,
)
from worlds import in_the_world, rules_of, truth_of

EPSILONS = (0.01, 0.5, float(np.log(3)), 2.0, 4.0)
SIZES = (15, 50, 200, 1000, 5000)
SAME = {"neighbours": Neighbours.REPLACE}


MECHANISMS = ("randomized response", "laplace", "gaussian", "tight mixture")


def test_coverage_of_two_rates_and_of_accuracy_over_independent_runs():
    rng, errors = np.random.default_rng(1), {}
    for mechanism, epsilon, n in product(MECHANISMS, EPSILONS, SIZES):
        truth, delta = truth_of(mechanism, epsilon)
        for fpr, tpr in rules_of(mechanism, epsilon):
            true, false = rng.binomial(n, [[tpr], [fpr]], size=(2, REPEATS))
            limits = rate_limits(true, false, (n, n), ERROR)
            cell = mechanism, epsilon, n, round(fpr, 4)
            errors["rates", *cell] = rates_refute(*limits, truth, delta).mean()
            errors["accuracy", *cell] = accuracy_refutes(true + n - false, 2 * n, truth, delta).mean()
    assert len(errors) == 350
    assert not too_often(errors)
    assert max(errors.values()) > 0.03  # and it is not by saying nothing that they are never wrong


def test_coverage_of_one_run_whatever_the_number_of_guesses():
    rng, errors = np.random.default_rng(2), {}
    for mechanism, epsilon, m in product(MECHANISMS, EPSILONS, (15, 100, 300)):
        member = rng.random((REPEATS, m)) < 0.5
        score = in_the_world(mechanism, epsilon, member, rng) + 1e-9 * rng.random(member.shape)
        for name, ins, outs in (("all", m // 2, m - m // 2), ("few", m // 10, m // 10), ("ins", m // 5, 0)):
            right = right_by_rank(score, member, ins, outs)
            share = refuted(right, ins + outs, m, *truth_of(mechanism, epsilon))
            errors[name, mechanism, epsilon, m] = share
    for epsilon, m in product(EPSILONS, (1000, 5000)):  # here the number of right guesses has a known law
        right = rng.binomial(m, expit(epsilon), REPEATS)
        errors["all", "randomized response", epsilon, m] = refuted(right, m, m, epsilon, 0.0)
    assert not too_often(errors)
    assert max(errors.values()) > 0.03


def test_coverage_a_run_that_confesses_is_why_delta_has_its_term():
    rng, epsilon, delta, m = np.random.default_rng(3), float(np.log(3)), 0.04, 200
    right = np.where(rng.random(REPEATS) < delta, m, rng.binomial(m, expit(epsilon), REPEATS))
    assert not too_often({"with its term": refuted(right, m, m, epsilon, delta)})
    assert too_often({"without": refuted(right, m, m, epsilon, 0.0)})


@pytest.mark.parametrize("test", ["accuracy", "rates"])
@pytest.mark.parametrize(("n", "epsilon"), [(15, 0.01), (60, float(np.log(3)))])
def test_coverage_of_the_split(test, n, epsilon):
    rng, member, above = np.random.default_rng(4), np.arange(2 * n) < n, 0
    for _ in range(REPEATS):
        score = in_the_world("tight mixture", epsilon, member, rng)
        outcome = Outcome(score, member, design=Design.RUNS)
        above += split(outcome, test=test, rng=rng, **SAME).value > epsilon
    assert not too_often({"split": above / REPEATS})


def test_coverage_of_the_split_of_one_run():
    rng, above = np.random.default_rng(7), 0
    for _ in range(REPEATS):
        member = rng.random(60) < 0.5
        outcome = Outcome(in_the_world("tight mixture", 0.5, member, rng), member, design=Design.ONE_RUN)
        above += split(outcome, test="accuracy", rng=rng, **SAME).value > 0.5
    assert not too_often({"split": above / REPEATS})


def test_coverage_the_best_threshold_of_the_same_data_fails():
    """The usual recipe goes through the same test: the largest bound over all thresholds."""
    rng, n, errors = np.random.default_rng(5), 500, {}
    member = np.arange(2 * n) < n
    table = rate_limits(np.arange(n + 1), n - np.arange(n + 1), (n, n), ERROR)[0]
    for epsilon in (0.01, float(np.log(3))):
        score = in_the_world("tight mixture", epsilon, np.tile(member, (REPEATS, 1)), rng)
        ranked = member[np.argsort(-score, axis=1)]
        true, false = np.cumsum(ranked, axis=1)[:, ::5], np.cumsum(~ranked, axis=1)[:, ::5]
        by_rates = rates_refute(table[true], table[n - false], epsilon, 0.0)
        by_accuracy = accuracy_refutes(true + n - false, 2 * n, epsilon, 0.0)
        errors |= {("rates", epsilon): by_rates.any(axis=1).mean()}
        errors |= {("accuracy", epsilon): by_accuracy.any(axis=1).mean()}
    assert {("rates", epsilon), ("accuracy", 0.01)} <= too_often(errors).keys()


def test_coverage_a_fixed_number_of_members_breaks_the_bound_of_one_run():
    """Why that design is refused: fifteen of thirty members, no leak at all, and 7.2 % are refuted."""
    right = 2 * np.arange(16)
    refutes = [p_of_guesses(int(v), 30, 30, 0.0) <= ERROR for v in right]
    assert round(float(hypergeom(30, 15, 15).pmf(np.arange(16))[refutes].sum()), 3) == 0.072


def test_coverage_of_any_threshold_over_independent_runs():
    """And the same seven cuts, each with all of the allowed error, fail."""
    rng, errors, greedy = np.random.default_rng(8), {}, {}
    for mechanism, epsilon, n in product(MECHANISMS, EPSILONS, (15, 50, 200, 1000)):
        if n == 1000 and mechanism != "tight mixture":
            continue
        found, cell = members_on_top(mechanism, epsilon, n, rng), (mechanism, epsilon, n)
        truth = truth_of(mechanism, epsilon)
        errors[cell] = (found >= enough_members(n, *truth, OF_CUTS)).any(axis=1).mean()
        if n == 200:
            greedy[cell] = (found >= enough_members(n, *truth, [1.0] * 7)).any(axis=1).mean()
    assert not too_often(errors)
    assert max(errors.values()) > 0.025
    assert {("tight mixture", float(np.log(3)), 200), ("tight mixture", 0.01, 200)} <= too_often(
        greedy
    ).keys()


def test_coverage_of_any_threshold_of_five_thousand():
    """The tight mixture as counts: how many fell into its upper region, and any order there and below."""
    rng, errors, n = np.random.default_rng(9), {}, 5000
    middle, ends = middle_and_ends(10_000)
    cuts = sorted([middle, *ends, *(2 * n - end for end in ends)])
    for epsilon in EPSILONS:
        enough = enough_members(n, epsilon, 0.0, OF_CUTS)
        of = dict(zip((middle, *ends, *(2 * n - end for end in ends)), enough, strict=True))
        high, rest = rng.binomial(n, expit(epsilon), REPEATS), rng.binomial(n, expit(-epsilon), REPEATS)
        left = [high, rest, n - high, n - rest]
        place, found, above = 0, np.zeros(REPEATS, dtype=int), np.zeros(REPEATS, dtype=bool)
        for cut in cuts:
            upper = np.minimum(cut - place, left[0] + left[1])
            lower = cut - place - upper
            drawn = [rng.hypergeometric(left[0], left[1], upper), rng.hypergeometric(left[2], left[3], lower)]
            for region, (members, all_) in enumerate(zip(drawn, (upper, lower), strict=True)):
                left[2 * region], left[2 * region + 1] = (
                    left[2 * region] - members,
                    left[2 * region + 1] - all_ + members,
                )
            place, found = cut, found + drawn[0] + drawn[1]
            above |= found >= of[cut]
        errors[epsilon] = above.mean()
    assert not too_often(errors)
    assert max(errors.values()) > 0.02


def test_coverage_of_any_threshold_within_one_run():
    rng, errors, greedy = np.random.default_rng(10), {}, {}
    for mechanism, epsilon, m in product(MECHANISMS, EPSILONS, (15, 100, 300)):
        member = rng.random((REPEATS, m)) < 0.5
        score = in_the_world(mechanism, epsilon, member, rng) + 1e-9 * rng.random(member.shape)
        ranked = np.take_along_axis(member, np.argsort(-score, axis=1), axis=1)
        truth, cell = truth_of(mechanism, epsilon), (mechanism, epsilon, m)
        errors[cell] = guesses_refute(*right_from_either_end(ranked), m, *truth, OF_GUESSES)
        if mechanism == "tight mixture" and m == 300:
            greedy[cell] = guesses_refute(*right_from_either_end(ranked), m, *truth, [1.0] * 10)
    for epsilon, m in product(EPSILONS, (1000, 5000)):  # the worst case: each coin follows its guess
        follows = rng.random((REPEATS, m), dtype=np.float32) < expit(epsilon)
        ranked = np.where(np.arange(m) < m // 2, follows, ~follows)
        sides = right_from_either_end(ranked)
        errors["worst case", epsilon, m] = guesses_refute(*sides, m, epsilon, 0.0, OF_GUESSES)
    assert not too_often(errors)
    assert max(errors.values()) > 0.02
    assert too_often(greedy)


def refuted_at_any_time(verdicts: np.ndarray, epsilon: float, delta: float, peek: bool = False) -> float:
    """Return the share of experiments (repeats, trials) whose wealth against ε ever reaches 1/error."""
    right, wrong = np.cumsum(verdicts == 1, axis=1), np.cumsum(verdicts == -1, axis=1)
    if not peek:
        right, wrong = right - (verdicts == 1), wrong - (verdicts == -1)
    won = np.log1p(bet(right, wrong, epsilon, delta) * payoff(verdicts, epsilon, delta))
    return float((np.cumsum(won, axis=1).max(axis=1) >= -np.log(ERROR)).mean())


def test_coverage_of_betting_looked_at_after_every_trial():
    """And a stake that knows how the trial ends fails."""
    rng, errors, peeking = np.random.default_rng(11), {}, {}
    for epsilon, delta, abstains in product(EPSILONS, (0.0, 0.02), (0.0, 0.4)):
        coin = rng.random((REPEATS, 1000)) < delta + (1 - delta) * expit(epsilon)
        verdicts = np.where(coin, 1, -1) * (rng.random(coin.shape) >= abstains)
        for n in (15, 1000):
            cell = epsilon, delta, abstains, n
            errors[cell] = refuted_at_any_time(verdicts[:, :n], epsilon, delta)
            peeking[cell] = refuted_at_any_time(verdicts[:, :n], epsilon, delta, peek=True)
    assert not too_often(errors)
    assert max(errors.values()) > 0.005  # the price of looking at any time, and of a truth that stands still
    assert (0.5, 0.0, 0.0, 1000) in too_often(peeking)


def test_coverage_betting_on_one_run_that_confesses_is_why_delta_must_be_0_there():
    rng, epsilon, delta = np.random.default_rng(12), float(np.log(3)), 0.1
    confesses = rng.random((REPEATS, 1)) < delta
    verdicts = np.where(confesses | (rng.random((REPEATS, 300)) < expit(epsilon)), 1, -1)
    assert too_often({"one run": refuted_at_any_time(verdicts, epsilon, delta)})


def test_coverage_a_test_for_one_look_fails_where_one_looks_often():
    """The exact test of accuracy, looked at every tenth trial."""
    rng, epsilon = np.random.default_rng(13), float(np.log(3))
    right = np.cumsum(rng.random((REPEATS, 1000)) < expit(epsilon), axis=1)[:, 9::10]
    trials = np.arange(10, 1001, 10)
    luck = binom.sf(right - 1, trials, expit(epsilon))
    assert not too_often({"the last": (luck[:, -1] <= ERROR).mean()})
    assert too_often({"any": (luck <= ERROR).any(axis=1).mean()})


@pytest.mark.parametrize("delta", [0.0, 0.05])
@pytest.mark.parametrize(("audit", "sides"), [(accuracy, (6, 6)), (rates, (6, 6)), (rates, (5, 7))])
def test_coverage_every_outcome_of_twelve_runs(audit, sides, delta):
    """Exact: the bound of each outcome, and the worst two rates that each ε allows."""
    members, non_members = sides
    bound = np.array(
        [
            [
                audit(Counts(t, members, f, non_members, design=Design.RUNS), delta=delta, **SAME).value
                for f in range(non_members + 1)
            ]
            for t in range(members + 1)
        ]
    )
    for epsilon in np.concatenate([EPSILONS, np.unique(bound) * (1 - 1e-9)]):
        fpr = np.unique(np.append(np.linspace(0, 1, 201), (1 - delta) * expit(-epsilon)))
        tpr = np.minimum(approximate(epsilon, delta).tpr(fpr), 1.0)
        hits = binom.pmf(np.arange(members + 1)[:, None], members, tpr)
        false = binom.pmf(np.arange(non_members + 1)[:, None], non_members, fpr)
        above = np.einsum("tp,fp,tf->p", hits, false, bound > epsilon)
        assert above.max() <= ERROR


def test_coverage_every_number_of_right_guesses_of_twelve():
    for m, epsilon in product(range(1, 13), (*EPSILONS, float(logit(0.05 ** (1 / 12))) - 1e-9)):
        for r in range(1, m + 1):
            guesses = [Guesses(v, r, m, Design.ONE_RUN) for v in range(r + 1)]
            above = np.array([lower_bound(one, **SAME).value > epsilon for one in guesses])
            assert binom.pmf(np.arange(r + 1), r, expit(epsilon))[above].sum() <= ERROR


def test_definition_a_bound_is_above_the_truth_exactly_when_the_truth_is_refuted(rng):
    for _ in range(100):
        n, delta, epsilon = int(rng.integers(1, 200)), float(rng.choice([0, 0.01])), float(rng.uniform(0, 3))
        true, false = (int(one) for one in np.sort(rng.integers(0, n + 1, 2))[::-1])
        counts = Counts(true, n, false, n, design=Design.RUNS)
        by_rates = rates(counts, delta=delta, **SAME).value
        limits = rate_limits(true, false, (n, n), ERROR)
        assert (by_rates > epsilon) == rates_refute(*limits, epsilon, delta)
        by_accuracy = accuracy(counts, delta=delta, **SAME).value
        assert (by_accuracy > epsilon) == accuracy_refutes(true + n - false, 2 * n, epsilon, delta)
        guesses = Guesses(true, n, n + 5, Design.COINS)
        by_guesses = lower_bound(guesses, delta=delta, **SAME).value
        assert (by_guesses > epsilon) == (p_of_guesses(true, n, n + 5, epsilon, delta) <= ERROR)


def test_definition_guesses_by_rank_are_those_of_the_package(rng):
    for _ in range(50):
        score, member = rng.normal(size=30), rng.random(30) < 0.5
        ins, outs = (int(one) for one in rng.integers(1, 15, 2))
        package = guess(Outcome(score, member, design=Design.COINS), ins=ins, outs=outs)
        assert package.right == right_by_rank(score[None], member[None], ins, outs)[0]
