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

CIFAR_SHAPE = (3, 32, 32)


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
        If a batch is missing or has another SHA-1.
    """
    found = {name: stream.read() for name, stream in regular_files(archive) if name in batches}
    if missing := [name for name in batches if name not in found]:
        _check.refuse(archive.name, f"hold {', '.join(batches)}", f"no {', '.join(missing)}")
    for name, wanted in batches.items():
        if (sha1 := hashlib.sha1(found[name]).hexdigest()) != wanted:
            _check.refuse(f"SHA-1 of {name}", f"be {wanted}", sha1)
    content = b"".join(found[name] for name in batches)
    rows = np.frombuffer(content, np.uint8).reshape(-1, 1 + math.prod(CIFAR_SHAPE))
    return rows[:, 1:].reshape(-1, *CIFAR_SHAPE), rows[:, 0]


def read_binary_table(
    archive: Path, name: str, *, features: int, classes: int
) -> tuple[Int64[ndarray, "records features"], Int64[ndarray, "records"]]:
    """Read a table of lines ``label,0,1,1,0,…`` from a gzipped tar archive.

    Labels 1 … classes, plain or in double quotes, become 0 … classes - 1.

    Raises
    ------
    ValueError
        If there is no such file in the archive, or a row is malformed.
    """
    for found, lines in regular_files(archive):
        if found == name:
            return _read_rows(lines, name, features, classes)
    raise ValueError(f"{archive.name} must hold a file {name}, got none")


def _read_rows(
    lines: Iterable[bytes], name: str, features: int, classes: int
) -> tuple[Int64[ndarray, "records features"], Int64[ndarray, "records"]]:
    try:
        table = np.loadtxt(lines, np.int64, delimiter=",", quotechar='"', comments=None, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{name} must be rows of whole numbers, got one that is not: {error}") from error
    label, bits = table[:, 0] - 1, table[:, 1:]
    if bits.shape[1] != features:
        _check.refuse(name, f"have {features} columns after the label", bits.shape[1])
    _check.labels(f"labels - 1 in {name}", label, classes)
    _check.labels(f"columns after the label in {name}", bits, 2)
    return bits, label
