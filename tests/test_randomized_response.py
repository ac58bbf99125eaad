"""Randomized response: promise and coverage by enumeration, the attacker by experiment."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import comb

from mialab import tradeoff
from mialab.accounting import Neighbours
from mialab.mechanisms.randomized_response import RandomizedResponse
from mialab.mechanisms.shares import shares_of_people, shares_on_file


def channel(mechanism):
    """Return the probability of each report for each truth, (truth, report), from the words of the class."""
    k, p = mechanism.answers, mechanism.truth_probability
    return np.array([[p if said == true else (1 - p) / (k - 1) for said in range(k)] for true in range(k)])


@pytest.mark.parametrize(
    ("p", "epsilon"), [(0.6, 0.405465), (2 / 3, 0.693147), (0.75, 1.098612), (0.9, 2.197225)]
)
def test_oracle_two_answers(p, epsilon):
    assert RandomizedResponse(p).epsilon == pytest.approx(epsilon, abs=5e-7)


@pytest.mark.parametrize(("answers", "truth"), [(4, 0.475367), (10, 0.231969), (2, 0.731059)])
def test_oracle_more_answers(answers, truth):
    assert RandomizedResponse.from_epsilon(1.0, answers).truth_probability == pytest.approx(truth, abs=5e-7)


@pytest.mark.parametrize(
    "mechanism", [RandomizedResponse(0.75), RandomizedResponse(0.4, 5), RandomizedResponse(0.34, 3)]
)
def test_definition_epsilon_is_the_largest_ratio_of_all_reports(mechanism):
    table = channel(mechanism)
    worst = max(
        np.log(table[a] / table[b]).max() for a, b in itertools.permutations(range(mechanism.answers), 2)
    )
    assert mechanism.epsilon == pytest.approx(worst)
    assert mechanism.guarantee.delta == 0
    assert mechanism.guarantee.neighbours == Neighbours.REPLACE


@pytest.mark.parametrize("answers", [2, 3, 4, 10])
@pytest.mark.parametrize("epsilon", [1e-12, 0.1, 1.0, math.log(3), 5.0, 30.0])
def test_definition_what_is_drawn_keeps_the_epsilon_that_was_asked_for(answers, epsilon):
    mechanism = RandomizedResponse.from_epsilon(epsilon, answers)
    assert mechanism.epsilon <= epsilon
    drawn = Fraction(math.ceil(Fraction(mechanism.truth_probability) * 2**53), 2**53)
    # One more of the 2⁵³ numbers, and it would not.
    more = (
        (drawn + Fraction(1, 2**53)) * (answers - 1) / (1 - drawn - Fraction(1, 2**53))
        if drawn < 1 - 2**-53
        else 0
    )
    assert not more or float(more) > math.exp(epsilon) * (1 - 1e-15)


@pytest.mark.parametrize("mechanism", [RandomizedResponse(0.75), RandomizedResponse(0.5, 5)])
def test_definition_the_curve_is_that_of_two_rows_of_the_table(mechanism):
    table, rates = channel(mechanism), np.linspace(0, 1, 21)
    by_rows = tradeoff.DominatingPair(table[0], table[1])
    np.testing.assert_allclose(mechanism.curve.tpr(rates), by_rows.tpr(rates), rtol=1e-13)
    by_name = tradeoff.randomized_response(mechanism.epsilon, mechanism.answers)
    np.testing.assert_allclose(mechanism.curve.tpr(rates), by_name.tpr(rates), rtol=1e-13)


def test_definition_the_whole_survey_is_the_product_of_its_people(rng):
    # One of three people changes the answer: the reports of all three tell no more than that person's own.
    table = channel(RandomizedResponse(0.7))
    joint = [np.multiply.outer(np.multiply.outer(table[a], table[1]), table[0]).ravel() for a in (0, 1)]
    together = tradeoff.DominatingPair(*joint)
    np.testing.assert_allclose(
        together.delta(np.linspace(0, 1, 9)), tradeoff.DominatingPair(*table[:2]).delta(np.linspace(0, 1, 9))
    )


@pytest.mark.parametrize("mechanism", [RandomizedResponse(0.75), RandomizedResponse(0.5, 4)])
def test_definition_reports_come_with_the_probabilities_of_the_table(mechanism, rng):
    n = 40_000
    for true, row in enumerate(channel(mechanism)):
        counts = np.bincount(mechanism(np.full(n, true), rng=rng), minlength=mechanism.answers)
        assert np.abs((counts - n * row) / np.sqrt(n * row * (1 - row))).max() < 4


def test_definition_everybody_has_coins_of_their_own(rng):
    reports = RandomizedResponse(0.5)(np.zeros((2000, 2), dtype=int), rng=rng)
    assert abs(np.corrcoef(reports.T)[0, 1]) < 4 / math.sqrt(2000)
    assert abs(np.corrcoef(reports[1:, 0], reports[:-1, 0])[0, 1]) < 4 / math.sqrt(2000)


def test_limit_epsilon_zero_is_a_coin_that_nobody_can_estimate_from(rng):
    blind = RandomizedResponse.from_epsilon(0.0)
    assert (blind.truth_probability, blind.epsilon) == (0.5, 0.0)
    with pytest.raises(ValueError, match=r"truth_probability must be above 1/2, got 0.5"):
        blind.estimate(np.array([0, 1, 1]))
    assert blind.price(0.3) == math.inf


def test_limit_without_lies_the_share_is_the_count():
    honest = RandomizedResponse.from_epsilon(36.0)
    counted = honest.estimate(np.array([0, 0, 1]), fixed_file=True)
    assert [round(one.value, 12) for one in counted] == [round(2 / 3, 12), round(1 / 3, 12)]
    assert honest.price(0.3) == pytest.approx(1)


# --- the estimator -------------------------------------------------------------------------------------


def binomial(n, rate):
    return comb(n, np.arange(n + 1)) * rate ** np.arange(n + 1) * (1 - rate) ** (n - np.arange(n + 1))


def counts_on_file(true, people, p, q):
    """Return the exact distribution of the number of reports, by convolution."""
    return np.convolve(binomial(true, p), binomial(people - true, q))


def test_oracle_the_two_variances():
    p, q, n, share = 0.75, 0.25, 1000, 0.3
    counts = np.arange(n + 1)
    for chances, variance in ((counts_on_file(300, n, p, q), 0.00075), (binomial(n, 0.4), 0.00096)):
        estimates = (counts / n - q) / (p - q)
        assert chances @ estimates == pytest.approx(share)
        assert chances @ (estimates - share) ** 2 == pytest.approx(variance)


@pytest.mark.parametrize(("p", "q"), [(0.75, 0.25), (0.5, 1 / 6), (0.9, 0.1)])
def test_definition_estimate_and_variance_are_unbiased(p, q):
    n = 40
    for true in (0, 7, 40):
        chances = counts_on_file(true, n, p, q)
        got = [shares_on_file(count, n, p, q) for count in range(n + 1)]
        values = np.array([one.value for one in got])
        assert chances @ values == pytest.approx(true / n)
        spread = chances @ (values - true / n) ** 2
        assert chances @ np.array([one.standard_error**2 for one in got]) == pytest.approx(spread)
    for share in (0.05, 0.5):
        chances = binomial(n, q + (p - q) * share)
        got = [shares_of_people(count, n, p, q) for count in range(n + 1)]
        values = np.array([one.value for one in got])
        spread = chances @ (values - share) ** 2
        assert chances @ values == pytest.approx(share)
        assert chances @ np.array([one.standard_error**2 for one in got]) == pytest.approx(spread)


@pytest.mark.parametrize("confidence", [0.95, 0.8])
@pytest.mark.parametrize(("p", "q"), [(0.75, 0.25), (0.5, 1 / 6), (0.6, 0.4)])
def test_coverage_of_a_fixed_file_is_exact(p, q, confidence):
    n = 30
    got = [shares_on_file(count, n, p, q, confidence=confidence) for count in range(n + 1)]
    low, high = (np.array([getattr(one, side) for one in got]) for side in ("low", "high"))
    for m in range(n + 1):
        chances = counts_on_file(m, n, p, q)
        assert chances @ ((low <= m / n) & (m / n <= high)) >= confidence
        # Each side misses as often as whole numbers let it: with one count more it would be too often.
        top, bottom = np.flatnonzero(low <= m / n)[-1], np.flatnonzero(high >= m / n)[0]
        assert top == n or chances[top:].sum() > (1 - confidence) / 2 >= chances[top + 1 :].sum()
        assert bottom == 0 or chances[: bottom + 1].sum() > (1 - confidence) / 2 >= chances[:bottom].sum()


@pytest.mark.parametrize(("p", "q"), [(0.75, 0.25), (0.4, 0.2)])
def test_coverage_of_sampled_people_is_exact(p, q):
    n = 40
    got = [shares_of_people(count, n, p, q) for count in range(n + 1)]
    low, high = (np.array([getattr(one, side) for one in got]) for side in ("low", "high"))
    covered = [
        binomial(n, q + (p - q) * share) @ ((low <= share) & (share <= high))
        for share in np.linspace(0, 1, 201)
    ]
    assert min(covered) >= 0.95
    assert min(covered) < 0.97


def test_definition_the_interval_of_a_file_is_that_of_the_slow_search():
    n, p, q = 25, 0.7, 0.3
    for count in (0, 3, 12, 25):
        kept = [
            m
            for m in range(n + 1)
            if counts_on_file(m, n, p, q)[: count + 1].sum() > 0.025
            and counts_on_file(m, n, p, q)[count:].sum() > 0.025
        ]
        got = shares_on_file(count, n, p, q)
        if kept:
            assert (got.low, got.high) == (min(kept) / n, max(kept) / n)


def test_definition_the_file_is_known_better_than_the_population(rng):
    mechanism = RandomizedResponse(0.75)
    reported = mechanism((rng.random(600) < 0.4).astype(int), rng=rng)
    file, people = mechanism.estimate(reported, fixed_file=True)[1], mechanism.estimate(reported)[1]
    assert file.value == people.value
    assert file.high - file.low < people.high - people.low
    assert file.standard_error < people.standard_error


def test_definition_estimates_of_all_answers_sum_to_one(rng):
    mechanism = RandomizedResponse.from_epsilon(1.0, 4)
    got = mechanism.estimate(mechanism(rng.integers(0, 4, size=500), rng=rng))
    assert sum(one.value for one in got) == pytest.approx(1)


def test_definition_the_price_is_a_ratio_of_variances():
    mechanism = RandomizedResponse(0.4, 5)
    p, q, share = 0.4, 0.15, 0.2
    seen = q + (p - q) * share
    assert mechanism.price(share) == pytest.approx(seen * (1 - seen) / (p - q) ** 2 / (share * (1 - share)))


# --- the attacker --------------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [2, 4, 10])
def test_coverage_the_best_attacker_is_the_coin(answers, rng):
    mechanism, n = RandomizedResponse.from_epsilon(1.0, answers), 40_000
    truth = rng.integers(0, 2, size=n)
    reported = mechanism(truth, rng=rng)
    guess = np.where(reported < 2, reported, rng.integers(0, 2, size=n))
    best = tradeoff.accuracy(mechanism.curve)
    assert abs((guess == truth).mean() - best) < 4 * math.sqrt(best * (1 - best) / n)
    pure = tradeoff.accuracy(tradeoff.pure(1.0))
    assert (best == pytest.approx(pure)) == (answers == 2)


COINS = RandomizedResponse(0.75)
NONE = np.random.default_rng(0)


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomizedResponse(0.4), r"truth_probability must be in \[1/2, 1\), got 0.4"),
        (lambda: RandomizedResponse(1.0), r"truth_probability must be in \[1/2, 1\), got 1.0"),
        (lambda: RandomizedResponse(np.nan), r"truth_probability must be a number, got nan"),
        (lambda: RandomizedResponse(0.2, 4), r"truth_probability must be in \[1/4, 1\), got 0.2"),
        (lambda: RandomizedResponse(0.75, 1), "answers must be at least 2, got 1"),
        (
            lambda: RandomizedResponse.from_epsilon(-1.0),
            "epsilon must be a finite number of at least 0, got -1.0",
        ),
        (
            lambda: RandomizedResponse.from_epsilon(np.inf),
            "epsilon must be a finite number of at least 0, got inf",
        ),
        (
            lambda: RandomizedResponse.from_epsilon(0.0, 3),
            "epsilon must allow a probability of at least 1/3, got 0.0",
        ),
        (lambda: COINS(np.array([0, 2, 1]), rng=NONE), "truth must be in 0 … 1, got 1 other values"),
        (lambda: COINS(np.array([-1]), rng=NONE), "truth must be in 0 … 1, got 1 other values"),
        (lambda: COINS(np.array([0.0, 1.0]), rng=NONE), "truth must be integers, got dtype float64"),
        (lambda: COINS(np.array([True]), rng=NONE), "truth must be integers, got dtype bool"),
        (lambda: COINS.estimate(np.array([], dtype=int)), "reported must hold answers, got none"),
        (lambda: COINS.estimate(np.array([[1]])), r"reported must have shape \(people\), got shape \(1, 1\)"),
        (lambda: COINS.estimate(np.array([1]), confidence=1.0), r"confidence must be in \(0, 1\), got 1.0"),
        (lambda: COINS.price(0.0), r"share must be in \(0, 1\), got 0.0"),
        (lambda: shares_on_file(4, 3, 0.75, 0.25), r"count must be in 0 … 3 \(people\), got 4"),
    ],
)
def test_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.usefixtures("at_the_door")
def test_an_error_does_not_tell_the_truth():
    secret = np.array([0, 1, 1, 0, 777])
    with pytest.raises(ValueError, match="truth must be in 0 … 1") as refused:
        COINS(secret, rng=NONE)
    assert "777" not in str(refused.value)


def test_no_way_out_returns_the_truth():
    class Broken(np.random.Generator):
        def random(self, *_, **__):
            raise RuntimeError("no coins")

    with pytest.raises(RuntimeError, match="no coins"):
        COINS(np.array([0, 1]), rng=Broken(np.random.PCG64(0)))
