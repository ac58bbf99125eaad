"""Tracing from a released mean: slow densities, published numbers, limits, and power inside its band."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.special import ndtri
from scipy.stats import kstest

from mialab import metrics
from mialab.leaks import aggregates
from mialab.leaks.aggregates import Population


def a_covariance(rng, features):
    mixing = rng.normal(size=(features, features))
    return mixing @ mixing.T + 0.1 * np.eye(features)


def test_definition_the_z_score_one_candidate_at_a_time(rng):
    mean, covariance, n = rng.normal(size=4), a_covariance(rng, 4), 9
    released, candidates = rng.normal(size=4), rng.normal(size=(3, 4))
    got = aggregates.z_score(released, candidates, Population.known(mean, covariance), n)
    for z, x in zip(got, candidates, strict=True):
        direction = np.linalg.solve(covariance, x - mean)
        spread = np.sqrt(direction @ covariance @ direction / n)
        assert z == pytest.approx(direction @ (released - mean) / spread)


def test_oracle_scipys_mahalanobis_distance(rng):
    mean, covariance, x = rng.normal(size=5), a_covariance(rng, 5), rng.normal(size=(3, 5))
    theirs = [mahalanobis(one, mean, np.linalg.inv(covariance)) for one in x]
    np.testing.assert_allclose(Population.known(mean, covariance).distance(x), theirs)


def test_definition_uncorrelated_features_are_a_diagonal_covariance(rng):
    mean, variance, x = rng.normal(size=3), np.array([2.0, 0.0, 0.5]), rng.normal(size=(4, 3))
    short, full = Population.independent(mean, variance), Population.known(mean, np.diag(variance))
    assert short.rank == full.rank == 2
    np.testing.assert_allclose(short.distance(x), full.distance(x))


def test_oracle_the_population_of_records_is_that_of_their_moments(rng):
    records = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)) + 3
    known = Population.known(records.mean(axis=0), np.cov(records, rowvar=False))
    estimated = Population.of(records)
    np.testing.assert_allclose(estimated.distance(records), known.distance(records))
    assert (estimated.references, known.references) == (50, np.inf)


@pytest.mark.parametrize(
    ("fpr", "features", "n", "expected"),
    [(0.05, 640, 64, 0.9354), (0.001, 640, 64, 0.5287), (0.05, 64, 64, 0.2595), (0.001, 64, 64, 0.0183)],
)
def test_oracle_closed_form_powers(fpr, features, n, expected):
    assert aggregates.expected_tpr(fpr, np.sqrt(features), n) == pytest.approx(expected, abs=5e-5)


def test_definition_estimated_moments_cost_power(rng):
    n, references, distance = 20.0, 30.0, 3.0
    assert aggregates.expected_tpr(0.05, distance, n, references=references) == pytest.approx(
        aggregates.expected_tpr(0.05, distance, n * (1 + n / references))
    )
    assert aggregates.expected_tpr(0.05, distance, n, weight=2.0) == pytest.approx(
        aggregates.expected_tpr(0.05, 2 * distance, n)
    )


def test_limits_of_power():
    assert aggregates.expected_tpr(0.05, 0.0, 10) == pytest.approx(0.05)  # an average record cannot be traced
    assert aggregates.expected_tpr(0.05, 3.0, 1e12) == pytest.approx(0.05, abs=1e-5)  # nor anybody in a crowd
    assert aggregates.expected_tpr(0.05, 1e3, 2) == 1
    np.testing.assert_array_equal(aggregates.expected_tpr(np.array([0.0, 1.0]), 1.0, 5), [0, 1])


def test_limit_a_mean_of_one_is_the_record(rng):
    x = rng.normal(size=(5, 40))
    scores = aggregates.z_score(x[2], x, Population.known(np.zeros(40), np.eye(40)), 1)
    assert scores.argmax() == 2
    assert scores[2] == pytest.approx(np.linalg.norm(x[2]))


def test_limit_with_equal_variances_the_inner_product_is_the_test(rng):
    released, x, centre = rng.normal(size=6), rng.normal(size=(4, 6)), rng.normal(size=6)
    population = Population.known(centre, 2.0 * np.eye(6))
    inner = aggregates.inner_product(released, x, centre)
    z = aggregates.z_score(released, x, population, 8) * population.distance(x)
    np.testing.assert_allclose(z, inner / 2 * np.sqrt(8))


def releases(rng, x, features, n, repetitions, mixing):
    """Return means without x, and with x in place of the last record; population mean 0."""
    out = rng.normal(size=(repetitions, mixing.shape[0])) @ mixing / np.sqrt(n)
    rest = rng.normal(size=(repetitions, mixing.shape[0])) @ mixing * np.sqrt(n - 1)
    return out, (rest + x) / n


@pytest.mark.parametrize("features", [1, 16, 256])
@pytest.mark.parametrize("n", [32, 300])
def test_coverage_scores_of_strangers_are_standard_normal_and_power_is_in_its_band(rng, features, n):
    mixing = rng.normal(size=(features, features))
    population = Population.known(np.zeros(features), mixing.T @ mixing)
    x = rng.normal(size=features) @ mixing
    x *= np.sqrt(features) / population.distance(x[None])  # a typical record: D² is the rank
    out, inside = releases(rng, x, features, n, 500, mixing)
    strangers = np.array([aggregates.z_score(r, x[None], population, n)[0] for r in out])
    assert kstest(strangers, "norm").pvalue > 0.001
    accused = sum(aggregates.z_score(r, x[None], population, n)[0] >= -ndtri(0.05) for r in inside)
    band = metrics.clopper_pearson(int(accused), 500, confidence=0.999)
    assert band.low <= aggregates.expected_tpr(0.05, np.sqrt(features), n) <= band.high


def test_the_rank_counts_and_not_the_width(rng):
    """A linear layer of width 1024 over 64 inputs, and a mean over 64 records."""
    mixing, n = rng.normal(size=(64, 1024)), 64
    population = Population.known(np.zeros(1024), mixing.T @ mixing)
    assert population.rank == 64
    hits = 0
    for _ in range(400):
        x = rng.normal(size=(n, 64)) @ mixing
        hits += int(aggregates.z_score(x.mean(axis=0), x[:1], population, n)[0] >= 1.6449)
    band = metrics.clopper_pearson(hits, 400, confidence=0.999)
    assert band.low <= aggregates.expected_tpr(0.05, 8.0, n) <= band.high
    assert band.high < aggregates.expected_tpr(0.05, 32.0, n)  # what the width would promise: .992


def test_coverage_with_estimated_moments(rng):
    """The false-positive rate holds for a mean of 60 references, and fails if their luck is left out."""
    n, references, features, repetitions = 40, 60, 3, 1500
    false = forgotten = 0
    for _ in range(repetitions):
        mean = rng.normal(size=(references, features)).mean(axis=0)
        released, x = rng.normal(size=(n, features)).mean(axis=0), rng.normal(size=(1, features))
        estimated, known = (Population(mean, np.eye(features), many) for many in (references, np.inf))
        false += int(aggregates.z_score(released, x, estimated, n)[0] >= 1.6449)
        forgotten += int(aggregates.z_score(released, x, known, n)[0] >= 1.6449)
    band = metrics.clopper_pearson(false, repetitions, confidence=0.999)
    assert band.low <= 0.05 <= band.high
    assert metrics.clopper_pearson(forgotten, repetitions, confidence=0.999).low > 0.06


def test_only_the_leading_directions_are_kept(rng):
    records = rng.normal(size=(200, 3)) * [3.0, 1.0, 0.1]
    leading = Population.of(records, directions=2)
    assert leading.rank == 2
    assert abs(leading.whitener[2]).max() < 0.1 * abs(leading.whitener[1]).max()


def test_coverage_simulating_the_release_is_as_good_as_knowing_it(rng):
    """For a mean, where the closed form is known; and for a release that is no mean."""
    n, features = 16, 12
    hits = false = curved = 0
    for _ in range(60):
        x = rng.normal(size=(700, features))
        pool, candidates = np.arange(100, 700), np.array([0, 50])
        inside, outside = aggregates.simulated_z_score(
            x[:n].mean(axis=0), lambda b, x=x: x[b].mean(axis=1), candidates, pool, n, rng=rng
        )
        hits, false = hits + int(inside >= 1.6449), false + int(outside >= 1.6449)

        def release_of(batches, x=x):
            mean, spread = x[batches].mean(axis=1), x[batches].std(axis=1)
            return np.tanh(mean) / spread

        score = aggregates.simulated_z_score(
            release_of(np.arange(n)[None])[0], release_of, candidates, pool, n, rng=rng
        )
        curved += int(score[0] > score[1])
    band = metrics.clopper_pearson(hits, 60, confidence=0.999)
    assert band.low <= aggregates.expected_tpr(0.05, np.sqrt(features), n) <= band.high
    assert metrics.clopper_pearson(false, 60, confidence=0.999).low <= 0.05
    assert metrics.clopper_pearson(curved, 60).low > 0.5


def test_limit_a_release_that_ignores_its_batch_is_refused(rng):
    with pytest.raises(ValueError, match="vary in at least one direction"):
        aggregates.simulated_z_score(
            np.ones(2), lambda b: np.ones((len(b), 2)), np.array([0]), np.arange(9), 4, rng=rng
        )


def test_torch_stays_out():
    heavy = "('torch', 'matplotlib', 'scipy.stats')"
    code = f"import sys, mialab.leaks.aggregates; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


TWO = Population.known(np.zeros(2), np.eye(2))


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Population.known(np.zeros(2), np.zeros((2, 2))), "vary in at least one direction, got no"),
        (lambda: Population.known(np.zeros(2), np.diag([1.0, -1.0])), "no negative eigenvalue, got -1.0"),
        (
            lambda: Population.of(np.zeros((1, 2))),
            "reference must hold at least 2 records, got 1",
        ),
        (
            lambda: Population.known(np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]])),
            "covariance must be symmetric",
        ),
        (lambda: Population.independent(np.zeros(0), np.zeros(0)), "variance must hold features, got none"),
        (lambda: Population.independent(np.zeros(1), np.array([np.inf])), "variance must be finite, got inf"),
        (lambda: Population.of(np.ones((3, 2))), "vary in at least one direction"),
        (lambda: aggregates.z_score(np.zeros(3), np.ones((1, 3)), TWO, 5), "have 2 features, got 3"),
        (lambda: aggregates.z_score(np.zeros(2), np.zeros((1, 2)), TWO, 5), "candidates must differ from"),
        (
            lambda: aggregates.z_score(np.zeros(2), np.ones((1, 2)), TWO, 0.5),
            "n must be a finite number of at least 1, got 0.5",
        ),
        (
            lambda: aggregates.simulated_z_score(
                np.ones(2), lambda b: b, np.array([0]), np.arange(3), 4, rng=np.random.default_rng(0)
            ),
            "pool must hold at least 4 records, got 3",
        ),
        (lambda: Population.of(np.eye(3), directions=0), "directions must be at least 1, got 0"),
        (lambda: aggregates.expected_tpr(1.5, 1.0, 5), r"fpr must be in \[0, 1\], got 1.5"),
        (
            lambda: aggregates.expected_tpr(0.1, -1.0, 5),
            "distance must be a finite number of at least 0, got -1.0",
        ),
        (lambda: aggregates.expected_tpr(0.1, 1.0, 5, references=1), "references must be at least 2, got 1"),
    ],
)
def test_the_door(call, message):
    with pytest.raises(ValueError, match=message):
        call()
