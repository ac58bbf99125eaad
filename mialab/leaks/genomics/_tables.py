"""A score for each genotype at each variant, and the sum over a genome."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mialab import _check

Dosages = Int[ndarray, "people variants"]  # how many copies of the counted allele; −1 where it is not known
Frequencies = Float[ndarray, "variants"]
Table = Float[ndarray, "variants 4"]

_PEOPLE = 16  # at a time: their indices stay in the cache


def check_genotypes(name: str, genotypes: Dosages) -> None:
    """Refuse anything but 0, 1, 2 and −1 for missing."""
    if min(genotypes.shape) == 0:
        _check.refuse(name, "hold at least one person and one variant", f"shape {genotypes.shape}")
    least, most = genotypes.min(), genotypes.max()
    if least < -1 or most > 2:
        _check.refuse(name, "be 0, 1, 2, or −1 for missing", f"{least} … {most}")


def check_frequencies(name: str, frequency: Frequencies, *, open_ends: bool = False) -> None:
    """Refuse what is no frequency; with ``open_ends``, also 0 and 1."""
    inside = (frequency > 0) & (frequency < 1) if open_ends else (frequency >= 0) & (frequency <= 1)
    if not inside.all():
        rule = "be above 0 and below 1 (drop fixed variants)" if open_ends else "be in [0, 1]"
        _check.refuse(name, rule, f"{np.count_nonzero(~inside)} of {inside.size} values outside")


def score_table(none: Frequencies, one: Frequencies, two: Frequencies) -> Table:
    """Put the scores of 0, 1 and 2 alleles side by side; a missing genotype scores 0."""
    return np.stack([none, one, two, np.zeros_like(none)], axis=1)


def sum_scores(table: Table, genotypes: Dosages) -> Float[ndarray, "people"]:
    """Return each genome's sum over its genotypes' scores, a few people at a time."""
    flat, start = np.ascontiguousarray(table).ravel(), 4 * np.arange(len(table), dtype=np.int32)
    total = np.empty(len(genotypes))
    for first in range(0, len(genotypes), _PEOPLE):
        rows = slice(first, first + _PEOPLE)
        # −1 & 3 is 3: the column of the missing
        total[rows] = flat.take(start + (genotypes[rows].astype(np.int32) & 3)).sum(axis=1)
    return total
