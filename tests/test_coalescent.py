"""Simulated genomes: the published history, and msprime's own expectations."""

import sys

import numpy as np
import pytest

from mialab.leaks.genomics import effective_variants
from mialab_book import coalescent


def test_oracle_the_published_history():
    """Gutenkunst et al. 2009, as stdpopsim's catalogue has it (OutOfAfrica_3G09)."""
    pytest.importorskip("msprime")
    debug = coalescent.out_of_africa().debug()
    ends = [round(epoch.end_time) for epoch in debug.epochs[:-1]]
    assert ends == [848, 5600, 8800]
    sizes = {p.name: p.start_size for epoch in debug.epochs for p in epoch.active_populations}
    assert {name: round(sizes[name]) for name in ("YRI", "OOA", "AMH", "ANC")} == {
        "YRI": 12300,
        "OOA": 2100,
        "AMH": 12300,
        "ANC": 7300,
    }
    first = debug.epochs[0]
    founders = {p.name: p.end_size for p in first.active_populations}
    assert founders == pytest.approx({"YRI": 12300, "CEU": 1000, "CHB": 510})
    migration = {tuple(first.migration_matrix[i, j] for j in range(3)) for i in range(3)}
    assert migration == {(0, 3e-5, 1.9e-5), (3e-5, 0, 9.6e-5), (1.9e-5, 9.6e-5, 0)}
    assert debug.epochs[1].migration_matrix.max() == 25e-5
    assert not debug.epochs[2].migration_matrix.any()  # nobody had left yet


def test_oracle_the_spectrum_is_msprimes_own_expectation(rng):
    """Variants of independent stretches, by how many copies: all of them, none chosen."""
    pytest.importorskip("msprime")
    people, seen = 5, np.zeros(11)
    for count in coalescent._simulate({"CEU": people}, 10_000, 800, 0.0, rng):
        seen += np.bincount(count.sum(axis=0, dtype=int), minlength=11)
    expected = coalescent.expected_spectrum("CEU", people, rng=rng, trees=4000)
    # Variants of one stretch share a tree, so their number varies more than a Poisson number does.
    np.testing.assert_allclose(seen[1:-1] / seen[1:-1].sum(), expected, atol=0.025)
    flat = np.full(9, 1 / 9)
    assert np.abs(seen[1:-1] / seen[1:-1].sum() - flat).max() > 0.1


def test_oracle_unlinked_variants_are_unlinked_and_a_region_is_not(rng):
    pytest.importorskip("msprime")
    free = coalescent.unlinked({"CEU": 150}, 60, rng=rng)
    assert free.count.shape == (150, 60)
    assert effective_variants(free.count) == pytest.approx(60, rel=0.15)
    frequency = free.count.mean(axis=0) / 2
    assert ((frequency > 0.05) & (frequency < 0.95)).all()
    near = coalescent.region({"CEU": 150}, 100_000, rng=rng).count
    common = near[:, (near.mean(axis=0) > 0.1) & (near.mean(axis=0) < 1.9)]
    assert effective_variants(common) < 0.5 * common.shape[1]


def test_one_seed_one_world_and_populations_keep_their_order():
    pytest.importorskip("msprime")
    one, same = (coalescent.unlinked({"YRI": 3, "CEU": 2}, 5, rng=np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.count, same.count)
    assert one.populations == ("YRI",) * 3 + ("CEU",) * 2


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda r: coalescent.region({"Mars": 3}, 1e4, rng=r),
            "population must be one of 'YRI', 'CEU', 'CHB'",
        ),
        (lambda r: coalescent.region({"CEU": 0}, 1e4, rng=r), "number of people of CEU must be at least 1"),
        (lambda r: coalescent.region({}, 1e4, rng=r), "people must name at least one population"),
        (lambda r: coalescent.region({"CEU": 1}, 0, rng=r), "bases must be at least 1"),
        (lambda r: coalescent.unlinked({"CEU": 1}, 0, rng=r), "variants must be at least 1"),
        (lambda r: coalescent.unlinked({"CEU": 1}, 1, rng=r, min_maf=0.5), "min_maf must be in"),
    ],
)
def test_bad_requests_are_refused(call, says, rng, at_the_door):
    with pytest.raises(ValueError, match=says):
        call(rng)


def test_without_msprime_it_says_what_to_install(monkeypatch, rng):
    monkeypatch.setitem(sys.modules, "msprime", None)
    with pytest.raises(ImportError, match="msprime simulates the genomes, and is not installed"):
        coalescent.region({"CEU": 2}, 100, rng=rng)
