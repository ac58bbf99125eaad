"""What a golden case is, and how what it returns becomes a short list of numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import numpy as np
import torch

Side = Literal["exact", "lower", "upper"]
"""What is proved: a lower bound may only fall, an upper bound may only rise, the rest stays as it is."""

Numbers = list[float | str]

_MOST = 20  # of a longer array: the first numbers, the sum, and the sum of squares
RELATIVE = 1e-9
_BESIDE = 1e-12  # of the largest number of a case: what is smaller beside it is rounding


@dataclass(frozen=True)
class Case:
    """One computation: its name in the field's words, the side that is proved, and the call."""

    name: str
    side: Side
    call: Callable[[], Any]

    def run(self) -> Numbers:
        """Call the package; a refusal is an answer too."""
        try:
            return numbers(self.call())
        except ValueError:
            return ["ValueError"]


class Area:
    """The cases of one file, by name."""

    def __init__(self):
        self.cases: dict[str, Case] = {}

    def add(self, name: str, side: Side, function: Callable, *arguments: Any) -> None:
        """Add a case that calls ``function(*arguments)``."""
        if name in self.cases:
            raise ValueError(f"two cases are called {name!r}")
        self.cases[name] = Case(name, side, lambda: function(*arguments))


def generator(seed: int = 0) -> np.random.Generator:
    """Return a generator that every run of a case starts anew."""
    return np.random.default_rng(seed)


def numbers(value: Any) -> Numbers:
    """Flatten what a call returned."""
    if isinstance(value, Enum):
        return [str(value.value)]
    if value is None or isinstance(value, str):
        return [str(value)]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [number for one in value for number in numbers(one)]
    if isinstance(value, torch.Tensor):
        value = value.detach().double().numpy()
    flat = np.asarray(value, dtype=float).ravel()
    if flat.size > _MOST:
        flat = np.concatenate([flat[: _MOST - 2], [flat.sum(), (flat**2).sum()]])
    return [float(one) for one in flat]


def differs(side: Side, before: Numbers, now: Numbers) -> str:
    """Return "", "moved to the safe side", or what is wrong."""
    if len(before) != len(now):
        return f"{len(now)} numbers instead of {len(before)}"
    pairs = list(zip(before, now, strict=True))
    scale = max((abs(one) for one in before if not isinstance(one, str) and math.isfinite(one)), default=0.0)
    moved = ""
    for old, new in pairs:
        if isinstance(old, str) or isinstance(new, str):
            if old != new:
                return "differs"
            continue
        close = old == new or math.isclose(old, new, rel_tol=RELATIVE, abs_tol=_BESIDE * scale)
        both_nan = math.isnan(old) and math.isnan(new)
        if side == "exact":
            if not (close or both_nan):
                return "differs"
        elif not (both_nan or (new <= old if side == "lower" else new >= old)):
            return "moved to the unsafe side"
        elif not (close or both_nan):
            moved = "moved to the safe side"
    return moved
