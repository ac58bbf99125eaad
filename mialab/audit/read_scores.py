"""Scores from a file: CSV, Parquet or .npz, with the columns score and member. Nothing is ever unpickled."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy import ndarray

from mialab import _check
from mialab.game import Design, Outcome

_WORDS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_COLUMNS = ("score", "member")


def read_scores(content: bytes, *, design: Design) -> Outcome:
    r"""Return the outcome that a file holds.

    What kind of file it is, its first bytes tell: .npz, Parquet (read with pyarrow), else CSV in UTF-8 with a
    header and one record a line. Other columns are left alone. Membership is 0 or 1, or true or false.

    Parameters
    ----------
    content
        The whole file.
    design
        How membership was decided: the file cannot know.

    Raises
    ------
    ValueError
        If the file is empty or damaged, a column is missing, a score is no finite number, a membership is no
        truth value (both with their row, the first record being row 1), or one kind of record is missing.

    Examples
    --------
    >>> read_scores(b"member,score\n1,0.9\n0,0.2\n", design=Design.RUNS).at(0.5).true_positives
    1
    """
    if not content.strip():
        _check.refuse("the file", "hold a header and records", "an empty file")
    read = _from_csv
    for start, other in ((b"PK\x03\x04", _from_npz), (b"PAR1", _from_parquet)):
        read = other if content.startswith(start) else read
    score, member = read(content)
    if not len(score):
        _check.refuse("the file", "hold records", "a header alone")
    score, member = _scores(score), _membership(member)
    _check.both_kinds("the column member", member)
    return Outcome(score, member, design=design)


def _from_csv(content: bytes) -> tuple[ndarray, ndarray]:
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file must be CSV in UTF-8, .npz or Parquet, got {error.reason}") from None
    header, _, body = text.lstrip().partition("\n")
    places = _places(_names(header))
    if not body.strip():
        return np.array([]), np.array([], dtype=bool)
    fields, rows = [("score", float), ("member", object)], io.StringIO(body)
    try:
        table = np.loadtxt(rows, fields, delimiter=",", comments=None, quotechar='"', usecols=places, ndmin=1)
    except ValueError:
        _explain(io.StringIO(body), places)
        raise
    lines = sum(1 for line in body.split("\n") if line)
    if len(table) != lines:  # an open quotation mark swallows the rows up to the next one
        _check.refuse("the file", "hold one record a line", f"{len(table)} records in {lines} lines")
    return table["score"], table["member"]


def _names(header: str) -> list[str]:
    names = [name.strip() for name in next(_rows([header]))]
    if len(names) == 1 and (";" in header or "\t" in header):
        _check.refuse("the cells", "be separated by commas, with a point in 0.5", f"the header {header!r}")
    return names


def _rows(lines: Iterable[str]) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, skipinitialspace=True)
    except csv.Error as error:
        raise ValueError(f"the file must be CSV, got {error}") from None


def _explain(text: io.StringIO, places: tuple[int, ...]) -> None:
    """Refuse the first row that is wrong: slowly, since something is."""
    for row, cells in enumerate((cells for cells in _rows(text) if cells), 1):
        if len(cells) <= max(places):
            _check.refuse(f"row {row}", f"have at least {max(places) + 1} cells", len(cells))
        score = cells[places[0]]
        try:
            wrong = (
                "_" in score or not score.isascii()
            )  # float would take 1_000; a file that means it is rare
            float(score)
        except ValueError:
            wrong = True
        if wrong:
            _check.refuse(f"score in row {row}", "be a finite number", repr(score))


def _from_npz(content: bytes) -> tuple[ndarray, ndarray]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            names = list(arrays)
            held = [arrays[name] for name in _COLUMNS if name in names]
    except Exception as error:  # a damaged archive, or a hostile one, sets off any of a dozen kinds
        raise ValueError(f"the file must be a whole .npz, got {_first_line(error)}") from None
    _places(names)
    score, member = held
    for name, array in zip(_COLUMNS, (score, member), strict=True):
        _check.dimensions(f"the array {name}", array, "records")
    _check.same_shape("score", score, "member", member)
    return score, member


def _from_parquet(content: bytes) -> tuple[ndarray, ndarray]:
    try:
        from pyarrow import ArrowInvalid, BufferReader, parquet  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError("pyarrow must be installed to read Parquet, got no such module") from None
    try:
        found = parquet.ParquetFile(BufferReader(content))
        _places(found.schema_arrow.names)
        table = found.read(columns=list(_COLUMNS))
    except (ArrowInvalid, OSError) as error:
        raise ValueError(f"the file must be whole Parquet, got {_first_line(error)}") from None
    score, member = (table[name].to_numpy() for name in _COLUMNS)
    return score, member


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _places(found: Sequence[str]) -> tuple[int, ...]:
    for name in _COLUMNS:
        if list(found).count(name) != 1:
            _check.refuse("the file", f"have one column {name}", f"the columns {', '.join(found)}")
    return tuple(list(found).index(name) for name in _COLUMNS)


def _scores(score: ndarray) -> ndarray:
    _check.numbers("the column score", score)
    _first_wrong("score", score, ~np.isfinite(score), "be a finite number", str)
    return score.astype(float)


def _membership(member: ndarray) -> ndarray:
    """Turn 0 and 1, or true and false, into bool; anything else may mean anything."""
    if member.dtype == bool:
        return member
    if np.issubdtype(member.dtype, np.number):
        _first_wrong("member", member, (member != 0) & (member != 1), "be 0 or 1, or true or false", str)
        return member == 1
    words, place = np.unique(member.astype(str), return_inverse=True)
    known = np.array([_WORDS.get(word.strip().lower(), -1) for word in words])[place]
    _first_wrong("member", member, known == -1, "be 0 or 1, or true or false", repr)
    return known == 1


def _first_wrong(name: str, array: ndarray, wrong: ndarray, rule: str, show: Callable[[object], str]) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        value = array[row].item() if hasattr(array[row], "item") else array[row]
        _check.refuse(f"{name} in row {row + 1}", rule, show(value))
