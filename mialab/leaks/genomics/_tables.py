"""What each genotype is worth at each variant, and the sum over a genome."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mialab import _check

Genotypes = Int[ndarray, "people variants"]
Frequencies = Float[ndarray, "variants"]
Worth = Float[ndarray, "variants 4"]
Scores = Float[ndarray, "people"]

DOSES = np.array([0.0, 1.0, 2.0, 0.0])  # how many alleles; the last column is "missing"
MISSING = 3
_PEOPLE = 16  # at a time: their indices stay in the cache


def check_genotypes(name: str, genotypes: Genotypes) -> None:
    """Refuse anything but 0, 1, 2 and −1 for missing."""
    if min(genotypes.shape) == 0:
        _check.refuse(name, "hold at least one person and one variant", f"shape {genotypes.shape}")
    if genotypes.min() < -1 or genotypes.max() > 2:
        wrong = genotypes.min() if genotypes.min() < -1 else genotypes.max()
        _check.refuse(name, "be 0, 1, 2, or −1 for missing", wrong)


def check_frequencies(name: str, frequency: Frequencies, variants: int | None = None) -> None:
    """Refuse what is no frequency, and a number of variants that is not the genotypes'."""
    _check.finite(name, frequency)
    outside = np.flatnonzero((frequency < 0) | (frequency > 1))
    if outside.size:
        where = f"{frequency[outside[0]]} at variant {outside[0]} ({outside.size} such values)"
        _check.refuse(name, "be in [0, 1]", where)
    if variants is not None and len(frequency) != variants:
        _check.refuse(name, f"have {variants} variants", len(frequency))


def check_people(n: int) -> None:
    """Refuse a pool of one: its frequencies are a genome."""
    _check.count("n", n, 0)
    if n < 2:
        _check.refuse("n", "be at least 2 (the frequencies of a pool of one are that person's genome)", n)


def worth_of(*by_dose: Frequencies) -> Worth:
    """Make a table of what 0, 1 and 2 alleles are worth; a missing genotype is worth nothing."""
    return np.stack([*by_dose, np.zeros_like(by_dose[0])], axis=1)


def add_up(worth: Worth, genotypes: Genotypes) -> Scores:
    """Return each genome's sum of what its genotypes are worth, a few people at a time."""
    flat, start = np.ascontiguousarray(worth).ravel(), 4 * np.arange(len(worth), dtype=np.int32)
    total = np.empty(len(genotypes))
    for first in range(0, len(genotypes), _PEOPLE):
        rows = slice(first, first + _PEOPLE)
        # −1 & 3 is 3: the column of the missing
        total[rows] = flat.take(start + (genotypes[rows].astype(np.int32) & MISSING)).sum(axis=1)
    return total


def observed(genotypes: Genotypes) -> Int[ndarray, "people"]:
    """Return how many genotypes of each person are known, and refuse a person with none."""
    known = np.count_nonzero(genotypes >= 0, axis=1)
    if not known.all():
        _check.refuse("candidates", "have at least one known genotype", f"none in row {known.argmin()}")
    return known
