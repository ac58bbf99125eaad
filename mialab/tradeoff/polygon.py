"""A Pair on either side of any curve, so that many releases of anything can be multiplied.

Independent products keep the order: if one pair is nowhere easier to tell apart than another, neither are
their products (Dong, Roth & Su 2022). So below ≤ exact ≤ above, however often one multiplies.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.tradeoff.pair import Numbers, Pair

_LARGEST = 700  # ε: nearly the last whose e^ε is a float


@door
def above(delta: Callable[[Numbers], Numbers], epsilon: Float[ndarray, "tangents"]) -> Pair:
    """Return the polygon of tangents: every attack that the curve allows, it allows too.

    All that it knows of the curve is δ at these ε: TPR ≤ e^ε · FPR + δ(ε). Losses above the largest ε count
    as infinite, so a grid that ends too early costs δ, and never the truth. With a grid of equal steps, such
    as ``0.05 * np.arange(-100, 101)``, products of polygons stay small.

    Parameters
    ----------
    delta
        A curve's ``delta``.
    epsilon
        Where to touch the curve, rising.

    Raises
    ------
    ValueError
        If ``epsilon`` does not rise, is not finite, or δ at the last is 1, so that nothing is known.

    Examples
    --------
    >>> from mialab.tradeoff.continuous import GaussianCurve
    >>> curve, grid = GaussianCurve(1.0), np.linspace(-6, 6, 61)
    >>> bool((above(curve.delta, grid).tpr(grid[30:35] / 2) >= curve.tpr(grid[30:35] / 2)).all())
    True
    """
    _check.finite("epsilon", epsilon)
    if len(epsilon) and np.abs(epsilon).max() > _LARGEST:
        _check.refuse("epsilon", f"be within ±{_LARGEST}, for e^ε to be a float", np.abs(epsilon).max())
    if not (len(epsilon) and (np.diff(epsilon) > 0).all()):
        _check.refuse("epsilon", "rise", epsilon)
    slope, start = np.exp(epsilon[::-1]), np.asarray(delta(epsilon))[::-1]
    if start[0] >= 1:
        _check.refuse("the largest epsilon", "have a delta below 1", f"δ({epsilon[-1]:g}) = {start[0]:g}")
    meet = np.diff(start) / -np.diff(slope)  # where each tangent meets the next
    corners = np.append(meet, (1 - start[-1]) / slope[-1])
    width = np.diff(np.maximum.accumulate(np.clip(corners, 0, 1)), prepend=0.0)
    height = np.append(start[0], slope * width)
    member = np.append(height, 0.0)
    return Pair(member, np.array([0.0, *width, 1 - width.sum()]))


@door
def below(tpr: Callable[[Numbers], Numbers], fpr: Float[ndarray, "points"]) -> Pair:
    """Return the polygon of chords through points of the curve: what it allows, the curve allows too.

    Parameters
    ----------
    tpr
        A curve's ``tpr``.
    fpr
        Where to take points, rising; 0 and 1 are added where they are missing.

    Raises
    ------
    ValueError
        If ``fpr`` does not rise within [0, 1].

    Examples
    --------
    >>> from mialab.tradeoff.continuous import GaussianCurve
    >>> below(GaussianCurve(1.0).tpr, np.array([0.1, 0.5])).tpr(0.1).round(6)
    np.float64(0.389144)
    """
    if not ((np.diff(fpr) > 0).all() and (fpr >= 0).all() and (fpr <= 1).all()):
        _check.refuse("fpr", "rise within [0, 1]", fpr)
    points = np.unique(np.concatenate([[0.0], fpr, [1.0]]))
    heights = np.asarray(tpr(points))
    return Pair(np.diff(heights, prepend=0.0), np.diff(points, prepend=0.0))
