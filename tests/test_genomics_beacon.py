"""A beacon's yes and no: slow readings, the power formula inside its band, budgets that hold."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from mialab import metrics
from mialab.leaks.genomics import beacon

RARE = np.array([0.001, 0.01, 0.05])


def draw(rng, people, frequency):
    return rng.binomial(2, frequency, size=(people, len(frequency))).astype(np.int8)


def test_oracle_how_likely_an_allele_is_absent_from_all_genomes():
    genome = [binom.pmf(g, 2, 0.2) for g in range(3)]
    absent = sum(np.prod([genome[g] for g in pool]) for pool in product(range(3), repeat=3) if not any(pool))
    assert np.exp(beacon.log_absent(np.array(0.2), 3)) == pytest.approx(absent)


def test_definition_one_answer_at_a_time(rng):
    n, mismatch, answered = 20, 0.01, np.array([True, False, True])
    candidates = np.array([[1, 2, 0], [0, 1, 1], [-1, 0, 2], [0, 0, 0]], dtype=np.int8)
    got = beacon.likelihood_ratio(answered, candidates, RARE, n, mismatch=mismatch)
    for score, genome in zip(got, candidates, strict=True):
        expected = 0.0
        for carries, yes, p in zip(genome, answered, RARE, strict=True):
            no_in, no_out = mismatch * (1 - p) ** (2 * n - 2), (1 - p) ** (2 * n)
            if carries > 0:
                expected += np.log((1 - no_in) / (1 - no_out)) if yes else np.log(no_in / no_out)
        assert score == pytest.approx(expected)


def test_definition_the_power_is_a_sum_of_binomial_chances():
    fpr, queries, n, mismatch = 0.05, 40, 30, 0.02
    out = 1 - np.mean((1 - RARE) ** (2 * n))
    inside = 1 - mismatch * np.mean((1 - RARE) ** (2 * n - 2))
    tail = [sum(binom.pmf(k, queries, out) for k in range(t, queries + 1)) for t in range(queries + 2)]
    threshold = next(t for t, chance in enumerate(tail) if chance <= fpr)
    expected = sum(binom.pmf(k, queries, inside) for k in range(threshold, queries + 1))
    assert beacon.expected_tpr(fpr, queries, RARE, n, mismatch=mismatch) == pytest.approx(expected)


def test_limits_of_power():
    alone = {"frequencies": RARE, "n": 100, "mismatch": 1e-6}
    assert beacon.expected_tpr(0.05, 0, **alone) == 0  # nothing was asked, and nobody can be accused
    assert beacon.expected_tpr(1.0, 0, **alone) == 1
    assert beacon.expected_tpr(0.05, 10**6, **alone) == pytest.approx(1)
    assert (
        beacon.expected_tpr(0.05, 1000, np.array([0.5]), 100, mismatch=0.0) == 0
    )  # everybody's allele tells nothing


def test_limit_a_no_without_misreading_is_proof_of_absence():
    score = beacon.likelihood_ratio(np.array([False]), np.array([[1], [0]]), RARE[:1], 10, mismatch=0.0)
    assert score.tolist() == [-np.inf, 0.0]


def test_coverage_the_power_is_in_its_band(rng):
    n, mismatch, queries, trials = 50, 0.05, 30, 1500
    caught = {"in": 0, "out": 0}
    out = 1 - np.mean((1 - RARE) ** (2 * n))
    threshold = next(t for t in range(queries + 2) if binom.sf(t - 1, queries, out) <= 0.1)
    for world in caught:
        asked = rng.choice(RARE, size=(trials, queries))
        others = rng.random(asked.shape) > (1 - asked) ** (2 * (n - (world == "in")))
        own = (rng.random(asked.shape) >= mismatch) if world == "in" else np.zeros_like(others)
        caught[world] = int(((others | own).sum(axis=1) >= threshold).sum())
    band = metrics.clopper_pearson(caught["in"], trials, confidence=0.999)
    assert band.low <= beacon.expected_tpr(0.1, queries, RARE, n, mismatch=mismatch) <= band.high
    assert metrics.clopper_pearson(caught["out"], trials, confidence=0.999).low <= 0.1


def test_the_ratio_finds_members(rng):
    frequency, n = np.full(400, 0.004), 50
    pool, strangers = draw(rng, n, frequency), draw(rng, n, frequency)
    said = beacon.answers(pool)
    scores = [beacon.likelihood_ratio(said, x, frequency, n, mismatch=1e-3) for x in (pool, strangers)]
    assert np.mean(scores[0][:, None] > scores[1]) > 0.9


def test_definition_honest_answers():
    assert beacon.answers(np.array([[0, -1, 1], [0, 0, -1]])).tolist() == [False, False, True]


def test_limit_without_a_budget_the_beacon_is_honest(rng):
    frequency = rng.uniform(0.001, 0.05, 100)
    pool, queries = draw(rng, 40, frequency), rng.permutation(100)
    endless = beacon.budgeted_answers(pool, queries, frequency, np.inf)
    np.testing.assert_array_equal(endless, beacon.answers(pool)[queries])
    assert not beacon.budgeted_answers(pool, queries, frequency, 0.0).any()


@pytest.mark.parametrize("budget", [0.5, 3.0])
def test_nobodys_evidence_is_above_the_budget(rng, budget):
    frequency = np.full(300, 0.004)
    pool, queries = draw(rng, 50, frequency), np.arange(300)
    said = beacon.budgeted_answers(pool, queries, frequency, budget)
    price = -np.log(-np.expm1(beacon.log_absent(frequency, 50)))
    sole = (pool > 0) & ((pool > 0).sum(axis=0) == 1)  # a "yes" that only this person can stand behind
    assert ((sole & said) @ price).max() <= budget + 1e-9
    assert ((sole & beacon.answers(pool)) @ price).max() > budget  # an honest beacon gives more


def test_definition_a_budget_is_spent_in_order():
    people, frequency = np.array([[1, 1, 1], [0, 0, 1]]), np.full(3, 0.1)
    price = float(-np.log(1 - 0.9**4))
    assert beacon.budgeted_answers(people, np.arange(3), frequency, price).tolist() == [True, False, True]
    assert beacon.budgeted_answers(people, np.array([1, 0, 2]), frequency, 2 * price).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: beacon.expected_tpr(0.05, 10, RARE, 1, mismatch=0.1), "n must be at least 2"),
        (
            lambda: beacon.expected_tpr(0.05, -1, RARE, 10, mismatch=0.1),
            "queries must be in 0 … 2147483647, got values from -1 to -1",
        ),
        (lambda: beacon.expected_tpr(1.5, 1, RARE, 10, mismatch=0.1), "fpr must be in"),
        (lambda: beacon.expected_tpr(0.05, 1, RARE, 10, mismatch=1.0), "mismatch must be in"),
        (lambda: beacon.expected_tpr(0.05, 1, RARE + 1, 10, mismatch=0.1), "frequencies must be in"),
        (
            lambda: beacon.likelihood_ratio(
                np.ones(3, bool), np.ones((1, 3), int), 0 * RARE, 5, mismatch=0.1
            ),
            "frequency must be above 0 and below 1",
        ),
        (
            lambda: beacon.budgeted_answers(np.ones((2, 3), int), np.array([3]), RARE, 1.0),
            "queries must be in 0 … 2, got values from 3 to 3",
        ),
        (
            lambda: beacon.budgeted_answers(np.ones((2, 3), int), np.array([0]), RARE, -1.0),
            "budget must be at least 0",
        ),
        (
            lambda: beacon.budgeted_answers(np.ones((1, 3), int), np.array([0]), RARE, 1.0),
            "the number of people must be at least 2, got 1",
        ),
    ],
)
def test_bad_input_is_refused(call, says, at_the_door):
    with pytest.raises(ValueError, match=says):
        call()
