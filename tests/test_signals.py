"""Signals, in and beyond the range where probabilities can be told from 0 and 1."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn

from mialab import models, signals
from mialab.leaks.gradients import per_record
from mialab.train import Fleet, Sgd, fit

ALL = [
    signals.loss,
    signals.confidence,
    signals.logit_gap,
    signals.margin,
    signals.correctness,
    signals.entropy,
    signals.modified_entropy,
]


def by_the_book(logits, y):
    """Every signal from its formula, one record at a time, with probabilities as they are."""
    out = {name: [] for name in [s.__name__ for s in ALL]}
    for row, label in zip(logits, y, strict=True):
        p = softmax(row.astype(np.float64))
        others = [c for c in range(len(p)) if c != label]
        out["loss"].append(np.log(p[label]))
        out["confidence"].append(p[label])
        out["logit_gap"].append(np.log(p[label]) - np.log(1 - p[label]))
        out["margin"].append(row[label] - max(row[c] for c in others))
        out["correctness"].append(float(np.argmax(row) == label))
        out["entropy"].append(sum(q * np.log(q) for q in p))
        wrong = sum(p[c] * np.log(1 - p[c]) for c in others)
        out["modified_entropy"].append((1 - p[label]) * np.log(p[label]) + wrong)
    return {name: np.array(values) for name, values in out.items()}


@pytest.mark.parametrize("signal", ALL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("classes", [2, 10])
def test_definition_the_formula_one_record_at_a_time(signal, classes, rng):
    logits, y = rng.normal(scale=3, size=(200, classes)), rng.integers(classes, size=200)
    np.testing.assert_allclose(
        signal(logits, y), by_the_book(logits, y)[signal.__name__], rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("signal", ALL, ids=lambda s: s.__name__)
def test_definition_a_fleet_is_its_models_one_by_one(signal, rng):
    logits, y = rng.normal(size=(4, 30, 5)), rng.integers(5, size=30)
    np.testing.assert_array_equal(signal(logits, y), np.stack([signal(one, y) for one in logits]))


@pytest.mark.parametrize("signal", ALL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_definition_a_single_logit_z_is_the_two_logits_0_and_z(signal, dtype, rng):
    z, y = rng.normal(scale=5, size=(4, 30, 1)).astype(dtype), rng.integers(2, size=30)
    np.testing.assert_array_equal(signal(z, y), signal(np.concatenate([0 * z, z], axis=-1), y))
    with pytest.raises(ValueError, match=r"y must be in 0 … 1, got values from \d to 2"):
        signal(z, np.append(y[1:], 2))


def test_definition_of_a_single_logit_the_loss_is_binary_cross_entropy(rng):
    z, y = rng.normal(scale=5, size=(200, 1)), rng.integers(2, size=200)
    p = 1 / (1 + np.exp(-z[:, 0]))
    np.testing.assert_allclose(signals.loss(z, y), np.log(np.where(y, p, 1 - p)), rtol=1e-9)
    np.testing.assert_allclose(signals.confidence(z, y), np.where(y, p, 1 - p), rtol=1e-9)
    np.testing.assert_array_equal(signals.logit_gap(z, y), np.where(y, z[:, 0], -z[:, 0]))
    assert signals.logit_gap([[1.0], [0.5]], [1, 0]).tolist() == [1.0, -0.5]  # no probabilities, here


def test_oracle_loss_is_scipys_log_softmax(rng):
    logits, y = rng.normal(scale=30, size=(500, 10)), rng.integers(10, size=500)
    expected = log_softmax(logits, axis=-1)[np.arange(500), y]
    np.testing.assert_allclose(signals.loss(logits, y), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("signal", ALL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("largest", [50, 1e3, 1e30, 1e38])
def test_limit_certainty_in_float32_is_finite_and_in_order(signal, largest):
    steps = np.linspace(-largest, largest, 9)
    logits = np.stack([steps, np.zeros(9), np.zeros(9)], axis=1).astype(np.float32)
    with np.errstate(over="raise", invalid="raise"):
        value = signal(logits, np.zeros(9, dtype=int))
    assert np.isfinite(value).all()
    if signal is signals.entropy:  # sure of the wrong class is as sure as any
        assert (np.diff(value[4:]) >= 0).all()
    else:
        assert (np.diff(value) >= 0).all()
    if signal in (signals.logit_gap, signals.margin):  # these never saturate
        assert (np.diff(value) > 0).all()


def test_limit_the_loss_still_orders_what_a_probability_cannot():
    logits = np.array([[40.0, 0.0], [60.0, 0.0], [700.0, 0.0]])
    y = np.zeros(3, dtype=int)
    assert (signals.confidence(logits, y) == 1).all()
    assert (np.diff(signals.loss(logits, y)) > 0).all()
    assert (np.diff(signals.modified_entropy(logits, y)) > 0).all()


def test_higher_means_member_for_a_model_that_knows_its_records_by_heart(rng):
    y = rng.integers(3, size=40)
    sure = 8.0 * (y[:, None] == np.arange(3)) + rng.normal(scale=0.1, size=(40, 3))
    unsure = rng.normal(scale=0.1, size=(40, 3))
    for signal in ALL:
        assert signal(sure, y).mean() > signal(unsure, y).mean(), signal.__name__


def test_observe_asks_every_model_of_a_fleet(rng):
    fleet = Fleet.of([models.mlp(4, (8,), 3) for _ in range(2)])
    x, y = rng.normal(size=(5, 4)).astype(np.float32), rng.integers(3, size=5)
    seen = signals.observe(fleet, x, y, signals.loss)
    assert seen.shape == (2, 5)
    np.testing.assert_allclose(seen[1], signals.observe(fleet[1], x, y, signals.loss), atol=1e-6)


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("signal", ALL, ids=lambda s: s.__name__)
@pytest.mark.parametrize(
    ("logits", "y", "message"),
    [
        (np.array([[np.inf, 0.0]]), np.array([0]), r"logits must be finite, got inf at \(0, 0\)"),
        (np.zeros((2, 3)), np.array([0, 3]), "y must be in 0 … 2, got values from 0 to 3"),
        (np.zeros((2, 3)), np.array([-1, 0]), "y must be in 0 … 2, got values from -1 to 0"),
        (
            np.zeros((2, 3)),
            np.array([0]),
            r"logits and y must have the same number of records, got 2 and 1",
        ),
        (np.zeros((2, 0)), np.array([0, 0]), "logits must have shape .* one logit or more"),
    ],
)
def test_the_door(signal, logits, y, message):
    with pytest.raises(ValueError, match=message):
        signal(logits, y)


def rounded_to(kind, p):
    """Return probabilities as various makers leave them."""
    if kind in ("float16", "float32", "float64"):
        return p.astype(kind)
    if kind == "float16, then wider":
        return p.astype(np.float16).astype(np.float64)
    if kind == "bfloat16":
        return torch.from_numpy(p).bfloat16().float().numpy()
    return np.array([[float(kind % one) for one in row] for row in p])


ROUNDINGS = ["float16", "float32", "float64", "float16, then wider", "bfloat16"]
PRINTED = ["%.2f", "%.3f", "%.5f", "%.3g", "%.7g"]


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("signal", ALL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("kind", ROUNDINGS + PRINTED)
@pytest.mark.parametrize(("records", "classes"), [(1, 3), (4, 2), (50, 10), (300, 40)])
def test_probabilities_are_no_logits_however_they_were_rounded(signal, kind, records, classes):
    rng = np.random.default_rng(records)
    p = rounded_to(kind, softmax(rng.normal(scale=3, size=(records, classes)), axis=-1))
    y = rng.integers(classes, size=records)
    with pytest.raises(ValueError, match=r"logits must be logits, got probabilities .*logits_from_prob"):
        signal(p, y)
    with pytest.raises(ValueError, match="logits must be logits, got probabilities"):
        signal(np.stack([p, p]), y)


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("signal", ALL, ids=lambda s: s.__name__)
def test_logarithms_of_probabilities_are_logits_unless_one_is_of_0(signal, rng):
    logits, y = rng.normal(size=(50, 4)), rng.integers(4, size=50)
    log_p = log_softmax(logits, axis=-1)
    np.testing.assert_allclose(signal(log_p, y), signal(logits, y), rtol=1e-9, atol=1e-12)
    forest = np.log([[0.3, 0.7, 1e-300], [1.0, 1e-300, 1e-300]])
    forest[forest < -100] = -np.inf
    with pytest.raises(ValueError, match=r"logits must be finite, got logarithms of 0: .*exp"):
        signal(forest, np.array([0, 1]))


def test_limit_hardly_any_logits_look_like_probabilities(rng):
    """One row of two classes is the likeliest to, and a constant added to it is the way out."""
    y = np.array([0])
    for logits in rng.normal(size=(5_000, 1, 2)):
        signals.margin(logits, y)
    for accident in (np.array([[1.0, 0.0]]), np.array([[0.25, 0.75]])):
        with pytest.raises(ValueError, match="logits must be logits"):
            signals.margin(accident, y)
        signals.margin(accident + 1, y)
    signals.margin(np.zeros((30, 200)), np.zeros(30, dtype=int))
    signals.margin(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([0, 0]))


@pytest.mark.parametrize("signal", ALL, ids=lambda s: s.__name__)
def test_definition_the_converter_gives_the_signals_of_the_logits(signal, rng):
    logits, y = rng.normal(scale=2, size=(3, 60, 5)), rng.integers(5, size=60)
    back = signals.logits_from_probabilities(softmax(logits, axis=-1))
    np.testing.assert_allclose(signal(back, y), signal(logits, y), rtol=1e-9, atol=1e-12)


def test_definition_a_floor_keeps_the_order_of_a_forests_votes(rng):
    votes = rng.multinomial(20, [0.9, 0.07, 0.03], size=400) / 20
    assert {0, 1} < set(votes.ravel())
    logits = signals.logits_from_probabilities(votes, floor=1 / 40)
    assert np.isfinite(logits).all()
    for one in range(3):
        np.testing.assert_array_equal(
            np.unique(votes[:, one], return_inverse=True)[1],
            np.unique(logits[:, one], return_inverse=True)[1],
        )
    label = np.zeros(400, dtype=int)
    for signal in (signals.loss, signals.confidence, signals.margin, signals.logit_gap):
        value = signal(logits, label)
        sure, never = value[votes[:, 0] == 1], value[votes[:, 0] < 1]
        assert sure.min() > never.max()


def test_limit_a_softmax_that_underflowed_keeps_what_was_left_of_it():
    p = softmax(np.array([[0, -50, -90], [0, -100, -200]], dtype=np.float32), axis=-1)
    assert (p == 0).any()
    logits = signals.logits_from_probabilities(p, floor=float(np.finfo(np.float32).smallest_subnormal))
    gap = signals.logit_gap(logits, np.array([0, 0]))
    np.testing.assert_allclose(gap, [50, 100], atol=0.1)


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("p", "floor", "message"),
    [
        ([[1.0, 0.0], [0.5, 0.5]], None, r"p must be above 0 \(or say with floor .*, got 1 zeros"),
        ([[1.0, 0.0], [0.1, 0.9]], 0.2, "floor must be at most the least probability above 0, 0.1, got 0.2"),
        ([[1.0, 0.0]], 0.0, "floor must be a finite number above 0, got 0.0"),
        ([[1.0, 0.0]], -1.0, "floor must be a finite number above 0, got -1.0"),
        ([[60.0, 40.0]], None, r"p must have rows in \[0, 1\] with sum 1, got values from 40.0 to 60.0"),
        ([[0.5, 0.4]], None, r"p must have rows in \[0, 1\] with sum 1, got .*sums from 0.9"),
        ([[1.5, -0.5]], None, r"p must have rows in \[0, 1\]"),
        ([0.5, 0.5], None, "p must have shape"),
        ([[0.5], [0.5]], None, "p must have shape"),
    ],
)
def test_the_converters_door(p, floor, message):
    with pytest.raises(ValueError, match=message):
        signals.logits_from_probabilities(np.array(p), floor=floor)


def test_a_model_that_ends_in_a_softmax_is_refused_wherever_it_is_asked(rng):
    x, y = rng.normal(size=(12, 4)).astype(np.float32), rng.integers(3, size=12)
    torch.manual_seed(0)

    def soft():
        return nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))

    refused = pytest.raises(ValueError, match=r"must be logits, got probabilities .*1")
    for asked in (soft(), Fleet.of([soft(), soft()])):
        for signal in (*ALL, lambda logits, y: logits[..., 0]):
            with refused:
                signals.observe(asked, x, y, signal)
    with refused:
        fit(soft, x, y, Sgd(steps=1), rng=rng)
    with refused:
        per_record(soft(), x, y)
    sure = nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(dim=1))
    assert np.isfinite(signals.observe(sure, x, y)).all()


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("digits", [1, 3, 12])
def test_percentages_are_no_logits(rng, digits):
    per_cent = (100 * rng.dirichlet(np.ones(4), size=30)).round(digits)
    with pytest.raises(ValueError, match="logits must be logits, got probabilities in per cent"):
        signals.loss(per_cent, np.zeros(30, dtype=int))
    assert np.isfinite(signals.loss(per_cent - 50, np.zeros(30, dtype=int))).all()
