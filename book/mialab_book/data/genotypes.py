"""Genomes as counts of alleles, with the names of people and variants."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int8
from numpy import ndarray

from mialab import _check
from mialab._validation import door

_COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}


@door
@dataclass(frozen=True, eq=False, repr=False)
class Genotypes:
    """How often each person has the first of the two alleles of each variant.

    Attributes
    ----------
    count
        Int8 (people, variants): 0, 1 or 2, and −1 where it is not known.
    people
        One name per person.
    populations
        Where each person's ancestors lived, or what the data call it.
    variants
        One name per variant, as in ``"rs12345"``; no two alike.
    alleles
        A pair per variant: the allele that is counted, and the other one.
    name
        What the set is called.

    Raises
    ------
    ValueError
        If shapes do not fit, a count is none of the four, or two variants have one name.

    Examples
    --------
    >>> count = np.array([[0, 2], [1, -1]], dtype=np.int8)
    >>> alleles = (("A", "G"), ("C", "A"))
    >>> Genotypes(count, ("ann", "bob"), ("CEU", "YRI"), ("rs1", "rs2"), alleles, "two")
    two: 2 people × 2 variants, 1 missing genotype
    """

    count: Int8[ndarray, "people variants"]
    people: tuple[str, ...]
    populations: tuple[str, ...]
    variants: tuple[str, ...]
    alleles: tuple[tuple[str, str], ...]
    name: str

    def __post_init__(self):
        for field, axis in (("people", 0), ("populations", 0), ("variants", 1), ("alleles", 1)):
            size, names = self.count.shape[axis], getattr(self, field)
            if len(names) != size:
                _check.refuse(field, f"have {size} entries", len(names))
        if self.count.size and not (self.count.min() >= -1 and self.count.max() <= 2):
            _check.refuse(
                "count", "be 0, 1, 2, or −1 for missing", f"{self.count.min()} … {self.count.max()}"
            )
        if len(set(self.variants)) != len(self.variants):
            _check.refuse("variants", "have a name each", f"{len(set(self.variants))} names")

    def __len__(self) -> int:
        """Return the number of people."""
        return len(self.count)

    def __repr__(self) -> str:
        """Say in one line what is held."""
        missing = int(np.count_nonzero(self.count < 0))
        unknown = f", {missing:,} missing genotype{'s' if missing > 1 else ''}" if missing else ""
        people, variants = self.count.shape
        return f"{self.name}: {people:,} people × {variants:,} variants{unknown}"


@door
def aligned(first: Genotypes, second: Genotypes) -> tuple[Genotypes, Genotypes]:
    """Return the variants that two sets share, in the order of the first, counting the same allele.

    Variants are joined by name. Where the second set counts the other allele, its counts are turned round;
    where it was read from the other strand of the DNA (A for T, C for G), that is seen from the alleles. A
    variant whose two alleles are each other's complement (A and T, C and G) looks the same from both strands;
    such a variant is dropped, and so is one whose alleles differ.

    Raises
    ------
    ValueError
        If no variant is left.

    Examples
    --------
    >>> def one(count, alleles):
    ...     dose = np.array([[count]], dtype=np.int8)
    ...     return Genotypes(dose, ("ann",), ("?",), ("rs1",), (alleles,), "one")
    >>> here, there = aligned(one(2, ("A", "G")), one(0, ("C", "T")))
    >>> there.count, there.alleles
    (array([[2]], dtype=int8), (('A', 'G'),))
    """
    place = {name: i for i, name in enumerate(second.variants)}
    shared = [(i, place[name]) for i, name in enumerate(first.variants) if name in place]
    turns = [_turn(first.alleles[i], second.alleles[j]) for i, j in shared]
    joined = [(*pair, turn) for pair, turn in zip(shared, turns, strict=True) if turn is not None]
    if not joined:
        _check.refuse("the two sets", "share a variant with the same alleles", "none")
    here, there, turned = (list(column) for column in zip(*joined, strict=True))
    count = second.count[:, there]
    count = np.where(np.array(turned) & (count >= 0), 2 - count, count).astype(np.int8)
    variants, alleles = (tuple(names[i] for i in here) for names in (first.variants, first.alleles))
    return (
        replace(first, count=first.count[:, here], variants=variants, alleles=alleles),
        replace(second, count=count, variants=variants, alleles=alleles),
    )


def _turn(first: tuple[str, str], second: tuple[str, str]) -> bool | None:
    """Say whether counts must be turned round; None where that cannot be known."""
    other_strand = tuple(_COMPLEMENT.get(allele, allele) for allele in second)
    if len(set(first)) < 2 or set(first) == {_COMPLEMENT.get(allele, allele) for allele in first}:
        return None
    for seen in (second, other_strand):
        if seen == first:
            return False
        if seen[::-1] == first:
            return True
    return None
