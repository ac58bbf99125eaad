"""Files that are whole or absent, also where threads, processes and machines share a folder."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_PREFIX, _SUFFIX = ".mialab-", ".part"
_OLD = 24 * 60 * 60  # seconds: nothing takes so long to write


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a place to write to; what stands there at the end becomes ``path``, in one step.

    It lies beside ``path``, in a folder that nobody else has, and goes with it if something fails. What a
    killed run left here is removed a day after its last write.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "report"
    ...     with whole(path) as part:
    ...         written, seen = part.write_text("all of it"), path.exists()
    ...     seen, path.read_text()
    (False, 'all of it')
    """
    _sweep(path.parent)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, suffix=_SUFFIX, dir=path.parent) as beside:
        part = Path(beside) / path.name
        yield part
        os.replace(part, path)


def write(contents: Mapping[Path, bytes]) -> None:
    """Write several files: all of them are whole before the first takes its place."""
    with ExitStack() as places:
        for path, content in contents.items():
            places.enter_context(whole(path)).write_bytes(content)


def _sweep(folder: Path) -> None:
    """Remove what killed runs left behind, and nothing that somebody may still be writing."""
    for left in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):
            written = max(one.lstat().st_mtime for one in (left, *left.iterdir()))
            if time.time() - written > _OLD:
                shutil.rmtree(left)
