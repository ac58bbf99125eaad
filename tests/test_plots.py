"""Plots draw what they were given; looking at them is for people."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from mialab import metrics, plots
from mialab.game import Outcome


@pytest.fixture
def ax():
    with mpl.rc_context():
        plots.use_style()
        _, ax = plt.subplots()
        yield ax
        plt.close("all")


def an_outcome(rng, n=500):
    member = rng.random(n) < 0.5
    return Outcome(rng.normal(size=n) + member, member)


def test_histogram_has_one_area_of_one_for_each_kind(ax, rng):
    outcome = an_outcome(rng)
    assert plots.histogram(ax, outcome.score, outcome.member, bins=20) is ax
    areas = [np.sum(patch.get_data().values * np.diff(patch.get_data().edges)) for patch in ax.patches]
    np.testing.assert_allclose(areas, 1)
    assert ax.get_legend_handles_labels()[1] == ["members", "non-members"]


def test_gap_curve_draws_value_and_interval(ax):
    estimates = [metrics.Estimate(0.5, 0.4, 0.7, 0.95, "m"), metrics.Estimate(0.2, 0.1, 0.3, 0.95, "m")]
    plots.gap_curve(ax, [1.0, 2.0], {"gap": estimates})
    line, _, (bars,) = ax.containers[0]
    assert line.get_ydata().tolist() == [0.5, 0.2]
    np.testing.assert_allclose([bar[:, 1] for bar in bars.get_segments()], [[0.4, 0.7], [0.1, 0.3]])


def test_the_roc_is_dotted_where_it_is_not_known(ax, rng):
    outcome = an_outcome(rng)
    roc = metrics.roc_curve(outcome)
    plots.draw_roc(plots.roc_axes(ax), roc, "attack", band=metrics.band(outcome, np.array([0.1, 0.5])))
    _, known, unknown = ax.lines
    assert known.get_linestyle() == "-"
    assert unknown.get_linestyle() == ":"
    assert min(known.get_xdata()) * roc.non_members == pytest.approx(10)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert len(ax.collections) == 1


@pytest.mark.usefixtures("at_the_door")
def test_the_door(ax):
    with pytest.raises(ValueError, match="member must hold members and non-members"):
        plots.histogram(ax, np.zeros(3), np.zeros(3, dtype=bool))
    member = np.array([True, False, False])
    with pytest.raises(ValueError, match="signal must be finite"):
        plots.histogram(ax, np.array([0.0, 1.0, np.inf]), member)
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        plots.histogram(ax, np.arange(3.0), member, bins=0)
    with pytest.raises(ValueError, match="gap must have one estimate for each of the 2 values, got 0"):
        plots.gap_curve(ax, [1.0, 2.0], {"gap": []})
    with pytest.raises(ValueError, match=r"smallest must be in \(0, 1\), got 0"):
        plots.roc_axes(ax, smallest=0)
