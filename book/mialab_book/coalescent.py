"""Genomes of people who never lived, with a history that did.

`msprime` draws the ancestry of a sample backwards in time, and sprinkles mutations on it (Baumdicker et al.
2022). It is optional: ``pip install msprime``, or this package's extra ``world``. It is imported when it is
asked for.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int8
from numpy import ndarray

from mialab import _check
from mialab_book.data import Genotypes

MUTATION_RATE = 2.35e-8
"""Per base and generation, as Gutenkunst et al. 2009 took it."""
RECOMBINATION_RATE = 1e-8
"""Per base and generation: one crossover in a hundred million bases, a usual round number for humans."""
GENERATION = 25
"""Years."""


def out_of_africa() -> Any:
    """Return the history of three populations that Gutenkunst et al. 2009 inferred from real genomes.

    An ancestral population of 7,300 grows to 12,300 some 220,000 years ago. 140,000 years ago 2,100 leave
    Africa; 21,200 years ago they part into Europeans (``"CEU"``, from 1,000, growing by 0.4 % a generation)
    and East Asians (``"CHB"``, from 510, by 0.55 %). Those who stayed are ``"YRI"``. All exchange migrants,
    but not before anybody left: that mistake stood in msprime's manual, and was copied widely
    (https://github.com/jeromekelleher/msprime-model-errors).

    Returns
    -------
    An ``msprime.Demography``.
    """
    msprime = _msprime()
    split, left, grew = 21_200 / GENERATION, 140_000 / GENERATION, 220_000 / GENERATION
    history = msprime.Demography()
    history.add_population(name="YRI", initial_size=12_300)
    for name, start, growth in (("CEU", 1000, 0.004), ("CHB", 510, 0.0055)):
        history.add_population(name=name, initial_size=start * np.exp(growth * split), growth_rate=growth)
    for name, size in (("OOA", 2100), ("AMH", 12_300), ("ANC", 7300)):
        history.add_population(name=name, initial_size=size)
    for pair, rate in ((("YRI", "CEU"), 3e-5), (("YRI", "CHB"), 1.9e-5), (("CEU", "CHB"), 9.6e-5)):
        history.set_symmetric_migration_rate(list(pair), rate)
    history.add_population_split(time=split, derived=["CEU", "CHB"], ancestral="OOA")
    history.add_symmetric_migration_rate_change(time=split, populations=["YRI", "OOA"], rate=25e-5)
    history.add_population_split(time=left, derived=["YRI", "OOA"], ancestral="AMH")
    history.add_population_split(time=grew, derived=["AMH"], ancestral="ANC")
    return history


def region(people: Mapping[str, int], bases: float, *, rng: np.random.Generator) -> Genotypes:
    """Return all variants of one stretch of a chromosome: neighbours are inherited together.

    Parameters
    ----------
    people
        How many people of each population of `out_of_africa`, as in ``{"CEU": 100}``.
    bases
        Length of the stretch, at least 1.
    rng
        Where ancestry and mutations come from.

    Raises
    ------
    ImportError
        If ``msprime`` is not installed.
    ValueError
        If a population is unknown, there are no people, or the stretch is shorter than one base.

    Examples
    --------
    >>> region({"CEU": 20}, 50_000, rng=np.random.default_rng(0)).count.shape[0]
    20
    """
    _check_people(people)
    if not bases >= 1:
        _check.refuse("bases", "be at least 1", bases)
    (count,) = _simulate(people, bases, 1, RECOMBINATION_RATE, rng)
    return _named(count, people, f"region of {bases:,.0f} bases")


def unlinked(
    people: Mapping[str, int], variants: int, *, rng: np.random.Generator, min_maf: float = 0.05
) -> Genotypes:
    """Return variants that are inherited independently: one from each of many short stretches.

    Of each stretch of 10,000 bases one variant is kept, drawn from those whose two alleles are both more
    frequent than ``min_maf`` among all people; a stretch without any is skipped.

    Parameters
    ----------
    people, rng
        As for `region`.
    variants
        At min_maf 1.
    min_maf
        In [0, 0.5). At 0 most variants are rare, as in nature.

    Raises
    ------
    ImportError, ValueError
        As `region`, or if a number is out of its range.

    Examples
    --------
    >>> unlinked({"CEU": 10, "YRI": 5}, 3, rng=np.random.default_rng(0))
    unlinked: 15 people × 3 variants
    """
    _check_people(people)
    _check.at_least("variants", variants, 1)
    if not 0 <= min_maf < 0.5:
        _check.refuse("min_maf", "be in [0, 0.5)", min_maf)
    kept: list[ndarray] = []
    while len(kept) < variants:
        for count in _simulate(people, 10_000, variants - len(kept), 0.0, rng):
            frequency = count.mean(axis=0) / 2
            fit = np.flatnonzero((frequency > min_maf) & (frequency < 1 - min_maf))
            if fit.size:
                kept.append(count[:, rng.choice(fit)])
    return _named(np.stack(kept, axis=1), people, "unlinked")


def expected_spectrum(
    population: str, people: int, *, rng: np.random.Generator, trees: int = 1000
) -> Float[ndarray, "copies"]:
    """Return how likely a variant is to have 1, 2, … 2n − 1 copies of its new allele, from branches alone.

    A mutation falls on a branch in proportion to its length, and has as many copies as people descend from
    it. So the mean lengths say what to expect, without the noise of mutations.

    Parameters
    ----------
    population, people
        A population of `out_of_africa`, and how many of its people are sampled.
    rng
        Where the trees come from.
    trees
        How many independent ones are averaged.
    """
    _check_people({population: people})
    msprime, total = _msprime(), np.zeros(2 * people - 1)
    for tree in msprime.sim_ancestry(
        {population: people}, demography=out_of_africa(), num_replicates=trees, random_seed=_seed(rng)
    ):
        spectrum = tree.allele_frequency_spectrum(mode="branch", polarised=True, span_normalise=False)
        total += spectrum[1:-1]
    return total / total.sum()


def _simulate(people: Mapping[str, int], bases: float, times: int, recombination: float, rng):
    """Yield allele counts (people, variants) of independent stretches."""
    msprime = _msprime()
    ancestries = msprime.sim_ancestry(
        dict(people),
        demography=out_of_africa(),
        sequence_length=bases,
        recombination_rate=recombination,
        num_replicates=times,
        random_seed=_seed(rng),
    )
    for ancestry in ancestries:
        model = msprime.BinaryMutationModel()
        mutated = msprime.sim_mutations(ancestry, MUTATION_RATE, random_seed=_seed(rng), model=model)
        yield _allele_counts(mutated.genotype_matrix())


def _allele_counts(matrix: ndarray) -> Int8[ndarray, "people variants"]:
    """Add up the two chromosomes of each person; msprime gives (variants, chromosomes)."""
    count = (matrix[:, ::2] + matrix[:, 1::2]).T
    return np.ascontiguousarray(count, dtype=np.int8)


def _named(count: ndarray, people: Mapping[str, int], name: str) -> Genotypes:
    """Give names to people and variants, and drop variants that do not vary."""
    copies = count.sum(axis=0, dtype=int)
    count = count[:, (copies > 0) & (copies < 2 * len(count))]
    populations = tuple(population for population, number in people.items() for _ in range(number))
    return Genotypes(
        count,
        tuple(f"{population}{i}" for i, population in enumerate(populations)),
        populations,
        tuple(f"v{i}" for i in range(count.shape[1])),
        (("new", "old"),) * count.shape[1],
        name,
    )


def _check_people(people: Mapping[str, int]) -> None:
    for population, number in people.items():
        _check.one_of("population", population, ("YRI", "CEU", "CHB"))
        _check.at_least(f"the number of people of {population}", number, 1)
    if not people:
        _check.refuse("people", "name at least one population", "none")


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 2**31))


def _msprime() -> Any:
    try:
        import msprime
    except ImportError as error:
        raise ImportError(
            "msprime simulates the genomes, and is not installed: pip install msprime"
        ) from error
    return msprime
