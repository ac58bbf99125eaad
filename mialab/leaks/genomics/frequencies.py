"""What a study publishes, with noise or without, and what an attacker knows of everybody else."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.leaks.genomics._tables import Dosages, Frequencies, check_frequencies, check_genotypes
from mialab.mechanisms import noise


@door
def allele_frequencies(genotypes: Dosages) -> Frequencies:
    """Return how frequent the counted allele is at each variant, among those whose genotype is known.

    Raises
    ------
    ValueError
        If a genotype is not 0, 1, 2 or −1, or nobody's is known at a variant.

    Examples
    --------
    >>> allele_frequencies(np.array([[0, 2, -1], [1, 2, 0]]))
    array([0.25, 1.  , 0.  ])
    """
    check_genotypes("genotypes", genotypes)
    known = np.count_nonzero(genotypes >= 0, axis=0)
    if not known.all():
        _check.refuse("genotypes", "be known of somebody at each variant", f"nobody's at {known.argmin()}")
    return np.maximum(genotypes, 0).sum(axis=0, dtype=float) / (2 * known)


@door
@dataclass(frozen=True, eq=False)
class Reference:
    """How frequent each allele is in the population that a stranger would come from.

    Attributes
    ----------
    frequency
        Float (variants,), above 0 and below 1. A variant at which the reference does not vary is refused:
        of an allele that it has never seen it cannot say how rare it is. Drop it, from all arrays.
    people
        How many people the frequencies were counted in, at least 2; infinite if they are known.

    Raises
    ------
    ValueError
        If a frequency is not in (0, 1), or there are fewer than two people.

    Examples
    --------
    >>> Reference.of(np.array([[0, 1], [1, 2], [0, 1]]))
    Reference of 3 people, 2 variants
    >>> Reference(np.array([0.2, 0.0]))
    Traceback (most recent call last):
    ValueError: frequency must be above 0 and below 1 (drop fixed variants), got 1 of 2 values outside
    """

    frequency: Frequencies
    people: float = np.inf

    def __post_init__(self):
        check_frequencies("frequency", self.frequency, open_ends=True)
        _check.at_least("people", self.people, 2)

    @classmethod
    @door
    def of(cls, genotypes: Dosages) -> "Reference":
        """Count a reference in people who were not in the study; each variant must vary among them."""
        frequency = allele_frequencies(genotypes)
        check_frequencies("the frequencies in genotypes", frequency, open_ends=True)
        return cls(frequency, float(len(genotypes)))

    @property
    def variance(self) -> Frequencies:
        """2p(1 − p), of a genotype in Hardy-Weinberg proportions."""
        return 2 * self.frequency * (1 - self.frequency)

    def __len__(self) -> int:
        """Return the number of variants."""
        return len(self.frequency)

    def __repr__(self) -> str:
        """Say in one line what is known."""
        who = "known frequencies" if np.isinf(self.people) else f"{self.people:g} people"
        return f"Reference of {who}, {len(self):,} variants"


@door
def polymorphic(genotypes: Dosages, min_maf: float = 0.0) -> Bool[ndarray, "variants"]:
    """Tell at which variants the minor-allele frequency is above ``min_maf``.

    Raises
    ------
    ValueError
        As `allele_frequencies`, or if ``min_maf`` is not in [0, 0.5).

    Examples
    --------
    >>> polymorphic(np.array([[0, 2, 1], [1, 2, 1]]))
    array([ True, False,  True])
    """
    if not 0 <= min_maf < 0.5:
        _check.refuse("min_maf", "be in [0, 0.5)", min_maf)
    frequency = allele_frequencies(genotypes)
    return (frequency > min_maf) & (frequency < 1 - min_maf)


@door
def gaussian_release(variants: int, n: int, epsilon: float, delta: float) -> noise.Gaussian:
    """Return Gaussian noise that makes the frequencies of n people (ε, δ)-private, all variants together.

    Who is replaced by somebody else moves each frequency by at most 1/n (two alleles of 2n), and m of them by
    a Euclidean distance of at most √m/n: the sensitivity. How many people are in the study is public. Every
    genotype must be known: where one is missing, the divisor is smaller, and a person moves the frequency by
    more. The noise is of real numbers (see `noise`).

    Parameters
    ----------
    variants
        How many frequencies are released, m, at least 1; chosen without looking at the study.
    n
        How many people are in the study; at least 2.
    epsilon, delta
        As in `noise.calibrate`.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> few, many = (gaussian_release(m, 1000, 1.0, 1e-6).standard_deviation for m in (10, 100_000))
    >>> round(few, 4), round(many, 3)
    (0.0134, 1.336)
    """
    _check.count("variants", variants, 1)
    _check.count("n", n, 2)
    if epsilon > 2**20:
        _check.refuse("epsilon", "be at most 2**20: more is no promise", epsilon)
    return noise.Gaussian(noise.calibrate(epsilon, delta), float(np.sqrt(variants)) / n, Neighbours.REPLACE)


def check_all(released: Frequencies, candidates: Dosages, reference: Reference) -> None:
    """Refuse numbers out of their range, and numbers of variants that differ."""
    check_genotypes("candidates", candidates)
    check_frequencies("released", released)
    if len(reference) != candidates.shape[1]:
        _check.refuse("reference", f"have {candidates.shape[1]} variants", len(reference))
    known = (candidates >= 0).any(axis=1)
    if not known.all():
        _check.refuse("candidates", "have at least one known genotype", f"none in row {known.argmin()}")
