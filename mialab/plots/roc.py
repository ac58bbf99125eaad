"""The ROC where it matters: at the left edge."""

import numpy as np
from matplotlib.axes import Axes

from mialab import _check
from mialab._validation import door
from mialab.metrics import Band, Roc
from mialab.plots.style import COLOURS


@door
def roc_axes(ax: Axes, *, smallest: float = 1e-3) -> Axes:
    """Make ``ax`` a log-log ROC from ``smallest`` to 1, with the line of chance.

    Carlini et al. 2022: on linear axes the false-positive rates that matter cannot be seen.

    Raises
    ------
    ValueError
        If ``smallest`` is not in (0, 1).

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = roc_axes(Figure().subplots(), smallest=0.01)
    >>> ax.get_xscale(), ax.get_xlabel()
    ('log', 'false-positive rate')
    """
    _check.probability("smallest", smallest, open_ends=True)
    ax.plot([smallest, 1], [smallest, 1], "--", color=COLOURS["chance"], linewidth=1.2)
    ax.text(0.5, 0.3, "chance", color=COLOURS["chance"], ha="left", va="top", fontsize=10.5)
    ax.set(xscale="log", yscale="log", xlim=(smallest, 1), ylim=(smallest, 1.05))
    ax.set(xlabel="false-positive rate", ylabel="true-positive rate")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda rate, _: f"{100 * rate:g} %")
    return ax


@door
def draw_roc(ax: Axes, roc: Roc, label: str, *, band: Band | None = None, color: str | None = None) -> Axes:
    """Draw a ROC as the steps it consists of, and its band if there is one.

    The line is dotted where fewer than ten false positives are behind it.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mialab.game import Outcome
    >>> from mialab.metrics import roc_curve
    >>> roc = roc_curve(Outcome(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False])))
    >>> draw_roc(roc_axes(Figure().subplots()), roc, "attack").get_legend_handles_labels()[1]
    ['attack']
    """
    known = roc.fpr >= np.min(roc.fpr[roc.fpr * roc.non_members >= 10], initial=1.0)
    (line,) = ax.plot(roc.fpr[known], roc.tpr[known], drawstyle="steps-post", label=label, color=color)
    ax.plot(roc.fpr[~known], roc.tpr[~known], ":", drawstyle="steps-post", color=line.get_color())
    if band is not None:
        ax.fill_between(band.fpr, band.low, band.high, color=line.get_color(), alpha=0.18, linewidth=0)
    ax.legend(loc="upper left")
    return ax
