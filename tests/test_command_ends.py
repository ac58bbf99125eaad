"""However the command ends: one line, a known exit code, nothing raw on the terminal, nothing left behind."""

import io
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mialab import _files, command
from mialab.command import main

pytestmark = pytest.mark.usefixtures("at_the_door")
ROOT = Path(__file__).parents[1]
GOOD = "score,member\n" + "3,1\n0,0\n" * 100
ASKED = ["--claimed-epsilon", "0.5", "--design", "runs", "--neighbours", "replace-one"]


@pytest.fixture
def run(capsys):
    """Run the command in this process; return exit code, output and errors."""
    return lambda *arguments: (main([*map(str, arguments), *ASKED]), *capsys.readouterr())


@pytest.fixture
def good(tmp_path):
    (tmp_path / "scores.csv").write_text(GOOD)
    return tmp_path / "scores.csv"


def start(*arguments, **how):
    typed = [sys.executable, "-m", "mialab.audit", *map(str, arguments), *ASKED]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(typed, env=environment, stderr=how.pop("stderr", subprocess.PIPE), **how)


def ends(process, code, says, given=None):
    out, err = process.communicate(given, timeout=60)
    assert process.returncode == code, err
    assert err.count(b"\n") == 1
    assert err.startswith(f"mialab audit: {says}".encode())
    return out


# What is given as scores


def test_what_is_no_regular_file_is_refused_at_once(run, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "a" / "b").mkdir(parents=True)
    for path, says in (
        (tmp_path / "pipe", "the scores must be a regular file, or - for standard input, got '"),
        ("/dev/zero", "the scores must be a regular file, or - for standard input, got '/dev/zero'"),
        (tmp_path / "a", "the scores must be a regular file, or - for standard input, got '"),
        (tmp_path / "loop", "the scores must be a file that can be read, got [Errno 40] Too many levels of"),
        (tmp_path / "nobody", "the scores must be a file that can be read, got [Errno 2] No such file"),
        (
            tmp_path / "a" / "b" / "c",
            "the scores must be a file that can be read, got [Errno 2] No such file",
        ),
        ("x" * 5000, "the scores must be a file that can be read, got [Errno 36] File name too long: 'xxx"),
        ("", "the scores must be a file that can be read, got [Errno 2] No such file"),
    ):
        code, out, err = run(path)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"mialab audit: {says}")
        assert len(err) < 1100


def test_what_nobody_may_read_is_refused(run, good, monkeypatch):
    def closed(*_, **__):
        raise PermissionError(13, "Permission denied", str(good))

    monkeypatch.setattr("builtins.open", closed)
    code, _, err = run(good)
    assert code == 2
    assert err.startswith(
        "mialab audit: the scores must be a file that can be read, got [Errno 13] Permission"
    )


@pytest.mark.parametrize("piped", [True, False])
def test_limit_more_than_the_largest_file_is_refused_before_it_is_read(run, good, monkeypatch, piped):
    class Endless(io.RawIOBase):
        asked = 0

        def readable(self):
            return True

        def readinto(self, space):
            self.asked += len(space)
            assert self.asked < 3 * command.LARGEST + 2**20
            return len(space)

    monkeypatch.setattr(command, "LARGEST", len(GOOD) - 1)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    code, _, err = run("-" if piped else good)
    assert (code, err) == (2, f"mialab audit: the scores must have at most {len(GOOD) - 1} bytes, got more\n")


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("maximum recursion depth exceeded")])
def test_what_does_not_fit_is_one_line(run, good, monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(command, "read_scores", fails)
    says = f"mialab audit: the scores must fit into memory, got {type(error).__name__}\n"
    assert run(good) == (2, "", says)


def test_limit_real_memory_ends_in_one_line(tmp_path):
    (tmp_path / "scores.csv").touch()
    os.truncate(tmp_path / "scores.csv", command.LARGEST)  # a hole: it takes no room on the disk

    def little():
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))

    process = start(tmp_path / "scores.csv", stdout=subprocess.PIPE, preexec_fn=little)
    assert ends(process, 2, "the scores must fit into memory, got MemoryError") == b""


# Where it writes


@pytest.mark.parametrize("stream", ["stdout", "stderr", "both"])
def test_a_full_disk_under_the_streams_is_an_exit_code_of_its_own(good, stream):
    with open("/dev/full", "w") as full:
        how = {"stdout": full if stream != "stderr" else subprocess.PIPE}
        how["stderr"] = subprocess.PIPE if stream == "stdout" else full
        if stream == "stdout":
            ends(start(good, **how), 3, "what was found must be written, got [Errno 28] No space left on dev")
        if stream == "both":
            assert start(good, **how).wait(60) == 3
        if stream == "stderr":
            process = start(good.with_name("none"), **how)
            assert (process.communicate(timeout=60)[0], process.returncode) == (b"", 2)


@pytest.mark.parametrize("asked", [[], ["--help"]])
def test_nobody_reads(good, asked):
    read, write = os.pipe()
    os.close(read)
    process = start(good, *asked, stdout=write)
    os.close(write)
    ends(process, 3, "what was found must be written, got [Errno 32] Broken pipe")


def test_help_lists_the_exit_codes(run):
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    for number in (*command.EXIT.values(), command.BAD_INPUT, command.UNWRITTEN, command.INTERRUPTED):
        assert f" {number} " in " ".join(out.split()).replace(",", " ")


def test_limit_a_report_on_a_full_disk_leaves_nothing(run, good, monkeypatch):
    """Both reports are whole before one takes its place."""
    old = good.with_name("r.json")
    old.write_text("old")
    write, written = Path.write_bytes, []

    def fills_up(path, content):
        written.append(path)
        write(path, content[:10])
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fills_up)
    code, out, err = run(good, "--json", old, "--picture", good.with_name("r.svg"))
    assert (code, out) == (3, "")
    assert err == "mialab audit: what was found must be written, got [Errno 28] No space left on device\n"
    assert old.read_text() == "old"
    assert sorted(path.name for path in good.parent.iterdir()) == ["r.json", "scores.csv"]


def test_a_folder_that_vanishes_is_an_output_that_could_not_be_written(run, good, monkeypatch):
    audit, folder = command.judge, good.with_name("folder")

    def judge(*arguments):
        folder.rmdir()
        return audit(*arguments)

    folder.mkdir()
    monkeypatch.setattr(command, "judge", judge)
    code, out, err = run(good, "--json", folder / "r.json")
    assert (code, out) == (3, "")
    assert err.startswith("mialab audit: what was found must be written, got [Errno 2] No such file")


# Who ends it


def test_an_interruption_is_one_line_and_an_exit_code():
    code = "import sys; from mialab.command import main; print('ready', flush=True); sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "-", *ASKED],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    process.stdin.write(b"score,member\n")
    process.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)  # it waits for more
    process.send_signal(signal.SIGINT)
    ends(process, 130, "the audit must run to its end, got an interruption")


@pytest.mark.parametrize("place", ["read_scores", "judge"])
def test_an_interruption_anywhere_leaves_nothing(run, good, monkeypatch, place):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, place, interrupt)
    code, out, err = run(good, "--json", good.with_name("r.json"))
    assert (code, out, err.count("\n")) == (130, "", 1)
    assert [path.name for path in good.parent.iterdir()] == ["scores.csv"]


def test_an_interruption_between_two_reports_leaves_nothing(run, good, monkeypatch):
    sweep, swept = _files._sweep, []

    def interrupt(folder):
        swept.append(folder)
        if len(swept) == 2:
            raise KeyboardInterrupt
        sweep(folder)

    monkeypatch.setattr(_files, "_sweep", interrupt)
    code, _, _ = run(good, "--json", good.with_name("r.json"), "--picture", good.with_name("r.svg"))
    assert code == 130
    assert [path.name for path in good.parent.iterdir()] == ["scores.csv"]


# What reaches the terminal

EVIL = "\x1b]0;title\x07\x1b[31m\r\u202e\x9b\udc80"


def test_nothing_that_a_file_or_an_argument_holds_reaches_the_terminal_raw(run, good, tmp_path):
    evil = EVIL.replace("\r", "").replace("\udc80", "")
    contents = [
        f"score,{evil}\n1,1\n",
        f"{evil};member\n1;1\n",
        f"score,member\n{evil},1\n",
        f"score,member\n1,{evil}\n",
        f"score,member\n1,1,{evil}\n",
        f'score,member\n1,"{evil}\n',
        f"score,member\n1,1{EVIL[-3]}{EVIL[-2]}\n",
        f"score,{EVIL[-3]}{EVIL[-2]}\n1,1\n",
    ]
    for content in contents:
        good.write_text(content, encoding="utf-8")
        says(run(good))
    good.write_text(GOOD)
    for arguments in (
        [str(tmp_path / EVIL)],
        [good, "--design", EVIL],
        [good, "--delta", EVIL],
        [good, f"--{EVIL}"],
        [good, EVIL],
        [good, "--json", str(tmp_path / EVIL / "r.json")],
        [good, "--picture", EVIL],
        [good, "--picture", "x" * 5000],
    ):
        says(run(*arguments))


def says(result):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.endswith("\n")
    assert err[:-1].isprintable()
    assert len(err) < 1100
