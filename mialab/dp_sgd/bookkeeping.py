"""Clipped sums without anybody's gradient: book-keeping (Bu et al. 2023).

One forward pass that keeps what every layer saw, one backward pass that keeps what every layer's outputs got
back, but computes no gradient of weights. From the two come the lengths, and then the sum: see `layers`.

That is right only if all that a weight does goes through its layer, once, with records in the first axis. So
every step is checked against its own autograd graph: a weight that is shared, or used past its layer, or a
layer that is asked twice, is not for book-keeping.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.nn import functional

from mialab.dp_sgd.layers import Norm, Part, Pieces, gamma, kind_of, trained

# Operations after which a row may belong to another record.
_MOVES = ("Index", "Gather", "Scatter", "MaskedS", "Sort", "Topk", "Flip", "Roll", "Rot90", "Take")


class UnsuitableError(Exception):
    """Why a model is not for book-keeping."""


def parts(model: nn.Module, inputs: Tensor, labels: Tensor, norm: Norm) -> dict[str, Part]:
    """Return what every layer with weights adds, by the layer's name.

    A layer's part is made as soon as the backward pass comes by, so that most of it can be forgotten.
    """
    layers = {name: layer for name, layer in model.named_modules() if trained(layer)}
    book = _Book(layers, _kinds(layers), len(labels), norm)
    with torch.enable_grad(), book.open():
        loss = functional.cross_entropy(model(inputs.detach()), labels, reduction="sum")
    _check_uses(layers, book.asked, loss)
    torch.autograd.grad(loss, book.ends)
    return book.parts


def lengths(parts: dict[str, Part]) -> Tensor:
    """Return how long every record's gradient can be at most, all layers together."""
    total = torch.stack([part.squares for part in parts.values()]).sum(0)
    return total.sqrt_().mul_(1 + gamma(len(parts) + 4, total.dtype))


def weighted(parts: dict[str, Part], factor: Tensor) -> Pieces:
    """Return the sum of the records' gradients, each times its factor, by the weight's name."""
    return {
        f"{name}.{weight}".removeprefix("."): tensor
        for name, part in parts.items()
        for weight, tensor in part.weighted(factor.to(part.squares.dtype)).items()
    }


def _kinds(layers: dict[str, nn.Module]) -> dict[str, Callable[..., Part]]:
    kinds = {}
    for name, layer in layers.items():
        if (kind := kind_of(layer)) is None:
            raise UnsuitableError(
                f"what {type(layer).__name__} at {name!r} does with its weights is not known"
            )
        kinds[name] = kind
    return kinds


class _Book:
    """What the layers saw and got back, in one forward and one backward pass."""

    def __init__(self, layers: dict[str, nn.Module], kinds: dict[str, Callable], records: int, norm: Norm):
        self.layers, self.kinds, self.records, self.norm = layers, kinds, records, norm
        self.asked: set[str] = set()
        self.ends: list[GradientEdge] = []  # where the backward pass need not go on
        self.parts: dict[str, Part] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Look at each layer while the block runs."""
        handles = [
            layer.register_forward_hook(partial(self.forward, name)) for name, layer in self.layers.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def forward(self, name: str, _layer: nn.Module, inputs: tuple, output: Tensor) -> None:
        """Keep what a layer saw until its outputs' gradient comes."""
        if name in self.asked or len(inputs) != 1:
            raise UnsuitableError(f"the layer {name!r} is asked twice, or about two things")
        if len(inputs[0]) != self.records or len(output) != self.records:
            raise UnsuitableError(f"the layer {name!r} is not asked about records one after the other")
        self.asked.add(name)
        if not inputs[0].requires_grad:
            self.ends.append(get_gradient_edge(output))
        output.register_hook(partial(self.backward, name, inputs[0].detach()))

    def backward(self, name: str, a: Tensor, e: Tensor) -> None:
        """Make the layer's part."""
        self.parts[name] = self.kinds[name](self.layers[name], a, e.detach(), self.norm)


def _check_uses(layers: dict[str, nn.Module], asked: set[str], loss: Tensor) -> None:
    """Refuse a weight that the loss depends on in another way than once, through its layer."""
    count = _uses(loss)
    for name, layer in layers.items():
        for weight in trained(layer):
            if count.get(id(layer.get_parameter(weight)), 0) != (name in asked):
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
