"""Sums and products of numbers that are known by their logarithms."""

import numpy as np
from numpy import ndarray


def log_sum(terms: ndarray, sign: ndarray | float = 1.0) -> float | ndarray:
    """Return the logarithm of the sum of sign · e^term along the last axis.

    Examples
    --------
    >>> print(log_sum(np.array([1000.0, 1000.0])).round(6), log_sum(np.array([0.0, -np.inf])))
    1000.693147 0.0
    """
    largest = terms.max(axis=-1, keepdims=True)
    return np.log((sign * np.exp(terms - largest)).sum(axis=-1)) + largest[..., 0]


def scaled(chance: ndarray, by: ndarray) -> ndarray:
    """Return chance · e^by, where the second alone may be larger than any float.

    Examples
    --------
    >>> print(scaled(np.array([0.0, 0.5, 1e-300]), np.array([900.0, 0.0, 800.0])) > 1)
    [False False  True]
    """
    with np.errstate(divide="ignore"):
        return np.exp(np.log(chance) + by)
