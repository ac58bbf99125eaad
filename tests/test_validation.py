"""The door: what comes after it is what the signature says, and nothing is lost on the way.

Every public function is tried by test_fuzz; here are the rules.
"""

from collections import UserList, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from jaxtyping import Bool, Float, Float32, Int, Int8, Real
from numpy import ndarray

import public
from mialab import _arrays, _validation
from mialab._validation import door

TABLE = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


@door
def scored(x: Float[ndarray, "records features"], y: Int[ndarray, "records"]) -> tuple[ndarray, ndarray]:
    return x, y


@pytest.mark.parametrize(
    "x",
    [
        TABLE.tolist(),
        TABLE.astype(int),
        TABLE.astype(">f4"),
        TABLE[::-1][::-1],
        np.asfortranarray(TABLE),
        pd.DataFrame({"a": [1, 3, 5], "b": [2.0, 4.0, 6.0]}),
        pd.DataFrame(TABLE, columns=["twice", "twice"]),
        pd.DataFrame({"a": pd.array([1, 3, 5], dtype="Int64"), "b": pd.array([2, 4, 6], dtype="Float64")}),
        pl.DataFrame({"a": [1, 3, 5], "b": [2.0, 4.0, 6.0]}),
        torch.tensor(TABLE, requires_grad=True),
        torch.tensor(TABLE, dtype=torch.bfloat16),
        [torch.tensor([1, 2]), torch.tensor([3, 4]), torch.tensor([5, 6])],
    ],
)
@pytest.mark.parametrize(
    "y", [[0, 1, 2], np.array([0, 1, 2], dtype=">u2"), pd.Series([0, 1, 2], dtype="int8")]
)
def test_definition_the_same_numbers_come_out(x, y):
    numbers, labels = scored(x, y)
    assert (numbers.dtype, labels.dtype) == (np.float64, np.int64)
    np.testing.assert_array_equal(numbers, TABLE)
    np.testing.assert_array_equal(labels, [0, 1, 2])


def test_definition_what_is_right_already_is_handed_on_as_it_is():
    y = np.arange(3)
    numbers, labels = scored(TABLE, y)
    assert numbers is TABLE
    assert labels is y


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ma.masked_equal(TABLE, 3.0), "x must have no mask, got a masked array"),
        ([np.ma.masked_equal([1.0, 2.0], 2.0), [3.0, 4.0]], "x must have no mask"),
        (TABLE.astype(complex), "x must be an array of numbers, got dtype complex128"),
        (TABLE.astype(object), "x must be an array of numbers, got dtype object"),
        (TABLE.astype(str), "x must be an array of numbers, got dtype <U"),
        (TABLE > 2, "x must be an array of numbers, got dtype bool"),
        (TABLE.astype("m8[s]"), "x must be an array of numbers, got dtype timedelta64"),
        ([[1.0, 2.0], [3.0]], "x must be an array, got rows of unequal lengths"),
        ([[1.0, 2.0], [3.0, True]], "x must be an array of numbers, got booleans among them"),
        ([[2**53 + 1, 0.5], [1.0, 1.0]], "x must be numbers that float64 holds exactly, got 1 others"),
        (np.array([[2**62, 2**62 + 1]]), "x must be numbers that float64 holds exactly, got 2 others"),
        (np.full((2, 2), np.longdouble(1) / 3), "x must be numbers that float64 holds exactly, got 4 others"),
        ([[torch.tensor(2**53 + 1), torch.tensor(0.5)]], "x must be numbers that float64 holds exactly"),
        ([[torch.tensor(True), torch.tensor(2)]], "x must be an array of numbers, got booleans among them"),
        ([[np.array(True), np.array(2)]], "x must be an array of numbers, got booleans among them"),
        (deque([[2**53 + 1, 0.5]]), "x must be numbers that float64 holds exactly"),
        (UserList([np.ma.masked_equal([1.0, 2.0], 2.0), [3.0, 4.0]]), "x must have no mask"),
        (pd.DataFrame({"a": [2**53 + 1], "b": [0.5]}), "x must be numbers that float64 holds exactly"),
        (pl.DataFrame({"a": [2**53 + 1], "b": [0.5]}), "x must be numbers that float64 holds exactly"),
        (pd.DataFrame({"a": [True], "b": [0.5]}), "x must be an array of numbers, got dtype bool"),
        (np.where(TABLE > 2, TABLE, np.nan), "x must hold no NaN, got 2 of 6 values"),
        (pl.DataFrame({"a": [1, None], "b": [0.5, 1.0]}), "x must hold no NaN"),
        (pd.DataFrame({"a": ["low", "high"]}), "x must be an array of numbers"),
        (torch.zeros(3, 2, device="meta"), "x must be an array, got Tensor"),
        (TABLE[0], r"x must have shape \(records, features\), got shape \(2,\)"),
        (TABLE[None], r"x must have shape \(records, features\), got shape \(1, 3, 2\)"),
        (TABLE[:2], "x and y must have the same number of records, got 2 and 3"),
        (3.0, r"x must have shape \(records, features\), got shape \(\)"),
        ({1.0, 2.0}, "x must be an array of numbers, got dtype object"),
        ("1 2 3", "x must be an array of numbers, got dtype <U5"),
        (None, "x must be an array of numbers, got dtype object"),
    ],
)
def test_definition_what_would_lose_something_is_refused(x, message):
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
        scored(x, np.arange(3))


def test_definition_a_refusal_names_no_value():
    """What comes through a door may be secret."""
    for bad in (TABLE * np.nan, TABLE.astype(int) + 2**60 + 12345, TABLE + 0j):
        with pytest.raises(ValueError, match=r"^x must .*, got [^,]*$") as refused:
            scored(bad, np.arange(3))
        assert "12345" not in str(refused.value)


class Word(StrEnum):
    ONE = "one"
    TWO = "two"


@door
def mixed(
    number: float = 1.0,
    count: int = 1,
    flag: bool = True,
    word: Word = Word.ONE,
    way: Literal["here", "there"] = "here",
    many: float | Float[ndarray, "points"] = 1.0,
    pair: tuple[int, int] = (1, 2),
    several: Sequence[int] = (),
    table: Mapping[str, int] | None = None,
    apply: Callable[[float], float] = abs,
    path: str | Path = "here",
    text: str = "",
    rng: np.random.Generator | None = None,
    short: Float32[ndarray, "s"] | None = None,
    tiny: Int8[ndarray, "t"] | None = None,
    real: Real[ndarray, "..."] | None = None,
    truth: Bool[ndarray, "*any 2"] | None = None,
) -> dict[str, Any]:
    return dict(locals())


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"number": np.float16(0.5)}, 0.5),
        ({"number": Fraction(1, 4)}, 0.25),
        ({"number": torch.tensor(2.0)}, 2.0),
        ({"number": np.array(2)}, 2),
        ({"number": float("inf")}, float("inf")),
        ({"count": 3.0}, 3),
        ({"count": np.uint8(3)}, 3),
        ({"flag": np.False_}, False),
        ({"word": "two"}, Word.TWO),
        ({"many": 2}, 2),
        ({"pair": [3, 4.0]}, (3, 4)),
        ({"several": range(3)}, [0, 1, 2]),
        ({"table": None}, None),
    ],
)
def test_definition_single_values_become_pythons_own(given, wanted):
    (name,) = given
    found = mixed(**given)[name]
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"number": float("nan")}, "number must be a number, got nan"),
        ({"number": True}, "number must be a number, got True"),
        ({"number": "1"}, "number must be a number, got '1'"),
        ({"number": 1j}, "number must be a number, got complex"),
        ({"number": [1.0]}, "number must be a number, got list"),
        ({"number": np.ones(1)}, r"number must be a number, got ndarray of shape \(1,\)"),
        ({"number": np.ma.masked}, "number must be a number, got Masked"),
        ({"number": np.timedelta64(1, "s")}, "number must be a number"),
        ({"number": np.datetime64(1, "ns")}, "number must be a number"),
        ({"count": np.array(1, "m8[ns]")}, "count must be a whole number"),
        ({"count": torch.tensor(1, device="meta")}, "count must be a whole number, got Tensor"),
        ({"number": Fraction(1, 3)}, "number must be a number that a float holds exactly"),
        ({"number": 2**53 + 1}, "number must be a number that a float holds exactly"),
        ({"number": 10**400}, "number must be a number that a float holds exactly"),
        ({"count": 2.5}, "count must be a whole number, got 2.5"),
        ({"count": float("inf")}, "count must be a whole number, got inf"),
        ({"count": 10**400}, "count must be a whole number of at most 64 bits, got one of 1329 bits"),
        ({"flag": 1}, "flag must be True or False, got 1"),
        ({"word": "TWO"}, "word must be one of 'one', 'two', got 'TWO'"),
        ({"way": "nowhere"}, "way must be one of 'here', 'there', got 'nowhere'"),
        ({"many": [[1.0]]}, r"many must have shape \(points\)"),
        ({"pair": (1, 2, 3)}, "pair must hold 2 values, got 3"),
        ({"pair": (1, 2.5)}, "pair must be a whole number, got 2.5"),
        ({"several": "12"}, "several must be a list or a tuple, got '12'"),
        ({"table": 3}, "table must be a Mapping, got 3"),
        ({"apply": 3}, "apply must be a function, got 3"),
        ({"path": 3}, "path must be a string or a path, got 3"),
        ({"text": b"x"}, "text must be a string, got bytes"),
        ({"text": 3}, "text must be a string, got 3"),
        ({"rng": np.random}, "rng must be a numpy.random.Generator, .*, got numpy.random"),
        ({"rng": 0}, "rng must be a numpy.random.Generator, .*, got 0"),
        ({"short": [1e39]}, "short must be numbers in the range of float32, got 1 larger ones"),
        ({"tiny": [1.0]}, "tiny must be integers, got dtype float64"),
        ({"tiny": [128]}, "tiny must be numbers that int8 holds exactly, got 1 others"),
        ({"real": ["a"]}, "real must be an array of numbers"),
        ({"truth": np.ones((2, 3), bool)}, r"truth must have shape \(\*any, 2\), got shape \(2, 3\)"),
        ({"word": "\x1b[31mred"}, r"word must be one of .*, got '\\x1b\[31mred'"),
        ({"word": "x" * 10_000}, "word must be one of .{1,99}$"),
    ],
)
def test_definition_single_values_of_another_kind_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        mixed(**given)


def test_definition_a_shorter_float_is_the_one_cast_that_rounds():
    np.testing.assert_array_equal(mixed(short=[0.1])["short"], np.array([0.1], dtype=np.float32))
    assert mixed(real=np.zeros(2, ">f4"))["real"].dtype == np.float32


def test_definition_what_does_not_fit_leaves_no_length_behind():
    @door
    def either(
        x: Float[ndarray, "models records"] | Float[ndarray, "records"], y: Float[ndarray, "models"]
    ) -> int:
        return x.ndim

    assert either(np.ones(5), np.ones(3)) == 1
    assert either(np.ones((3, 5)), np.ones(3)) == 2
    with pytest.raises(ValueError, match="x and y must have the same number of models, got 3 and 4"):
        either(np.ones((3, 5)), np.ones(4))


def test_definition_a_class_is_entered_by_its_door_also_when_it_is_changed():
    @door
    @dataclass(frozen=True)
    class Held:
        value: float
        word: Word = Word.ONE

    assert replace(Held(np.float32(1)), word="two") == Held(1.0, Word.TWO)
    with pytest.raises(ValueError, match="value must be a number, got nan"):
        replace(Held(1.0), value=float("nan"))


def test_definition_arguments_stay_what_they_were():
    x, y = TABLE[::-1].copy()[::-1], np.arange(3)
    before = x.strides
    scored(x, y)
    assert x.strides == before
    np.testing.assert_array_equal(x, TABLE)


def test_coverage_every_public_function_has_a_door():
    """Found by walking the package: nobody has to remember."""
    without = "mialab.secure.SystemGenerator"  # see test_fuzz
    for name, thing in public.callables().items():
        made = thing.__init__ if isinstance(thing, type) else thing
        assert getattr(made, "__door__", False) or name.startswith(without), name


def test_coverage_every_annotation_of_a_public_function_is_read():
    for thing in public.callables().values():
        made = thing.__init__ if isinstance(thing, type) else thing
        if getattr(made, "__door__", False):
            assert _validation._Plan.of(made)


def test_limit_of_an_empty_array_there_is_nothing_to_refuse():
    assert _arrays.array("x", [], "float").shape == (0,)
    assert _arrays.array("x", np.empty((0, 3), int), "float").shape == (0, 3)
