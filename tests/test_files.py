"""Files are whole or absent, whoever else writes there and however they end."""

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mialab import _files
from mialab.train import checkpoint
from mialab_book.data import cache

ROOT = Path(__file__).parents[1]
CONTENT = [bytes([65 + i]) * 100_000 for i in range(8)]


def in_threads(count, work):
    """Run something in many threads at once; return the errors."""
    errors, gate = [], threading.Barrier(count)

    def one(number):
        try:
            gate.wait()
            work(number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_definition_nobody_sees_a_part(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with _files.whole(path) as part:
        part.write_bytes(b"new")
        assert (path.read_bytes(), part.parent.parent) == (b"old", tmp_path)
    assert (path.read_bytes(), names(tmp_path)) == (b"new", ["a"])


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fails():
        with _files.whole(path) as part:
            part.write_bytes(b"new")
            raise error

    with pytest.raises(error):
        fails()
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["a"])


def test_the_longest_name_is_written_too(tmp_path):
    """A name with more at its end would be too long for the disk."""
    _files.write({tmp_path / ("x" * 255): b"whole"})
    assert names(tmp_path) == ["x" * 255]


def writes(folder, number):
    for round in range(20):
        _files.write({folder / "a": CONTENT[number], folder / f"{number}-{round}": CONTENT[number]})
        assert (folder / "a").read_bytes() in CONTENT


def saves(folder, number):
    for _ in range(10):
        checkpoint.write(folder / "one.npz", {"a": np.full(10_000, number)}, "me")
        assert len(set(checkpoint.read(folder / "one.npz", "me")["a"])) == 1


def fetches(folder, _number):
    """Fetch from nowhere what each of them serves to itself."""
    os.environ["MIALAB_DATA"] = str(folder)
    cache._get = lambda _address, path: [path.write_bytes(CONTENT[0]) for _ in range(5)]
    (folder / "served").mkdir(exist_ok=True)
    wanted = "sha1:" + hashlib.sha1(CONTENT[0]).hexdigest()
    for round in range(5):
        remote = cache.Remote(f"set/{round}", {"http://somewhere": wanted})
        assert cache.fetch(remote).read_bytes() == CONTENT[0]


def in_a_process(folder, numbers):
    """Be one of several processes, with threads of its own; the exit code says whether all went well."""
    for work in (writes, saves, fetches):
        if errors := in_threads(len(numbers), lambda i, work=work: work(folder, numbers[i])):
            sys.exit(repr(errors))


def test_threads_and_processes_do_not_meet_in_a_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    arguments = [(tmp_path, range(4)), (tmp_path, range(4, 8))]
    processes = [context.Process(target=in_a_process, args=one) for one in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert [path for path in tmp_path.rglob("*") if path.name.endswith(".part")] == []


def aged(path, hours):
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def left(folder, name, hours, inside=True):
    """Leave what a killed run would."""
    beside = folder / name
    beside.mkdir()
    if inside:
        (beside / "a").write_bytes(b"half")
        aged(beside / "a", hours)
    aged(beside, hours)


def test_definition_what_killed_runs_left_is_swept_a_day_later_and_nothing_else(tmp_path):
    old, young = [".mialab-1.part", ".mialab-2.part"], [".mialab-3.part", ".mialab-4.part"]
    for name, hours, inside in zip(old + young, [25, 25, 23, 0], [True, False, True, False], strict=True):
        left(tmp_path, name, hours, inside)
    left(tmp_path, ".mialab-live.part", 25)
    (tmp_path / ".mialab-live.part" / "a").write_bytes(b"more")  # and the folder is as old as before
    aged(tmp_path / ".mialab-live.part", 25)
    others = ["somebody's.part", ".part", ".mialab-x", "mialab-x.part", ".r.json.77.part"]
    for name in others:
        left(tmp_path, name, 1000)
    elsewhere = tmp_path / "elsewhere"
    left(tmp_path, "elsewhere", 1000)
    (tmp_path / ".mialab-link.part").symlink_to(elsewhere)
    (tmp_path / ".mialab-file.part").write_bytes(b"")
    aged(tmp_path / ".mialab-file.part", 1000)
    _files.write({tmp_path / "a": b""})
    kept = [*young, ".mialab-live.part", ".mialab-link.part", ".mialab-file.part", "elsewhere", "a", *others]
    assert names(tmp_path) == sorted(kept)
    assert names(elsewhere) == ["a"]


def test_limit_a_killed_run_leaves_the_old_file_and_is_swept(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    code = (
        "import sys, time; from pathlib import Path; from mialab import _files\n"
        "with _files.whole(Path(sys.argv[1])) as part:\n"
        "    part.write_bytes(b'half'); print('ready', flush=True); time.sleep(60)\n"
    )
    typed = [sys.executable, "-c", code, str(tmp_path / "a")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(typed, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    (part,) = tmp_path.glob(".mialab-*.part")
    assert (tmp_path / "a").read_bytes() == b"old"
    for path in (*part.iterdir(), part):
        aged(path, 25)
    _files.write({tmp_path / "a": b"new"})
    assert ((tmp_path / "a").read_bytes(), names(tmp_path)) == (b"new", ["a"])


def test_several_sweep_at_once(tmp_path):
    for i in range(50):
        left(tmp_path, f".mialab-{i}.part", 25)
    assert in_threads(8, lambda number: _files.write({tmp_path / str(number): b""})) == []
    assert names(tmp_path) == [str(number) for number in range(8)]


# Checkpoints


def test_a_damaged_checkpoint_is_refused_whatever_is_damaged(tmp_path, rng):
    path = tmp_path / "one.npz"
    checkpoint.write(path, {"a": np.arange(50), "b": np.ones((3, 2))}, "me")
    whole, refused = path.read_bytes(), 0
    for _ in range(400):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged[: len(whole) - rng.integers(3) * rng.integers(len(whole))])
        try:
            checkpoint.read(path, "me")
        except ValueError as error:
            refused += str(error).startswith("checkpoint must ")
    assert refused > 200


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    """Its owner would remove days of training."""
    path = tmp_path / "one.npz"
    checkpoint.write(path, {"a": np.arange(3)}, "me")

    def closed(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(PermissionError):
        checkpoint.read(path, "me")
