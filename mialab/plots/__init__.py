"""Draws what the others return. Nothing imports it; no function shows or saves.

Every function takes ``ax`` first and returns it.

    style.py         use_style, COLOURS                        the house style, in one place
    membership.py    histogram, gap_curve                      members against non-members
    roc.py           roc_axes, draw_roc                        log-log ROC with a band
    tradeoff.py      tradeoff_axes, draw_curve, draw_region,   what an attacker can have, and had
                     draw_attack
    audit.py         sandwich, one_picture                     what was proved against what was promised
"""

from mialab.plots.audit import one_picture, sandwich
from mialab.plots.membership import gap_curve, histogram
from mialab.plots.roc import draw_roc, roc_axes
from mialab.plots.style import COLOURS, use_style
from mialab.plots.tradeoff import draw_attack, draw_curve, draw_region, tradeoff_axes

__all__ = [
    "COLOURS",
    "draw_attack",
    "draw_curve",
    "draw_region",
    "draw_roc",
    "gap_curve",
    "histogram",
    "one_picture",
    "roc_axes",
    "sandwich",
    "tradeoff_axes",
    "use_style",
]
