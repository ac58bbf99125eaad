"""What the readers of files share: what a cell says, and how much a file may hold."""

import math
import re
from collections.abc import Sequence
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
AT_ONCE = 2**16  # rows that are Python's objects at a time
_EXPANDED = 2**26  # bytes of a column, and four for each byte of the file: what is more was packed to harm
_RECORDS = 2**21  # and one for every two bytes of the file: a row that is not packed has as many

COLUMNS = ("score", "member")


def places(found: Sequence[str]) -> list[int]:
    """Return where the two columns are among those found."""
    for name in COLUMNS:
        if list(found).count(name) != 1:
            columns = visible(", ".join(found[:50]), 200)
            _check.refuse("the file", f"have one column {name}", f"the columns {columns}")
    return [list(found).index(name) for name in COLUMNS]


def check_expanded(name: str, expanded: int, size: int) -> None:
    """Refuse a column that is small in a file of this size and large in memory."""
    if expanded > (most := _EXPANDED + 4 * size):
        raise ValueError(f"{expanded:,} bytes of {name} in {size:,}, where at most {most:,} may be")


def check_records(records: int, size: int) -> None:
    """Refuse more records than a file of this size should hold."""
    if records > (most := _RECORDS + size // 2):
        raise ValueError(f"{records:,} records in {size:,} bytes, where at most {most:,} may be")


def reason(error: Exception) -> str:
    """Return the first line of an error that a library raised."""
    return visible((str(error).splitlines() or [type(error).__name__])[0], 200)


def refuse(name: str, row: int, rule: str, value: object) -> None:
    """Refuse a cell; the first record is row 1."""
    _check.refuse(f"{name} in row {row}", rule, visible(str(value)))


def scores(cells: Sequence[str], before: int) -> Float64[ndarray, "records"]:
    """Read scores written as text; ``before`` rows came before them."""
    text = "".join(cells)
    plain = text.isascii() and "_" not in text  # float would take 1_000, and other scripts' digits
    try:
        score = np.fromiter(map(float, cells), float, len(cells)) if plain else np.array([np.nan])
    except ValueError:
        score = np.array([np.nan])
    if not np.isfinite(score).all():
        row, cell = next((i, cell) for i, cell in enumerate(cells, before + 1) if not _is_finite(cell))
        refuse("score", row, "be a finite number", repr(cell))
    for i in np.flatnonzero(np.abs(score) >= 2**53).tolist():
        if _WHOLE.fullmatch(cells[i].strip()) and Decimal(cells[i]) != Decimal(score[i]):
            refuse("score", before + i + 1, _EXACT, repr(cells[i]))
    return score


def _is_finite(cell: str) -> bool:
    try:
        return cell.isascii() and "_" not in cell and math.isfinite(float(cell))
    except ValueError:
        return False


def memberships(cells: Sequence[object], before: int) -> Bool[ndarray, "records"]:
    """Read memberships written as text; ``before`` rows came before them."""
    known = {cell: _is_member(cell) for cell in set(cells)}
    if None in known.values():
        row, cell = next((i, cell) for i, cell in enumerate(cells, before + 1) if known[cell] is None)
        refuse("member", row, MEMBER, repr(cell))
    return np.array([known[cell] for cell in cells], dtype=bool)


def _is_member(cell: object) -> bool | None:
    """Say what a word means; None if that is anybody's guess."""
    word = cell.decode("latin-1") if isinstance(cell, bytes) else cell
    if not isinstance(word, str):
        return None
    word = word.strip(" \t")
    return True if _TRUE.fullmatch(word) else False if _FALSE.fullmatch(word) else None


def score_column(score: ndarray, before: int = 0) -> Float64[ndarray, "records"]:
    """Check an array of scores, and make floats of them."""
    if score.dtype.kind not in "iuf":
        _check.refuse("the column score", "be an array of numbers", f"dtype {score.dtype}")
    if not np.isfinite(score).all():
        row = int(np.argmin(np.isfinite(score)))
        refuse("score", before + row + 1, "be a finite number", score[row])
    with np.errstate(over="ignore"):
        held = score.astype(np.float64, copy=False)
    lost = _lost(score, held)
    if lost.any():
        row = int(np.argmax(lost))
        refuse("score", before + row + 1, _EXACT, score[row])
    return held


def _lost(score: ndarray, held: ndarray) -> ndarray:
    """Say which numbers are not the floats that were made of them; NumPy compares integers as floats."""
    if score.dtype.kind == "f":
        return held != score if score.dtype.itemsize > 8 else np.zeros(1, dtype=bool)
    if score.dtype.itemsize < 8 or not (np.abs(held) >= 2**53).any():
        return np.zeros(1, dtype=bool)
    high = score >> 32 << 32  # 32 digits: a float holds it, and what is above it in the float is below 2**34
    return held - high.astype(np.float64) != score - high


def member_column(member: ndarray, before: int = 0) -> Bool[ndarray, "records"]:
    """Check an array of memberships, and make booleans of them."""
    if member.dtype.kind in "US":
        starts = range(0, len(member), AT_ONCE)
        parts = [memberships(member[start : start + AT_ONCE].tolist(), before + start) for start in starts]
        return np.concatenate([np.zeros(0, dtype=bool), *parts])
    if member.dtype.kind not in "biuf":
        _check.refuse("the column member", MEMBER, f"dtype {member.dtype}")
    if member.dtype == bool and not (member.view(np.uint8) > 1).any():  # a file may hold a "bool" of 2
        return member
    number = member.view(np.uint8) if member.dtype == bool else member
    wrong = (number != 0) & (number != 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        refuse("member", before + row + 1, MEMBER, number[row])
    return number == 1
