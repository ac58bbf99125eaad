"""Files that are whole or absent.

A checkpoint is a ``.npz`` file of plain arrays; nothing is ever pickled into it or out of it. It is written
beside its place and moved there in one step, so that an interruption leaves the old file or the new one.
A name that begins with a dot is no tensor's, and is kept for what else belongs to the run.
"""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import torch
from torch import Tensor

from mialab import _files

Arrays = dict[str, np.ndarray]


def write(path: Path, arrays: Arrays, fingerprint: str) -> None:
    """Write arrays, under whatever names, and the fingerprint of the run they belong to.

    Entry by entry: `numpy.savez` takes some names for its own arguments, by version more or fewer.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _files.whole(path) as part, ZipFile(part, "w") as file:
        for name, array in (arrays | {".fingerprint": np.array(fingerprint)}).items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)


def read(path: Path, fingerprint: str) -> Arrays | None:
    """Read what `write` wrote, or return None where there is no file.

    Raises
    ------
    OSError
        If there is a file that may not be read.
    ValueError
        If the file is damaged, or belongs to a run with other records, recipe or generator.
    """
    if not path.exists():
        return None
    with path.open("rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            found = str(arrays.pop(".fingerprint"))
        except Exception as error:  # a damaged archive sets off any of a dozen kinds
            raise ValueError(f"checkpoint must be a whole file, got a damaged one: remove {path}") from error
    if found != fingerprint:
        refuse(path)
    return arrays


def refuse(path: Path) -> None:
    """Refuse a file that was made by another run."""
    raise ValueError(
        f"checkpoint must belong to this run, got one made with another model, recipe, data, membership "
        f"or rng: {path}. Use another folder, or make rng afresh from the same seed"
    )


def restore(path: Path, arrays: Arrays, tensors: dict[str, Tensor]) -> None:
    """Put arrays back into the tensors they were made of.

    Raises
    ------
    ValueError
        If names, shapes or kinds of numbers are not theirs; then no tensor was changed.
    """
    wrong = sorted(arrays.keys() ^ tensors.keys())
    wrong += [
        name for name, tensor in tensors.items() if name in arrays and _kind(tensor) != _kind(arrays[name])
    ]
    if wrong:
        raise ValueError(
            f"checkpoint must hold the arrays of this run, got another {wrong[0]!r}: remove {path}"
        )
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(arrays[name]))


def _kind(array: Tensor | np.ndarray) -> tuple[tuple[int, ...], np.dtype]:
    """Return an array's shape and kind of numbers."""
    dtype = array.new_empty(0, device="cpu").numpy().dtype if isinstance(array, Tensor) else array.dtype
    return tuple(array.shape), dtype
