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
from collections.abc import Callable
from enum import Enum
from fractions import Fraction
from numbers import Real
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from mialab import _arrays, _check
from mialab._arrays import ArrayLike
from mialab._text import visible

__all__ = ["ArrayLike", "door"]

Thing = TypeVar("Thing", bound=Callable)
_LARGEST = 2**63 - 1

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

    order: list[tuple[str, Entry | None]]  # those that may come without a name
    rest: tuple[str, Entry | None] | None  # and what follows them
    named: dict[str, Entry]

    @classmethod
    def of(cls, function: Callable) -> "_Plan":
        parameters, meant = inspect.signature(function).parameters.values(), _hints(function)
        entries = {one.name: entry_of(meant[one.name]) for one in parameters if one.name in meant}
        for one in parameters:  # a default is what the author chose
            if one.default is None and entries.get(one.name):
                entries[one.name] = _or_none(entries[one.name])
        order = [(one.name, entries.get(one.name)) for one in parameters if one.kind in _BY_PLACE]
        rest = [(one.name, entries.get(one.name)) for one in parameters if one.kind is one.VAR_POSITIONAL]
        return cls(order, rest[0] if rest else None, {n: one for n, one in entries.items() if one})

    def enter(self, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        sizes: Sizes = {}
        passed = [
            value if entry is None else entry(name, value, sizes)
            for (name, entry), value in zip(self.order, args, strict=False)
        ]
        for value in args[len(self.order) :]:
            name, entry = self.rest or ("", None)
            passed.append(value if entry is None else entry(name, value, sizes))
        for name, value in kwargs.items():
            if entry := self.named.get(name):
                kwargs[name] = entry(name, value, sizes)
        return function(*passed, **kwargs)


_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _hints(function: Callable) -> dict[str, Any]:
    """Return the annotations, names in quotes resolved."""
    return typing.get_type_hints(inspect.unwrap(function), include_extras=True)


def entry_of(meant: Any) -> Entry | None:
    """Return what an annotation does with a value; nothing for what may be anything."""
    if hasattr(meant, "array_type"):
        return _array_entry(meant)
    origin, inner = typing.get_origin(meant), typing.get_args(meant)
    if origin is typing.Annotated:
        return _finer if Fraction in inner else entry_of(inner[0])
    if origin in (typing.Union, types.UnionType):
        return _union_entry(inner)
    if origin is Literal:
        return functools.partial(_one_of, inner)
    if origin is not None:
        return _group_entry(origin, inner)
    if isinstance(meant, type) and issubclass(meant, Enum):
        return functools.partial(_word, meant)
    if meant in _PLAIN:
        return _PLAIN[meant]
    if not isinstance(meant, type) or meant is object:
        return None
    return functools.partial(_instance, meant)


def _array_entry(meant: Any) -> Entry:
    """Read a jaxtyping annotation: which numbers, and which axes."""
    names = meant.dtypes if isinstance(meant.dtypes, tuple | list) else ()
    letters = {one.rstrip("0123456789").split("_")[0] for one in names}
    only = np.dtype(names[0]) if len(names) == 1 else None
    kind = "any" if not names else _KINDS.get(frozenset(letters & {"bool", "int", "float"}), "real")
    axes = _Axes.of(meant.dim_str)
    if meant.array_type is not np.ndarray:
        return functools.partial(_tensor, meant.array_type, kind, axes)
    if only is not None and only.kind == "f":
        return functools.partial(_rounded, only, axes)
    return functools.partial(_array, kind, only, axes)


_KINDS: dict[frozenset[str], _arrays.Kind] = {
    frozenset({"bool"}): "bool",
    frozenset({"int"}): "int",
    frozenset({"float"}): "float",
}


def _array(kind: _arrays.Kind, dtype: Any, fit: "_Axes", name: str, value: Any, sizes: Sizes) -> np.ndarray:
    found = _arrays.array(name, value, kind, dtype)
    fit.check(name, found.shape, sizes)
    return found


def _rounded(dtype: np.dtype, fit: "_Axes", name: str, value: Any, sizes: Sizes) -> np.ndarray:
    """Cast to a shorter float, as models hold: the one cast that may round."""
    found = _arrays.array(name, value, "real")
    fit.check(name, found.shape, sizes)
    if found.dtype.kind != "f":
        return _arrays.array(name, found, "float", dtype) if found.dtype.itemsize > 2 else found.astype(dtype)
    with np.errstate(over="ignore"):
        cast = found.astype(dtype, copy=False)
    if (lost := np.isinf(cast) & np.isfinite(found)).any():
        _check.refuse(name, f"be numbers in the range of {dtype}", f"{int(lost.sum())} larger ones")
    return cast


def _tensor(kind: type, numbers: str, fit: "_Axes", name: str, value: Any, sizes: Sizes) -> Any:
    _instance(kind, name, value, sizes)
    wrong = value.is_complex() or (numbers == "float" and not value.is_floating_point())
    if wrong or (numbers in ("int", "bool") and value.is_floating_point()):
        _check.refuse(name, f"be a tensor of {numbers}", f"dtype {value.dtype}")
    fit.check(name, tuple(value.shape), sizes)
    return value


class _Axes(NamedTuple):
    """The axes that an annotation names: before and after those that may be any number, as ``*models``."""

    words: str
    before: list[str]
    several: str | None
    after: list[str]

    @classmethod
    def of(cls, words: str) -> "_Axes":
        axes = words.split()
        at = next((place for place, axis in enumerate(axes) if axis[0] in "*."), len(axes))
        return cls(words, axes[:at], axes[at] if at < len(axes) else None, axes[at + 1 :])

    def check(self, name: str, shape: tuple[int, ...], sizes: Sizes) -> None:
        """Refuse another number of axes, and two lengths of one name."""
        before, after = len(self.before), len(self.after)
        if len(shape) < before + after or (self.several is None and len(shape) > before):
            self._refuse(name, shape)
        for axis, length in zip(self.before, shape, strict=False):
            self._agree(name, axis, length, shape, sizes)
        if self.several is not None:
            end = len(shape) - after
            self._agree(name, self.several, shape[before:end], shape, sizes)
            for axis, length in zip(self.after, shape[end:], strict=True):
                self._agree(name, axis, length, shape, sizes)

    def _agree(self, name: str, axis: str, length: Any, shape: tuple[int, ...], sizes: Sizes) -> None:
        first, known = sizes.setdefault(axis, (name, length))
        if known == length and not axis.isdecimal():
            return
        if axis.isdecimal():
            if length != int(axis):
                self._refuse(name, shape)
        elif axis.lstrip("*").isidentifier() and axis != "_":
            alike = "the same shape" if axis[0] == "*" else f"the same number of {axis}"
            _check.refuse(f"{first} and {name}", f"have {alike}", f"{known} and {length}")

    def _refuse(self, name: str, shape: tuple[int, ...]) -> None:
        _check.refuse(name, f"have shape ({', '.join(self.words.split())})", f"shape {shape}")


def _real(name: str, value: Any, sizes: Sizes) -> Any:
    if type(value) is float and value == value:
        return value
    number = _plain(value)
    if not _is_number(number):
        _check.refuse(name, "be a number", shown(value))
    try:
        rounded = float(number)
    except OverflowError:
        rounded = math.inf
    if math.isnan(rounded):
        _check.refuse(name, "be a number", "nan")
    if rounded != number:  # as of a fraction, or an integer above 2⁵³
        _check.refuse(name, "be a number that a float holds exactly", "another")
    return number if isinstance(number, int) else rounded


def _finer(name: str, value: Any, sizes: Sizes) -> Any:
    """Keep what is finer than a float: it will be rounded to the safe side."""
    fine = isinstance(value, Fraction) or (type(value) is np.longdouble and not np.isnan(value))
    return value if fine else _real(name, value, sizes)


def _whole(name: str, value: Any, sizes: Sizes) -> int:
    if type(value) is int:
        return _counted(name, value)
    number = _plain(value)
    if not _is_number(number) or isinstance(number, Fraction):
        _check.refuse(name, "be a whole number", shown(value))
    if number != number or number in (math.inf, -math.inf) or int(number) != number:
        _check.refuse(name, "be a whole number", shown(value))
    return _counted(name, int(number))


def _counted(name: str, number: int) -> int:
    if not -_LARGEST <= number <= _LARGEST:
        _check.refuse(name, "be a whole number of at most 64 bits", f"one of {number.bit_length()} bits")
    return number


def _flag(name: str, value: Any, sizes: Sizes) -> bool:
    if not isinstance(value, bool | np.bool_):
        _check.refuse(name, "be True or False", shown(value))
    return bool(value)


def _text(name: str, value: Any, sizes: Sizes) -> str:
    if not isinstance(value, str):
        _check.refuse(name, "be a string", shown(value))
    return value


def _path(name: str, value: Any, sizes: Sizes) -> Path:
    if not isinstance(value, str | os.PathLike) or "\0" in str(value):
        _check.refuse(name, "be a path", shown(value))
    return Path(value)


def _call(name: str, value: Any, sizes: Sizes) -> Any:
    if not callable(value):
        _check.refuse(name, "be a function", shown(value))
    return value


def _random(name: str, value: Any, sizes: Sizes) -> np.random.Generator:
    if not isinstance(value, np.random.Generator):
        _check.refuse(name, "be a numpy.random.Generator, as numpy.random.default_rng(seed) is", shown(value))
    return value


def _word(words: type[Enum], name: str, value: Any, sizes: Sizes) -> Enum:
    """Take a member of an enumeration, or the word that is its value."""
    if isinstance(value, words):
        return value
    if isinstance(value, str) and value in [one.value for one in words]:
        return words(value)
    _check.refuse(name, f"be one of {', '.join(repr(one.value) for one in words)}", shown(value))


def _one_of(allowed: tuple, name: str, value: Any, sizes: Sizes) -> Any:
    if not isinstance(value, str) or value not in allowed:
        _check.refuse(name, f"be one of {', '.join(map(repr, allowed))}", shown(value))
    return value


def _instance(kind: type, name: str, value: Any, sizes: Sizes) -> Any:
    if isinstance(value, kind):
        return value
    _check.refuse(name, f"be {_article(kind.__name__)}", shown(value))


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOUaeiou' else 'a'} {noun}"


def _union_entry(meant: tuple) -> Entry | None:
    """Try one after the other; what none of them takes is refused in the words of the last."""
    kinds = [one for one in meant if one is not type(None)]
    entries = [one for one in map(entry_of, kinds) if one is not None]
    if len(entries) < len(kinds):  # one of them may be anything
        return None
    arrays = [one for one in entries if isinstance(one, functools.partial) and one.func is _array]
    scalars = [one for one in entries if one in (_real, _whole)]
    if arrays and scalars:
        return _or_none_if(functools.partial(_one_or_many, scalars[0], arrays[0]), meant)
    if len(entries) == 1:
        return _or_none_if(entries[0], meant)
    words = "" if len(arrays) == len(entries) else " or ".join(map(_phrase, kinds))
    return _or_none_if(functools.partial(_any_of, entries, words), meant)


def _any_of(entries: list[Entry], words: str, name: str, value: Any, sizes: Sizes) -> Any:
    """Take what one of them takes; without ``words``, the first says what is wrong."""
    said = None
    for entry in entries:
        known = dict(sizes)
        try:
            return entry(name, value, sizes)
        except ValueError as error:
            said = said or error
            sizes.clear()
            sizes.update(known)
    if said and not words:
        raise said
    _check.refuse(name, f"be {words}", shown(value))


def _phrase(meant: Any) -> str:
    """Say in words what an annotation takes."""
    if typing.get_origin(meant) is Literal:
        return f"one of {', '.join(map(repr, typing.get_args(meant)))}"
    if hasattr(meant, "array_type"):
        return "an array"
    if typing.get_origin(meant) is abc.Callable:
        return "a function"
    plain = {float: "a number", int: "a whole number", bool: "True or False", str: "a string", Path: "a path"}
    return plain.get(meant) or _article(getattr(typing.get_origin(meant) or meant, "__name__", str(meant)))


def _one_or_many(single: Entry, several: Entry, name: str, value: Any, sizes: Sizes) -> Any:
    if isinstance(value, float | int | np.number | Fraction) or (hasattr(value, "ndim") and value.ndim == 0):
        return single(name, value, sizes)
    return several(name, value, sizes)


def _or_none_if(entry: Entry | None, meant: tuple) -> Entry | None:
    return _or_none(entry) if type(None) in meant else entry


def _or_none(entry: Entry | None) -> Entry | None:
    return entry and functools.partial(_unless_none, entry)


def _unless_none(entry: Entry, name: str, value: Any, sizes: Sizes) -> Any:
    return None if value is None else entry(name, value, sizes)


def _group_entry(origin: Any, inner: tuple) -> Entry | None:
    if origin is abc.Callable:
        return _call
    if origin is tuple and inner[-1] is not Ellipsis:
        return functools.partial(_tuple, [entry_of(one) for one in inner])
    if issubclass(origin, abc.Mapping):
        return functools.partial(_instance, abc.Mapping)
    if issubclass(origin, abc.Iterable):
        return functools.partial(_many, entry_of(inner[0]), tuple if origin is tuple else list)
    return functools.partial(_instance, origin)


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


def _is_number(value: object) -> bool:
    """Tell whether a value is one real number: no bool, no string, no complex number, no array of several."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iuf" and not np.ma.isMaskedArray(value)
    return isinstance(value, Real) and not isinstance(value, (bool, np.timedelta64))


def _plain(value: Any) -> Any:
    """Return Python's own number for NumPy's, torch's or an array without axes."""
    if type(value) is np.longdouble or np.ma.isMaskedArray(value):
        return value
    single = isinstance(value, np.number) or (getattr(value, "ndim", None) == 0 and hasattr(value, "item"))
    return value.item() if single and not isinstance(value, np.timedelta64) else value


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


_PLAIN: dict[Any, Entry | None] = {
    float: _real,
    int: _whole,
    bool: _flag,
    str: _text,
    Path: _path,
    np.random.Generator: _random,
    np.ndarray: functools.partial(_array, "any", None, _Axes.of("...")),
    abc.Callable: _call,
    typing.Any: None,
    inspect.Parameter.empty: None,
    type(None): None,
}
