"""Per-example gradients, their norms, and which models one run of `capture` is right for."""

import copy
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import grad, vmap

from mialab._functional import call
from mialab.models import Attention, Block, TinyTransformer
from mialab.per_example import capture
from mialab.per_example.layers import RULES, Tensors, rule_of
from mialab.per_example.rounding import gamma, norm_bounds
from mialab.train.fleet import trainable

Norms = Float[Tensor, "records"]

_CLOSE = 1e-3  # relative; what a wrong use of a layer does to a norm is of another size
_NOTHING = 1e-100  # a norm in double precision that may be 0: what squares too small for a float leave open
_APART = (
    *(nn.Sequential, nn.Flatten, nn.Identity, nn.ReLU, nn.Tanh, nn.GELU),
    *(Attention, Block, TinyTransformer),
)
"""Modules, besides those with a rule, that are known to keep records apart."""


def per_example(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensors:
    """Return the gradient of every record's own loss, records first, in the quickest way that is right."""
    if not keeps_apart(model):
        return by_record(model, inputs, labels)
    try:
        found = capture.gradients(model, inputs, labels)
    except capture.UnsuitableError:
        return by_record(model, inputs, labels)
    return {
        name: found[name] if name in found else weight.new_zeros(len(inputs), *weight.shape)
        for name, weight in trainable(model).items()
    }


def keeps_apart(model: nn.Module) -> bool:
    """Tell whether every module of a model is known, and works on each record alone."""
    return all(
        rule_of(module) is not None if type(module) in RULES else type(module) in _APART
        for module in model.modules()
    )


def loss(model: nn.Module, weights: Tensors, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return a model's mean cross-entropy with these weights in place of its own."""
    return nn.functional.cross_entropy(call(model, weights, inputs), labels)


def by_record(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensors:
    """Return the gradient of every record's own loss, records first: for any module, and with much memory.

    By one tensor program; by a loop over the records where torch's `vmap` cannot follow the model.
    """
    weights = {name: weight.detach() for name, weight in trainable(model).items()}
    each = vmap(grad(partial(loss, model)), in_dims=(None, 0, 0), randomness="different")
    try:
        return each(weights, inputs.unsqueeze(1), labels.unsqueeze(1))
    except Exception:  # of many kinds; what is wrong with the model itself is raised by the loop
        return _in_a_loop(model, inputs, labels)


def norms(gradients: Tensors) -> Norms:
    """Return upper bounds on the norms of per-example gradients, all parameters together."""
    each = [norm_bounds(one.unsqueeze(1) if one.ndim == 1 else one) for one in gradients.values()]
    parts = torch.stack(each)
    return torch.linalg.vector_norm(parts, dim=0).mul_(1 + gamma(len(parts) + 4, parts.dtype))


def why_not(model: nn.Module, records: Tensor) -> str | None:
    """Return why one run would be wrong for a model, or None: try it with two and with three records.

    Sizes tell which axis the records are in, and the norms must be those of every record's own gradient. In
    double precision, where the model has one, so that rounding does not look like a wrong norm. Dropout is
    switched off: its masks differ from one time to the next.
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
    """Hold one run of two and of three records to their own gradients."""
    label = torch.zeros(3, dtype=torch.long, device=batch.device)
    truth = norms(_in_a_loop(model, batch, label))
    widest = max(sum(weight.shape) for weight in trainable(model).values())
    close = _CLOSE + 2 * gamma(widest, truth.dtype)  # by so much norms are rounded up
    for count in (2, 3):
        try:
            found = capture.measured(model, batch[:count], label[:count], "materialise")
        except capture.UnsuitableError as error:
            return str(error)
        if not torch.allclose(capture.norms(found), truth[:count], rtol=close, atol=_NOTHING, equal_nan=True):
            return "per-example gradients do not have the norms that one run gives them"
    return None


def _in_a_loop(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensors:
    """Ask the model about one record after the other."""
    weights = trainable(model)
    rows = []
    for record, label in zip(inputs, labels, strict=True):
        with torch.enable_grad():
            loss = nn.functional.cross_entropy(model(record.unsqueeze(0)), label.unsqueeze(0))
        found = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True, allow_unused=True)
        rows.append(found)
    return {name: torch.stack(pieces) for name, pieces in zip(weights, zip(*rows, strict=True), strict=True)}
