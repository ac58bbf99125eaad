"""Bytes in, arrays out.

The files come from elsewhere, so they are read as plain bytes: nothing is unpickled, nothing in an
archive is written to disk, links in an archive are not followed.
"""

import gzip
import hashlib
import math
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from jaxtyping import Int64, UInt8
from numpy import ndarray

from mialab import _check
from mialab._text import visible

CIFAR_SHAPE = (3, 32, 32)
_CIFAR_BYTES = 1 + math.prod(CIFAR_SHAPE)


def read_idx(path: Path) -> UInt8[ndarray, "*shape"]:
    """Read a gzipped IDX file of bytes: 00 00, type 08, number of axes, big-endian sizes, the numbers.

    Raises
    ------
    ValueError
        If the file begins otherwise, or holds more or fewer numbers than it says.
    """
    with gzip.open(path, "rb") as file:
        content = file.read()
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        _check.refuse(path.name, "begin with the bytes 00 00 08 and one more", content[:4].hex(" "))
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    if len(content) != start + math.prod(shape):
        sizes = " × ".join(map(str, shape))
        _check.refuse(path.name, f"hold {sizes} numbers after {start} bytes", f"{len(content)} bytes in all")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def regular_files(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name (without folders) and stream of every regular file in a gzipped tar archive."""
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isreg() else None
            if stream is not None:
                yield PurePosixPath(member.name).name, stream


def read_cifar(
    archive: Path, batches: Mapping[str, str]
) -> tuple[UInt8[ndarray, "records 3 32 32"], UInt8[ndarray, "records"]]:
    """Read batches of CIFAR-10's binary version; ``batches`` gives the SHA-1 of each.

    A record is one byte for its label, then 3,072 bytes for its pixels: all red ones row by row, all
    green ones, all blue ones.

    Raises
    ------
    ValueError
        If a batch is missing, has another SHA-1, or is cut within a record.
    """
    found = {
        name: _cifar_batch(name, stream.read(), batches[name])
        for name, stream in regular_files(archive)
        if name in batches
    }
    missing = [name for name in batches if name not in found]
    if missing:
        _check.refuse(archive.name, f"hold {', '.join(batches)}", f"no {', '.join(missing)}")
    rows = np.concatenate([found[name] for name in batches])
    return rows[:, 1:].reshape(-1, *CIFAR_SHAPE), rows[:, 0]


def _cifar_batch(name: str, content: bytes, sha1: str) -> UInt8[ndarray, "records bytes"]:
    """Check one batch and cut it into records."""
    found = hashlib.sha1(content).hexdigest()
    if found != sha1:
        _check.refuse(f"SHA-1 of {name}", f"be {sha1}", found)
    if len(content) % _CIFAR_BYTES:
        _check.refuse(f"size of {name}", f"be a multiple of {_CIFAR_BYTES} bytes", len(content))
    return np.frombuffer(content, np.uint8).reshape(-1, _CIFAR_BYTES)


def read_binary_table(
    archive: Path, name: str, *, features: int, classes: int
) -> tuple[UInt8[ndarray, "records features"], Int64[ndarray, "records"]]:
    """Read a table of lines ``label,0,1,1,0,…`` from a gzipped tar archive.

    Labels 1 … classes, plain or in double quotes, become 0 … classes - 1.

    Raises
    ------
    ValueError
        If there is no such file in the archive, or a row is malformed; the message says which.
    """
    for found, lines in regular_files(archive):
        if found == name:
            return _read_rows(lines, name, features, classes)
    raise ValueError(f"{archive.name} must hold a file {name}, got none")


def _read_rows(
    lines: Iterable[bytes], name: str, features: int, classes: int
) -> tuple[UInt8[ndarray, "records features"], Int64[ndarray, "records"]]:
    """Read all rows; a row is kept as one byte per column."""
    labels, rows = [], []
    for number, line in enumerate(lines, start=1):
        label, _, cells = line.rstrip(b"\r\n").partition(b",")
        labels.append(_label(label, f"label in row {number} of {name}", classes))
        rows.append(_bits(cells, f"row {number} of {name}", features))
    bits = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, features) - ord("0")
    return bits, np.array(labels, dtype=np.int64)


def _label(cell: bytes, where: str, classes: int) -> int:
    """Read a label, and count from 0."""
    text = cell[1:-1] if len(cell) > 2 and cell[:1] == cell[-1:] == b'"' else cell
    if not (text.isdigit() and len(text) < 10 and 1 <= int(text) <= classes):
        _check.refuse(where, f"be in 1 … {classes}", _printed(cell))
    return int(text) - 1


def _bits(cells: bytes, where: str, features: int) -> bytes:
    """Drop the commas between zeros and ones, and refuse anything else."""
    bits = cells[::2]
    regular = len(cells) == 2 * features - 1 and cells[1::2] == b"," * (features - 1)
    if not regular or bits.translate(None, b"01"):
        _refuse_cells(cells.split(b","), where, features)
    return bits


def _refuse_cells(cells: list[bytes], where: str, features: int) -> None:
    """Say what is wrong with a row."""
    if len(cells) != features:
        _check.refuse(where, f"have {features} columns after its label", len(cells))
    column, cell = next((i, cell) for i, cell in enumerate(cells, start=1) if cell not in (b"0", b"1"))
    _check.refuse(f"column {column} after the label in {where}", "be 0 or 1", _printed(cell))


def _printed(cell: bytes) -> str:
    """Return a cell as it stands in the file, between quotes."""
    return visible(repr(cell.decode("ascii", "backslashreplace")))
