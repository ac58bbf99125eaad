"""Two columns of a CSV file: one record a line, as many cells in each as in the header."""

import csv
import re
from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from mialab import _check
from mialab._text import visible
from mialab.audit import _cells

LONGEST = 2**17
"""Bytes of a line (of a cell it is the limit of Python's csv): more is no table of scores."""

_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*([^\r\n]*)")
_NO_MARKS = bytes(set(range(256)) - set(b",\n"))
_CONTROLS = bytes(set(range(32)) - set(b"\t\r\n") | {127})


def read_csv(content: bytes) -> tuple[ndarray, ndarray]:
    """Return scores and memberships; memory beyond the file is that of a block of lines, and the result."""
    first, end = _HEADER.match(content).span(1)  # type: ignore[union-attr]  # it matches anything
    names = _names(content, first, end)
    wanted = _cells.places(names)
    rows, parts = 0, [(np.zeros(0), np.zeros(0, dtype=bool))]
    for start, stop in _blocks(content, end):
        block = _text(content, start, stop)
        cells = _plain(block, len(names), wanted) or _quoted(content, start, block, len(names), wanted)
        parts.append((_cells.scores(cells[0], rows), _cells.memberships(cells[1], rows)))
        rows += len(cells[0])
    score, member = zip(*parts, strict=True)
    return np.concatenate(score), np.concatenate(member)


def _names(content: bytes, first: int, end: int) -> list[str]:
    """Split the header; NumPy's savetxt puts a # before it."""
    if end - first > LONGEST:
        _refuse(content, first, 0, f"have at most {LONGEST:,} bytes", "more")
    names = [name.strip(" \t") for name in _split(content, first, 0, _text(content, first, end).decode())]
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        header = visible(repr(names[0]))
        _check.refuse("the cells", "be separated by commas, with a point in 0.5", f"the header {header}")
    return [names[0].removeprefix("#").strip(" \t"), *names[1:]] if names else names


def _blocks(content: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Cut what follows at ends of lines."""
    while start < len(content):
        stop = start + LONGEST
        if stop < len(content):
            last = content.rfind(b"\n", start, stop)
            stop = 1 + (last if last >= 0 else content.rfind(b"\r", start, stop))
            if not stop:
                _refuse(content, start, 0, f"have at most {LONGEST:,} bytes", "more")
        yield start, stop
        start = stop


def _text(content: bytes, start: int, stop: int) -> bytes:
    """Return some whole lines, ends of lines all alike, once they are known to be text."""
    block = content[start:stop].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    rule = "be text in UTF-8, in a file that is not Parquet or .npz"
    if len(block.translate(None, _CONTROLS)) != len(block):
        before, found = re.split(rb"([%s])" % re.escape(_CONTROLS), block, maxsplit=1)[:2]
        _refuse(content, start, before.count(b"\n"), rule, f"the byte {found[0]:#04x}")
    try:
        block.decode()
    except UnicodeDecodeError as error:
        _refuse(content, start, block.count(b"\n", 0, error.start), rule, error.reason)
    return block


def _plain(block: bytes, width: int, wanted: list[int]) -> list[list[str]] | None:
    """Split lines without quotation marks and gaps at all commas at once: thrice as fast as `_quoted`."""
    body = block.strip(b"\n")
    if not body:
        return [[], []]
    marks = np.frombuffer(body.translate(None, _NO_MARKS) + b"\n", np.uint8)
    if b'"' in body or len(marks) % width:
        return None
    ends = marks.reshape(-1, width) == ord("\n")
    if ends[:, :-1].any() or not ends[:, -1].all():
        return None
    cells = body.decode().replace("\n", ",").split(",")
    return [cells[place::width] for place in wanted]


def _quoted(content: bytes, start: int, block: bytes, width: int, wanted: list[int]) -> list[list[str]]:
    """Split lines one by one; an empty one is no record."""
    lines = block.decode().split("\n")
    (score, member), scores, members, records = wanted, [], [], len(lines) - lines.count("")
    try:
        for row in _reader(lines):
            if len(row) == width:
                scores.append(row[score])
                members.append(row[member])
    except csv.Error:
        pass
    if len(scores) != records:  # an open quotation mark, say, swallows the rows up to the next one
        _explain(content, start, lines, width)
    return [scores, members]


def _explain(content: bytes, start: int, lines: list[str], width: int) -> None:
    """Refuse the first line that is no record by itself, or has more or fewer cells than the header."""
    for i, line in enumerate(lines):
        cells = len(_split(content, start, i, line))
        if line and cells != width:
            _refuse(content, start, i, f"have {width} cells, as many as the header", cells)


def _split(content: bytes, start: int, number: int, line: str) -> list[str]:
    """Split one line."""
    try:
        return next(_reader([line]))
    except csv.Error as error:
        _refuse(content, start, number, "be a record, with its quotation marks closed", error)
        raise


def _reader(lines: list[str]) -> Iterator[list[str]]:
    return csv.reader(lines, skipinitialspace=True, strict=True)


def _refuse(content: bytes, start: int, line: int, rule: str, got: object) -> None:
    """Refuse a line, by its number in the file; ``line`` counts from the byte where its block starts."""
    ends = (content.count(end, 0, start) for end in (b"\n", b"\r"))
    number = sum(ends) - content.count(b"\r\n", 0, start) + line + 1
    _check.refuse(f"line {number}", rule, got)
