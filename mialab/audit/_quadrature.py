"""An integral over the rates that (ε, δ) just allows."""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_SPREADS = np.concatenate([[-40, -20], np.arange(-12.0, 13), [20, 40]])


def highest_tpr(fpr: float | Float[ndarray, "*rates"], epsilon: float, delta: float) -> Any:
    """Return the largest TPR that (ε, δ) allows."""
    grows = np.exp(epsilon)
    return np.minimum(np.minimum(grows * fpr + delta, 1 - (1 - fpr - delta) / grows), 1.0)


def borders(
    found: float, above: float, sides: tuple[int, int], epsilon: float, delta: float
) -> Float[ndarray, "borders"]:
    """Cut [0, 1] at the corners of f, and finely where the non-member is and where the binomial turns."""
    members, non_members = sides
    mean, grows = above / (non_members + 1), np.exp(epsilon)
    place = mean + _SPREADS * np.sqrt(mean * (1 - mean) / (non_members + 2))
    rate = found / (members + 1)
    tpr = rate + _SPREADS * np.sqrt(rate * (1 - rate) / (members + 2))
    turn = np.maximum((tpr - delta) / grows, 1 - delta - (1 - tpr) * grows)
    corners = [0.0, (1 - delta) * expit(-epsilon), 1 - delta, 1.0]
    return np.unique(np.clip(np.concatenate([place, turn, corners]), 0, 1))


def panels(borders: Float[ndarray, "borders"]) -> tuple[Float[ndarray, "nodes"], Float[ndarray, "nodes"]]:
    """Return nodes and weights of Gauss and Legendre's rule on every piece."""
    half, middle = np.diff(borders)[:, None] / 2, (borders[1:] + borders[:-1])[:, None] / 2
    return (middle + half * _NODES).ravel(), (half * _WEIGHTS).ravel()
