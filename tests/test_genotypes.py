"""Genomes: in PLINK's files, joined from two sets, and simulated."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from mialab import data
from mialab.data import coalescent
from mialab.data.genotypes import Genotypes, aligned
from mialab.data.plink import read_bed, read_plink

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


def test_parts_and_bad_sets(at_the_door):
    whole = a_set([[0, 1], [2, -1]], (("A", "G"),) * 2)
    part = whole.of(people=np.array([1]), variants=np.array([False, True]))
    assert (part.count.tolist(), part.people, part.variants) == ([[-1]], ("P1",), ("rs1",))
    for chosen, says in (
        ({"people": np.array([-1])}, "people must be numbers in 0 … 1, got -1 … -1"),
        ({"variants": np.array([0, 2])}, "variants must be numbers in 0 … 1, got 0 … 2"),
        ({"people": np.array([True])}, "people must have 2 entries, as a mask, got 1"),
        ({"people": np.array([0.5])}, "people must be"),
    ):
        with pytest.raises(ValueError, match=says):
            whole.of(**chosen)
    with pytest.raises(ValueError, match="share a variant with the same alleles, got none"):
        aligned(whole, a_set([[1]], (("A", "C"),)))
    with pytest.raises(ValueError, match="count must be 0, 1, 2, or −1"):
        a_set([[3]], (("A", "G"),))
    with pytest.raises(ValueError, match="alleles must have 2 entries, got 1"):
        a_set([[0, 1]], (("A", "G"),))
    with pytest.raises(ValueError, match="count must be numbers that int8 holds exactly, got 1 others"):
        Genotypes(np.full((1, 1), 256), ("a",), ("?",), ("v",), (("A", "G"),), "x")


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


# Simulated


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
    from mialab.leaks.genomics import effective_variants

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
        (lambda r: coalescent.unlinked({"CEU": 1}, 1, rng=r, least=0.5), "least must be in"),
    ],
)
def test_bad_requests_are_refused(call, says, rng, at_the_door):
    with pytest.raises(ValueError, match=says):
        call(rng)


def test_without_msprime_it_says_what_to_install(monkeypatch, rng):
    monkeypatch.setitem(sys.modules, "msprime", None)
    with pytest.raises(ImportError, match="msprime simulates the genomes, and is not installed"):
        data.coalescent.region({"CEU": 2}, 100, rng=rng)
