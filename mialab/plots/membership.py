"""Members against non-members."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.metrics import Estimate
from mialab.plots.style import COLOURS


@door
def plot_histogram(
    ax: Axes, signal: Float[ndarray, "*shape"], member: Bool[ndarray, "*shape"], *, bins: int = 40
) -> Axes:
    """Draw the distributions of members and of non-members over the same bins, each with area 1.

    Parameters
    ----------
    ax
        Where to draw.
    signal, member
        Signals or scores of any shape, and the truth.
    bins
        Number of bins between the smallest and the largest signal.

    Raises
    ------
    ValueError
        If shapes differ, one kind is missing, a signal is not finite, or ``bins`` is below 1.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> member = np.array([True, True, False, False])
    >>> ax = plot_histogram(Figure().subplots(), np.array([3.0, 2.0, 2.0, 1.0]), member, bins=2)
    >>> ax.get_legend_handles_labels()[1]
    ['members', 'non-members']
    """
    _check.both_kinds("member", member)
    _check.finite("signal", signal)
    _check.at_least("bins", bins, 1)
    edges = np.linspace(signal.min(), signal.max(), bins + 1)
    for name, those in (("member", member), ("non-member", ~member)):
        heights, _ = np.histogram(signal[those], edges, density=True)
        ax.stairs(heights, edges, fill=True, alpha=0.35, color=COLOURS[name])
        ax.stairs(heights, edges, color=COLOURS[name], linewidth=1.6, label=f"{name}s")
    ax.set(ylabel="density", ylim=(0, None))
    ax.legend()
    return ax


@door
def plot_estimates(ax: Axes, sweep: list[float], curves: dict[str, list[Estimate]]) -> Axes:
    """Draw estimates with their intervals along a sweep, one labelled line for each name.

    Parameters
    ----------
    ax
        Where to draw; scales and labels are the caller's.
    sweep
        What was varied.
    curves
        For every name, one estimate for each value of ``sweep``.

    Raises
    ------
    ValueError
        If a curve has more or fewer estimates than the sweep has values.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> few, many = Estimate(0.4, 0.2, 0.6, 0.95, "exact"), Estimate(0.1, 0.0, 0.2, 0.95, "exact")
    >>> ax = plot_estimates(Figure().subplots(), [10, 1000], {"gap": [few, many]})
    >>> ax.get_legend_handles_labels()[1]
    ['gap']
    """
    for (name, estimates), marker in zip(curves.items(), "os^Dv*", strict=False):
        if len(estimates) != len(sweep):
            _check.refuse(name, f"have one estimate for each of the {len(sweep)} values", len(estimates))
        value, intervals = reach(estimates)
        ax.errorbar(sweep, value, intervals, marker=marker, capsize=3, elinewidth=1.2, label=name)
    ax.legend()
    return ax


def reach(estimates: Sequence[Estimate]) -> tuple[ndarray, ndarray]:
    """Return values, and how far their intervals reach below and above them, as ``errorbar`` takes them."""
    value, low, high = np.array([(each.value, each.low, each.high) for each in estimates]).reshape(-1, 3).T
    return value, np.array([value - low, high - value])
