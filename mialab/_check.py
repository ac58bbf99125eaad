"""The door: every refusal says the name, the rule and the value.

The functions return nothing and change nothing; they raise ``ValueError`` or stay silent.
"""

from collections.abc import Collection

import numpy as np


def refuse(name: str, rule: str, got: object) -> None:
    """Raise the one error message this package knows."""
    raise ValueError(f"{name} must {rule}, got {got}")


def probability(name: str, value: float, *, open_ends: bool = False) -> None:
    """Refuse a value outside [0, 1], or outside (0, 1) with ``open_ends``."""
    inside = 0 < value < 1 if open_ends else 0 <= value <= 1
    if not inside:
        refuse(name, f"be in {'(0, 1)' if open_ends else '[0, 1]'}", value)


def positive(name: str, value: float) -> None:
    """Refuse anything but a finite number above zero."""
    if not (np.isfinite(value) and value > 0):
        refuse(name, "be a finite number above 0", value)


def not_negative(name: str, value: float) -> None:
    """Refuse anything but a finite number of at least zero."""
    if not (np.isfinite(value) and value >= 0):
        refuse(name, "be a finite number of at least 0", value)


def whole(name: str, value: float) -> None:
    """Refuse a number that counts nothing."""
    if int(value) != value:
        refuse(name, "be a whole number", value)


def numbers(name: str, array: np.ndarray) -> None:
    """Refuse an array that is not of numbers."""
    dtype = np.asarray(array).dtype
    if not (np.issubdtype(dtype, np.floating) or np.issubdtype(dtype, np.integer)):
        refuse(name, "be an array of numbers", f"dtype {dtype}")


def at_least(name: str, value: int, least: int) -> None:
    """Refuse an integer below ``least``."""
    if value < least:
        refuse(name, f"be at least {least}", value)


def one_of(name: str, value: object, allowed: Collection) -> None:
    """Refuse a value that is not in a short list, and print the list."""
    if value not in allowed:
        refuse(name, f"be one of {', '.join(map(repr, allowed))}", repr(value))


def finite(name: str, array: np.ndarray) -> None:
    """Refuse NaN and infinity, and say how many there are and where the first one is."""
    wrong = ~np.isfinite(array)
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        refuse(name, "be finite", f"{array[first]} at {first} ({int(wrong.sum())} such values)")


def boolean(name: str, array: np.ndarray) -> None:
    """Refuse membership that is not an array of booleans: a 0/1 column may mean anything."""
    if np.asarray(array).dtype != bool:
        refuse(name, "be an array of bool", f"dtype {np.asarray(array).dtype}")


def same_shape(first_name: str, first: np.ndarray, second_name: str, second: np.ndarray) -> None:
    """Refuse two arrays that do not describe the same things."""
    if np.shape(first) != np.shape(second):
        shapes = f"{np.shape(first)} and {np.shape(second)}"
        refuse(f"{first_name} and {second_name}", "have the same shape", shapes)


def dimensions(name: str, array: np.ndarray, words: str) -> None:
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
    label = np.asarray(label)
    if not np.issubdtype(label.dtype, np.integer):
        refuse(name, "be integers", f"dtype {label.dtype}")
    if label.size and not (label.min() >= 0 and label.max() < classes):
        refuse(name, f"be in 0 … {classes - 1}", f"values from {label.min()} to {label.max()}")
