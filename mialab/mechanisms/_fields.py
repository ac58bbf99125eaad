"""What all mechanisms do with the numbers they are made of."""

from typing import Any

from mialab import _check
from mialab._round import up


def keep_floats(mechanism: Any, *names: str) -> None:
    """Refuse fields that are no moderate positive numbers, and keep the rest as 64-bit floats.

    Rounded upward, where they are finer than that: a sensitivity must not shrink.
    """
    for name in names:
        _check.magnitude(name, getattr(mechanism, name))
        object.__setattr__(mechanism, name, up(getattr(mechanism, name)))
