"""What private training finds out by trying a model: records that mix, and traces that they leave."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from mialab import models
from mialab.dp_sgd import DpSgd, fit_private
from mialab.dp_sgd._validation import check_private

WIDE, CLASSES = 6, 3
TRACE = "and no buffer, weight or attribute that its forward pass changes, got "
MIXED = "depends on that record alone, got logits that changed with another record of the batch"


def at_door(make, x):
    check_private(make, x, np.arange(len(x)) % CLASSES, "cpu", dropout=True)


def vectors(count=40, *shape):
    return np.random.default_rng(0).normal(size=(count, *(shape or (WIDE,)))).astype(np.float32)


class Net(nn.Module):
    """Two linear layers, and room for oddities between them."""

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


# Traces of the records


class ActNorm(Net):
    """Initialised by the first batch."""

    def prepare(self):
        self.shift = nn.Parameter(torch.zeros(8))
        self.register_buffer("done", torch.zeros((), dtype=torch.bool))

    def middle(self, h):
        if self.training and not self.done:
            self.shift.data = -h.detach().mean(0)
            self.done.fill_(True)
        return h + self.shift


class NumberAverage(Net):
    def prepare(self):
        self.scale = 1.0

    def middle(self, h):
        self.scale = 0.9 * self.scale + 0.1 * float(h.abs().max())
        return h


class Bank(Net):
    def prepare(self):
        self.bank = []

    def middle(self, h):
        self.bank.append(h.detach().tolist())
        return h


class BankByName(Net):
    def prepare(self):
        self.bank = {"seen": {}}

    def middle(self, h):
        self.bank["seen"][f"{len(self.bank['seen'])}"] = h.detach().clone()
        return h


class BankOfNumPy(Net):
    def prepare(self):
        self.bank = np.zeros(8)

    def middle(self, h):
        self.bank += h.detach().numpy().mean(0)
        return h


class Hook(Net):
    def prepare(self):
        seen = []
        self.a.register_forward_hook(lambda _layer, inputs, _output: seen.append(inputs[0].detach()))


class HookWithAWeight(Net):
    """Two modules differ from the start in which weight their function has captured."""

    def prepare(self):
        seen, weight = [], self.b.weight
        self.a.register_forward_hook(lambda _layer, inputs, _output: seen.append((weight.shape, inputs)))


class Unregistered(Net):
    def prepare(self):
        self.others = [nn.Linear(8, 8)]

    def middle(self, h):
        self.others[0].bias.data += h.detach().mean(0)
        return h


class CountedByTheMaker(NumberAverage):
    made = 0

    def prepare(self):
        super().prepare()
        type(self).made += 1
        self.number = type(self).made


class Empty(Net):
    """A number that is none, from the start."""

    def prepare(self):
        self.register_buffer("none", torch.full((2,), torch.nan))


TRACES = {
    "data-dependent initialisation": (ActNorm, "'shift'"),
    "an average in a number": (NumberAverage, "'scale'"),
    "a memory bank": (Bank, "'bank'"),
    "a memory bank in dictionaries": (BankByName, "'bank'"),
    "a memory bank of NumPy": (BankOfNumPy, "'bank'"),
    "a forward hook": (Hook, "'a._forward_hooks'"),
    "a forward hook with a weight": (HookWithAWeight, "'a._forward_hooks'"),
    "a layer that is not registered": (Unregistered, "'others'"),
    "a maker that counts": (CountedByTheMaker, "'scale'"),
}


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("kind", TRACES)
@pytest.mark.parametrize("records", [1, 2, 40])
def test_a_trace_of_the_records_is_refused(kind, records):
    make, name = TRACES[kind]
    with pytest.raises(ValueError, match="make_model must return a module") as error:
        at_door(make, vectors(records))
    assert str(error.value).endswith(TRACE + name)


# Records that mix


class Mixup(Net):
    def middle(self, h):
        return 0.7 * h + 0.3 * h[torch.randperm(len(h))] if self.training else h


class MixStyle(Net):
    """Half of the time, decided by Python's generator, with weights by NumPy's."""

    def middle(self, h):
        if not self.training or random.random() < 0.5:
            return h
        share = np.random.beta(0.5, 0.5)  # noqa: NPY002
        return share * h + (1 - share) * h[torch.randperm(len(h))]


class Centred(Net):
    def middle(self, h):
        return h - h.mean(0)


class CentredUnderZeros(Centred):
    def prepare(self):
        nn.init.zeros_(self.b.weight)
        nn.init.zeros_(self.b.bias)


class Gated(Net):
    def prepare(self):
        self.gate = nn.Parameter(torch.zeros(()))

    def middle(self, h):
        return h + self.gate * h.mean(0)


class Rolled(Net):
    def middle(self, h):
        return h + h.roll(1, 0)


class Faint(Net):
    """Logits so small that no absolute tolerance tells them apart."""

    def middle(self, h):
        return 1e-6 * (h - h.mean(0))

    def prepare(self):
        self.b = nn.Linear(8, CLASSES, bias=False)


class Sequence(nn.Module):
    """Reads the records one after the other, unless told that they come first."""

    def __init__(self, batch_first=False):
        super().__init__()
        self.read, self.b = nn.LSTM(4, 8, batch_first=batch_first), nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.b(self.read(x)[0].mean(1))


class CentredAndDraws(Centred):
    def middle(self, h):
        return nn.functional.rrelu(super().middle(h), training=self.training)


MIXES = {
    "centred, and draws": CentredAndDraws,
    "mixup": Mixup,
    "mixstyle": MixStyle,
    "centred": Centred,
    "centred under zeros": CentredUnderZeros,
    "a gate of zero": Gated,
    "the record before": Rolled,
    "faint": Faint,
}


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("kind", MIXES)
@pytest.mark.parametrize("records", [2, 5, 40])
def test_records_that_mix_are_refused(kind, records):
    with pytest.raises(ValueError, match=MIXED):
        at_door(MIXES[kind], vectors(records))


@pytest.mark.usefixtures("at_the_door")
def test_a_recurrent_layer_that_reads_records_in_a_row_is_refused():
    with pytest.raises(ValueError, match=MIXED):
        at_door(Sequence, vectors(40, 5, 4))


@pytest.mark.usefixtures("at_the_door")
def test_records_that_are_all_the_same_hide_no_mixture():
    with pytest.raises(ValueError, match=MIXED):
        at_door(Centred, vectors(1).repeat(20, axis=0))


# Records that cannot be read


def words():
    return nn.Sequential(Whole(), nn.Embedding(5, 4), nn.Flatten(), nn.Linear(16, CLASSES))


class Whole(nn.Module):
    def forward(self, x):
        return x.long()


def sentences(count=50):
    return np.random.default_rng(0).integers(5, size=(count, 4)).astype(np.float32)


@pytest.mark.usefixtures("at_the_door")
def test_one_record_that_the_model_cannot_read_is_refused_before_it_is_drawn():
    x = sentences()
    x[17, 2] = 5
    recipe = DpSgd(1.0, 1.0, sampling_rate=1e-9, steps=1, nominal_batch=4)
    with pytest.raises(ValueError, match=r"x must hold records that the model can read \(IndexError: "):
        fit_private(words, x, np.arange(50) % CLASSES, recipe, rng=np.random.default_rng(0))


# What passes


class Clamped(Net):
    def forward(self, x):
        logits = super().forward(x)
        with torch.no_grad():
            self.b.weight.clamp_(-0.1, 0.1)
        return logits


class Fastidious(Net):
    """Takes no weights but those that it was made with."""

    def prepare(self):
        self.most = float(self.a.weight.detach().abs().max())

    def forward(self, x):
        if self.a.weight.abs().max() > self.most:
            raise RuntimeError("these are not my weights")
        return super().forward(x)


class Caches(Net):
    """Keeps what it can work out without the records."""

    def middle(self, h):
        self.table, self.note = torch.arange(8.0), {"width": [h.shape[1]]}
        return h * self.table


class Follows(Net):
    """A frozen layer that goes after a trained one, whatever the records."""

    def prepare(self):
        self.c, self.slow = nn.Linear(8, 8), nn.Linear(8, 8).requires_grad_(False)
        self.slow.load_state_dict(self.c.state_dict())

    def middle(self, h):
        with torch.no_grad():
            self.slow.weight.lerp_(self.c.weight, 0.1)
        return self.c(h) + self.slow(h)


class Padded(nn.Module):
    """Sentences of different lengths: zeros at the end are no words, and there is no sentence without any."""

    def __init__(self):
        super().__init__()
        self.embed, self.read = nn.Embedding(5, 4), nn.LSTM(4, 8, batch_first=True)
        self.b = nn.Linear(8, CLASSES)

    def forward(self, x):
        lengths = (x > 0).sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embed(x.long()), lengths, batch_first=True, enforce_sorted=False
        )
        return self.b(self.read(packed)[1][0][-1])


def of_different_lengths():
    x = 1 + np.random.default_rng(1).integers(4, size=(50, 6)).astype(np.float32)
    return x * (np.arange(6) < np.random.default_rng(2).integers(1, 7, size=50)[:, None])


def dropout():
    return nn.Sequential(nn.Linear(WIDE, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, CLASSES))


GOOD = {
    "perceptron": (lambda: models.mlp(WIDE, (8,), CLASSES), vectors),
    "clamped": (Clamped, vectors),
    "dropout": (dropout, vectors),
    "fastidious": (Fastidious, vectors),
    "follows": (Follows, vectors),
    "draws as many numbers as it needs": (
        lambda: nn.Sequential(nn.Linear(WIDE, 8), nn.RReLU(), nn.Linear(8, CLASSES)),
        vectors,
    ),
    "caches": (Caches, vectors),
    "not a number": (Empty, vectors),
    "cnn": (lambda: models.small_cnn(1, 8, CLASSES, width=4), lambda: vectors(20, 1, 8, 8)),
    "transformer": (
        lambda: models.tiny_transformer(1, 8, CLASSES, patch=4, width=8, blocks=1),
        lambda: vectors(20, 1, 8, 8),
    ),
    "recurrent": (lambda: Sequence(batch_first=True), lambda: vectors(20, 5, 4)),
    "words": (words, sentences),
    "sentences": (lambda: models.token_transformer(5, 4, CLASSES, width=8), sentences),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(CLASSES)), vectors),
    "padded": (Padded, of_different_lengths),
    "one record": (dropout, lambda: vectors(1)),
}


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("kind", GOOD)
def test_what_leaves_records_alone_passes(kind):
    make, records = GOOD[kind]
    at_door(make, records())


@pytest.mark.usefixtures("at_the_door")
def test_trying_leaves_no_trace_in_the_global_generators():
    torch.manual_seed(0)
    before = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())  # noqa: NPY002
    with pytest.raises(ValueError, match=MIXED):
        at_door(MixStyle, vectors())
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), repr(np.random.get_state()))  # noqa: NPY002
