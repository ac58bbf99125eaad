"""Where a condition stops holding: the one search by halving that everything uses."""

from collections.abc import Callable


def bisect(
    holds: Callable[[float], bool], inside: float, outside: float, *, close: float = 0.0
) -> tuple[float, float]:
    """Return two neighbouring numbers, the condition holding at the first and not at the second.

    It is supposed to hold at ``inside`` and not at ``outside``, and neither is asked. Ends when both are at
    most ``close`` apart, or no float lies between them. ``inside`` may be the larger.

    Examples
    --------
    >>> bisect(lambda x: x * x <= 2, 1.0, 2.0)
    (1.414213562373095, 1.4142135623730951)
    >>> bisect(lambda x: x > 0.3, 1.0, 0.0, close=0.01)
    (0.3046875, 0.296875)
    """
    while abs(outside - inside) > close:
        middle = inside + (outside - inside) / 2
        if middle in (inside, outside):
            break
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside, outside


def double(holds: Callable[[float], bool], inside: float, outside: float) -> tuple[float, float]:
    """Double ``outside`` until it does not hold; return the last that holds and the first that does not.

    Examples
    --------
    >>> double(lambda x: x < 100, 0.0, 1.0)
    (64.0, 128.0)
    """
    while holds(outside):
        inside, outside = outside, 2 * outside
    return inside, outside
