"""Queries in training mode: torch's own layers as the oracle."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from mialab import train
from mialab.leaks import batch_norm as bn
from mialab.models import small_cnn
from mialab_book.train_mode_queries import draw_mates, predict_batches, predict_with_mates


def test_definition_each_query_in_a_batch_of_its_own(rng):
    x = rng.random((12, 1, 8, 8)).astype(np.float32)
    models = [small_cnn(1, 8, 10, norm="batch") for _ in range(2)]
    queries, mates = np.array([3, 0]), np.array([[[1, 2], [4, 5]], [[6, 7], [3, 8]]])
    fleet = train.Fleet.of(models)
    kept = {name: tensor.clone() for name, tensor in fleet.state.items()}
    got = predict_with_mates(fleet, x, queries, mates)
    for model, own, answers in zip(models, mates, got, strict=True):
        for query, others, answer in zip(queries, own, answers, strict=True):
            batch = torch.from_numpy(x[[query, *others]])
            expected = copy.deepcopy(model).train()(batch)[0].detach()
            np.testing.assert_allclose(answer, expected, atol=1e-5)
    assert all(torch.equal(kept[name], tensor) for name, tensor in fleet.state.items())
    np.testing.assert_allclose(predict_with_mates(models[1], x, queries, mates[1]), got[1], atol=1e-6)


def test_a_batch_is_asked_as_one(rng):
    x = rng.random((12, 1, 8, 8)).astype(np.float32)
    model, batches = small_cnn(1, 8, 10, norm="batch"), rng.permutation(12).reshape(3, 4)
    got = predict_batches(model, x, batches)
    for rows, answers in zip(batches, got, strict=True):
        expected = copy.deepcopy(model).train()(torch.from_numpy(x[rows])).detach()
        np.testing.assert_allclose(answers, expected, atol=1e-5)


@pytest.mark.parametrize("norm", ["none", "instance", "layer", "group", "virtual"])
def test_without_batch_statistics_the_mates_change_not_one_bit(rng, norm):
    x = rng.random((40, 1, 8, 8)).astype(np.float32)
    reference = torch.from_numpy(x[30:]) if norm == "virtual" else None
    model = small_cnn(1, 8, 10, norm=norm, reference=reference).train()
    with_secret, without = x[:16].copy(), x[:16].copy()
    without[7] = x[20]
    with torch.no_grad():
        one, other = (model(torch.from_numpy(batch))[0] for batch in (with_secret, without))
    assert torch.equal(one, other)


def test_with_batch_statistics_it_does(rng):
    x = rng.random((17, 1, 8, 8)).astype(np.float32)
    model = small_cnn(1, 8, 10, norm="batch")
    answers = predict_with_mates(model, x, np.array([0, 0]), np.array([[1, 2, 3], [1, 2, 4]]))
    assert np.abs(answers[0] - answers[1]).max() > 1e-4


def test_dropout_is_off_while_the_batch_is_on(rng):
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    x = rng.normal(size=(5, 4)).astype(np.float32)
    queries, mates = np.array([0]), np.array([[1, 2, 3, 4]])
    expected = bn.probe_output(x[0].astype(float), x[1:].astype(float))
    np.testing.assert_allclose(predict_with_mates(model, x, queries, mates)[0], expected, atol=1e-5)


def test_mates_are_eligible_distinct_and_not_the_query(rng):
    eligible, queries = rng.random(60) < 0.5, np.arange(60)
    mates = draw_mates(eligible, queries, 10, rng=rng)
    assert eligible[mates].all()
    assert not (mates == queries[:, None]).any()
    assert all(len(set(row)) == 10 for row in mates)
    counts = np.bincount(draw_mates(eligible, np.zeros(4000, dtype=int), 5, rng=rng).ravel(), minlength=60)
    there = np.flatnonzero(eligible)[np.flatnonzero(eligible) != 0]
    expected = 4000 * 5 / len(there)
    assert np.abs(counts[there] - expected).max() < 5 * np.sqrt(expected)


X, CNN = np.zeros((4, 1, 8, 8), dtype=np.float32), small_cnn(1, 8, 10, norm="batch")


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: draw_mates(np.ones(3, dtype=bool), np.array([0]), 3, rng=None),
            r"rng must be a numpy\.random\.Generator, as numpy\.random\.default_rng\(seed\) is, got None",
        ),
        (
            lambda: draw_mates(np.ones(3), np.array([0]), 1, rng=None),
            "eligible must be an array of bool",
        ),
        (
            lambda: predict_with_mates(CNN, X, np.array([0]), np.empty((1, 0), dtype=int)),
            "mates must be at least 1 for each query, got none",
        ),
        (
            lambda: predict_batches(train.Fleet.of([CNN]), X, np.zeros((2, 1, 2), dtype=int)),
            "batches must be given for each of 1 models, got 2",
        ),
        (
            lambda: predict_with_mates(CNN, X, np.array([0]), np.zeros((2, 1), dtype=int)),
            "queries and mates must have the same number of queries, got 1 and 2",
        ),
        (
            lambda: predict_with_mates(CNN, X, np.array([-1]), np.array([[0]])),
            rf"queries must be in 0 … {len(X) - 1}, got values from -1 to -1",
        ),
        (
            lambda: predict_with_mates(CNN, X, np.array([0]), np.array([[len(X)]])),
            rf"mates must be in 0 … {len(X) - 1}",
        ),
        (
            lambda: predict_batches(CNN, X, np.array([[0, -1]])),
            rf"batches must be in 0 … {len(X) - 1}, got values from -1 to 0",
        ),
        (
            lambda: draw_mates(np.ones(3, dtype=bool), np.array([3]), 1, rng=np.random.default_rng(0)),
            "queries must be in 0 … 2, got values from 3 to 3",
        ),
    ],
)
def test_the_door(call, message):
    with pytest.raises(ValueError, match=message):
        call()
