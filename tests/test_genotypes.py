"""Genomes: in PLINK's files, joined from two sets, and simulated."""

import os
from pathlib import Path

import numpy as np
import pytest

from mialab_book.data.genotypes import Genotypes, aligned
from mialab_book.data.plink import read_bed, read_plink

# PLINK's files


def write(folder, count, *, magic=b"\x6c\x1b\x01", name="set"):
    """Write three files, one genotype at a time, as the format's description says it."""
    people, variants = count.shape
    bed = bytearray(magic)
    for variant in range(variants):
        for first in range(0, people, 4):
            byte = 0
            for place, person in enumerate(range(first, min(first + 4, people))):
                byte |= {2: 0b00, -1: 0b01, 1: 0b10, 0: 0b11}[int(count[person, variant])] << (2 * place)
            bed.append(byte)
    (folder / f"{name}.bed").write_bytes(bytes(bed))
    bim = (f"1\trs{i}\t0\t{100 * i}\tA\tG\n" for i in range(variants))
    (folder / f"{name}.bim").write_text("".join(bim))
    (folder / f"{name}.fam").write_text("".join(f"F{i % 2} P{i} 0 0 1 -9\n" for i in range(people)))
    return folder / name


@pytest.mark.parametrize("people", [1, 3, 4, 5, 9])
def test_definition_what_was_written_is_read(tmp_path, rng, people):
    count = rng.integers(-1, 3, size=(people, 7)).astype(np.int8)
    got = read_plink(write(tmp_path, count), populations={"P0": "CEU"})
    np.testing.assert_array_equal(got.count, count)
    assert got.people == tuple(f"P{i}" for i in range(people))
    assert got.populations == ("CEU", *(f"F{i % 2}" for i in range(1, people)))
    assert got.variants[:2] == ("rs0", "rs1")
    assert got.alleles == (("A", "G"),) * 7


TEXT = """G G 2 2 C C
A A 0 0 A C
0 0 1 2 A C
A A 2 2 0 0
A A 2 2 0 0
A A 2 2 A A"""


def test_oracle_the_example_of_the_formats_description(tmp_path):
    # PLINK 1.9's page on the format shows these six people as text, and these bytes.
    (tmp_path / "test.bed").write_bytes(bytes.fromhex("6c1b01dc0fe70f6b01"))
    got = read_bed(tmp_path / "test.bed", 6, 3)
    for person, line in zip(got, TEXT.splitlines(), strict=True):
        alleles = line.split()
        for count, first, pair in zip(
            person, "G1A", zip(alleles[::2], alleles[1::2], strict=True), strict=True
        ):
            assert count == (-1 if "0" in pair else pair.count(first))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda b: b"\x1f\x8b" + b[2:], "set.bed must begin with the bytes 6c 1b, got 1f 8b"),
        (lambda b: b"", "set.bed must begin with the bytes 6c 1b, got nothing"),
        (lambda b: b[:2] + b"\x00" + b[3:], "one variant after another .* got 00"),
        (lambda b: b[:2], "one variant after another .* got nothing"),
        (lambda b: b[:-1], "set.bed must hold 17 bytes for 5 people and 7 variants, got 16"),
        (lambda b: b + b"\0", "set.bed must hold 17 bytes for 5 people and 7 variants, got 18"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, says, at_the_door):
    prefix = write(tmp_path, np.ones((5, 7), dtype=np.int8))
    bed = prefix.with_suffix(".bed")
    bed.write_bytes(change(bed.read_bytes()))
    with pytest.raises(ValueError, match=says):
        read_plink(prefix)


def test_other_damage_is_refused(tmp_path, at_the_door):
    prefix = write(tmp_path, np.ones((2, 2), dtype=np.int8))
    with pytest.raises(FileNotFoundError):
        read_plink(tmp_path / "elsewhere")
    prefix.with_suffix(".bim").write_text("1 rs1 0 5 A G\n1 rs2 0 6 A\n")
    with pytest.raises(ValueError, match=r"line 2 of set.bim must have 6 columns, got 5"):
        read_plink(prefix)
    prefix.with_suffix(".bim").write_text("1 rs1 0 5 A G\n1 rs1 0 6 A G\n")
    with pytest.raises(ValueError, match="variants must have a name each"):
        read_plink(prefix)
    prefix.with_suffix(".fam").write_text("F P 0 0 1 1\nG P 0 0 1 1\n")
    with pytest.raises(ValueError, match=r"names in set.fam must be one for each person, got 1 for 2"):
        read_plink(prefix)


FAM = "F P0 0 0 1 1\nG P1 0 0 1 1\n"
NO_ROWS = {
    "a header": (
        "#FID IID PAT MAT SEX PHENO\n" + FAM,
        "line 1 of set.fam must be a row, .* got #FID IID PAT",
    ),
    "without a mark": (
        "FID IID PAT MAT SEX PHENO1\n" + FAM,
        "line 1 of set.fam must be a row, .* got FID IID",
    ),
    "after the rows": (FAM + "fid iid pat mat sex phenotype\n", "line 3 of set.fam must be a row"),
    "a comment": (FAM + "\n# who made this file?\n", "line 4 of set.fam must be a row"),
    "longer": ("F P0 0 0 1 1 extra\n" + FAM, "line 1 of set.fam must have 6 columns, got 7"),
    "shorter, after a gap": (FAM + "\n\nF P2 0 0 1\n", "line 5 of set.fam must have 6 columns, got 5"),
    "commas": (FAM.replace(" ", ","), "line 1 of set.fam must have 6 columns, got 1"),
    "UTF-16": (FAM.encode("utf-16"), "set.fam must be text in UTF-8, got b'"),
    "UTF-16 without a mark": (FAM.encode("utf-16-le"), r"set.fam must be text in UTF-8, got b'F.x00"),
    "Latin-1": (FAM.replace("G", "é").encode("latin-1"), r"set.fam must be text in UTF-8, got b'.xe9 P1"),
}


@pytest.mark.parametrize(("fam", "says"), NO_ROWS.values(), ids=NO_ROWS)
def test_a_line_that_is_no_row_is_refused(tmp_path, fam, says, at_the_door):
    """Four people share a byte: one row more, and the sizes agree, and all have the neighbour's genotypes."""
    prefix = write(tmp_path, np.ones((3, 2), dtype=np.int8))
    prefix.with_suffix(".fam").write_bytes(fam if isinstance(fam, bytes) else fam.encode())
    with pytest.raises(ValueError, match=says) as error:
        read_plink(prefix)
    assert str(error.value).isprintable()


def test_variants_with_a_header_are_refused(tmp_path, at_the_door):
    prefix = write(tmp_path, np.ones((3, 2), dtype=np.int8))
    bim = prefix.with_suffix(".bim")
    bim.write_text("CHR SNP CM BP A1 A2\n" + bim.read_text())
    with pytest.raises(ValueError, match=r"line 1 of set.bim must be a row, since the format has no header"):
        read_plink(prefix)


def test_limit_marks_gaps_and_ends_of_lines_change_nothing(tmp_path, rng):
    prefix = write(tmp_path, rng.integers(3, size=(3, 4)).astype(np.int8))
    plain = read_plink(prefix)
    for kind in (".fam", ".bim"):
        path = prefix.with_suffix(kind)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    again = read_plink(prefix)
    np.testing.assert_array_equal(again.count, plain.count)
    assert (again.people, again.populations, again.variants) == (
        plain.people,
        plain.populations,
        plain.variants,
    )


# Two sets


def a_set(count, alleles, variants=None, people=None):
    count = np.array(count, dtype=np.int8)
    people = people or tuple(f"P{i}" for i in range(len(count)))
    variants = variants or tuple(f"rs{i}" for i in range(count.shape[1]))
    return Genotypes(count, people, ("?",) * len(count), variants, alleles, "set")


def test_definition_sets_are_joined_by_name_and_count_the_same_allele():
    first = a_set([[0, 1, 2, 0, 1, 2]], (("A", "G"),) * 5 + (("A", "T"),))
    second = a_set(
        [[0, -1, 2, 2, 1, 0, 0]],
        (("A", "T"), ("G", "A"), ("A", "C"), ("C", "T"), ("T", "C"), ("G", "A"), ("A", "G")),
        ("rs5", "rs4", "rs3", "rs2", "rs1", "rs0", "rs99"),
    )
    here, there = aligned(first, second)
    assert here.variants == there.variants == ("rs0", "rs1", "rs2", "rs4")
    assert here.alleles == there.alleles
    assert here.count.tolist() == [[0, 1, 2, 1]]
    assert there.count.tolist() == [[2, 1, 0, -1]]  # turned, other strand, both, missing stays missing


def test_bad_sets_are_refused(at_the_door):
    whole = a_set([[0, 1], [2, -1]], (("A", "G"),) * 2)
    with pytest.raises(ValueError, match="share a variant with the same alleles, got none"):
        aligned(whole, a_set([[1]], (("A", "C"),)))
    with pytest.raises(ValueError, match="count must be 0, 1, 2, or −1"):
        a_set([[3]], (("A", "G"),))
    with pytest.raises(ValueError, match="alleles must have 2 entries, got 1"):
        a_set([[0, 1]], (("A", "G"),))


REAL = Path(os.environ.get("MIALAB_DATA", "")) / "genotypes"
SETS = ("HM3_thinned_autosomal_overlap", "1kg.ref.phase1_release_v3.20101123_thinned_autosomal_overlap")


@pytest.mark.skipif(
    not (REAL / f"{SETS[0]}.bed").exists(), reason="no HapMap 3 and 1000 Genomes in MIALAB_DATA/genotypes"
)
def test_oracle_two_laboratories_read_the_same_people():
    """564 people are in both sets: joined and turned as they should be, nearly all genotypes agree."""
    hapmap, thousand = aligned(*(read_plink(REAL / name) for name in SETS))
    assert hapmap.count.shape[0] == 957
    assert thousand.count.shape[0] == 1092
    place = {name: i for i, name in enumerate(thousand.people)}
    both = [i for i, name in enumerate(hapmap.people) if name in place]
    assert len(both) == 564
    here, there = hapmap.count[both], thousand.count[[place[hapmap.people[i]] for i in both]]
    assert np.mean((here == there)[here >= 0]) > 0.98
    assert np.mean((2 - here == there)[here >= 0]) < 0.6  # one allele taken for the other would be seen
