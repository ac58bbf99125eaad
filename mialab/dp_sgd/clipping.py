"""The sum of clipped gradients, one gradient a record, in several ways to the same numbers.

**What a record adds is never longer than the clip.** Lengths are rounded up (`layers`). A gradient whose
square does not fit into a float is divided by its largest number first. One that is not finite adds nothing:
then the sum is finite whatever the records are, and says no more of that one than that it was short. Products
are made in full precision, whatever the global settings for TF32, bfloat16 and autocast are.

**What a record adds is not all that it moves.** A sum of floats is rounded, and a record that joins changes
the order and the partial sums of all others. Where nothing is known of the order, a sum of n records of
length C moves by up to 2·γ_n·n·C more than what is added (Higham 2002, §3.1: the sums with it and without).
That is a thousandth of C, which `DpSgd.noise_std` adds to the sensitivity, for 90 single-precision records
only. So no sum is long: those of gradients are made of blocks of 64 (of 256 records if no more), those of
rows in a product of blocks of 2,048, and blocks are added up in double precision, in which the noise is added
too. Yet above 90 records the thousandth is measured, not proved: the largest that we found, in up to 60,000
records that are nearly alike or whose tokens cancel, was less than half of it. Nor is it proved that a
library's products round one record's numbers alike whoever stands beside it.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.func import grad, vmap

from mialab import _check
from mialab._functional import call
from mialab._validation import door
from mialab.accounting.steps import check_clip
from mialab.dp_sgd import bookkeeping
from mialab.dp_sgd._doors import check_layers
from mialab.dp_sgd.layers import added_up, gamma, longest

Gradients = dict[str, Tensor]
Norms = Float[Tensor, "records"]
Way = Literal["auto", "ghost", "materialise", "per record"]
Clipper = Callable[[Tensor, Tensor, float], tuple[Gradients, Norms]]

_CLOSE = 1e-3  # relative; what a wrong use of a layer does to a length is of another size
_NOTHING = 1e-100  # a length in double precision that may be 0: what squares too small for a float leave open
_COMMON = 2.0**-20, 2.0**40  # clips with which no factor, and no product with one, comes near a float's ends


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that training may change, by name; one that is shared has one name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


@door
def clipped_sum(
    model: nn.Module,
    inputs: Shaped[Tensor, "records *features"],
    labels: Int[Tensor, "records"],
    clip: float,
    way: Way = "auto",
) -> tuple[Gradients, Norms]:
    """Return the sum of the records' gradients, each shortened to length ``clip`` if it is longer.

    With g_i the gradient of record i's own cross-entropy in all trainable parameters together,

        Σ_i min(1, C/‖g_i‖) · g_i   (Abadi et al. 2016, Algorithm 1).

    The model is asked in the mode it is in, and left as it was.

    Parameters
    ----------
    model
        Takes a batch of records, returns logits (records, classes), and does not mix records. Its parameters
        are in single or double precision.
    inputs, labels
        The batch; it may be empty.
    clip
        C, in 2⁻¹⁰⁰ … 2¹⁰⁰, or infinite.
    way
        ``"per record"`` makes every gradient: for any model, at the price of its memory. ``"ghost"`` and
        ``"materialise"`` keep books instead, and find the lengths in the one way or the other (`layers`),
        where a layer has both. ``"auto"`` keeps books wherever that is right, chooses for each layer the way
        with less arithmetic, and makes every gradient for all other models.

    Returns
    -------
    The sum, a tensor for each trainable parameter, by name; and the lengths ‖g_i‖ before clipping, rounded up
    by what their computation may have lost.

    Raises
    ------
    ValueError
        If ``clip`` is out of its range, records and labels differ in number, a gradient is not finite, the
        model has layers that mix records or other precisions, or books were asked for and would be wrong.

    Examples
    --------
    >>> from mialab.models import mlp
    >>> total, norms = clipped_sum(mlp(4, (), 3), torch.eye(4), torch.tensor([0, 1, 2, 0]), clip=0.1)
    >>> {name: tuple(tensor.shape) for name, tensor in total.items()}, norms.shape
    ({'1.weight': (3, 4), '1.bias': (3,)}, torch.Size([4]))
    """
    check_clip(clip)
    if labels.ndim != 1 or inputs.ndim < 2 or len(inputs) != len(labels):
        shapes = f"{tuple(inputs.shape)} and {tuple(labels.shape)}"
        _check.refuse("inputs and labels", "have shapes (records, features …) and (records)", shapes)
    total, norms = make_clipper(model, inputs, way)(inputs, labels, clip)
    check_finite(norms)
    return {name: total[name].to(weight.dtype) for name, weight in trainable(model).items()}, norms


def make_clipper(model: nn.Module, example: Tensor, way: Way = "auto") -> Clipper:
    """Look at a model once, with some records at hand, and return the function for its clipped sums.

    A record whose gradient is not finite adds nothing, and its length says so; whether that is an error is
    for the caller to say. Long sums are in double precision.
    """
    _check.one_of("way", way, ("auto", "ghost", "materialise", "per record"))
    check_layers(model)
    for name, weight in model.named_parameters():
        if weight.dtype not in (torch.float32, torch.float64):
            rule = "have parameters in single or double precision: the clip would not bound what others round"
            _check.refuse("model", rule, f"{weight.dtype} at {name!r}")
    if way == "per record":
        return _clipper(model, by_record)
    with full_precision(example.device):
        reason = _try(model, example[:3]) if len(example) else None
    if reason and way != "auto":
        _check.refuse("way", f"be 'auto' or 'per record' here ({reason})", repr(way))
    if reason:
        return _clipper(model, by_record)

    def by_book(model: nn.Module, inputs: Tensor, labels: Tensor, clip: float) -> tuple[Gradients, Norms]:
        if not common(clip):
            return by_record(model, inputs, labels, clip)
        try:
            parts = bookkeeping.parts(model, inputs, labels, way)
        except bookkeeping.UnsuitableError:  # this time the model did something else
            return by_record(model, inputs, labels, clip)
        norms = bookkeeping.lengths(parts)
        if (apart := ~torch.isfinite(norms)).any():
            return _without(by_book, apart, model, inputs, labels, clip)
        return bookkeeping.weighted(parts, factors(norms, clip)), norms

    return _clipper(model, by_book)


def _without(
    way: Callable, apart: Tensor, model: nn.Module, inputs: Tensor, labels: Tensor, clip: float
) -> tuple[Gradients, Norms]:
    """Make the gradients of some records, and find the others' sum as before."""
    total, norms = by_record(model, inputs[apart], labels[apart], clip)
    if apart.all():
        return total, norms
    others, theirs = way(model, inputs[~apart], labels[~apart], clip)
    every = theirs.new_empty(apart.shape)
    every[apart], every[~apart] = norms.to(theirs), theirs
    return {name: total[name] + others[name] if name in others else total[name] for name in total}, every


def _clipper(model: nn.Module, clipped: Callable[..., tuple[Gradients, Norms]]) -> Clipper:
    """Give a way its model, and add zeros for empty batches and for weights that a step did not use."""

    def run(inputs: Tensor, labels: Tensor, clip: float) -> tuple[Gradients, Norms]:
        weights = trainable(model)
        total, norms = {}, torch.zeros(0, device=labels.device)
        if len(labels):
            with full_precision(labels.device):
                total, norms = clipped(model, inputs, labels, clip)
        unused = {name: torch.zeros_like(weight) for name, weight in weights.items() if name not in total}
        return {name: total[name] if name in total else unused[name] for name in weights}, norms

    return run


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Run a block in which products of floats are as precise as floats: the bounds rest on it."""
    lower = [(one, now) for one in _precisions(device) if (now := one.fp32_precision) not in ("none", "ieee")]
    autocast = torch.is_autocast_enabled(device.type)
    try:
        for one, _ in lower:
            one.fp32_precision = "ieee"
        with torch.autocast(device.type, enabled=False) if autocast else nullcontext():
            yield
    finally:
        for one, before in lower:
            one.fp32_precision = before


class _Older:
    """What torch before 2.9 has instead: one setting for products, and one for convolutions on a GPU."""

    @property
    def fp32_precision(self) -> str | tuple[str, bool]:
        """Return ``"ieee"``, or what is set."""
        now = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        return "ieee" if now == ("highest", False) else now

    @fp32_precision.setter
    def fp32_precision(self, value: str | tuple[str, bool]) -> None:
        products, convolutions = ("highest", False) if isinstance(value, str) else value
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


@cache
def _precisions(device: torch.device) -> list:
    """List where torch keeps how precise products may be."""
    if not hasattr(torch.backends, "fp32_precision"):
        return [_Older()]
    libraries = [torch.backends.mkldnn]
    if device.type == "cuda":
        libraries = [torch.backends.cuda, torch.backends.cudnn]
    names = ("matmul", "conv", "rnn")
    found = [torch.backends, *libraries, *(getattr(one, name, None) for one in libraries for name in names)]
    return [one for one in found if hasattr(one, "fp32_precision")]


def by_record(model: nn.Module, inputs: Tensor, labels: Tensor, clip: float) -> tuple[Gradients, Norms]:
    """Make every record's gradient, then measure, shorten and add."""
    gradients = per_record(model, inputs, labels)
    norms = lengths(gradients)
    if common(clip) and torch.isfinite(norms).all():
        factor = factors(norms, clip)
    else:
        gradients, factor, norms = _scaled(gradients, clip)
    return {name: added_up(factor.to(one.dtype), one) for name, one in gradients.items()}, norms


def clipped_each(gradients: Gradients, clip: float) -> Float[Tensor, "records weights"]:
    """Return every record's gradient, shortened to the clip if it is longer, as one row."""
    scaled, factor, _ = _scaled(gradients, clip)
    return factor.unsqueeze(1) * torch.cat([one.reshape(len(one), -1) for one in scaled.values()], dim=1)


def _scaled(gradients: Gradients, clip: float) -> tuple[Gradients, Tensor, Norms]:
    """Divide every gradient by its largest number; return what is left, the factor to use, and the length.

    A gradient that is not finite is left with nothing.
    """
    rows = {name: one.reshape(len(one), -1) for name, one in gradients.items() if one[0].numel()}
    largest = torch.stack([one.abs().amax(1) for one in rows.values()]).amax(0)
    there = torch.isfinite(largest) & (largest > 0)
    unit = torch.where(there, largest, 1)
    scaled = {
        name: torch.where(there.unsqueeze(1), row, 0).div_(unit.unsqueeze(1)).view_as(gradients[name])
        for name, row in rows.items()
    }
    norms = lengths(scaled)
    factor = torch.minimum(unit, clip / norms) * there
    return scaled, factor, torch.where(there, (unit * norms).clamp(max=torch.finfo(unit.dtype).max), largest)


def common(clip: float) -> bool:
    """Tell whether factors, and products with them, stay far from a float's ends for this clip."""
    return clip == float("inf") or _COMMON[0] <= clip <= _COMMON[1]


def _try(model: nn.Module, records: Tensor) -> str | None:
    """Return why book-keeping would be wrong for a model, or None: try it with two and with three records.

    Sizes tell which axis the records are in, and the lengths must be those of every record's own gradient. In
    double precision, where the model has one, so that rounding does not look like a wrong length. Dropout
    is switched off: its masks differ from one time to the next.
    """
    batch = records.repeat(3, *[1] * (records.ndim - 1))[:3]
    try:
        model = copy.deepcopy(model).eval()
    except Exception:  # what cannot be copied is not tried
        return "the model cannot be copied"
    try:
        wide = batch.double() if batch.is_floating_point() else batch
        return _compare(copy.deepcopy(model).double(), wide)
    except Exception:  # a forward pass that has numbers of its own in single precision
        return _compare(model, batch)


def _compare(model: nn.Module, batch: Tensor) -> str | None:
    """Hold the books of two and three records to their own gradients."""
    label = torch.zeros(3, dtype=torch.long, device=batch.device)
    truth = lengths(_in_a_loop(model, batch, label))
    widest = max(sum(weight.shape) for weight in trainable(model).values())
    close = _CLOSE + 2 * gamma(widest, truth.dtype)  # by so much lengths are rounded up
    for count in (2, 3):
        try:
            parts = bookkeeping.parts(model, batch[:count], label[:count], "materialise")
        except bookkeeping.UnsuitableError as error:
            return str(error)
        books = bookkeeping.lengths(parts)
        if not torch.allclose(books, truth[:count], rtol=close, atol=_NOTHING, equal_nan=True):
            return "gradients do not have the lengths that the books give them"
    return None


def per_record(model: nn.Module, inputs: Tensor, labels: Tensor) -> Gradients:
    """Return every record's own gradient, records first: for any module, and with much memory.

    By one tensor program; by a loop over the records where torch's `vmap` cannot follow the model.
    """
    weights = {name: weight.detach() for name, weight in trainable(model).items()}

    def loss(weights: Gradients, record: Tensor, label: Tensor) -> Tensor:
        logits = call(model, weights, record.unsqueeze(0))
        return nn.functional.cross_entropy(logits, label.unsqueeze(0))

    try:
        return vmap(grad(loss), in_dims=(None, 0, 0), randomness="different")(weights, inputs, labels)
    except Exception:  # of many kinds; what is wrong with the model itself is raised by the loop
        return _in_a_loop(model, inputs, labels)


def _in_a_loop(model: nn.Module, inputs: Tensor, labels: Tensor) -> Gradients:
    """Ask the model about one record after the other."""
    weights = trainable(model)
    rows = []
    for record, label in zip(inputs, labels, strict=True):
        with torch.enable_grad():
            loss = nn.functional.cross_entropy(model(record.unsqueeze(0)), label.unsqueeze(0))
        found = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True, allow_unused=True)
        rows.append(found)
    return {name: torch.stack(pieces) for name, pieces in zip(weights, zip(*rows, strict=True), strict=True)}


def lengths(gradients: Gradients) -> Norms:
    """Return how long every record's gradient can be at most, all parameters together."""
    parts = torch.stack([longest(one.unsqueeze(1) if one.ndim == 1 else one) for one in gradients.values()])
    return torch.linalg.vector_norm(parts, dim=0).mul_(1 + gamma(len(parts) + 4, parts.dtype))


def factors(norms: Tensor, clip: float) -> Tensor:
    """Return min(1, C/‖g‖), which is 1 where there is no gradient, given a length that was rounded up."""
    return (clip / norms).clamp(max=1)


def check_finite(norms: Norms, when: str = "") -> None:
    """Refuse gradients that have no length to clip."""
    wrong = ~torch.isfinite(norms)
    if wrong.any():
        first = int(wrong.nonzero()[0, 0])
        got = f"{norms[first].item()} as length of {int(wrong.sum())} of {len(norms)} gradients{when}"
        _check.refuse("gradients", "be finite", got)
