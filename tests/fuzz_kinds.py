"""What is put in the place of one right argument. All kinds are here, in one list.

A kind makes something of the right value; ``None`` means that there is nothing of the kind to be made of it.

* ``"same"``: the same thing, as others hold it. The answer must be the same.
* ``"wrong"``: it must be refused, in words that name it.
* ``"far"``: it may be refused in words that name it; else there is an answer, and no NaN in it.
"""

import datetime
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import torch


class Kind(NamedTuple):
    """One kind of replacement."""

    name: str
    sorts: str | tuple[str, ...]
    verdict: Literal["same", "wrong", "far"]
    make: Callable[[Any], Any]


FLOATS, WHOLE, TRUTH = "array", "whole array", "truth array"
ARRAYS = (FLOATS, WHOLE, TRUTH)
SINGLE = ("number", "whole")
EVERYTHING = (*ARRAYS, *SINGLE, "flag", "word", "random", "other")


def exact(value: np.ndarray, dtype: Any) -> np.ndarray | None:
    """Cast where nothing is lost."""
    with np.errstate(all="ignore"):
        cast = np.asarray(value).astype(dtype)
    return cast if np.array_equal(cast, value) else None


def frame(value: np.ndarray | None, library: Any) -> Any:
    """Make a column or a frame, where there are one or two axes."""
    if value is None:
        return None
    if value.ndim == 1:
        return library.Series(value.copy())
    if value.ndim == 2 and value.shape[1]:
        return library.DataFrame({f"c{column}": value[:, column].copy() for column in range(value.shape[1])})
    return None


def nullable(value: np.ndarray) -> Any:
    """Make a pandas column of the types that may have missing values, and has none."""
    return pd.Series(value.copy()).convert_dtypes() if value.ndim == 1 and value.size else None


def tensor(value: np.ndarray, gradient: bool = False) -> Any:
    """Make a tensor, where torch has the type."""
    made = torch.from_numpy(np.array(value, copy=True))
    return made.requires_grad_() if gradient and made.is_floating_point() else None if gradient else made


def apart(value: np.ndarray) -> np.ndarray | None:
    """Leave gaps between the numbers."""
    if not value.ndim:
        return None
    wide = np.zeros((*value.shape[:-1], 2 * value.shape[-1]), dtype=value.dtype)
    wide[..., ::2] = value
    return wide[..., ::2]


def locked(value: np.ndarray) -> np.ndarray:
    """Forbid writing."""
    copy = value.copy()
    copy.flags.writeable = False
    return copy


def spoilt(value: np.ndarray, bad: Any, dtype: Any = None) -> np.ndarray | None:
    """Replace the first number."""
    if not value.size or (value.dtype.kind == "b" and dtype is None):
        return None
    copy = np.array(value, dtype=dtype)
    copy.flat[0] = bad
    return copy


def ragged(value: np.ndarray) -> list | None:
    """Take one number out of the last row."""
    if value.ndim < 2 or len(value) < 2 or value.shape[1] < 2:
        return None
    rows = value.tolist()
    return [*rows[:-1], rows[-1][:-1]]


def mixed(value: np.ndarray) -> list | None:
    """Hide a boolean among numbers."""
    return [True, *value.tolist()[1:]] if value.ndim == 1 and value.size > 1 else None


def masked(value: np.ndarray) -> np.ma.MaskedArray | None:
    """Hide the first number."""
    if not value.size:
        return None
    mask = np.zeros(value.shape, dtype=bool)
    mask.flat[0] = True
    return np.ma.MaskedArray(value, mask)


def listed_mask(value: np.ndarray) -> list | None:
    """Hide a number inside a list."""
    return [masked(value[0]), *value[1:]] if value.ndim == 2 and len(value) and value.size else None


def lossy_frame(value: np.ndarray) -> Any:
    """Put an integer column that floats round beside a column of floats."""
    if value.ndim != 2 or value.shape[1] < 2 or value.dtype.kind != "f":
        return None
    columns: dict[str, Any] = {f"c{one}": value[:, one] for one in range(value.shape[1])}
    return pd.DataFrame({**columns, "c0": np.full(len(value), 2**60 + 1)})


def single(value: Any, make: Callable[[Any], Any]) -> Any:
    """Cast one number where nothing is lost."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        with np.errstate(all="ignore"):
            made = make(value)
    except (OverflowError, ValueError):
        return None
    return made if float(made) == value else None


KINDS: list[Kind] = [
    # The same numbers, as others hold them.
    Kind("list", ARRAYS, "same", lambda v: v.tolist()),
    Kind("tuple", ARRAYS, "same", lambda v: tuple(v.tolist()) if v.ndim else None),
    Kind("pandas", ARRAYS, "same", lambda v: frame(v, pd)),
    Kind("polars", ARRAYS, "same", lambda v: frame(v, pl)),
    Kind("pandas nullable", ARRAYS, "same", nullable),
    Kind("tensor", ARRAYS, "same", tensor),
    Kind("tensor with gradient", FLOATS, "same", lambda v: tensor(v, gradient=True)),
    Kind("list of tensors", ARRAYS, "same", lambda v: list(tensor(v)) if v.ndim else None),
    Kind("big-endian", ARRAYS, "same", lambda v: v.astype(v.dtype.newbyteorder(">"))),
    Kind("backwards", ARRAYS, "same", lambda v: v[::-1].copy()[::-1] if v.ndim else None),
    Kind("gaps", ARRAYS, "same", apart),
    Kind("columns first", ARRAYS, "same", np.asfortranarray),
    Kind("locked", ARRAYS, "same", locked),
    Kind("float32", FLOATS, "same", lambda v: exact(v, np.float32)),
    Kind("float16", FLOATS, "same", lambda v: exact(v, np.float16)),
    Kind("long double", FLOATS, "same", lambda v: v.astype(np.longdouble)),
    Kind("integers", FLOATS, "same", lambda v: exact(v, np.int64)),
    *(Kind(one, WHOLE, "same", lambda v, one=one: exact(v, one)) for one in ("i1", "i4", ">i2", "u1", "u8")),
    Kind("numpy", SINGLE, "same", lambda v: single(v, np.float64)),
    Kind("float32", SINGLE, "same", lambda v: single(v, np.float32)),
    Kind("float16", SINGLE, "same", lambda v: single(v, np.float16)),
    Kind("uint64", SINGLE, "same", lambda v: single(v, lambda one: np.uint64(int(one))) if v >= 0 else None),
    Kind("int8", SINGLE, "same", lambda v: single(v, lambda one: np.array(int(one)).astype("i1")[()])),
    Kind("no axes", SINGLE, "same", lambda v: single(v, np.array)),
    Kind("tensor", SINGLE, "same", lambda v: single(v, lambda one: torch.tensor(one, dtype=torch.float64))),
    Kind("numpy", "flag", "same", np.bool_),
    Kind("value", "word", "same", lambda v: getattr(v, "value", v)),
    # What must be refused.
    Kind("masked", ARRAYS, "wrong", masked),
    Kind("masked, listed", ARRAYS, "wrong", listed_mask),
    Kind("complex", ARRAYS, "wrong", lambda v: v.astype(complex)),
    Kind("object", ARRAYS, "wrong", lambda v: v.astype(object)),
    Kind("strings", ARRAYS, "wrong", lambda v: v.astype(str)),
    Kind("durations", ARRAYS, "wrong", lambda v: np.ones(v.shape, "m8[s]")),
    Kind("dates", ARRAYS, "wrong", lambda v: np.ones(v.shape, "m8[s]") + np.datetime64("2026-01-01")),
    Kind("records", ARRAYS, "wrong", lambda v: np.zeros(v.shape, [("a", float)])),
    Kind("nan", FLOATS, "wrong", lambda v: spoilt(v, np.nan)),
    Kind("nan, pandas", FLOATS, "wrong", lambda v: frame(spoilt(v, np.nan), pd) if v.size else None),
    Kind("nan for an integer", WHOLE, "wrong", lambda v: spoilt(v, np.nan, float)),
    Kind("missing", ARRAYS, "wrong", lambda v: frame(spoilt(v, None, object), pd) if v.size else None),
    Kind("ragged", ARRAYS, "wrong", ragged),
    Kind("booleans among them", (FLOATS, WHOLE), "wrong", mixed),
    Kind("booleans", (FLOATS, WHOLE), "wrong", lambda v: v.astype(bool)),
    Kind("floats", WHOLE, "wrong", lambda v: v + 0.5),
    Kind("0 and 1", TRUTH, "wrong", lambda v: v.astype(int)),
    Kind("beyond 2^53", FLOATS, "wrong", lambda v: spoilt(np.zeros(v.shape, int), 2**53 + 1)),
    Kind("beyond 2^53, listed", FLOATS, "wrong", lambda v: [2**53 + 1, 0.5] if v.ndim == 1 else None),
    Kind("beyond 2^53, framed", FLOATS, "wrong", lossy_frame),
    Kind("beyond 2^63", WHOLE, "wrong", lambda v: spoilt(v, 2**63, np.uint64) if (v >= 0).all() else None),
    Kind("text", ARRAYS, "wrong", lambda v: "text"),
    Kind("dictionary", ARRAYS, "wrong", lambda v: {"a": v}),
    Kind("set", ARRAYS, "wrong", lambda v: {1.0, 2.0}),
    Kind("generator", ARRAYS, "wrong", lambda v: (one for one in v.ravel().tolist())),
    Kind("one axis more", "axes", "wrong", lambda v: v[None]),
    Kind("one axis less", "axes", "wrong", lambda v: v[0] if v.ndim and len(v) else None),
    Kind("nan", SINGLE, "wrong", lambda v: float("nan")),
    Kind("nan, float32", SINGLE, "wrong", lambda v: np.float32("nan")),
    Kind("complex", SINGLE, "wrong", lambda v: complex(v, 1)),
    Kind("text", (*SINGLE, "flag"), "wrong", str),
    Kind("bytes", (*SINGLE, "flag", "word"), "wrong", lambda v: str(v).encode()),
    Kind("truth", SINGLE, "wrong", lambda v: True),
    Kind("list", (*SINGLE, "flag", "word"), "wrong", lambda v: [v]),
    Kind("one axis", SINGLE, "wrong", lambda v: np.array([v])),
    Kind("masked", SINGLE, "wrong", lambda v: np.ma.masked),
    Kind("duration", SINGLE, "wrong", lambda v: np.timedelta64(1, "s")),
    Kind("duration, no axes", SINGLE, "wrong", lambda v: np.array(1, "m8[ns]")),
    Kind("date", SINGLE, "wrong", lambda v: datetime.date(2026, 1, 1)),
    Kind("date, NumPy's", SINGLE, "wrong", lambda v: np.datetime64(1, "ns")),
    Kind("no content", SINGLE, "wrong", lambda v: torch.tensor(1.0, device="meta")),
    Kind("a half more", "whole", "wrong", lambda v: v + 0.5),
    Kind("infinite", "whole", "wrong", lambda v: float("inf")),
    Kind("0 or 1", "flag", "wrong", int),
    Kind("number", ("word", "random", "other"), "wrong", lambda v: 3.0),
    Kind("nonsense", ("word", "random", "other"), "wrong", lambda v: "nonsense"),
    Kind("other case", "word", "wrong", lambda v: str(getattr(v, "value", v)).upper()),
    Kind("numpy.random", "random", "wrong", lambda v: np.random),
    Kind("old generator", "random", "wrong", lambda v: np.random.RandomState(0)),
    Kind("seed", "random", "wrong", lambda v: 0),
    Kind("object", EVERYTHING, "wrong", lambda v: object()),
    Kind("class", EVERYTHING, "wrong", lambda v: dict),
    Kind("nothing", EVERYTHING, "wrong", lambda v: None),
    # What may be refused, and must not come out as no number.
    Kind("empty", ARRAYS, "far", lambda v: v[:0] if v.ndim else None),
    Kind("empty inside", ARRAYS, "far", lambda v: v[..., :0] if v.ndim > 1 else None),
    *(
        Kind(
            f"all {bad:g}",
            (FLOATS, WHOLE),
            "far",
            lambda v, bad=bad: np.full_like(v, bad) if fits(v, bad) else None,
        )
        for bad in (0, 1, -1, 0.5, 1e308, -1e308, 5e-324, 1e-200, float("inf"), float("-inf"))
    ),
    *(
        Kind(
            f"one {bad:g}",
            (FLOATS, WHOLE),
            "far",
            lambda v, bad=bad: spoilt(v, bad) if fits(v, bad) else None,
        )
        for bad in (-1, 2, 1e308, -1e308, 5e-324, 1e6, float("inf"), float("-inf"))
    ),
    Kind("all True", TRUTH, "far", np.ones_like),
    Kind("all False", TRUTH, "far", np.zeros_like),
    *(
        Kind(f"{bad:g}", "number", "far", lambda v, bad=bad: bad)
        for bad in (
            0,
            -0.0,
            1,
            -1,
            0.5,
            1.5,
            1e-300,
            5e-324,
            1e308,
            -1e308,
            1e-17,
            float("inf"),
            float("-inf"),
        )
    ),
    *(Kind(f"{bad}", "whole", "far", lambda v, bad=bad: bad) for bad in (0, 1, 2, -1, -(10**6), 3 * 10**3)),
    Kind("10^400", SINGLE, "far", lambda v: 10**400),
    Kind("a third", "number", "far", lambda v: Fraction(1, 3)),
]


def fits(value: np.ndarray, number: float) -> bool:
    """Tell whether an array can hold a number."""
    with np.errstate(all="ignore"):
        return bool(np.array(number).astype(value.dtype) == number)


ALSO_RIGHT = {  # for arguments that may be more than one thing
    "any array": ("array", {"booleans", "booleans among them", "beyond 2^53", "beyond 2^53, listed"}),
    "any whole array": ("whole array", {"booleans", "booleans among them"}),
    "one or many": ("number", {"list", "one axis"}),
    "function": ("other", {"class"}),
}


def kinds_for(sort: str, axes: bool) -> Iterator[Kind]:
    """Return the kinds for one sort of argument."""
    sort, right = ALSO_RIGHT.get(sort, (sort, set()))
    for kind in KINDS:
        sorts = (kind.sorts,) if isinstance(kind.sorts, str) else kind.sorts
        if kind.name not in right and (sort in sorts or (axes and "axes" in sorts)):
            yield kind
