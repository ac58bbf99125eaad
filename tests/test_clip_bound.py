"""No record adds more than the clip: a search for the one that does.

Records of every size whose tokens, patches, words or places nearly cancel, for every kind of layer and every
method. The old ghost norm stands beside them, and is found out.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mialab import _rng, models
from mialab.dp_sgd import DpSgd, clipped_sum, fit_private, precision
from mialab.dp_sgd.clipping import make_clipper
from mialab.dp_sgd.fleet_clipping import _largest_square, make_fleet_clipper
from mialab.dp_sgd.update import noisy_mean
from mialab.per_example import layers, rounding
from mialab.train import Fleet

TOKENS, WIDE = 4, 12
DTYPES = {"single": torch.float32, "double": torch.float64}


class Cancels(nn.Module):
    """A layer, whose outputs at different places are added up with weights that nearly cancel."""

    def __init__(self, layer, read=lambda x: x):
        super().__init__()
        self.layer, self.read = layer, read
        self.register_buffer("share", torch.ones(TOKENS))

    def forward(self, x):
        told = self.layer(self.read(x)).flatten(2)
        told = told.mT if isinstance(self.layer, nn.Conv2d | nn.GroupNorm | nn.ConvTranspose2d) else told
        return (told * self.share.view(-1, 1)).sum(1)[:, :3]


def words(x):
    return x[:, :, 0].long() % 5


def image(x):
    return x.mT.unflatten(2, (2, TOKENS // 2))


LAYERS = {
    "linear": lambda: Cancels(nn.Linear(WIDE, 8)),
    "linear, no bias": lambda: Cancels(nn.Linear(WIDE, 64, bias=False)),
    "convolution 1×1": lambda: Cancels(nn.Conv2d(WIDE, 8, 1), image),
    "convolution 2×2": lambda: Cancels(nn.Conv2d(WIDE, 8, (1, 2), padding=(0, 1), stride=(1, 1)), image),
    "embedding": lambda: Cancels(nn.Embedding(5, 8), words),
    "embedding with padding": lambda: Cancels(nn.Embedding(5, 8, padding_idx=2), words),
    "layer norm": lambda: Cancels(nn.LayerNorm(WIDE)),
    "group norm": lambda: Cancels(nn.GroupNorm(3, WIDE), image),
    "place": lambda: Cancels(models.Position(TOKENS, WIDE)),
    "transposed convolution": lambda: Cancels(nn.ConvTranspose2d(WIDE, 8, 1), image),
    "perceptron": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(TOKENS * WIDE, 6), nn.Tanh(), nn.Linear(6, 3)
    ),
}
LAYERS["convolution 2×2"] = lambda: Cancels(
    nn.Conv2d(WIDE, 8, 2, padding=(1, 0)), lambda x: image(x)[..., :2]
)
METHODS = ["auto", "ghost", "materialise", "per record"]


def adversary(layer, dtype, seed, far=12):
    """Return a model and a record: tokens alike but for a little, of any size, and errors that cancel."""
    torch.manual_seed(seed)
    model = LAYERS[layer]().to(dtype)
    one = torch.rand(4, dtype=torch.float64)
    size, apart, push = (
        10.0 ** ((2 * one[0] - 1) * far),
        10.0 ** (-min(far, 12) * one[1]),
        10.0 ** ((2 * one[2] - 1) * far),
    )
    base = torch.randn(1, 1, WIDE, dtype=torch.float64)
    record = (size * (base + apart * torch.randn(1, TOKENS, WIDE, dtype=torch.float64))).to(dtype)
    if isinstance(model, Cancels):
        sign = torch.tensor([1.0, -1.0] * (TOKENS // 2), dtype=torch.float64)
        model.share = (push * (sign + apart * torch.randn(TOKENS, dtype=torch.float64))).to(dtype)
        if layer == "convolution 2×2":
            model.share = model.share[:3]
    return model, record


def added(model, record, method, *clips):
    """Return how long what the record adds is at most, in clips, however large the numbers are."""
    clipper = make_clipper(model, record if method == "auto" else torch.randn_like(record), method)
    found = []
    for clip in clips:
        total, _ = clipper(record, torch.tensor([1]), clip)
        found.append(torch.cat([one.flatten() for one in total.values()]).double().div(clip).norm())
        assert torch.isfinite(found[-1])
    return float(max(found))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layer", LAYERS)
def test_definition_no_record_adds_more_than_the_clip(layer, method, dtype):
    found = []
    for seed in range(12):
        model, record = adversary(layer, DTYPES[dtype], seed, 12 if seed % 3 else 30)
        if dtype == "double" and seed % 4 == 0:
            record = record * 1e150
        if seed % 5 == 4:
            record = record * 0 + 1e-30 * torch.randn_like(record)
        found.append(added(model, record, method, 0.01, 1.0, 1e3, 1e-25, 1e25))
    assert max(found) <= 1 + 1e-6
    assert max(found) > 0.99  # the search does reach it


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS)
def test_definition_no_record_adds_more_than_the_clip_in_many_more_trials(layer):
    for seed in range(300):
        model, record = adversary(layer, list(DTYPES.values())[seed % 2], 1000 + seed, 5 + seed % 20)
        for method in METHODS:
            assert added(model, record, method, 0.01, 10.0 ** (seed % 30 - 15)) <= 1 + 1e-6, (seed, method)


def as_it_was(a, e):
    """Find the ghost's length as it was once found, with a root of 0 where rounding left less."""
    return ((a @ a.mT) * (e @ e.mT)).sum((1, 2)).clamp_(min=0)


def test_coverage_the_search_finds_the_length_that_was_not_rounded_up(monkeypatch):
    monkeypatch.setattr(layers, "_ghost", as_it_was)
    worst = max(
        added(*adversary(layer, torch.float32, seed), "ghost", 0.01)
        for layer in ("linear", "convolution 1×1")
        for seed in range(12)
    )
    assert worst > 10


def test_definition_tokens_that_differ_a_little_at_full_width():
    """64 features, two tokens of size 1e5 that differ by 3: without care it moved the sum by 1,379 clips."""

    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(64, 64, bias=False), nn.Linear(64, 2).requires_grad_(False)

        def forward(self, x):
            return self.b(torch.relu(torch.diff(self.a(x), dim=1)[:, 0]))

    for seed in range(20):
        torch.manual_seed(seed)
        model, base = Reads(), torch.randn(64) * 1e5 / 8
        record = torch.stack([base, base + 3 * torch.randn(64)])[None]
        for method in METHODS:
            assert added(model, record, method, 0.01) <= 1 + 1e-6, (seed, method)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e12, 1e30])
def test_definition_the_clip_is_reached_at_every_scale(scale):
    """Rounding up must not shorten what is well behaved: the length is min(C, ‖g‖), to a thousandth."""
    torch.manual_seed(0)
    for maker in (lambda: models.mlp(6, (5,), 3), lambda: Cancels(nn.Linear(WIDE, 8))):
        model = maker()
        shape = (1, 6) if isinstance(model, nn.Sequential) else (1, TOKENS, WIDE)
        record = torch.randn(shape)
        last = list(model.parameters())[-2]
        _, (norm,) = clipped_sum(model, record, torch.tensor([1]), 1.0)
        for clip in (scale, scale * float(norm)):
            moved = added(model, record, "auto", clip) * clip
            assert moved == pytest.approx(min(clip, float(norm)), rel=1e-3)
        assert last.grad is None


# What is not finite


def explodes():
    """Return a model for which a gradient of a large record overflows when it is squared."""
    torch.manual_seed(0)
    return models.mlp(4, (5,), 3)


def batch():
    inputs, labels = torch.randn(6, 4), torch.arange(6) % 3
    inputs[2], inputs[4] = 1e25, math.inf
    return inputs, labels


@pytest.mark.parametrize("method", METHODS)
def test_limit_a_record_without_a_finite_gradient_adds_nothing_and_one_that_overflows_is_scaled(method):
    model, (inputs, labels) = explodes(), batch()
    total, norms = make_clipper(model, torch.randn(6, 4), method)(inputs, labels, 1.0)
    others = [0, 1, 3, 5]
    rest, theirs = make_clipper(model, torch.randn(6, 4), method)(inputs[others], labels[others], 1.0)
    torch.testing.assert_close(norms[others], theirs, rtol=1e-6, atol=0)
    assert not torch.isfinite(norms[4])
    moved = torch.cat([(total[name] - rest[name]).flatten() for name in total])
    assert 0.9 < moved.norm() <= 1 + 1e-5  # record 2 alone; the others were added in another order
    with pytest.raises(ValueError, match=r"gradients must be finite, got .* as norm of 1 of 6 gradients"):
        clipped_sum(model, inputs, labels, 1.0)


def test_nothing_that_private_training_raises_depends_on_a_record():
    """A record that makes its gradient overflow: with noise the run ends like any other, and is the same."""
    x, y = torch.randn(40, 4).numpy(), (torch.arange(40) % 3).numpy()
    private = DpSgd(clip=1.0, noise_multiplier=1.0, sampling_rate=0.5, steps=5, nominal_batch=20)

    def wild():
        model = models.mlp(4, (5,), 3)
        model.register_forward_pre_hook(
            lambda _, inputs: (inputs[0] * inputs[0].abs().amax(1, keepdim=True) ** 2,)
        )
        return model

    x[7] = 3e37
    model = fit_private(wild, x, y, private, rng=np.random.default_rng(0))
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    plain = DpSgd(clip=1.0, noise_multiplier=0.0, sampling_rate=0.5, steps=5, nominal_batch=20)
    with pytest.raises(ValueError, match=r"gradients must be finite, got .* at step \d"):
        fit_private(wild, x, y, plain, rng=np.random.default_rng(0))


# Other precisions


def legacy():
    torch.set_float32_matmul_precision("medium")


def matmul():
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"


def everything():
    torch.backends.fp32_precision = "tf32"
    torch.backends.mkldnn.conv.fp32_precision = "bf16"


@pytest.fixture
def settings():
    places = precision._precisions(torch.device("cpu"))
    before = [one.fp32_precision for one in places]
    yield places
    for one, setting in zip(places, before, strict=True):
        one.fp32_precision = setting
    torch.set_float32_matmul_precision("highest")


newer = pytest.mark.skipif(
    not hasattr(torch.backends, "fp32_precision"), reason="torch before 2.9 has no such setting"
)


@pytest.mark.parametrize(
    "lower", [legacy, pytest.param(matmul, marks=newer), pytest.param(everything, marks=newer)]
)
def test_full_precision_inside_whatever_is_set_outside(settings, lower):
    torch.manual_seed(0)
    inputs, labels = torch.randn(5, 1, 8, 8), torch.arange(5)
    for model in (models.tiny_transformer(1, 8, 5, patch=4, width=8), models.small_cnn(1, 8, 5)):
        exact, _ = clipped_sum(model, inputs, labels, 0.1)
        lower()
        before = [one.fp32_precision for one in settings]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            coarse, _ = clipped_sum(model, inputs, labels, 0.1)
        assert [one.fp32_precision for one in settings] == before
        assert all(torch.equal(exact[name], coarse[name]) for name in exact)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_refused(at_the_door, dtype):
    with pytest.raises(ValueError, match="model must be one with parameters in single or double precision"):
        clipped_sum(models.mlp(4, (), 3).to(dtype), torch.randn(2, 4).to(dtype), torch.tensor([0, 1]), 1.0)


@pytest.mark.parametrize("clip", [1e-31, 1e31])
def test_clips_that_no_float_can_be_shortened_to_are_refused(at_the_door, clip):
    with pytest.raises(ValueError, match="clip must be in 2⁻¹⁰⁰ … 2¹⁰⁰, or infinite"):
        clipped_sum(models.mlp(4, (), 3), torch.randn(2, 4), torch.tensor([0, 1]), clip)
    with pytest.raises(ValueError, match="clip must be in 2⁻¹⁰⁰ … 2¹⁰⁰, or infinite"):
        DpSgd(clip, 1.0, 0.1, 10, 10)


# The sum over the batch


def alike(kind, records):
    """Return a model and records that are all alike; some with tokens that cancel, for the ghost."""
    torch.manual_seed(0)
    if kind == "one vector":
        return models.mlp(TOKENS * WIDE, (32,), 3), torch.randn(1, TOKENS, WIDE).repeat(records, 1, 1)
    model, inputs = Cancels(nn.Linear(WIDE, 64)), torch.randn(1, TOKENS, WIDE).repeat(records, 1, 1)
    if kind == "tokens that cancel":
        model.share = 1e4 * torch.tensor([1.0, -1.0, 1.0, -1.0]) + 1e-3 * torch.randn(4)
        inputs = 1e3 * inputs[:, :1] + 1e-4 * torch.randn(records, TOKENS, WIDE)
    return model, inputs


@pytest.mark.parametrize("method", ["ghost", "materialise"])
@pytest.mark.parametrize("kind", ["one vector", "tokens", "tokens that cancel"])
@pytest.mark.parametrize("records", [90, 2048])
def test_coverage_the_rounding_of_the_sum_is_within_what_is_added_to_the_noise(kind, method, records):
    """With and without one more record, in whatever place."""
    model, inputs = alike(kind, records + 1)
    labels, clip = torch.ones(records + 1, dtype=torch.long), 1e-3
    clipper = make_clipper(model, torch.randn_like(inputs[:3]), method)
    more, _ = clipper(inputs, labels, clip)
    for place in (0, records // 2, records):
        kept = torch.arange(records + 1) != place
        less, _ = clipper(inputs[kept], labels[kept], clip)
        moved = torch.cat([(more[name].double() - less[name].double()).flatten() for name in more]).norm()
        assert float(moved) <= clip * (1 + 2**-10)


# Modules at two places, fleets


def test_a_module_at_two_places_is_left_as_it_was():
    torch.manual_seed(0)
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(4, 3))
    inputs, labels = torch.randn(5, 4), torch.arange(5) % 3
    total, _ = clipped_sum(model, inputs, labels, math.inf)
    loss = functional.cross_entropy(model(inputs), labels, reduction="sum")
    expected = torch.autograd.grad(loss, list(model.parameters()))
    assert isinstance(layer.weight, nn.Parameter)
    for one, other in zip(total.values(), expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layer", ["perceptron", "linear"])
def test_definition_no_record_adds_more_than_the_clip_in_a_fleet(layer):
    for seed in range(12):
        model, record = adversary(layer, torch.float32, seed, 8)
        if layer == "perceptron":
            model[2] = nn.ReLU()
        fleet = Fleet.of([model])
        state = {name: tensor.clone() for name, tensor in fleet.state.items()}
        clipper = make_fleet_clipper(fleet.template, state, 0.01)
        total, norms = clipper(record[None], torch.tensor([[1]]), torch.ones(1, 1))
        if torch.isfinite(norms).all():
            assert float(total.double().norm()) <= 0.01 * (1 + 1e-6)


# Models that one tensor program cannot follow


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.read, self.classify = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.classify(self.read(x)[0][:, -1])


class Asks(nn.Module):
    """Looks at its record in Python: another weight for each sign."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x):
        return torch.stack([(self.up if one.sum().item() > 0 else self.down)(one) for one in x.flatten(1)])


@pytest.mark.parametrize("maker", [Recurrent, Asks])
def test_definition_models_that_vmap_cannot_follow_are_asked_record_by_record(maker):
    torch.manual_seed(0)
    model, inputs, labels = maker(), torch.randn(5, 2, 4), torch.arange(5) % 3
    total, norms = clipped_sum(model, inputs, labels, 0.3)
    expected = [torch.zeros_like(weight) for weight in model.parameters()]
    for number in range(5):
        loss = functional.cross_entropy(model(inputs[[number]]), labels[[number]])
        found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, materialize_grads=True)
        length = sum(float(one.square().sum()) for one in found) ** 0.5
        assert float(norms[number]) == pytest.approx(length, rel=1e-4)
        expected = [one + min(1.0, 0.3 / length) * new for one, new in zip(expected, found, strict=True)]
    for one, other in zip(total.values(), expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


# Models that carry a record past the noise


class Drifts(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        with torch.no_grad():
            self.layer.bias.add_(x[0].mean())
        return self.layer(x).detach() * 0 + self.layer.weight.sum() * x[:, :3]


class Keeps(nn.Module):
    """An attribute that is no buffer: the last batch, word for word."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        self.last = x.detach()
        return self.layer(x)


PAST = {
    "weights that the forward pass changes": (Drifts, "that its forward pass changes, got 'layer.bias'"),
    "an attribute": (Keeps, "that its forward pass changes, got 'last'"),
    "words that are shortened": (
        lambda: nn.Sequential(nn.Embedding(4, 3, max_norm=1.0), nn.Flatten(), nn.Linear(12, 3)),
        "max_norm shortens the rows of a record's words",
    ),
}


@pytest.mark.parametrize("name", PAST)
def test_private_training_refuses_models_that_carry_a_record_past_the_noise(name, at_the_door):
    maker, says = PAST[name]

    def make():
        return nn.Sequential(Whole(), maker()) if "words" in name else maker()

    x, y = np.random.default_rng(0).random((9, 4)).astype(np.float32), np.arange(9) % 3
    recipe = DpSgd(clip=1.0, noise_multiplier=1.0, sampling_rate=0.5, steps=2, nominal_batch=4)
    with pytest.raises(ValueError, match=says):
        fit_private(make, x, y, recipe, rng=np.random.default_rng(0))


class Whole(nn.Module):
    def forward(self, x):
        return (4 * x).long().clamp(0, 3)


class Odd(nn.Module):
    """A weight without axes, and one without numbers."""

    def __init__(self):
        super().__init__()
        self.scale, self.none = nn.Parameter(torch.randn(())), nn.Parameter(torch.randn(0, 3))
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x) * self.scale + self.none.sum()


@pytest.mark.parametrize("clip", [0.3, 1e-25])
def test_definition_weights_of_odd_shapes_are_clipped_with_the_rest(clip):
    torch.manual_seed(0)
    model, inputs, labels = Odd(), torch.randn(1, 4), torch.tensor([1])
    total, norms = clipped_sum(model, inputs, labels, clip)
    loss = functional.cross_entropy(model(inputs), labels)
    found = torch.autograd.grad(loss, list(model.parameters()))
    length = sum(float(one.square().sum()) for one in found) ** 0.5
    assert float(norms) == pytest.approx(length, rel=1e-5)
    for one, other in zip(total.values(), found, strict=True):
        torch.testing.assert_close(one / clip, other / length, atol=1e-5, rtol=1e-5)
    x, y = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32), np.arange(9) % 3
    recipe = DpSgd(clip=clip, noise_multiplier=1.0, sampling_rate=0.5, steps=2, nominal_batch=4)
    assert fit_private(Odd, x, y, recipe, rng=np.random.default_rng(0)).scale.ndim == 0


# Records in another order, long weights, two precisions


class Sorts(nn.Module):
    """Puts the longest first, as packing wants, and its answers back in order."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        order = torch.argsort(-(x != 0).sum(1), stable=True)
        return self.two(torch.relu(self.one(x))[order])[torch.argsort(order)]


def test_definition_records_that_are_put_in_another_order_are_not_for_one_run():
    torch.manual_seed(0)
    model, base = Sorts(), torch.randn(8).abs()
    base[7] = 0
    inputs = torch.cat([base.repeat(64, 1), 0.1 * torch.randn(1, 8)])
    inputs[1:64:2] *= 100
    labels = torch.ones(65, dtype=torch.long)
    clipper = make_clipper(model, inputs)
    clip = float(clipper(inputs[:1], labels[:1], 1.0)[1])
    more, less = (clipper(inputs[:n], labels[:n], clip)[0] for n in (65, 64))
    moved = torch.cat([(more[name] - less[name]).flatten() for name in more]).norm()
    assert float(moved) <= clip * (1 + 1e-4)
    with pytest.raises(ValueError, match="may put records in another order"):
        make_clipper(model, inputs, "ghost")


class Long(nn.Module):
    def __init__(self, numbers):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(numbers, 1) / numbers**0.5)

    def forward(self, x):
        return torch.cat([x[:, :1] * self.weight.sum(), x[:, 1:3] * self.weight.square().sum()], 1)


@pytest.mark.parametrize("numbers", [3, 10**5, 9 * 10**6])
def test_limit_a_long_weight_is_not_taken_for_much_longer_than_it_is(numbers):
    torch.manual_seed(0)
    model, inputs, labels = Long(numbers), torch.randn(1, 4), torch.tensor([1])
    total, (norm,) = clipped_sum(model, inputs, labels, 1e-3, "per record")
    length = (
        torch.autograd.grad(functional.cross_entropy(model(inputs), labels), model.weight)[0].double().norm()
    )
    assert 1 - 1e-6 <= float(norm) / float(length) <= 1 + 1e-5
    assert float(total["weight"].double().norm()) == pytest.approx(1e-3, rel=1e-5)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 5).double(), nn.Linear(5, 3)

    def forward(self, x):
        return self.two(torch.tanh(self.one(x.double())).float())


@pytest.mark.parametrize("method", ["auto", "per record"])
def test_definition_layers_of_two_precisions_are_clipped_together(method):
    torch.manual_seed(0)
    model, inputs, labels = Two(), torch.randn(1, 4), torch.tensor([1])
    total, _ = clipped_sum(model, inputs, labels, 0.1, method)
    assert float(sum(one.double().square().sum() for one in total.values()) ** 0.5) == pytest.approx(
        0.1, rel=1e-5
    )


@pytest.mark.parametrize("method", ["auto", "per record"])
def test_coverage_a_narrow_sum_over_many_records_is_rounded_within_what_is_counted(method):
    """A column of two numbers, added up over thousands of records that are nearly alike."""

    class Narrow(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.classify = nn.Embedding(50, 2), nn.Linear(2, 3).requires_grad_(False)

        def forward(self, x):
            return self.classify(self.embed(x[:, 0].long()) * x[:, 1:])

    torch.manual_seed(0)
    model, records, clip = Narrow(), 4096, 1e-4
    inputs = torch.cat([torch.zeros(records + 1, 1), 1 + 0.5 * torch.rand(records + 1, 2)], 1)
    labels = torch.ones(records + 1, dtype=torch.long)
    clipper = make_clipper(model, inputs[:3], method)
    more, _ = clipper(inputs, labels, clip)
    for place in (0, records // 2, records):
        kept = torch.arange(records + 1) != place
        less, _ = clipper(inputs[kept], labels[kept], clip)
        moved = (more["embed.weight"].double() - less["embed.weight"].double()).norm()
        assert float(moved) <= clip * (1 + 2**-10)


def test_full_precision_in_older_torch(monkeypatch):
    older, seen = precision._Older(), []
    monkeypatch.setattr(precision, "_precisions", lambda device: [older])
    torch.set_float32_matmul_precision("medium")
    with precision.full_precision(torch.device("cpu")):
        seen.append(torch.get_float32_matmul_precision())
    seen.append(torch.get_float32_matmul_precision())
    torch.set_float32_matmul_precision("highest")
    assert seen == ["highest", "medium"]


def exact_norms(rows):
    """Return the lengths of rows, their squares added up without any rounding."""
    return np.array([math.sqrt(math.fsum(x * x for x in row)) for row in rows.double().tolist()])


@pytest.mark.parametrize("features", [3, 60, 4000])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_definition_a_fleet_s_squares_are_never_too_small(features, scale):
    rows = scale * torch.randn(100, features, generator=torch.Generator().manual_seed(1))
    bound = _largest_square(rows.T.unsqueeze(0))[0].double().sqrt().numpy()
    exact = exact_norms(rows)
    assert (bound >= exact).all()
    assert (bound <= exact * (1 + features * 1e-6 + 1e-5)).all()


def test_definition_a_sum_reaches_its_noise_with_all_its_digits(rng, monkeypatch):
    """Rounded to single precision before, a small part of a long sum would be gone. The noise is played."""
    noise = _rng.Noise(rng, "cpu")
    monkeypatch.setattr(noise, "normal", torch.zeros_like)
    recipe = DpSgd(1.0, 1.0, sampling_rate=0.5, steps=1, nominal_batch=1.0)
    long, small = torch.full((4,), 1e4, dtype=torch.float64), 1e-6
    without, with_it = (
        noisy_mean(total, recipe, noise, torch.float64) for total in (long.clone(), long + small)
    )
    torch.testing.assert_close(with_it - without, torch.full_like(long, small), rtol=1e-5, atol=0)


# Blocks of a long sum


@pytest.mark.parametrize("records", range(1, 12))
def test_definition_a_sum_in_blocks_holds_every_record_once(monkeypatch, records):
    monkeypatch.setattr(rounding, "_FEW", 2)
    monkeypatch.setattr(rounding, "_BLOCK", 3)
    rows = 2.0 ** torch.arange(3 * records).view(records, 3).double()  # each record is a digit of its own
    weights = torch.arange(records).double() % 2 + 1
    assert torch.equal(rounding.weighted_sum(weights, rows), (weights.unsqueeze(1) * rows).sum(0))


@pytest.mark.parametrize("records", range(1, 12))
def test_definition_a_product_in_blocks_holds_every_row_once(monkeypatch, records):
    monkeypatch.setattr(rounding, "_ROWS", 3)
    left, right = 2.0 ** torch.arange(2 * records).view(records, 2).double(), torch.ones(records, 4).double()
    assert torch.equal(rounding.product_of_rows(left, right), left.sum(0).unsqueeze(1).expand(2, 4))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("records", [4, 5, 6, 7])
def test_definition_a_batch_in_blocks_is_the_sum_of_its_records(monkeypatch, name, records):
    for module, constant, size in ((rounding, "_FEW", 2), (rounding, "_BLOCK", 3), (rounding, "_ROWS", 3)):
        monkeypatch.setattr(module, constant, size)
    monkeypatch.setattr(layers, "_WORDS", 3)
    model, _ = adversary(name, torch.float64, seed=0, far=1)
    x, y = torch.rand(records, TOKENS, WIDE).double(), torch.arange(records) % 3
    together, _ = clipped_sum(model, x, y, clip=0.1)
    alone = [clipped_sum(model, x[one : one + 1], y[one : one + 1], clip=0.1)[0] for one in range(records)]
    for weight, found in together.items():
        torch.testing.assert_close(found, sum(one[weight] for one in alone), rtol=1e-9, atol=1e-12)
