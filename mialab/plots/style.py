"""The house style, in one place.

Colours are those of Okabe & Ito 2008, which survive colour-blindness; members are always blue,
non-members always orange, chance is always grey. Backgrounds are white, so that a figure is safe on a dark
page. Text is large enough for a figure that is shown at the width of a phone.
"""

from cycler import cycler
from matplotlib import rcParams

COLOURS = {
    "member": "#0072B2",
    "non-member": "#E69F00",
    "chance": "#767676",
    "first": "#0072B2",
    "second": "#D55E00",
    "third": "#009E73",
    "fourth": "#CC79A7",
    "fifth": "#56B4E9",
    "sixth": "#000000",
}
"""Colours by what they mean; ``first`` to ``sixth`` for lines that mean nothing more."""

_LINES = [COLOURS[name] for name in ("first", "second", "third", "fourth", "fifth", "sixth")]


def use_style() -> None:
    """Make every figure from here on look like this book's. Changes matplotlib's ``rcParams``.

    Examples
    --------
    >>> use_style()
    >>> rcParams["figure.facecolor"]
    'white'
    """
    rcParams.update(
        {
            "axes.axisbelow": True,
            "axes.grid": True,
            "axes.labelsize": 12,
            "axes.prop_cycle": cycler(color=_LINES),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 12,
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "figure.facecolor": "white",
            "figure.figsize": (6.4, 4.2),
            "font.size": 11.5,
            "grid.alpha": 0.25,
            "legend.frameon": False,
            "legend.fontsize": 11,
            "lines.linewidth": 2.0,
            "lines.markersize": 5,
            "savefig.facecolor": "white",
            "xtick.labelsize": 11,
            "ytick.labelsize": 11,
        }
    )
