"""A score for each genotype at each variant, and the sum over a genome."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mialab import _check

Dosages = Int[ndarray, "people variants"]  # how many copies of the counted allele; −1 where it is not known
Frequencies = Float[ndarray, "variants"]
Scores = Float[ndarray, "people"]
Table = Float[ndarray, "3 variants"]  # the scores of 0, 1 and 2 alleles

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


def sum_scores(table: Table, genotypes: Dosages) -> Scores:
    """Return each genome's sum over its genotypes' scores, a few people at a time; a missing one scores 0."""
    flat = np.vstack([table, np.zeros_like(table[:1])]).T.ravel()
    start = 4 * np.arange(genotypes.shape[1], dtype=np.int32)
    total = np.empty(len(genotypes))
    for first in range(0, len(genotypes), _PEOPLE):
        rows = slice(first, first + _PEOPLE)
        # −1 & 3 is 3: the column of the missing
        total[rows] = flat.take(start + (genotypes[rows].astype(np.int32) & 3)).sum(axis=1)
    return total
