"""Round what is known exactly to a float on the safe side."""

import math
from decimal import Decimal
from fractions import Fraction


def up(exact: Fraction | Decimal | float) -> float:
    """Return the smallest float that is not below ``exact``.

    Examples
    --------
    >>> up(Fraction(1, 2)), up(Fraction(1, 3)) > Fraction(1, 3)
    (0.5, True)
    """
    try:
        nearest = float(exact)
    except OverflowError:  # beyond all floats
        nearest = math.inf if exact > 0 else -math.inf
    return nearest if nearest >= exact else math.nextafter(nearest, math.inf)


def digits_up(value: float, significant: int = 6) -> str:
    """Write a bound with few digits, never smaller than it is.

    Examples
    --------
    >>> digits_up(1.0986122886681098), digits_up(1.0), digits_up(1e-5), digits_up(0.0)
    ('1.09862', '1', '1e-05', '0')
    """
    return _digits(Decimal(repr(float(value))), significant, "ROUND_CEILING")


def digits_down(value: float, significant: int = 6, *, percent: bool = False) -> str:
    """Write a number of at least 0 with few digits, never larger than it is; per cent if asked.

    Examples
    --------
    >>> digits_down(1.0986122886681098), digits_down(1e-5), digits_down(0.95, percent=True)
    ('1.09861', '1e-05', '95')
    """
    return _digits(Decimal(repr(float(value))) * (100 if percent else 1), significant, "ROUND_FLOOR")


def decimals_down(value: float, places: int = 3) -> str:
    """Write a number with a fixed number of decimals, never larger than it is.

    Examples
    --------
    >>> decimals_down(0.9617), decimals_down(2.0)
    ('0.961', '2.000')
    """
    return str(Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-places), rounding="ROUND_FLOOR"))


def _digits(said: Decimal, significant: int, rounding: str) -> str:
    """Write a decimal, the shortest that means some float, with so many digits."""
    last_place = Decimal(1).scaleb(said.adjusted() - significant + 1)
    return f"{float(said.quantize(last_place, rounding=rounding)):.{significant}g}"
