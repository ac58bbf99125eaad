"""The pictures of an audit draw its numbers; looking at them is for people."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from audits import accuracy
from mialab import plots
from mialab.accounting import Guarantee, Neighbours
from mialab.game import Counts, Design, Outcome
from mialab.metrics import band, roc_curve
from mialab.plots.audit import gaussian_mu
from mialab.tradeoff import GaussianCurve, approximate, epsilon_at, pure

ADD = {"neighbours": Neighbours.ADD_REMOVE}
CLAIM = Guarantee(0.5, 1e-5, Neighbours.ADD_REMOVE)


@pytest.fixture
def ax():
    with mpl.rc_context():
        plots.use_style()
        _, ax = plt.subplots()
        yield ax
        plt.close("all")


def bound(right: int, delta: float = 1e-5):
    return accuracy(Counts(right, 500, 500 - right, 500, design=Design.RUNS), delta=delta, **ADD)


def test_a_bar_ends_at_the_bound_and_its_line_at_the_ceiling(ax):
    results = {"weak": bound(300), "strong": bound(400)}
    assert plots.sandwich(ax, results, CLAIM, proved=Guarantee(4.0, 1e-5, Neighbours.ADD_REMOVE)) is ax
    widths = [bar.get_width() for bars in ax.containers for bar in bars]
    assert widths == [one.value for one in results.values()]
    ends = [line.get_xdata()[-1] for line in ax.lines[:4:2]]
    assert ends == [one.ceiling for one in results.values()]
    said = " ".join(text.get_text() for text in ax.texts)
    assert "consistent" in said
    assert "violated" in said
    assert "claim: ε = 0.5" in said
    assert [label.get_text() for label in ax.get_yticklabels()] == ["weak", "strong"]


def test_the_one_picture_holds_what_it_names(ax, rng):
    member = np.arange(1000) < 500
    outcome = Outcome(rng.normal(size=1000) + member, member, design=Design.RUNS)
    plots.one_picture(ax, outcome, Guarantee(2.0, 1e-5, Neighbours.ADD_REMOVE), curves={"mine": pure(3.0)})
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


def test_without_delta_there_is_no_gaussian_curve_and_a_long_roc_is_thinned(ax, rng):
    member = np.arange(20_000) < 10_000
    outcome = Outcome(rng.normal(size=20_000) + member, member)
    plots.one_picture(ax, outcome, Guarantee(1.0, 0.0, Neighbours.REPLACE))
    lines = {line.get_label(): line for line in ax.lines}
    assert not any("Gaussian" in label for label in lines)
    fpr, tpr = lines["the attack"].get_data()
    roc = roc_curve(outcome)
    assert len(fpr) < 2001 < len(roc.fpr)
    assert set(zip(fpr, tpr, strict=True)) <= set(zip(roc.fpr, roc.tpr, strict=True))
    assert (fpr[-1], tpr[-1]) == (1, 1)


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-5), (1.0, 1e-6), (8.0, 1e-3)])
def test_the_gaussian_curve_makes_the_same_promise(epsilon, delta):
    assert epsilon_at(GaussianCurve(gaussian_mu(epsilon, delta)), delta) == pytest.approx(epsilon, rel=1e-6)


@pytest.mark.usefixtures("at_the_door")
def test_the_door(ax):
    other = Guarantee(4.0, 1e-6, Neighbours.ADD_REMOVE)
    with pytest.raises(ValueError, match="delta of proof and claim must be the same, got 1e-06 and 1e-05"):
        plots.sandwich(ax, {"one": bound(300)}, CLAIM, proved=other)
    with pytest.raises(ValueError, match="delta of bound and claim must be the same"):
        plots.sandwich(ax, {"one": bound(300, delta=0.0)}, CLAIM)
    with pytest.raises(ValueError, match="the number of results must be at least 1, got 0"):
        plots.sandwich(ax, {}, CLAIM)
