"""Files that are whole or absent.

A checkpoint is a ``.npz`` file of plain arrays; nothing is ever pickled into it or out of it. It is written
beside its place and moved there in one step, so that an interruption leaves the old file or the new one.
A name that begins with a dot is no tensor's, and is kept for what else belongs to the run.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from zipfile import ZipFile

import numpy as np
import torch
from torch import Tensor

from mialab import _files

Arrays = dict[str, np.ndarray]

SAVE_EVERY_SECONDS = 10.0

_SAME: dict = {"rtol": 1e-4, "atol": 1e-5, "equal_nan": True}  # another processor rounds otherwise


@dataclass
class Checkpoint:
    """A file of what training changes, of the steps behind it, and of what the model was at first."""

    path: Path
    fingerprint: str
    probe: np.ndarray
    tensors: dict[str, Tensor]
    saved_at: float = field(default_factory=time.monotonic)

    def restore(self) -> int:
        """Put back what was saved, and return the number of steps it had taken."""
        arrays = read(self.path, self.fingerprint)
        if arrays is None:
            return 0
        steps, probe = arrays.pop(".steps", np.array(0)), arrays.pop(".probe", np.zeros(0))
        if probe.shape != self.probe.shape or not np.allclose(probe, self.probe, **_SAME):
            _refuse(self.path)
        restore(self.path, arrays, self.tensors)
        return int(steps)

    def save(self, steps: int, *, last: bool) -> None:
        """Save after the last step, and every so often before it."""
        if last or time.monotonic() - self.saved_at >= SAVE_EVERY_SECONDS:
            arrays = to_arrays(self.tensors) | {".steps": np.array(steps), ".probe": self.probe}
            write(self.path, arrays, self.fingerprint)
            self.saved_at = time.monotonic()


def to_arrays(tensors: dict[str, Tensor]) -> Arrays:
    """Copy tensors into NumPy arrays."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}


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
        _refuse(path)
    return arrays


def _refuse(path: Path) -> NoReturn:
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
    groups = arrays, to_arrays(tensors)
    saved, own = ({name: (one.shape, one.dtype) for name, one in group.items()} for group in groups)
    if wrong := sorted(name for name in saved.keys() | own.keys() if saved.get(name) != own.get(name)):
        raise ValueError(
            f"checkpoint must hold the arrays of this run, got another {wrong[0]!r}: remove {path}"
        )
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(arrays[name]))
