"""Batch statistics: torch's layers as the oracle, brute force for tiny batches, power inside its band."""

import copy
import itertools

import numpy as np
import pytest
import torch
from scipy.stats import norm, ttest_1samp
from torch import nn

from mialab import metrics, train
from mialab.leaks import aggregates
from mialab.leaks import batch_norm as bn
from mialab.models import small_cnn

# --- the probe ---------------------------------------------------------------------------------------


def test_oracle_the_output_is_torchs(rng):
    batch = rng.normal(size=(6, 4))
    layer = nn.BatchNorm1d(4, dtype=torch.float64)
    theirs = layer(torch.from_numpy(batch)).detach().numpy()
    np.testing.assert_allclose(bn.normalised(batch[0], batch[1:]), theirs[0], rtol=1e-9)
    many = np.stack([batch[1:], batch[1:] + 1])
    np.testing.assert_allclose(bn.normalised(batch[0], many)[0], theirs[0], rtol=1e-9)


def test_oracle_the_output_is_a_t_statistic(rng):
    n, probe, others = 7, 0.3, rng.normal(size=6)
    t = ttest_1samp(others, probe).statistic
    y = bn.normalised(np.array([probe]), others[:, None], epsilon=0.0)[0]
    assert y == pytest.approx(-np.sign(t) * np.sqrt((n - 1) * t**2 / (n * (n - 2) + t**2)))


def test_definition_the_derivatives_by_small_steps(rng):
    n, p, mu, var, eps = 9, rng.normal(size=3), rng.normal(size=3), rng.random(3) + 0.5, 0.01

    def output(a, q):
        squares = (n - 1) * (q - (a - mu) ** 2)
        return (n - 1) / n * (p - a) / np.sqrt(squares / n + (n - 1) / n**2 * (p - a) ** 2 + eps)

    view, h = bn.Probe.of(p, mu, var, n, epsilon=eps), 1e-6
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
        view = bn.Probe.of(p, np.zeros(20), np.ones(20), n)
        moved = bn.normalised(p, others) - view.baseline
        first.append(np.abs(moved).mean())
        left.append(np.abs(moved - view.features(others).mean(axis=0)).mean())
    assert left[0] < first[0] / 4
    assert left[1] < left[0] / 20
    assert first[1] > first[0] / 30


def test_brute_force_knowing_the_others_is_knowing_it_all(rng):
    """In a pool of nine the posterior, by enumeration of all batches of four, is 0 or 1."""
    pool, n = rng.normal(size=(9, 1)), 4
    company = [2, 5, 7]
    output = bn.normalised(np.array([0.5]), pool[company])
    for candidate in range(9):
        alike = [
            candidate in others
            for others in itertools.combinations(range(9), n - 1)
            if abs(bn.normalised(np.array([0.5]), pool[list(others)]) - output)[0] < 1e-12
        ]
        assert np.mean(alike) == (candidate in company)
    scores = bn.known_company(output, np.array([0.5]), pool[[2, 5]], pool)
    assert scores.argmax() == 7
    assert scores[7] == 0
    assert np.sort(scores)[-2] < -1e-4


def gaussian_companies(size):
    """Return all ordered companies of Gaussian records on a fine grid, and the probability of each."""
    grid = np.linspace(-3.6, 3.6, 25)
    weight = norm.pdf(grid) / norm.pdf(grid).sum()
    rows = np.array(list(itertools.product(range(25), repeat=size)))
    return grid[rows], weight[rows].prod(axis=1)


def test_brute_force_the_exact_ratio_turns_one_world_into_the_other():
    """All batches of five on a grid: weighted by the ratio, the world "out" becomes the world "in"."""
    n, p, c = 5, 0.3, 1.5
    four, likely_out = gaussian_companies(4)
    three, likely_in = gaussian_companies(3)
    out = bn.normalised(np.array([p]), four[..., None])[:, 0]
    with_c = np.concatenate([np.full((len(three), 1), c), three], axis=1)
    inside = bn.normalised(np.array([p]), with_c[..., None])[:, 0]
    cells = np.linspace(-2, 2, 201)
    middle, same = (cells[1:] + cells[:-1]) / 2, np.ones(200)
    ratio = np.exp(bn.exact_log_ratio(middle, p * same, c * same, 0 * same, same, n))
    weight = np.histogram(out, cells, weights=likely_out)[0] * ratio
    for t in (-1.0, -0.5, 0.0, 0.5, 2.0):
        assert weight[middle < t].sum() == pytest.approx(likely_in[inside < t].sum(), abs=0.01)


@pytest.mark.parametrize("n", [5, 6, 12])
def test_definition_the_exact_ratio_integrates_to_one_and_to_the_other_world(rng, n):
    p, c, mu, sd = np.array([0.4]), np.array([2.5]), 1.0, 2.0
    draws = rng.normal(mu, sd, size=(40000, n - 1, 1))
    out = bn.normalised(p, draws)[:, 0]
    draws[:, 0] = c
    inside = bn.normalised(p, draws)[:, 0]
    known = [value * np.ones(2000) for value in (p, c, mu, sd**2)]
    ratio = np.exp(bn.exact_log_ratio(out[:2000], *known, n))
    for event in (lambda y: np.full(len(y), True), lambda y: y > -0.2, lambda y: y < -0.8):
        weighted = ratio * event(out[:2000])
        error = weighted.std() / np.sqrt(2000) + 0.5 / np.sqrt(40000)
        assert abs(weighted.mean() - event(inside).mean()) < 4 * error


def test_what_happened_is_never_called_impossible(rng):
    for n in (5, 6, 9):
        p, c, others = rng.normal(size=2000), rng.normal(size=2000), rng.normal(size=(n - 1, 2000))
        known = (p, c, np.zeros(2000), np.ones(2000), n)
        away = bn.exact_log_ratio(bn.normalised(p, others), *known)
        others[0] = c
        assert np.isfinite(bn.exact_log_ratio(bn.normalised(p, others), *known)).all()
        assert np.isneginf(away).any()  # while an absent record sometimes is
        assert not np.isnan(away).any()


def test_limit_in_a_large_batch_the_exact_ratio_is_the_gaussian_one(rng):
    n, features = 400, 50
    p, c = rng.normal(size=features), rng.normal(size=features)
    view = bn.Probe.of(p, np.zeros(features), np.ones(features), n)
    spread = view.by_mean**2 + 2 * view.by_square**2  # of φ, for a standard Gaussian record
    population = aggregates.Population.independent(np.zeros(features), spread)
    exact, limit = [], []
    for _ in range(40):
        y = bn.normalised(p, rng.normal(size=(n - 1, features)))
        exact.append(bn.exact_log_ratio(y, p, c, np.zeros(features), np.ones(features), n).sum())
        phi = view.features(c[None])
        limit.append(aggregates.log_likelihood_ratio(y - view.baseline, phi, population, n - 1)[0])
    assert np.corrcoef(exact, limit)[0, 1] > 0.97


def powers(rng, features, n, score, repetitions):
    """Return the band of the power at 5 % of a score(batch), Gaussian records, cut at N(0, 1)'s quantile."""
    hits = sum(score(rng.normal(size=(n, features))) >= 1.6449 for _ in range(repetitions))
    return metrics.clopper_pearson(int(hits), repetitions, confidence=0.999)


def one_probe_score(batch):
    """Score the record behind the probe; it is there."""
    probe, others = batch[0], batch[1:]
    features, n = batch.shape[1], len(batch)
    view = bn.Probe.of(probe, np.zeros(features), np.ones(features), n)
    spread = view.by_mean**2 + 2 * view.by_square**2
    population = aggregates.Population.independent(np.zeros(features), spread)
    moved = bn.normalised(probe, others) - view.baseline
    return aggregates.z_score(moved, view.features(batch[1:2]), population, n - 1)[0]


@pytest.mark.parametrize(("features", "n"), [(16, 32), (64, 64), (256, 64)])
def test_coverage_one_probe_is_worth_one_number_a_feature(rng, features, n):
    band = powers(rng, features, n, one_probe_score, 600)
    expected = aggregates.power(0.05, np.sqrt(features), n - 1)
    assert band.low - 0.015 <= expected <= band.high + 0.015  # D² varies around the rank


def two_probe_score(batch):
    probes, n, features = batch[:2], len(batch), batch.shape[1]
    outputs = (probes - batch.mean(axis=0)) / np.sqrt(batch.var(axis=0) + 1e-5)
    zero = np.zeros(features)
    told = bn.others_moments(*bn.read_statistics(probes, outputs), probes, n, zero)
    mean = np.repeat([0.0, 1.0], features)
    population = aggregates.Population.independent(mean, np.repeat([1.0, 2.0], features))
    return aggregates.z_score(told, bn.moments(batch[2:3], zero), population, n - 2)[0]


def test_coverage_two_probes_are_worth_two(rng):
    band = powers(rng, 64, 64, two_probe_score, 600)
    assert band.low - 0.015 <= aggregates.power(0.05, np.sqrt(128), 62) <= band.high + 0.015
    assert band.low > aggregates.power(0.05, np.sqrt(64), 63)


def test_width_counts_through_the_variance_and_not_through_the_mean(rng):
    """256 units over 16 Gaussian inputs: rank 16 for a probe at the mean, more for any other."""
    mixing, n = rng.normal(size=(16, 256)) / 4, 32
    covariance = mixing.T @ mixing
    zero, variance = np.zeros(256), np.diag(covariance).copy()
    hits = {}
    for name, probe in (("mean", zero), ("other", rng.normal(size=16) @ mixing)):
        view = bn.Probe.of(probe, zero, variance, n)
        mean, square = (np.outer(slope, slope) for slope in (view.by_mean, view.by_square))
        seen = aggregates.Population.known(zero, mean * covariance + 2 * square * covariance**2)
        # Means and covariances, less one: scaling p − a and √S alike changes no output.
        assert seen.rank == {"mean": 16, "other": 16 + 16 * 17 // 2 - 1}[name]
        z = []
        for _ in range(200):
            others = rng.normal(size=(n - 1, 16)) @ mixing
            moved = bn.normalised(probe, others) - view.baseline
            z.append(aggregates.z_score(moved, view.features(others[:1]), seen, n - 1)[0])
        hits[name] = metrics.clopper_pearson(int(np.sum(np.array(z) >= 1.6449)), 200, confidence=0.999)
    band = hits["mean"]
    assert band.low <= aggregates.power(0.05, 4.0, n - 1) <= band.high
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
        one, other = bn.probe_score(bn.normalised(batch[0], batch[1:]), batch[0], both, reference, n)
        inside.append(one)
        outside.append(other)
    assert abs(np.mean(outside)) < 4 / np.sqrt(250)
    assert np.std(outside) == pytest.approx(1, abs=0.18)  # four standard errors
    expected = np.sqrt(6 / (n - 1))
    assert np.mean(inside) > expected / 2


def test_two_probes_read_the_batch_exactly(rng):
    batch = rng.normal(3, 2, size=(8, 5))
    outputs = nn.BatchNorm1d(5, dtype=torch.float64)(torch.from_numpy(batch)).detach().numpy()
    mean, variance = bn.read_statistics(batch[:2], outputs[:2])
    np.testing.assert_allclose(mean, batch.mean(axis=0))
    np.testing.assert_allclose(variance, batch.var(axis=0), rtol=1e-9)
    told = bn.others_moments(mean, variance, batch[:2], 8, np.zeros(5))
    np.testing.assert_allclose(told[:5], batch[2:].mean(axis=0))
    np.testing.assert_allclose(told[5:], (batch[2:] ** 2).mean(axis=0))


# --- running averages --------------------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.01, 0.1, 0.5, 1.0])
def test_oracle_two_snapshots_of_torchs_layer_give_the_batch(rng, momentum):
    layer = nn.BatchNorm1d(5, momentum=momentum)
    layer(torch.from_numpy(rng.normal(2, 3, size=(30, 5)).astype(np.float32)))
    before = bn.Snapshot.of(layer)
    batch = rng.normal(2, 3, size=(8, 5)).astype(np.float32)
    layer(torch.from_numpy(batch))
    mean, variance = bn.batch_between(before, bn.Snapshot.of(layer), momentum, n=8)
    rounding = 4 * np.finfo(np.float32).eps / momentum
    np.testing.assert_allclose(mean, batch.mean(axis=0), atol=rounding * 10)
    np.testing.assert_allclose(variance, batch.var(axis=0), atol=rounding * 60)


def test_oracle_of_feature_maps_too(rng):
    layer, x = nn.BatchNorm2d(3), torch.randn(4, 3, 5, 5)
    before = bn.Snapshot.of(layer)
    layer(x)
    mean, variance = bn.batch_between(before, bn.Snapshot.of(layer), 0.1, n=4 * 25)
    np.testing.assert_allclose(mean, x.mean(dim=(0, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(variance, x.var(dim=(0, 2, 3), correction=0), atol=1e-4)


@pytest.mark.parametrize("momentum", [0.1, 0.37, 1.0])
def test_definition_weights_are_what_torch_does(rng, momentum):
    layer, batches = nn.BatchNorm1d(1, momentum=momentum, dtype=torch.float64), rng.normal(size=(6, 4, 1))
    for batch in batches:
        layer(torch.from_numpy(batch))
    newest_first = batches.mean(axis=(1, 2))[::-1]
    assert bn.Snapshot.of(layer).mean[0] == pytest.approx(bn.batch_weights(momentum, 6) @ newest_first)


@pytest.mark.parametrize("momentum", [0.01, 0.1, 0.5, 1.0])
def test_definition_effective_batches_is_one_over_the_sum_of_squared_weights(momentum):
    weights = bn.batch_weights(momentum, 5000)
    assert weights.sum() == pytest.approx(1)
    assert bn.effective_batches(momentum) == pytest.approx(1 / np.sum(weights**2))


def test_limits_of_momentum():
    np.testing.assert_array_equal(bn.batch_weights(1.0, 3), [1, 0, 0])  # the last batch and nothing else
    assert bn.effective_batches(1e-9) > 1e9  # a photograph of everybody, and of nobody
    slow = bn.batch_weights(1e-9, 2)
    assert slow[1] / slow[0] == pytest.approx(1)


@pytest.mark.parametrize(("momentum", "back"), [(1.0, 0), (0.3, 0), (0.3, 2)])
def test_coverage_tracing_a_record_from_a_running_mean(rng, momentum, back):
    features, size, steps = 64, 16, 40
    population = aggregates.Population.known(np.zeros(features), np.eye(features))
    n = size * bn.effective_batches(momentum)
    weights, hits = bn.batch_weights(momentum, steps), 0
    for _ in range(600):
        x = rng.normal(size=(steps, size, features))
        stored = np.tensordot(weights, x.mean(axis=1), axes=1)
        hits += int(aggregates.z_score(stored, x[back, :1], population, n)[0] >= 1.6449)
    band = metrics.clopper_pearson(hits, 600, confidence=0.999)
    weight = (2 - momentum) * (1 - momentum) ** back
    assert weight / n == pytest.approx(weights[back] / size)
    assert band.low - 0.015 <= aggregates.power(0.05, 8.0, n, weight=weight) <= band.high + 0.015


# --- company -----------------------------------------------------------------------------------------


def test_definition_each_query_in_a_batch_of_its_own(rng):
    x = rng.random((12, 1, 8, 8)).astype(np.float32)
    models = [small_cnn(1, 8, 10, norm="batch") for _ in range(2)]
    queries, mates = np.array([3, 0]), np.array([[[1, 2], [4, 5]], [[6, 7], [3, 8]]])
    fleet = train.Fleet.of(models)
    kept = {name: tensor.clone() for name, tensor in fleet.state.items()}
    got = bn.predict_in_company(fleet, x, queries, mates)
    for model, company, answers in zip(models, mates, got, strict=True):
        for query, others, answer in zip(queries, company, answers, strict=True):
            batch = torch.from_numpy(x[[query, *others]])
            expected = copy.deepcopy(model).train()(batch)[0].detach()
            np.testing.assert_allclose(answer, expected, atol=1e-5)
    assert all(torch.equal(kept[name], tensor) for name, tensor in fleet.state.items())
    np.testing.assert_allclose(bn.predict_in_company(models[1], x, queries, mates[1]), got[1], atol=1e-6)


def test_a_batch_is_asked_as_one(rng):
    x = rng.random((12, 1, 8, 8)).astype(np.float32)
    model, batches = small_cnn(1, 8, 10, norm="batch"), rng.permutation(12).reshape(3, 4)
    got = bn.predict_batches(model, x, batches)
    for rows, answers in zip(batches, got, strict=True):
        expected = copy.deepcopy(model).train()(torch.from_numpy(x[rows])).detach()
        np.testing.assert_allclose(answers, expected, atol=1e-5)


@pytest.mark.parametrize("norm", ["none", "instance", "layer", "group", "virtual"])
def test_without_batch_statistics_the_company_changes_not_one_bit(rng, norm):
    x = rng.random((40, 1, 8, 8)).astype(np.float32)
    reference = torch.from_numpy(x[30:]) if norm == "virtual" else None
    model = small_cnn(1, 8, 10, norm=norm, reference=reference).train()
    with_secret, without = x[:16].copy(), x[:16].copy()
    without[7] = x[20]
    with torch.no_grad():
        one, other = (model(torch.from_numpy(batch))[0] for batch in (with_secret, without))
    assert torch.equal(one, other)


def test_with_batch_statistics_it_does(rng):
    x = rng.random((17, 1, 8, 8)).astype(np.float32)
    model = small_cnn(1, 8, 10, norm="batch")
    answers = bn.predict_in_company(model, x, np.array([0, 0]), np.array([[1, 2, 3], [1, 2, 4]]))
    assert np.abs(answers[0] - answers[1]).max() > 1e-4


def test_dropout_is_off_while_the_batch_is_on(rng):
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    x = rng.normal(size=(5, 4)).astype(np.float32)
    queries, mates = np.array([0]), np.array([[1, 2, 3, 4]])
    expected = bn.normalised(x[0].astype(float), x[1:].astype(float))
    np.testing.assert_allclose(bn.predict_in_company(model, x, queries, mates)[0], expected, atol=1e-5)


def test_mates_are_eligible_distinct_and_not_the_query(rng):
    eligible, queries = rng.random(60) < 0.5, np.arange(60)
    mates = bn.draw_mates(eligible, queries, 10, rng=rng)
    assert eligible[mates].all()
    assert not (mates == queries[:, None]).any()
    assert all(len(set(row)) == 10 for row in mates)
    counts = np.bincount(bn.draw_mates(eligible, np.zeros(4000, dtype=int), 5, rng=rng).ravel(), minlength=60)
    there = np.flatnonzero(eligible)[np.flatnonzero(eligible) != 0]
    expected = 4000 * 5 / len(there)
    assert np.abs(counts[there] - expected).max() < 5 * np.sqrt(expected)


# --- bad input ---------------------------------------------------------------------------------------

ZERO, ONE = np.zeros(1), np.ones(1)
BEFORE, AFTER = bn.Snapshot(ZERO, ONE, 3), bn.Snapshot(ZERO, 0.5 * ONE, 4)
X, CNN = np.zeros((4, 1, 8, 8), dtype=np.float32), small_cnn(1, 8, 10, norm="batch")


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bn.normalised(ONE, np.empty((0, 1))), "others must have shape .* with a record or more"),
        (lambda: bn.normalised(ONE, np.array([[np.nan]])), "others must hold no NaN, got 1 of 1 values"),
        (lambda: bn.Probe.of(ONE, ZERO, ONE, 1), "n must be at least 2, got 1"),
        (lambda: bn.Probe.of(ONE, ZERO, ZERO, 8), "variance must be above 0 in every feature, got 0.0 at 0"),
        (
            lambda: bn.probe_score(ZERO, ONE, ONE[None], np.ones((9, 1)), 8),
            "reference must vary in every feature, got one that is constant",
        ),
        (lambda: bn.exact_log_ratio(ZERO, ONE, ONE, ZERO, ONE, 4), "n must be at least 5, got 4"),
        (lambda: bn.exact_log_ratio(ZERO, ONE, ONE, ZERO, ZERO, 8), "variance must be above 0"),
        (lambda: bn.exact_log_ratio(9 * ONE, ONE, ONE, ZERO, ONE, 5), "output must be below .* = 2 in size"),
        (
            lambda: bn.read_statistics(np.ones((2, 1)), np.zeros((2, 1))),
            "probes must differ in every feature",
        ),
        (
            lambda: bn.read_statistics(np.array([[0.0], [1.0]]), np.array([[1.0], [0.0]])),
            "outputs must lie in the order of the probes",
        ),
        (lambda: bn.others_moments(ZERO, ONE, np.ones((3, 1)), 3, ZERO), "n must be at least 4, got 3"),
        (lambda: bn.batch_weights(0.0, 3), r"momentum must be in \(0, 1\], got 0.0"),
        (lambda: bn.effective_batches(1.5), r"momentum must be in \(0, 1\], got 1.5"),
        (lambda: bn.batch_weights(0.1, 0), "batches must be at least 1, got 0"),
        (lambda: bn.batch_between(BEFORE, AFTER, 0.0, 4), r"momentum must be in \(0, 1\], got 0.0"),
        (lambda: bn.batch_between(BEFORE, AFTER, 0.1, 1), "n must be at least 2, got 1"),
        (lambda: bn.batch_between(AFTER, BEFORE, 0.1, 4), "snapshots must be one batch apart, got -1"),
        (
            lambda: bn.batch_between(BEFORE, AFTER, 0.1, 4),
            "snapshots must come from a layer with momentum 0.1, got a batch variance of -4",
        ),
        (lambda: bn.Snapshot.of(nn.BatchNorm1d(2, track_running_stats=False)), "keep running averages"),
        (
            lambda: bn.draw_mates(np.ones(3, dtype=bool), np.array([0]), 3, rng=None),
            r"rng must be a numpy\.random\.Generator, as numpy\.random\.default_rng\(seed\) is, got None",
        ),
        (lambda: bn.draw_mates(np.ones(3), np.array([0]), 1, rng=None), "eligible must be an array of bool"),
        (
            lambda: bn.predict_in_company(CNN, X, np.array([0]), np.empty((1, 0), dtype=int)),
            "mates must be at least 1 for each query, got none",
        ),
        (
            lambda: bn.predict_batches(train.Fleet.of([CNN]), X, np.zeros((2, 1, 2), dtype=int)),
            "batches must be given for each of 1 models, got 2",
        ),
        (
            lambda: bn.predict_in_company(CNN, X, np.array([0]), np.zeros((2, 1), dtype=int)),
            "queries and mates must have the same number of queries, got 1 and 2",
        ),
        (
            lambda: bn.predict_in_company(CNN, X, np.array([-1]), np.array([[0]])),
            rf"queries must be in 0 … {len(X) - 1}, got values from -1 to -1",
        ),
        (
            lambda: bn.predict_in_company(CNN, X, np.array([0]), np.array([[len(X)]])),
            rf"mates must be in 0 … {len(X) - 1}",
        ),
        (
            lambda: bn.predict_batches(CNN, X, np.array([[0, -1]])),
            rf"batches must be in 0 … {len(X) - 1}, got values from -1 to 0",
        ),
        (
            lambda: bn.draw_mates(np.ones(3, dtype=bool), np.array([3]), 1, rng=np.random.default_rng(0)),
            "queries must be in 0 … 2, got values from 3 to 3",
        ),
    ],
)
def test_the_door(call, message):
    with pytest.raises(ValueError, match=message):
        call()
