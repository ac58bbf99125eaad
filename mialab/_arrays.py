"""Arrays, as users hold them: lists, frames, tensors, any width; turned into NumPy's, or refused.

Nothing is lost on the way. Messages say how many numbers are wrong, never which, nor what they are: what
comes through this door may be secret.
"""

import math
from array import array as array_of
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from mialab import _check

ArrayLike: TypeAlias = Any
"""What may be an array before the door: a list, a frame, a tensor. Too much for a type; the door decides."""

Kind = Literal["bool", "int", "float", "real", "any"]

_RULE = {"bool": "be an array of bool", "int": "be integers"}
_TAKEN = {"bool": "b", "int": "iu", "float": "iuf", "real": "iuf", "any": "biuf"}
_OWN = {"bool": np.dtype(bool), "int": np.dtype(np.int64), "float": np.dtype(float)}
_EXACT = 2**53  # beyond it, floats skip integers


def array(name: str, value: ArrayLike, kind: Kind = "real", dtype: np.dtype | None = None) -> np.ndarray:
    """Return a value as an array of one kind: of float64, int64 or bool, or of ``dtype``, losing nothing.

    Parameters
    ----------
    name
        What the value is called in an error.
    value
        An array, a list, a pandas or polars frame or column, or a tensor; of any width, byte order, stride.
    kind
        ``"real"`` keeps integers, and floats of at most 64 bits; ``"any"`` keeps booleans as well.
    dtype
        Another than the kind's own.

    Raises
    ------
    ValueError
        If it is no array, has a mask, holds anything but numbers of the kind, NaN, or what ``dtype`` does not
        hold exactly.

    Examples
    --------
    >>> array("score", [1, 2.5], "float"), array("label", np.array([3], dtype=">u2"), "int")
    (array([1. , 2.5]), array([3]))
    """
    found = value if type(value) is np.ndarray else _found(name, value)
    if found.dtype.kind not in _TAKEN[kind]:  # timedelta64 calls itself an integer, but not by this letter
        _check.refuse(name, _RULE.get(kind, "be an array of numbers"), f"dtype {found.dtype}")
    if found.dtype.kind == "f" and found.size and math.isnan(np.minimum.reduce(found, axis=None)):
        _check.refuse(name, "hold no NaN", f"{int(np.isnan(found).sum())} of {found.size} values")
    wanted = dtype or _OWN.get(kind) or _native(found.dtype)
    if found.dtype != wanted:
        found = _cast(name, found, wanted)
    return found.copy() if min(found.strides, default=0) < 0 else found  # torch takes no step back


def _native(dtype: np.dtype) -> np.dtype:
    """Return a type that torch and SciPy know: this machine's byte order, and at most 64 bits."""
    return np.dtype(float) if dtype.kind == "f" and dtype.itemsize > 8 else dtype.newbyteorder("=")


def _cast(name: str, found: np.ndarray, wanted: np.dtype) -> np.ndarray:
    """Cast what fits, and refuse the rest."""
    with np.errstate(over="ignore", invalid="ignore"):
        cast = found.astype(wanted)
    if found.dtype.kind != "f" and wanted.kind == "f":
        lost = (found > _EXACT) | (found < -_EXACT)
    elif np.can_cast(found.dtype, wanted):
        return cast
    else:
        lost = (cast != found) | ((found < 0) != (cast < 0))
    if lost.any():
        _check.refuse(name, f"be numbers that {wanted} holds exactly", f"{int(lost.sum())} others")
    return cast


def _found(name: str, value: Any) -> np.ndarray:
    """Make an array of something else, as it is."""
    if _hides(value):
        _check.refuse(name, "have no mask", "a masked array")
    if columns := _columns(value):
        return _together(name, [_found(name, one) for one in columns])
    try:
        readable = _readable(value)
        with np.errstate(all="ignore"):
            found = np.asarray(readable)
    except Exception as error:  # foreign classes raise whatever they like
        ragged = "inhomogeneous" in str(error)
        _check.refuse(name, "be an array", "rows of unequal lengths" if ragged else type(value).__name__)
    if isinstance(readable, list) and found.dtype.kind in "iuf" and found.size:
        _refuse_mixed(name, readable, found)
    return found


def _columns(value: Any) -> list:
    """Return the columns of a frame of pandas or polars, or none."""
    if hasattr(value, "get_columns"):
        return value.get_columns()
    if hasattr(value, "iloc") and value.ndim == 2:
        return [value.iloc[:, one] for one in range(value.shape[1])]
    return []


def _readable(value: Any) -> Any:
    """Take a tensor off its device, and a column's numbers out of what may have missing ones."""
    if hasattr(value, "detach"):
        tensor = value.detach().cpu().resolve_conj().resolve_neg()
        return (tensor.float() if str(tensor.dtype).startswith(_SHORT) else tensor).numpy()[()]
    if _is_list(value):
        return [one if type(one) in _SINGLE else _readable(one) for one in value]
    return value[()] if type(value) is np.ndarray and not value.ndim else _without_missing(value)


def _is_list(value: Any) -> bool:
    """Tell whether NumPy reads a value one by one, and mixes what it finds without a word."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | range | memoryview | array_of)


def _without_missing(column: Any) -> Any:
    """Take the numbers out of a pandas column that could miss some and misses none: else it is objects."""
    plain = getattr(getattr(column, "dtype", None), "numpy_dtype", None)
    complete = plain is not None and hasattr(column, "isna") and not column.isna().any()
    return column.to_numpy(dtype=plain) if complete else column


_SINGLE = (float, int, bool, str)
_SHORT = ("torch.bfloat", "torch.float8")  # floats that NumPy has not


def _together(name: str, columns: list[np.ndarray]) -> np.ndarray:
    """Join columns of numbers, which NumPy would cast to a common type without a word."""
    kinds = {one.dtype.kind for one in columns}
    if len(kinds) == 1:
        return np.column_stack(columns)
    common: Kind = "int" if kinds == {"i", "u"} else "float"
    return np.column_stack([array(name, one, common) for one in columns])


def _refuse_mixed(name: str, value: list, found: np.ndarray) -> None:
    """Refuse booleans among numbers, and integers that were rounded because a float stood beside them."""
    rows = [one for one in value if isinstance(one, np.ndarray)]
    if len(rows) == len(value) and len({one.dtype for one in rows}) == 1:
        return
    single = np.asarray(value, dtype=object).ravel()
    if any(isinstance(one, bool | np.bool_) for one in single):
        _check.refuse(name, "be an array of numbers", "booleans among them")
    if found.dtype.kind == "f" and (np.abs(found) >= _EXACT).any():
        pairs = zip(single, found.ravel(), strict=True)
        if lost := sum(isinstance(one, int | np.integer) and int(one) != int(cast) for one, cast in pairs):
            _check.refuse(name, f"be numbers that {found.dtype} holds exactly", f"{lost} others")


def _hides(value: Any) -> bool:
    """Tell whether a mask hides part of a value, or of what it is made of."""
    if isinstance(value, np.ma.MaskedArray):
        return True
    return _is_list(value) and any(_hides(one) for one in value if type(one) not in _SINGLE)
