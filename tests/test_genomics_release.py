"""Linked variants, and frequencies with a promise: brute force, trusted tables, limits."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import kstest

from mialab.accounting import Neighbours
from mialab.leaks import genomics
from mialab.leaks.genomics import effective_variants, gaussian_release, whitened_z_score


def draw(rng, people, frequency):
    return rng.binomial(2, frequency, size=(people, len(frequency))).astype(np.int8)


def copies(rng, people, blocks, times):
    """Make blocks of variants, each the same one ``times`` over."""
    return np.repeat(draw(rng, people, np.full(blocks, 0.5)), times, axis=1)


# Linkage


def test_definition_effective_variants_are_a_sum_over_pairs(rng):
    x = np.minimum(copies(rng, 30, 3, 2) + draw(rng, 30, np.full(6, 0.3)) // 2, 2)
    total = 0.0
    for i, j in product(range(6), repeat=2):
        square = np.corrcoef(x[:, i], x[:, j])[0, 1] ** 2
        total += square if i == j else square - (1 - square) / 28
    assert effective_variants(x) == pytest.approx(36 / total)


@pytest.mark.parametrize("people", [40, 400])  # fewer than variants, and more
def test_limits_of_effective_variants(rng, people):
    free = [effective_variants(draw(rng, people, np.full(100, 0.5))) for _ in range(20)]
    assert np.mean(free) == pytest.approx(100, rel=0.05)
    tied = [effective_variants(copies(rng, people, 25, 4)) for _ in range(20)]
    assert np.mean(tied) == pytest.approx(25, rel=0.05)


def test_coverage_copies_blur_a_strangers_score_and_whitening_mends_it(rng):
    """Each variant four times: the plain score of strangers has twice the spread."""
    n, blocks, plain, mended, members = 60, 40, [], [], []
    reference = copies(rng, 800, blocks, 4)
    for _ in range(300):
        pool, stranger = copies(rng, n, blocks, 4), copies(rng, 1, blocks, 4)
        released, known = genomics.allele_frequencies(pool), genomics.Reference.of(reference)
        plain.append(genomics.z_score(released, stranger, known, n)[0])
        both = whitened_z_score(released, np.vstack([stranger, pool[:1]]), reference, n, directions=blocks)
        mended.append(both[0])
        members.append(both[1])
    assert 1.7 < np.std(plain) < 2.3
    assert kstest(mended, "norm").pvalue > 0.001
    expected = np.sqrt(blocks / (n * (1 + n / 800)))
    assert np.mean(members) == pytest.approx(expected, abs=0.2)  # standard error 0.06


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: effective_variants(np.array([[0, 1], [1, 0], [2, -1], [0, 0]])),
            "no missing genotype .*1 of",
        ),
        (lambda: effective_variants(np.array([[0, 1], [1, 1], [2, 1], [0, 1]])), "vary at every variant.* 1"),
        (lambda: effective_variants(np.array([[0, 1], [1, 0]])), "number of people must be at least 4"),
        (lambda: effective_variants(np.zeros((0, 3), int)), "at least one person"),
        (
            lambda: whitened_z_score(np.array([0.5]), np.array([[1]]), np.array([[0], [2]]), 1, directions=1),
            "n must be at least 2",
        ),
        (
            lambda: whitened_z_score(np.array([0.5]), np.array([[1]]), np.array([[0], [2]]), 5, directions=0),
            "directions must be at least 1, got 0",
        ),
        (
            lambda: whitened_z_score(
                np.array([0.5, 2.0]), np.array([[1, 1]]), np.array([[0, 0], [2, 1]]), 5, directions=1
            ),
            "released must be in",
        ),
    ],
)
def test_bad_genotypes_are_refused(call, says, at_the_door):
    with pytest.raises(ValueError, match=says):
        call()


# Release


def test_oracle_the_sensitivity_over_all_pairs_of_studies():
    """Two people, three variants: of all replacements, one moves the frequencies as far, and none further."""
    genomes = [np.array(x) for x in product(range(3), repeat=3)]
    furthest = max(
        np.linalg.norm((one + other) / 4 - (one + instead) / 4)
        for one, other, instead in product(genomes, repeat=3)
    )
    release = gaussian_release(3, 2, 1.0, 1e-5)
    assert release.sensitivity == pytest.approx(furthest)
    assert release.neighbours == Neighbours.REPLACE


def test_oracle_the_noise_of_balle_and_wang():
    # σ for ε = 1, δ = 1e-5 (Balle & Wang 2018): 3.730632
    assert gaussian_release(100, 1000, 1.0, 1e-5).standard_deviation == pytest.approx(3.730632 * 10 / 1000)
    assert gaussian_release(100, 1000, 1.0, 1e-5).guarantee(1e-5).epsilon == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: gaussian_release(0, 10, 1.0, 1e-5), "variants must be at least 1"),
        (lambda: gaussian_release(5, 1, 1.0, 1e-5), "n must be at least 2"),
        (lambda: gaussian_release(5, 10, -1.0, 1e-5), "epsilon must be"),
    ],
)
def test_bad_numbers_are_refused(call, says, at_the_door):
    with pytest.raises(ValueError, match=says):
        call()
