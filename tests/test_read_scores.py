"""What a file of scores may hold, in all formats: read exactly or refused by its place, in bounded memory."""

import io
import os
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mialab.audit import _csv
from mialab.audit.read_scores import read_scores
from mialab.game import Design

pytestmark = pytest.mark.usefixtures("at_the_door")
ROOT = Path(__file__).parents[1]
HEAD = "score,member\n"


def read(content):
    return read_scores(content.encode() if isinstance(content, str) else content, design=Design.RUNS)


def as_npz(save=np.savez, **arrays):
    held = io.BytesIO()
    save(held, **arrays)
    return held.getvalue()


def as_parquet(score, member, **how):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    held = io.BytesIO()
    parquet.write_table(pyarrow.table({"score": score, "member": member}), held, **how)
    return held.getvalue()


def as_text(score, member):
    return HEAD + "".join(f"{s},{m}\n" for s, m in zip(score, member, strict=True))


# Ragged rows

RAGGED = {
    "R's row names": ('"score","member"\n"1",0.5,1\n"2",0.1,0\n', "line 2 must have 2 cells, .* got 3"),
    "R's row names, unquoted": (HEAD + "1,0.5,1\n2,0.1,0\n", "line 2 must have 2 cells, .* got 3"),
    "longer": (HEAD + "1,1\n2,0\n3,1,0\n", "line 4 must have 2 cells, as many as the header, got 3"),
    "shorter": ("score,member,note\n1,1,a\n2,0\n", "line 3 must have 3 cells, as many as the header, got 2"),
    "a comma at the end": (HEAD + "1,1,\n2,0,\n", "line 2 must have 2 cells, .* got 3"),
    "a comma at the end of the header": ("score,member,\n1,1\n2,0\n", "line 2 must have 3 cells, .* got 2"),
    "after gaps": ("\n\nscore,member\r\n\r\n1,1\r\n\r\n2\r\n", "line 7 must have 2 cells, .* got 1"),
    "old ends of lines": ("score,member\r1,1\r\r2,0,\r", "line 4 must have 2 cells, .* got 3"),
    "one more and one less": (HEAD + "1,1,7\n2\n", "line 2 must have 2 cells, .* got 3"),
    "blanks": (HEAD + "1,1\n  \n2,0\n", "line 3 must have 2 cells, as many as the header, got 1"),
    "a decimal comma": (HEAD + "0,5,1\n0,1,0\n", "line 2 must have 2 cells, .* got 3"),
    "other separators": (HEAD + "1,1\n2;0\n", "line 3 must have 2 cells, .* got 1"),
    "tabs": (HEAD + "1\t1\n2\t0\n", "line 2 must have 2 cells, .* got 1"),
    "an open quotation mark": (HEAD + '1,1\n2,"0\n', "line 3 must be a record, with its quotation marks"),
    "a cell of two lines": (HEAD + '"1\n",1\n2,0\n', "line 2 must be a record, with its quotation marks"),
    "a quotation mark too many": (
        HEAD + '1,1\n"2"3,0\n',
        "line 3 must be a record, with its quotation marks",
    ),
    "in the header": ('score,"member\n1,1\n2,0\n', "line 1 must be a record, with its quotation marks"),
    "far down": (HEAD + "1,1\n" * 99_999 + "2,0,\n", "line 100001 must have 2 cells, .* got 3"),
    "far down, quoted": (HEAD + '"1",1\n' * 99_999 + "2,0,\n", "line 100001 must have 2 cells, .* got 3"),
}


@pytest.mark.parametrize(("content", "says"), RAGGED.values(), ids=RAGGED)
def test_a_row_longer_or_shorter_than_the_header_is_refused_by_its_line(content, says):
    with pytest.raises(ValueError, match=says):
        read(content)


TEXTS = {
    "a zero byte": (HEAD + "1,1\n2,0\0\n", "line 3 must be text in UTF-8, .* got the byte 0x00"),
    "a zero byte elsewhere": ("score,member,n\n1,1,\0\n2,0,\n", "line 2 must be text in UTF-8, .* byte 0x00"),
    "a unit separator": (HEAD + "1,1\n2\x1f,0\n", "line 3 must be text in UTF-8, .* byte 0x1f"),
    "UTF-16": ((HEAD + "1,1\n2,0\n").encode("utf-16"), "line 1 must be text in UTF-8"),
    "UTF-16 without a mark": ((HEAD + "1,1\n2,0\n").encode("utf-16-le"), "line 1 must be text in UTF-8"),
    "Latin-1": (
        (HEAD + "1,1\n2,0é\n").encode("latin-1"),
        "line 3 must be text in UTF-8, .* got invalid contin",
    ),
    "two marks": (
        "\ufeff\ufeff" + HEAD + "1,1\n2,0\n",
        r"must have one column score, got the columns .ufeffs",
    ),
    "other digits": (HEAD + "1,1\n٢,0\n", "score in row 2 must be a finite number, got '٢'"),
    "other blanks": (HEAD + "1,1\n2,0\u00a0\n", r"member in row 2 must be 0 or 1, .* got '0.xa0'"),
    "an endless line": (HEAD + "1" * _csv.LONGEST + ",1\n2,0\n", "line 2 must have at most 131,072 bytes"),
    "an endless header": (HEAD[:-1] + ",a" * _csv.LONGEST, "line 1 must have at most 131,072 bytes"),
    "columns twice": ("score,member, score\n1,1,2\n", "must have one column score, got the columns score, m"),
}


@pytest.mark.parametrize(("content", "says"), TEXTS.values(), ids=TEXTS)
def test_what_is_no_text_is_refused_by_its_line(content, says):
    with pytest.raises(ValueError, match=says) as error:
        read(content)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_definition_marks_gaps_quotes_and_ends_of_lines_change_nothing(rng, mark, end, quote):
    """In blocks of many lengths: what is plain and what is quoted take different ways."""
    score, member = rng.normal(size=20_000), rng.random(20_000) < 0.5
    rows = (f"{quote}{s!r}{quote},{m:d}," for s, m in zip(score.tolist(), member, strict=True))
    got = read(mark + end.join(["score,member,", *rows]) + end)
    np.testing.assert_array_equal(got.score, score)
    np.testing.assert_array_equal(got.member, member)


# Words

WORDS = {
    True: [
        "1",
        "1.0",
        "+1",
        "1e0",
        "1.000000000000000000e+00",
        "true",
        "T",
        "yes",
        "YES",
        "TRUE",
        "True",
        "t",
    ],
    False: ["0", "0.00", "-0.0", "0E0", "0.000000000000000000e+00", "false", "F", "no", "NO", "False", "f"],
}
NO_WORDS = [
    "",
    "2",
    "0.5",
    "-1",
    "1e1",
    "1e-400",
    "1.00000000000000000001",
    "nan",
    "in",
    "y",
    "yeſ",
    "1;",
    "11",
]


@pytest.mark.parametrize("truth", WORDS)
@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_definition_membership_is_said_in_one_list_of_words(kind, truth):
    other = "no" if truth else "yes"
    words = [*WORDS[truth], f" {WORDS[truth][0]} ", other]
    make = {
        "csv": as_text,
        "npz": lambda s, m: as_npz(score=np.array(s), member=np.array(m)),
        "parquet": as_parquet,
    }
    got = read(make[kind](np.arange(len(words)), words))
    assert got.member.tolist() == [truth] * (len(words) - 1) + [not truth]


@pytest.mark.parametrize("word", NO_WORDS)
@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_any_other_word_is_refused_by_its_row(kind, word):
    words, score = ["1", "0", word, "maybe"], np.arange(4.0)
    make = {
        "csv": as_text,
        "npz": lambda s, m: as_npz(score=s, member=np.array(m)),
        "parquet": as_parquet,
    }
    with pytest.raises(ValueError, match=f"member in row 3 must be 0 or 1, .* got '{word}'"):
        read(make[kind](score, words))


def test_definition_what_savetxt_writes_by_default_is_read(rng):
    table, held = np.column_stack([rng.normal(size=50), np.arange(50) % 2]), io.BytesIO()
    np.savetxt(held, table, delimiter=",", header="score,member")
    got = read(held.getvalue())
    np.testing.assert_array_equal(got.score, table[:, 0])
    np.testing.assert_array_equal(got.member, table[:, 1] == 1)


# Numbers that a float does not hold

HELD = [2**53, 2**53 + 2, -(2**53), 2**62, 2**63 - 1024, -(2**63)]
LOST = [2**53 + 1, -(2**53) - 1, 2**62 + 1, 2**63 - 1]
LATE = "score in row 3 must be a number that a 64-bit float holds exactly, got "


def columns(number):
    """Write one number below two others in every format that holds it."""
    score, member = [0, 1, number], [True, False, True]
    yield as_text(score, [1, 0, 1])
    yield as_text(score, [1, 0, 1]).replace(f"{number},", f"{number}.000 ,")
    yield as_text(score, [1, 0, 1]).replace(f"{number},", f'"{number}",')
    for dtype in (np.int64, np.uint64, np.longdouble):
        if np.iinfo(np.int64).min <= number <= np.iinfo(np.int64).max and (number >= 0 or dtype != np.uint64):
            yield as_npz(score=np.array(score, dtype=dtype), member=np.array(member))
            if dtype != np.longdouble:
                yield as_parquet(np.array(score, dtype=dtype), member)


@pytest.mark.parametrize("number", HELD)
def test_definition_integers_that_a_float_holds_are_read(number):
    for content in columns(number):
        assert int(read(content).score[2]) == number


@pytest.mark.parametrize("number", LOST)
def test_integers_that_a_float_does_not_hold_are_refused(number):
    for content in columns(number):
        with pytest.raises(ValueError, match=f"{LATE}('?{number}|{number / 1e18:.1f})"):
            read(content)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_definition_the_first_lost_integer_is_named(rng, dtype):
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    for shift in range(12):
        score = rng.integers(least, most, size=1000, dtype=dtype, endpoint=True) >> dtype(shift)
        score[: rng.integers(1000)] &= ~dtype(2**12 - 1)
        content = as_npz(score=score, member=np.arange(1000) % 2)
        lost = [row for row, one in enumerate(score.tolist(), 1) if int(float(one)) != one]
        if lost:
            with pytest.raises(
                ValueError, match=f"score in row {lost[0]} must be a number that .*{score[lost[0] - 1]}"
            ):
                read(content)
        else:
            assert [int(one) for one in read(content).score] == score.tolist()


@pytest.mark.parametrize("number", [2**64 - 1, 10**18 * 12345678901234567 + 1])
def test_larger_integers_too(number):
    with pytest.raises(ValueError, match=f"{LATE}'{number}'"):
        read(as_text([0, 1, number], [1, 0, 1]))
    if number < 2**64:
        with pytest.raises(ValueError, match=f"{LATE}{number}"):
            read(as_npz(score=np.array([0, 1, number], dtype=np.uint64), member=np.array([1, 0, 1])))


def test_limit_a_perfect_attack_on_large_scores_does_not_pass_for_none():
    member = np.arange(400) % 2
    assert len(np.unique((2**62 + member).astype(float))) == 1  # what was audited
    with pytest.raises(ValueError, match="score in row 2 must be a number that a 64-bit float holds"):
        read(as_npz(score=2**62 + member, member=member))


ARRAYS = {
    "time": ({"score": np.arange(2).astype("m8[s]")}, "the column score must be an array of numbers, got"),
    "a date": ({"score": np.arange(2).astype("M8[s]")}, "the column score must be an array of numbers, got"),
    "complex": (
        {"score": np.array([1j, 0])},
        "the column score must be an array of numbers, got dtype complex",
    ),
    "truth": (
        {"score": np.array([True, False])},
        "the column score must be an array of numbers, got dtype b",
    ),
    "long": ({"score": np.array([0, 1]) / np.longdouble(3)}, "score in row 2 must be a number that a 64-bit"),
    "time of members": ({"member": np.arange(2).astype("m8[s]")}, "the column member must be 0 or 1, .* got"),
    "complex members": (
        {"member": np.array([1 + 0j, 0])},
        "the column member must be 0 or 1, .* got dtype c",
    ),
    "parts": ({"score": np.zeros(2, "f8,f8")}, "the file must be a whole .npz, got score.npy of dtype"),
    "objects": (
        {"member": np.array([True, None])},
        "the file must be a whole .npz, got member.npy of dtype o",
    ),
}


@pytest.mark.parametrize(("arrays", "says"), ARRAYS.values(), ids=ARRAYS)
def test_arrays_of_anything_else_are_refused(arrays, says):
    whole = {"score": np.arange(2.0), "member": np.array([True, False])} | arrays
    with pytest.raises(ValueError, match=says):
        read(as_npz(**whole))


def test_a_truth_value_that_is_none_is_refused():
    """A file may say that the byte 2 is a bool; NumPy believes it, and counts two members."""
    content = as_npz(score=np.arange(3.0), member=np.array([1, 0, 2], dtype=np.uint8).view(bool))
    with pytest.raises(ValueError, match=r"member in row 3 must be 0 or 1, .* got 2"):
        read(content)


def test_parquet_of_anything_else_is_refused():
    pyarrow = pytest.importorskip("pyarrow")
    member = [True, False, True]
    for score, says in (
        (pyarrow.array([1.0, 2.0, None]), "score in row 3 must be a finite number, got null"),
        (
            pyarrow.array([1, 2, 3], pyarrow.duration("s")),
            "the column score must be an array of numbers, got",
        ),
        (
            pyarrow.array([1, 2, 3], pyarrow.timestamp("s")),
            "the column score must be an array of numbers, got",
        ),
        (pyarrow.array(["1", "2", "3"]), "the column score must be an array of numbers, got dtype string"),
        (pyarrow.array(member), "the column score must be an array of numbers, got dtype bool"),
        (pyarrow.array([{"a": 1}] * 3), "the column score must be an array of numbers, got dtype struct"),
    ):
        with pytest.raises(ValueError, match=says):
            read(as_parquet(score, member))
    for members, says in (
        (pyarrow.array([True, False, None]), "member in row 3 must be 0 or 1, .* got null"),
        (pyarrow.array(["1", "0", None]), "member in row 3 must be 0 or 1, .* got null"),
        (pyarrow.array([1, 0, None]), "member in row 3 must be 0 or 1, .* got null"),
        (pyarrow.array([None] * 3), "the column member must be 0 or 1, .* got dtype null"),
        (
            pyarrow.array([1, 0, 0], pyarrow.duration("s")),
            "the column member must be 0 or 1, .* got dtype dur",
        ),
    ):
        with pytest.raises(ValueError, match=says):
            read(as_parquet(np.arange(3.0), members))


# Memory


def limit(content):
    """Return the bytes that reading may take at most, the file included."""
    return 100e6 + 8 * len(content)


def peak(content):
    """Return the bytes that reading takes, the file included, and what it says."""
    tracemalloc.start()
    try:
        says = str(len(read(content).score))
    except ValueError as error:
        says = str(error)
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most + len(content), says


ROWS = ["0.25,1", "0.5,0"] * 25_000
BIG = {
    "one long cell": (HEAD + "\n".join([*ROWS, "1," + "1" * 20_000]), "member in row 50001 must be 0 or 1"),
    "many rows": (HEAD + "1,1\n0,0\n" * 100_000, "200000"),
    "many words": (HEAD + "1,true\n0,false\n" * 50_000, "100000"),
    "many quotes": (HEAD + '"1","1"\n0,0\n' * 50_000, "100000"),
    "nothing but ends": (HEAD + "\n" * 2_000_000 + "1,1\n0,0\n", "2"),
    "nothing but commas": ("," * 2_000_000, "line 1 must have at most 131,072 bytes"),
}


@pytest.mark.parametrize(("content", "says"), BIG.values(), ids=BIG)
def test_limit_memory_of_text_is_that_of_the_file(content, says):
    most, said = peak(content.encode())
    assert said.startswith(says)
    assert most < limit(content) - 80e6  # small files: all but a fifth of what is allowed is for large ones


def zip_bomb(claimed=None):
    """Return a small archive of large arrays, whose sizes may be claimed to be small."""
    content = bytearray(as_npz(np.savez_compressed, score=np.zeros(9_000_000), member=np.zeros(9)))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entry = archive.infolist()[0]
    if claimed is not None:
        old, new = (size.to_bytes(4, "little") for size in (entry.file_size, claimed))
        content = bytearray(content.replace(old, new))
    return bytes(content)


def lying_npz(shape):
    header = str({"descr": "<f8", "fortran_order": False, "shape": shape}).encode()
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in ("score.npy", "member.npy"):
            archive.writestr(name, npy)
    return held.getvalue()


def many_entries():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for i in range(1001):
            archive.writestr(f"{i}.npy", b"")
    return held.getvalue()


NPZ = "the file must be a whole .npz, got "
BOMBS = {
    "zip": (zip_bomb, NPZ + "72,000,128 bytes of score.npy in "),
    "zip that lies": (lambda: zip_bomb(1000), NPZ + "Bad CRC-32"),
    "records": (lambda: lying_npz((10**16,)), NPZ + "10,000,000,000,000,000 records in "),
    "axes": (lambda: lying_npz((10**8, 10**8)), NPZ + "10,000,000,000,000,000 records in "),
    "fewer than none": (lambda: lying_npz((-1,)), NPZ),
    "a larger header": (lambda: lying_npz((1,) * 10_000), NPZ + "Header info length"),
    "entries": (many_entries, NPZ + "more than 1000 entries"),
    "words": (
        lambda: as_npz(np.savez_compressed, score=np.zeros(9000), member=np.full(9000, "1", dtype="U2000")),
        NPZ + "72,000,128 bytes of member.npy in ",
    ),
}


@pytest.mark.parametrize(("make", "says"), BOMBS.values(), ids=BOMBS)
def test_limit_what_is_packed_to_harm_is_refused_unread(make, says):
    content = make()
    most, said = peak(content)
    assert said.startswith(says)
    assert most < 5e6


def test_limit_parquet_that_is_packed_to_harm_is_refused_unread():
    pyarrow = pytest.importorskip("pyarrow")
    zeros = as_parquet(np.zeros(2_200_000), np.zeros(2_200_000, dtype=bool))
    with pytest.raises(
        ValueError, match=r"must be whole Parquet, got 2,200,000 records in [0-9,]+ bytes, where"
    ):
        read(zeros)
    words = pyarrow.array(["1" * 20_000] * 5000)
    plain = as_parquet(np.zeros(5000), words, use_dictionary=False, compression="gzip")
    with pytest.raises(ValueError, match=r"must be whole Parquet, got 100,[0-9,]+ bytes in 1[0-9,]+$"):
        read(plain)
    numbers = pyarrow.array(np.arange(10**6) % 2, pyarrow.int32())
    coded = pyarrow.DictionaryArray.from_arrays(numbers, pyarrow.array(["1" * 20_000, "0"]))
    with pytest.raises(ValueError, match=r"member in row 1 must be 0 or 1, .* got '1{79}…$"):
        read(as_parquet(np.zeros(10**6), coded))  # twenty gigabytes, if each row had a word of its own


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows", ["1,1\n0,0\n", '"0.25","yes"\n"0.5","no"\n', "0.12345678901234567,1\n1e-5,0\n"]
)
def test_limit_ten_million_rows_in_less_than_two_gigabytes(tmp_path, rows):
    (tmp_path / "scores").write_text(HEAD + rows * 5_000_000)
    code = (
        "import resource, sys; from mialab.command import main; code = main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    asked = [str(tmp_path / "scores"), "--claimed-epsilon", "1", "--design", "fixed"]
    typed = [sys.executable, "-c", code, *asked, "--neighbours", "add-remove"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(typed, env=environment, capture_output=True, check=True, text=True)
    assert "10000000 records" in done.stdout
    assert int(done.stdout.splitlines()[-1]) < 2e6  # kilobytes
