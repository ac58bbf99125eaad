"""What private training refuses, with the name, the rule and the value.

The proof bounds what one record changes by the clip of one gradient. It says nothing where a record also
changes the gradients of others, or the model by another way.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mialab import _check, _rng
from mialab._functional import as_tensor
from mialab.train import _model_checks, hidden, predict

_ALONE = "in which what a record does depends on that record alone"
_RETURN = f"return a module {_ALONE}"
_SEEDS = 6  # of the random numbers with which a model is tried
_BATCH = 8  # records that a model is tried with at once; where there are fewer, some come again
_LOOKED_AT = 64  # records among which different ones are looked for


def check_private(
    make_model: Callable[[], nn.Module],
    x: np.ndarray,
    y: np.ndarray,
    device: str,
    *,
    dropout: bool,
    pretrained: bool = False,
) -> tuple[nn.Module, np.ndarray]:
    """Refuse what `train.fit` refuses, records without features, and models that mix records.

    With ``dropout``, layers that draw random numbers are welcome: each record has a mask of its own, drawn
    without looking at the data, so its gradient is still a function of that record. Returns a throw-away
    model, which has read all records in evaluation mode, and the records as it reads them.

    Whether a model mixes records, or keeps a trace of them, is found out by trying new ones on some of the
    records. That cannot decide everything. It does not see private data that the maker itself has put into a
    buffer; models that behave otherwise after many calls, or on other records; traces outside the module, in
    global variables, classes or files; nor a mixture that random numbers bring about too seldom.
    """
    if x.ndim < 2:
        _check.refuse("x", "have shape (records, features …)", f"shape {x.shape}")
    model, x, _ = _model_checks.check_training(
        make_model, x, y, device, draws=dropout, single_logit=False, pretrained=pretrained
    )
    check_layers(model, "make_model", "return a module")
    with _rng.torch_undisturbed():
        predict(model, x)  # so that no record is drawn later that the model cannot read
    check_alone(make_model, x, device)
    return model.train(), x


def check_layers(model: nn.Module, who: str = "model", must: str = "be one") -> None:
    """Refuse layers that are known to mix records, and say why; and parameters in half precision."""
    for name, layer in model.named_modules():
        if why := _why_mixing(layer):
            _check.refuse(who, f"{must} {_ALONE} ({why})", f"{layer} at {name!r}")
    for name, weight in model.named_parameters():
        if weight.dtype not in (torch.float32, torch.float64):
            rule = "with parameters in single or double precision: the clip would not bound what others round"
            _check.refuse(who, f"{must} {rule}", f"{weight.dtype} at {name!r}")


def _why_mixing(layer: nn.Module) -> str | None:
    """Return what a layer does to other records than its own, if it is known to."""
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return "batch normalisation shows every record the whole batch, so no clip bounds what one changes"
    if isinstance(layer, nn.modules.instancenorm._InstanceNorm) and layer.track_running_stats:
        return "running averages of the records go into the model without noise"
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag) and layer.max_norm:
        return "max_norm shortens the rows of a record's words as it passes, without noise"
    return None


def check_alone(make_model: Callable[[], nn.Module], x: np.ndarray, device: str) -> None:
    """Try it: a record's logits must not change with its neighbours, and nothing in the model with either.

    Two new models from the same random numbers see different records. What differs afterwards and did not
    before is a record's doing, also where it is done at the first call only.
    """
    record, ones, others = (as_tensor(rows).to(device) for rows in _different(x))
    with _draws(0):
        model = make_model()
    with _draws(0):
        twin = make_model()
    _check_same_after(model.to(device), twin.to(device), ones, others)
    if _is_mixed(model, model, record, ones, others) or _is_mixed_when_shaken(twin, record, ones, others):
        _check.refuse("make_model", _RETURN, "logits that changed with another record of the batch")


def _different(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one record, and two batches of which no record is in both."""
    rows = np.unique(np.linspace(0, len(x) - 1, _LOOKED_AT).astype(int))
    found = list({x[row].tobytes(): x[row] for row in rows}.values())
    if len(found) == 1:
        found.append(np.zeros_like(found[0]))
    ones, others = (np.stack((half * _BATCH)[:_BATCH]) for half in (found[::2], found[1::2]))
    return found[0], ones, others


def _check_same_after(model: nn.Module, twin: nn.Module, ones: Tensor, others: Tensor) -> None:
    """Refuse a trace of the records; and tensors that change at every call, whatever they tell.

    What a model does to its weights once and for all, such as a clamp, is no record's doing.
    """
    mine, its = _held(model), _held(twin)
    strange = {name for name in mine.keys() | its.keys() if mine.get(name) != its.get(name)}
    _answer(model, ones)
    _answer(twin, others)
    before = _held(model)
    for seed in range(1, 4):
        for one, rows in ((model, ones), (twin, others)):
            _answer(one, rows[: _BATCH >> seed], seed)
    mine, its = _held(model), _held(twin)
    for name in [*mine, *(its.keys() - mine.keys())]:
        steady = name in strange or (name in mine and mine[name].is_tensor)
        changed = steady and before.get(name) != mine.get(name)
        if changed or (name not in strange and mine.get(name) != its.get(name)):
            rule = f"{_RETURN}, and no buffer, weight or attribute that its forward pass changes"
            _check.refuse("make_model", rule, repr(name))


def _is_mixed(model: nn.Module, twin: nn.Module, record: Tensor, ones: Tensor, others: Tensor) -> bool:
    """Return whether a record's logits change with its neighbours: at the first place, or at the last.

    ``twin`` is the same model, or one like it. How many numbers some layers draw depends on the records: then
    the last record's are others, and only the first one's logits can be compared.
    """
    for seed in range(_SEEDS):
        for place in (0, -1):
            mine, drawn = _answer(model, ones.select_scatter(record, 0, place), seed)
            its, drawn_too = _answer(twin, others.select_scatter(record, 0, place), seed)
            scale = float(torch.stack([mine, its]).nan_to_num(0.0, 0.0, 0.0).abs().max())
            same = torch.allclose(mine[place], its[place], rtol=1e-4, atol=1e-5 * scale, equal_nan=True)
            if not same and (place == 0 or torch.equal(drawn, drawn_too)):
                return True
    return False


def _is_mixed_when_shaken(model: nn.Module, record: Tensor, ones: Tensor, others: Tensor) -> bool:
    """Return the same for other weights: a last layer of zeros hides what is below.

    A copy is asked in step with the model, so that what both do to their weights, such as a moving average of
    them, makes no difference. A model that cannot take such weights, or be copied, has no answer; with its
    own it has had one.
    """
    try:
        with torch.no_grad(), _draws(0):
            for weight in model.parameters():
                if weight.requires_grad:
                    weight.add_(0.1 * torch.randn_like(weight))
        _answer(model, ones)
        return _is_mixed(model, hidden.copy_of(model), record, ones, others)
    except Exception:
        return False


class _Value(NamedTuple):
    """Something that a module holds."""

    is_tensor: bool
    checksum: str


def _held(model: nn.Module) -> dict[str, _Value]:
    """Return whatever a module holds, by name."""
    held = {}
    for path, layer in model.named_modules():
        for name, one in [*vars(layer).items(), *layer._parameters.items(), *layer._buffers.items()]:
            if name not in hidden.REGISTERED and not nn.parameter.is_lazy(one):
                held[f"{path}.{name}".removeprefix(".")] = _Value(isinstance(one, Tensor), _checksum(one))
    return held


def _checksum(value: object) -> str:
    """Return what tells a value from others."""
    try:
        return hidden.checksum(value)
    except (RuntimeError, ValueError):  # a lazy layer's weights, before its first call
        return repr(id(value))


@torch.no_grad()
def _answer(model: nn.Module, inputs: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return the logits of a model as it trains, and the state that its draws led to.

    The random numbers are the same at every call with the same seed.
    """
    with _draws(seed):
        return model.train()(inputs), torch.get_rng_state()


@contextmanager
def _draws(seed: int) -> Iterator[None]:
    """Run a block with all global generators set from a seed, and put theirs back after it."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (a model may draw from it)
    random.setstate(random.Random(seed).getstate())
    np.random.set_state(np.random.RandomState(seed).get_state())  # noqa: NPY002
    try:
        with _rng.torch_stream(np.random.default_rng(seed)):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
