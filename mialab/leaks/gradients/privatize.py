"""What DP-SGD sends instead. NumPy only."""

import numpy as np

from mialab import _check
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.leaks.aggregates import Features, Release
from mialab.mechanisms.noise import Gaussian


@door
def clip(gradients: Features, bound: float) -> Features:
    """Return the gradients, each shortened to a length of at most ``bound``; shorter ones stay as they are.

    Abadi et al. 2016, Algorithm 1. In 64 bits, whatever comes in: a length is summed up without overflow,
    and what is returned exceeds the bound by rounding only, less than a millionth of it.

    Raises
    ------
    ValueError
        If ``bound`` is not above 0, or so small or large that a square of it is no float; or if the
        gradients are not finite real numbers in at most 64 bits.

    Examples
    --------
    >>> clip(np.array([[3.0, 4.0], [0.3, 0.4]]), 1.0)
    array([[0.6, 0.8],
           [0.3, 0.4]])
    """
    _check.magnitude("bound", bound)
    _check.secret("gradients", gradients)
    unit = np.abs(gradients).max(axis=1, keepdims=True, initial=0.0)  # in which squares are floats
    unit[unit == 0] = 1.0
    shape = gradients / unit
    norms = np.linalg.norm(shape, axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        too_long = norms > bound / unit
    return np.where(too_long, shape / np.where(norms > 0, norms, 1) * bound, gradients)


@door
def private_sum(
    gradients: Features, bound: float, noise_multiplier: float, *, rng: np.random.Generator
) -> Release:
    """Return the sum of the clipped gradients with Gaussian noise: one step of DP-SGD.

    The noise has standard deviation noise_multiplier · bound on every number. Adding or removing a record
    moves the sum by at most ``bound``, so any attack's ROC lies under ``GaussianCurve(1/noise_multiplier)``;
    replacing one moves it by at most twice that, and the curve is that of 2/noise_multiplier.

    Whoever knows the seed of ``rng`` can draw the same noise and take it off again:
    pass `mialab.secure.SystemGenerator()` to release something.

    Raises
    ------
    ValueError
        If ``noise_multiplier`` is not above 0, or as for `clip`.

    Examples
    --------
    >>> private_sum(np.ones((2, 1)), 1.0, 0.5, rng=np.random.default_rng(0)).round(3)
    array([2.063])
    """
    _check.magnitude("bound", bound)
    _check.magnitude("noise_multiplier", noise_multiplier)
    _check.hidden("gradients", len(gradients) * bound, bound * min(1, noise_multiplier))
    noise = Gaussian(noise_multiplier, bound, Neighbours.ADD_REMOVE)
    return noise(clip(gradients, bound).sum(axis=0), rng=rng)
