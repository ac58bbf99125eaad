"""The trade-off between false and true accusations: what an attacker can have, and what one had."""

from typing import Protocol, runtime_checkable

import numpy as np
from matplotlib.axes import Axes
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.plots.style import COLOURS
from mialab.tradeoff import Curve, DominatingPair

LEFTMOST = 1e-6


@runtime_checkable
class Interval(Protocol):
    """What is drawn of an estimate."""

    @property
    def value(self) -> float:
        """The estimate."""
        ...

    @property
    def low(self) -> float:
        """The lower end of its interval."""
        ...

    @property
    def high(self) -> float:
        """The upper end."""
        ...


@door
def tradeoff_axes(ax: Axes, *, smallest: float | None = None) -> Axes:
    """Make ``ax`` a square of TPR against FPR with the line of chance.

    Parameters
    ----------
    ax
        Where to draw.
    smallest
        Without it, both axes are linear from 0 to 1. With it, both are logarithmic from there on: at the left
        edge attackers are dangerous, and linear axes do not show it.

    Raises
    ------
    ValueError
        If ``smallest`` is not in (0, 1).

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = tradeoff_axes(Figure().subplots(), smallest=1e-3)
    >>> ax.get_xscale(), ax.get_ylabel()
    ('log', 'true-positive rate')
    """
    if smallest is not None:
        _check.probability("smallest", smallest, open_ends=True)
        ax.set(xscale="log", yscale="log")
    start = smallest or 0.0
    ax.plot([start, 1], [start, 1], "--", color=COLOURS["chance"], linewidth=1.2)
    where = (0.72, 0.66) if smallest is None else (0.2, 0.14)
    ax.text(*where, "chance", color=COLOURS["chance"], ha="left", va="top", fontsize=10.5)
    ax.set(xlim=(start, 1), ylim=(start, 1.02 if smallest is None else 1.08), aspect="equal")
    ax.set(xlabel="false-positive rate", ylabel="true-positive rate")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda rate, _: f"{100 * rate:g} %")
    return ax


@door
def draw_curve(ax: Axes, curve: Curve, label: str, *, color: str | None = None, linestyle: str = "-") -> Axes:
    """Draw the best TPR that any attacker can have at each FPR.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mialab.tradeoff import GaussianCurve
    >>> ax = draw_curve(tradeoff_axes(Figure().subplots()), GaussianCurve(1.0), "μ = 1")
    >>> ax.get_legend_handles_labels()[1]
    ['μ = 1']
    """
    fpr = _points(curve)
    ax.plot(fpr, curve.tpr(fpr), linestyle, label=label, color=color)
    return ax


@door
def draw_region(ax: Axes, curve: Curve, label: str | None = None, *, color: str | None = None) -> Axes:
    """Shade all pairs of rates that a promise leaves to attackers who may also be wrong on purpose.

    Whoever reaches (FPR, TPR) reaches (1 − FPR, 1 − TPR) by saying the opposite: the region is symmetric
    about its middle.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mialab.tradeoff import pure
    >>> ax = draw_region(tradeoff_axes(Figure().subplots()), pure(1.0), "ε = 1")
    >>> ax.get_legend_handles_labels()[1]
    ['ε = 1']
    """
    fpr = _points(curve)
    ax.fill_between(
        fpr,
        1 - np.asarray(curve.tpr(1 - fpr)),
        curve.tpr(fpr),
        alpha=0.15,
        linewidth=0,
        color=color,
        label=label,
    )
    return ax


@door
def draw_attack(ax: Axes, fpr: Interval, tpr: Interval, label: str, *, color: str | None = None) -> Axes:
    """Draw an attack as a point with an interval on either rate.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mialab.metrics import Estimate
    >>> fpr, tpr = Estimate(0.1, 0.05, 0.2, 0.95, "exact"), Estimate(0.4, 0.3, 0.5, 0.95, "exact")
    >>> ax = draw_attack(tradeoff_axes(Figure().subplots()), fpr, tpr, "threshold")
    >>> ax.get_legend_handles_labels()[1]
    ['threshold']
    """
    across = [[fpr.value - fpr.low], [fpr.high - fpr.value]]
    along = [[tpr.value - tpr.low], [tpr.high - tpr.value]]
    ax.errorbar(
        fpr.value,
        tpr.value,
        xerr=across,
        yerr=along,
        fmt="o",
        capsize=3,
        elinewidth=1.4,
        color=color,
        label=label,
    )
    return ax


def _points(curve: Curve) -> ndarray:
    """Return false-positive rates that show a curve on either kind of axes, corners included."""
    corners = curve.corners[0] if isinstance(curve, DominatingPair) else np.array([])
    left = np.geomspace(LEFTMOST, 1, 301)
    return np.unique(np.concatenate([[0.0], left, 1 - left, corners]))
