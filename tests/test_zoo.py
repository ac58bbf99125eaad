"""A fleet is its single models: one property, for modules of every kind."""

import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import zoo
from mialab import _rng
from mialab.dp_sgd import DpSgd, fit_many_private, fit_private
from mialab.federated import FedAvg, federate
from mialab.train import Sgd, fit, fit_many, predict
from mialab.train.streams import batches

RECIPE = Sgd(12, batch_size=8, learning_rate=0.1, momentum=0.8, weight_decay=0.02, label_smoothing=0.1)
MODELS = 3
ONE_BY_ONE = "the models are trained one by one"


def seeded():
    return np.random.default_rng(7)


def game(kind, rng):
    """Return records, and members of very different number."""
    x, y = zoo.records(kind.records, rng)
    member = rng.random((MODELS, len(y))) < np.array([[0.15], [0.5], [0.9]])
    member[:, 0] = True
    return x, y, member


def tensors_of(model):
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor.detach().numpy().copy() for name, tensor in named}


def assert_same(model, alone, tolerance=1e-5):
    got, expected = tensors_of(model), tensors_of(alone)
    assert got.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_allclose(got[name], tensor, atol=tolerance, rtol=tolerance, err_msg=name)


def quietly(train, *args, **options):
    """Train, and return what came out with the reasons that were given."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        done = train(*args, **options)
    said = [str(one.message) for one in given if ONE_BY_ONE in str(one.message)]
    return done, said


pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{what}")
    for what in (
        ".*is deprecated",
        "Lazy modules",
        "Full backward hook is firing",
        "There is a performance drop",
    )
]


@pytest.mark.parametrize("name", zoo.KINDS)
def test_definition_each_member_of_a_fleet_is_the_model_that_fit_trains(rng, name):
    kind = zoo.KINDS[name]
    x, y, member = game(kind, rng)
    fleet, said = quietly(fit_many, kind.make, x, y, member, RECIPE, rng=seeded())
    assert len(said) == (0 if kind.fast else 1), said
    logits = predict(fleet, x)
    for i, child in enumerate(seeded().spawn(MODELS)):
        alone = fit(kind.make, x[member[i]], y[member[i]], RECIPE, rng=child)
        assert_same(fleet[i], alone)
        np.testing.assert_allclose(logits[i], predict(alone, x), atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(predict(fleet[i], x), predict(alone, x), atol=1e-4, rtol=1e-4)


PRIVATE = DpSgd(0.8, 0.5, sampling_rate=0.3, steps=11, nominal_batch=8, learning_rate=0.3, momentum=0.5)


def accepted(kind):
    """Return whether `fit_private` takes a kind, and the error otherwise."""
    x, y, _ = game(kind, np.random.default_rng(1))
    try:
        fit_private(kind.make, x, y, PRIVATE, rng=seeded())
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("name", zoo.KINDS)
def test_definition_each_member_of_a_private_fleet_is_the_model_that_fit_private_trains(rng, name):
    kind = zoo.KINDS[name]
    x, y, member = game(kind, rng)
    if (error := accepted(kind)) is not None:
        assert not kind.private, f"fit_private: {error}"
        if isinstance(error, ValueError):  # a refusal
            with pytest.raises(ValueError, match=re.escape(str(error))):
                quietly(fit_many_private, kind.make, x, y, member, PRIVATE, rng=seeded())
        return
    fleet, said = quietly(fit_many_private, kind.make, x, y, member, PRIVATE, rng=seeded())
    assert len(said) == (0 if kind.fast and name != "prelu" else 1), said  # torch's prelu fails in two vmaps
    for i, child in enumerate(seeded().spawn(MODELS)):
        alone = fit_private(kind.make, x[member[i]], y[member[i]], PRIVATE, rng=child)
        assert_same(fleet[i], alone)


def vector(module):
    return torch.cat([weight.detach().flatten() for weight in module.parameters()])


def slow_federation(kind, x, y, owner, row, recipe, rng):
    """One federation, client by client: a fresh module with the shared weights, and torch's own SGD."""
    start = np.random.default_rng()
    start.bit_generator.state = rng.bit_generator.state
    shared = vector(_rng.fresh(kind.make, rng))
    _rng.torch_generator(rng)
    mine = [np.flatnonzero(row & (owner == client)) for client in range(owner.max() + 1)]
    count = recipe.rounds * recipe.local_steps
    streams = [
        batches(rows.size, count, recipe.batch_size, rng=child)
        for rows, child in zip(mine, rng.spawn(len(mine)), strict=True)
    ]
    for _ in range(recipe.rounds):
        total = torch.zeros_like(shared)
        for rows, stream in zip(mine, streams, strict=True):
            again = np.random.default_rng()
            again.bit_generator.state = start.bit_generator.state
            local = _rng.fresh(kind.make, again).train()
            nn.utils.vector_to_parameters(shared.clone(), local.parameters())
            descent = torch.optim.SGD(local.parameters(), lr=recipe.learning_rate)
            for _ in range(recipe.local_steps):
                batch = rows[next(stream)]
                descent.zero_grad()
                answer = local(torch.from_numpy(x[batch]))
                nn.functional.cross_entropy(answer, torch.from_numpy(y[batch])).backward()
                descent.step()
            update = vector(local) - shared
            total += update * min(1.0, recipe.clip / (float(update.norm()) or 1.0))
        shared = shared + total / recipe.nominal_clients
    return shared


FEDERATED = [name for name, kind in zoo.KINDS.items() if not (kind.buffers or kind.draws) and name != "lazy"]


@pytest.mark.parametrize("name", FEDERATED)
def test_definition_each_federation_is_a_loop_over_its_clients(rng, name):
    kind = zoo.KINDS[name]
    x, y, member = game(kind, rng)
    owner = np.arange(len(y)) % 2
    member[:, :2] = True
    recipe = FedAvg(3, 2, local_steps=4, batch_size=4, learning_rate=0.2, clip=0.3)
    trace, said = quietly(federate, kind.make, x, y, owner, member, recipe, rng=seeded())
    assert len(said) == (0 if kind.fast else 1), said
    for i, child in enumerate(seeded().spawn(MODELS)):
        expected = slow_federation(kind, x, y, owner, member[i], recipe, child)
        torch.testing.assert_close(trace.weights[-1][i], expected, atol=1e-5, rtol=1e-5)
