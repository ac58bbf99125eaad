"""The door of every public function: what users hold becomes what the signature says, or is refused.

`door` reads a function's annotations, once. They say what the function gets *after* the door: an array of one
kind whose axes have names, a number, a word of an enumeration, a generator. What comes before it is wider:
wherever an array is wanted, anything `ArrayLike` that loses nothing. What lies within the type and is still
wrong, as a rate of 1.3 does, is refused by `_check` in the function itself.
"""

import functools
import inspect
import math
import os
import types
import typing
from collections import abc
from collections.abc import Callable, Iterable
from enum import Enum
from fractions import Fraction
from itertools import chain, repeat
from numbers import Real
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import jaxtyping
import numpy as np

from mialab import _arrays, _check
from mialab._arrays import ArrayLike
from mialab._text import visible
from mialab._types import Finer

__all__ = ["ArrayLike", "door"]

Thing = TypeVar("Thing", bound=Callable)

Sizes = dict[str, tuple[str, Any]]  # of an axis: which argument had it first, and how many
Entry = Callable[[str, Any, Sizes], Any]


def door(thing: Thing) -> Thing:
    """Put a function, or a class, behind a door: its arguments are turned into what is annotated, or refused.

    Raises
    ------
    ValueError
        At a call: with name, rule and value. Axes of one name must be equally long in all arguments.

    Examples
    --------
    >>> from jaxtyping import Float
    >>> @door
    ... def total(score: Float[np.ndarray, "records"], *, weight: float = 1.0) -> float:
    ...     return weight * score.sum()
    >>> float(total([1, 2], weight=np.float16(0.5)))
    1.5
    >>> total([[1.0]])
    Traceback (most recent call last):
    ValueError: score must have shape (records), got shape (1, 1)
    """
    if isinstance(thing, type):
        thing.__init__ = door(thing.__init__)  # type: ignore[misc]
        return typing.cast(Thing, thing)
    plan: _Plan | None = None

    @functools.wraps(thing)
    def entered(*args: Any, **kwargs: Any) -> Any:
        nonlocal plan
        if plan is None:
            plan = _Plan.of(thing)
        return plan.enter(thing, args, kwargs)

    entered.__door__ = True  # type: ignore[attr-defined]
    return typing.cast(Thing, entered)


class _Plan(NamedTuple):
    """What is done with each argument of a function."""

    order: list[str]  # those that may come without a name
    rest: str  # what follows them
    entries: dict[str, Entry]

    @classmethod
    def of(cls, function: Callable) -> "_Plan":
        parameters = inspect.signature(function).parameters.values()
        meant = typing.get_type_hints(inspect.unwrap(function), include_extras=True)  # out of their quotes
        entries = {one.name: entry_of(meant[one.name]) for one in parameters if one.name in meant}
        order = [one.name for one in parameters if one.kind in _BY_PLACE]
        rest = [one.name for one in parameters if one.kind is one.VAR_POSITIONAL]
        return cls(order, rest[0] if rest else "", {name: one for name, one in entries.items() if one})

    def enter(self, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        sizes: Sizes = {}
        entries = self.entries
        passed = [
            entries[name](name, value, sizes) if name in entries else value
            for name, value in zip(chain(self.order, repeat(self.rest)), args, strict=False)
        ]
        for name, value in kwargs.items():
            if name in entries:
                kwargs[name] = entries[name](name, value, sizes)
        return function(*passed, **kwargs)


_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def entry_of(meant: Any) -> Entry | None:
    """Return what an annotation does with a value; nothing for what may be anything."""
    if meant in _PLAIN:
        return _PLAIN[meant]
    if hasattr(meant, "array_type"):
        return _array_entry(meant)
    origin, inner = typing.get_origin(meant), typing.get_args(meant)
    if origin in (typing.Union, types.UnionType):
        return _union_entry(inner)
    if origin is Literal:
        return functools.partial(_one_of, inner)
    if origin is tuple and inner[-1] is not Ellipsis:
        return functools.partial(_tuple, [entry_of(one) for one in inner])
    kind = origin or meant
    if not isinstance(kind, type) or kind is object:
        return None
    if issubclass(kind, Enum):
        return functools.partial(_word, kind)
    if origin and issubclass(kind, abc.Mapping):
        kind = abc.Mapping
    elif origin and issubclass(kind, abc.Iterable):
        return functools.partial(_many, entry_of(inner[0]), tuple if kind is tuple else list)
    return functools.partial(_instance, kind, _words(kind))


def _words(meant: Any) -> str:
    """Say what an annotation takes."""
    if typing.get_origin(meant) is Literal:
        return _listed(typing.get_args(meant))
    if hasattr(meant, "array_type"):
        return "an array"
    kind = typing.get_origin(meant) or meant
    article = "an" if kind.__name__[0] in "AEIOUaeiou" else "a"
    return _WORDS.get(kind, f"{article} {kind.__name__}")


def _listed(allowed: Iterable[str]) -> str:
    return f"one of {', '.join(map(repr, allowed))}"


# --- arrays --------------------------------------------------------------------------------------------


def _array_entry(meant: Any) -> Entry:
    """Read a jaxtyping annotation: which numbers, and which axes."""
    axes = meant.dim_str.split()
    width = None if meant.dtype in _KINDS else np.dtype(meant.dtypes[0])
    kind = _KINDS[width.kind if width else meant.dtype]
    if meant.array_type is not np.ndarray:
        return functools.partial(_tensor, meant.array_type, kind, axes)
    if width and kind == "float":
        return functools.partial(_rounded, width, axes)
    return functools.partial(_array, kind, width, axes)


_KINDS: dict[Any, _arrays.Kind] = {
    jaxtyping.Bool: "bool",
    jaxtyping.Int: "int",
    jaxtyping.Float: "float",
    jaxtyping.Real: "real",
    jaxtyping.Shaped: "any",
    "i": "int",  # those of one width, by NumPy's letter
    "u": "real",
    "f": "float",
}


def _array(
    kind: _arrays.Kind, width: np.dtype | None, axes: list[str], name: str, value: Any, sizes: Sizes
) -> np.ndarray:
    found = _arrays.array(name, value, kind, width)
    _fit(axes, name, found.shape, sizes)
    return found


def _rounded(width: np.dtype, axes: list[str], name: str, value: Any, sizes: Sizes) -> np.ndarray:
    """Cast to a shorter float, as models hold: the one cast that may round."""
    found = _array("real", None, axes, name, value, sizes)
    if found.dtype.kind != "f":
        return _arrays.array(name, found, "float", width) if found.dtype.itemsize > 2 else found.astype(width)
    with np.errstate(over="ignore"):
        cast = found.astype(width, copy=False)
    if (lost := np.isinf(cast) & np.isfinite(found)).any():
        _check.refuse(name, f"be numbers in the range of {width}", f"{int(lost.sum())} larger ones")
    return cast


def _tensor(tensor: type, kind: _arrays.Kind, axes: list[str], name: str, value: Any, sizes: Sizes) -> Any:
    _instance(tensor, "a Tensor", name, value, sizes)
    floats = value.is_floating_point()
    if value.is_complex() or (kind == "float" and not floats) or (kind in ("int", "bool") and floats):
        _check.refuse(name, f"be a tensor of {kind}", f"dtype {value.dtype}")
    _fit(axes, name, tuple(value.shape), sizes)
    return value


def _fit(axes: list[str], name: str, shape: tuple[int, ...], sizes: Sizes) -> None:
    """Refuse another number of axes, and two lengths of one name; ``*models`` and ``...`` are any number."""
    lengths: list[Any] = list(shape)
    for place, axis in enumerate(axes):
        if axis[0] in "*.":
            end = len(shape) - len(axes[place + 1 :])
            lengths[place:end] = [shape[place:end]]
    wrong = len(lengths) != len(axes)
    for axis, length in zip(axes, lengths, strict=False):
        first, known = sizes.setdefault(axis, (name, length))
        if axis.isdecimal():
            wrong = wrong or length != int(axis)
        elif known != length and not wrong and axis.lstrip("*").isidentifier() and axis != "_":
            alike = "the same shape" if axis[0] == "*" else f"the same number of {axis}"
            _check.refuse(f"{first} and {name}", f"have {alike}", f"{known} and {length}")
    if wrong:
        _check.refuse(name, f"have shape ({', '.join(axes)})", f"shape {shape}")


# --- single values -------------------------------------------------------------------------------------


def _real(name: str, value: Any, sizes: Sizes) -> Any:
    if type(value) is float and value == value:
        return value
    number = _number(name, value, "be a number")
    try:
        rounded = float(number)
    except OverflowError:
        rounded = math.inf
    if rounded != number:  # as of a fraction, or an integer above 2⁵³
        _check.refuse(name, "be a number that a float holds exactly", "another")
    return number if isinstance(number, int) else rounded


def _finer(name: str, value: Any, sizes: Sizes) -> Any:
    """Keep what is finer than a float: it will be rounded to the safe side."""
    fine = isinstance(value, Fraction) or (type(value) is np.longdouble and not np.isnan(value))
    return value if fine else _real(name, value, sizes)


def _whole(name: str, value: Any, sizes: Sizes) -> int:
    if type(value) is not int:
        number = _number(name, value, "be a whole number")
        if isinstance(number, Fraction) or number in (math.inf, -math.inf) or int(number) != number:
            _check.refuse(name, "be a whole number", shown(value))
        value = int(number)
    if not -(2**63) < value < 2**63:
        _check.refuse(name, "be a whole number of at most 64 bits", f"one of {value.bit_length()} bits")
    return value


def _number(name: str, value: Any, rule: str) -> Any:
    """Return Python's own number for NumPy's, torch's or an array without axes; refuse NaN, and all else.

    Dates and durations are counted in whole numbers, and are none.
    """
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    other = kind in ("m", "M") or isinstance(value, np.ma.MaskedArray)
    number = value
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item") and not other:
        try:
            number = value.item()
        except Exception:  # foreign classes raise whatever they like, such as tensors without content
            other = True
    if other or isinstance(number, bool) or not isinstance(number, Real):
        _check.refuse(name, rule, shown(value))
    if number != number:
        _check.refuse(name, rule, "nan")
    return number


def _flag(name: str, value: Any, sizes: Sizes) -> bool:
    return bool(_instance((bool, np.bool_), "True or False", name, value, sizes))


def _path(name: str, value: Any, sizes: Sizes) -> Path:
    if not isinstance(value, str | os.PathLike) or "\0" in str(value):
        _check.refuse(name, "be a path", shown(value))
    return Path(value)


def _word(words: type[Enum], name: str, value: Any, sizes: Sizes) -> Enum:
    """Take a member of an enumeration, or the word that is its value."""
    if isinstance(value, words):
        return value
    return words(_one_of(tuple(one.value for one in words), name, value, sizes))


def _one_of(allowed: tuple[str, ...], name: str, value: Any, sizes: Sizes) -> str:
    if not isinstance(value, str) or value not in allowed:
        _check.refuse(name, f"be {_listed(allowed)}", shown(value))
    return value


def _instance(kind: Any, words: str, name: str, value: Any, sizes: Sizes) -> Any:
    if not isinstance(value, kind):
        _check.refuse(name, f"be {words}", shown(value))
    return value


# --- one of several, and several -----------------------------------------------------------------------


def _union_entry(meant: tuple) -> Entry | None:
    kinds = [one for one in meant if one is not type(None)]
    entries = [entry for one in kinds if (entry := entry_of(one))]
    if len(entries) < len(kinds):  # one of them may be anything
        return None
    arrays = [entry for kind, entry in zip(kinds, entries, strict=True) if hasattr(kind, "array_type")]
    if len(entries) == 1:
        entry = entries[0]
    elif arrays and kinds[0] in (float, int):
        entry = functools.partial(_one_or_many, entries[0], arrays[0])
    else:
        words = "" if len(arrays) == len(entries) else " or ".join(map(_words, kinds))
        entry = functools.partial(_any_of, entries, words)
    return functools.partial(_unless_none, entry) if type(None) in meant else entry


def _unless_none(entry: Entry, name: str, value: Any, sizes: Sizes) -> Any:
    return None if value is None else entry(name, value, sizes)


def _one_or_many(single: Entry, several: Entry, name: str, value: Any, sizes: Sizes) -> Any:
    alone = isinstance(value, float | int | Fraction) or getattr(value, "ndim", None) == 0
    return (single if alone else several)(name, value, sizes)


def _any_of(entries: list[Entry], words: str, name: str, value: Any, sizes: Sizes) -> Any:
    """Take what one of them takes; without ``words``, the first says what is wrong."""
    refused, known = [], dict(sizes)
    for entry in entries:
        try:
            return entry(name, value, sizes)
        except ValueError as error:
            refused.append(error)
            sizes.clear()
            sizes.update(known)
    if not words:
        raise refused[0]
    _check.refuse(name, f"be {words}", shown(value))


def _tuple(entries: list[Entry | None], name: str, value: Any, sizes: Sizes) -> tuple:
    values = _many(None, tuple, name, value, sizes)
    if len(values) != len(entries):
        _check.refuse(name, f"hold {len(entries)} values", len(values))
    return tuple(
        one if entry is None else entry(name, one, sizes) for entry, one in zip(entries, values, strict=True)
    )


def _many(entry: Entry | None, made: Callable, name: str, value: Any, sizes: Sizes) -> Any:
    if isinstance(value, str | bytes | abc.Mapping) or not isinstance(value, abc.Iterable):
        _check.refuse(name, "be a list or a tuple", shown(value))
    return made(one if entry is None else entry(name, one, {}) for one in value)


def shown(value: Any) -> str:
    """Show a value in an error, in one short line without control characters."""
    if value is None or isinstance(value, bool | int | float | np.bool_ | np.floating | np.integer):
        return f"{value}"[:60]
    if isinstance(value, str):
        return visible(repr(value), 60)
    if isinstance(name := getattr(value, "__name__", None), str):  # a module, a class, a function
        return name[:60]
    shape = getattr(value, "shape", None)
    return type(value).__name__ + (f" of shape {tuple(shape)}" if isinstance(shape, tuple) else "")


_WORDS: dict[Any, str] = {
    float: "a number",
    int: "a whole number",
    bool: "True or False",
    str: "a string",
    Path: "a path",
    abc.Callable: "a function",
    np.random.Generator: "a numpy.random.Generator, as numpy.random.default_rng(seed) is",
}
_PLAIN: dict[Any, Entry | None] = {
    float: _real,
    Finer: _finer,
    int: _whole,
    bool: _flag,
    Path: _path,
    np.ndarray: functools.partial(_array, "any", None, ["..."]),
    Any: None,
}
