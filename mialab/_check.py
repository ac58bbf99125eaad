"""Ranges: every refusal says the name, the rule and the value.

The functions return nothing and change nothing; they raise ``ValueError`` or stay silent. What they get has
been through the door of `_validation`: numbers are numbers, arrays hold numbers and no NaN.
"""

import math
from collections.abc import Collection, Sized
from typing import NoReturn

import numpy as np

_LARGE = 2.0**480


def refuse(name: str, rule: str, got: object) -> NoReturn:
    """Raise the one error message this package knows."""
    raise ValueError(f"{name} must {rule}, got {got}")


def probability(name: str, value: float, *, open_ends: bool = False) -> None:
    """Refuse a value outside [0, 1], or outside (0, 1) with ``open_ends``."""
    if not (0 < value < 1 if open_ends else 0 <= value <= 1):
        refuse(name, f"be in {'(0, 1)' if open_ends else '[0, 1]'}", value)


def confidence(value: float) -> None:
    """Refuse a confidence outside (0, 1)."""
    probability("confidence", value, open_ends=True)


def rate(name: str, value: float) -> None:
    """Refuse a value outside (0, 1]: no chance at all is not meant."""
    if not 0 < value <= 1:
        refuse(name, "be in (0, 1]", value)


def share(name: str, value: float) -> None:
    """Refuse a value outside [0, 1): not everything."""
    if not 0 <= value < 1:
        refuse(name, "be in [0, 1)", value)


def above_0(name: str, value: float) -> None:
    """Refuse anything but a number above zero; infinity may pass."""
    if not value > 0:
        refuse(name, "be above 0", value)


def positive(name: str, value: float) -> None:
    """Refuse anything but a finite number above zero."""
    if not 0 < value < math.inf:
        refuse(name, "be a finite number above 0", value)


def not_negative(name: str, value: float) -> None:
    """Refuse anything but a finite number of at least zero."""
    if not 0 <= value < math.inf:
        refuse(name, "be a finite number of at least 0", value)


def magnitude(name: str, value: float) -> None:
    """Refuse anything but a positive number whose square, and product or ratio with another, is a float."""
    positive(name, value)
    if not 1 / _LARGE <= value <= _LARGE:
        refuse(name, f"be between {1 / _LARGE:.0e} and {_LARGE:.0e}", value)


def at_least(name: str, value: float, least: int) -> None:
    """Refuse a number below ``least``."""
    if value < least:
        refuse(name, f"be at least {least}", value)


def within(name: str, value: int, most: int, what: str) -> None:
    """Refuse a number below 0, or above the number of what it is a part of."""
    if not 0 <= value <= most:
        refuse(name, f"be in 0 … {most} ({what})", value)


def count(name: str, value: int, least: int) -> None:
    """Refuse anything but a number from ``least`` to 2**53, up to which floats count."""
    at_least(name, value, least)
    if value > 2**53:
        refuse(name, "be at most 2**53, up to which floats count", value)


def hold(name: str, array: Sized, least: int, what: str) -> None:
    """Refuse fewer than ``least`` of what a thing is made of."""
    if len(array) < least:
        refuse(name, f"hold at least {least} {what}" if least > 1 else f"hold {what}", len(array) or "none")


def secret(name: str, array: np.ndarray | float) -> None:
    """Refuse what noise in 64 bits cannot hide: all but finite numbers that such a float holds exactly.

    The message says how many are wrong, and never which, nor what they are.
    """
    exact = np.asarray(array)
    if exact.dtype.kind == "f" and not np.isfinite(exact).all():
        refuse(name, "be finite", f"{int((~np.isfinite(exact)).sum())} other values")
    if exact.dtype.kind != "f" and ((exact > 2**53) | (exact < -(2**53))).any():
        refuse(name, "be within 2**53, beyond which floats skip integers", "a larger one")


def hidden(name: str, array: np.ndarray | float, scale: float) -> None:
    """Refuse secrets whose floats lie too far apart for noise, or a sensitivity, of this scale.

    Rounding to a float moves each of two neighbours' values by half a spacing, which adds a share of
    spacing/sensitivity to ε. A millionth is allowed: no more than a promise printed with six digits is
    rounded up by. (Where the spacing is as large as the noise, what comes out is the secret itself.)
    """
    secret(name, array)
    if np.size(array) and np.spacing(np.abs(np.asarray(array, dtype=float)).max()) > scale / 2**20:
        rule = f"be small enough for floats to tell {scale:.3g} apart, a million times over"
        refuse(name, rule, "a larger one")


def one_of(name: str, value: object, allowed: Collection) -> None:
    """Refuse a value that is not in a short list, and print the list."""
    if value not in allowed:
        refuse(name, f"be one of {', '.join(map(repr, allowed))}", repr(value))


def finite(name: str, array: np.ndarray) -> None:
    """Refuse NaN and infinity, and say how many there are and where the first one is."""
    wrong = ~np.isfinite(array)
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        refuse(name, "be finite", f"{np.asarray(array)[first]} at {first} ({int(wrong.sum())} such values)")


def squares(name: str, array: np.ndarray, *, twice: bool = False) -> None:
    """Refuse numbers that are not finite, or have no finite square; ``twice``, no finite fourth power."""
    finite(name, array)
    most, what = (_LARGE**0.5, "fourth powers") if twice else (_LARGE, "squares")
    if np.size(array) and (largest := np.abs(array).max()) > most:
        refuse(name, f"be within ±{most:.0e}, for its {what} to be floats", largest)


def all_squares(*, twice: bool = False, **arrays: np.ndarray) -> None:
    """Refuse what `squares` refuses, in arrays that are given by their names."""
    for name, array in arrays.items():
        squares(name, array, twice=twice)


def same_shape(first_name: str, first: np.ndarray, second_name: str, second: np.ndarray) -> None:
    """Refuse two arrays that do not describe the same things."""
    if np.shape(first) != np.shape(second):
        shapes = f"{np.shape(first)} and {np.shape(second)}"
        refuse(f"{first_name} and {second_name}", "have the same shape", shapes)


def dimensions(name: str, array: np.ndarray | float, words: str) -> None:
    """Refuse an array whose number of axes is not that of ``words``, as in ``"models records"``."""
    if np.ndim(array) != len(words.split()):
        refuse(name, f"have shape ({', '.join(words.split())})", f"shape {np.shape(array)}")


def both_kinds(name: str, member: np.ndarray) -> None:
    """Refuse a membership array without members, or without non-members."""
    members = int(np.count_nonzero(member))
    if members in (0, member.size):
        refuse(name, "hold members and non-members", f"{members} members of {member.size} records")


def labels(name: str, label: np.ndarray, classes: int) -> None:
    """Refuse labels that are not integers in 0 … classes - 1."""
    if label.size and not (label.min() >= 0 and label.max() < classes):
        refuse(name, f"be in 0 … {classes - 1}", f"values from {label.min()} to {label.max()}")
