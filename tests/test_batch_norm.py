"""Batch statistics: torch's layers as the oracle, brute force for tiny batches, power inside its band."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import ttest_1samp
from torch import nn

from mialab import metrics
from mialab.leaks import aggregates
from mialab.leaks import batch_norm as bn

# --- the probe ---------------------------------------------------------------------------------------


def test_oracle_the_output_is_torchs(rng):
    batch = rng.normal(size=(6, 4))
    layer = nn.BatchNorm1d(4, dtype=torch.float64)
    theirs = layer(torch.from_numpy(batch)).detach().numpy()
    np.testing.assert_allclose(bn.probe_output(batch[0], batch[1:]), theirs[0], rtol=1e-9)
    many = np.stack([batch[1:], batch[1:] + 1])
    np.testing.assert_allclose(bn.probe_output(batch[0], many)[0], theirs[0], rtol=1e-9)


def test_oracle_the_output_is_a_t_statistic(rng):
    n, probe, others = 7, 0.3, rng.normal(size=6)
    t = ttest_1samp(others, probe).statistic
    y = bn.probe_output(np.array([probe]), others[:, None], eps=0.0)[0]
    assert y == pytest.approx(-np.sign(t) * np.sqrt((n - 1) * t**2 / (n * (n - 2) + t**2)))


def test_definition_the_derivatives_by_small_steps(rng):
    n, p, mu, var, eps = 9, rng.normal(size=3), rng.normal(size=3), rng.random(3) + 0.5, 0.01

    def output(a, q):
        squares = (n - 1) * (q - (a - mu) ** 2)
        return (n - 1) / n * (p - a) / np.sqrt(squares / n + (n - 1) / n**2 * (p - a) ** 2 + eps)

    view, h = bn.LinearizedProbe.of(p, mu, var, n, eps=eps), 1e-6
    np.testing.assert_allclose(view.baseline, output(mu, var))
    np.testing.assert_allclose(view.by_mean, (output(mu + h, var) - output(mu - h, var)) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(
        view.by_square, (output(mu, var + h) - output(mu, var - h)) / (2 * h), rtol=1e-6
    )


def test_limit_in_a_large_batch_the_first_order_is_all(rng):
    """What is left over shrinks like 1/n, the first-order part like 1/√n."""
    left, first = [], []
    for n in (400, 40000):
        others, p = rng.normal(size=(n - 1, 20)), rng.normal(size=20)
        view = bn.LinearizedProbe.of(p, np.zeros(20), np.ones(20), n)
        moved = bn.probe_output(p, others) - view.baseline
        first.append(np.abs(moved).mean())
        left.append(np.abs(moved - view.influence(others).mean(axis=0)).mean())
    assert left[0] < first[0] / 4
    assert left[1] < left[0] / 20
    assert first[1] > first[0] / 30


def test_brute_force_knowing_the_others_is_knowing_it_all(rng):
    """In a pool of nine the posterior, by enumeration of all batches of four, is 0 or 1."""
    pool, n = rng.normal(size=(9, 1)), 4
    mates = [2, 5, 7]
    output = bn.probe_output(np.array([0.5]), pool[mates])
    for candidate in range(9):
        alike = [
            candidate in others
            for others in itertools.combinations(range(9), n - 1)
            if abs(bn.probe_output(np.array([0.5]), pool[list(others)]) - output)[0] < 1e-12
        ]
        assert np.mean(alike) == (candidate in mates)
    scores = bn.known_mates_score(output, np.array([0.5]), pool[[2, 5]], pool)
    assert scores.argmax() == 7
    assert scores[7] == 0
    assert np.sort(scores)[-2] < -1e-4


def powers(rng, features, n, score, repetitions):
    """Return the band of the power at 5 % of a score(batch), Gaussian records, cut at N(0, 1)'s quantile."""
    hits = sum(score(rng.normal(size=(n, features))) >= 1.6449 for _ in range(repetitions))
    return metrics.clopper_pearson(int(hits), repetitions, confidence=0.999)


def one_probe_score(batch):
    """Score the record behind the probe; it is there."""
    probe, others = batch[0], batch[1:]
    features, n = batch.shape[1], len(batch)
    view = bn.LinearizedProbe.of(probe, np.zeros(features), np.ones(features), n)
    spread = view.by_mean**2 + 2 * view.by_square**2
    population = aggregates.Population.independent(np.zeros(features), spread)
    moved = bn.probe_output(probe, others) - view.baseline
    return aggregates.z_score(moved, view.influence(batch[1:2]), population, n - 1)[0]


@pytest.mark.parametrize(("features", "n"), [(16, 32), (64, 64), (256, 64)])
def test_coverage_one_probe_is_worth_one_number_a_feature(rng, features, n):
    band = powers(rng, features, n, one_probe_score, 600)
    expected = aggregates.expected_tpr(0.05, np.sqrt(features), n - 1)
    assert band.low - 0.015 <= expected <= band.high + 0.015  # D² varies around the rank


def two_probe_score(batch):
    probes, n, features = batch[:2], len(batch), batch.shape[1]
    outputs = (probes - batch.mean(axis=0)) / np.sqrt(batch.var(axis=0) + 1e-5)
    zero = np.zeros(features)
    told = bn.mates_moments(*bn.batch_stats_from_probes(probes, outputs), probes, n, zero)
    mean = np.repeat([0.0, 1.0], features)
    population = aggregates.Population.independent(mean, np.repeat([1.0, 2.0], features))
    return aggregates.z_score(told, bn.moments(batch[2:3], zero), population, n - 2)[0]


def test_coverage_two_probes_are_worth_two(rng):
    band = powers(rng, 64, 64, two_probe_score, 600)
    assert band.low - 0.015 <= aggregates.expected_tpr(0.05, np.sqrt(128), 62) <= band.high + 0.015
    assert band.low > aggregates.expected_tpr(0.05, np.sqrt(64), 63)


def test_width_counts_through_the_variance_and_not_through_the_mean(rng):
    """256 units over 16 Gaussian inputs: rank 16 for a probe at the mean, more for any other."""
    mixing, n = rng.normal(size=(16, 256)) / 4, 32
    covariance = mixing.T @ mixing
    zero, variance = np.zeros(256), np.diag(covariance).copy()
    hits = {}
    for name, probe in (("mean", zero), ("other", rng.normal(size=16) @ mixing)):
        view = bn.LinearizedProbe.of(probe, zero, variance, n)
        mean, square = (np.outer(slope, slope) for slope in (view.by_mean, view.by_square))
        seen = aggregates.Population.known(zero, mean * covariance + 2 * square * covariance**2)
        # Means and covariances, less one: scaling p − a and √S alike changes no output.
        assert seen.rank == {"mean": 16, "other": 16 + 16 * 17 // 2 - 1}[name]
        z = []
        for _ in range(200):
            others = rng.normal(size=(n - 1, 16)) @ mixing
            moved = bn.probe_output(probe, others) - view.baseline
            z.append(aggregates.z_score(moved, view.influence(others[:1]), seen, n - 1)[0])
        hits[name] = metrics.clopper_pearson(int(np.sum(np.array(z) >= 1.6449)), 200, confidence=0.999)
    band = hits["mean"]
    assert band.low <= aggregates.expected_tpr(0.05, 4.0, n - 1) <= band.high
    assert hits["other"].low > band.high


def test_the_probe_score_from_reference_records_alone(rng):
    """Correlated, skewed features; the attacker knows nothing but reference records."""
    mixing = rng.normal(size=(6, 12))

    def draw(records):
        return (rng.exponential(size=(records, 6)) - 1) @ mixing + 5

    reference, n = draw(1000), 200
    inside, outside = [], []
    for _ in range(250):
        batch, stranger = draw(n), draw(1)
        both = np.vstack([batch[1:2], stranger])
        one, other = bn.probe_z_score(bn.probe_output(batch[0], batch[1:]), batch[0], both, reference, n)
        inside.append(one)
        outside.append(other)
    assert abs(np.mean(outside)) < 4 / np.sqrt(250)
    assert np.std(outside) == pytest.approx(1, abs=0.18)  # four standard errors
    expected = np.sqrt(6 / (n - 1))
    assert np.mean(inside) > expected / 2


def test_two_probes_read_the_batch_exactly(rng):
    batch = rng.normal(3, 2, size=(8, 5))
    outputs = nn.BatchNorm1d(5, dtype=torch.float64)(torch.from_numpy(batch)).detach().numpy()
    mean, variance = bn.batch_stats_from_probes(batch[:2], outputs[:2])
    np.testing.assert_allclose(mean, batch.mean(axis=0))
    np.testing.assert_allclose(variance, batch.var(axis=0), rtol=1e-9)
    told = bn.mates_moments(mean, variance, batch[:2], 8, np.zeros(5))
    np.testing.assert_allclose(told[:5], batch[2:].mean(axis=0))
    np.testing.assert_allclose(told[5:], (batch[2:] ** 2).mean(axis=0))


# --- running averages --------------------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.01, 0.1, 0.5, 1.0])
def test_oracle_two_snapshots_of_torchs_layer_give_the_batch(rng, momentum):
    layer = nn.BatchNorm1d(5, momentum=momentum)
    layer(torch.from_numpy(rng.normal(2, 3, size=(30, 5)).astype(np.float32)))
    before = bn.RunningStats.of(layer)
    batch = rng.normal(2, 3, size=(8, 5)).astype(np.float32)
    layer(torch.from_numpy(batch))
    mean, variance = bn.batch_stats_between(before, bn.RunningStats.of(layer), momentum, n=8)
    rounding = 4 * np.finfo(np.float32).eps / momentum
    np.testing.assert_allclose(mean, batch.mean(axis=0), atol=rounding * 10)
    np.testing.assert_allclose(variance, batch.var(axis=0), atol=rounding * 60)


def test_oracle_of_feature_maps_too(rng):
    layer, x = nn.BatchNorm2d(3), torch.randn(4, 3, 5, 5)
    before = bn.RunningStats.of(layer)
    layer(x)
    mean, variance = bn.batch_stats_between(before, bn.RunningStats.of(layer), 0.1, n=4 * 25)
    np.testing.assert_allclose(mean, x.mean(dim=(0, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(variance, x.var(dim=(0, 2, 3), correction=0), atol=1e-4)


@pytest.mark.parametrize("momentum", [0.1, 0.37, 1.0])
def test_definition_weights_are_what_torch_does(rng, momentum):
    layer, batches = nn.BatchNorm1d(1, momentum=momentum, dtype=torch.float64), rng.normal(size=(6, 4, 1))
    for batch in batches:
        layer(torch.from_numpy(batch))
    newest_first = batches.mean(axis=(1, 2))[::-1]
    assert bn.RunningStats.of(layer).mean[0] == pytest.approx(bn.ema_weights(momentum, 6) @ newest_first)


@pytest.mark.parametrize("momentum", [0.01, 0.1, 0.5, 1.0])
def test_definition_effective_batches_is_one_over_the_sum_of_squared_weights(momentum):
    weights = bn.ema_weights(momentum, 5000)
    assert weights.sum() == pytest.approx(1)
    assert bn.effective_batches(momentum) == pytest.approx(1 / np.sum(weights**2))


def test_limits_of_momentum():
    np.testing.assert_array_equal(bn.ema_weights(1.0, 3), [1, 0, 0])  # the last batch and nothing else
    assert bn.effective_batches(1e-9) > 1e9  # a photograph of everybody, and of nobody
    slow = bn.ema_weights(1e-9, 2)
    assert slow[1] / slow[0] == pytest.approx(1)


@pytest.mark.parametrize(("momentum", "back"), [(1.0, 0), (0.3, 0), (0.3, 2)])
def test_coverage_tracing_a_record_from_a_running_mean(rng, momentum, back):
    features, size, steps = 64, 16, 40
    population = aggregates.Population.known(np.zeros(features), np.eye(features))
    n = size * bn.effective_batches(momentum)
    weights, hits = bn.ema_weights(momentum, steps), 0
    for _ in range(600):
        x = rng.normal(size=(steps, size, features))
        stored = np.tensordot(weights, x.mean(axis=1), axes=1)
        hits += int(aggregates.z_score(stored, x[back, :1], population, n)[0] >= 1.6449)
    band = metrics.clopper_pearson(hits, 600, confidence=0.999)
    weight = (2 - momentum) * (1 - momentum) ** back
    assert weight / n == pytest.approx(weights[back] / size)
    assert band.low - 0.015 <= aggregates.expected_tpr(0.05, 8.0, n, weight=weight) <= band.high + 0.015


# --- bad input ---------------------------------------------------------------------------------------

ZERO, ONE = np.zeros(1), np.ones(1)
BEFORE, AFTER = bn.RunningStats(ZERO, ONE, 3), bn.RunningStats(ZERO, 0.5 * ONE, 4)


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bn.probe_output(ONE, np.empty((0, 1))), "mates must hold records, got none"),
        (lambda: bn.LinearizedProbe.of(ONE, ZERO, ONE, 1), "n must be at least 2, got 1"),
        (
            lambda: bn.LinearizedProbe.of(ONE, ZERO, ZERO, 8),
            "variance must be above 0 in every feature, got 0.0",
        ),
        (
            lambda: bn.probe_z_score(ZERO, ONE, ONE[None], np.ones((9, 1)), 8),
            "reference must vary in every feature, got one that is constant",
        ),
        (
            lambda: bn.batch_stats_from_probes(np.ones((2, 1)), np.zeros((2, 1))),
            "probes must differ in every feature",
        ),
        (
            lambda: bn.batch_stats_from_probes(np.array([[0.0], [1.0]]), np.array([[1.0], [0.0]])),
            "outputs must lie in the order of the probes",
        ),
        (lambda: bn.mates_moments(ZERO, ONE, np.ones((3, 1)), 3, ZERO), "n must be at least 4, got 3"),
        (lambda: bn.ema_weights(0.0, 3), r"momentum must be in \(0, 1\], got 0.0"),
        (lambda: bn.effective_batches(1.5), r"momentum must be in \(0, 1\], got 1.5"),
        (lambda: bn.ema_weights(0.1, 0), "batches must be at least 1, got 0"),
        (lambda: bn.batch_stats_between(BEFORE, AFTER, 0.0, 4), r"momentum must be in \(0, 1\], got 0.0"),
        (lambda: bn.batch_stats_between(BEFORE, AFTER, 0.1, 1), "n must be at least 2, got 1"),
        (lambda: bn.batch_stats_between(AFTER, BEFORE, 0.1, 4), "must be one batch apart, got -1"),
        (
            lambda: bn.batch_stats_between(BEFORE, AFTER, 0.1, 4),
            "before and after must come from a layer with momentum 0.1, got a batch variance of -4",
        ),
        (lambda: bn.RunningStats.of(nn.BatchNorm1d(2, track_running_stats=False)), "keep running averages"),
    ],
)
def test_the_door(call, message):
    with pytest.raises(ValueError, match=message):
        call()
