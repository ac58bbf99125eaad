"""The curves of Gaussian and Laplace noise, in closed form.

δ of two Gaussians keeps twelve digits wherever a float reaches. With a = μ/2 − ε/μ and b = a − μ, and since
e^ε·φ(b) = φ(a),

    δ(ε) = Φ(a) − e^ε·Φ(b) = φ(a)·(R(a) − R(b)),    R(x) = Φ(x)/φ(x) = ∫₀^∞ e^(xt − t²/2) dt.

Neither e^ε nor its logarithm is left, so a large ε costs no digits. Where R(a) and R(b) are close, as for a
small μ, their difference is one integral of e^(at − t²/2)·(1 − e^(−μt)): everything in it is positive.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy import ndarray
from scipy.special import erfcx, ndtr, ndtri

from mialab import _check
from mialab._quadrature import panels
from mialab._validation import door
from mialab.tradeoff.pair import Numbers, check_rates

_FAR = 80.0  # twice the exponent at which the integral is cut off
_PLACES, _WEIGHTS = panels(np.array([0.0, 1.0]), 60)
_HALVES = 2.0**27 + 1  # cuts a float into two of half as many digits (Dekker 1971)


@door
@dataclass(frozen=True)
class GaussianCurve:
    """Two Gaussians of standard deviation 1 whose means lie ``mu`` apart.

    Dong, Roth & Su 2022. Two of them together are one: the distances add like the sides of a right-angled
    triangle.

    Examples
    --------
    >>> curve = GaussianCurve(1.0)
    >>> print(round(curve.tpr(0.01), 6), round(curve.auc, 6), round(curve.delta(4.377178), 8))
    0.092362 0.76025 1e-05
    >>> GaussianCurve(3.0) * GaussianCurve(4.0)
    GaussianCurve(mu=5.0)
    """

    mu: float

    def __post_init__(self):
        _check.not_negative("mu", self.mu)

    @property
    def largest_loss(self) -> float:
        """The smallest ε at δ = 0: there is none, unless the two are the same."""
        return np.inf if self.mu > 0 else 0.0

    @door
    def tpr(self, fpr: Numbers) -> Numbers:
        """Return Φ(Φ⁻¹(FPR) + μ)."""
        check_rates(fpr)
        return ndtr(ndtri(fpr) + self.mu)

    @door
    def delta(self, epsilon: Numbers) -> Numbers:
        """Return Φ(μ/2 − ε/μ) − e^ε · Φ(−μ/2 − ε/μ) (Balle & Wang 2018, Theorem 8).

        Off by less than 10⁻¹² of itself, down to the smallest float. Below ε = 0 it is
        1 − e^ε + e^ε · δ(−ε): the two worlds are mirror images.
        """
        return mirrored(lambda size: _delta(float(self.mu), size), epsilon)

    @property
    def auc(self) -> float:
        """Φ(μ/√2)."""
        return float(ndtr(self.mu / np.sqrt(2)))

    def __mul__(self, other: "GaussianCurve") -> "GaussianCurve":
        """Return the curve of both outputs together."""
        if not isinstance(other, GaussianCurve):
            return NotImplemented
        return GaussianCurve(float(np.hypot(self.mu, other.mu)))

    def __pow__(self, times: int) -> "GaussianCurve":
        """Return the curve of ``times`` independent outputs together."""
        _check.count("times", times, 1)
        return GaussianCurve(float(self.mu * np.sqrt(times)))


@door
@dataclass(frozen=True)
class LaplaceCurve:
    """A number with Laplace noise, moved by its whole sensitivity: ``epsilon`` scales of the noise.

    It touches the pure curve near both ends and lies below it in between. Many
    of them have no closed form: multiply polygons (`outer_polygon`).

    Examples
    --------
    >>> curve = LaplaceCurve(1.0)
    >>> print(round(curve.tpr(0.01), 6), round(curve.tpr(0.5), 6), round(curve.delta(0.0), 6))
    0.027183 0.81606 0.393469
    """

    epsilon: float

    def __post_init__(self):
        _check.not_negative("epsilon", self.epsilon)

    @property
    def largest_loss(self) -> float:
        """The smallest ε at δ = 0."""
        return float(self.epsilon)

    @door
    def tpr(self, fpr: Numbers) -> Numbers:
        """Return e^ε · FPR while that is below ½, then 1 − e^−ε/(4 · FPR), from ½ on 1 − e^−ε · (1 − FPR)."""
        check_rates(fpr)
        fpr = np.asarray(fpr, dtype=float)
        shrink = np.exp(-self.epsilon)
        right = 1 - shrink * (1 - fpr)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # e^−ε may be 0 as a float
            left = np.where(fpr > 0, fpr / shrink, 0.0)
            middle = 1 - shrink / (4 * np.clip(fpr, shrink / 2, 0.5))
        return np.where(fpr <= shrink / 2, left, np.where(fpr <= 0.5, middle, right))[()]

    @door
    def delta(self, epsilon: Numbers) -> Numbers:
        """Return 1 − e^((ε′ − ε)/2) for |ε′| ≤ ε; 0 above, 1 − e^ε′ below."""
        asked = np.asarray(epsilon, dtype=float)
        inside = -np.expm1((np.clip(asked, -self.epsilon, self.epsilon) - self.epsilon) / 2)
        return np.where(asked < -self.epsilon, -np.expm1(np.minimum(asked, 0)), inside)[()]

    @property
    def auc(self) -> float:
        """1 − e^−ε · (2 + ε)/4."""
        return float(1 - np.exp(-self.epsilon) * (2 + self.epsilon) / 4)


def mirrored(delta: Callable[[ndarray], ndarray], epsilon: Numbers) -> Numbers:
    """Return δ at any ε, from a function of the sizes |ε|, where the two worlds are mirror images.

    Below ε = 0 it is 1 − e^ε + e^ε · δ(−ε).
    """
    asked = np.asarray(epsilon, dtype=float)
    below = np.minimum(asked, 0.0)
    beyond = delta(np.abs(asked).ravel()).reshape(asked.shape)
    return (-np.expm1(below) + np.exp(below) * beyond)[()]


def _delta(mu: float, epsilon: ndarray) -> ndarray:
    """Return δ of two Gaussians at every ε ≥ 0."""
    if mu == 0:
        return np.zeros(epsilon.shape)
    a = _middle(mu, epsilon)
    some = a > -40  # below it, a float has no such δ
    much, little = a > 1, some & (a <= 1)
    found = np.zeros(a.shape)
    found[much] = ndtr(a[much]) - _density(a[much]) * _mills(a[much] - mu)
    x = a[little]
    # In one exponent: the density alone may be too small for a float.
    found[little] = np.exp(np.log(_growth(x, mu)) - x**2 / 2) / np.sqrt(2 * np.pi)
    return found


def _middle(mu: float, epsilon: ndarray) -> ndarray:
    """Return μ/2 − ε/μ with the rounding of both operations put right, for they may all but cancel."""
    with np.errstate(over="ignore", invalid="ignore"):
        share = epsilon / mu
        a = mu / 2 - share
        back = a - mu / 2
        lost = (mu / 2 - (a - back)) - (share + back) - _remainder(epsilon, share, mu) / mu
    return a + np.where(np.isfinite(lost), lost, 0.0)


def _remainder(dividend: ndarray, quotient: ndarray, divisor: float) -> ndarray:
    """Return dividend − quotient · divisor exactly, where nothing overflows."""
    product = quotient * divisor
    high, most = (x * _HALVES - (x * _HALVES - x) for x in (quotient, divisor))
    low, least = quotient - high, divisor - most
    below = ((high * most - product) + high * least + low * most) + low * least
    return (dividend - product) - below


def _growth(a: ndarray, mu: float) -> ndarray:
    """Return R(a) − R(a − μ)."""
    here, there = _mills(a), _mills(a - mu)
    close = there > here / 2
    found = here - there
    root = np.sqrt(a[close] ** 2 + _FAR)
    end = np.where(a[close] > 0, a[close] + root, _FAR / (root - a[close]))[:, None]
    t = end * _PLACES
    height = np.exp(t * (a[close, None] - t / 2)) * -np.expm1(-mu * t)
    found[close] = (height * end) @ _WEIGHTS
    return found


def _mills(x: ndarray) -> ndarray:
    """Return Φ(x)/φ(x)."""
    return np.sqrt(np.pi / 2) * erfcx(-x / np.sqrt(2))


def _density(x: ndarray) -> ndarray:
    with np.errstate(over="ignore"):
        return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
