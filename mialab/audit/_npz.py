"""Two arrays of an .npz file, which is a zip file whose headers may claim anything."""

import io
import math
import zipfile
from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from mialab import _check
from mialab.audit import _cells

_ENTRIES = 1000
_EXPANDED = 2**26  # bytes of a column, and four for each byte of the file: what is more was packed to harm
_ROWS = 2**16  # at a time, of which words are Python's objects
_PLAIN = "biufcmMSU"  # kinds of numbers and words: no object, nothing with parts


def read_npz(content: bytes) -> Iterator[_cells.Columns]:
    """Yield scores and memberships, some rows at a time; no other array is read."""
    with _cells.whole("a whole .npz"):  # a damaged archive, or a hostile one, sets off any of a dozen kinds
        if content.count(b"PK\x01\x02") > _ENTRIES:  # a zip file's list of entries takes more than they do
            raise ValueError(f"more than {_ENTRIES} entries")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            held = [
                _array(archive, archive.infolist()[names.index(name)], len(content))
                for name in _cells.COLUMNS
                if name in names
            ]
    _cells.places(names)
    score, member = held
    for name, array in zip(_cells.COLUMNS, held, strict=True):
        _check.dimensions(f"the array {name}", array, "records")
    _check.same_shape("score", score, "member", member)
    for start in range(0, len(score), _ROWS):
        some = slice(start, start + _ROWS)
        yield _cells.score_column(score[some], start + 1), _cells.member_column(member[some], start + 1)


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, size: int) -> ndarray:
    """Read an array as NumPy writes it."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} neither stored nor deflated")
    if (held := entry.file_size) > (most := _EXPANDED + 4 * size):
        raise ValueError(f"{held:,} bytes of {entry.filename} in {size:,}, where at most {most:,} may be")
    with archive.open(entry) as packed:
        read = packed.read(held)  # without a number, all that comes is unpacked
    stream = io.BytesIO(read)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in readers:
        raise ValueError(f"{entry.filename} of version {version}")
    shape, _, dtype = readers[version](stream)
    if dtype.kind not in _PLAIN:
        raise ValueError(f"{entry.filename} of dtype {dtype}, neither numbers nor words")
    _cells.check_records(math.prod(shape), size)
    array = np.frombuffer(memoryview(read)[stream.tell() :], dtype).reshape(shape)
    if array.shape != shape:  # −1 stands for any number
        raise ValueError(f"{entry.filename} of shape {shape}")
    return array
