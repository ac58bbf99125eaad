"""What models answer: any module, in bounded pieces, left as it was."""

from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import zoo
from mialab import models, signals
from mialab.train import Fleet, fleet, predict


def some(kind, count=7):
    return zoo.records(kind.records, np.random.default_rng(3), count)[0]


class Returns(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.wrap, self.layer = wrap, nn.Linear(6, 3)

    def forward(self, x):
        return self.wrap(self.layer(x))


class NoWeights(nn.Module):
    def forward(self, x):
        return x[:, :3]


class OnlyABuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x):
        return x[:, :3] - self.mean


def twice():
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(6, 3))


MODULES = {name: kind for name, kind in zoo.KINDS.items() if not kind.draws}
MORE = {
    "no weights": NoWeights,
    "only a buffer": OnlyABuffer,
    "in parallel": lambda: nn.DataParallel(models.mlp(6, (4,), 3)),
    "scripted": lambda: torch.jit.script(models.mlp(6, (4,), 3)),
    "one layer twice": twice,
}


def asked(module, x):
    """Ask a module as anybody would."""
    with torch.no_grad():
        return module.eval()(torch.from_numpy(x)).numpy()


pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{what}") for what in (".*is deprecated", "Lazy modules", "`torch.jit")
]


@pytest.mark.parametrize("name", MODULES)
def test_definition_of_any_kind_the_logits_are_those_of_the_module(name):
    torch.manual_seed(0)
    module, x = MODULES[name].make(), some(MODULES[name])
    np.testing.assert_allclose(predict(module, x), asked(module, x), atol=1e-6)


@pytest.mark.parametrize("name", MORE)
def test_definition_of_more_kinds_the_logits_are_those_of_the_module(name):
    module, x = MORE[name](), some(zoo.KINDS["perceptron"])
    expected = asked(module, x)
    np.testing.assert_allclose(predict(module, x), expected, atol=1e-6)
    signal = signals.observe(module, x, np.arange(7) % 3)
    np.testing.assert_allclose(signal, signals.logit_gap(expected, np.arange(7) % 3), atol=1e-6)


WRAPS = {
    "a tuple": lambda logits: (logits, None, logits.sum()),
    "a list": lambda logits: [logits],
    "a tuple in a tuple": lambda logits: ((logits,), 1),
    "a dictionary": lambda logits: {"loss": logits.sum(), "logits": logits},
    "a dictionary of one": lambda logits: {"out": logits},
    "an ordered dictionary": lambda logits: OrderedDict(out=logits, aux=None),
    "an object": lambda logits: SimpleNamespace(logits=logits, loss=None),
    "a dictionary of logits among others": lambda logits: {"hidden": logits + 1, "logits": logits},
}


@pytest.mark.parametrize("wrap", WRAPS)
def test_definition_logits_are_found_in_what_a_module_returns(wrap):
    module, x = Returns(WRAPS[wrap]), some(zoo.KINDS["perceptron"])
    expected = asked(module.layer, x)
    np.testing.assert_allclose(predict(module, x), expected, atol=1e-6)
    both = predict(Fleet.of([module, Returns(WRAPS[wrap])]), x)
    np.testing.assert_allclose(both[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("wrap", "got"),
    [
        (lambda logits: logits[0], r"got \(3,\)"),
        (lambda logits: logits[:1], r"got \(1, 3\)"),
        (lambda logits: logits.unsqueeze(1), r"got \(7, 1, 3\)|got \(2, 1, 3\)"),
        (lambda logits: {"a": logits, "b": logits}, "got NoneType"),
        (lambda logits: "logits", "got str"),
        (lambda logits: (), "got tuple"),
    ],
)
def test_what_is_no_logits_is_refused(at_the_door, wrap, got):
    module, x = Returns(wrap), some(zoo.KINDS["perceptron"])
    for asks in (module, Fleet.of([module])):
        with pytest.raises(
            ValueError, match=rf"the module must return logits of shape \(records, classes\), {got}"
        ):
            predict(asks, x)


@pytest.mark.parametrize("mode", [True, False])
def test_a_module_is_left_as_it_was(mode):
    layer = nn.Linear(6, 6)
    module = nn.Sequential(layer, nn.BatchNorm1d(6), nn.Dropout(), layer, zoo.CountsInPlace()).train(mode)
    module[1].train(not mode)
    module[4].train()
    flags = [one.training for one in module.modules()]
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    own = {name: id(tensor) for name, tensor in module.state_dict(keep_vars=True).items()}
    predict(module, some(zoo.KINDS["perceptron"]))
    assert [one.training for one in module.modules()] == flags
    assert {name: id(tensor) for name, tensor in module.state_dict(keep_vars=True).items()} == own
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert all(weight.grad is None and weight.requires_grad for weight in module.parameters())


class CountsAlways(zoo.Net):
    """Changes its buffers even when it is only asked: one in place, one by a new tensor."""

    def prepare(self):
        self.register_buffer("asked", torch.zeros(()))
        self.register_buffer("again", torch.zeros(()))

    def middle(self, h):
        self.asked.add_(1)
        self.again = self.again + 1
        return h


def test_buffers_are_left_as_they_were():
    one, x = CountsAlways(), some(zoo.KINDS["perceptron"])
    predict(one, x)
    many = Fleet.of([one, one])
    predict(many, x)
    for asked_ in (one.asked, one.again, *many.state["asked"], *many.state["again"]):
        assert asked_ == 0


def test_modes_come_back_when_a_module_fails():
    module = Returns(lambda logits: logits + torch.zeros(9, 9)).train()
    with pytest.raises(ValueError, match=r"x must hold records that the model can read \(RuntimeError"):
        predict(module, some(zoo.KINDS["perceptron"]))
    assert module.training
    assert module.layer.training


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
@pytest.mark.parametrize("at_once", [1, 500, 2**30])
def test_pieces_change_nothing(monkeypatch, count, at_once):
    monkeypatch.setattr(fleet, "_BYTES_AT_ONCE", at_once)
    kind = zoo.KINDS["cnn"]
    one, other, x = kind.make(), kind.make(), some(kind, count)
    both = predict(Fleet.of([one, other]), x)
    assert both.shape == (2, count, 3)
    np.testing.assert_allclose(predict(one, x), asked(one, x), atol=1e-6)
    np.testing.assert_allclose(both, [asked(one, x), asked(other, x)], atol=1e-6)


def test_a_pass_is_bounded_in_bytes(monkeypatch):
    """The most that a layer answers at once, whatever the number of records."""
    monkeypatch.setattr(fleet, "_BYTES_AT_ONCE", 10**6)
    seen = []
    module = nn.Sequential(nn.Conv2d(1, 50, 3, padding=1), nn.Flatten(), nn.Linear(3200, 3))
    module[0].register_forward_hook(lambda _layer, _inputs, output: seen.append(output.nbytes))
    x = np.zeros((600, 1, 8, 8), dtype=np.float32)
    predict(module, x)
    assert max(seen) <= 10**6
    assert len(seen) < 30


@pytest.mark.parametrize("own", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("given", [np.float32, np.float64])
def test_records_are_cast_to_the_models_precision(own, given):
    module, x = models.mlp(6, (4,), 3).to(own), some(zoo.KINDS["perceptron"]).astype(given)
    logits = predict(module, x)
    with torch.no_grad():
        expected = module(torch.from_numpy(x).to(own)).to(torch.float64).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    assert logits.dtype == (np.float64 if own == torch.float64 else np.float32)
    np.testing.assert_allclose(predict(Fleet.of([module, module]), x)[1], expected, atol=1e-1)


@pytest.mark.parametrize("name", MODULES)
def test_definition_a_fleet_of_any_kind_is_its_models_one_by_one(name):
    torch.manual_seed(0)
    kind = MODULES[name]
    x, modules = some(kind), [kind.make() for _ in range(3)]
    for module in modules:
        asked(module, x)  # so that nothing is lazy
    fleet = Fleet.of(modules)
    for logits, model, module in zip(predict(fleet, x), range(3), modules, strict=True):
        np.testing.assert_allclose(logits, asked(module, x), atol=1e-5)
        np.testing.assert_allclose(asked(fleet[model], x), asked(module, x), atol=1e-6)


def test_models_that_differ_in_more_than_weights_keep_what_is_their_own():
    modules = [zoo.DrawnMask() for _ in range(3)]
    x = some(zoo.KINDS["perceptron"])
    np.testing.assert_allclose(
        predict(Fleet.of(modules), x), [asked(module, x) for module in modules], atol=1e-6
    )
