"""What DP-SGD sends instead. NumPy only."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab.accounting import Neighbours
from mialab.leaks.population import Records, Release
from mialab.mechanisms.noise import Gaussian


def clip(gradients: Records, bound: float) -> Records:
    """Return the gradients, each shortened to a length of at most ``bound``; shorter ones stay as they are.

    Abadi et al. 2016, Algorithm 1.

    Raises
    ------
    ValueError
        If ``bound`` is not above 0, or a number is not finite.

    Examples
    --------
    >>> clip(np.array([[3.0, 4.0], [0.3, 0.4]]), 1.0)
    array([[0.6, 0.8],
           [0.3, 0.4]])
    """
    _check.positive("bound", bound)
    _check.dimensions("gradients", gradients, "records features")
    _check.finite("gradients", gradients)
    lengths = np.linalg.norm(gradients, axis=1, keepdims=True)
    return gradients / np.maximum(lengths / bound, 1)


def private_sum(
    gradients: Records, bound: float, noise_multiplier: float, *, rng: np.random.Generator
) -> Float[ndarray, "features"]:
    """Return the sum of the clipped gradients with Gaussian noise: one step of DP-SGD.

    The noise has standard deviation noise_multiplier · bound on every number. Adding or removing a record
    moves the sum by at most ``bound``, so any attack's ROC lies under ``GaussianCurve(1/noise_multiplier)``;
    replacing one moves it by at most twice that, and the curve is that of 2/noise_multiplier.

    Raises
    ------
    ValueError
        If ``bound`` or ``noise_multiplier`` is not above 0, or a number is not finite.

    Examples
    --------
    >>> private_sum(np.ones((2, 1)), 1.0, 0.5, rng=np.random.default_rng(0)).round(3)
    array([2.063])
    """
    noise = Gaussian(noise_multiplier, bound, Neighbours.ADD_REMOVE)
    total: Release = clip(gradients, bound).sum(axis=0, dtype=float)
    return noise(total, rng=rng)
