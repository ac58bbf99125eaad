"""Two columns of a Parquet file, some rows at a time, with pyarrow."""

from collections.abc import Iterator
from typing import Any

from numpy import ndarray

from mialab import _check
from mialab._text import visible
from mialab.audit import _cells

_EXPANDED = 2**26  # bytes of all columns, and 64 for each byte of the file
_ROWS = 2**12  # at a time: few of them, since a first word may be as long as it likes before it is refused


def read_parquet(content: bytes) -> Iterator[_cells.Columns]:
    """Yield scores and memberships; words stay numbers of a list of words, however long they are."""
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError("pyarrow must be installed to read Parquet, got no such module") from None
    with _cells.whole("whole Parquet"):
        found = parquet.ParquetFile(pyarrow.BufferReader(content), read_dictionary=["member"])
        schema, names = found.schema_arrow, found.schema_arrow.names
        _check_sizes(found.metadata, len(content))
    _cells.places(names)
    _check_types(pyarrow.types, *(schema.field(name).type for name in _cells.COLUMNS))
    row = 1
    for score, member in _batches(found):
        yield _scores(score, row), _members(member, row)
        row += len(score)


def _check_sizes(about: Any, size: int) -> None:
    """Refuse much in little. About single columns a damaged file must not be asked: pyarrow aborts."""
    _cells.check_records(about.num_rows, size)
    unpacked = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    if unpacked > _EXPANDED + 64 * size:
        raise ValueError(f"{unpacked:,} bytes in {size:,}")


def _check_types(types: Any, score: Any, member: Any) -> None:
    """Refuse a column of anything but numbers or, for members, words."""
    if not (types.is_integer(score) or types.is_floating(score)):
        _check.refuse("the column score", "be an array of numbers", f"dtype {visible(str(score))}")
    words = types.is_dictionary(member)
    if not (words or types.is_boolean(member) or types.is_integer(member) or types.is_floating(member)):
        _check.refuse("the column member", _cells.MEMBER, f"dtype {visible(str(member))}")


def _batches(found: Any) -> Iterator[tuple[Any, Any]]:
    with _cells.whole("whole Parquet"):
        for batch in found.iter_batches(_ROWS, columns=list(_cells.COLUMNS), use_threads=False):
            yield batch.column("score"), batch.column("member")


def _scores(column: Any, first: int) -> ndarray:
    _check_null("score", column, first, "be a finite number")
    return _cells.score_column(column.to_numpy(zero_copy_only=False), first)


def _members(column: Any, first: int) -> ndarray:
    _check_null("member", column, first, _cells.MEMBER)
    if not hasattr(column, "dictionary"):
        return _cells.member_column(column.to_numpy(zero_copy_only=False), first)
    words = column.dictionary.to_pylist()
    return _cells.memberships([words[i] for i in column.indices.to_pylist()], first)


def _check_null(name: str, column: Any, first: int, rule: str) -> None:
    if column.null_count:
        _cells.refuse(name, first + column.is_null().index(True).as_py(), rule, "null")
