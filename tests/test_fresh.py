"""What `make_model` may return: a module of its own at every call, fresh unless said otherwise."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from mialab import canaries, models
from mialab.dp_sgd import DpSgd, fit_many_private, fit_private
from mialab.federated import FedAvg, federate
from mialab.train import Sgd, fit, fit_many

X, Y = np.eye(6, dtype=np.float32).repeat(3, axis=0), np.arange(18) % 3
MEMBER = np.ones((2, 18), dtype=bool)
PRIVATE = DpSgd(1.0, 1.0, sampling_rate=0.5, steps=2, nominal_batch=9)


def seeded():
    return np.random.default_rng(0)


DOORS = {
    "fit": lambda make, **how: fit(make, X, Y, Sgd(2), rng=seeded(), **how),
    "fit_many": lambda make, **how: fit_many(make, X, Y, MEMBER, Sgd(2), rng=seeded(), **how),
    "fit_private": lambda make, **how: fit_private(make, X, Y, PRIVATE, rng=seeded(), **how),
    "fit_many_private": lambda make, **how: fit_many_private(
        make, X, Y, MEMBER, PRIVATE, rng=seeded(), **how
    ),
    "federate": lambda make, **how: federate(
        make, X, Y, np.arange(18) % 2, MEMBER, FedAvg(2, 2), rng=seeded(), **how
    ),
    "train_with_canaries": lambda make, **how: canaries.train_with_canaries(
        make, X, Y, PRIVATE, canaries.dirac(np.arange(3), 1.0), rng=seeded(), **how
    ),
}


def perceptron():
    return models.mlp(6, (5,), 3)


def trained():
    return fit(perceptron, X, Y, Sgd(3), rng=seeded())


def from_zero():
    model = models.mlp(6, (), 3)
    for weight in model.parameters():
        nn.init.zeros_(weight)
    return model


def shares_a_layer(layer):
    return lambda: nn.Sequential(layer, nn.ReLU(), nn.Linear(5, 3))


def shares_memory(layer):
    def make():
        model = nn.Linear(6, 3)
        model.weight = nn.Parameter(layer.weight.detach())
        return model

    return make


def always_seed_0():
    torch.manual_seed(0)
    return perceptron()


def fine_tuned(teacher):
    def make():
        model = perceptron()
        model[1].load_state_dict(teacher[1].state_dict())
        return model

    return make


def remade(model):
    return lambda: copy.deepcopy(model)


SAME_MODULE = {
    "the same module": lambda: (lambda net: lambda: net)(perceptron()),
    "a trained module": lambda: (lambda net: lambda: net)(trained()),
    "two modules in turn, and one layer": lambda: shares_a_layer(nn.Linear(6, 5)),
    "the same memory": lambda: shares_memory(nn.Linear(6, 3)),
    "a frozen layer, shared": lambda: shares_a_layer(nn.Linear(6, 5).requires_grad_(False)),
}
SAME_WEIGHTS = {
    "copies": lambda: remade(perceptron()),
    "copies of a trained module": lambda: remade(trained()),
    "a seed of its own": lambda: always_seed_0,
    "one layer learned before": lambda: fine_tuned(trained()),
    "zeros, trained": lambda: remade(fit(from_zero, X, Y, Sgd(3), rng=seeded())),
}


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", SAME_MODULE)
@pytest.mark.parametrize("pretrained", [False, True])
def test_the_same_module_twice_is_refused(door, kind, pretrained):
    with pytest.raises(
        ValueError, match="make_model must return a module of its own at every call, got the same"
    ):
        DOORS[door](SAME_MODULE[kind](), pretrained=pretrained)


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", SAME_WEIGHTS)
def test_the_same_weights_twice_are_refused_unless_they_are_meant(door, kind):
    make = SAME_WEIGHTS[kind]()
    with pytest.raises(
        ValueError, match=r"fresh random weights at every call \(or pretrained must be True\), got the same"
    ):
        DOORS[door](make)
    DOORS[door](make, pretrained=True)


def identity():
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 3))
    nn.init.eye_(model[0].weight)
    return model


def frozen_features(teacher):
    def make():
        model = fine_tuned(teacher)()
        model[1].requires_grad_(False)
        return model

    return make


FRESH = {
    "random": lambda: perceptron,
    "zeros": lambda: from_zero,
    "norms": lambda: lambda: nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.PReLU(), nn.Linear(5, 3)),
    "a pattern of two values": lambda: identity,
    "frozen features": lambda: frozen_features(trained()),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", FRESH)
@pytest.mark.filterwarnings("ignore:the models are trained one by one")
def test_what_is_fresh_is_welcome(door, kind):
    DOORS[door](FRESH[kind]())


def test_what_is_no_module_is_refused(at_the_door):
    with pytest.raises(ValueError, match="make_model must return a module, got int"):
        fit(lambda: 3, X, Y, Sgd(1), rng=seeded())
    with pytest.raises(ValueError, match="with weights that hold values, got 'weight' on meta"):
        fit(lambda: nn.Linear(6, 3, device="meta"), X, Y, Sgd(1), rng=seeded())
    with pytest.raises(ValueError, match="with at least one parameter to train, got none"):
        fit(lambda: perceptron().requires_grad_(False), X, Y, Sgd(1), rng=seeded())
    with pytest.raises(ValueError, match=r"return logits of shape \(records, classes\), got tuple"):
        fit(lambda: Pair(6, 3), X, Y, Sgd(1), rng=seeded())


class Pair(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


def test_the_door_leaves_torchs_generator_where_it_was():
    before = torch.random.get_rng_state()
    for door in DOORS.values():
        door(perceptron)
    assert torch.equal(before, torch.random.get_rng_state())


def test_pretrained_weights_are_where_training_starts():
    start = trained()
    ended = fit(remade(start), X, Y, Sgd(0), rng=seeded(), pretrained=True)
    for name, weight in ended.state_dict().items():
        assert torch.equal(weight, start.state_dict()[name])
    fleet = fit_many(remade(start), X, Y, MEMBER, Sgd(3), rng=seeded(), pretrained=True)
    for model, child in enumerate(seeded().spawn(2)):
        alone = fit(remade(start), X, Y, Sgd(3), rng=child, pretrained=True)
        for name, weight in alone.state_dict().items():
            torch.testing.assert_close(fleet[model].state_dict()[name], weight, atol=1e-5, rtol=1e-5)


def test_a_module_that_says_where_it_lies_is_moved():
    """A device that a test can have everywhere: what matters is that the module is asked to come."""
    asked = itertools.count()

    class Placed(nn.Linear):
        def to(self, *where):
            next(asked)
            return super().to(*where)

    fit(lambda: Placed(6, 3), X, Y, Sgd(1), rng=seeded())
    assert next(asked) >= 2  # the throw-away model of the door, and the model
    before = next(asked)
    fit_many(lambda: Placed(6, 3), X, Y, MEMBER, Sgd(1), rng=seeded())
    assert next(asked) - before > 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_module_that_was_placed_on_a_gpu_is_trained_on_any_device(door, device):
    DOORS[door](lambda: perceptron().to("cuda"), device=device)
