"""Draws what the others return. Nothing imports it; no function shows or saves.

Every function takes ``ax`` first and returns it. What begins with ``plot_`` draws; `rate_axes` prepares.

    style.py         use_style, COLOURS                 the house style, in one place
    membership.py    plot_histogram, plot_estimates     members against non-members
    rates.py         rate_axes, plot_roc, plot_curve,   true against false positives: what an attacker can
                     plot_region, plot_rates            have, and had
    claim.py         plot_epsilon_bounds,               what was proved against what was promised
                     plot_roc_against_claim
"""

from mialab.plots.claim import plot_epsilon_bounds, plot_roc_against_claim
from mialab.plots.membership import plot_estimates, plot_histogram
from mialab.plots.rates import plot_curve, plot_rates, plot_region, plot_roc, rate_axes
from mialab.plots.style import COLOURS, use_style

__all__ = [
    "COLOURS",
    "plot_curve",
    "plot_epsilon_bounds",
    "plot_estimates",
    "plot_histogram",
    "plot_rates",
    "plot_region",
    "plot_roc",
    "plot_roc_against_claim",
    "rate_axes",
    "use_style",
]
