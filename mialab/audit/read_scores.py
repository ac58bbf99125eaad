"""Scores from a file: CSV, Parquet or .npz, with the columns score and member. Nothing is ever unpickled."""

import csv
import io
from collections.abc import Callable, Sequence
from zipfile import BadZipFile

import numpy as np
from numpy import ndarray

from mialab import _check
from mialab.game import Design, Outcome

_WORDS = {"0": False, "1": True, "false": False, "true": True}
_COLUMNS = ("score", "member")


def read_scores(content: bytes, *, design: Design) -> Outcome:
    r"""Return the outcome that a file holds.

    What kind of file it is, its first bytes tell: .npz, Parquet (read with pyarrow), else CSV in UTF-8 with a
    header. Other columns are left alone. Membership is 0 or 1, or true or false.

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
        header, _, body = content.decode("utf-8-sig").lstrip().partition("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file must be CSV in UTF-8, .npz or Parquet, got {error.reason}") from None
    names = next(csv.reader([header], skipinitialspace=True))
    places = _places([name.strip() for name in names])
    if not body.strip():
        return np.array([]), np.array([], dtype=bool)
    fields, text = [("score", float), ("member", "U8")], io.StringIO(body)
    try:
        table = np.loadtxt(text, fields, delimiter=",", comments=None, quotechar='"', usecols=places, ndmin=1)
    except ValueError:
        _explain(io.StringIO(body), places)
        raise
    return table["score"], table["member"]


def _explain(text: io.StringIO, places: tuple[int, ...]) -> None:
    """Refuse the first row that is wrong: slowly, since something is."""
    for row, cells in enumerate((cells for cells in csv.reader(text) if cells), 1):
        if len(cells) <= max(places):
            _check.refuse(f"row {row}", f"have at least {max(places) + 1} cells", len(cells))
        try:
            float(cells[places[0]])
        except ValueError:
            _check.refuse(f"score in row {row}", "be a finite number", repr(cells[places[0]]))


def _from_npz(content: bytes) -> tuple[ndarray, ndarray]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            _places(list(arrays))
            score, member = (arrays[name] for name in _COLUMNS)
    except BadZipFile as error:
        raise ValueError(f"the file must be a whole .npz, got {error}") from None
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
        raise ValueError(f"the file must be whole Parquet, got {str(error).splitlines()[0]}") from None
    score, member = (table[name].to_numpy() for name in _COLUMNS)
    return score, member


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
