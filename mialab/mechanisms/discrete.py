"""Noise that is exact to the last bit: integers on a grid, drawn with whole numbers only.

Canonne, Kamath & Steinke 2020, Algorithms 1 and 2. No float is ever computed from the secret and the noise
together, so there is no rounding that could tell of it.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mialab import _check
from mialab._types import Finer
from mialab._validation import door
from mialab.accounting import Guarantee, Neighbours
from mialab.mechanisms.noise import keep_floats

__all__ = ["DiscreteLaplace"]

_FARTHEST = 2**52  # grid points from 0, whatever the grid: floats hold the number of each, noise included


@door
@dataclass(frozen=True)
class DiscreteLaplace:
    """Round a number to a grid, and move it by a random whole number of grid steps.

    The promise is pure ε for what is released, with the rounding accounted for: two values at most
    ``sensitivity`` apart are at most ``steps`` grid points apart, and noise of k steps has probability
    proportional to e^(−ε·|k|/steps): the geometric mechanism of Ghosh, Roughgarden & Sundararajan 2009.
    It holds exactly as far as ``rng`` gives fair bits, and for the value as it is handed over: a sum of
    floats may differ between neighbours by a little more than the mathematics says.

    Whoever knows the seed of ``rng`` can draw the same noise and take it off again:
    pass `mialab.secure.SystemGenerator()` to release something.

    Attributes
    ----------
    epsilon
        Above 0.
    sensitivity
        The largest change of the number between neighbours.
    grid
        Distance of the grid points, in the units of the value; 1 for a count.
    neighbours
        The relation for which the sensitivity was found.

    Raises
    ------
    ValueError
        If ``epsilon``, ``sensitivity`` or ``grid`` is not above 0 and finite, or so small or large that a
        square of it is no float; or if the grid is too fine for floats to tell its points apart.

    Examples
    --------
    >>> count = DiscreteLaplace(epsilon=0.5, sensitivity=1.0, grid=1.0, neighbours=Neighbours.ADD_REMOVE)
    >>> count(212, rng=np.random.default_rng(1))
    211.0
    >>> DiscreteLaplace(0.5, sensitivity=1.0, grid=0.3, neighbours=Neighbours.ADD_REMOVE).steps
    4
    """

    epsilon: Finer
    sensitivity: Finer
    grid: Finer
    neighbours: Neighbours

    def __post_init__(self):
        keep_floats(self, "epsilon", "sensitivity", "grid")
        check_grid(self.grid, max(self.steps / Fraction(self.epsilon), self.steps))

    @property
    def steps(self) -> int:
        """How many grid points two neighbours' values are apart at most, after rounding."""
        return grid_steps(self.sensitivity, self.grid)

    @property
    def guarantee(self) -> Guarantee:
        """What is promised; nothing is left to rounding."""
        return Guarantee(self.epsilon, 0.0, self.neighbours)

    @door
    def __call__(self, value: float, *, rng: np.random.Generator) -> float:
        """Return the noisy number, a multiple of the grid.

        Raises
        ------
        ValueError
            If the value is not one finite real number that a float holds exactly, or lies more than 2⁵²
            grid points from 0. (The refusal is an answer too: bound the value first where its size is
            secret.)
        """
        point = nearest(value, self.grid)
        noise = discrete_laplace(Fraction(self.epsilon) / self.steps, rng=rng)
        return float((point + noise) * Fraction(self.grid))


def check_grid(grid: float, reach: Fraction | int) -> None:
    """Refuse a grid so fine that noise, or neighbours, of so many steps go where floats skip its points."""
    if reach > _FARTHEST // 2**8:
        coarser = float(Fraction(grid) * reach / (_FARTHEST // 2**8))
        _check.refuse("grid", f"be at least {coarser:.3g}, for floats to tell its points apart", grid)


def nearest(value: float, grid: float) -> int:
    """Return the number of the grid point nearest to a value; halves go up, always.

    To the even neighbour, as `round` has it, would move 0.5 and 1.5 two steps apart.

    Examples
    --------
    >>> nearest(0.5, 1.0), nearest(1.5, 1.0), nearest(-0.5, 1.0)
    (1, 2, 0)
    """
    _check.secret("value", value)
    exact = Fraction(value)
    if abs(exact) > _FARTHEST * Fraction(grid):
        _check.refuse("value", "lie within 2**52 grid points of 0", "a larger one")
    return math.floor(exact / Fraction(grid) + Fraction(1, 2))


def grid_steps(sensitivity: float, grid: float) -> int:
    """Return how far apart two values that differ by at most ``sensitivity`` can be after `nearest`.

    Examples
    --------
    >>> grid_steps(1.0, 1.0), grid_steps(1.0, 0.3), grid_steps(0.1, 1.0)
    (1, 4, 1)
    """
    return math.ceil(Fraction(sensitivity) / Fraction(grid))


def discrete_laplace(rate: Fraction, *, rng: np.random.Generator) -> int:
    """Draw an integer k with probability proportional to e^(−rate·|k|), exactly, for a rate above 0.

    Canonne, Kamath & Steinke 2020, Algorithm 2, with rate = s/t.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> [discrete_laplace(Fraction(1, 2), rng=rng) for _ in range(6)]
    [-4, 0, 3, 0, 0, 1]
    """
    while True:
        fine = below(rate.denominator, rng=rng)
        if not exp_coin(Fraction(fine, rate.denominator), rng=rng):
            continue
        coarse = 0
        while exp_coin(Fraction(1), rng=rng):
            coarse += 1
        size = (fine + rate.denominator * coarse) // rate.numerator
        negative = below(2, rng=rng) == 1
        if not (negative and size == 0):  # else 0 would be drawn twice as often
            return -size if negative else size


def exp_coin(rate: Fraction, *, rng: np.random.Generator) -> bool:
    """Draw True with probability e^(−rate), exactly, for a rate of at least 0.

    Canonne, Kamath & Steinke 2020, Algorithm 1: the first failure among coins of probability rate/1, rate/2,
    rate/3, … comes at an odd place with probability e^(−rate). Each whole unit of a rate above 1 has to
    succeed by itself.
    """
    while rate > 1:
        if not exp_coin(Fraction(1), rng=rng):
            return False
        rate -= 1
    place = 1
    while below(rate.denominator * place, rng=rng) < rate.numerator:
        place += 1
    return place % 2 == 1


def below(end: int, *, rng: np.random.Generator) -> int:
    """Draw one of 0 … end − 1, each equally likely, however large ``end`` is.

    From fair bits; a number that is too large is thrown away, and all of its bits are drawn anew.
    """
    bits = (end - 1).bit_length()
    while True:
        drawn = int.from_bytes(rng.bytes((bits + 7) // 8), "little") >> (-bits % 8)
        if drawn < end:
            return drawn
