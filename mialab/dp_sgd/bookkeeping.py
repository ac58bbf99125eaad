"""Clipped sums without anybody's gradient: book-keeping (Bu et al. 2023).

One forward pass that keeps what every layer saw, one backward pass that keeps what every layer's outputs got
back, but computes no gradient of weights. From the two come the lengths, and then the sum: see `layers`.

That is right only if all that a weight does goes through its layer, once, with records in the first axis. So
every step is checked against its own autograd graph: a weight that is shared, or used past its layer, or a
layer that is asked twice, is not for book-keeping.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.nn import functional

from mialab.dp_sgd.layers import Norm, Part, Pieces, kind_of, trained


class UnsuitableError(Exception):
    """Why a model is not for book-keeping."""


def parts(model: nn.Module, inputs: Tensor, labels: Tensor, norm: Norm) -> dict[str, Part]:
    """Return what every layer with weights adds, by the layer's name."""
    layers = {name: layer for name, layer in model.named_modules() if trained(layer)}
    kinds = _kinds(layers)
    with torch.enable_grad(), _open_book(layers) as saw:
        loss = functional.cross_entropy(model(inputs), labels, reduction="sum")
    _check_uses(layers, saw, loss)
    errors = torch.autograd.grad(loss, [edge for _, edge in saw.values()])
    with torch.no_grad():
        pairs = zip(saw.items(), errors, strict=True)
        return {
            name: _part(kinds[name], layers[name], a, e, len(labels), norm) for (name, (a, _)), e in pairs
        }


def lengths(parts: dict[str, Part]) -> Tensor:
    """Return the length of every record's gradient, all layers together."""
    return torch.stack([part.squares for part in parts.values()]).sum(0).sqrt_()


def weighted(parts: dict[str, Part], factor: Tensor) -> Pieces:
    """Return the sum of the records' gradients, each times its factor, by the weight's name."""
    return {
        f"{name}.{weight}".removeprefix("."): tensor
        for name, part in parts.items()
        for weight, tensor in part.weighted(factor).items()
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


@contextmanager
def _open_book(layers: dict[str, nn.Module]) -> Iterator[dict[str, tuple[Tensor, GradientEdge]]]:
    """Write down what each layer sees while the block runs, and where its outputs' gradient passes."""
    saw: dict[str, tuple[Tensor, GradientEdge]] = {}

    def writer(name: str) -> Callable:
        def write(_layer: nn.Module, inputs: tuple, output: Tensor) -> None:
            if name in saw or len(inputs) != 1:
                raise UnsuitableError(f"the layer {name!r} is asked twice, or about two things")
            saw[name] = inputs[0].detach(), get_gradient_edge(output)

        return write

    handles = [layer.register_forward_hook(writer(name)) for name, layer in layers.items()]
    try:
        yield saw
    finally:
        for handle in handles:
            handle.remove()


def _check_uses(layers: dict[str, nn.Module], saw: dict, loss: Tensor) -> None:
    """Refuse a weight that the loss depends on in another way than once, through its layer."""
    count = _uses(loss)
    for name, layer in layers.items():
        for weight in trained(layer):
            if count.get(id(layer.get_parameter(weight)), 0) != (name in saw):
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
            weight = getattr(node, "variable", None)
            if weight is not None:
                count[id(weight)] = count.get(id(weight), 0) + 1
            elif node not in seen:
                seen.add(node)
                waiting.append(node)
    return count


def _part(
    kind: Callable[..., Part], layer: nn.Module, a: Tensor, e: Tensor, records: int, norm: Norm
) -> Part:
    if len(a) != records or len(e) != records:
        raise UnsuitableError(
            f"{type(layer).__name__} is not asked about {records} records, one after the other"
        )
    return kind(layer, a, e, norm)
