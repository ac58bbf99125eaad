"""Draws what the others return. Nothing imports it; no function shows or saves.

Every function takes ``ax`` first and returns it.

    style.py         use_style, COLOURS        the house style, in one place
    membership.py    histogram, gap_curve      members against non-members
    roc.py           roc_axes, draw_roc        log-log ROC with a band
"""

from mialab.plots.membership import gap_curve, histogram
from mialab.plots.roc import draw_roc, roc_axes
from mialab.plots.style import COLOURS, use_style

__all__ = ["COLOURS", "draw_roc", "gap_curve", "histogram", "roc_axes", "use_style"]
