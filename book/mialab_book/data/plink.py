"""Genotypes in PLINK 1's three files: NAME.bed, NAME.bim, NAME.fam. NumPy only.

The .bed file starts with the bytes 6c 1b, then 01: one variant after another ("SNP-major"). A variant takes a
whole number of bytes, each with four people, the first one in the lowest two bits:

    00  two of the first allele        10  one of each
    01  not known                      11  two of the second

(https://www.cog-genomics.org/plink/1.9/formats). What the .bim file calls the first allele is counted.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Int8
from numpy import ndarray

from mialab import _check
from mialab._text import visible
from mialab._validation import door
from mialab_book.data.genotypes import Genotypes

_HEADER = {"fid", "iid", "sex", "gender", "phenotype", "chr", "chrom", "snp", "cm", "pos", "position", "bp"}
_MAGIC = b"\x6c\x1b"
_COUNTS = np.array([2, -1, 1, 0], dtype=np.int8)
_DECODED = _COUNTS[(np.arange(256)[:, None] >> np.array([0, 2, 4, 6])) & 3]  # (byte, person)


@door
def read_plink(prefix: Path | str, *, populations: dict[str, str] | None = None) -> Genotypes:
    r"""Read the three files whose names start with ``prefix``.

    Parameters
    ----------
    prefix
        The files' common name, without ``.bed``.
    populations
        From a person's name within the family to a population; without it, or for a person who is not in it,
        the family's name is taken.

    Returns
    -------
    Genotypes that count the first allele (A1); a person's name is the one within the family (IID).

    Raises
    ------
    FileNotFoundError
        If one of the files is missing.
    ValueError
        If the .bed file begins otherwise, holds one person after another, or is longer or shorter than people
        and variants make it; if the others are no text in UTF-8; if a line of theirs has not six columns, or
        names the columns instead of filling them; or if a name occurs twice.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     two = Path(folder) / "two"
    ...     _ = two.with_suffix(".fam").write_text("CEU ann 0 0 2 -9\nYRI bob 0 0 1 -9\n")
    ...     _ = two.with_suffix(".bim").write_text("1 rs1 0 1000 A G\n")
    ...     _ = two.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 0x01, 0b10_00]))
    ...     pair = read_plink(two)
    >>> pair, pair.people, pair.count.ravel()
    (two: 2 people × 1 variants, ('ann', 'bob'), array([2, 1], dtype=int8))
    """
    path = Path(prefix)
    bed, bim, fam = (path.with_name(f"{path.name}.{kind}") for kind in ("bed", "bim", "fam"))
    people, variants = _rows(fam), _rows(bim)
    names = tuple(row[1] for row in people)
    if len(set(names)) != len(names):
        _check.refuse(f"names in {fam.name}", "be one for each person", f"{len(set(names))} for {len(names)}")
    known = populations or {}
    return Genotypes(
        read_bed(bed, len(people), len(variants)),
        names,
        tuple(known.get(row[1], row[0]) for row in people),
        tuple(row[1] for row in variants),
        tuple((row[4], row[5]) for row in variants),
        path.name,
    )


def read_bed(path: Path, people: int, variants: int) -> Int8[ndarray, "people variants"]:
    """Read a .bed file: how often each person has the first allele, −1 where it is not known.

    Raises
    ------
    ValueError
        As `read_plink`.
    """
    content = Path(path).read_bytes()
    if content[:2] != _MAGIC:
        _check.refuse(path.name, "begin with the bytes 6c 1b", content[:2].hex(" ") or "nothing")
    if content[2:3] != b"\x01":
        rule = "hold one variant after another (a third byte of 01)"
        _check.refuse(path.name, rule, content[2:3].hex() or "nothing")
    width = -(-people // 4)
    if len(content) != 3 + width * variants:
        rule = f"hold {3 + width * variants} bytes for {people} people and {variants} variants"
        _check.refuse(path.name, rule, len(content))
    rows = np.frombuffer(content, np.uint8, offset=3).reshape(variants, width)
    return np.ascontiguousarray(_DECODED[rows].reshape(variants, 4 * width)[:, :people].T)


def _rows(path: Path) -> list[list[str]]:
    """Split a file's lines at blanks; one that is no row would give everybody the neighbour's genotypes."""
    rows = []
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        if b"\0" in line or "\ufffd" in line.decode(errors="replace"):
            _check.refuse(path.name, "be text in UTF-8", visible(repr(line)))
        where, row = f"line {number} of {path.name}", [word.decode() for word in line.split()]
        if row and (row[0].startswith("#") or sum(one.lower() in _HEADER for one in row) > 1):
            _check.refuse(where, "be a row, since the format has no header", visible(" ".join(row)))
        if row and len(row) != 6:
            _check.refuse(where, "have 6 columns", len(row))
        rows += [row] if row else []
    return rows
