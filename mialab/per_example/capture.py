"""Run a model once, and keep what every layer saw and got back: book-keeping (Bu et al. 2023).

One forward pass that keeps what every layer saw, one backward pass that keeps what every layer's outputs got
back, but computes no gradient of weights. From the two come per-example gradients, their norms and their
clipped sum: see `layers`.

That is right only if all that a weight does goes through its layer, once, with records in the first axis. So
every run is checked against its own autograd graph: a weight that is shared, or used past its layer, or a
layer that is asked twice, is not for this.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.nn import functional

from mialab.per_example.layers import Form, Norm, Tensors, rule_of, trained
from mialab.per_example.rounding import gamma

# Operations after which a row may belong to another record.
_MOVES = ("Index", "Gather", "Scatter", "MaskedS", "Sort", "Topk", "Flip", "Roll", "Rot90", "Take")

T = TypeVar("T")


class UnsuitableError(Exception):
    """Why a model is not for one run."""


class LayerRecord(NamedTuple):
    """What a layer saw, and the gradients of the records' losses in its outputs; records first."""

    name: str
    inputs: Tensor
    errors: Tensor


class LayerGradients(NamedTuple):
    """A layer's per-example gradients, and upper bounds on their squared norms (records,)."""

    form: Form
    squared_norms: Tensor


def run(
    model: nn.Module,
    layers: dict[str, nn.Module],
    inputs: Tensor,
    labels: Tensor,
    use: Callable[[LayerRecord], T],
) -> dict[str, T]:
    """Run a model forwards and backwards, and return what ``use`` makes of every layer's record, by name.

    The layers are all whose weights are trained. What they saw and got back is used as soon as the backward
    pass comes by, so that most of it can be forgotten.
    """
    asked: set[str] = set()
    ends: list[GradientEdge] = []  # where the backward pass need not go on
    used: dict[str, T] = {}

    def forward(name: str, _layer: nn.Module, seen: tuple, output: Tensor) -> None:
        if name in asked or len(seen) != 1:
            raise UnsuitableError(f"the layer {name!r} is asked twice, or about two things")
        if len(seen[0]) != len(labels) or len(output) != len(labels):
            raise UnsuitableError(f"the layer {name!r} is not asked about records one after the other")
        asked.add(name)
        if not seen[0].requires_grad:
            ends.append(get_gradient_edge(output))
        output.register_hook(partial(backward, name, seen[0].detach()))

    def backward(name: str, a: Tensor, e: Tensor) -> None:
        used[name] = use(LayerRecord(name, a, e.detach()))

    with ExitStack() as hooks, torch.enable_grad():
        for name, layer in layers.items():
            hooks.enter_context(layer.register_forward_hook(partial(forward, name)))
        loss = functional.cross_entropy(model(inputs.detach()), labels, reduction="sum")
    _check_uses(layers, asked, loss)
    if ends:
        torch.autograd.grad(loss, ends)
    return used


def measured(model: nn.Module, inputs: Tensor, labels: Tensor, norm: Norm) -> dict[str, LayerGradients]:
    """Return every layer's per-example gradients, made or not, and their squared norms, by its name."""
    return _run_rules(model, inputs, labels, norm, lambda form: LayerGradients(form, form.squared_norms()))


def norms(layers: dict[str, LayerGradients]) -> Tensor:
    """Return upper bounds on the norms of per-example gradients, all layers together."""
    total = torch.stack([one.squared_norms for one in layers.values()]).sum(0)
    return total.sqrt_().mul_(1 + gamma(len(layers) + 4, total.dtype))


def clipped_sum(layers: dict[str, LayerGradients], factors: Tensor) -> Tensors:
    """Return the sum of per-example gradients, each times its factor: a matrix or so for each weight."""
    return _by_weight(
        {name: form.clipped_sum(factors.to(squares.dtype)) for name, (form, squares) in layers.items()}
    )


def gradients(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensors:
    """Return the per-example gradients themselves, of the weights that were used."""
    return _by_weight(_run_rules(model, inputs, labels, "ghost", lambda form: form.gradients()))


def _run_rules(
    model: nn.Module, inputs: Tensor, labels: Tensor, norm: Norm, use: Callable[[Form], T]
) -> dict[str, T]:
    """Run a model, and use the gradients of all its layers with weights that are trained."""
    layers = {name: layer for name, layer in model.named_modules() if trained(layer)}
    rules = {}
    for name, layer in layers.items():
        if (rule := rule_of(layer)) is None:
            kind = type(layer).__name__
            raise UnsuitableError(f"what {kind} at {name!r} does with its weights is not known")
        rules[name] = partial(rule, layer)

    def use_form(seen: LayerRecord) -> T:
        return use(rules[seen.name](seen.inputs, seen.errors, norm))

    return run(model, layers, inputs, labels, use_form)


def _by_weight(layers: dict[str, Tensors]) -> Tensors:
    """Name weights as their model does."""
    return {
        f"{name}.{weight}".removeprefix("."): tensor
        for name, each in layers.items()
        for weight, tensor in each.items()
    }


def _check_uses(layers: dict[str, nn.Module], asked: set[str], loss: Tensor) -> None:
    """Refuse a weight that the loss depends on in another way than once, through its layer."""
    count = _uses(loss)
    for name, layer in layers.items():
        for weight in trained(layer):
            if count.get(id(layer._parameters[weight]), 0) != (name in asked):
                raise UnsuitableError(f"{weight!r} of the layer {name!r} is shared, or used past its layer")


def _uses(loss: Tensor) -> dict[int, int]:
    """Count how often each weight is used in the graph of a loss, by the weight's id."""
    count: dict[int, int] = {}
    waiting: list[Node] = [loss.grad_fn] if loss.grad_fn else []
    seen = set(waiting)
    while waiting:
        for node, _ in waiting.pop().next_functions:
            if node is None:
                continue
            if node.name().startswith(_MOVES):
                raise UnsuitableError(f"its forward pass may put records in another order ({node.name()})")
            weight = getattr(node, "variable", None)
            if weight is not None:
                count[id(weight)] = count.get(id(weight), 0) + 1
            elif node not in seen:
                seen.add(node)
                waiting.append(node)
    return count
