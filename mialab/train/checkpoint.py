"""Files that are whole or absent.

A checkpoint is a ``.npz`` file of plain arrays; nothing in it is ever unpickled. It is written beside
its place and moved there in one step, so that an interruption leaves the old file or the new one.
"""

import os
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

Arrays = dict[str, np.ndarray]


def write(path: Path, arrays: Arrays, fingerprint: str) -> None:
    """Write arrays and the fingerprint of the run they belong to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays, fingerprint=np.array(fingerprint))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path, fingerprint: str) -> Arrays | None:
    """Read what `write` wrote, or return None where there is no file.

    Raises
    ------
    ValueError
        If the file is damaged, or belongs to a run with other records, recipe or generator.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        found = str(arrays.pop("fingerprint"))
    except (BadZipFile, EOFError, KeyError, OSError, ValueError) as error:
        raise ValueError(f"checkpoint must be a whole file, got a damaged one: remove {path}") from error
    if found != fingerprint:
        raise ValueError(
            f"checkpoint must belong to this run, got one made with another model, recipe, data, membership "
            f"or rng: {path}. Use another folder, or make rng afresh from the same seed"
        )
    return arrays
