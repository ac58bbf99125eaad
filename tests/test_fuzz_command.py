"""The command on a thousand broken files: what is in one is read as it stands, or refused in one line."""

import csv
import io
import re
from fractions import Fraction

import numpy as np
import pytest

from mialab import command
from mialab.command import main

pytestmark = pytest.mark.usefixtures("at_the_door")
CODES = {0, 2, 10, 11}
ASKED = ["--claimed-epsilon", "0.5", "--neighbours", "replace-one", "--design"]
CELLS = (
    """
nan|inf|-inf|1e999|1e-400|-0.0|4611686018427387905|9007199254740992|9007199254740993.0|123456789012345678901
1_000|1,5|"1,5"|"|""|"a|٣|½|１|True|F|yes|NO|1.000000000000000000e+00|0e0|1e0|10e-1|.5|5.|+1|--1|1 2| 1 |1\0
\0|\x1b[31m|\x1b]0;x\x07|\u202e|\ufeff|\u00a0|#|=1+1|None|null|NA|\t1|'1'|1;0|e|.|-|in|y|01|00|TRUE|tRuE
""".strip()
    .replace("\n", "|")
    .split("|")
)


# Files


def sound(rng):
    """Make up scores and memberships of a few records, both kinds among them."""
    member = np.arange(rng.integers(2, 40)) % 2 == 0
    return rng.normal(size=len(member)).round(rng.integers(17)) + member, member


def as_csv(rng):
    score, member = sound(rng)
    words = [("0", "1"), ("false", "TRUE"), ("F", "T"), ("no", "yes"), ("0.000e+00", "1.000e+00")]
    word, quote = words[rng.integers(len(words))], ["", '"'][rng.integers(2)]
    rows = [
        f"{i},{quote}{s!r}{quote},{word[m]}"
        for i, (s, m) in enumerate(zip(score.tolist(), member.tolist(), strict=True))
    ]
    return "\n".join(["id,score,member", *rows, ""])


def as_npz(rng):
    score, member = sound(rng)
    arrays = {"score": score, "member": member, "id": np.arange(len(score))}
    for _ in range(rng.integers(3)):
        arrays[["score", "member"][rng.integers(2)]] = strange_array(rng, score, member)
    held = io.BytesIO()
    [np.savez, np.savez_compressed][rng.integers(2)](held, **arrays)
    return held.getvalue()


def strange_array(rng, score, member):
    kinds = ["f2", "f4", ">f8", "g", "i1", "u8", "i8", "U9", "S9", "U1", "c16", "m8[s]", "M8[D]", "O", "?"]
    others = [
        lambda: member.astype(kinds[rng.integers(len(kinds))]),
        lambda: np.abs(score).astype(kinds[rng.integers(7)]),
        lambda: score[:, None],
        lambda: score[:-1],
        lambda: score[:0],
        lambda: np.array(score[0]),
        lambda: 2**53 + np.arange(len(score)),
        lambda: np.where(score > 1, np.nan, score),
        lambda: np.where(member, "yes", CELLS[rng.integers(len(CELLS))].replace("\0", "")),
    ]
    return others[rng.integers(len(others))]()


def as_parquet(rng):
    import pyarrow
    from pyarrow import parquet

    score, member = sound(rng)
    holes = [None if rng.random() < 0.1 else one for one in member.tolist()]
    scores = [
        *(score, score.astype("f4"), 2**53 + np.arange(len(score)), np.where(score > 2, np.inf, score)),
        *(pyarrow.array(score.tolist()), [str(one) for one in score], score.astype("m8[s]")),
    ]
    members = [
        *(member, member.astype(int), member * 1.0, np.where(member, "yes", "no"), holes),
        np.where(member, "1", CELLS[rng.integers(len(CELLS))]),
        pyarrow.array(np.where(member, "t", "f")).dictionary_encode(),
    ]
    pair = [choices[0 if rng.random() < 0.5 else rng.integers(len(choices))] for choices in (scores, members)]
    held = io.BytesIO()
    table = pyarrow.table({"id": score, "score": pair[0], "member": pair[1]})
    parquet.write_table(table, held, row_group_size=int(rng.integers(1, 50)))
    return held.getvalue()


# Damage


def damaged_bytes(content, rng):
    """Flip, cut, put in, take out or repeat some bytes."""
    place, other = sorted(rng.integers(len(content) + 1, size=2))
    flipped = bytearray(content)
    for at in rng.integers(len(content), size=rng.integers(1, 6)):
        flipped[at] ^= 1 << rng.integers(8)
    return [
        *(content, bytes(flipped), bytes(flipped), content[:place], content[place:]),
        content[:place] + rng.bytes(rng.integers(1, 9)) + content[place:],
        content[:place] + content[place + rng.integers(1, 9) :],
        content[:other] + content[place:],
        content[:place] + b"\0" * rng.integers(1, 1000) + content[place:],
        b"",
    ][rng.integers(10)]


def sometimes_damaged(content, rng):
    return damaged_bytes(content, rng) if rng.random() < 0.5 else content


def damaged_text(text, rng):
    """Change a cell, a row, the header, the separators, the ends of lines or the encoding."""
    lines = text.split("\n")
    at = rng.integers(len(lines) - 1)
    cells, cell = lines[at].split(","), CELLS[rng.integers(len(CELLS))]
    place = rng.integers(3)
    changed = [
        [*cells[:place], cell, *cells[place + 1 :]],
        [*cells[:place], cell, *cells[place:]],
        [*cells[:place], *cells[place + 1 :]],
        [*cells, ""],
        ["", "  ", '""', "x" * 200_000, "#" + lines[at], " " + lines[at], f"{lines[at]}\n"][
            rng.integers(7)
        ].split(","),
    ][rng.choice(5, p=[0.6, 0.1, 0.1, 0.1, 0.1])]
    text = "\n".join([*lines[:at], ",".join(changed), *lines[at + 1 :]])
    encode = [str.encode] * 8 + [
        *(lambda t: t.encode("utf-16"), lambda t: t.encode("utf-16-le"), lambda t: t.encode("utf-8-sig")),
        *(lambda t: t.replace("\n", "\r\n").encode(), lambda t: t.replace("\n", "\r").encode()),
        *(lambda t: t.replace(",", ";").encode(), lambda t: t.replace("\n", "\n\n").encode()),
        *(lambda t: t.encode("latin-1", "replace"), lambda t: t.partition("\n")[2].encode()),
    ]
    return encode[rng.integers(len(encode))](text)


def make_csv(rng):
    text = as_csv(rng)
    content = damaged_text(text, rng) if rng.random() < 0.8 else text.encode()
    return sometimes_damaged(content, rng) if rng.random() < 0.6 else content


# The slow, obvious readers


def obvious_csv(content):
    lines = [line for line in re.split("\r\n|\r|\n", content.decode("utf-8-sig")) if line.strip()]
    names, *rows = (next(csv.reader([line], skipinitialspace=True)) for line in lines)
    names = [name.strip() for name in [names[0].removeprefix("#"), *names[1:]]]
    assert {len(row) for row in rows} == {len(names)}
    table = [dict(zip(names, row, strict=True)) for row in rows]
    return [exact(row["score"]) for row in table], [truth(row["member"]) for row in table]


def obvious_npz(content):
    with np.load(io.BytesIO(content)) as arrays:
        return arrays["score"].tolist(), [truth(one) for one in arrays["member"].tolist()]


def obvious_parquet(content):
    from pyarrow import parquet

    rows = parquet.ParquetFile(io.BytesIO(content)).read(["score", "member"]).to_pylist()
    return [row["score"] for row in rows], [truth(row["member"]) for row in rows]


def exact(cell):
    number = Fraction(cell.strip())
    return int(number) if re.fullmatch(r"[+-]?\d+(\.0*)?", cell.strip()) else float(number)


def truth(cell):
    word = (cell.decode() if isinstance(cell, bytes) else str(cell)).strip().lower()
    words = {"true": True, "t": True, "yes": True, "false": False, "f": False, "no": False}
    return words[word] if word in words else {Fraction(0): False, Fraction(1): True}[Fraction(word)]


KINDS = {
    "csv": (make_csv, obvious_csv),
    "npz": (lambda rng: sometimes_damaged(as_npz(rng), rng), obvious_npz),
    "parquet": (lambda rng: sometimes_damaged(as_parquet(rng), rng), obvious_parquet),
}


def fuzz(kind, times, seed, folder, monkeypatch, capsys):
    """Run the command on broken files; return the exit codes."""
    make, obvious = KINDS[kind]
    rng, seen, codes, judge = np.random.default_rng(seed), [], [], command.judge
    monkeypatch.setattr(
        command, "judge", lambda outcome, *more: seen.append(outcome) or judge(outcome, *more)
    )
    path, report = folder / "scores", folder / "r.json"
    for _ in range(times):
        content = make(rng)
        path.write_bytes(content)
        design = ["fixed", "fixed", "fixed", "runs", "one-run"][rng.integers(5)]
        codes.append(main([str(path), *ASKED, design, "--json", str(report)]))
        out, err = capsys.readouterr()
        assert codes[-1] in CODES
        assert (err.count("\n"), out == "") == ((1, True) if codes[-1] == 2 else (0, False)), content
        assert all(line.isprintable() for line in (out + err).split("\n")), content
        assert {one.name for one in folder.iterdir()} == {"scores"} | ({"r.json"} if out else set())
        report.unlink(missing_ok=True)
        while seen:
            outcome, (score, member) = seen.pop(), obvious(content)
            assert outcome.score.tolist() == score, content
            assert outcome.member.tolist() == member, content
    return codes


@pytest.mark.parametrize(("kind", "times"), [("csv", 500), ("npz", 350), ("parquet", 150)])
def test_a_broken_file_is_read_as_it_stands_or_refused_in_one_line(
    tmp_path, monkeypatch, capsys, kind, times
):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    codes = fuzz(kind, times, 20261130, tmp_path, monkeypatch, capsys)
    assert codes.count(2) > times / 4
    assert times - codes.count(2) > times / 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_so_are_many_more(tmp_path, monkeypatch, capsys, kind, seed):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    fuzz(kind, 5000, seed, tmp_path, monkeypatch, capsys)
