"""The command for a build pipeline: every exit code, every bad input, nothing half-written."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mialab import _files, command
from mialab.accounting import Neighbours
from mialab.audit import lower_bound, split
from mialab.audit.read_scores import read_scores
from mialab.command import main
from mialab.game import Design, Outcome

ROOT = Path(__file__).parents[1]


def scores(shift: float, size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng, member = np.random.default_rng(0), np.arange(size) % 2 == 0
    return rng.normal(size=size) + shift * member, member


def as_csv(score: np.ndarray, member: np.ndarray) -> str:
    rows = (f"{i},{s!r},{int(m)}" for i, (s, m) in enumerate(zip(score.tolist(), member, strict=True)))
    return "\n".join(["id,score,member", *rows]) + "\n"


def as_npz(**arrays: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.savez(held, **arrays)  # type: ignore[arg-type]
    return held.getvalue()


def as_zip(content: bytes, *, flag: int = 0, method: int = 0) -> bytes:
    """Write an .npz by hand, so that its headers can lie."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in ("score.npy", "member.npy"):
            archive.writestr(name, content)
    lying = bytearray(held.getvalue())
    entry = lying.find(b"PK\x01\x02")
    lying[6] = lying[entry + 8] = flag
    lying[8] = lying[entry + 10] = method
    return bytes(lying)


def npy(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header.encode() + b"\n"


@pytest.fixture
def run(tmp_path, capsys):
    """Run the command in this process on a file with this content; return exit code, output and errors."""

    def run(content: str | bytes, *more: str, epsilon: float = 1.0, design: str = "runs"):
        path = tmp_path / "scores"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        asked = [
            str(path),
            "--claimed-epsilon",
            str(epsilon),
            "--design",
            design,
            "--neighbours",
            "add-remove",
        ]
        code = main([*asked, *more])
        return code, *capsys.readouterr()

    return run


LEAKY, QUIET = as_csv(*scores(3.0)), as_csv(*scores(0.0))


@pytest.mark.parametrize("design", ["runs", "coins", "one-run"])
@pytest.mark.parametrize(
    ("content", "epsilon", "code", "word"),
    [(LEAKY, 0.5, 10, "violated"), (QUIET, 0.5, 0, "consistent"), (LEAKY, 9.0, 11, "uninformative")],
)
def test_definition_the_exit_says_what_the_verdict_says(run, design, content, epsilon, code, word):
    got, out, err = run(content, epsilon=epsilon, design=design)
    assert (got, err) == (code, "")
    assert out.startswith(f"{word}: ε ≤ {epsilon:g} was claimed, ε ≥ ")
    assert "up to" in out
    assert "no audit of fewer than" in out


def test_definition_the_unit_of_the_claim_is_that_of_the_bound(run, tmp_path):
    more = ["--unit", "client", "--json", str(tmp_path / "r.json")]
    for rule in ([], ["--split", "7"], ["--threshold", "1.0"]):
        code, out, err = run(LEAKY, *more, *rule, epsilon=0.5)
        assert (code, err) == (10, "")
        assert "ε ≤ 0.5 for one client was claimed" in out
        assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["claim"]["unit"] == "client"
    code, _, err = run(LEAKY, "--unit", "")
    assert code == 2
    assert "unit must be a word" in err


@pytest.mark.parametrize("design", ["fixed", "unknown"])
def test_definition_without_coins_or_runs_nothing_is_violated(run, tmp_path, design):
    code, out, err = run(LEAKY, "--json", str(tmp_path / "r.json"), epsilon=0.01, design=design)
    assert (code, err) == (11, "")
    assert "no bound is possible" in out
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (report["finding"], report["bound"]) == ("uninformative", None)


def test_definition_the_report_is_that_of_the_package(run, tmp_path):
    score, member = scores(1.5)
    outcome = Outcome(score, member, design=Design.RUNS)
    same = {"neighbours": Neighbours.ADD_REMOVE, "delta": 1e-3, "confidence": 0.9}
    more = ["--delta", "1e-3", "--confidence", "0.9", "--json", str(tmp_path / "r.json")]
    for rule, expected in (
        ([], lower_bound(outcome, **same)),
        (["--split", "7"], split(outcome, test="joint", rng=np.random.default_rng(7), **same)),
        (["--threshold", "1.0"], lower_bound(outcome.at(1.0), test="joint", **same)),
    ):
        code, out, _ = run(as_csv(score, member), *more, *rule)
        report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
        assert report["bound"]["epsilon_lower"] == expected.value
        assert report["bound"]["ceiling"] == expected.ceiling
        asked = rule[1] if rule else "any, the cuts share the error"
        assert str(report["rule"].get("seed", report["rule"]["threshold"])) == asked
        assert report["exit_code"] == code
        assert report["text"] + "\n" == out
        assert report["claim"] == {
            "epsilon": 1.0,
            "delta": 1e-3,
            "neighbours": "add-remove",
            "unit": "record",
        }
        assert (report["members"], report["non_members"]) == (200, 200)


@pytest.mark.parametrize("design", ["runs", "coins", "one-run"])
def test_definition_no_rule_given_is_any_threshold(run, design):
    """The default must be the sharp rule, and it must not be best of several: one rule, one number."""
    score, member = scores(1.5)
    outcome = Outcome(score, member, design=Design(design))
    expected = lower_bound(outcome, neighbours=Neighbours.ADD_REMOVE)
    _, out, _ = run(as_csv(score, member), design=design)
    assert out.splitlines()[1] == f"{expected}; threshold any, the cuts share the error"


def test_coverage_the_default_accuses_a_keeper_of_its_promise_at_most_as_often_as_it_says(tmp_path, capsys):
    """Scores of randomized response with ε = 1, whose threshold anybody may choose: 50 files at 80 %."""
    rng, path = np.random.default_rng(8), tmp_path / "scores.npz"
    asked = [str(path), "--claimed-epsilon", "1", "--neighbours", "replace-one", "--confidence", "0.8"]
    accused = {}
    for design in ("runs", "one-run"):
        codes = []
        for _ in range(50):
            member = rng.random(60) < 0.5
            truthful = rng.random(60) < np.e / (1 + np.e)
            score = (member == truthful) + rng.random(60) / 2  # no two are equal, and none knows more
            path.write_bytes(as_npz(score=score, member=member))
            codes.append(main([*asked, "--design", design]))
        accused[design] = codes.count(10)
    capsys.readouterr()
    assert max(accused.values()) <= 18  # P(Bin(50, 0.2) > 18) < 0.3 %
    assert min(accused.values()) > 0  # it can accuse: this is no rule that is never wrong


def test_definition_ties_are_reported_since_they_count_for_the_mechanism(run, tmp_path):
    score, member = scores(1.5)
    tied = as_csv((score > 1) * 1.0, member)
    _, out, _ = run(tied, "--json", str(tmp_path / "r.json"))
    assert "400 records, 200 of them members, 2 distinct scores; " in out
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["distinct_scores"] == 2
    assert "400 distinct scores" in run(as_csv(score, member))[1]


def test_definition_guesses_fixed_in_advance(run, tmp_path):
    score, member = scores(1.5)
    more = ["--guess", "20", "20", "--json", str(tmp_path / "r.json")]
    assert run(as_csv(score, member), *more, design="one-run")[0] == 10
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    guesses = command.guess(Outcome(score, member, design=Design.ONE_RUN), ins=20, outs=20)
    assert report["bound"]["epsilon_lower"] == lower_bound(guesses, neighbours=Neighbours.ADD_REMOVE).value
    assert report["rule"] == {"ins": 20, "outs": 20}


def test_definition_all_kinds_of_file_hold_the_same():
    score, member = scores(1.0)
    words = LEAKY.replace(",1\n", ",True\n").replace(",0\n", ",false\n")
    spaced = 'member , "score"\r\n1,2.5\r\n\r\n"0","-1e3"\r\n'
    kinds = [
        (as_csv(score, member), score, member),
        (words, *scores(3.0)),
        (spaced, np.array([2.5, -1000.0]), np.array([True, False])),
        ("score,member\r1,1.0\r2,0.0\r", np.array([1.0, 2.0]), np.array([True, False])),
        (b"\xef\xbb\xbfscore,member\n1,1\n2,0", np.array([1.0, 2.0]), np.array([True, False])),
        (as_npz(score=score, member=member, more=np.zeros(3)), score, member),
        (
            as_npz(score=np.arange(4), member=np.array([0, 1, 1, 0])),
            np.arange(4.0),
            np.array([0, 1, 1, 0]) == 1,
        ),
    ]
    for content, expected, truth in kinds:
        read = read_scores(content.encode() if isinstance(content, str) else content, design=Design.COINS)
        np.testing.assert_array_equal(read.score, expected)
        np.testing.assert_array_equal(read.member, truth)
        assert read.design == Design.COINS


def test_definition_parquet_is_read_with_pyarrow():
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    score, member = scores(1.0)
    held = io.BytesIO()
    parquet.write_table(pyarrow.table({"more": score, "score": score, "member": member}), held)
    read = read_scores(held.getvalue(), design=Design.RUNS)
    np.testing.assert_array_equal(read.score, score)
    np.testing.assert_array_equal(read.member, member)
    with pytest.raises(ValueError, match="the file must be whole Parquet, got "):
        read_scores(held.getvalue()[:-20], design=Design.RUNS)


def test_limit_parquet_without_pyarrow_says_so(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, err = run(b"PAR1....")
    assert code == 2
    assert err == "mialab audit: pyarrow must be installed to read Parquet, got no such module\n"


HEAD = "score,member\n"
WHOLE = "the file must be a whole .npz, got "
MEMBER = "be 0 or 1, true or false, t or f, yes or no"
BAD = [
    ("", "the file must hold a header and records, got an empty file"),
    (HEAD, "the file must hold records, got a header alone"),
    ("loss,in\n1,1\n", "the file must have one column score, got the columns loss, in"),
    ("score,score,member\n1,1,1\n", "the file must have one column score, got the columns score, score"),
    (HEAD + "1,1\n2,0\nnan,1\n", "score in row 3 must be a finite number, got 'nan'"),
    (HEAD + "1,1\n-inf,0\n", "score in row 2 must be a finite number, got '-inf'"),
    (HEAD + "1,1\nhigh,0\n", "score in row 2 must be a finite number, got 'high'"),
    (HEAD + "1,1\n,0\n", "score in row 2 must be a finite number, got ''"),
    (HEAD + "1,1\n1_000,0\n", "score in row 2 must be a finite number, got '1_000'"),
    ("score;member\n0,5;1\n", "the cells must be separated by commas, with a point in 0.5, got the header"),
    (
        'score,member,note\n1,1,"a\n2,0,\n3,1,b"\n',
        "line 2 must be a record, with its quotation marks closed, got unexp",
    ),
    (
        'score,member,note\n1,1,\n2,0,"a\n3,1,\n',
        "line 3 must be a record, with its quotation marks closed, got unexp",
    ),
    (
        HEAD + "1,1\n2," + "0" * 200_000 + "\nx,1\n",
        "line 3 must have at most 131,072 bytes, got more",
    ),
    (HEAD + "1,1\n2,false   1\n", f"member in row 2 must {MEMBER}, got 'false   1'"),
    (HEAD + "1,1\n2\n", "line 3 must have 2 cells, as many as the header, got 1"),
    (HEAD + "1,1\n2,maybe\n", f"member in row 2 must {MEMBER}, got 'maybe'"),
    (HEAD + "1,1\n2,\n", f"member in row 2 must {MEMBER}, got ''"),
    (HEAD + "1,1\n2,1\n", "the column member must hold members and non-members, got 2 members of 2"),
    (
        b"\xff\xfe",
        "line 1 must be text in UTF-8, in a file that is not Parquet or .npz, got invalid start byte",
    ),
    (b"PK\x03\x04nonsense", "the file must be a whole .npz, got File is not a zip file"),
    (as_zip(b"hello", flag=1), WHOLE + "File"),
    (as_zip(b"hello", method=99), WHOLE + "score.npy neither stored nor deflated"),
    (
        as_zip(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000000,)}")),
        WHOLE + "10,000,000,000,000,000 records in ",
    ),
    (as_zip(npy("{'descr': " + "[" * 50)), WHOLE),
    (as_npz(score=np.array([1.0, None]), member=np.ones(2)), WHOLE + "score.npy of dtype object"),
    (as_npz(score=np.zeros(2)), "the file must have one column member, got the columns score"),
    (as_npz(score=np.zeros((2, 2)), member=np.zeros(2)), "the array score must have shape (records)"),
    (
        as_npz(score=np.zeros(3), member=np.zeros(2)),
        "score and member must have the same shape, got (3,) and",
    ),
    (as_npz(score=np.array(["a"]), member=np.ones(1)), "the column score must be an array of numbers, got"),
    (
        as_npz(score=np.zeros(2), member=np.array([1, 2])),
        f"member in row 2 must {MEMBER}, got 2",
    ),
]


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(("content", "message"), BAD)
def test_the_door_of_the_file(run, content, message):
    code, out, err = run(content)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"mialab audit: {message}")


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--delta", "1"], "delta must be in [0, 1), got 1.0"),
        (["--delta", "nan"], "delta must be in [0, 1), got nan"),
        (["--confidence", "95"], "confidence must be in (0, 1), got 95.0"),
        (["--claimed-epsilon", "-1"], "--claimed-epsilon must be a finite number of at least 0, got -1.0"),
        (["--claimed-epsilon", "inf"], "--claimed-epsilon must be a finite number of at least 0, got inf"),
        (["--claimed-epsilon", "1000"], "--claimed-epsilon must be at most 700, got 1000.0"),
        (["--split", "-1"], "expected non-negative integer"),
        (["--threshold", "nan"], "--threshold must be a finite number, got nan"),
        (["--threshold", "inf", "--json", "r.json"], "--threshold must be a finite number, got inf"),
        (["--threshold", "-1e-3"], "argument --threshold: expected one argument (a negative number may need"),
        (["--threshold", "1", "--split", "2"], "argument --split: not allowed with argument --threshold"),
        (["--design", "lucky"], "argument --design: invalid choice: 'lucky'"),
        (["--delta", "small"], "argument --delta: invalid float value: 'small'"),
        (["--picture", "roc.txt"], "--picture must end in .png, .pdf, .svg, got roc.txt"),
        (["--json", "no/such/folder/r.json"], "--json must be in a folder that exists, got no/such/folder"),
        (["--json", "."], "--json must be a file, new or old, and no folder, link or device, got '.'"),
        (["--json", ""], "--json must be a file, new or old, and no folder, link or device, got ''"),
        (["--picture", ""], "--picture must end in .png, .pdf, .svg, got "),
        (["--guess", "1", "2"], "design must be coins or one-run"),
        (["--guess", "400", "2", "--design", "coins"], "ins + outs must be in 1 … 400 (records), got 402"),
        (["--test", "joint", "--split", "0", "--design", "coins"], "design must be runs"),
        (["--test", "joint"], "--test must come with --threshold or --split, got joint"),
        (["--test", "accuracy", "--guess", "1", "2"], "--test must come with --threshold or --split"),
        (["--json", "./r.png", "--picture", "r.png"], "--json and --picture must be two files, got r.png"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_the_door_of_the_command(run, more, message):
    code, out, err = run(LEAKY, *more)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"mialab audit: {message}")


@pytest.mark.usefixtures("at_the_door")
def test_the_door_of_the_files_that_are_written(run, tmp_path):
    """Nothing is replaced but a file: not the scores, not a link, and not what only looks like a file."""
    scores, link, device = tmp_path / "scores", tmp_path / "link.json", tmp_path / "pipe.json"
    link.symlink_to(tmp_path / "elsewhere.json")
    os.mkfifo(device)
    for path in (scores, tmp_path / "." / "scores", link, device):
        code, out, err = run(LEAKY, "--json", str(path))
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "be two files" in err or "be a file, new or old, and no folder, link or device" in err
    assert scores.read_text(encoding="utf-8") == LEAKY
    assert link.is_symlink()
    assert device.is_fifo()


@pytest.mark.parametrize("design", ["coins", "one-run"])
def test_definition_coins_that_cannot_be_fair_accuse_nobody(run, design):
    """Who says "out" of everybody is right nine times in ten: no leak, and no coin either."""
    rng, member = np.random.default_rng(0), np.arange(1000) < 100
    content = as_csv(rng.normal(size=1000), member)
    code, out, err = run(content, design=design)
    assert (code, out) == (2, "")
    assert err == (
        f"mialab audit: --design {design} must have a fair coin for each record, "
        "so about half of them members, got 100 members of 1000\n"
    )
    assert run(content)[0] == 0  # in runs of their own the numbers are free
    outcome = Outcome(rng.normal(size=1000), member, design=Design(design))
    assert lower_bound(outcome, neighbours=Neighbours.ADD_REMOVE).value > 1  # what it prevents


def test_limit_fair_coins_are_refused_once_in_a_million(run):
    for members, code in ((421, 2), (424, 0), (576, 0), (579, 2)):
        content = as_csv(np.random.default_rng(0).normal(size=1000), np.arange(1000) % 1000 < members)
        assert run(content, design="one-run")[0] == code


def test_the_door_opens_no_pickle(run, tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = np.empty(2, dtype=object)
    trap[:] = [Trap(), Trap()]
    for content in (as_npz(score=trap, member=np.array([True, False])), pickle.dumps(Trap())):
        assert run(content)[0] == 2
    assert not (tmp_path / "sprung").exists()


def test_limit_nothing_is_written_when_something_is_wrong(run, tmp_path, monkeypatch):
    report = tmp_path / "r.json"
    report.write_text("old", encoding="utf-8")
    assert run("score\n1\n", "--json", str(report))[0] == 2
    assert report.read_text(encoding="utf-8") == "old"

    def fails(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="the disk is full"):
        _files.write({report: b"new"})
    assert report.read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.json", "scores"]


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_definition_the_picture_is_written(run, tmp_path, suffix, start):
    path = tmp_path / f"roc.{suffix}"
    assert run(LEAKY, "--picture", str(path), "--delta", "1e-5")[0] == 10
    assert path.read_bytes().startswith(start)


def in_a_process(
    *arguments: str, given: bytes = b"", before: str = "", encoding: str = "utf-8"
) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    asked = ["--claimed-epsilon", "0.5", "--design", "runs", "--neighbours", "replace-one"]
    start = ["-c", before] if before else ["-m", "mialab.audit"]
    run = [sys.executable, *start, *arguments, *asked]
    return subprocess.run(run, input=given, env=environment, capture_output=True, check=False)


def test_definition_from_standard_input_in_a_process_of_its_own():
    done = in_a_process("-", given=LEAKY.encode())
    assert (done.returncode, done.stderr) == (10, b"")
    assert done.stdout.decode().startswith("violated: ε ≤ 0.5 was claimed")
    assert in_a_process("-").returncode == 2
    assert in_a_process("-", given=LEAKY.encode(), encoding="ascii").returncode == 10


def test_limit_what_cannot_be_printed_is_no_verdict(tmp_path):
    """Not the exit code of Python's own tracebacks, and no second complaint at the end."""
    path = tmp_path / "scores.csv"
    path.write_text(LEAKY, encoding="utf-8")
    asked = ["--claimed-epsilon", "1", "--design", "runs", "--neighbours", "replace-one"]
    typed = [sys.executable, "-m", "mialab.audit", str(path), *asked]
    read, write = os.pipe()
    os.close(read)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(typed, stdout=write, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(write)
    assert done.returncode == 3
    assert done.stderr.startswith(b"mialab audit: ")
    assert done.stderr.count(b"\n") == 1


def test_limit_with_any_confidence_a_trial_is_needed(run):
    assert "no audit of fewer than 1 trials" in run(LEAKY, "--confidence", "1e-300")[1]


def test_limit_without_a_picture_nothing_draws():
    code = (
        "import sys; from mialab.command import main; main(sys.argv[1:]);"
        "print(*sorted({'matplotlib', 'torch', 'pyarrow'} & set(sys.modules)))"
    )
    done = in_a_process("-", given=LEAKY.encode(), before=code)
    assert done.stdout.decode().splitlines()[-1] == ""


def test_definition_losses_for_scores_do_not_pass(run, tmp_path):
    """The commonest mistake: the same file, with the sign of a loss. It was green."""
    score, member = scores(3.0)
    for more in ([], ["--threshold", "0"], ["--split", "0"], ["--threshold=-5"]):
        code, out, err = run(as_csv(-score, member), "--json", str(tmp_path / "r.json"), *more)
        assert (code, err) == (11, "")
        assert "a higher score must mean member, and these rank members lower: " in out.splitlines()[0]
        rank = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["rank"]
        assert rank["below_chance"]
        assert rank["low"] <= rank["value"] <= rank["high"] < 0.1 or rank["name"] != "AUC"
    assert run(as_csv(-score, member), "--guess", "50", "50", design="one-run")[0] == 11
    rank = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["rank"]
    assert rank["name"] in ("AUC", "balanced accuracy")


@pytest.mark.parametrize("design", ["runs", "coins", "one-run"])
def test_definition_equal_scores_do_not_pass(run, tmp_path, design):
    _, member = scores(0.0)
    code, out, _ = run(as_csv(np.ones(400), member), "--json", str(tmp_path / "r.json"), design=design)
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (code, report["bound"]["reach"], report["rank"]["flat"]) == (11, 0.0, "all scores are equal")
    assert report["bound"]["ceiling"] > 3
    assert "up to 0.000 with these scores; AUC 0.500" in out


def test_definition_the_coins_are_reported_and_may_have_a_known_bias(run, tmp_path):
    rng, member = np.random.default_rng(1), np.arange(1000) < 300
    path = ["--json", str(tmp_path / "r.json")]
    for balance, looks in ((450, True), (480, False)):
        _, out, _ = run(as_csv(rng.normal(size=1000), np.arange(1000) < balance), *path, design="one-run")
        assert ("the coins look unfair, p = 0.0018: guesses are right too often" in out) == looks
        p = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["coins_p_value"]
        assert p == pytest.approx(0.0017 if looks else 0.2174, abs=1e-4)
    noise = as_csv(rng.normal(size=1000), member)
    assert run(noise, design="coins")[0] == 2
    assert run(noise, "--coin", "0.3", design="coins")[0] == 0
    leaking = as_csv(rng.normal(size=1000) + 4 * member, member)
    assert run(leaking, "--coin", "0.3", design="coins")[0] == 10
    code, _, err = run(noise, "--coin", "0.9", design="coins")
    assert code == 2
    assert "must have a coin for each record, so about 0.9 of them members, got 300 members of 1000" in err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--coin", "1"], "--coin must be in (0, 1), got 1.0"),
        (["--coin", "0.3"], "--coin must come with --design coins or one-run, got runs"),
        (
            ["--coin", "0.3", "--design", "coins", "--delta", "1e-5"],
            "--coin must be 0.5 with --delta above 0",
        ),
        (["--coin", "0.3", "--design", "coins", "--guess", "1", "1"], "--coin must be 0.5 but for any"),
        (["--coin", "0.3", "--design", "coins", "--split", "1"], "--coin must be 0.5 but for any threshold"),
    ],
)
def test_the_door_of_coins(run, more, message):
    code, out, err = run(LEAKY, *more)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"mialab audit: {message}")
