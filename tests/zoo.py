"""Modules of many kinds, each with records, for what must hold of any module.

`KINDS` are trained by `fit`; of each is known whether a fleet of it must be one tensor program (``fast``), so
that nothing becomes slower unnoticed. Most of the others break a rule that makes vmap right.
"""

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from mialab import models, norms

CLASSES, WIDE = 3, 6


@dataclass(frozen=True)
class Kind:
    """A maker, and what is known of its modules.

    ``fast`` if a fleet must be one tensor program; ``private`` if `fit_private` must accept it;
    ``federated`` if a client's copy is all in its trained weights; ``buffers`` and ``draws`` if it has
    buffers, or draws in training.
    """

    make: Callable[[], nn.Module]
    records: str = "vectors"
    fast: bool = False
    private: bool = True
    federated: bool = True
    buffers: bool = False
    draws: bool = False


def records(kind: str, rng: np.random.Generator, count: int = 40):
    y = rng.integers(CLASSES, size=count)
    if kind == "tokens":
        return rng.integers(5, size=(count, 4)).astype(np.float32), y
    shape = {"vectors": (WIDE,), "images": (1, 8, 8), "series": (4, WIDE)}[kind]
    x = rng.normal(size=(count, *shape)) + 0.3 * y.reshape(-1, *[1] * len(shape))
    return x.astype(np.float32), y


class Net(nn.Module):
    """Two linear layers, and room for oddities."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(WIDE, 8), nn.Linear(8, CLASSES)
        self.prepare()

    def prepare(self):
        pass

    def forward(self, x):
        return self.b(self.middle(torch.relu(self.a(x))))

    def middle(self, h):
        return h


class Unused(Net):
    def prepare(self):
        self.spare = nn.Linear(4, 4)


class UnusedBuffer(Net):
    def prepare(self):
        self.register_buffer("spare", torch.randn(3))


class Frozen(Net):
    def prepare(self):
        self.a.requires_grad_(False)


class FrozenBias(Net):
    def prepare(self):
        self.b.bias.requires_grad_(False)


class Detached(Net):
    def middle(self, h):
        return h.detach()


class PlainMask(Net):
    def prepare(self):
        self.mask = torch.ones(8)
        self.mask[::2] = 0

    def middle(self, h):
        return h * self.mask


class DrawnMask(Net):
    def prepare(self):
        self.mask = torch.rand(8)

    def middle(self, h):
        return h * self.mask


class MasksInAList(Net):
    def prepare(self):
        self.masks = {"own": [torch.rand(8), np.ones(1)]}

    def middle(self, h):
        return h * self.masks["own"][0]


class DrawnNumber(Net):
    def prepare(self):
        self.scale = float(torch.rand(()))

    def middle(self, h):
        return h * self.scale


class HiddenLayer(Net):
    """A layer that is not registered, so that it is not trained."""

    def prepare(self):
        self.hidden = [nn.Linear(8, 8)]

    def middle(self, h):
        return self.hidden[0](h)


class Captured(Net):
    """A function that has captured a weight."""

    def prepare(self):
        self.scale = nn.Parameter(torch.rand(8))
        self.rescale = lambda h: h * self.scale

    def middle(self, h):
        return self.rescale(h)


class Partial(Net):
    def prepare(self):
        self.scale = nn.Parameter(torch.rand(8))
        self.rescale = functools.partial(torch.mul, self.scale)

    def middle(self, h):
        return self.rescale(h)


class CounterAttribute(Net):
    def prepare(self):
        self.count = torch.zeros(())

    def middle(self, h):
        if self.training:
            self.count += 1
        return h / (1 + 0.1 * self.count)


class NumberCounter(Net):
    def prepare(self):
        self.count = 0

    def middle(self, h):
        self.count += self.training
        return h * (self.count % 3 + 1)


class LateSwitch(Net):
    """Does nothing unusual before its fifth step, and not after it."""

    def prepare(self):
        self.count = 0

    def middle(self, h):
        self.count += self.training
        return h.detach() if self.count == 5 else h


class CountsInABuffer(Net):
    def prepare(self):
        self.register_buffer("count", torch.zeros(()))

    def middle(self, h):
        if self.training:
            self.count = self.count + 1
        return h / (1 + 0.1 * self.count)


class CountsInPlace(Net):
    def prepare(self):
        self.register_buffer("count", torch.zeros(()))

    def middle(self, h):
        if self.training:
            self.count.add_(1)
        return h / (1 + 0.1 * self.count)


class CountsThroughData(Net):
    def prepare(self):
        self.register_buffer("count", torch.zeros(()))

    def middle(self, h):
        if self.training:
            self.count.data += 1
        return h / (1 + 0.1 * self.count)


class MovingAverage(Net):
    def prepare(self):
        self.register_buffer("mean", torch.zeros(8), persistent=False)

    def middle(self, h):
        if self.training:
            self.mean.lerp_(h.detach().mean(0), 0.1)
        return h - self.mean


class NotPersistent(Net):
    def prepare(self):
        self.register_buffer("mask", torch.rand(8), persistent=False)

    def middle(self, h):
        return h * self.mask


class Clamped(Net):
    def middle(self, h):
        with torch.no_grad():
            self.b.weight.clamp_(-0.1, 0.1)
        return h


class ClampedThroughData(Net):
    def middle(self, h):
        self.b.weight.data.clamp_(-0.1, 0.1)
        return h


class ClampsLate(Net):
    """The bound is met after some steps only."""

    def middle(self, h):
        with torch.no_grad():
            self.b.bias.clamp_(-0.42, 0.42)
        return h


class Item(Net):
    def middle(self, h):
        return h * (1 + 0.1 * self.b.weight.norm().item())


class If(Net):
    def middle(self, h):
        return h if self.b.weight[0, 0] > 0 else 2 * h


class Numpy(Net):
    def middle(self, h):
        return h * torch.from_numpy(np.exp(-(self.b.bias.detach().numpy() ** 2))).mean()


class KeepsLast(Net):
    def middle(self, h):
        self.last = h
        return h


class Draws(Net):
    def middle(self, h):
        return h * torch.rand(h.shape) if self.training else h


class FunctionalDropout(Net):
    def middle(self, h):
        return nn.functional.dropout(h, 0.4, self.training)


class WeightHook(Net):
    def prepare(self):
        self.a.weight.register_hook(lambda gradient: gradient * 0.5)


class LateWeightHook(Net):
    """A hook that shortens large gradients only."""

    def prepare(self):
        self.b.weight.register_hook(lambda gradient: gradient.clamp(-0.05, 0.05))


class ForwardHook(Net):
    def prepare(self):
        self.a.register_forward_hook(lambda _layer, _inputs, output: output + output.detach())


class BackwardHook(Net):
    def prepare(self):
        self.b.register_full_backward_hook(lambda _layer, inputs, _outputs: (0.5 * inputs[0],))


class TiedWeights(Net):
    def prepare(self):
        self.c = nn.Linear(8, 8)
        self.d = nn.Linear(8, 8)
        self.d.weight = self.c.weight

    def middle(self, h):
        return self.d(torch.tanh(self.c(h)))


class SharedLayer(Net):
    def prepare(self):
        self.c = nn.Linear(8, 8)
        self.d = self.c

    def middle(self, h):
        return self.d(torch.tanh(self.c(h)))


class OwnFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        return h.clone()

    @staticmethod
    def backward(ctx, gradient):
        return -0.5 * gradient


class OwnGradient(Net):
    def middle(self, h):
        return OwnFunction.apply(h)


class Swaps(Net):
    """Puts a new parameter in the place of the old one: the optimizer keeps the old one."""

    def middle(self, h):
        if self.training:
            self.b.bias = nn.Parameter(self.b.bias.detach() + 0.01)
        return h


class Scalar(Net):
    def prepare(self):
        self.gain = nn.Parameter(torch.ones(()))

    def middle(self, h):
        return h * self.gain


class SomeOfTheTime(Net):
    """A layer that is in use at every other step: at the others it has no gradient, and no decay."""

    def prepare(self):
        self.c, self.count = nn.Linear(8, 8), 0

    def middle(self, h):
        self.count += self.training
        return self.c(h) if self.count % 2 else h


class Complex(Net):
    def prepare(self):
        self.filter = nn.Parameter(torch.randn(5, dtype=torch.complex64))

    def middle(self, h):
        return torch.fft.irfft(torch.fft.rfft(h) * self.filter, n=8)


class SharedMemory(Net):
    """Two parameters that lie in one place: every step is taken twice."""

    def prepare(self):
        self.c, self.d = nn.Linear(8, 8), nn.Linear(8, 8)
        self.d.weight = nn.Parameter(self.c.weight.data)

    def middle(self, h):
        return self.d(torch.tanh(self.c(h)))


class BufferIsAWeight(Net):
    def prepare(self):
        self.register_buffer("view", self.a.bias.detach())

    def middle(self, h):
        return h * self.view


class FirstBatch(Net):
    """Remembers the first batch, and by a truth value that it has seen one."""

    def prepare(self):
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("seen", torch.tensor(False))

    def middle(self, h):
        if self.training:
            with torch.no_grad():
                self.mean.copy_(torch.where(self.seen, self.mean, h.mean(0)))
                self.seen.fill_(True)
        return h - self.mean


class Teacher(Net):
    """A frozen layer that follows a trained one, in forward."""

    def prepare(self):
        self.slow = copy.deepcopy(self.a).requires_grad_(False)

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.slow.weight.lerp_(self.a.weight, 0.1)
        return self.b(torch.relu(self.a(x)) + self.slow(x))


class Unfreezes(Net):
    def prepare(self):
        self.count = 0
        self.a.requires_grad_(False)

    def forward(self, x):
        self.count += self.training
        if self.count == 4:
            self.a.requires_grad_(True)
        return super().forward(x)


class DrawnKind(Net):
    def prepare(self):
        kinds = (nn.Tanh, nn.Sigmoid, nn.ReLU, nn.GELU, nn.Softplus, nn.ELU)
        self.act = kinds[int(torch.randint(len(kinds), ()))]()

    def middle(self, h):
        return self.act(h)


class DrawnFreezing(Net):
    def prepare(self):
        for weight in (*self.a.parameters(), self.b.bias):
            weight.requires_grad_(bool(torch.rand(()) < 0.5))


class TensorHook(Net):
    def middle(self, h):
        if h.requires_grad:
            h.register_hook(lambda gradient: gradient.clamp(-0.01, 0.01))
        return h


class Checkpointed(Net):
    def prepare(self):
        self.c = nn.Linear(8, 8)

    def middle(self, h):
        return torch.utils.checkpoint.checkpoint(self.c, h, use_reentrant=False)


class MaskedMean(Net):
    def middle(self, h):
        return h + h[h > 0].mean()


class FrozenNorm(Net):
    """Batch normalisation that stays in evaluation mode."""

    def prepare(self):
        self.norm = nn.BatchNorm1d(8)
        self.norm.running_mean.uniform_()

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        return self

    def middle(self, h):
        return self.norm(h)


class Words(nn.Module):
    def __init__(self, lookup):
        super().__init__()
        self.lookup, self.classify = lookup(), nn.Linear(WIDE, CLASSES)

    def forward(self, x):
        return self.classify(self.lookup(x.long()).flatten(1, -2).mean(1))


class Bag(Words):
    def forward(self, x):
        return self.classify(self.lookup(x.long()))


class PaddedInForward(Words):
    def forward(self, x):
        words = nn.functional.embedding(x.long(), self.lookup.weight, padding_idx=2)
        return self.classify(words.mean(1))


def words(**options):
    return lambda: Words(lambda: nn.Embedding(5, WIDE, **options))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.read, self.classify = kind(WIDE, 5, batch_first=True), nn.Linear(5, CLASSES)

    def forward(self, x):
        return self.classify(self.read(x)[0][:, -1])


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.classify = nn.GRUCell(WIDE, 5), nn.Linear(5, CLASSES)

    def forward(self, x):
        state = x.new_zeros(len(x), 5)
        for token in x.unbind(1):
            state = self.cell(token, state)
        return self.classify(state)


class Attends(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.read = nn.MultiheadAttention(WIDE, 2, dropout=dropout, batch_first=True)
        self.classify = nn.Linear(WIDE, CLASSES)

    def forward(self, x):
        return self.classify(self.read(x, x, x, need_weights=False)[0].mean(1))


class EncoderLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.read = nn.TransformerEncoderLayer(WIDE, 2, 8, dropout=0.0, batch_first=True)
        for layer in self.read.modules():
            for name, child in list(layer.named_children()):
                if isinstance(child, nn.Dropout):
                    setattr(layer, name, nn.Identity())
        self.classify = nn.Linear(WIDE, CLASSES)

    def forward(self, x):
        return self.classify(self.read(x).mean(1))


def dense(*middle: Callable[[], nn.Module]):
    return lambda: nn.Sequential(nn.Linear(WIDE, 8), *(one() for one in middle), nn.Linear(8, CLASSES))


def wrapped(wrap, layer=0):
    def make():
        model = nn.Sequential(nn.Linear(WIDE, 8), nn.ReLU(), nn.Linear(8, CLASSES))
        model[layer] = wrap(model[layer])
        return model

    return make


def lazy():
    return nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, CLASSES))


def pruned():
    model = nn.Sequential(nn.Linear(WIDE, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    prune.random_unstructured(model[0], "weight", amount=0.3)
    return model


def frozen_mlp():
    model = models.mlp(WIDE, (8,), CLASSES)
    model[1].requires_grad_(False)
    return model


def tied_mlp():
    model = nn.Sequential(nn.Linear(WIDE, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, CLASSES))
    model[2].weight = model[0].weight
    return model


def images(norm):
    return lambda: models.small_cnn(1, 8, CLASSES, width=4, norm=norm)


def momentum_none(channels, _side):
    return nn.BatchNorm2d(channels, momentum=None)


def noisy(channels, _side):
    return norms.NoisyBatchNorm2d(channels, clip=3.0, noise=0.1)


def zeros():
    model = nn.Linear(WIDE, CLASSES)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return model


KINDS = {
    # one tensor program is right, and was so before
    "perceptron": Kind(lambda: models.mlp(WIDE, (8,), CLASSES), fast=True),
    "logistic regression": Kind(lambda: models.mlp(WIDE, (), CLASSES), fast=True),
    "zeros": Kind(zeros, fast=True),
    "no bias": Kind(lambda: nn.Linear(WIDE, CLASSES, bias=False), fast=True),
    "tanh": Kind(dense(nn.Tanh), fast=True),
    "prelu": Kind(dense(nn.PReLU), fast=True),
    "layer norm": Kind(dense(lambda: nn.LayerNorm(8)), fast=True),
    "cnn": Kind(images("none"), "images", fast=True),
    "group norm": Kind(images("group"), "images", fast=True),
    "instance norm": Kind(images("instance"), "images", fast=True),
    "batch norm": Kind(images("batch"), "images", fast=True, private=False, buffers=True),
    "batch norm 1d": Kind(dense(lambda: nn.BatchNorm1d(8)), fast=True, private=False, buffers=True),
    "max pool": Kind(
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, CLASSES)),
        "images",
        fast=True,
    ),
    "transformer": Kind(
        lambda: models.tiny_transformer(1, 8, CLASSES, patch=4, width=8, blocks=1), "images", fast=True
    ),
    "sentences": Kind(lambda: models.token_transformer(5, 4, CLASSES, width=8), "tokens", fast=True),
    "attention": Kind(Attends, "series", fast=True),
    "encoder layer": Kind(EncoderLayer, "series", fast=True),
    "embedding": Kind(words(), "tokens", fast=True),
    "scalar": Kind(Scalar, fast=True, private=False),
    "spare buffer": Kind(UnusedBuffer, fast=True, buffers=True),
    "not persistent": Kind(NotPersistent, fast=True, buffers=True),
    "counts in place": Kind(CountsInPlace, fast=True, private=False, buffers=True),
    "moving average": Kind(MovingAverage, fast=True, private=False, buffers=True),
    "weight norm": Kind(wrapped(parametrizations.weight_norm), fast=True),
    # one tensor program is right with care
    "unused": Kind(Unused, fast=True),
    "frozen layer": Kind(Frozen, fast=True),
    "frozen bias": Kind(FrozenBias, fast=True),
    "frozen perceptron": Kind(frozen_mlp, fast=True),
    "detached": Kind(Detached, fast=True),
    "tied weights": Kind(TiedWeights, fast=True),
    "tied perceptron": Kind(tied_mlp, fast=True),
    "shared layer": Kind(SharedLayer, fast=True, private=False),
    "plain mask": Kind(PlainMask, fast=True),
    "complex": Kind(Complex, fast=True, private=False, federated=False),
    "first batch": Kind(FirstBatch, fast=True, private=False, buffers=True),
    "frozen norm": Kind(FrozenNorm, fast=True, private=False, buffers=True),
    "cells": Kind(Cells, "series", fast=True, private=False),
    # one tensor program would be wrong, or fail
    "shared memory": Kind(SharedMemory, private=False, federated=False),
    "buffer is a weight": Kind(BufferIsAWeight, private=False, buffers=True),
    "teacher": Kind(Teacher, private=False, federated=False),
    "unfreezes": Kind(Unfreezes, private=False, federated=False),
    "drawn kind": Kind(DrawnKind),
    "drawn freezing": Kind(DrawnFreezing, federated=False),
    "tensor hook": Kind(TensorHook, private=False),
    "checkpointed": Kind(Checkpointed, private=False),
    "masked mean": Kind(MaskedMean, private=False),
    "scripted": Kind(lambda: torch.jit.script(dense(nn.ReLU)()), private=False),
    "in parallel": Kind(lambda: nn.DataParallel(dense(nn.ReLU)()), private=False),
    "pruned": Kind(pruned, private=False, buffers=True),
    "drawn mask": Kind(DrawnMask),
    "masks in a list": Kind(MasksInAList),
    "drawn number": Kind(DrawnNumber),
    "hidden layer": Kind(HiddenLayer),
    "captured": Kind(Captured),
    "partial": Kind(Partial),
    "counter attribute": Kind(CounterAttribute, private=False),
    "number counter": Kind(NumberCounter, private=False),
    "late switch": Kind(LateSwitch, private=False),
    "some of the time": Kind(SomeOfTheTime, private=False),
    "counts in a buffer": Kind(CountsInABuffer, private=False, buffers=True),
    "counts through data": Kind(CountsThroughData, private=False, buffers=True),
    "clamped": Kind(Clamped, private=False),
    "clamped through data": Kind(ClampedThroughData, private=False),
    "clamps late": Kind(ClampsLate, private=False),
    "item": Kind(Item, private=False),
    "if": Kind(If, private=False),
    "numpy": Kind(Numpy, private=False),
    "keeps last": Kind(KeepsLast, private=False),
    "swaps": Kind(Swaps, private=False),
    "weight hook": Kind(WeightHook, private=False),
    "late weight hook": Kind(LateWeightHook, private=False),
    "forward hook": Kind(ForwardHook, private=False),
    "backward hook": Kind(BackwardHook, private=False),
    "own gradient": Kind(OwnGradient, private=False),
    "padding": Kind(words(padding_idx=2), "tokens"),
    "padding in forward": Kind(
        lambda: PaddedInForward(lambda: nn.Embedding(5, WIDE)), "tokens", private=False
    ),
    "max norm": Kind(words(max_norm=0.5), "tokens", private=False),
    "by frequency": Kind(words(scale_grad_by_freq=True), "tokens", private=False),
    "bag": Kind(lambda: Bag(lambda: nn.EmbeddingBag(5, WIDE)), "tokens", private=False),
    "padded bag": Kind(lambda: Bag(lambda: nn.EmbeddingBag(5, WIDE, padding_idx=1)), "tokens", private=False),
    "lstm": Kind(lambda: Recurrent(nn.LSTM), "series", private=False),
    "gru": Kind(lambda: Recurrent(nn.GRU), "series", private=False),
    "rnn": Kind(lambda: Recurrent(nn.RNN), "series", private=False),
    "spectral norm": Kind(wrapped(parametrizations.spectral_norm), private=False, buffers=True),
    "old spectral norm": Kind(wrapped(nn.utils.spectral_norm), private=False, buffers=True),
    "orthogonal": Kind(wrapped(parametrizations.orthogonal, 2), fast=True, buffers=True),
    "average of all": Kind(images(momentum_none), "images", private=False, buffers=True),
    "lazy": Kind(
        lambda: nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, CLASSES)),
        private=False,
        federated=False,
    ),
    # draws in its forward pass
    "rrelu": Kind(dense(nn.RReLU), draws=True, private=False),
    "functional dropout": Kind(FunctionalDropout, draws=True),
    "rand": Kind(Draws, draws=True, private=False),
    "dropout in attention": Kind(lambda: Attends(0.3), "series", draws=True),
    "noisy batch norm": Kind(images(noisy), "images", draws=True, private=False, buffers=True),
}
