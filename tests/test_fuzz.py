"""Every public function, with what people hold and what they mistake, one argument at a time.

The functions are found by walking the package, and called as their own examples call them: the doctests are
run once, and what reaches a public function is written down. Then one argument after the other is replaced by
each kind in `fuzz_kinds.KINDS`: the same thing in other clothes must give the same answer; a wrong thing must
be refused in words that name it; an extreme number must be refused or give an answer that is a number.
"""

import doctest
import functools
import importlib
import inspect
import re
import signal
import sys
import time
import types
import typing
import warnings
from collections import Counter, abc
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from copy import deepcopy
from dataclasses import fields, is_dataclass
from enum import Enum
from io import StringIO
from itertools import zip_longest
from typing import Any, NamedTuple

import jaxtyping
import matplotlib
import numpy as np
import pytest

import fuzz_kinds
import public
from fuzz_kinds import Kind
from mialab import _validation

pytestmark = pytest.mark.filterwarnings("ignore")  # of the numbers that are tried

SKIPPED = {
    "mialab.secure.SystemGenerator": "the methods have NumPy's signatures, and are tested beside NumPy's",
    "mialab.command.main": "takes a command line: its own fuzz is test_fuzz_command",
}
MOST_OBSCURE = 0.02
SLOW = 0.01  # seconds: of what takes longer, only a few of the right arguments are tried
PATIENCE = 20  # seconds for one call: on a busy machine


class Call(NamedTuple):
    """A call that an example made."""

    function: Any
    given: dict[str, Any]


class Tried(NamedTuple):
    """One call with one argument replaced, and what came of it."""

    name: str
    parameter: str
    kind: str
    verdict: str
    said: str


def public_callables() -> dict[str, Any]:
    """Return what is fuzzed, by name."""
    found = public.callables()
    return {name: one for name, one in found.items() if not name.startswith(tuple(SKIPPED))}


@contextmanager
def noted() -> Iterator[dict[str, Call]]:
    """Write down the first call of every function behind a door."""
    calls: dict[str, Call] = {}
    enter = _validation._Plan.enter

    def noting(plan, function, args, kwargs):
        bound = inspect.signature(function).bind(*args, **kwargs).arguments
        name = f"{function.__module__}.{function.__qualname__}".removesuffix(".__init__")
        if function.__name__ == "__init__":  # there is nothing yet that could be copied
            del bound["self"]
        if name not in calls:
            # What cannot be copied is left out; the function then has no example, which is found out.
            with warnings.catch_warnings(), suppress(TypeError, NotImplementedError, RuntimeError):
                warnings.simplefilter("ignore")
                calls[name] = Call(function, deepcopy(dict(bound)))
        return enter(plan, function, args, kwargs)

    _validation._Plan.enter = noting
    try:
        yield calls
    finally:
        _validation._Plan.enter = enter


def run_examples() -> dict[str, Call]:
    """Run the doctests of all modules that have public functions, and return what reached those."""
    wanted = public_callables()
    finder, runner = (
        doctest.DocTestFinder(),
        doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS),
    )
    with noted() as calls, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        for module in sorted({one.__module__ for one in wanted.values()}):
            for test in finder.find(importlib.import_module(module)):
                runner.run(test, clear_globs=False)
    return {name: call for name, call in calls.items() if name in wanted}


def sort_of(meant: Any, value: Any) -> tuple[str, bool] | None:
    """Return which kinds an argument can be replaced by, and whether its number of axes is fixed."""
    inner = [one for one in typing.get_args(meant) if one is not type(None)] if is_union(meant) else [meant]
    arrays = [one for one in inner if getattr(one, "array_type", None) is np.ndarray]
    if arrays and isinstance(value, np.ndarray):
        fixed = len(inner) == 1 and not any(axis[0] in "*." for axis in arrays[0].dim_str.split())
        several = len(arrays) > 1 or {"int32", "float32"} <= set(arrays[0].dtypes)
        letter = "" if several else value.dtype.kind
        mixed = "any array" if any("float32" in one.dtypes for one in arrays) else "any whole array"
        return {"b": "truth array", "f": "array", "i": "whole array"}.get(letter, mixed), fixed
    if arrays:
        return "one or many", False
    for kind, sort in ((bool, "flag"), (float, "number"), (int, "whole"), (np.random.Generator, "random")):
        if kind in inner:
            return sort, False
    origins = [typing.get_origin(one) for one in inner]
    if abc.Callable in origins:
        return "function", False
    if typing.Literal in origins or isinstance(value, Enum):
        return "word", False
    known = all(isinstance(one, type) and one not in (object, str, np.ndarray) for one in inner)
    return ("other", False) if known else None


def is_union(meant: Any) -> bool:
    return typing.get_origin(meant) in (typing.Union, types.UnionType)


class HangError(Exception):
    """It takes too long."""


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Stop what hangs."""

    def stop(*_):
        raise HangError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def answer(call: Call, given: dict[str, Any]) -> Any:
    """Call a function through its door."""
    function = _validation.door(call.function)
    made = None
    if call.function.__qualname__.endswith("__init__"):
        cls = functools.reduce(
            getattr, call.function.__qualname__.split(".")[:-1], sys.modules[call.function.__module__]
        )
        made = cls.__new__(cls)
        given = {"self": made, **given}
    positional, named = [], {}
    for one in inspect.signature(call.function).parameters.values():
        if one.name not in given:
            continue
        if one.kind is one.VAR_POSITIONAL:
            positional += given[one.name]
        elif one.kind is one.VAR_KEYWORD:
            named |= given[one.name]
        elif one.kind is one.KEYWORD_ONLY or len(positional) < list(given).index(one.name):
            named[one.name] = given[one.name]
        else:
            positional.append(given[one.name])
    with (
        warnings.catch_warnings(),
        patience(PATIENCE),
        redirect_stdout(StringIO()),
        redirect_stderr(StringIO()),
    ):
        warnings.simplefilter("ignore")
        found = function(*positional, **named)
    return found if made is None else made


def numbers_in(thing: Any, deep: int = 0) -> Iterator[np.ndarray]:
    """Find all numbers in an answer."""
    if isinstance(thing, float | int | complex | np.number | bool):
        yield np.asarray(thing)
    elif isinstance(thing, np.ndarray):
        yield thing
    elif hasattr(thing, "detach"):
        yield thing.detach().numpy()
    elif isinstance(thing, dict):
        for one in thing.values():
            yield from numbers_in(one, deep + 1)
    elif isinstance(thing, list | tuple):
        for one in thing:
            yield from numbers_in(one, deep + 1)
    elif is_dataclass(thing) and deep < 4:
        for one in [one for one in fields(thing) if one.name != "seconds"]:
            yield from numbers_in(getattr(thing, one.name, None), deep + 1)


def has_nan(thing: Any) -> bool:
    return any(one.dtype.kind in "fc" and bool(np.isnan(one).any()) for one in numbers_in(thing))


def alike(first: Any, second: Any) -> bool:
    """Tell whether two answers are the same numbers, but for rounding: of a sum that took another way."""
    pairs = list(zip_longest(numbers_in(first), numbers_in(second)))
    if any(one is None or two is None or one.shape != two.shape for one, two in pairs):
        return False
    return all(close(one, two) for one, two in pairs if one.dtype != object)


def close(one: np.ndarray, two: np.ndarray) -> bool:
    rounding = 1e-5 if np.float32 in (one.dtype, two.dtype) else 1e-12
    scale = np.abs(one[np.isfinite(one)]).max(initial=1.0) if one.dtype.kind in "iuf" else 1.0
    return bool(np.allclose(one, two, rtol=rounding, atol=rounding * scale, equal_nan=True))


def names(call: Call, parameter: str, said: str) -> bool:
    """Tell whether an error names the argument, or another one that it must fit."""
    own = [one for one in inspect.signature(call.function).parameters if one != "self"]
    return any(re.search(rf"(?<![a-z]){re.escape(one)}(?![a-z])", said) for one in own)


def judge(call: Call, given: dict[str, Any], kind: Kind, parameter: str, expected: Any) -> tuple[str, str]:
    """Call with one argument replaced, and say what came of it."""
    before = deepcopy({name: value for name, value in given.items() if isinstance(value, np.ndarray)})
    locked = {name for name, value in before.items() if not given[name].flags.writeable}
    try:
        found = answer(call, given)
    except (ValueError, TypeError) as error:
        said = f"{type(error).__name__}: {error}"
        if kind.verdict == "same":
            return "refused though right", said
        return ("clear" if names(call, parameter, str(error)) else "obscure"), said
    except HangError:
        return "hang", ""
    except Exception as error:
        return "obscure", f"{type(error).__name__}: {error}"
    if any(
        not np.array_equal(value, given[name], equal_nan=value.dtype.kind == "f")
        for name, value in before.items()
    ):
        return "mutated", ""
    if any(given[name].flags.writeable == (name in locked) for name in before):
        return "mutated", "another lock"
    if kind.verdict == "wrong":
        return "accepted though wrong", repr(found)[:60]
    if kind.verdict == "same":
        return ("clear", "") if alike(found, expected) else ("another answer", repr(found)[:60])
    said = "NaN" in (inspect.getdoc(call.function) or "")  # then it is not silent
    silent = has_nan(found) and not has_nan(expected) and not said
    return ("silent nan", repr(found)[:60]) if silent else ("clear", "")


def tries(name: str, call: Call, *, patient: bool = False) -> Iterator[Tried]:
    """Replace one argument of a call after the other.

    Some examples show a refusal, or have tidied away the file they read: there, wrong things alone are tried.
    """
    meant = typing.get_type_hints(inspect.unwrap(call.function))
    start, answered, expected = time.perf_counter(), False, None
    with suppress(ValueError, OSError):
        expected = answer(call, deepcopy(call.given))
        answered = True
    slow = time.perf_counter() - start > SLOW and not patient
    for parameter, value in call.given.items():
        sort = None if parameter == "self" or parameter not in meant else sort_of(meant[parameter], value)
        if sort is None:
            continue
        optional = inspect.signature(call.function).parameters[parameter].default is None
        optional |= type(None) in typing.get_args(meant[parameter])
        rights = 0
        for kind in fuzz_kinds.kinds_for(*sort):
            if not answered and kind.verdict != "wrong":
                continue
            if (kind.name == "nothing" and optional) or (kind.verdict == "far" and slow):
                continue
            replaced = None if value is None else kind.make(deepcopy(value))
            if replaced is None and kind.name != "nothing":
                continue
            rights += kind.verdict == "same"
            if kind.verdict == "same" and slow and rights > 2:
                continue
            given = deepcopy(call.given)
            one = inspect.signature(call.function).parameters[parameter]
            given[parameter] = [replaced, *value[1:]] if one.kind is one.VAR_POSITIONAL else replaced
            yield Tried(name, parameter, kind.name, *judge(call, given, kind, parameter, expected))


@pytest.fixture(scope="module")
def calls() -> dict[str, Call]:
    before = matplotlib.get_backend()
    matplotlib.use("agg")
    try:
        with at_the_door():
            yield run_examples()
    finally:
        matplotlib.use(before)


@contextmanager
def at_the_door() -> Iterator[None]:
    """Do as a user does: without the shape checks that only run under test."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def report(tried: list[Tried]) -> None:
    """Hold the ratchet, and name what broke it."""
    found = Counter(one.verdict for one in tried)
    bad = [one for one in tried if one.verdict != "clear"]
    said = "\n".join(f"{one.name}({one.parameter}={one.kind}): {one.verdict} {one.said[:90]}" for one in bad)
    obscure = found.pop("obscure", 0)
    assert set(found) == {"clear"}, said
    assert obscure <= MOST_OBSCURE * len(tried), said


def test_coverage_every_public_function_is_tried(calls):
    """An example that the tests run is what the fuzz starts from; a new function needs one as well."""
    assert set(public_callables()) - set(calls) == set()
    assert len(SKIPPED) <= 10


def test_coverage_what_users_hold_is_taken_and_what_they_mistake_is_refused(calls):
    tried = [one for name, call in sorted(calls.items()) for one in tries(name, call)]
    assert len(tried) > 15_000
    report(tried)


@pytest.mark.slow
def test_coverage_slow_functions_are_tried_with_everything(calls):
    report([one for name, call in sorted(calls.items()) for one in tries(name, call, patient=True)])


def test_coverage_without_the_door_the_fuzz_finds_all_sorts_of_faults(calls, monkeypatch):
    """The fuzz is able to fail."""
    monkeypatch.setattr(_validation, "door", lambda function: function)
    names = (
        "mialab.metrics.rates.memorisation",
        "mialab.mechanisms.noise.Laplace",
        "mialab.metrics.pooled.pooled_mean",
    )
    tried = [one for name in names for one in tries(name, calls[name])]
    found = Counter(one.verdict for one in tried)
    assert found["accepted though wrong"] > 20
    assert found["obscure"] > 5
