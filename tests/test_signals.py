"""Signals, in and beyond the range where probabilities can be told from 0 and 1."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from mialab import models, signals
from mialab.train import Fleet

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
        (np.array([[np.nan, 0.0]]), np.array([0]), r"logits must hold no NaN, got 1 of 2 values"),
        (np.zeros((2, 3)), np.array([0, 3]), "y must be in 0 … 2, got values from 0 to 3"),
        (np.zeros((2, 3)), np.array([-1, 0]), "y must be in 0 … 2, got values from -1 to 0"),
        (np.zeros((2, 3)), np.array([0.0, 1.0]), "y must be integers, got dtype float64"),
        (
            np.zeros((2, 3)),
            np.array([0]),
            r"logits and y must have the same number of records, got 2 and 1",
        ),
        (np.zeros((2, 1)), np.array([0, 0]), "logits must have shape .* two classes or more"),
    ],
)
def test_the_door(signal, logits, y, message):
    with pytest.raises(ValueError, match=message):
        signal(logits, y)
