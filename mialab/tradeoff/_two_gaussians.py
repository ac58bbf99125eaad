"""δ of two Gaussians, to twelve digits wherever a float reaches.

With a = μ/2 − ε/μ and b = a − μ, and since e^ε·φ(b) = φ(a),

    δ(ε) = Φ(a) − e^ε·Φ(b) = φ(a)·(R(a) − R(b)),    R(x) = Φ(x)/φ(x) = ∫₀^∞ e^(xt − t²/2) dt.

Neither e^ε nor its logarithm is left, so a large ε costs no digits. Where R(a) and R(b) are close, as for a
small μ, their difference is one integral of e^(at − t²/2)·(1 − e^(−μt)): everything in it is positive.
"""

import numpy as np
from numpy import ndarray
from scipy.special import erfcx, ndtr

_FAR = 80.0  # twice the exponent at which the integral is cut off
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(60)
_HALVES = 2.0**27 + 1  # cuts a float into two of half as many digits (Dekker 1971)


def delta(mu: float, epsilon: ndarray) -> ndarray:
    """Return δ(ε) for μ > 0 and every ε ≥ 0."""
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
        rest = _rest(epsilon, share, mu) / mu
        a = mu / 2 - share
        back = a - mu / 2
        lost = (mu / 2 - (a - back)) - (share + back) - rest
    return a + np.where(np.isfinite(lost), lost, 0.0)


def _rest(dividend: ndarray, quotient: ndarray, divisor: float) -> ndarray:
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
    t = end * (_NODES + 1) / 2
    height = np.exp(t * (a[close, None] - t / 2)) * -np.expm1(-mu * t)
    found[close] = (height * end / 2) @ _WEIGHTS
    return found


def _mills(x: ndarray) -> ndarray:
    """Return Φ(x)/φ(x)."""
    return np.sqrt(np.pi / 2) * erfcx(-x / np.sqrt(2))


def _density(x: ndarray) -> ndarray:
    with np.errstate(over="ignore"):
        return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
