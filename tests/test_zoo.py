"""A fleet is its single models: one property, for modules of every kind."""

import re
import warnings
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn

import zoo
from mialab import _rng
from mialab.dp_sgd import DpSgd, fit_many_private, fit_private
from mialab.federated import FedAvg, federate
from mialab.train import Sgd, fit, fit_many, predict, steps
from mialab.train.batching import batches

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
        "`torch.jit",
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
    assert len(said) <= (0 if kind.fast and kind.private and name != "prelu" else 1), (
        said
    )  # torch's prelu fails in two vmaps
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
    _rng.Noise(rng)
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


FEDERATED = [name for name, kind in zoo.KINDS.items() if kind.federated and not (kind.buffers or kind.draws)]


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


@pytest.mark.parametrize("name", [name for name, kind in zoo.KINDS.items() if kind.draws])
def test_what_the_forward_pass_draws_comes_from_rng_alone(rng, name):
    kind = zoo.KINDS[name]
    x, y, member = game(kind, rng)
    owner = np.arange(len(y)) % 2
    member[:, :2] = True
    federation = FedAvg(2, 2, local_steps=2, batch_size=4)

    def all_ways(seed, draws):
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        done = [*tensors_of(fit(kind.make, x, y, RECIPE, rng=draws)).values()]
        if not kind.buffers:
            trace, _ = quietly(federate, kind.make, x, y, owner, member, federation, rng=draws)
            done.append(trace.weights[-1].numpy())
        assert torch.equal(before, torch.random.get_rng_state()), "training moved torch's global generator"
        return np.concatenate([one.flatten() for one in done])

    first = all_ways(1, seeded())
    np.testing.assert_array_equal(first, all_ways(2, seeded()))
    assert not np.array_equal(first, all_ways(1, np.random.default_rng(8)))


def test_a_fleet_is_found_out_late_and_trained_again(rng):
    """One tensor program that is right at first, and wrong at its last step."""
    kind = zoo.KINDS["cnn"]
    x, y, member = game(kind, rng)
    general, calls = steps.general_step, []

    def wrong_in_the_end(template, state, velocity, recipe):
        step = general(template, state, velocity, recipe)

        def run(inputs, labels):
            step(inputs, labels)
            calls.append(len(calls) + 1)
            if len(calls) == RECIPE.steps:
                next(iter(state.values())).data.mul_(1.01)

        return run

    with mock.patch.object(steps, "general_step", wrong_in_the_end):
        fleet, said = quietly(fit_many, kind.make, x, y, member, RECIPE, rng=seeded())
    assert len(said) == 1
    assert "step 12 is another for '0.weight'" in said[0]
    for i, child in enumerate(seeded().spawn(MODELS)):
        assert_same(fleet[i], fit(kind.make, x[member[i]], y[member[i]], RECIPE, rng=child), 0.0)


def test_a_warning_is_given_once_for_all_shards(rng):
    kind = zoo.KINDS["lstm"]
    x, y, member = game(kind, rng)
    fleet, said = quietly(fit_many, kind.make, x, y, member, RECIPE, rng=seeded(), memory_bytes=1)
    assert said == ["the models are trained one by one, which takes longer: it has recurrent layers"]
    assert len(fleet) == MODELS
