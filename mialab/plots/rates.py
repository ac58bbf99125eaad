"""True-positive against false-positive rates: what an attacker can have, and what one had."""

import numpy as np
from matplotlib.axes import Axes
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.metrics import Band, Estimate, Roc
from mialab.metrics.roc import RESOLVED_FROM
from mialab.plots.membership import reach
from mialab.plots.style import COLOURS
from mialab.tradeoff import Curve, DominatingPair

LEFTMOST = 1e-6


@door
def rate_axes(ax: Axes, *, smallest: float | None = None) -> Axes:
    """Make ``ax`` a square of TPR against FPR with the line of chance.

    Parameters
    ----------
    ax
        Where to draw.
    smallest
        Without it, both axes are linear from 0 to 1. With it, both are logarithmic from there on: on linear
        axes the false-positive rates that matter cannot be seen (Carlini et al. 2022).

    Raises
    ------
    ValueError
        If ``smallest`` is not in (0, 1).

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = rate_axes(Figure().subplots(), smallest=1e-3)
    >>> ax.get_xscale(), ax.get_ylabel()
    ('log', 'true-positive rate')
    """
    start, top, label = 0.0, 1.02, (0.72, 0.66)
    if smallest is not None:
        _check.probability("smallest", smallest, open_ends=True)
        ax.set(xscale="log", yscale="log")
        start, top, label = smallest, 1.08, (0.2, 0.14)
    ax.plot([start, 1], [start, 1], "--", color=COLOURS["chance"], linewidth=1.2)
    ax.text(*label, "chance", color=COLOURS["chance"], ha="left", va="top", fontsize=10.5)
    ax.set(xlim=(start, 1), ylim=(start, top), aspect="equal")
    ax.set(xlabel="false-positive rate", ylabel="true-positive rate")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda rate, _: f"{100 * rate:g} %")
    return ax


@door
def plot_roc(ax: Axes, roc: Roc, label: str, *, band: Band | None = None, color: str | None = None) -> Axes:
    """Draw a ROC as the steps it consists of, and its band if there is one.

    The line is dotted where fewer than ten false positives are behind it.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mialab.game import Outcome
    >>> from mialab.metrics import roc_curve
    >>> roc = roc_curve(Outcome(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False])))
    >>> plot_roc(rate_axes(Figure().subplots()), roc, "attack").get_legend_handles_labels()[1]
    ['attack']
    """
    known = roc.fpr >= np.min(roc.fpr[roc.fpr * roc.non_members >= RESOLVED_FROM], initial=1.0)
    (line,) = ax.plot(roc.fpr[known], roc.tpr[known], drawstyle="steps-post", label=label, color=color)
    ax.plot(roc.fpr[~known], roc.tpr[~known], ":", drawstyle="steps-post", color=line.get_color())
    if band is not None:
        ax.fill_between(band.fpr, band.low, band.high, color=line.get_color(), alpha=0.18, linewidth=0)
    ax.legend(loc="upper left")
    return ax


@door
def plot_curve(ax: Axes, curve: Curve, label: str, *, color: str | None = None, linestyle: str = "-") -> Axes:
    """Draw the best TPR that any attacker can have at each FPR.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mialab.tradeoff import GaussianCurve
    >>> ax = plot_curve(rate_axes(Figure().subplots()), GaussianCurve(1.0), "μ = 1")
    >>> ax.get_legend_handles_labels()[1]
    ['μ = 1']
    """
    fpr = _points(curve)
    ax.plot(fpr, curve.tpr(fpr), linestyle, label=label, color=color)
    return ax


@door
def plot_region(ax: Axes, curve: Curve, label: str | None = None, *, color: str | None = None) -> Axes:
    """Shade all pairs of rates that a promise leaves to attackers who may also be wrong on purpose.

    Whoever reaches (FPR, TPR) reaches (1 − FPR, 1 − TPR) by saying the opposite: the region is symmetric
    about its middle.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mialab.tradeoff import pure
    >>> ax = plot_region(rate_axes(Figure().subplots()), pure(1.0), "ε = 1")
    >>> ax.get_legend_handles_labels()[1]
    ['ε = 1']
    """
    fpr = _points(curve)
    lowest = 1 - np.asarray(curve.tpr(1 - fpr))
    ax.fill_between(fpr, lowest, curve.tpr(fpr), alpha=0.15, linewidth=0, color=color, label=label)
    return ax


@door
def plot_rates(ax: Axes, fpr: Estimate, tpr: Estimate, label: str, *, color: str | None = None) -> Axes:
    """Draw the two rates of an attack as a point with an interval on either.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> fpr, tpr = Estimate(0.1, 0.05, 0.2, 0.95, "exact"), Estimate(0.4, 0.3, 0.5, 0.95, "exact")
    >>> ax = plot_rates(rate_axes(Figure().subplots()), fpr, tpr, "threshold")
    >>> ax.get_legend_handles_labels()[1]
    ['threshold']
    """
    (x, across), (y, along) = reach([fpr]), reach([tpr])
    ax.errorbar(x, y, along, across, fmt="o", capsize=3, elinewidth=1.4, color=color, label=label)
    return ax


def _points(curve: Curve) -> ndarray:
    """Return false-positive rates that show a curve on either kind of axes, corners included."""
    corners = curve.corners[0] if isinstance(curve, DominatingPair) else np.array([])
    left = np.geomspace(LEFTMOST, 1, 301)
    return np.unique(np.concatenate([[0.0], left, 1 - left, corners]))
