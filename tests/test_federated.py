"""Training together: a slow reading of the paper, limits, the noise, and the doors."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mialab import _rng, models, train
from mialab.accounting import privacy_loss
from mialab.dp_sgd import DpSgd
from mialab.federated import FedAvg, federate, rounds
from mialab.federated.rounds import _longest, _Run
from mialab.train.batching import batches


def some_records(rng, clients=3, each=8):
    x = rng.normal(size=(clients * each, 4)).astype(np.float32)
    return x, rng.integers(3, size=len(x)), np.repeat(np.arange(clients), each)


def make():
    return models.mlp(4, (5,), 3)


def vector(module):
    return torch.cat([weight.detach().flatten() for weight in module.parameters()])


def slow(x, y, owner, row, recipe, rng):
    """One federation without noise, read off the paper: every client a loop of torch's own SGD."""
    shared = _rng.fresh(make, rng)
    _rng.Noise(rng)
    clients = range(owner.max() + 1)
    mine = [np.flatnonzero(row & (owner == client)) for client in clients]
    streams = [
        batches(rows.size, recipe.rounds * recipe.local_steps, recipe.batch_size, rng=child)
        for rows, child in zip(mine, rng.spawn(len(mine)), strict=True)
    ]
    for _ in range(recipe.rounds):
        sent = []
        for client in clients:
            local = make()
            local.load_state_dict(shared.state_dict())
            descent = torch.optim.SGD(local.parameters(), lr=recipe.learning_rate)
            for _ in range(recipe.local_steps):
                batch = mine[client][next(streams[client])]
                descent.zero_grad()
                answer = local(torch.from_numpy(x[batch]))
                nn.functional.cross_entropy(answer, torch.from_numpy(y[batch])).backward()
                descent.step()
            update = vector(local) - vector(shared)
            sent.append(update * min(1.0, recipe.clip / float(update.norm())))
        there = rng.random(len(mine)) < recipe.sampling_rate
        moved = (
            vector(shared)
            + sum(
                (one for one, comes in zip(sent, there, strict=True) if comes),
                torch.zeros(len(vector(shared))),
            )
            / recipe.nominal_clients
        )
        nn.utils.vector_to_parameters(moved, shared.parameters())
    return vector(shared)


@pytest.mark.parametrize("clip", [math.inf, 0.05])
@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_definition_a_federation_is_the_loop_of_the_paper(rng, clip, rate):
    x, y, owner = some_records(rng)
    member = np.ones((2, len(x)), dtype=bool)
    member[1, ::3] = False
    recipe = FedAvg(
        4, 3 * rate, local_steps=3, batch_size=4, learning_rate=0.3, sampling_rate=rate, clip=clip
    )
    trace = federate(make, x, y, owner, member, recipe, rng=np.random.default_rng(5))
    for number, child in enumerate(np.random.default_rng(5).spawn(2)):
        expected = slow(x, y, owner, member[number], recipe, child)
        torch.testing.assert_close(trace.weights[-1][number], expected, rtol=0, atol=2e-6)


def test_limit_one_step_on_all_records_is_a_step_of_the_mean_gradient(rng):
    x, y, owner = some_records(rng)
    member = np.ones((1, len(x)), dtype=bool)
    recipe = FedAvg(1, 3, local_steps=1, batch_size=8, learning_rate=0.2)
    trace = federate(make, x, y, owner, member, recipe, rng=rng)
    start, end = trace.shared(0)[0], trace.weights[1][0]
    nn.functional.cross_entropy(start(torch.from_numpy(x)), torch.from_numpy(y)).backward()
    gradient = torch.cat([weight.grad.flatten() for weight in start.parameters()])
    torch.testing.assert_close(end, vector(start) - 0.2 * gradient, rtol=0, atol=2e-6)


def test_limit_one_client_is_plain_training(rng):
    x, y, _ = some_records(rng, clients=1)
    trace = federate(
        make,
        x,
        y,
        np.zeros(len(x), dtype=int),
        np.ones((1, len(x)), dtype=bool),
        FedAvg(5, 1),
        rng=rng,
        watch=[2],
    )
    torch.testing.assert_close(trace.weights[3], trace.weights[2] + trace.updates[2][:, 0])
    np.testing.assert_allclose(
        train.predict(trace.sent(2, 0), x), train.predict(trace.shared(3), x), rtol=0, atol=1e-5
    )


def test_definition_no_client_moves_the_sum_by_more_than_the_clip(rng):
    x, y, owner = some_records(rng)
    member = np.ones((1, len(x)), dtype=bool)
    recipe = FedAvg(1, 1, learning_rate=5.0, clip=0.01)
    trace = federate(make, x, y, owner, member, recipe, rng=rng, watch=[0])
    assert trace.updates[0].norm(dim=2).min() > 0.01  # the clip had something to do
    assert (trace.weights[1] - trace.weights[0]).norm(dim=1) <= 0.03 * (1 + 1e-5)


def test_definition_the_noise_has_the_announced_size_and_each_federation_its_own(rng):
    x, y, owner = some_records(rng)
    member = np.ones((40, len(x)), dtype=bool)
    quiet, loud = (
        FedAvg(2, 6, local_steps=1, learning_rate=1e-6, clip=1e-3, noise_multiplier=sigma)
        for sigma in (0.0, 30.0)
    )
    moved = [
        federate(make, x, y, owner, member, recipe, rng=np.random.default_rng(1)).weights.diff(dim=0)
        for recipe in (quiet, loud)
    ]
    noise = (moved[1] - moved[0]).numpy()  # (rounds, federations, weights)
    expected = 30.0 * 1e-3 / 6
    error = 4 / np.sqrt(2 * noise.size)
    assert abs(noise.std() / expected - 1) < error
    flat = noise.reshape(80, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(80)).max() < 5.5 / np.sqrt(flat.shape[1])


def test_coverage_clients_take_part_by_their_own_coins(rng):
    x, y, owner = some_records(rng, clients=10, each=2)
    recipe = FedAvg(50, 3, local_steps=1, batch_size=2, sampling_rate=0.3)
    there = federate(make, x, y, owner, np.ones((6, 20), dtype=bool), recipe, rng=rng).took_part.numpy()
    assert there.shape == (50, 6, 10)
    assert abs(there.mean() - 0.3) < 4 * np.sqrt(0.21 / there.size)
    columns = there.reshape(50, -1).astype(float)
    assert np.abs(np.corrcoef(columns.T) - np.eye(60)).max() < 5.5 / np.sqrt(50)


def test_oracle_the_receipt_is_that_of_private_training_with_clients_for_records():
    recipe = FedAvg(200, 5, sampling_rate=0.05, clip=0.1, noise_multiplier=1.2)
    same = DpSgd(1.0, 1.2, sampling_rate=0.05, steps=200, nominal_batch=5)
    record = privacy_loss.guarantee(same, delta=1e-4)
    assert privacy_loss.guarantee(recipe, delta=1e-4) == replace(record, unit="client")
    assert recipe.server_step == DpSgd(0.1, 1.2, sampling_rate=0.05, steps=200, nominal_batch=5)


def test_limit_without_rounds_nothing_is_shared_and_epsilon_is_0(rng):
    x, y, owner = some_records(rng)
    recipe = FedAvg(0, 3, clip=1.0, noise_multiplier=1.0)
    trace = federate(make, x, y, owner, np.ones((2, len(x)), dtype=bool), recipe, rng=rng)
    assert (trace.rounds, tuple(trace.took_part.shape), len(trace.shared(0))) == (0, (0, 2, 3), 2)
    assert privacy_loss.guarantee(recipe, delta=1e-4).epsilon == 0


def test_a_federation_without_noise_has_no_receipt(at_the_door):
    with pytest.raises(ValueError, match="noise_multiplier must be"):
        privacy_loss.guarantee(FedAvg(2, 1), delta=1e-4)


def test_an_absent_client_sends_nothing(rng):
    x, y, owner = some_records(rng)
    member = np.ones((2, len(x)), dtype=bool)
    member[1, owner == 1] = False
    recipe = FedAvg(2, 3)
    trace = federate(make, x, y, owner, member, recipe, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(trace.took_part.all(dim=0), [[True, True, True], [True, False, True]])
    other = np.where((owner == 1)[:, None], 5.0, x).astype(np.float32)
    changed = federate(make, other, y, owner, member, recipe, rng=np.random.default_rng(3))
    torch.testing.assert_close(trace.weights[:, 1], changed.weights[:, 1])
    assert not torch.allclose(trace.weights[-1, 0], changed.weights[-1, 0])


def test_a_federation_does_not_depend_on_its_neighbours(rng):
    x, y, owner = some_records(rng)
    member = rng.random((3, len(x))) < 0.7
    member[:, ::8] = True
    recipe = FedAvg(2, 3, clip=0.5, noise_multiplier=1.0)
    together = federate(make, x, y, owner, member, recipe, rng=np.random.default_rng(3))
    torch.manual_seed(99)
    again = federate(make, x, y, owner, member, recipe, rng=np.random.default_rng(3))
    assert torch.equal(together.weights, again.weights)
    other = member.copy()
    other[1:] = True
    changed = federate(make, x, y, owner, other, recipe, rng=np.random.default_rng(3))
    torch.testing.assert_close(together.weights[:, 0], changed.weights[:, 0])
    assert not torch.allclose(together.weights[-1, 1], changed.weights[-1, 1])


def test_a_group_norm_network_can_be_federated(rng):
    x = rng.normal(size=(12, 1, 8, 8)).astype(np.float32)
    y, owner = rng.integers(3, size=12), np.arange(12) % 2
    trace = federate(
        lambda: models.small_cnn(1, 8, 3, norm="group"),
        x,
        y,
        owner,
        np.ones((2, 12), dtype=bool),
        FedAvg(2, 2),
        rng=rng,
    )
    assert train.predict(trace.shared(2), x).shape == (2, 12, 3)


def frozen():
    model = make()
    model[1].requires_grad_(False)
    return model


def test_definition_frozen_weights_are_not_sent_and_get_no_noise(rng):
    x, y, owner = some_records(rng)
    member = np.ones((2, len(x)), dtype=bool)
    recipe = FedAvg(3, 3, learning_rate=0.5, clip=0.1, noise_multiplier=2.0)
    trace = federate(frozen, x, y, owner, member, recipe, rng=np.random.default_rng(5), watch=[0, 2])
    features = 5 * 4 + 5
    assert torch.equal(trace.weights[0][:, :features], trace.weights[-1][:, :features])
    assert not trace.updates[2][..., :features].any()
    assert (trace.weights[0][:, features:] != trace.weights[-1][:, features:]).all()
    quiet = FedAvg(1, 3, learning_rate=0.5, clip=0.1)
    moved = federate(frozen, x, y, owner, member, quiet, rng=np.random.default_rng(5)).weights.diff(dim=0)[0]
    length = trace.updates[0][..., features:].norm(dim=2, keepdim=True)
    expected = (trace.updates[0] * (0.1 / length).clamp(max=1)).sum(1) / 3
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-6)


def test_weights_of_two_precisions_are_refused(at_the_door):
    class Mixed(nn.Linear):
        def __init__(self):
            super().__init__(4, 3)
            self.wide = nn.Parameter(torch.randn(3, dtype=torch.float64))

        def forward(self, x):
            return super().forward(x) + self.wide.float()

    with pytest.raises(ValueError, match="whose weights are real, of one precision, got"):
        call(make_model=Mixed)


def call(**changes):
    rng = np.random.default_rng(0)
    x, y, owner = some_records(rng)
    arguments = {"x": x, "y": y, "owner": owner, "member": np.ones((1, len(x)), dtype=bool)}
    arguments |= {"recipe": FedAvg(2, 3), "make_model": make} | changes
    return federate(**arguments, rng=rng)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"owner": np.zeros(5, dtype=int)}, "x and owner must have the same number of records, got 24 and 5"),
        ({"owner": np.zeros(24)}, "owner must be integers, got dtype float64"),
        ({"owner": np.arange(24) - 1}, "owner must be at least 0, got -1"),
        ({"owner": np.full(24, 2)}, "client 0 must hold a record in one federation or more, got none"),
        ({"member": np.arange(24)[None] > 7}, "client 0 must hold a record"),
        ({"watch": [2]}, r"watch must hold rounds in 0 … 1, got 2"),
        ({"make_model": lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))}, "without buffers"),
        ({"recipe": FedAvg(3, 3, learning_rate=1e30)}, "stay finite, in round"),
    ],
)
def test_the_door(at_the_door, changes, message):
    with pytest.raises(ValueError, match=message):
        call(**changes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rounds", -1),
        ("local_steps", 0),
        ("batch_size", 1.5),
        ("nominal_clients", 0),
        ("learning_rate", 0.0),
        ("sampling_rate", 1.1),
        ("clip", 0.0),
        ("clip", 1e-31),
        ("noise_multiplier", -1.0),
        ("noise_multiplier", 1.0),  # and no clip
    ],
)
def test_the_door_of_the_recipe(at_the_door, field, value):
    with pytest.raises(ValueError, match=f"{field} must be"):
        FedAvg(**({"rounds": 2, "nominal_clients": 3} | {field: value}))


def test_the_door_of_the_trace(at_the_door):
    trace = call(watch=[1])
    with pytest.raises(ValueError, match=r"round_ must be in 0 … 2, got 3"):
        trace.shared(3)
    with pytest.raises(ValueError, match=r"round_ must be one that was watched, \[1\], got 0"):
        trace.sent(0, 0)
    with pytest.raises(ValueError, match=r"client must be in 0 … 2, got 3"):
        trace.sent(1, 3)


class Silence(_rng.Noise):
    def normal(self, like):
        return torch.zeros_like(like)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_definition_no_update_of_any_size_adds_more_than_the_clip(dtype):
    """As a stranger would send it: huge, tiny, uneven or not finite; and in company."""
    torch.manual_seed(0)
    sizes = [10.0**k for k in (*range(-36, 37, 4), *((-300, 150, 300) if dtype == torch.float64 else ()))]
    uneven = torch.randn(len(sizes), 50, dtype=torch.float64) * 10 ** (4 * torch.randn(len(sizes), 50))
    update = (torch.tensor(sizes, dtype=torch.float64).unsqueeze(1) * uneven).clamp(-3e307, 3e307).to(dtype)
    update[3, 7], update[5, 0] = math.inf, math.nan
    run = SimpleNamespace(
        shape=(1, 1),
        recipe=FedAvg(1, 1, clip=0.3, noise_multiplier=1e-12),
        start=torch.zeros(1, 50),
        noises=[],
    )
    run.noises = [Silence()]
    present = torch.ones(1, 1, dtype=torch.bool)
    for row in update:
        added = _Run.averaged(run, row.view(1, 1, -1), present).double().norm()
        assert added <= 0.3 * (1 + 1e-6)
        assert torch.isfinite(row).all() or added == 0
        if torch.isfinite(row).all() and row.abs().max() > 1:
            assert added > 0.3 * (1 - 1e-5)
    run.shape = (1, 5)
    crowd = torch.randn(1, 5, 50) * 1e6
    there = torch.tensor([[True, True, False, True, True]])
    with_it, without = there.clone(), there.clone()
    with_it[0, 2] = True
    moved = _Run.averaged(run, crowd.double(), with_it) - _Run.averaged(run, crowd.double(), without)
    assert moved.norm() <= 0.3 * (1 + 1e-6)


@pytest.mark.parametrize("clients", range(1, 9))
def test_definition_an_average_in_blocks_holds_every_client_once(monkeypatch, clients):
    monkeypatch.setattr(rounds, "_CLIENTS", 3)
    run = SimpleNamespace(shape=(2, clients), recipe=FedAvg(1, 2), noises=[Silence(), Silence()])
    update = 2.0 ** torch.arange(2 * clients * 4).view(2, clients, 4).double()  # each is a digit of its own
    there = torch.arange(2 * clients).view(2, clients) % 3 != 1
    expected = (update * there.unsqueeze(2)).sum(1) / 2
    assert torch.equal(_Run.averaged(run, update, there), expected)


def test_an_update_that_is_not_finite_is_an_error_where_nothing_is_promised(rng):
    x, y, owner = some_records(rng)
    member = np.ones((1, len(x)), dtype=bool)
    wild = {"learning_rate": 1e30, "local_steps": 3}
    with pytest.raises(ValueError, match="what clients send must stay finite, in round 0"):
        federate(make, x, y, owner, member, FedAvg(2, 3, clip=1.0, **wild), rng=np.random.default_rng(0))
    private = FedAvg(2, 3, clip=1.0, noise_multiplier=1.0, **wild)
    trace = federate(make, x, y, owner, member, private, rng=np.random.default_rng(0))
    assert torch.isfinite(trace.weights).all()


@pytest.mark.parametrize("numbers", [7, 64, 65, 100_000])
def test_definition_what_a_client_sends_is_never_taken_for_shorter(numbers):
    rows = torch.randn(30, numbers, generator=torch.Generator().manual_seed(1))
    exact = np.array([math.sqrt(math.fsum(x * x for x in row)) for row in rows.double().tolist()])
    longest = _longest(rows).double().numpy()
    assert (longest >= exact).all()
    assert (longest <= exact * (1 + 1e-4)).all()
