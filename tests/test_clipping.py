"""All methods for the clipped sum, held to the loop over the records and to each other."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from mialab import models
from mialab.dp_sgd import clipped_sum
from mialab.dp_sgd.clipping import make_clipper
from mialab.per_example import capture, layers

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"),
    pytest.mark.filterwarnings("ignore:There is a performance drop because we have not yet implemented"),
]
METHODS = ["auto", "ghost", "materialise", "per record"]


class Reader(nn.Module):
    """Word embeddings, positions, two transformer blocks."""

    def __init__(self, **embedding):
        super().__init__()
        self.embed = nn.Embedding(7, 8, **embedding)
        self.position = models.Position(5, 8)
        self.blocks = nn.Sequential(models.Block(8, 2), models.Block(8, 2))
        self.classify = nn.Linear(8, 3)

    def forward(self, words):
        return self.classify(self.blocks(self.position(self.embed(words))).mean(1))


class Tied(nn.Module):
    """The embedding is used once more, past its layer."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 7)

    def forward(self, words):
        return functional.linear(self.embed(words).mean(1), self.embed.weight)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(12, 12)
        self.classify = nn.Linear(12, 3)

    def forward(self, x):
        return self.classify(self.mix(torch.relu(self.mix(x))))


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.classify = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 3)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.classify(self.two(torch.relu(self.one(x))))


class TokensFirst(nn.Module):
    """Tokens in the first axis, records in the second."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(4, 6)
        self.classify = nn.Linear(6, 3)

    def forward(self, x):
        return self.classify(torch.relu(self.mix(x.transpose(0, 1))).mean(0))


class Bare(nn.Module):
    """A weight of a module that holds layers."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(12))
        self.classify = nn.Linear(12, 3)

    def forward(self, x):
        return self.classify(x * self.scale)


class Own(nn.Linear):
    """What looks like a linear layer, and is none."""

    def forward(self, x):
        return super().forward(x) + self.weight.sum()


class Idle(nn.Module):
    """One layer has no part in the output."""

    def __init__(self):
        super().__init__()
        self.idle, self.classify = nn.Linear(12, 2), nn.Linear(12, 3)

    def forward(self, x):
        return self.classify(x)


def frozen(model, *names):
    for name in names:
        model.get_parameter(name).requires_grad_(False)
    return model


def images(records=6):
    return torch.randn(records, 2, 8, 8)


def rows(records=6):
    return torch.randn(records, 12)


def sentences(records=6):
    return torch.randn(records, 5, 4)


def words(records=6):
    return torch.randint(7, (records, 5))


def conv(*args, **how):
    first = nn.Conv2d(*args, **how)
    return lambda: nn.Sequential(
        copy.deepcopy(first), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.LazyLinear(3)
    )


ONE_RUN = {
    "perceptron": (lambda: models.mlp(12, (9, 8), 3), rows),
    "in place": (lambda: nn.Sequential(nn.Linear(12, 9), nn.ReLU(inplace=True), nn.Linear(9, 3)), rows),
    "no bias": (lambda: nn.Sequential(nn.Linear(12, 9, bias=False), nn.Tanh(), nn.Linear(9, 3)), rows),
    "tokens": (lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Flatten(), nn.Linear(30, 3)), sentences),
    "more axes": (lambda: nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Flatten(), nn.Linear(64, 3)), images),
    "padding and stride": (conv(2, 4, 3, stride=2, padding=1), images),
    "same": (conv(2, 4, (2, 3), padding="same"), images),
    "dilation": (conv(2, 4, (2, 3), dilation=(2, 1), padding=(0, 2), bias=False), images),
    "groups": (conv(2, 4, 3, groups=2), images),
    "reflection": (conv(2, 4, 3, padding=1, padding_mode="reflect"), images),
    "cnn": (lambda: models.small_cnn(2, 8, 3, width=4), images),
    "layer norm": (lambda: models.small_cnn(2, 8, 3, width=4, norm="layer"), images),
    "group norm": (lambda: models.small_cnn(2, 8, 3, width=4, norm="group"), images),
    "instance norm": (lambda: models.small_cnn(2, 8, 3, width=4, norm="instance"), images),
    "layer norm of rows": (lambda: nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 3)), rows),
    "layer norm of halves": (
        lambda: nn.Sequential(nn.LayerNorm((8, 8)), nn.Flatten(), nn.Linear(128, 3)),
        images,
    ),
    "layer norm off zero": (
        lambda: nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 3)),
        lambda records=6: 10 + rows(records),
    ),
    "transformer": (lambda: models.tiny_transformer(2, 8, 3, patch=4, width=8), images),
    "words": (Reader, words),
    "words with padding": (lambda: Reader(padding_idx=2), words),
    "one word": (
        lambda: nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(4, 3)),
        lambda records=6: words(records)[:, :1],
    ),
    "frozen weight": (lambda: frozen(models.mlp(12, (9, 8), 3), "3.weight"), rows),
    "frozen bias": (
        lambda: frozen(models.small_cnn(2, 8, 3, width=4, norm="group"), "0.bias", "1.bias"),
        images,
    ),
    "frozen kernel": (lambda: frozen(models.small_cnn(2, 8, 3, width=4), "0.weight"), images),
    "idle": (Idle, rows),
}
NOT_ONE_RUN = {
    "tied": (Tied, words, "'weight' of the layer 'embed' is shared, or used past its layer"),
    "twice": (Twice, rows, "the layer 'mix' is asked twice"),
    "shared": (Shared, rows, "is shared, or used past its layer"),
    "tokens first": (TokensFirst, sentences, "not asked about records one after the other"),
    "bare": (Bare, rows, "what Bare at '' does with its weights is not known"),
    "own": (lambda: nn.Sequential(Own(12, 3)), rows, "what Own at '0' does with its weights is not known"),
    "by frequency": (
        lambda: Reader(scale_grad_by_freq=False, max_norm=1.0),
        words,
        "what Embedding at 'embed'",
    ),
    "multi-head": (
        lambda: nn.Sequential(
            nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), nn.Flatten(), nn.Linear(20, 3)
        ),
        sentences,
        "what MultiheadAttention at",
    ),
}


def loop(model, inputs, labels, clip, measured=None):
    """Return the clipped sum, gradient by gradient, weights apart; shortened by given lengths, if any."""
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    lengths = []
    for number, (record, label) in enumerate(zip(inputs, labels, strict=True)):
        loss = functional.cross_entropy(model(record[None]), label[None])
        found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        each = [torch.zeros_like(w) if g is None else g for g, w in zip(found, weights.values(), strict=True)]
        lengths.append(sum(one.square().sum() for one in each).sqrt())
        for name, one in zip(weights, each, strict=True):
            total[name] += min(1.0, clip / (lengths if measured is None else measured)[number].item()) * one
    return total, torch.stack(lengths)


def case(maker, draw):
    torch.manual_seed(3)
    model, inputs = maker(), draw()
    model(inputs)  # lazy layers learn their size
    return model, inputs, torch.randint(3, (len(inputs),))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ONE_RUN)
def test_definition_every_method_is_the_loop_over_the_records(name, method):
    model, inputs, labels = case(*ONE_RUN[name])
    total, norms = clipped_sum(model, inputs, labels, 0.7, method)
    expected, lengths = loop(model, inputs, labels, 0.7, norms)
    assert list(total) == list(expected)
    assert (norms >= lengths * (1 - 1e-6)).all()  # rounded up, by very little where no tokens may cancel
    assert (norms <= lengths * (1 + (5e-4 if method == "ghost" else 1e-5)) + 1e-5).all()
    for weight, tensor in expected.items():
        torch.testing.assert_close(total[weight], tensor, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NOT_ONE_RUN)
def test_definition_where_one_run_would_be_wrong_every_gradient_is_made(at_the_door, name):
    maker, draw, why = NOT_ONE_RUN[name]
    model, inputs, labels = case(maker, draw)
    if name != "by frequency":  # it changes its weights in every forward pass, which no functional call may
        expected, lengths = loop(model, inputs, labels, 0.7)
        total, norms = clipped_sum(model, inputs, labels, 0.7)
        torch.testing.assert_close(norms, lengths, atol=1e-5, rtol=1e-5)
        for weight, tensor in expected.items():
            torch.testing.assert_close(total[weight], tensor, atol=1e-5, rtol=1e-5)
        with pytest.raises(ValueError, match="method must be 'auto' or 'per record' here") as error:
            clipped_sum(model, inputs, labels, 0.7, "ghost")
        assert why in str(error.value)
    else:
        with pytest.raises(capture.UnsuitableError, match=why):
            capture.measured(model, inputs, labels, "auto")


def test_coverage_one_run_is_not_trusted_with_what_was_not_asked_in_the_trial():
    """A model that changes its ways after it was looked at: the step itself notices."""

    class Turns(Twice):
        late = False

        def forward(self, x):
            return super().forward(x) if self.late else self.classify(self.mix(x))

    torch.manual_seed(3)
    model, inputs, labels = Turns(), rows(), torch.randint(3, (6,))
    clipper = make_clipper(model, inputs)
    for model.late in (False, True):
        expected, lengths = loop(model, inputs, labels, 0.7)
        total, norms = clipper(inputs, labels, 0.7)
        torch.testing.assert_close(norms, lengths, atol=1e-5, rtol=1e-5)
        for weight, tensor in expected.items():
            torch.testing.assert_close(total[weight], tensor, atol=1e-5, rtol=1e-5)


def test_coverage_a_wrong_norm_is_seen_in_the_trial(monkeypatch):
    right = layers.norm_bounds

    model, inputs, labels = case(*ONE_RUN["perceptron"])
    monkeypatch.setattr(layers, "norm_bounds", lambda vectors: 0.97 * right(vectors))
    with pytest.raises(
        ValueError, match="per-example gradients do not have the norms that one run gives them"
    ):
        clipped_sum(model, inputs, labels, 1.0, "ghost")


@pytest.mark.parametrize(("norm", "most"), [("ghost", 1e-2), ("materialise", 1e-6)])
def test_limit_tokens_that_cancel_have_a_length_of_nothing_but_rounding(norm, most):
    """Equal tokens, and gradients that add up to zero: rounding must not make a root of less than nothing."""

    class Cancels(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Linear(4, 3, bias=False)

        def forward(self, x):
            sign = torch.tensor([0.7, -0.3, -0.4]).view(3, 1)
            return (self.mix(x) * sign).sum(1)

    torch.manual_seed(3)
    model, inputs = Cancels(), torch.randn(40, 1, 4).expand(40, 3, 4).contiguous()
    lengths = capture.norms(capture.measured(model, inputs, torch.randint(3, (40,)), norm))
    assert (lengths >= 0).all()
    assert (lengths <= most * (1.4 * inputs[:, 0].norm(dim=1))).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_left_as_it_was(method):
    model, inputs, labels = case(*ONE_RUN["transformer"])
    model.train()
    model.blocks[0].eval()
    before = copy.deepcopy(model.state_dict())
    clipped_sum(model, inputs, labels, 1.0, method)
    assert [layer.training for layer in (model, model.blocks[0], model.blocks[1])] == [True, False, True]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())
    assert all(weight.grad is None for weight in model.parameters())


def test_clipped_sum_refuses_batch_norm_and_unknown_methods(at_the_door):
    model = models.small_cnn(2, 8, 3, norm="batch")
    with pytest.raises(
        ValueError, match="model must be one in which what a record does depends on that record"
    ):
        clipped_sum(model, images(), torch.zeros(6, dtype=torch.long), 1.0)
    with pytest.raises(
        ValueError, match="method must be one of 'auto', 'ghost', 'materialise', 'per record'"
    ):
        clipped_sum(models.mlp(12, (), 3), rows(), torch.zeros(6, dtype=torch.long), 1.0, "fast")
