"""What training refuses, with the name, the rule and the value."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from mialab import _check, _rng


def check_device(device: str) -> None:
    """Refuse a device that is not there."""
    there = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    if device.split(":")[0] not in there:
        _check.refuse("device", f"be available (here: {', '.join(there)})", repr(device))


def check_training(
    make_model: Callable[[], nn.Module], x: np.ndarray, y: np.ndarray, device: str, *, draws: bool = False
) -> nn.Module:
    """Refuse a module in place of its maker, records that do not fit, and labels out of range.

    Layers that draw random numbers are refused as well, unless ``draws``. Returns the throw-away model that
    was asked.
    """
    check_device(device)
    if isinstance(make_model, nn.Module):
        _check.refuse("make_model", "be a function that returns a fresh module", "a module")
    if not np.issubdtype(x.dtype, np.floating):
        _check.refuse("x", "be an array of floats", f"dtype {x.dtype}")
    if len(x) == 0:
        _check.refuse("x", "hold at least one record", "none")
    _check.finite("x", x)
    _check.dimensions("y", y, "records")
    if len(x) != len(y):
        _check.refuse("x and y", "have the same number of records", f"{len(x)} and {len(y)}")
    with _rng.torch_undisturbed():
        model = make_model()
    for layer in model.modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd) and not draws:
            _check.refuse("make_model", "return a module without layers that draw random numbers", layer)
    _check.labels("y", y, classes=_classes(model, x))
    return model


def _classes(model: nn.Module, x: np.ndarray) -> int:
    """Ask a model how many logits it returns."""
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(x[:1]))
    if logits.ndim != 2:
        _check.refuse("the module", "return logits of shape (records, classes)", tuple(logits.shape))
    return logits.shape[1]


def check_member(member: np.ndarray, records: int) -> None:
    """Refuse a membership matrix of the wrong shape or kind, or one with an empty row."""
    _check.dimensions("member", member, "models records")
    _check.boolean("member", member)
    if member.shape[1] != records:
        _check.refuse("member", f"have one column for each of the {records} records", member.shape[1])
    empty = np.flatnonzero(~member.any(axis=1))
    if len(member) == 0 or empty.size:
        which = f"none in model {empty[0]}" if empty.size else "no models"
        _check.refuse("member", "have at least one record in every row", which)
