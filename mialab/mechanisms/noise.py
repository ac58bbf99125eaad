"""Real-valued noise on a number, or on several.

Both mechanisms are what the theorems are about: real numbers. A computer has floats, and their last bits can
give the value away (see `floating_point`): to release something, use `discrete`.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._bisection import bisect, double
from mialab._round import up
from mialab._types import Finer
from mialab._validation import door
from mialab.accounting import Guarantee, Neighbours
from mialab.tradeoff import GaussianCurve, LaplaceCurve, epsilon_at
from mialab.tradeoff.convert import allowed

__all__ = ["Gaussian", "Laplace", "calibrate", "gaussian_curve"]

_LEAST_NOISE = 2.0**-1022
_LEAST_DELTA = 1e-300


@door
@dataclass(frozen=True)
class Laplace:
    """Add Laplace noise of scale sensitivity/ε to every number.

    Dwork, McSherry, Nissim & Smith 2006; Dwork & Roth 2014, Theorem 3.6.

    Whoever knows the seed of ``rng`` can draw the same noise and take it off again:
    pass `mialab.secure.SystemGenerator()` to release something.

    Attributes
    ----------
    epsilon
        Above 0.
    sensitivity
        The largest sum of absolute changes (L1) between neighbours, in the units of the value.
    neighbours
        The relation for which the sensitivity was found. The same query has another one for the other.

    Raises
    ------
    ValueError
        If ``epsilon`` or ``sensitivity`` is not above 0 and finite, or so small or large that a square of
        it is no float.

    Examples
    --------
    >>> count = Laplace(epsilon=0.5, sensitivity=1.0, neighbours=Neighbours.ADD_REMOVE)
    >>> count.scale, count(np.array([212.0]), rng=np.random.default_rng(0)).round(2)
    (2.0, array([212.64]))
    """

    epsilon: Finer
    sensitivity: Finer
    neighbours: Neighbours

    def __post_init__(self):
        keep_floats(self, "epsilon", "sensitivity")

    @property
    def scale(self) -> float:
        """Mean absolute noise, in the units of the value; the standard deviation is √2 times that."""
        return self.sensitivity / self.epsilon

    @property
    def guarantee(self) -> Guarantee:
        """What is promised, in real arithmetic."""
        return Guarantee(self.epsilon, 0.0, self.neighbours)

    @property
    def curve(self) -> LaplaceCurve:
        """The exact curve for a single number that moves by the whole sensitivity."""
        return LaplaceCurve(self.epsilon)

    @door
    def __call__(
        self, value: Float[ndarray, "*numbers"], *, rng: np.random.Generator
    ) -> Float[ndarray, "*numbers"]:
        """Return the noisy values; every number has noise of its own.

        Raises
        ------
        ValueError
            If a value is not a finite real number that a float holds exactly, or so large that the next
            float is not far nearer than the noise and the sensitivity reach. (The refusal is an answer
            too: bound the values first where their size is secret.)
        """
        _check.hidden("value", value, min(self.scale, self.sensitivity))
        return value + rng.laplace(scale=self.scale, size=value.shape)


@door
@dataclass(frozen=True)
class Gaussian:
    """Add Gaussian noise to every number.

    Whoever knows the seed of ``rng`` can draw the same noise and take it off again:
    pass `mialab.secure.SystemGenerator()` to release something.

    Attributes
    ----------
    noise_multiplier
        σ, above 0: the noise has standard deviation σ · sensitivity.
    sensitivity
        The largest Euclidean distance (L2) between neighbours' values, in their units.
    neighbours
        The relation for which the sensitivity was found.

    Raises
    ------
    ValueError
        If ``noise_multiplier`` or ``sensitivity`` is not above 0 and finite, or so small or large that a
        square of it is no float.

    Examples
    --------
    >>> noise = Gaussian(calibrate(1.0, 1e-5), sensitivity=2.0, neighbours=Neighbours.ADD_REMOVE)
    >>> round(noise.standard_deviation, 4), noise.curve.mu < 0.27
    (7.4613, True)
    >>> print(noise.guarantee(1e-5))
    ε ≤ 1 at δ = 1e-05 (proved, add-remove)
    """

    noise_multiplier: Finer
    sensitivity: Finer
    neighbours: Neighbours

    def __post_init__(self):
        keep_floats(self, "noise_multiplier", "sensitivity")

    @property
    def standard_deviation(self) -> float:
        """Of the noise on each number, in the units of the value."""
        return self.noise_multiplier * self.sensitivity

    @property
    def curve(self) -> GaussianCurve:
        """The exact curve for values that lie a whole sensitivity apart: μ = 1/σ, rounded upward."""
        return gaussian_curve(self.noise_multiplier)

    @door
    def guarantee(self, delta: float) -> Guarantee:
        """Return the ε at a δ in (0, 1], in real arithmetic."""
        _check.rate("delta", delta)
        return Guarantee(epsilon_at(self.curve, delta), delta, self.neighbours)

    @door
    def __call__(
        self, value: Float[ndarray, "*numbers"], *, rng: np.random.Generator
    ) -> Float[ndarray, "*numbers"]:
        """Return the noisy values; every number has noise of its own.

        Raises
        ------
        ValueError
            As for `Laplace`.
        """
        _check.hidden("value", value, min(self.standard_deviation, self.sensitivity))
        return value + rng.normal(scale=self.standard_deviation, size=value.shape)


@door
def calibrate(epsilon: float, delta: float) -> float:
    """Return the smallest noise multiplier for which Gaussian noise is (ε, δ)-private, rounded upward.

    Balle & Wang 2018, Theorem 8, by bisection that keeps the private end. It holds for every ε ≥ 0; the
    older √(2·ln(1.25/δ))/ε is proved for ε < 1 only, and is larger there.

    Raises
    ------
    ValueError
        If ``epsilon`` is negative or not finite, or ``delta`` is not in (0, 1), or below 10⁻³⁰⁰.

    Examples
    --------
    >>> round(calibrate(1.0, 1e-5), 6), round(calibrate(0.0, 0.1), 6)
    (3.730632, 3.978948)
    """
    _check.not_negative("epsilon", epsilon)
    _check.probability("delta", delta, open_ends=True)
    if delta < _LEAST_DELTA:
        _check.refuse("delta", f"be at least {_LEAST_DELTA:g}, below which floats lose digits", delta)
    most = allowed(GaussianCurve(1.0), delta)

    def too_little(noise: float) -> bool:
        return bool(gaussian_curve(noise).delta(epsilon) > most)

    return bisect(too_little, *double(too_little, 0.0, 1.0))[1]


@door
def gaussian_curve(noise_multiplier: Finer) -> GaussianCurve:
    """Return the curve of Gaussian noise for values a whole sensitivity apart: μ = 1/σ, rounded upward.

    Raises
    ------
    ValueError
        If ``noise_multiplier`` is not a finite number above 0, or so small that μ is no float.

    Examples
    --------
    >>> gaussian_curve(2.0), gaussian_curve(3.0).mu > Fraction(1, 3)
    (GaussianCurve(mu=0.5), True)
    """
    _check.positive("noise_multiplier", noise_multiplier)
    if noise_multiplier < _LEAST_NOISE:
        _check.refuse("noise_multiplier", f"be at least {_LEAST_NOISE:.4g}", noise_multiplier)
    return GaussianCurve(up(1 / Fraction(noise_multiplier)))


def keep_floats(mechanism: Any, *names: str) -> None:
    """Refuse fields that are no moderate positive numbers, and keep the rest as 64-bit floats.

    Rounded upward, where they are finer than that: a sensitivity must not shrink.
    """
    for name in names:
        _check.magnitude(name, getattr(mechanism, name))
        object.__setattr__(mechanism, name, up(getattr(mechanism, name)))
