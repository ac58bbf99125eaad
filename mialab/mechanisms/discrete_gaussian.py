"""Gaussian noise that is exact to the last bit: integers on a grid, drawn with whole numbers only.

Canonne, Kamath & Steinke 2020, Algorithm 3, and the exact curve of what is released.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy import ndarray

from mialab import _check
from mialab._types import Finer
from mialab._validation import door
from mialab.accounting import Guarantee, Neighbours
from mialab.mechanisms.discrete import check_grid, discrete_laplace, exp_coin, grid_steps, nearest
from mialab.mechanisms.noise import gaussian_curve, keep_floats
from mialab.tradeoff import DominatingPair, epsilon_at
from mialab.tradeoff.continuous import mirrored
from mialab.tradeoff.pair import Numbers

__all__ = ["DiscreteGaussian"]

_REACH = 12  # standard deviations to either side; what lies beyond is counted as giving everything away
_MOST = 2**16  # grid points to either side that are listed
_CHORDS = 2000  # to either side of 0, of the curve where they are not
_FARTHEST_LOSS = 600.0  # of these: e^loss is a float
_FAR = 1e6  # standard deviations: nothing is left there
_ROUNDED = 1e-9


@door
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
    ε ≤ 0.927355 at δ = 1e-05 (proved, add-remove)
    """

    noise_multiplier: Finer
    sensitivity: Finer
    grid: Finer
    neighbours: Neighbours

    def __post_init__(self):
        keep_floats(self, "noise_multiplier", "sensitivity", "grid")
        check_grid(self.grid, max(self._spread, self.steps))

    @property
    def steps(self) -> int:
        """How many grid points two neighbours' values are apart at most, after rounding."""
        return grid_steps(self.sensitivity, self.grid)

    @property
    def curve(self) -> DominatingPair:
        """The curve for values that lie all of these steps apart; fewer steps are harder to tell apart.

        (The best attack accuses above a threshold, and a larger shift can only move more of the one
        distribution above it.) Where there are too many grid points to list, it is a polygon around that
        of `WideBell`.
        """
        promise = self._promise
        return _around(promise) if isinstance(promise, WideBell) else promise

    @door
    def guarantee(self, delta: float) -> Guarantee:
        """Return the ε at a δ in (0, 1], for what is released."""
        _check.rate("delta", delta)
        epsilon = epsilon_at(self._promise, delta)
        if not np.isfinite(epsilon):
            _check.refuse("delta", "be above what the far tails weigh", delta)
        return Guarantee(epsilon, delta, self.neighbours)

    @property
    def _spread(self) -> Fraction:
        """Standard deviation of the noise, before it is made whole, in grid steps."""
        return Fraction(self.noise_multiplier) * self.steps

    @property
    def _promise(self) -> "DominatingPair | WideBell":
        """The exact curve, or its bound where too many grid points matter to list them."""
        reach = math.ceil(_REACH * self._spread) + self.steps
        if reach > _MOST:
            return WideBell(self.noise_multiplier, float(self._spread))
        noise = np.arange(-reach, reach + 1)
        chance = np.exp(-(noise**2) / (2 * float(self._spread) ** 2))
        chance /= chance.sum()
        beyond = np.zeros(self.steps)
        return DominatingPair(np.concatenate([beyond, chance]), np.concatenate([chance, beyond]))

    @door
    def __call__(self, value: float, *, rng: np.random.Generator) -> float:
        """Return the noisy number, a multiple of the grid.

        Raises
        ------
        ValueError
            As for `DiscreteLaplace`.
        """
        point = nearest(value, self.grid)
        noise = discrete_gaussian(self._spread**2, rng=rng)
        return float((point + noise) * Fraction(self.grid))


@dataclass(frozen=True)
class WideBell:
    """An upper bound on the curve of a discrete Gaussian, as near as its grid is fine, in closed form.

    With f(x) = e^(−x²/(2s²)), noise of spread s moved by k grid steps has (Canonne, Kamath & Steinke 2020,
    Theorem 7)

        δ(ε) = Σ g(j) / Σ f(j),    g(x) = f(x) − e^ε·f(x + k), the first sum over the integers j above the
                                   zero x₀ = ε·s²/k − k/2 of g.

    The second sum is at least ∫f = s·√(2π) (Poisson's summation formula has only positive terms). For the
    first, integrate by parts twice: Σ g(j) − ∫g = −P(x₀)·g′(x₀) − ∫P·g″, where 2·P(x) = {x}² − {x} + 1/6 and
    |P| ≤ 1/12. With V(x) for the variation of f′ beyond x, |g′(x₀)| and ∫|g″| are at most
    V(x₀) + e^ε·V(x₀ + k), and so

        δ(ε) ≤ δ of real Gaussian noise + (V(x₀) + e^ε·V(x₀ + k)) / (6·s·√(2π)).

    The second part is about 1/s² of the first.

    Attributes
    ----------
    noise_multiplier
        s/k: the spread in units of the largest shift.
    spread
        s, in grid steps.

    Examples
    --------
    >>> fine = WideBell(2.0, 2e8)
    >>> print(f"{fine.delta(0.5):.10f}", f"{gaussian_curve(2.0).delta(0.5):.10f}")
    0.0524403233 0.0524403233
    """

    noise_multiplier: float
    spread: float

    @property
    def largest_loss(self) -> float:
        """The smallest ε at δ = 0: there is none."""
        return np.inf

    def delta(self, epsilon: Numbers) -> Numbers:
        """Return a δ that holds at ``epsilon``, which may be below 0: the worlds are mirror images."""
        real = gaussian_curve(self.noise_multiplier)
        return mirrored(lambda size: np.minimum(real.delta(size) + self._grid_adds(size), 1.0), epsilon)

    def _grid_adds(self, epsilon: ndarray) -> ndarray:
        """Return (V(x₀) + e^ε·V(x₀ + k))/(6·s·√(2π)), in units of s and a little upward."""
        epsilon = np.minimum(epsilon, 2 * _FAR / self.noise_multiplier)
        zero = epsilon * self.noise_multiplier - 0.5 / self.noise_multiplier
        moved = epsilon * self.noise_multiplier + 0.5 / self.noise_multiplier
        with np.errstate(over="ignore", invalid="ignore"):
            here = _variation(zero, np.exp(-np.minimum(zero**2 / 2, 800.0)))
            # Where x₀ + k is beyond s, e^ε·f(x₀ + k) is f(x₀); elsewhere ε is below 2.
            near = np.exp(np.minimum(epsilon, 2.0)) * _variation(moved, np.exp(-(moved**2) / 2))
            there = np.where(moved >= 1, moved * np.exp(-np.minimum(zero**2 / 2, 800.0)), near)
        added = (1 + _ROUNDED) * (here + there) / (6 * np.sqrt(2 * np.pi)) / self.spread / self.spread
        return np.where(zero < _FAR, added, 0.0)


def _variation(x: ndarray, height: ndarray) -> ndarray:
    """Return the variation of f′ beyond x for s = 1, where f(x) is ``height``; it is steepest at ±1."""
    steepest = math.exp(-0.5)
    return np.where(x >= 1, x * height, np.where(x >= -1, 2 * steepest - x * height, 4 * steepest))


def _around(bell: WideBell) -> DominatingPair:
    """Return outputs of equally spaced losses whose δ is that of the bound there, and a chord in between.

    The chords are straight in e^ε, where every curve is convex. Losses below 0 mirror those above it.
    """
    reach = (0.5 / bell.noise_multiplier + _REACH) / bell.noise_multiplier
    loss = np.linspace(0, min(reach, _FARTHEST_LOSS), _CHORDS + 1)
    grown, delta = np.exp(loss), np.asarray(bell.delta(loss))
    steep = np.append(-np.diff(delta) / np.diff(grown), 0.0)  # what lies beyond, without the record
    without = np.maximum(-np.diff(steep), 0.0)
    present = without * grown[1:]
    same = max(1 - delta[-1] - present.sum() - without.sum(), 0.0)
    member = np.concatenate([delta[-1:], present[::-1], [same], without, [0.0]])
    return DominatingPair(member, member[::-1].copy())


def discrete_gaussian(variance: Fraction, *, rng: np.random.Generator) -> int:
    """Draw an integer k with probability proportional to e^(−k²/(2·variance)), exactly, for one above 0.

    Canonne, Kamath & Steinke 2020, Algorithm 3: draw two-sided geometric numbers until one is kept.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> abs(np.mean([discrete_gaussian(Fraction(4), rng=rng) for _ in range(200)])) < 0.6
    np.True_
    """
    wide = math.isqrt(variance.numerator // variance.denominator) + 1
    while True:
        drawn = discrete_laplace(Fraction(1, wide), rng=rng)
        if exp_coin((abs(drawn) - variance / wide) ** 2 / (2 * variance), rng=rng):
            return drawn
