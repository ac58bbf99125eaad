"""The allelic test: a trusted table, its level with noise, and what it refuses."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, kstest

from mialab.leaks.genomics import gaussian_release
from mialab_book.association import allelic_z_score


def test_oracle_the_trend_is_the_root_of_the_allelic_chi_square(rng):
    n1, n0 = 300, 500
    cases, controls = rng.binomial(2 * n1, 0.3, 5) / (2 * n1), rng.binomial(2 * n0, 0.25, 5) / (2 * n0)
    pooled = (n1 * cases + n0 * controls) / (n1 + n0)
    z = allelic_z_score(cases, controls, pooled, (n1, n0))
    for score, f1, f0 in zip(z, cases, controls, strict=True):
        table = np.rint([[2 * n1 * f1, 2 * n1 * (1 - f1)], [2 * n0 * f0, 2 * n0 * (1 - f0)]])
        assert score**2 == pytest.approx(chi2_contingency(table, correction=False).statistic)
        assert (score > 0) == (f1 > f0)


def test_coverage_with_the_noise_in_its_error_the_trend_keeps_its_level(rng):
    n, p, release = 400, np.full(2000, 0.3), gaussian_release(50, 400, 2.0, 1e-6)
    cases, controls = (release(rng.binomial(2 * n, p) / (2 * n), rng=rng) for _ in range(2))
    s = release.standard_deviation
    assert kstest(allelic_z_score(cases, controls, p, (n, n), noise_sd=(s, s)), "norm").pvalue > 0.001
    assert np.std(allelic_z_score(cases, controls, p, (n, n))) > 1.5  # who leaves it out finds everything


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: allelic_z_score(np.ones(2), np.ones(1), np.full(2, 0.5), (5, 5)),
            "cases and controls must have the same number of variants, got 2 and 1",
        ),
        (
            lambda: allelic_z_score(np.ones(1), np.ones(1), np.ones(1), (5, 5)),
            "frequency must be above 0 and below 1",
        ),
        (
            lambda: allelic_z_score(np.ones(1), np.ones(1), np.full(1, 0.5), (1, 5)),
            "sizes must be at least 2",
        ),
        (
            lambda: allelic_z_score(np.ones(1), np.ones(1), np.full(1, 0.5), (5, 5), noise_sd=(-1.0, 0.0)),
            "noise_sd must be a finite number of at least 0",
        ),
        (
            lambda: allelic_z_score(np.ones(1), np.ones(1), np.full(1, 0.5), (5, 5), noise_sd=(1e200, 0.0)),
            "noise_sd must be within",
        ),
        (
            lambda: allelic_z_score(np.full(1, np.nan), np.ones(1), np.full(1, 0.5), (5, 5)),
            "cases must hold no NaN, got 1 of 1 values",
        ),
    ],
)
def test_bad_numbers_are_refused(call, says, at_the_door):
    with pytest.raises(ValueError, match=says):
        call()
