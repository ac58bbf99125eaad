"""Gaussian noise that is exact to the last bit: integers on a grid, drawn with whole numbers only.

Canonne, Kamath & Steinke 2020, Algorithm 3, and the exact curve of what is released.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mialab import _check
from mialab.accounting import Guarantee, Neighbours
from mialab.mechanisms._fields import keep_floats
from mialab.mechanisms.discrete import check_grid, discrete_laplace, exp_coin, grid_steps, nearest
from mialab.tradeoff import Pair, epsilon_at

_REACH = 12  # standard deviations to either side; what lies beyond is counted as giving everything away


@dataclass(frozen=True)
class DiscreteGaussian:
    """Round a number to a grid, and move it by a random whole number of grid steps.

    Noise of k steps has probability proportional to e^(−k²/(2s²)), where s is ``noise_multiplier`` times the
    number of grid steps that two neighbours can be apart. What `DiscreteLaplace` says of bits and of sums
    of floats holds here too.

    Whoever knows the seed of ``rng`` can draw the same noise and take it off again:
    pass `mialab.secure.SystemGenerator()` to release something.

    Attributes
    ----------
    noise_multiplier
        σ, above 0: noise in units of the sensitivity, rounded up to the grid.
    sensitivity
        The largest change of the number between neighbours.
    grid
        Distance of the grid points, in the units of the value; 1 for a count.
    neighbours
        The relation for which the sensitivity was found.

    Raises
    ------
    ValueError
        If ``noise_multiplier``, ``sensitivity`` or ``grid`` is not above 0 and finite, or so small or large
        that a square of it is no float; or if the grid is too fine for floats to tell its points apart.

    Examples
    --------
    >>> count = DiscreteGaussian(4.0, sensitivity=1.0, grid=1.0, neighbours=Neighbours.ADD_REMOVE)
    >>> count(212, rng=np.random.default_rng(1)).is_integer()
    True
    >>> print(count.guarantee(1e-5))
    ε ≤ 0.927355 at δ = 1e-05 (proved, add/remove one record)
    """

    noise_multiplier: float
    sensitivity: float
    grid: float
    neighbours: Neighbours

    def __post_init__(self):
        keep_floats(self, "noise_multiplier", "sensitivity", "grid")
        check_grid(self.grid, max(Fraction(self.noise_multiplier) * self.steps, self.steps))

    @property
    def steps(self) -> int:
        """How many grid points two neighbours' values are apart at most, after rounding."""
        return grid_steps(self.sensitivity, self.grid)

    @property
    def curve(self) -> Pair:
        """The curve for values that lie all of these steps apart; fewer steps are harder to tell apart.

        (The best attack accuses above a threshold, and a larger shift can only move more of the one
        distribution above it.)
        """
        spread = self.noise_multiplier * self.steps
        reach = math.ceil(_REACH * spread) + self.steps
        noise = np.arange(-reach, reach + 1)
        chance = np.exp(-(noise**2) / (2 * spread**2))
        chance /= chance.sum()
        beyond = np.zeros(self.steps)
        return Pair(np.concatenate([beyond, chance]), np.concatenate([chance, beyond]))

    def guarantee(self, delta: float) -> Guarantee:
        """Return the ε at a δ in (0, 1], for what is released."""
        _check.rate("delta", delta)
        epsilon = epsilon_at(self.curve, delta)
        if not np.isfinite(epsilon):
            _check.refuse("delta", "be above what the far tails weigh", delta)
        return Guarantee(epsilon, delta, self.neighbours)

    def __call__(self, value: float, *, rng: np.random.Generator) -> float:
        """Return the noisy number, a multiple of the grid.

        Raises
        ------
        ValueError
            As for `DiscreteLaplace`.
        """
        spread = Fraction(self.noise_multiplier) * self.steps
        noise = discrete_gaussian(spread**2, rng=rng)
        return float((nearest(value, self.grid) + noise) * Fraction(self.grid))


def discrete_gaussian(variance: Fraction, *, rng: np.random.Generator) -> int:
    """Draw an integer k with probability proportional to e^(−k²/(2·variance)), exactly.

    Canonne, Kamath & Steinke 2020, Algorithm 3: draw two-sided geometric numbers until one is kept.

    Raises
    ------
    ValueError
        If ``variance`` is not above 0.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> abs(np.mean([discrete_gaussian(Fraction(4), rng=rng) for _ in range(200)])) < 0.6
    np.True_
    """
    if not variance > 0:
        _check.refuse("variance", "be above 0", variance)
    wide = math.isqrt(variance.numerator // variance.denominator) + 1
    while True:
        drawn = discrete_laplace(Fraction(1, wide), rng=rng)
        if exp_coin((abs(drawn) - variance / wide) ** 2 / (2 * variance), rng=rng):
            return drawn
