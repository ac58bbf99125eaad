"""Records, and how they are fetched, checked and read. No test needs a network."""

import contextlib
import csv
import gzip
import hashlib
import io
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

from mialab_book import data
from mialab_book.data import cache, formats, sources
from mialab_book.data.cache import DataError, Remote, checksum, fetch

# Records


def test_definition_digits_are_scikit_learns_scans_in_their_order():
    digits, table = data.digits(), load_digits()
    assert digits.x.shape == (1797, 1, 8, 8)
    assert digits.x.min() == 0
    assert digits.x.max() == 1
    np.testing.assert_array_equal(16 * digits.x[:, 0], table.images)
    np.testing.assert_array_equal(digits.y, table.target)


def test_definition_patients_are_standardised_by_the_whole_table():
    patients, table = data.patients(), load_breast_cancer()
    assert patients.x.shape == (569, 30)
    np.testing.assert_allclose(patients.x.mean(axis=0, dtype=float), 0, atol=1e-6)
    np.testing.assert_allclose(patients.x.std(axis=0, dtype=float), 1, atol=1e-6)
    back = table.data.mean(axis=0) + patients.x * table.data.std(axis=0)
    np.testing.assert_allclose(back, table.data, rtol=1e-4, atol=1e-4)


def test_oracle_label_0_is_malignant():
    patients = data.patients()
    # Wolberg, Street & Mangasarian 1995 count 357 benign and 212 malignant tumours.
    assert np.bincount(patients.y).tolist() == [212, 357]
    assert patients.class_names == ("malignant", "benign")
    radius = patients.x[:, patients.feature_names.index("mean radius")]
    assert radius[patients.y == 0].mean() > radius[patients.y == 1].mean()


@pytest.mark.parametrize("load", [data.digits, data.patients])
def test_nobody_can_spoil_the_next_copy(load):
    first = load()
    first.x[:] = 7
    first.y[:] = 0
    assert (load().x != 7).any()
    assert (load().y != 0).any()


def test_records_say_in_one_line_what_they_are():
    assert str(data.patients()) == "patients: 569 records of 30 numbers, 2 classes"
    assert len(data.digits()) == 1797


X = np.zeros((4, 2), dtype=np.float32)
Y = np.array([0, 1, 1, 0])


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X.astype(complex)}, "x must be an array of numbers, got dtype complex128"),
        ({"x": X.astype(float) + 1e39}, "x must be numbers in the range of float32, got 8 larger ones"),
        ({"x": X[:, 0]}, r"x must have shape \(records, \*features\), got shape \(4,\)"),
        ({"x": X * np.float32("nan")}, r"x must hold no NaN, got 8 of 8 values"),
        ({"x": X[:0], "y": Y[:0]}, "x must hold records, got none"),
        ({"y": Y[:3]}, "x and y must have the same number of records, got 4 and 3"),
        ({"y": Y[:, None]}, r"y must have shape \(records\), got shape \(4, 1\)"),
        ({"y": Y.astype(float)}, "y must be integers, got dtype float64"),
        ({"y": Y + 1}, "y must be in 0 … 1, got values from 1 to 2"),
        ({"y": -Y}, "y must be in 0 … 1, got values from -1 to 0"),
        ({"classes": 1}, "classes must be at least 2, got 1"),
        ({"class_names": ("yes",)}, "class_names must be empty or have 2 names, got 1"),
        ({"feature_names": ("a", "b", "c")}, "feature_names must be empty or have 2 names, got 3"),
    ],
)
def test_the_door(change, message):
    with pytest.raises(ValueError, match=message):
        data.Records(**{"x": X, "y": Y, "classes": 2, "name": "zeros", **change})


def test_definition_records_of_any_width_are_taken():
    wide = data.Records(X.astype(float) + 0.1, Y.astype("u1"), classes=2, name="zeros")
    assert (wide.x.dtype, wide.y.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(wide.x, X + np.float32(0.1))


# Fetching


class _Handler(BaseHTTPRequestHandler):
    """Answers from ``server.pages``: path -> (status, body, length that is claimed)."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Accept-Encoding"]))
        status, body, length = self.server.pages.get(self.path, (404, b"", 0))
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


class _Site(ThreadingHTTPServer):
    """A site on this machine, and what it was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages, self.asked = {}, []

    def put(self, path, body, *, status=200, length=None):
        self.pages[path] = (status, body, len(body) if length is None else length)
        return f"http://127.0.0.1:{self.server_port}{path}"


@pytest.fixture
def site():
    with _Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a cache folder that is not there yet."""
    monkeypatch.setenv("MIALAB_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def nobody():
    """Return an address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/file"


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


CONTENT = bytes(range(256)) * 1000
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


def test_oracle_checksums_are_those_of_sha256sum_and_sha1sum(tmp_path):
    # FIPS 180-2, examples A.1 and B.1.
    (tmp_path / "abc").write_bytes(b"abc")
    assert checksum(tmp_path / "abc", "sha256") == (
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert checksum(tmp_path / "abc", "sha1") == "sha1:a9993e364706816aba3e25717850c26c9cd0d89d"


def test_a_file_is_fetched_once_and_kept(site, folder):
    remote = Remote("set/file", {site.put("/file", CONTENT): SHA256})
    assert fetch(remote) == folder / "set" / "file"
    assert fetch(remote).read_bytes() == CONTENT
    assert site.asked == [("/file", "identity")]
    assert files_in(folder) == ["file"]


def test_a_kept_file_needs_no_network(folder, nobody):
    (folder / "set").mkdir(parents=True)
    (folder / "set" / "file").write_bytes(CONTENT)
    assert fetch(Remote("set/file", {nobody: SHA256})).read_bytes() == CONTENT


def test_a_kept_file_may_be_that_of_any_source(folder, nobody):
    (folder / "set").mkdir(parents=True)
    (folder / "set" / "file").write_bytes(CONTENT)
    other = {f"{nobody}/1": "sha256:00", f"{nobody}/2": f"sha1:{hashlib.sha1(CONTENT).hexdigest()}"}
    assert fetch(Remote("set/file", other)).read_bytes() == CONTENT


@pytest.mark.parametrize("kept", [CONTENT[:-1], CONTENT + b"\0", b""], ids=["cut", "longer", "empty"])
def test_a_kept_file_with_the_wrong_content_is_refused_and_left_alone(site, folder, kept):
    (folder / "set").mkdir(parents=True)
    (folder / "set" / "file").write_bytes(kept)
    address = site.put("/file", CONTENT)
    with pytest.raises(DataError, match=f"must be {SHA256}, got sha256:.* Remove it") as error:
        fetch(Remote("set/file", {address: SHA256}))
    assert str(folder / "set" / "file") in str(error.value)
    assert address in str(error.value)
    assert (folder / "set" / "file").read_bytes() == kept
    assert site.asked == []


FAILURES = {
    "absent": (lambda site, _: site.put("/bad", b"", status=404), "404"),
    "broken": (lambda site, _: site.put("/bad", CONTENT, status=500), "500"),
    "cut": (lambda site, _: site.put("/bad", CONTENT[:1000], length=len(CONTENT)), "IncompleteRead"),
    "cut unseen": (
        lambda site, _: site.put("/bad", CONTENT[:1000]),
        f"checksum must be {SHA256}, got sha256:",
    ),
    "wrong": (lambda site, _: site.put("/bad", CONTENT[::-1]), f"checksum must be {SHA256}, got sha256:"),
    "nobody": (lambda _, nobody: nobody, "refused"),
    "no address": (lambda *_: "http://", "No host supplied"),
}


@pytest.mark.parametrize(("bad", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_failure_says_file_addresses_reason_and_remedy_and_leaves_nothing(
    site, folder, nobody, bad, reason
):
    address = bad(site, nobody)
    with pytest.raises(DataError, match=reason) as error:
        fetch(Remote("set/file", {address: SHA256}))
    message = str(error.value)
    assert message.startswith("set/file could not be fetched:\n")
    assert f"\n  {address}: " in message
    assert f"Download it by hand to {folder / 'set' / 'file'}" in message
    assert files_in(folder) == []


@pytest.mark.parametrize(("bad", "_reason"), FAILURES.values(), ids=FAILURES)
def test_where_the_first_address_fails_the_second_serves(site, folder, nobody, bad, _reason):
    remote = Remote("set/file", {bad(site, nobody): SHA256, site.put("/good", CONTENT): SHA256})
    assert fetch(remote).read_bytes() == CONTENT
    assert site.asked[-1][0] == "/good"
    assert files_in(folder) == ["file"]


def test_each_address_answers_to_its_own_checksum(site, folder):
    # The second serves what only the first may serve: refused, although that content is good elsewhere.
    first, second = site.put("/1", CONTENT[1:]), site.put("/2", CONTENT)
    with pytest.raises(DataError) as error:
        fetch(Remote("file", {first: SHA256, second: "sha256:00"}))
    assert f"{first}: checksum" in str(error.value)
    assert f"{second}: checksum" in str(error.value)
    assert site.asked == [("/1", "identity"), ("/2", "identity")]


def test_an_interruption_leaves_nothing(site, folder, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "checksum", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(Remote("file", {site.put("/file", CONTENT): SHA256}))
    assert files_in(folder) == []


class _Hostile(BaseHTTPRequestHandler):
    """Never ends: it sends as fast as it can, or a byte now and then, in the head or in the body."""

    def do_GET(self):
        length = {"/declared": f"Content-Length: {10**12}\r\n"}.get(self.path, "")
        start = f"HTTP/1.1 200 OK\r\n{length}".encode()
        piece = b"x" * 2**16 if self.path in ("/endless", "/declared") else b"x"
        self.wfile.write(start + (b"A: " if self.path == "/slow-head" else b"\r\n"))
        with contextlib.suppress(OSError):
            while self.server.sent < 10**8 and not self.server.over.wait(0.0 if len(piece) > 1 else 0.02):
                self.wfile.write(piece)
                self.server.sent += len(piece)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def hostile():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hostile) as server:
        server.over, server.sent = threading.Event(), 0
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/endless", "/declared"])
def test_limit_an_endless_file_ends(hostile, folder, monkeypatch, path):
    monkeypatch.setattr(cache, "LARGEST", 10**6)
    address = f"http://127.0.0.1:{hostile.server_port}{path}"
    with pytest.raises(DataError, match=r"the file must have at most 1,000,000 bytes, got more\n"):
        fetch(Remote("set/file", {address: SHA256}))
    assert hostile.sent < 10**8  # what lies in buffers on the way
    assert list((folder / "set").iterdir()) == []


@pytest.mark.parametrize("path", ["/slow", "/slow-head"])
def test_limit_a_server_that_drips_is_given_up(hostile, folder, monkeypatch, path):
    """Every read is short, and the whole without end. The next address may still serve."""
    monkeypatch.setattr(cache, "LONGEST", 0.5)
    address = f"http://127.0.0.1:{hostile.server_port}{path}"
    start = time.monotonic()
    with pytest.raises(DataError, match=r"the download must take at most 0\.5 seconds, got a longer one\n"):
        fetch(Remote("set/file", {address: SHA256}))
    assert time.monotonic() - start < 5
    assert list((folder / "set").iterdir()) == []


def test_where_one_address_drips_the_next_serves(site, hostile, folder, monkeypatch):
    monkeypatch.setattr(cache, "LONGEST", 0.5)
    addresses = (f"http://127.0.0.1:{hostile.server_port}/slow", site.put("/file", CONTENT))
    assert fetch(Remote("set/file", dict.fromkeys(addresses, SHA256))).read_bytes() == CONTENT
    assert [path.name for path in (folder / "set").iterdir()] == ["file"]


def test_limit_a_file_of_just_the_largest_size_is_taken(site, folder, monkeypatch):
    monkeypatch.setattr(cache, "LARGEST", len(CONTENT))
    assert fetch(Remote("file", {site.put("/file", CONTENT): SHA256})).read_bytes() == CONTENT
    monkeypatch.setattr(cache, "LARGEST", len(CONTENT) - 1)
    with pytest.raises(DataError, match="the file must have at most"):
        fetch(Remote("another", {site.put("/file", CONTENT): SHA256}))
    assert files_in(folder) == ["file"]


def test_a_folder_that_cannot_be_made_is_a_data_error(site, tmp_path, monkeypatch):
    (tmp_path / "taken").write_bytes(b"a file where the folder should be")
    monkeypatch.setenv("MIALAB_DATA", str(tmp_path / "taken"))
    with pytest.raises(DataError, match=r"Not a directory|exists"):
        fetch(Remote("set/file", {site.put("/file", CONTENT): SHA256}))


def test_one_variable_moves_the_cache(monkeypatch):
    monkeypatch.setenv("MIALAB_DATA", "~/elsewhere")
    assert cache.cache_folder() == Path.home() / "elsewhere"
    monkeypatch.delenv("MIALAB_DATA")
    assert cache.cache_folder().name == "mialab-book"


def run(code, **variables):
    """Run Python in a fresh process and return what it prints, and what it says on the side."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TQDM_")}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env={**clean, **variables}, check=True, capture_output=True, text=True)


def test_a_progress_bar_is_drawn_unless_it_is_switched_off(site, folder):
    served = {site.put("/file", CONTENT): SHA256}
    code = f"from mialab_book.data.cache import Remote, fetch; fetch(Remote('NAME', {served!r}))"
    assert "100%" in run(code.replace("NAME", "shown")).stderr
    assert run(code.replace("NAME", "hidden"), TQDM_DISABLE="1").stderr == ""
    assert files_in(folder) == ["hidden", "shown"]


def test_importing_is_quick_and_free_of_torch():
    code = (
        "import sys, mialab_book.data; print(sorted({'torch', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    )
    assert run(code).stdout.strip() == "[]"
    assert "torch" in run(code.replace("mialab_book.data", "mialab_book.data, torch")).stdout


def test_every_source_has_a_checksum_of_the_right_length():
    digits = {"sha256": 64, "sha1": 40}
    idx = [remote for pair in sources.FASHION_MNIST.values() for remote in pair]
    for remote in (*idx, sources.CIFAR10, sources.LOCATION30):
        assert len(remote.sources) >= 2
        for address, wanted in remote.sources.items():
            kind, _, number = wanted.partition(":")
            assert len(bytes.fromhex(number)) == digits[kind] / 2
            assert address.startswith("http")
            assert address.endswith(Path(remote.name).name)
    for batches in sources.CIFAR10_BATCHES.values():
        assert {len(bytes.fromhex(sha1)) for sha1 in batches.values()} == {20}


# Reading


def idx(array):
    """Write an array in the IDX format."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return b"\0\0\x08" + bytes([array.ndim]) + sizes + array.tobytes()


def tar(members):
    """Pack (name, content) pairs; content that is a str is the target of a symbolic link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname, content = tarfile.SYMTYPE, content, b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def serve(site, folder, monkeypatch):
    """Put made-up content in the place of the real one."""

    def put(remote, content):
        address = site.put(f"/{remote.name}", content)
        return Remote(remote.name, {address: f"sha256:{hashlib.sha256(content).hexdigest()}"})

    return put


def test_definition_fashion_mnist_is_read_byte_by_byte(serve, monkeypatch, rng):
    pixels, labels = rng.integers(256, size=(5, 3, 3), dtype=np.uint8), np.array([9, 0, 3, 3, 1], np.uint8)
    pictures, names = sources.FASHION_MNIST["test"]
    made_up = [serve(pictures, gzip.compress(idx(pixels))), serve(names, gzip.compress(idx(labels)))]
    monkeypatch.setitem(sources.FASHION_MNIST, "test", made_up)
    clothes = data.fashion_mnist("test")
    assert clothes.y.tolist() == [9, 0, 3, 3, 1]
    assert clothes.x.shape == (5, 1, 3, 3)
    content = idx(pixels)
    for record, row, column in np.ndindex(5, 3, 3):
        byte = content[4 + 3 * 4 + 9 * record + 3 * row + column]
        assert clothes.x[record, 0, row, column] == np.float32(byte / 255)


def cifar_batches(rng, sizes):
    """Make up the batches of an archive, and tell their SHA-1."""
    made = {name: rng.integers(256, size=(size, 3073), dtype=np.uint8) for name, size in sizes.items()}
    for rows in made.values():
        rows[:, 0] %= 10
    return {name: rows.tobytes() for name, rows in made.items()}


def sha1s(batches):
    return {name: hashlib.sha1(content).hexdigest() for name, content in batches.items()}


def test_definition_cifar10_is_read_byte_by_byte_in_the_order_of_its_batches(serve, monkeypatch, rng):
    train = cifar_batches(rng, {"data_batch_1.bin": 2, "data_batch_2.bin": 1})
    test = cifar_batches(rng, {"test_batch.bin": 2})
    # Packed in another order than they are read, as archives are.
    members = [
        (f"cifar-10-batches-bin/{name}", batch) for name, batch in reversed([*train.items(), *test.items()])
    ]
    monkeypatch.setattr(sources, "CIFAR10", serve(sources.CIFAR10, tar(members)))
    monkeypatch.setitem(sources.CIFAR10_BATCHES, "train", sha1s(train))
    monkeypatch.setitem(sources.CIFAR10_BATCHES, "test", sha1s(test))
    for records, content in (
        (data.cifar10(), train["data_batch_1.bin"] + train["data_batch_2.bin"]),
        (data.cifar10("test"), test["test_batch.bin"]),
    ):
        assert records.x.shape == (len(content) // 3073, 3, 32, 32)
        for record, label in enumerate(records.y):
            assert label == content[3073 * record]
            for colour, row, column in np.ndindex(3, 32, 32):
                byte = content[3073 * record + 1 + 1024 * colour + 32 * row + column]
                assert records.x[record, colour, row, column] == np.float32(byte / 255)


def table(rng, records, features, classes):
    """Make up a table of labels in quotes and bits, as text."""
    labels = np.concatenate([[1, classes], rng.integers(1, classes + 1, size=records - 2)])
    bits = rng.integers(2, size=(records, features))
    rows = zip(labels, bits, strict=True)
    return "".join(f'"{label}",{",".join(map(str, row))}\n' for label, row in rows)


def test_oracle_location30_is_what_the_csv_module_reads(serve, monkeypatch, rng):
    text = table(rng, 40, 446, 30)
    archive = tar([("README", b"not this one"), ("bangkok", text.encode())])
    monkeypatch.setattr(sources, "LOCATION30", serve(sources.LOCATION30, archive))
    records = data.location30()
    rows = [[int(cell) for cell in row] for row in csv.reader(io.StringIO(text))]
    assert records.y.tolist() == [row[0] - 1 for row in rows]
    np.testing.assert_array_equal(records.x, [row[1:] for row in rows])
    assert (records.y.min(), records.y.max(), records.classes) == (0, 29, 30)


GOOD_ROW = b'"1",0,1,1'
ROWS = {
    b'"5",0,1,1': "labels - 1 in table must be in 0 … 3, got values from 0 to 4",
    b'"0",0,1,1': "labels - 1 in table must be in 0 … 3, got values from -1 to 0",
    b'"1,0,1,1': "table must be rows of whole numbers, got one that is not",
    b"1.0,0,1,1": r"could not convert string '1\.0' to int64 at row 1, column 1",
    b"\xb2,0,1,1": "could not convert string '.' to int64 at row 1, column 1",
    b"9" * 5000 + b",0,1,1": "could not convert string '9999.{70,180} to int64 at row 1, column 1",
    b"1,0,1,\x1b" + b"x" * 5000: r"could not convert string '\\x1bx{60,180} to int64 at row 1, column 4",
    b"1": "number of columns changed from 4 to 1 at row 2",
    b"1,0,1,1,0": "number of columns changed from 4 to 5 at row 2",
    b"1,0;1,1,1": "could not convert string '0;1' to int64 at row 1, column 2",
    b"1,0,1,": "could not convert string '' to int64 at row 1, column 4",
    b"1,00,2,1": "columns after the label in table must be in 0 … 1, got values from 0 to 2",
    b"1,nan,1,1": "could not convert string 'nan' to int64 at row 1, column 2",
}


@pytest.mark.parametrize(("row", "message"), ROWS.items(), ids=[repr(row) for row in ROWS])
def test_a_malformed_row_is_refused_by_its_number(tmp_path, row, message):
    archive = tmp_path / "table.tgz"
    archive.write_bytes(tar([("table", b"\n".join([GOOD_ROW, row, GOOD_ROW, b""]))]))
    with pytest.raises(ValueError, match=message):
        formats.read_binary_table(archive, "table", features=3, classes=4)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""], ids=repr)
def test_limit_every_end_of_line_will_do(tmp_path, end):
    archive = tmp_path / "table.tgz"
    archive.write_bytes(tar([("table", GOOD_ROW + (end or b"\n") + b"4,1,0,0" + end)]))
    bits, labels = formats.read_binary_table(archive, "table", features=3, classes=4)
    assert labels.tolist() == [0, 3]
    assert bits.tolist() == [[0, 1, 1], [1, 0, 0]]


def test_the_doors_of_the_formats(tmp_path, rng):
    batches = cifar_batches(rng, {"1.bin": 1, "2.bin": 1})
    archive = tmp_path / "batches.tar.gz"
    archive.write_bytes(tar([*batches.items()]))
    with pytest.raises(ValueError, match=r"SHA-1 of 2\.bin must be 00, got [0-9a-f]{40}"):
        formats.read_cifar(archive, {"2.bin": "00"})
    with pytest.raises(ValueError, match=r"batches\.tar\.gz must hold 1\.bin, 3\.bin, got no 3\.bin"):
        formats.read_cifar(archive, {"1.bin": sha1s(batches)["1.bin"], "3.bin": "00"})
    with pytest.raises(ValueError, match=r"batches\.tar\.gz must hold a file table, got none"):
        formats.read_binary_table(archive, "table", features=3, classes=4)


IDX = idx(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must begin with the bytes 00 00 08 and one more, got $"),
        (b"\0\0\x08", "must begin with the bytes 00 00 08 and one more, got 00 00 08"),
        (b"\0\0\x0d" + IDX[3:], "must begin with the bytes 00 00 08 and one more, got 00 00 0d 02"),
        (IDX[:-1], "must hold 2 × 3 numbers after 12 bytes, got 17 bytes in all"),
        (IDX + b"\0", "must hold 2 × 3 numbers after 12 bytes, got 19 bytes in all"),
        (IDX[:8], "must hold 2 × 0 numbers after 12 bytes, got 8 bytes in all"),
    ],
)
def test_a_malformed_idx_file_is_refused(tmp_path, content, message):
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=f"a.gz {message}"):
        formats.read_idx(tmp_path / "a.gz")


def test_an_archive_writes_nothing_and_its_links_lead_nowhere(tmp_path, monkeypatch, rng):
    batches = cifar_batches(rng, {"1.bin": 1})
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    Path("secret").write_bytes(batches["1.bin"])
    archive = tmp_path / "archive.tar.gz"
    hostile = [("./._1.bin", b"a Macintosh was here"), ("../../outside", b"!"), ("/outside", b"!")]
    archive.write_bytes(tar([*hostile, ("../../1.bin", batches["1.bin"])]))
    before = files_in(tmp_path)
    assert len(formats.read_cifar(archive, sha1s(batches))[1]) == 1
    assert files_in(tmp_path) == before
    archive.write_bytes(tar([("1.bin", "secret")]))
    with pytest.raises(ValueError, match=r"must hold 1\.bin, got no 1\.bin"):
        formats.read_cifar(archive, sha1s(batches))


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("load", [data.fashion_mnist, data.cifar10])
def test_an_unknown_part_is_refused_before_anything_is_fetched(folder, load):
    with pytest.raises(ValueError, match="part must be one of 'train', 'test', got 'validation'"):
        load("validation")
    assert not folder.exists()


# The real files, for those who have them


def kept(*remotes):
    """Skip where ``MIALAB_DATA`` does not name a folder that holds the files: no test fetches them."""
    named = os.environ.get("MIALAB_DATA")
    for remote in remotes:
        if not named or not (Path(named).expanduser() / remote.name).exists():
            pytest.skip(f"MIALAB_DATA does not name a folder that holds {remote.name}")


@pytest.mark.parametrize(("part", "records"), [("train", 60_000), ("test", 10_000)])
def test_oracle_real_fashion_mnist(part, records):
    kept(*sources.FASHION_MNIST[part])
    clothes = data.fashion_mnist(part)
    assert str(clothes) == f"fashion_mnist: {records:,} records of 1 × 28 × 28 numbers, 10 classes"
    assert np.bincount(clothes.y).tolist() == [records // 10] * 10
    assert (clothes.x.min(), clothes.x.max()) == (0, 1)


@pytest.mark.parametrize(("part", "records"), [("train", 50_000), ("test", 10_000)])
def test_oracle_real_cifar10(part, records):
    kept(sources.CIFAR10)
    photographs = data.cifar10(part)
    assert str(photographs) == f"cifar10: {records:,} records of 3 × 32 × 32 numbers, 10 classes"
    assert np.bincount(photographs.y).tolist() == [records // 10] * 10
    assert (photographs.x.min(), photographs.x.max()) == (0, 1)


def test_oracle_real_location30():
    kept(sources.LOCATION30)
    people = data.location30()
    assert str(people) == "location30: 5,010 records of 446 numbers, 30 classes"
    assert np.bincount(people.y).min() > 0
