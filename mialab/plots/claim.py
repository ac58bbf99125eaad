"""What attackers proved against what was promised."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes

from mialab import _check
from mialab._round import decimals_down
from mialab._validation import door
from mialab.accounting import Guarantee
from mialab.audit import AuditResult, Verdict
from mialab.audit.result import check_same
from mialab.game import Outcome
from mialab.mechanisms import noise
from mialab.metrics import Roc, band, roc_curve
from mialab.plots.rates import plot_curve, plot_region, plot_roc, rate_axes
from mialab.plots.style import COLOURS
from mialab.tradeoff import Curve, approximate

_LEAST_DELTA = 1e-300  # for which noise is calibrated
_SEEN = 2000  # points of a ROC that a picture can show
_WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85}
_TEXT = {"va": "bottom", "ha": "left", "fontsize": 10.5, "bbox": _WHITE}


@door
def plot_epsilon_bounds(
    ax: Axes, results: Mapping[str, AuditResult], claim: Guarantee, *, proved: Guarantee | None = None
) -> Axes:
    """Draw lower bounds from below, the claim as a line, and a proved upper bound from above.

    A bar ends at what was proved by attacking; the thin line goes on to what the audit could have proved. A
    bar that crosses the claim is a violation. An audit whose thin line ends before it could not have told.

    Parameters
    ----------
    ax
        Where to draw.
    results
        Bounds by label, drawn from the top.
    claim
        What was promised.
    proved
        An upper bound that an accountant proved, if there is one.

    Raises
    ------
    ValueError
        If there are no results, or one of them, or ``proved``, has other neighbours, unit or δ than the
        claim: they speak of different things.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mialab.accounting import Neighbours
    >>> from mialab.audit import lower_bound
    >>> from mialab.game import Counts, Design
    >>> counts = Counts(400, 500, 100, 500, design=Design.RUNS)
    >>> result = lower_bound(counts, neighbours=Neighbours.ADD_REMOVE, delta=1e-5)
    >>> claim = Guarantee(2.0, 1e-5, Neighbours.ADD_REMOVE)
    >>> ax = plot_epsilon_bounds(Figure().subplots(), {"accuracy": result}, claim)
    >>> ax.get_xlabel()
    'ε at δ = 1e-05'
    """
    _check.at_least("the number of results", len(results), 1)
    for place, result in enumerate(results.values()):
        finding = Verdict(result, claim).finding  # refuses other neighbours, another δ
        colour = COLOURS["second" if finding == "violated" else "first"]
        ax.plot([result.value, result.ceiling], [place, place], color=colour, linewidth=1.2)
        ax.plot(result.ceiling, place, "|", color=colour, markersize=12)
        ax.barh(place, result.value, height=0.5, color=colour)
        ax.text(result.value, place - 0.3, f"ε ≥ {decimals_down(result.value)}, {finding}", **_TEXT)
    furthest = max(claim.epsilon, *(result.ceiling for result in results.values()))
    if proved is not None:
        check_same("proof and claim", proved, claim)
        ax.axvspan(proved.epsilon, 1.5 * furthest, color=COLOURS["third"], alpha=0.2, linewidth=0)
        furthest = max(furthest, 1.1 * proved.epsilon)
        ax.text(proved.epsilon, len(results) - 0.45, " ruled out by proof", color="#00664a", fontsize=10.5)
    ax.axvline(claim.epsilon, color=COLOURS["sixth"], linestyle="--", linewidth=1.6)
    ax.text(claim.epsilon, -0.74, f"claim: ε = {claim.epsilon:g}", ha="center", va="bottom", fontsize=10.5)
    ax.set_yticks(range(len(results)), list(results))
    ax.set(ylim=(len(results) - 0.3, -0.7), xlim=(0, 1.1 * furthest), xlabel=f"ε at δ = {claim.delta:g}")
    ax.grid(visible=False, axis="y")
    return ax


@door
def plot_roc_against_claim(
    ax: Axes,
    outcome: Outcome,
    claim: Guarantee,
    *,
    curves: Mapping[str, Curve] | None = None,
    confidence: float = 0.95,
) -> Axes:
    """Draw the ROC with its exact band over all that the claim allows, log-log.

    The region is that of (ε, δ); the dashed line is the Gaussian curve with the same ε at this δ, which
    allows much less at most false-positive rates (there is none at δ = 0, nor at 1, nor below 10⁻³⁰⁰). The
    band holds at each of its rates with the given confidence, not at all of them at once, and for independent
    trials: it shows, and `audit` decides.

    Parameters
    ----------
    ax
        Where to draw.
    outcome
        The scores.
    claim
        What was promised.
    curves
        More curves by label, such as the exact one of the accountant.
    confidence
        Of each interval of the band.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mialab.accounting import Neighbours
    >>> member = np.arange(200) % 2 == 0
    >>> score = np.random.default_rng(0).normal(size=200) + member
    >>> claim = Guarantee(1.0, 0.0, Neighbours.ADD_REMOVE)
    >>> ax = plot_roc_against_claim(Figure().subplots(), Outcome(score, member), claim)
    >>> ax.get_legend_handles_labels()[1]
    ['allowed by (1, 0)', 'the attack']
    """
    roc = roc_curve(outcome)
    smallest = float(10 ** np.ceil(np.log10(max(1 / roc.non_members, 1e-5))))
    rate_axes(ax, smallest=min(smallest, 0.1))
    region = approximate(claim.epsilon, claim.delta)
    name = f"({claim.epsilon:g}, {claim.delta:g})"
    plot_region(ax, region, color=COLOURS["third"])
    plot_curve(ax, region, f"allowed by {name}", color=COLOURS["third"])
    if _LEAST_DELTA <= claim.delta < 1:
        gaussian = noise.gaussian_curve(noise.calibrate(claim.epsilon, claim.delta))
        plot_curve(ax, gaussian, f"Gaussian noise, {name}", color=COLOURS["fourth"], linestyle="--")
    for (label, curve), colour in zip((curves or {}).items(), ("sixth", "second"), strict=False):
        plot_curve(ax, curve, label, color=COLOURS[colour], linestyle="-.")
    rates = np.geomspace(smallest, 1, 13)
    exact = band(outcome, rates, confidence=confidence)
    plot_roc(ax, _thin(roc), "the attack", band=exact, color=COLOURS["first"])
    ax.legend(loc="lower right")
    return ax


def _thin(roc: Roc) -> Roc:
    """Keep as many points as can be seen, most of them at the left."""
    if len(roc.fpr) <= _SEEN:
        return roc
    shown = np.geomspace(1 / roc.non_members, 1, _SEEN // 2)
    by_fpr, by_tpr = np.searchsorted(roc.fpr, shown), np.searchsorted(roc.tpr, shown)
    kept = np.unique(np.clip(np.concatenate([[0], by_fpr, by_tpr]), 0, len(roc.fpr) - 1))
    return replace(roc, threshold=roc.threshold[kept], fpr=roc.fpr[kept], tpr=roc.tpr[kept])
