"""The curves of Gaussian and Laplace noise, in closed form."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from mialab import _check
from mialab._validation import door
from mialab.tradeoff import _two_gaussians
from mialab.tradeoff.pair import Numbers, check_losses, check_rates


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
        check_losses(epsilon)
        asked = np.asarray(epsilon, dtype=float)
        below = np.minimum(asked, 0.0)
        beyond = np.zeros(asked.shape)
        if self.mu > 0:
            beyond = _two_gaussians.delta(float(self.mu), np.abs(asked).ravel()).reshape(asked.shape)
        return (-np.expm1(below) + np.exp(below) * beyond)[()]

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
    of them have no closed form: multiply the polygons of `above` and `below`.

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
        check_losses(epsilon)
        asked = np.asarray(epsilon, dtype=float)
        inside = -np.expm1((np.clip(asked, -self.epsilon, self.epsilon) - self.epsilon) / 2)
        return np.where(asked < -self.epsilon, -np.expm1(np.minimum(asked, 0)), inside)[()]

    @property
    def auc(self) -> float:
        """1 − e^−ε · (2 + ε)/4."""
        return float(1 - np.exp(-self.epsilon) * (2 + self.epsilon) / 4)
