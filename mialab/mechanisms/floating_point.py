"""Why the last bit matters: textbook Laplace noise in floating point, and how it gives the value away.

Mironov 2012. The noise is computed from one of 2⁵³ uniform numbers, and so takes values with gaps between
them. Added to 0 and added to 1 the gaps fall on different places: an output that only one of the two can
produce names it, whatever ε was promised.
"""

import math

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door

_GRID = 2.0**-53  # distance of NumPy's uniform numbers


@door
def textbook_laplace(value: float, scale: float, *, rng: np.random.Generator) -> float:
    """Add Laplace noise as a textbook does: the inverse distribution function of a uniform number.

    A sign, and scale · ln(u) with u in {1, …, 2⁵³}/2⁵³. Broken on purpose: see the module.
    Whoever knows the seed of ``rng`` can draw the same noise and take it off again:
    pass `mialab.secure.SystemGenerator()` to release something, and another mechanism.

    Raises
    ------
    ValueError
        If ``value`` is not a finite real number, or so large that the next float is not far nearer than
        the noise reaches; or if ``scale`` is not above 0, or a square of it is no float.

    Examples
    --------
    >>> -20 < textbook_laplace(0.0, 1.0, rng=np.random.default_rng(0)) < 20
    True
    """
    _check_noise(value, scale)
    sign = 1.0 if rng.random() < 0.5 else -1.0
    return float(value) + sign * (scale * math.log(1 - rng.random()))


@door
def could_come_from(
    output: Float[ndarray, "outputs"], value: float, scale: float
) -> Bool[ndarray, "outputs"]:
    """Tell which outputs `textbook_laplace` can produce from a value.

    For each output, u = e^(−|output − value|/scale) is what the noise must have been computed from. All
    uniform numbers so near to it that rounding could hide the difference are tried.

    Parameters
    ----------
    output
        Released numbers.
    value, scale
        What is supposed to be behind them.

    Raises
    ------
    ValueError
        If an output is not finite, or as for `textbook_laplace`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> seen = np.array([textbook_laplace(1.0, 1.0, rng=rng) for _ in range(500)])
    >>> could_come_from(seen, 1.0, 1.0).all(), could_come_from(seen, 0.0, 1.0).mean() < 0.8
    (np.True_, np.True_)
    """
    _check_noise(value, scale)
    _check.finite("output", output)
    return np.array([_possible(float(one), value, scale) for one in output], dtype=bool)


def _possible(output: float, value: float, scale: float) -> bool:
    sign = -1.0 if output >= value else 1.0
    guess = math.exp(-abs(output - value) / scale)
    # The released float stands for all reals that round to it: half a last place, and as much for each step.
    slack = 2 * (math.ulp(output) + math.ulp(output - value)) / scale * guess
    reach = math.ceil(slack / _GRID) + 2
    if reach > 1000:  # so many candidates that one of them fits
        return True
    middle = round(guess / _GRID)
    candidates = range(max(1, middle - reach), min(2**53, middle + reach) + 1)
    return any(value + sign * (scale * math.log(step * _GRID)) == output for step in candidates)


def _check_noise(value: float, scale: float) -> None:
    _check.magnitude("scale", scale)
    _check.hidden("value", value, scale)
