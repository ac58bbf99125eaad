"""Two columns of a CSV file: one record a line, as many cells in each as in the header."""

import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

import numpy as np

from mialab import _check
from mialab._text import visible
from mialab.audit import _cells

LONGEST = 2**17
"""Bytes of a line (of a cell it is the limit of Python's csv): more is no table of scores."""

_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*([^\r\n]*)")
_NO_MARKS = bytes(set(range(256)) - set(b",\n"))
_CONTROLS = bytes(set(range(32)) - set(b"\t\r\n") | {127})


def read_csv(content: bytes) -> Iterator[_cells.Columns]:
    """Yield scores and memberships, some lines at a time."""
    first, start = _HEADER.match(content).span(1)  # type: ignore[union-attr]  # it matches anything
    ends = (content.count(end, 0, first) for end in (b"\n", b"\r"))
    row, line = 1, sum(ends) - content.count(b"\r\n", 0, first) + 1
    names = _names(content[first:start], line)
    wanted = _cells.places(names)
    while start < len(content):
        stop = _last_end(content, start, line)
        block = _text(content[start:stop], line)
        score, member = _plain(block, len(names), wanted) or _quoted(block, line, len(names), wanted)
        yield _cells.scores(score, row), _cells.memberships(member, row)
        row, line, start = row + len(score), line + block.count(b"\n"), stop


def _names(header: bytes, line: int) -> list[str]:
    """Split the header; NumPy's savetxt puts a # before it."""
    if len(header) > LONGEST:
        _refuse(line, f"have at most {LONGEST:,} bytes", "more")
    names = [name.strip(" \t") for name in _split(_text(header, line).decode(), line)]
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        shown = visible(repr(names[0]))
        _check.refuse("the cells", "be separated by commas, with a point in 0.5", f"the header {shown}")
    return [names[0].removeprefix("#").strip(" \t"), *names[1:]] if names else names


def _last_end(content: bytes, start: int, line: int) -> int:
    """Return where a block of whole lines ends; one line may be as long as the block."""
    stop = start + LONGEST
    if stop >= len(content):
        return len(content)
    ends = (content.rfind(end, start, stop) for end in (b"\n", b"\r"))
    last = next((place for place in ends if place >= 0), None)
    if last is None:
        _refuse(line, f"have at most {LONGEST:,} bytes", "more")
    return last + 1


def _text(block: bytes, line: int) -> bytes:
    """Return whole lines, ends of lines all alike, once they are known to be text."""
    block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    rule = "be text in UTF-8, in a file that is not Parquet or .npz"
    if len(block.translate(None, _CONTROLS)) != len(block):
        place = next(i for i, byte in enumerate(block) if byte in _CONTROLS)
        _refuse(line + block.count(b"\n", 0, place), rule, f"the byte {block[place]:#04x}")
    try:
        block.decode()
    except UnicodeDecodeError as error:
        _refuse(line + block.count(b"\n", 0, error.start), rule, error.reason)
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


def _quoted(block: bytes, line: int, width: int, wanted: list[int]) -> list[list[str]]:
    """Split lines one by one; an empty one is no record."""
    lines = block.decode().split("\n")
    (score, member), scores, members, records = wanted, [], [], len(lines) - lines.count("")
    with suppress(csv.Error):
        for row in _reader(lines):
            if len(row) == width:
                scores.append(row[score])
                members.append(row[member])
    if len(scores) != records:  # an open quotation mark, say, swallows the rows up to the next one
        _explain(lines, line, width)
    return [scores, members]


def _explain(lines: list[str], first: int, width: int) -> None:
    """Refuse the first line that is no record by itself, or has more or fewer cells than the header."""
    for number, line in enumerate(lines, first):
        cells = len(_split(line, number))
        if line and cells != width:
            _refuse(number, f"have {width} cells, as many as the header", cells)


def _split(text: str, line: int) -> list[str]:
    """Split one line."""
    try:
        return next(_reader([text]))
    except csv.Error as error:
        _refuse(line, "be a record, with its quotation marks closed", error)


def _reader(lines: list[str]) -> Iterator[list[str]]:
    return csv.reader(lines, skipinitialspace=True, strict=True)


def _refuse(line: int, rule: str, got: object) -> NoReturn:
    _check.refuse(f"line {line}", rule, got)
