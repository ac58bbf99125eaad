"""Draws what the others return. Nothing imports it; no function shows or saves.

Every function takes ``ax`` first and returns it.

    style.py       use_style, COLOURS                        the house style, in one place
    tradeoff.py    tradeoff_axes, draw_curve, draw_region,   what an attacker can have, and had
                   draw_attack
"""

from mialab.plots.style import COLOURS, use_style
from mialab.plots.tradeoff import draw_attack, draw_curve, draw_region, tradeoff_axes

__all__ = ["COLOURS", "draw_attack", "draw_curve", "draw_region", "tradeoff_axes", "use_style"]
