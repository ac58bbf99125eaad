"""Checkpoints: they belong to one experiment, are whole or absent, and give back what was trained."""

import copy
import sys
import warnings
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn

import zoo
from mialab import models
from mialab.train import Sgd, checkpoint, fit_many

MODULE = sys.modules["mialab.train.fit_many"]  # beside the function of that name
RECIPE = Sgd(8, batch_size=6)
MEMBER = np.random.default_rng(1).random((3, 40)) < 0.5


def seeded(kind=np.random.PCG64):
    return np.random.Generator(kind(7))


def run(make, folder, rng=None, **how):
    x, y = zoo.records("vectors", np.random.default_rng(2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the models are trained one by one")
        return fit_many(make, x, y, MEMBER, RECIPE, rng=rng or seeded(), checkpoint_folder=folder, **how)


def same(first, second):
    return all(torch.equal(tensor, second.state[name]) for name, tensor in first.state.items())


class Scaled(zoo.Net):
    """A net with a constant that its text does not show."""

    def __init__(self, scale, where="always", function=torch.relu):
        super().__init__()
        self.scale, self.where, self.function = scale, where, function

    def middle(self, h):
        h = self.function(h)
        return h * self.scale if self.training or self.where == "always" else h


class Reverses(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h, factor):
        ctx.factor = factor
        return h.clone()

    @staticmethod
    def backward(ctx, gradient):
        return ctx.factor * gradient, None


class Pulled(zoo.Net):
    """A constant that only the gradient knows."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def middle(self, h):
        return Reverses.apply(h, self.factor)


def filled(**buffers):
    def make():
        model = zoo.UnusedBuffer()
        model.spare.fill_(buffers["spare"])
        return model

    return make


NET = models.mlp(6, (4,), 3)
OTHERS = {
    "a constant": (lambda: Scaled(1.0), lambda: Scaled(1.5)),
    "a constant of training": (lambda: Scaled(1.0, "training"), lambda: Scaled(1.5, "training")),
    "a function": (lambda: Scaled(1.0), lambda: Scaled(1.0, function=torch.tanh)),
    "a constant of the gradient": (lambda: Pulled(1.0), lambda: Pulled(-1.0)),
    "a plain tensor": (lambda: Scaled(torch.ones(())), lambda: Scaled(torch.full((), 2.0))),
    "a buffer": (filled(spare=1.0), filled(spare=2.0)),
    "frozen weights": (zoo.Frozen, zoo.FrozenBias),
    "pretrained weights": (lambda: copy.deepcopy(NET), lambda: copy.deepcopy(NET).apply(doubled)),
}


def doubled(layer):
    if isinstance(layer, nn.Linear):
        layer.weight.data.mul_(2)


@pytest.mark.parametrize("change", OTHERS)
@pytest.mark.parametrize("size", [1.0, 2**30])
def test_a_checkpoint_of_another_model_is_refused(tmp_path, change, size):
    first, second = OTHERS[change]
    how = {"memory_bytes": size, "pretrained": change == "pretrained weights"}
    run(first, tmp_path, **how)
    run(first, tmp_path, **how)
    with pytest.raises(ValueError, match="checkpoint must belong to this run"):
        run(second, tmp_path, **how)


def test_a_checkpoint_of_another_generator_is_refused(tmp_path):
    """Of the same seed, but of another kind."""
    run(zoo.Net, tmp_path)
    with pytest.raises(ValueError, match="checkpoint must belong to this run"):
        run(zoo.Net, tmp_path, seeded(np.random.Philox))


def test_a_checkpoint_where_models_are_trained_one_by_one_is_of_this_run_too(tmp_path):
    make = lambda scale: lambda: nn.Sequential(Scaled(scale), nn.RReLU())  # noqa: E731
    first = run(make(1.0), tmp_path)
    assert same(run(make(1.0), tmp_path), first)
    with pytest.raises(ValueError, match="checkpoint must belong to this run"):
        run(make(1.5), tmp_path)


ALONE = [
    "lstm",
    "rand",
    "padding",
    "late switch",
    "counter attribute",
    "drawn mask",
    "lazy",
    "noisy batch norm",
]


class PulledThePlugError(Exception):
    """The run ends here."""


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("name", ALONE)
def test_models_that_are_trained_one_by_one_end_with_the_same_bits(tmp_path, name):
    kind = zoo.KINDS[name]
    x, y = zoo.records(kind.records, np.random.default_rng(2))

    def train(folder, seed=7):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the models are trained one by one")
            rng = np.random.default_rng(seed)
            return fit_many(kind.make, x, y, MEMBER, RECIPE, rng=rng, checkpoint_folder=folder)

    straight, fit_tensors, trained = train(None), MODULE.fit_tensors, []

    def pulled(*arguments, **options):
        if len(trained) == 2:
            raise PulledThePlugError
        trained.append(fit_tensors(*arguments, **options))
        return trained[-1]

    with mock.patch.object(MODULE, "fit_tensors", pulled), pytest.raises(PulledThePlugError):
        train(tmp_path)
    assert same(train(tmp_path), straight)
    again = train(tmp_path)
    assert same(again, straight)
    assert not list(tmp_path.glob("*.part"))


def test_finished_models_are_not_trained_again(tmp_path):
    make = zoo.KINDS["rrelu"].make
    first = run(make, tmp_path)
    with mock.patch.object(MODULE, "fit_tensors", side_effect=AssertionError):
        assert same(run(make, tmp_path), first)


DAMAGES = {
    "a shape": lambda arrays: arrays | {"a.weight": arrays["a.weight"][:1]},
    "a shape that would be broadcast": lambda arrays: arrays | {"a.weight": arrays["a.weight"][:1, :1, :1]},
    "another kind of number": lambda arrays: arrays | {"a.bias": arrays["a.bias"].astype(np.float64)},
    "text": lambda arrays: arrays | {"a.bias": np.array(["a", "b"])},
    "a name that is missing": lambda arrays: {name: one for name, one in arrays.items() if name != "b.bias"},
    "a name too many": lambda arrays: arrays | {"c.bias": arrays["b.bias"]},
    "velocities that are missing": lambda arrays: {
        name: one for name, one in arrays.items() if "velocity" not in name
    },
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint_with_other_arrays_is_refused(tmp_path, damage):
    run(zoo.Net, tmp_path)
    path = next(tmp_path.iterdir())
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    fingerprint = str(arrays.pop(".fingerprint"))
    checkpoint.write(path, DAMAGES[damage](arrays), fingerprint)
    with pytest.raises(
        ValueError, match=r"checkpoint must hold the arrays of this run, got another '.*: remove .*npz"
    ):
        run(zoo.Net, tmp_path)


class OddNames(zoo.Net):
    """Its weights are called what a writer of files might call its own."""

    def prepare(self):
        for name in ("allow_pickle", "args", "file", "fingerprint", "probe", "steps"):
            self.register_parameter(name, nn.Parameter(torch.randn(8)))

    def middle(self, h):
        return h * self.file + self.steps * self.probe + self.fingerprint + self.args * self.allow_pickle


def test_a_weight_may_have_any_name(tmp_path):
    first, again = run(OddNames, tmp_path), run(OddNames, tmp_path)
    assert same(first, run(OddNames, None))
    assert same(first, again)


def test_restoring_changes_all_tensors_or_none(tmp_path):
    tensors = {"a": torch.zeros(2), "b": torch.zeros(2)}
    with pytest.raises(ValueError, match="got another 'b'"):
        checkpoint.restore(tmp_path, {"a": np.ones(2, dtype=np.float32), "b": np.ones(2)}, tensors)
    assert not tensors["a"].any()


def test_a_file_has_the_rights_that_files_have_here(tmp_path):
    """Others may share a folder: a temporary file's rights are its owner's alone."""
    (tmp_path / "plain").write_bytes(b"")
    checkpoint.write(tmp_path / "one.npz", {"a": np.arange(3)}, "me")
    assert (tmp_path / "one.npz").stat().st_mode == (tmp_path / "plain").stat().st_mode
