"""The exact ratio of a probe in a small batch: brute force, integrals, and the limit of large batches."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from mialab.leaks import batch_norm as bn
from mialab_book.small_batches import exact_log_likelihood_ratio
from stand_ins import log_likelihood_ratio


def gaussian_mates(size):
    """Return all ordered mates of Gaussian records on a fine grid, and the probability of each."""
    grid = np.linspace(-3.6, 3.6, 25)
    weight = norm.pdf(grid) / norm.pdf(grid).sum()
    rows = np.array(list(itertools.product(range(25), repeat=size)))
    return grid[rows], weight[rows].prod(axis=1)


def test_brute_force_the_exact_ratio_turns_one_world_into_the_other():
    """All batches of five on a grid: weighted by the ratio, the world "out" becomes the world "in"."""
    n, p, c = 5, 0.3, 1.5
    four, likely_out = gaussian_mates(4)
    three, likely_in = gaussian_mates(3)
    out = bn.probe_output(np.array([p]), four[..., None])[:, 0]
    with_c = np.concatenate([np.full((len(three), 1), c), three], axis=1)
    inside = bn.probe_output(np.array([p]), with_c[..., None])[:, 0]
    cells = np.linspace(-2, 2, 201)
    middle, same = (cells[1:] + cells[:-1]) / 2, np.ones(200)
    ratio = np.exp(exact_log_likelihood_ratio(middle, p * same, c * same, 0 * same, same, n))
    weight = np.histogram(out, cells, weights=likely_out)[0] * ratio
    for t in (-1.0, -0.5, 0.0, 0.5, 2.0):
        assert weight[middle < t].sum() == pytest.approx(likely_in[inside < t].sum(), abs=0.01)


@pytest.mark.parametrize("n", [5, 6, 12])
def test_definition_the_exact_ratio_integrates_to_one_and_to_the_other_world(rng, n):
    p, c, mu, sd = np.array([0.4]), np.array([2.5]), 1.0, 2.0
    draws = rng.normal(mu, sd, size=(40000, n - 1, 1))
    out = bn.probe_output(p, draws)[:, 0]
    draws[:, 0] = c
    inside = bn.probe_output(p, draws)[:, 0]
    known = [value * np.ones(2000) for value in (p, c, mu, sd**2)]
    ratio = np.exp(exact_log_likelihood_ratio(out[:2000], *known, n))
    for event in (lambda y: np.full(len(y), True), lambda y: y > -0.2, lambda y: y < -0.8):
        weighted = ratio * event(out[:2000])
        error = weighted.std() / np.sqrt(2000) + 0.5 / np.sqrt(40000)
        assert abs(weighted.mean() - event(inside).mean()) < 4 * error


def test_what_happened_is_never_called_impossible(rng):
    for n in (5, 6, 9):
        p, c, others = rng.normal(size=2000), rng.normal(size=2000), rng.normal(size=(n - 1, 2000))
        known = (p, c, np.zeros(2000), np.ones(2000), n)
        away = exact_log_likelihood_ratio(bn.probe_output(p, others), *known)
        others[0] = c
        assert np.isfinite(exact_log_likelihood_ratio(bn.probe_output(p, others), *known)).all()
        assert np.isneginf(away).any()  # while an absent record sometimes is
        assert not np.isnan(away).any()


def test_limit_in_a_large_batch_the_exact_ratio_is_the_gaussian_one(rng):
    n, features = 400, 50
    p, c = rng.normal(size=features), rng.normal(size=features)
    view = bn.LinearizedProbe.of(p, np.zeros(features), np.ones(features), n)
    spread = np.diag(view.by_mean**2 + 2 * view.by_square**2)  # of φ, for a standard Gaussian record
    exact, limit = [], []
    for _ in range(40):
        y = bn.probe_output(p, rng.normal(size=(n - 1, features)))
        exact.append(exact_log_likelihood_ratio(y, p, c, np.zeros(features), np.ones(features), n).sum())
        phi = view.influence(c[None])
        limit.append(log_likelihood_ratio(y - view.baseline, phi, np.zeros(features), spread, n - 1)[0])
    assert np.corrcoef(exact, limit)[0, 1] > 0.97


# What is refused

ZERO, ONE, TWO = np.zeros(2), np.ones(2), np.full(2, 2.0)
NAN, MASKED = np.array([1.0, np.nan]), np.ma.array([1.0, 2.0], mask=[False, True])


def ratio(**changed):
    asked = {"output": -ONE, "probe": ZERO, "candidate": TWO, "mean": ZERO, "variance": ONE, "n": 6}
    return exact_log_likelihood_ratio(**(asked | changed))


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ratio(n=4), "n must be at least 5, got 4"),
        (lambda: ratio(n=10**400), "n must be (at most 2..53|a whole number of at most)"),
        (lambda: ratio(n=np.nan), "n must be a whole number, got nan"),
        (lambda: ratio(variance=ZERO), "variance must be above 0"),
        (lambda: ratio(variance=NAN), "variance must hold no NaN, got 1 of 2 values"),
        (lambda: ratio(variance=ONE * 1e-308), "candidate, in standard deviations, must be"),
        (lambda: ratio(output=9 * ONE, n=5), "output must be below .* = 2 in size"),
        (lambda: ratio(output=NAN), "output must hold no NaN"),
        (lambda: ratio(probe=ONE * 1e200), "probe must be within"),
        (lambda: ratio(candidate=MASKED), "candidate must have no mask"),
        (lambda: ratio(mean=ONE[:1]), "output and mean must have the same number of features, got 2 and 1"),
        (lambda: ratio(eps=-1.0), "eps must be a finite number of at least 0, got -1.0"),
        (lambda: ratio(eps=1e150), r"eps must be at most 1e\+06 times every variance"),
    ],
)
def test_the_door(call, message):
    with pytest.raises(ValueError, match=message):
        call()
