"""Fetch once, check, keep.

A file is known by its checksum, so it does not matter who hands it over: the first address that serves
the right bytes will do. A file that is in the cache already is checked and used, without any network.
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mialab import _check, _files

LARGEST = 2**29
"""Bytes that are taken from an address: three times the largest of our files."""
LONGEST = 30 * 60
"""Seconds that an address is given: the largest of our files at 100 kB/s."""


class DataError(RuntimeError):
    """A file could not be had, or is not the file that it should be; the message says what to do."""


@dataclass(frozen=True)
class Remote:
    """A file that lives elsewhere.

    Attributes
    ----------
    name
        Its place in the cache, as in ``"location30/dataset_location.tgz"``.
    sources
        The addresses, in the order in which they are tried, each with the checksum of what it serves.
    """

    name: str
    sources: Mapping[str, str]


def cache_folder() -> Path:
    """Return the folder that ``MIALAB_DATA`` names, or else a place among the user's caches."""
    import pooch  # loads a progress bar that complains on stderr where there are no widgets

    return Path(os.environ.get("MIALAB_DATA") or pooch.os_cache("mialab-book")).expanduser()


def checksum(path: Path, kind: str) -> str:
    """Return the checksum of a file as ``kind:hexadecimal``; ``kind`` is ``"sha256"`` or ``"sha1"``."""
    import pooch

    return f"{kind}:{pooch.file_hash(str(path), alg=kind)}"


def fetch(remote: Remote) -> Path:
    """Return the path of a file in the cache, and fetch it first if it is not there.

    Raises
    ------
    DataError
        If the file in the cache is not the right one, or no address serves the right one, within `LARGEST`
        bytes and `LONGEST` seconds. No partial file is left behind.
    """
    path = cache_folder() / remote.name
    if path.exists():
        _check_kept(path, remote)
        return path
    failures = ""
    for address, wanted in remote.sources.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _files.whole(path) as part:
                _get(address, part)
                if (found := checksum(part, wanted.partition(":")[0])) != wanted:
                    _check.refuse("checksum", f"be {wanted}", found)
            return path
        except (OSError, ValueError) as error:
            failures += f"\n  {address}: {error}"
    raise DataError(
        f"{remote.name} could not be fetched:{failures}\n"
        f"Download it by hand to {path}, or let MIALAB_DATA name a folder that holds {remote.name}"
    )


def _check_kept(path: Path, remote: Remote) -> None:
    """Refuse a file in the cache that is not what any of the addresses serves."""
    wanted = sorted(set(remote.sources.values()))
    found = [checksum(path, one.partition(":")[0]) for one in wanted]
    if not set(wanted) & set(found):
        raise DataError(
            f"checksum of {path} must be {' or '.join(wanted)}, got {' and '.join(found)}: the file is "
            f"damaged or another one. Remove it to have it fetched from {', '.join(remote.sources)}"
        )


class _Limited:
    """A file that takes a number of bytes, and none any more once ``left`` is set to 0."""

    def __init__(self, file: IO[bytes]):
        self.file, self.left = file, LARGEST

    def write(self, chunk: bytes) -> int:
        self.left -= len(chunk)
        if self.left < 0:
            _check.refuse("the file", f"have at most {LARGEST:,} bytes", "more")
        return self.file.write(chunk)

    def flush(self) -> None:
        self.file.flush()


def _get(address: str, path: Path) -> None:
    """Write what an address serves to a file, or give up after `LONGEST` seconds.

    A server that sends a byte now and then keeps every read short and the whole without end, so the clock
    is watched from outside. The thread that is given up ends with its next chunk, or with the process.
    """
    with path.open("wb") as file:
        limited, failures = _Limited(file), []
        thread = threading.Thread(target=_serve, args=(address, limited, failures), daemon=True)
        thread.start()
        try:
            thread.join(LONGEST)
        finally:
            late, limited.left = thread.is_alive(), 0
    if late:
        _check.refuse("the download", f"take at most {LONGEST} seconds", "a longer one")
    if failures:
        raise failures.pop()


def _serve(address: str, file: _Limited, failures: list[Exception]) -> None:
    """Write what an address serves to a file, and keep what goes wrong for another thread to raise."""
    import pooch

    # Take the file as it is: a server that compresses on the way would change its checksum.
    settings = {"chunk_size": 2**16, "timeout": 30, "headers": {"Accept-Encoding": "identity"}}
    try:
        pooch.HTTPDownloader(progressbar=True, **settings)(address, file, None)
    except Exception as error:
        failures.append(error)
