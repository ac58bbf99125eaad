"""Training alone and in fleets."""

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn

from mialab import models
from mialab.train import Fleet, Sgd, checkpoint, fit, fit_many, predict, steps
from mialab.train.batching import batches

MAKERS = {
    "perceptron": lambda: models.mlp(64, (16, 12), 5),
    "logistic regression": lambda: models.mlp(64, (), 5),
    "cnn": lambda: models.small_cnn(1, 8, 5, width=4),
    "cnn with batch norm": lambda: models.small_cnn(1, 8, 5, width=4, norm="batch"),
    "transformer": lambda: models.tiny_transformer(1, 8, 5, patch=4, width=8, blocks=1),
}
RECIPE = Sgd(
    steps=25, batch_size=16, learning_rate=0.05, momentum=0.8, weight_decay=0.01, label_smoothing=0.1
)


def some_records(rng, records=90):
    y = rng.integers(5, size=records)
    x = rng.normal(size=(records, 1, 8, 8)) + 0.3 * y[:, None, None, None]
    return x.astype(np.float32), y


def some_members(rng, models=3, records=90):
    """Subsets of very different sizes, one of them smaller than a batch."""
    share = np.linspace(0.1, 0.9, models)[:, None]
    return rng.random((models, records)) < share


def seeded():
    return np.random.default_rng(7)


def weights_of(model):
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def assert_same_weights(first, second, **tolerance):
    for name, weight in first.items():
        np.testing.assert_allclose(
            weight, second[name], **(tolerance or {"rtol": 0, "atol": 0}), err_msg=name
        )


@pytest.mark.parametrize("maker", MAKERS)
def test_definition_each_member_of_a_fleet_is_the_model_trained_alone(rng, maker):
    x, y = some_records(rng)
    member = some_members(rng)
    fleet = fit_many(MAKERS[maker], x, y, member, RECIPE, rng=seeded())
    for i, child in enumerate(seeded().spawn(3)):
        alone = fit(MAKERS[maker], x[member[i]], y[member[i]], RECIPE, rng=child)
        assert_same_weights(weights_of(alone), weights_of(fleet[i]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("maker", MAKERS)
def test_limit_a_fleet_of_one_is_fit(rng, maker):
    x, y = some_records(rng)
    fleet = fit_many(MAKERS[maker], x, y, np.ones((1, 90), dtype=bool), RECIPE, rng=seeded())
    alone = fit(MAKERS[maker], x, y, RECIPE, rng=seeded().spawn(1)[0])
    assert_same_weights(weights_of(alone), weights_of(fleet[0]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("hidden", [(), (7,), (7, 6, 5)])
def test_oracle_the_written_out_step_is_autograd_and_torchs_optimizer(rng, smoothing, hidden):
    recipe = Sgd(1, 8, learning_rate=0.1, momentum=0.5, weight_decay=0.02, label_smoothing=smoothing)
    module = models.mlp(4, hidden, 3).double()
    fleet = Fleet.of([module, module])
    velocity = {name: torch.zeros_like(fleet.state[name]) for name, _ in module.named_parameters()}
    by_hand = steps.perceptron_step(steps.linear_layers(module), fleet.state, velocity, recipe)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.5, weight_decay=0.02)
    for _ in range(3):
        inputs, labels = torch.randn(8, 4, dtype=torch.double), torch.randint(3, (8,))
        by_hand(inputs.expand(2, 8, 4), labels.expand(2, 8))
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs), labels, label_smoothing=smoothing).backward()
        optimizer.step()
    for model in range(2):
        assert_same_weights(weights_of(module), weights_of(fleet[model]), atol=1e-12)


def test_limit_no_steps_leaves_the_initial_weights(rng):
    x, y = some_records(rng)
    fleet = fit_many(MAKERS["cnn"], x, y, some_members(rng), Sgd(steps=0), rng=seeded())
    alone = fit(MAKERS["cnn"], x, y, Sgd(steps=0), rng=seeded().spawn(3)[2])
    assert_same_weights(weights_of(alone), weights_of(fleet[2]))


@pytest.mark.parametrize("maker", ["perceptron", "cnn"])
def test_the_result_depends_on_rng_alone(rng, maker):
    x, y = some_records(rng)
    member = some_members(rng)
    torch.manual_seed(1)
    first = fit_many(MAKERS[maker], x, y, member, RECIPE, rng=seeded())
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    second = fit_many(MAKERS[maker], x, y, member, RECIPE, rng=seeded())
    assert torch.equal(before, torch.random.get_rng_state()), "training moved torch's global generator"
    other = fit_many(MAKERS[maker], x, y, member, RECIPE, rng=np.random.default_rng(8))
    for name, weight in first.state.items():
        assert torch.equal(weight, second.state[name])
    assert not torch.equal(
        first.state["0.weight" if maker == "cnn" else "1.weight"], next(iter(other.state.values()))
    )


def test_models_never_see_records_that_are_not_theirs(rng):
    """A record that no model holds may be anything, and nothing changes."""
    x, y = some_records(rng)
    member = some_members(rng)
    member[:, 4] = False
    changed_x, changed_y = x.copy(), y.copy()
    changed_x[4], changed_y[4] = 1e3, (y[4] + 1) % 5
    first = fit_many(MAKERS["perceptron"], x, y, member, RECIPE, rng=seeded())
    second = fit_many(MAKERS["perceptron"], changed_x, changed_y, member, RECIPE, rng=seeded())
    assert_same_weights(weights_of(first[0]), weights_of(second[0]))


@pytest.mark.parametrize("records", [1, 5, 64, 100])
def test_definition_a_stream_sees_every_record_equally_often(rng, records):
    seen = np.concatenate(list(batches(records, steps=30, batch_size=16, rng=rng)))
    times = np.bincount(seen, minlength=records)
    assert seen.size == 480
    assert times.max() - times.min() <= 1


@pytest.mark.parametrize("maker", ["perceptron", "cnn"])
def test_shards_change_nothing_but_rounding(rng, maker):
    x, y = some_records(rng)
    member = some_members(rng, models=5)
    whole = fit_many(MAKERS[maker], x, y, member, RECIPE, rng=seeded())
    sharded = fit_many(MAKERS[maker], x, y, member, RECIPE, rng=seeded(), memory_bytes=1)
    for i in range(5):
        assert_same_weights(weights_of(whole[i]), weights_of(sharded[i]), atol=1e-5)


class PulledThePlugError(Exception):
    """The run ends here."""


@pytest.mark.parametrize("maker", ["perceptron", "cnn with batch norm"])
@pytest.mark.parametrize("memory", [1.0, 1e9])
def test_an_interrupted_run_ends_with_the_same_bits(rng, tmp_path, monkeypatch, maker, memory):
    x, y = some_records(rng)
    member = some_members(rng)
    arguments = (MAKERS[maker], x, y, member, RECIPE)
    straight = fit_many(*arguments, rng=seeded(), memory_bytes=memory)

    monkeypatch.setattr(checkpoint, "SAVE_EVERY_SECONDS", 0.0)
    write, written = checkpoint.write, []

    def write_until_the_end(path, arrays, fingerprint):
        if len(written) == 11:
            raise PulledThePlugError
        written.append(path)
        write(path, arrays, fingerprint)

    with mock.patch.object(checkpoint, "write", write_until_the_end), pytest.raises(PulledThePlugError):
        fit_many(*arguments, rng=seeded(), memory_bytes=memory, checkpoint_folder=tmp_path)
    assert not list(tmp_path.glob("*.part"))
    resumed = fit_many(*arguments, rng=seeded(), memory_bytes=memory, checkpoint_folder=tmp_path)
    read_back = fit_many(*arguments, rng=seeded(), memory_bytes=memory, checkpoint_folder=tmp_path)
    for name, weight in straight.state.items():
        assert torch.equal(weight, resumed.state[name]), name
        assert torch.equal(weight, read_back.state[name]), name


def test_a_finished_run_is_read_back_without_a_step(rng, tmp_path):
    x, y = some_records(rng)
    arguments = (MAKERS["perceptron"], x, y, some_members(rng), RECIPE)
    fit_many(*arguments, rng=seeded(), checkpoint_folder=tmp_path)
    with mock.patch.object(
        steps, "perceptron_step", side_effect=lambda *_: mock.Mock(side_effect=AssertionError)
    ):
        fit_many(*arguments, rng=seeded(), checkpoint_folder=tmp_path)


@pytest.mark.parametrize("change", ["data", "recipe", "member", "rng", "model"])
def test_a_checkpoint_of_another_run_is_refused(rng, tmp_path, change):
    x, y = some_records(rng)
    run = {
        "model": MAKERS["perceptron"],
        "data": x,
        "member": some_members(rng),
        "recipe": RECIPE,
        "rng": seeded(),
    }
    other = {
        "model": MAKERS["logistic regression"],
        "data": x + 1,
        "member": ~run["member"],
        "recipe": Sgd(steps=26),
        "rng": np.random.default_rng(8),
    }

    def train(run):
        fit_many(
            run["model"],
            run["data"],
            y,
            run["member"],
            run["recipe"],
            rng=run["rng"],
            checkpoint_folder=tmp_path,
        )

    train(run)
    with pytest.raises(ValueError, match="checkpoint must belong to this run"):
        train({**run, "rng": seeded(), change: other[change]})


def test_a_damaged_checkpoint_is_named_and_never_unpickled(tmp_path):
    path = tmp_path / "models-000000.npz"
    checkpoint.write(path, {"a": np.arange(3)}, "me")
    assert checkpoint.read(path, "me")["a"].tolist() == [0, 1, 2]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"checkpoint must be a whole file.*remove .*models-000000\.npz"):
        checkpoint.read(path, "me")
    mark = tmp_path / "unpickled"
    hostile = np.array([Touching(mark)], dtype=object)
    np.savez(path, **{"a": hostile, ".fingerprint": np.array("me")})
    with pytest.raises(ValueError, match="checkpoint must be a whole file"):
        checkpoint.read(path, "me")
    assert not mark.exists()
    with np.load(path, allow_pickle=True) as file:  # the trap is real
        assert file["a"].size == 1
    assert mark.exists()


class Touching:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "one.npz"
    checkpoint.write(path, {"a": np.arange(3)}, "me")
    with pytest.raises(ValueError, match="allow_pickle"):
        checkpoint.write(path, {"a": np.array([{}], dtype=object)}, "me")
    assert [file.name for file in tmp_path.iterdir()] == ["one.npz"]
    assert checkpoint.read(path, "me")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("maker", MAKERS)
def test_predict_a_fleet_is_its_models_one_by_one(rng, maker, monkeypatch):
    monkeypatch.setattr("mialab.train.fleet._BYTES_AT_ONCE", 2**16)
    x, y = some_records(rng)
    fleet = fit_many(MAKERS[maker], x, y, some_members(rng), RECIPE, rng=seeded())
    logits = predict(fleet, x)
    assert logits.shape == (3, 90, 5)
    for i in range(3):
        with torch.no_grad():
            expected = fleet[i](torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(logits[i], expected, atol=1e-5)
        np.testing.assert_allclose(predict(fleet[i], x), expected, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("maker", MAKERS)
def test_a_gpu_trains_the_same_fleet(rng, maker):
    x, y = some_records(rng)
    member = some_members(rng)
    here = fit_many(MAKERS[maker], x, y, member, RECIPE, rng=seeded())
    there = fit_many(MAKERS[maker], x, y, member, RECIPE, rng=seeded(), device="cuda")
    np.testing.assert_allclose(predict(here, x), predict(there, x), atol=1e-2)


X, Y = np.zeros((4, 3), dtype=np.float32), np.array([0, 1, 0, 1])


def tiny():
    return models.mlp(3, (4,), 2)


def bad(**changes):
    run = {"make_model": tiny, "x": X, "y": Y, "member": np.ones((2, 4), dtype=bool), "recipe": Sgd(1)}
    rest = {name: changes.pop(name) for name in ("device", "memory_bytes") if name in changes}
    return lambda: fit_many(*{**run, **changes}.values(), rng=seeded(), **rest)


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            bad(member=np.array([[True] * 4, [False] * 4])),
            "at least one record in every row, got none in model 1",
        ),
        (bad(member=np.ones((0, 4), dtype=bool)), "at least one record in every row, got no models"),
        (
            bad(member=np.ones((2, 3), dtype=bool)),
            "x and member must have the same number of records, got 4 and 3",
        ),
        (bad(x=X + np.inf), r"x must be finite, got inf at \(0, 0\) \(12 such values\)"),
        (bad(x=X.astype(float) + 1e39), "x must be numbers in the range of float32, got 12 others"),
        (bad(x=X[:0], y=Y[:0]), "x and member must have the same number of records, got 0 and 4"),
        (bad(y=Y[:3]), "x and y must have the same number of records, got 4 and 3"),
        (bad(y=Y + 1), "y must be in 0 … 1, got values from 1 to 2"),
        (bad(device="cuda:9x"), "device must be available .*, got 'cuda:9x'"),
        (bad(device="abacus"), "device must be available .*, got 'abacus'"),
        (bad(make_model=tiny()), "make_model must be a function that returns a fresh module, got a module"),
        (
            bad(make_model=lambda: nn.Sequential(nn.Dropout(), tiny())),
            "without layers that draw random numbers",
        ),
        (bad(memory_bytes=0), "memory_bytes must be a finite number above 0, got 0"),
        (lambda: Sgd(steps=-1), "steps must be at least 0, got -1"),
        (lambda: Sgd(1, momentum=1.0), r"momentum must be in \[0, 1\), got 1.0"),
        (lambda: Sgd(1, learning_rate=0), "learning_rate must be a finite number above 0, got 0"),
        (lambda: Sgd(1, label_smoothing=2), r"label_smoothing must be in \[0, 1\], got 2"),
        (lambda: predict(tiny(), X + np.inf), r"x must be finite, got inf at \(0, 0\)"),
    ],
)
def test_the_door(call, message):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message):
        call()
