"""What training refuses of models, records and devices, with the name, the rule and the value."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from mialab import _check, _logits, _rng
from mialab._functional import as_tensor
from mialab.train.fleet import check_logits, explain_unreadable, forward_and_bytes, precision_of


def check_device(device: str) -> None:
    """Refuse a device that is not there."""
    there = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    if device.split(":")[0] not in there:
        _check.refuse("device", f"be available (here: {', '.join(there)})", repr(device))


def check_training(
    make_model: Callable[[], nn.Module],
    x: np.ndarray,
    y: np.ndarray,
    device: str,
    *,
    draws: bool = False,
    single_logit: bool = True,
    pretrained: bool = False,
) -> tuple[nn.Module, np.ndarray, float]:
    """Refuse what is no maker of fresh modules, records that do not fit, and labels out of range.

    Layers that draw random numbers are refused as well, unless ``draws``; models with a single logit, unless
    ``single_logit``. Returns the throw-away model that was tried, on its device; the records in its
    precision; and the bytes that it makes of one record.
    """
    check_device(device)
    if isinstance(make_model, nn.Module):
        _check.refuse("make_model", "be a function that returns a fresh module", "a module")
    if len(x) == 0:
        _check.refuse("x", "hold at least one record", "none")
    model, other = (_rng.fresh(make_model, np.random.default_rng(seed)) for seed in range(2))
    _check_fresh(model, other, pretrained)
    for layer in model.modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd) and not draws:
            _check.refuse("make_model", "return a module without layers that draw random numbers", layer)
    if not any(weight.requires_grad for weight in model.parameters()):
        _check.refuse("make_model", "return a module with at least one parameter to train", "none")
    x = cast_records(model, x)
    inputs = as_tensor(x[[0, -1]]).to(device)
    with explain_unreadable(inputs):
        output, bytes_per_record = forward_and_bytes(model.to(device).eval(), inputs)
    logits = check_logits(model, output, len(inputs))
    if logits is output:
        advice = "leave out the softmax, training has its own"
        _logits.refuse_probabilities("the module's answers", logits.detach().cpu().double().numpy(), advice)
    elif not single_logit:
        _check.refuse("the module", "return logits of two classes or more", "a single logit")
    _check.labels("y", y, classes=logits.shape[1])
    return model, x, bytes_per_record


def cast_records(model: nn.Module, x: np.ndarray) -> np.ndarray:
    """Cast finite records to the precision of a model: the one cast here that may round."""
    precision = precision_of(model)
    if precision not in (torch.float16, torch.float32, torch.float64):  # which NumPy has not
        precision = torch.float32
    with np.errstate(over="ignore"):
        cast = x.astype(torch.empty(0, dtype=precision).numpy().dtype, copy=False)
    if not np.isfinite(cast).all():
        _check.finite("x", x)
        _check.refuse("x", f"be numbers in the range of {cast.dtype}", f"{int(np.isinf(cast).sum())} others")
    return cast


def _check_fresh(model: nn.Module, other: nn.Module, pretrained: bool) -> None:
    """Refuse the same module twice, or the same weights, from two random streams."""
    for one in (model, other):
        if not isinstance(one, nn.Module):
            _check.refuse("make_model", "return a module", type(one).__name__)
    others = dict(other.named_parameters())
    for name, weight in model.named_parameters():
        again = others.get(name)
        if again is None or isinstance(weight, nn.UninitializedParameter):
            continue
        if weight.is_meta:
            _check.refuse("make_model", "return a module with weights that hold values", f"{name!r} on meta")
        if weight.numel() and weight.data_ptr() == again.data_ptr():
            rule = "return a module of its own at every call"
            _check.refuse("make_model", rule, f"the same parameter {name!r} twice")
        if weight.requires_grad and not pretrained and torch.equal(weight, again) and not _is_plain(weight):
            rule = "return fresh random weights at every call (or pretrained must be True)"
            _check.refuse("make_model", rule, f"the same {name!r} twice")


def _is_plain(weight: Tensor) -> bool:
    """Return whether a tensor looks set and not drawn or learned: one value, or a pattern of two as in I."""
    values = weight.unique().numel()
    return values < 2 or values == 2 < weight.numel()


def check_member(member: np.ndarray) -> None:
    """Refuse a membership matrix with an empty row, or with none."""
    empty = np.flatnonzero(~member.any(axis=1))
    if len(member) == 0 or empty.size:
        which = f"none in model {empty[0]}" if empty.size else "no models"
        _check.refuse("member", "have at least one record in every row", which)
