"""What the readers of files share: what a cell says, and how much a file may hold."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from mialab import _check
from mialab._text import visible

_FALSE = re.compile(r"false|f|no|[+-]?0(\.0*)?(e[+-]?0+)?", re.IGNORECASE | re.ASCII)
_TRUE = re.compile(r"true|t|yes|\+?1(\.0*)?(e[+-]?0+)?", re.IGNORECASE | re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")
MEMBER = "be 0 or 1, true or false, t or f, yes or no"
_EXACT = "be a number that a 64-bit float holds exactly"
_RECORDS = 2**21  # and one for every two bytes of the file: a row that is not packed has as many

COLUMNS = ("score", "member")
Columns = tuple[Float64[ndarray, "records"], Bool[ndarray, "records"]]


def places(found: Sequence[str]) -> list[int]:
    """Return where the two columns are among those found."""
    for name in COLUMNS:
        if list(found).count(name) != 1:
            columns = visible(", ".join(found[:50]), 200)
            _check.refuse("the file", f"have one column {name}", f"the columns {columns}")
    return [list(found).index(name) for name in COLUMNS]


def check_records(records: int, size: int) -> None:
    """Refuse more records than a file of this size should hold."""
    if records > (most := _RECORDS + size // 2):
        raise ValueError(f"{records:,} records in {size:,} bytes, where at most {most:,} may be")


@contextmanager
def whole(kind: str) -> Iterator[None]:
    """Say in one line that a file is damaged, whatever a library raises."""
    try:
        yield
    except Exception as error:
        said = visible((str(error).splitlines() or [type(error).__name__])[0], 200)
        raise ValueError(f"the file must be {kind}, got {said}") from None


def refuse(name: str, row: int, rule: str, value: object) -> None:
    """Refuse a cell; the first record is row 1."""
    _check.refuse(f"{name} in row {row}", rule, visible(str(value)))


def refuse_first(name: str, wrong: ndarray, value: Sequence | ndarray, first: int, rule: str) -> None:
    """Refuse the first cell that is wrong of those from a row on."""
    if wrong.any():
        place = int(np.argmax(wrong))
        refuse(name, first + place, rule, value[place])


def scores(cells: Sequence[str], first: int) -> Float64[ndarray, "records"]:
    """Read scores written as text, in rows from ``first`` on."""
    try:
        score = np.fromiter(map(float, cells), float, len(cells))
    except ValueError:
        score = np.array([np.nan])
    text = "".join(cells)
    if "_" in text or not (text.isascii() and np.isfinite(score).all()):
        row, cell = next((i, cell) for i, cell in enumerate(cells, first) if not _is_finite(cell))
        refuse("score", row, "be a finite number", repr(cell))
    for i in np.flatnonzero(np.abs(score) >= 2**53).tolist():
        if _WHOLE.fullmatch(cells[i].strip()) and Decimal(cells[i]) != Decimal(score[i]):
            refuse("score", first + i, _EXACT, repr(cells[i]))
    return score


def _is_finite(cell: str) -> bool:
    """Tell whether a cell is a number; float would take 1_000, and other scripts' digits."""
    try:
        return cell.isascii() and "_" not in cell and math.isfinite(float(cell))
    except ValueError:
        return False


def memberships(cells: Sequence[object], first: int) -> Bool[ndarray, "records"]:
    """Read memberships written as text, in rows from ``first`` on."""
    known = {cell: _is_member(cell) for cell in set(cells)}
    if None in known.values():
        row, cell = next((i, cell) for i, cell in enumerate(cells, first) if known[cell] is None)
        refuse("member", row, MEMBER, repr(cell))
    return np.array([known[cell] for cell in cells], dtype=bool)


def _is_member(cell: object) -> bool | None:
    """Say what a word means; None if that is anybody's guess."""
    word = cell.decode("latin-1") if isinstance(cell, bytes) else cell
    if not isinstance(word, str):
        return None
    word = word.strip(" \t")
    return True if _TRUE.fullmatch(word) else False if _FALSE.fullmatch(word) else None


def score_column(score: ndarray, first: int) -> Float64[ndarray, "records"]:
    """Check scores, in rows from ``first`` on, and make floats of them."""
    if score.dtype.kind not in "iuf":
        _check.refuse("the column score", "be an array of numbers", f"dtype {score.dtype}")
    refuse_first("score", ~np.isfinite(score), score, first, "be a finite number")
    with np.errstate(over="ignore"):
        held = score.astype(np.float64, copy=False)
    refuse_first("score", _lost(score, held), score, first, _EXACT)
    return held


def _lost(score: ndarray, held: ndarray) -> ndarray:
    """Say which numbers are not the floats that were made of them; NumPy compares integers as floats."""
    if score.dtype.kind == "f":
        return held != score if score.dtype.itemsize > 8 else np.zeros(1, dtype=bool)
    if score.dtype.itemsize < 8 or not (np.abs(held) >= 2**53).any():
        return np.zeros(1, dtype=bool)
    high = score >> 32 << 32  # 32 digits: a float holds it, and what is above it in the float is below 2**34
    return held - high.astype(np.float64) != score - high


def member_column(member: ndarray, first: int) -> Bool[ndarray, "records"]:
    """Check memberships, in rows from ``first`` on, and make booleans of them."""
    if member.dtype.kind in "US":
        return memberships(member.tolist(), first)
    if member.dtype.kind not in "biuf":
        _check.refuse("the column member", MEMBER, f"dtype {member.dtype}")
    number = member.view(np.uint8) if member.dtype == bool else member  # a file may hold a "bool" of 2
    refuse_first("member", (number != 0) & (number != 1), number, first, MEMBER)
    return number == 1
