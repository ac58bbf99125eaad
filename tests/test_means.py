"""A mean over models and records, and what an accusation is worth."""

import numpy as np
import pytest

from mialab import metrics, tradeoff
from mialab.metrics.pooled import draws


def test_definition_the_mean_of_a_resample_is_that_of_the_repeated_table(rng):
    table = rng.normal(size=(6, 7))
    times = draws(6, rng), draws(7, rng)
    repeated = np.repeat(np.repeat(table, times[0].astype(int), axis=0), times[1].astype(int), axis=1)
    np.testing.assert_allclose(times[0] @ table @ times[1] / table.size, repeated.mean())


def covered(spreads, rng, repetitions=200):
    """How often the interval, and the naive one of independent trials, hold the truth (0)."""
    models, records, cells = spreads
    hits = np.zeros(2)
    for _ in range(repetitions):
        table = models * rng.normal(size=(12, 1)) + records * rng.normal(size=40)
        table = table + cells * rng.normal(size=(12, 40))
        pooled = metrics.pooled_mean(table, rng=rng, resamples=150, confidence=0.9)
        naive = 1.645 * table.std() / np.sqrt(table.size)
        hits += pooled.low <= 0 <= pooled.high, abs(table.mean()) <= naive
    return hits / repetitions


@pytest.mark.parametrize("spreads", [(1, 0.3, 1), (0.3, 1, 1), (0, 0, 1)])
def test_coverage_of_a_mean(rng, spreads):
    assert covered(spreads, rng)[0] >= 0.84  # .9 less three standard errors of 200 trials


def test_coverage_of_a_mean_can_fail(rng):
    assert covered((1, 0.3, 1), rng)[1] < 0.5


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.ones((6, 6)), "value must vary to have an interval, got 1.0 everywhere"),
        (np.eye(4), "value must hold at least 5 models, got 4"),
        (np.full((6, 6), np.nan), "value must hold no NaN"),
    ],
)
def test_the_door_of_means(at_the_door, table, message):
    with pytest.raises(ValueError, match=message):
        metrics.pooled_mean(table, rng=np.random.default_rng(0), resamples=500)


def test_too_few_resamples_for_a_mean_are_refused(rng):
    with pytest.raises(ValueError, match="resamples must be at least"):
        metrics.pooled_mean(np.eye(6), rng=rng, resamples=100)


def test_definition_belief_counts_the_accused(rng):
    member = rng.random(400_000) < 0.1
    accused = np.where(member, rng.random(member.size) < 0.3, rng.random(member.size) < 0.05)
    counted = metrics.clopper_pearson(int((member & accused).sum()), int(accused.sum()), confidence=0.999)
    assert counted.low <= tradeoff.posterior(0.1, 0.05, 0.3) <= counted.high


def test_definition_the_posterior_bound_is_reached_by_randomized_response():
    prior, epsilon = 0.01, 1.5
    truth = np.exp(epsilon) / (1 + np.exp(epsilon))  # "yes" of a member; a non-member says it as a lie
    seen_yes = prior * truth / (prior * truth + (1 - prior) * (1 - truth))
    assert tradeoff.posterior_bound(prior, epsilon) == pytest.approx(seen_yes)


def test_an_accusation_is_never_worth_more_than_the_promise_allows():
    for prior in (0.001, 0.1, 0.5):
        for epsilon in (0.1, 1.0, 4.0):
            for fpr in (1e-6, 0.01, 0.3):
                worth = tradeoff.posterior(prior, fpr, tradeoff.pure(epsilon).tpr(fpr))
                assert worth <= tradeoff.posterior_bound(prior, epsilon) * (1 + 1e-12)


def test_limit_no_promise_broken_no_belief_changed():
    assert tradeoff.posterior_bound(0.2, 0.0) == pytest.approx(0.2)
    assert tradeoff.posterior(0.2, 0.5, 0.5) == pytest.approx(0.2)
    assert tradeoff.posterior_bound(0.0, 9.0) == 0
    assert tradeoff.posterior_bound(1.0, 9.0) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tradeoff.posterior(1.2, 0.1, 0.1), r"prior must be in \[0, 1\], got 1.2"),
        (lambda: tradeoff.posterior(0.1, 0.0, 0.0), "the chance of an accusation must be above 0"),
        (lambda: tradeoff.posterior_bound(0.1, -1.0), "epsilon must be"),
        (lambda: tradeoff.posterior_bound(np.nan, 1.0), "prior must be"),
    ],
)
def test_the_door_of_beliefs(at_the_door, call, message):
    with pytest.raises(ValueError, match=message):
        call()
