"""What a checker says."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

Objection = tuple[bool | np.bool_, str]


@dataclass(frozen=True)
class Feedback:
    """The word of a checker.

    Examples
    --------
    >>> print(Feedback(False, "Is that the right way round?"))
    Not yet. Is that the right way round?
    """

    right: bool
    text: str

    def __str__(self) -> str:
        return f"{'Right.' if self.right else 'Not yet.'} {self.text}"

    __repr__ = __str__


def first_objection(objections: Iterable[Objection], praise: str) -> Feedback:
    """Return the hint of the first objection that holds, or the praise.

    Objections are looked at in order, and lazily: a later one may suppose that the earlier do not hold.
    """
    for holds, hint in objections:
        if holds:
            return Feedback(False, hint)
    return Feedback(True, praise)


def guarded(check: Callable[[], Feedback]) -> Feedback:
    """Run a check of somebody's function, and turn what it raises into a hint."""
    try:
        return check()
    except NotImplementedError as error:
        return Feedback(False, f"It is still a stub: {error}")
    except Exception as error:  # whatever a student's function may raise
        return Feedback(False, f"It raised {type(error).__name__}: {error}")
