"""Trade-off plots draw the numbers of the curves; looking at them is for people."""

from dataclasses import dataclass

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from mialab import plots, tradeoff


@dataclass
class Measured:
    value: float
    low: float
    high: float


@pytest.fixture
def ax():
    with mpl.rc_context():
        plots.use_style()
        _, ax = plt.subplots()
        yield ax
        plt.close("all")


@pytest.mark.parametrize("curve", [tradeoff.approximate(1.0, 0.1), tradeoff.GaussianCurve(1.0)])
def test_the_line_is_the_curve_with_its_corners(ax, curve):
    assert plots.draw_curve(ax, curve, "a curve") is ax
    x, y = ax.lines[-1].get_data()
    np.testing.assert_array_equal(y, curve.tpr(x))
    assert x[0] == 0
    assert x[-1] == 1
    if isinstance(curve, tradeoff.DominatingPair):
        assert set(curve.corners[0]) <= set(x)


def test_the_region_is_symmetric_and_ends_at_the_curve(ax):
    curve = tradeoff.pure(1.0)
    assert plots.draw_region(ax, curve) is ax
    outline = ax.collections[0].get_paths()[0].vertices
    for x, y in outline:
        assert 1 - curve.tpr(1 - x) - 1e-12 <= y <= curve.tpr(x) + 1e-12
    assert np.isclose(np.abs(outline[:, 1] - curve.tpr(outline[:, 0])), 0).mean() > 0.4


@pytest.mark.parametrize(("smallest", "scale"), [(None, "linear"), (1e-3, "log")])
def test_the_axes_are_linear_or_logarithmic(ax, smallest, scale):
    assert plots.tradeoff_axes(ax, smallest=smallest) is ax
    assert (ax.get_xscale(), ax.get_yscale()) == (scale, scale)
    assert ax.get_xlim() == (smallest or 0, 1)


def test_an_attack_is_a_point_with_two_intervals(ax):
    assert plots.draw_attack(ax, Measured(0.2, 0.1, 0.4), Measured(0.6, 0.5, 0.7), "measured") is ax
    line, _, bars = ax.containers[0]
    assert (line.get_xdata()[0], line.get_ydata()[0]) == (0.2, 0.6)
    np.testing.assert_allclose(bars[0].get_segments()[0][:, 0], [0.1, 0.4])
    np.testing.assert_allclose(bars[1].get_segments()[0][:, 1], [0.5, 0.7])


@pytest.mark.usefixtures("at_the_door")
def test_the_door(ax):
    with pytest.raises(ValueError, match=r"smallest must be in \(0, 1\), got 0"):
        plots.tradeoff_axes(ax, smallest=0.0)
