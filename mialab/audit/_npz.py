"""Two arrays of an .npz file, which is a zip file whose headers may claim anything."""

import io
import math
import zipfile

import numpy as np
from numpy import ndarray

from mialab import _check
from mialab.audit import _cells

_ENTRIES = 1000
_PLAIN = "biufcmMSU"  # kinds of numbers and words: no object, nothing with parts


def read_npz(content: bytes) -> tuple[ndarray, ndarray]:
    """Return scores and memberships; no other array is read."""
    try:
        if content.count(b"PK\x01\x02") > _ENTRIES:  # a zip file's list of entries takes more than they do
            raise ValueError(f"more than {_ENTRIES} entries")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            held = [
                _array(archive, archive.infolist()[names.index(name)], len(content))
                for name in _cells.COLUMNS
                if name in names
            ]
    except Exception as error:  # a damaged archive, or a hostile one, sets off any of a dozen kinds
        raise ValueError(f"the file must be a whole .npz, got {_cells.reason(error)}") from None
    _cells.places(names)
    score, member = held
    for name, array in zip(_cells.COLUMNS, held, strict=True):
        _check.dimensions(f"the array {name}", array, "records")
    _check.same_shape("score", score, "member", member)
    return _cells.score_column(score), _cells.member_column(member)


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, size: int) -> ndarray:
    """Read an array as NumPy writes it."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} neither stored nor deflated")
    _cells.check_expanded(entry.filename, entry.file_size, size)
    with archive.open(entry) as packed:
        held = packed.read(entry.file_size)  # without a number, all that comes is unpacked
    stream = io.BytesIO(held)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in readers:
        raise ValueError(f"{entry.filename} of version {version}")
    shape, _, dtype = readers[version](stream)
    if dtype.kind not in _PLAIN:
        raise ValueError(f"{entry.filename} of dtype {dtype}, neither numbers nor words")
    _cells.check_records(math.prod(shape), size)
    array = np.frombuffer(memoryview(held)[stream.tell() :], dtype).reshape(shape)
    if array.shape != shape:  # −1 stands for any number
        raise ValueError(f"{entry.filename} of shape {shape}")
    return array
