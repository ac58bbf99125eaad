"""The sum of clipped gradients, one gradient a record, in several ways to the same numbers.

**What a record adds is never longer than the clip.** Norms are rounded up (`per_example.layers`). A gradient
whose square does not fit into a float is divided by its largest number first. One that is not finite adds
nothing: then the sum is finite whatever the records are, and says no more of that one than that it was short.
Products are made in full precision (`precision`).

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

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from jaxtyping import Int, Shaped
from torch import Tensor, nn

from mialab import _check
from mialab._validation import door
from mialab.accounting.steps import check_clip
from mialab.dp_sgd._validation import check_layers
from mialab.dp_sgd.precision import full_precision
from mialab.per_example import capture
from mialab.per_example.gradients import Norms, by_record, norms, why_not
from mialab.per_example.layers import Tensors
from mialab.per_example.rounding import weighted_sum
from mialab.train.fleet import trainable

Method = Literal["auto", "ghost", "materialise", "per record"]
Clipper = Callable[[Tensor, Tensor, float], tuple[Tensors, Norms]]

_COMMON = 2.0**-20, 2.0**40  # clips with which no factor, and no product with one, comes near a float's ends


@door
def clipped_sum(
    model: nn.Module,
    inputs: Shaped[Tensor, "records *features"],
    labels: Int[Tensor, "records"],
    clip: float,
    method: Method = "auto",
) -> tuple[Tensors, Norms]:
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
    method
        ``"per record"`` makes every gradient: for any model, at the price of its memory. ``"ghost"`` and
        ``"materialise"`` run the model once instead, and find norms in the one way or the other
        (`per_example.layers`), where a layer has both. ``"auto"`` does so wherever that is right, chooses for
        each layer what needs less arithmetic, and makes every gradient for all other models.

    Returns
    -------
    The sum, a tensor for each trainable parameter, by name; and the norms ‖g_i‖ before clipping, rounded up
    by what their computation may have lost.

    Raises
    ------
    ValueError
        If ``clip`` is out of its range, records and labels differ in number, a gradient is not finite, the
        model has layers that mix records or other precisions, or the method would be wrong for it.

    Examples
    --------
    >>> from mialab.models import mlp
    >>> total, norms = clipped_sum(mlp(4, (), 3), torch.eye(4), torch.tensor([0, 1, 2, 0]), clip=0.1)
    >>> {name: tuple(tensor.shape) for name, tensor in total.items()}, norms.shape
    ({'1.weight': (3, 4), '1.bias': (3,)}, torch.Size([4]))
    """
    check_clip(clip)
    if inputs.ndim < 2:
        shapes = f"{tuple(inputs.shape)} and {tuple(labels.shape)}"
        _check.refuse("inputs and labels", "have shapes (records, features …) and (records)", shapes)
    check_layers(model)
    total, lengths = make_clipper(model, inputs, method)(inputs, labels, clip)
    check_finite(lengths)
    return {name: total[name].to(weight.dtype) for name, weight in trainable(model).items()}, lengths


def make_clipper(model: nn.Module, example: Tensor, method: Method = "auto") -> Clipper:
    """Look at a model once, with some records at hand, and return the function for its clipped sums.

    `check_layers` has been asked. A record whose gradient is not finite adds nothing, and its norm says so;
    whether that is an error is for the caller to say. Long sums are in double precision.
    """
    if method == "per record":
        return _clipper(model, _clip_by_record)
    with full_precision(example.device):
        reason = why_not(model, example[:3]) if len(example) else None
    if reason is None:
        return _clipper(model, partial(_clip_in_one_run, method))
    if method != "auto":
        _check.refuse("method", f"be 'auto' or 'per record' here ({reason})", repr(method))
    return _clipper(model, _clip_by_record)


def _clipper(model: nn.Module, clip_and_sum: Callable[..., tuple[Tensors, Norms]]) -> Clipper:
    """Give a method its model, and add zeros for empty batches and for weights that a step did not use."""

    def clipper(inputs: Tensor, labels: Tensor, clip: float) -> tuple[Tensors, Norms]:
        total, lengths = {}, torch.zeros(0, device=labels.device)
        if len(labels):
            with full_precision(labels.device):
                total, lengths = clip_and_sum(model, inputs, labels, clip)
        weights = trainable(model)
        return {
            name: total[name].view_as(weight) if name in total else torch.zeros_like(weight)
            for name, weight in weights.items()
        }, lengths

    return clipper


def _clip_in_one_run(
    norm: capture.Norm, model: nn.Module, inputs: Tensor, labels: Tensor, clip: float
) -> tuple[Tensors, Norms]:
    """Run the model once; ask record by record where a clip, or a gradient, is too near a float's ends."""
    if not is_common(clip):
        return _clip_by_record(model, inputs, labels, clip)
    try:
        layers = capture.measured(model, inputs, labels, norm)
    except capture.UnsuitableError:  # this time the model did something else
        return _clip_by_record(model, inputs, labels, clip)
    lengths = capture.norms(layers)
    apart = ~torch.isfinite(lengths)
    if not apart.any():
        return capture.clipped_sum(layers, clip_factors(lengths, clip)), lengths
    total, lengths[apart] = _clip_by_record(model, inputs[apart], labels[apart], clip)
    if not apart.all():
        others, lengths[~apart] = _clip_in_one_run(norm, model, inputs[~apart], labels[~apart], clip)
        for name, one in others.items():
            total[name] = total[name] + one.view_as(total[name])
    return total, lengths


def _clip_by_record(model: nn.Module, inputs: Tensor, labels: Tensor, clip: float) -> tuple[Tensors, Norms]:
    """Make every record's gradient, then measure, shorten and add."""
    gradients = by_record(model, inputs, labels)
    lengths = norms(gradients)
    if is_common(clip) and torch.isfinite(lengths).all():
        factors = clip_factors(lengths, clip)
    else:
        gradients, factors, lengths = _scaled(gradients, clip)
    return {name: weighted_sum(factors.to(one.dtype), one) for name, one in gradients.items()}, lengths


def clipped(gradients: Tensors, clip: float) -> Tensor:
    """Return every record's gradient, shortened to the clip if it is longer, as one row."""
    scaled, factors, _ = _scaled(gradients, clip)
    return factors.unsqueeze(1) * torch.cat([one.reshape(len(one), -1) for one in scaled.values()], dim=1)


def _scaled(gradients: Tensors, clip: float) -> tuple[Tensors, Tensor, Norms]:
    """Divide every gradient by its largest number; return what is left, the factor to use, and the norm.

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
    lengths = norms(scaled)
    factors = torch.minimum(unit, clip / lengths) * there
    top = torch.finfo(unit.dtype).max
    return scaled, factors, torch.where(there, (unit * lengths).clamp(max=top), largest)


def is_common(clip: float) -> bool:
    """Tell whether factors, and products with them, stay far from a float's ends for this clip."""
    return clip == float("inf") or _COMMON[0] <= clip <= _COMMON[1]


def clip_factors(norms: Tensor, clip: float) -> Tensor:
    """Return min(1, C/‖g‖), which is 1 where there is no gradient, given a norm that was rounded up."""
    return (clip / norms).clamp(max=1)


def check_finite(norms: Norms, when: str = "") -> None:
    """Refuse gradients that have no norm to clip."""
    wrong = ~torch.isfinite(norms)
    if wrong.any():
        first = int(wrong.nonzero()[0, 0])
        got = f"{norms[first].item()} as norm of {int(wrong.sum())} of {len(norms)} gradients{when}"
        _check.refuse("gradients", "be finite", got)
