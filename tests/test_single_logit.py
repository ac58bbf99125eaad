"""A model with a single logit z is the model with the two logits (0, z), wherever it is trained or asked."""

import numpy as np
import pytest
import torch
from torch import nn

import zoo
from mialab import models, signals
from mialab.dp_sgd import DpSgd, fit_private
from mialab.federated import FedAvg, federate
from mialab.leaks import gradients
from mialab.train import Fleet, Sgd, fit, fit_many, predict

RECIPE = Sgd(12, batch_size=8, learning_rate=0.1, momentum=0.8, weight_decay=0.02)
SMOOTH = Sgd(12, batch_size=8, learning_rate=0.1, momentum=0.8, label_smoothing=0.2)
X = zoo.records("images", np.random.default_rng(1))[0]
Y = (X.mean(axis=(1, 2, 3)) > 0).astype(int)
MEMBER = np.random.default_rng(2).random((3, len(Y))) < np.array([[0.2], [0.5], [0.9]])


class ZeroBeside(nn.Module):
    """Answer (0, z): the definition."""

    def __init__(self, single):
        super().__init__()
        self.single = single

    def forward(self, x):
        z = self.single(x).view(-1, 1)
        return torch.cat([torch.zeros_like(z), z], dim=1)


class Squeezed(nn.Sequential):
    """Answer (records,)."""

    def forward(self, x):
        return super().forward(x).squeeze(-1)


class Last(nn.Module):
    """A recurrent layer, which no tensor program takes."""

    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(8, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.lstm(x[:, 0])[0][:, -1])


SINGLE = {
    "perceptron": lambda: models.mlp(64, (8,), 1),
    "linear": lambda: models.mlp(64, (), 1),
    "cnn": lambda: models.small_cnn(1, 8, 1, width=4),
    "batch norm": lambda: models.small_cnn(1, 8, 1, width=4, norm="batch"),
    "one axis": lambda: Squeezed(*models.mlp(64, (8,), 1)),
    "recurrent, one by one": Last,
}


def seeded():
    return np.random.default_rng(7)


@pytest.mark.parametrize("recipe", [RECIPE, SMOOTH])
@pytest.mark.parametrize("kind", SINGLE)
@pytest.mark.filterwarnings("ignore:the models are trained one by one")
def test_definition_it_is_trained_and_asked_like_the_two_logits(kind, recipe):
    make = SINGLE[kind]

    def double():
        return ZeroBeside(make())

    one, two = (fit(maker, X, Y, recipe, rng=seeded()) for maker in (make, double))
    many, many_two = (fit_many(maker, X, Y, MEMBER, recipe, rng=seeded()) for maker in (make, double))
    for got, expected in ((one, two), (many, many_two)):
        logits = predict(got, X)
        assert logits.shape[-1] == 2
        assert not logits[..., 0].any()
        np.testing.assert_allclose(logits, predict(expected, X), atol=1e-5)
        for signal in (None, signals.loss, signals.correctness):
            seen = signals.observe(got, X, Y, signal)
            np.testing.assert_allclose(seen, signals.observe(expected, X, Y, signal), atol=1e-5)
    for i, child in enumerate(seeded().spawn(3)):
        alone = fit(make, X[MEMBER[i]], Y[MEMBER[i]], recipe, rng=child)
        np.testing.assert_allclose(predict(many, X)[i], predict(alone, X), atol=1e-4, rtol=1e-4)


def test_oracle_its_loss_is_torchs_binary_cross_entropy():
    torch.manual_seed(0)
    model = models.mlp(64, (8,), 1)
    z = model(torch.from_numpy(X))[:, 0]
    expected = nn.functional.binary_cross_entropy_with_logits(
        z, torch.from_numpy(Y).float(), reduction="none"
    )
    loss = signals.observe(model, X, Y, signals.loss)
    np.testing.assert_allclose(-loss, expected.detach().numpy(), rtol=1e-5, atol=1e-7)


def test_a_fleet_of_single_logits_made_elsewhere_is_asked_too():
    fleet = Fleet.of([models.mlp(64, (8,), 1) for _ in range(2)])
    z = fleet[1](torch.from_numpy(X)).detach().numpy()[:, 0]
    np.testing.assert_allclose(signals.observe(fleet, X, Y)[1], np.where(Y, z, -z), atol=1e-6)


def test_definition_a_federation_trains_it_like_the_two_logits():
    recipe, owner = FedAvg(rounds=3, nominal_clients=4, learning_rate=0.3), np.arange(len(Y)) % 4

    def double():
        return ZeroBeside(SINGLE["perceptron"]())

    one, two = (
        federate(make, X, Y, owner, np.ones((1, len(Y)), dtype=bool), recipe, rng=seeded()).shared(3)
        for make in (SINGLE["perceptron"], double)
    )
    np.testing.assert_allclose(predict(one, X), predict(two, X), atol=1e-5)


def test_it_learns():
    model = fit(SINGLE["perceptron"], X, Y, Sgd(200, learning_rate=0.1), rng=seeded())
    assert signals.observe(model, X, Y, signals.correctness).mean() > 0.9


@pytest.mark.usefixtures("at_the_door")
def test_what_is_no_single_logit_is_refused():
    with pytest.raises(ValueError, match="y must be in 0 … 1, got values from 0 to 2"):
        fit(SINGLE["perceptron"], X, np.arange(len(Y)) % 3, RECIPE, rng=seeded())

    def ends_in_a_sigmoid():
        return nn.Sequential(*models.mlp(64, (8,), 1), nn.Sigmoid())

    sigmoid = pytest.raises(ValueError, match="the module must return a logit, got a probability: leave out")
    with sigmoid:
        fit(ends_in_a_sigmoid, X, Y, RECIPE, rng=seeded())
    with sigmoid:
        signals.observe(ends_in_a_sigmoid(), X, Y)
    with sigmoid:
        predict(Fleet.of([ends_in_a_sigmoid()]), X)
    private = DpSgd(1.0, 1.0, 0.5, 2, nominal_batch=20)
    with pytest.raises(
        ValueError, match="the module must return logits of two classes or more, got a single"
    ):
        fit_private(SINGLE["perceptron"], X, Y, private, rng=seeded())
    with pytest.raises(ValueError, match=r"the model must return logits of shape \(records, classes\), two"):
        gradients.per_record(SINGLE["perceptron"](), X, Y)
