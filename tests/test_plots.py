"""Plots draw what they were given; looking at them is for people."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from audits import accuracy
from mialab import plots, tradeoff
from mialab.accounting import Guarantee, Neighbours
from mialab.game import Counts, Design, Outcome
from mialab.metrics import Estimate, band, roc_curve
from mialab.tradeoff import GaussianCurve, approximate, pure
from worlds import gaussian_mu

ADD = {"neighbours": Neighbours.ADD_REMOVE}
CLAIM = Guarantee(0.5, 1e-5, Neighbours.ADD_REMOVE)


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
    assert plots.plot_histogram(ax, outcome.score, outcome.member, bins=20) is ax
    areas = [np.sum(patch.get_data().values * np.diff(patch.get_data().edges)) for patch in ax.patches]
    np.testing.assert_allclose(areas, 1)
    assert ax.get_legend_handles_labels()[1] == ["members", "non-members"]


def test_estimates_are_drawn_with_their_intervals(ax):
    estimates = [Estimate(0.5, 0.4, 0.7, 0.95, "m"), Estimate(0.2, 0.1, 0.3, 0.95, "m")]
    plots.plot_estimates(ax, [1.0, 2.0], {"gap": estimates})
    line, _, (bars,) = ax.containers[0]
    assert line.get_ydata().tolist() == [0.5, 0.2]
    np.testing.assert_allclose([bar[:, 1] for bar in bars.get_segments()], [[0.4, 0.7], [0.1, 0.3]])


def test_the_roc_is_dotted_where_it_is_not_known(ax, rng):
    outcome = an_outcome(rng)
    roc = roc_curve(outcome)
    plots.plot_roc(
        plots.rate_axes(ax, smallest=1e-3), roc, "attack", band=band(outcome, np.array([0.1, 0.5]))
    )
    _, known, unknown = ax.lines
    assert known.get_linestyle() == "-"
    assert unknown.get_linestyle() == ":"
    assert min(known.get_xdata()) * roc.non_members == pytest.approx(10)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert len(ax.collections) == 1


@pytest.mark.parametrize("curve", [approximate(1.0, 0.1), GaussianCurve(1.0)])
def test_the_line_is_the_curve_with_its_corners(ax, curve):
    assert plots.plot_curve(ax, curve, "a curve") is ax
    x, y = ax.lines[-1].get_data()
    np.testing.assert_array_equal(y, curve.tpr(x))
    assert x[0] == 0
    assert x[-1] == 1
    if isinstance(curve, tradeoff.DominatingPair):
        assert set(curve.corners[0]) <= set(x)


def test_the_region_is_symmetric_and_ends_at_the_curve(ax):
    curve = pure(1.0)
    assert plots.plot_region(ax, curve) is ax
    outline = ax.collections[0].get_paths()[0].vertices
    for x, y in outline:
        assert 1 - curve.tpr(1 - x) - 1e-12 <= y <= curve.tpr(x) + 1e-12
    assert np.isclose(np.abs(outline[:, 1] - curve.tpr(outline[:, 0])), 0).mean() > 0.4


@pytest.mark.parametrize(("smallest", "scale"), [(None, "linear"), (1e-3, "log")])
def test_the_axes_are_linear_or_logarithmic(ax, smallest, scale):
    assert plots.rate_axes(ax, smallest=smallest) is ax
    assert (ax.get_xscale(), ax.get_yscale()) == (scale, scale)
    assert ax.get_xlim() == (smallest or 0, 1)


def test_an_attack_is_a_point_with_two_intervals(ax):
    assert (
        plots.plot_rates(
            ax, Estimate(0.2, 0.1, 0.4, 0.95, "m"), Estimate(0.6, 0.5, 0.7, 0.95, "m"), "measured"
        )
        is ax
    )
    line, _, bars = ax.containers[0]
    assert (line.get_xdata()[0], line.get_ydata()[0]) == (0.2, 0.6)
    np.testing.assert_allclose(bars[0].get_segments()[0][:, 0], [0.1, 0.4])
    np.testing.assert_allclose(bars[1].get_segments()[0][:, 1], [0.5, 0.7])


def bound(right: int, delta: float = 1e-5):
    return accuracy(Counts(right, 500, 500 - right, 500, design=Design.RUNS), delta=delta, **ADD)


def test_a_bar_ends_at_the_bound_and_its_line_at_the_ceiling(ax):
    results = {"weak": bound(300), "strong": bound(400)}
    assert (
        plots.plot_epsilon_bounds(ax, results, CLAIM, proved=Guarantee(4.0, 1e-5, Neighbours.ADD_REMOVE))
        is ax
    )
    widths = [bar.get_width() for bars in ax.containers for bar in bars]
    assert widths == [result.value for result in results.values()]
    ends = [line.get_xdata()[-1] for line in ax.lines[:4:2]]
    assert ends == [result.ceiling for result in results.values()]
    said = " ".join(text.get_text() for text in ax.texts)
    assert "consistent" in said
    assert "violated" in said
    assert "claim: ε = 0.5" in said
    assert [label.get_text() for label in ax.get_yticklabels()] == ["weak", "strong"]


def test_the_roc_against_a_claim_holds_what_it_names(ax, rng):
    member = np.arange(1000) < 500
    outcome = Outcome(rng.normal(size=1000) + member, member, design=Design.RUNS)
    plots.plot_roc_against_claim(
        ax, outcome, Guarantee(2.0, 1e-5, Neighbours.ADD_REMOVE), curves={"mine": pure(3.0)}
    )
    lines = {line.get_label(): line for line in ax.lines}
    for label, curve in (
        ("allowed by (2, 1e-05)", approximate(2.0, 1e-5)),
        ("Gaussian noise, (2, 1e-05)", GaussianCurve(gaussian_mu(2.0, 1e-5))),
        ("mine", pure(3.0)),
    ):
        fpr, tpr = lines[label].get_data()
        np.testing.assert_allclose(tpr, curve.tpr(fpr))
    drawn = ax.collections[-1].get_paths()[0].vertices  # the band
    exact = band(outcome, np.geomspace(0.01, 1, 13))
    for fpr, low, high in zip(exact.fpr, exact.low, exact.high, strict=True):
        at = drawn[np.isclose(drawn[:, 0], fpr), 1]
        assert np.isclose(at, low).any()
        assert np.isclose(at, high).any()


@pytest.mark.parametrize("delta", [0.0, 1.0])
def test_without_delta_there_is_no_gaussian_curve_and_a_long_roc_is_thinned(ax, rng, delta):
    member = np.arange(20_000) < 10_000
    outcome = Outcome(rng.normal(size=20_000) + member, member)
    plots.plot_roc_against_claim(ax, outcome, Guarantee(1.0, delta, Neighbours.REPLACE))
    lines = {line.get_label(): line for line in ax.lines}
    assert not any("Gaussian" in label for label in lines)
    fpr, tpr = lines["the attack"].get_data()
    roc = roc_curve(outcome)
    assert len(fpr) < 2001 < len(roc.fpr)
    assert set(zip(fpr, tpr, strict=True)) <= set(zip(roc.fpr, roc.tpr, strict=True))
    assert (fpr[-1], tpr[-1]) == (1, 1)


def test_a_proof_for_another_unit_is_not_drawn_beside_the_claim(ax):
    of_clients = Guarantee(4.0, 1e-5, Neighbours.ADD_REMOVE, unit="client")
    with pytest.raises(ValueError, match="unit of proof and claim must be the same, got client and record"):
        plots.plot_epsilon_bounds(ax, {"weak": bound(300)}, CLAIM, proved=of_clients)


@pytest.mark.usefixtures("at_the_door")
def test_the_door(ax):
    with pytest.raises(ValueError, match="member must hold members and non-members"):
        plots.plot_histogram(ax, np.zeros(3), np.zeros(3, dtype=bool))
    member = np.array([True, False, False])
    with pytest.raises(ValueError, match="signal must be finite"):
        plots.plot_histogram(ax, np.array([0.0, 1.0, np.inf]), member)
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        plots.plot_histogram(ax, np.arange(3.0), member, bins=0)
    with pytest.raises(ValueError, match="gap must have one estimate for each of the 2 values, got 0"):
        plots.plot_estimates(ax, [1.0, 2.0], {"gap": []})
    with pytest.raises(ValueError, match=r"smallest must be in \(0, 1\), got 0"):
        plots.rate_axes(ax, smallest=0)
    other = Guarantee(4.0, 1e-6, Neighbours.ADD_REMOVE)
    with pytest.raises(ValueError, match="delta of proof and claim must be the same, got 1e-06 and 1e-05"):
        plots.plot_epsilon_bounds(ax, {"one": bound(300)}, CLAIM, proved=other)
    with pytest.raises(ValueError, match="delta of bound and claim must be the same"):
        plots.plot_epsilon_bounds(ax, {"one": bound(300, delta=0.0)}, CLAIM)
    with pytest.raises(ValueError, match="the number of results must be at least 1, got 0"):
        plots.plot_epsilon_bounds(ax, {}, CLAIM)
