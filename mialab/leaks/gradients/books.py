"""One forward pass, one backward pass, and the books kept layer by layer.

The gradient of a linear layer's weight is a sum over tokens of δ xᵀ, of what came back to the layer's output
and what had gone into it. Both lie around in a pass over the whole batch, for every record at its own
place; so each record's own sum costs no more than the sum over all of them. What does not come back at all
is asked for nothing: the pass computes the gradients of outputs only, never of weights.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mialab._functional import call
from mialab.transformers import Attention, Block, Position, TinyTransformer

Parts = Iterator[tuple[str, Tensor]]


def _linear(layer: nn.Linear, x: Tensor, back: Tensor) -> Parts:
    x, back = (t.unsqueeze(1) if t.ndim == 2 else t.flatten(1, -2) for t in (x, back))
    yield "weight", back.mT @ x
    if layer.bias is not None:
        yield "bias", back.sum(1)


def _embedding(layer: nn.Embedding, x: Tensor, back: Tensor) -> Parts:
    tokens, back = x.flatten(1), back.flatten(1, -2)
    rows = back.new_zeros(len(x), layer.num_embeddings, layer.embedding_dim)
    yield "weight", rows.scatter_add_(1, tokens.unsqueeze(-1).expand_as(back), back)


def _layer_norm(layer: nn.LayerNorm, x: Tensor, back: Tensor) -> Parts:
    last = len(layer.normalized_shape)
    between = tuple(range(1, x.ndim - last))
    scaled = nn.functional.layer_norm(x, layer.normalized_shape, eps=layer.eps) * back
    yield "weight", scaled.sum(between) if between else scaled
    if layer.bias is not None:
        yield "bias", back.sum(between) if between else back


def _position(layer: Position, x: Tensor, back: Tensor) -> Parts:
    yield "weight", back


RULES: dict[type[nn.Module], Callable[..., Parts]] = {
    nn.Linear: _linear,
    nn.Embedding: _embedding,
    nn.LayerNorm: _layer_norm,
    Position: _position,
}
_QUIET = (
    nn.Sequential,
    nn.Flatten,
    nn.Identity,
    nn.ReLU,
    nn.Tanh,
    nn.GELU,
    Attention,
    Block,
    TinyTransformer,
)


def can_keep(model: nn.Module) -> bool:
    """Tell whether every layer is one that the books know, each with parameters of its own."""
    for layer in model.modules():
        if type(layer) not in RULES and type(layer) not in _QUIET:
            return False
        plain = not isinstance(layer, nn.Embedding) or (layer.padding_idx is None and layer.max_norm is None)
        if (
            getattr(layer, "inplace", False)
            or not plain
            or getattr(layer, "elementwise_affine", True) is False
        ):
            return False
    names = dict(model.named_parameters(remove_duplicate=False))
    return len(names) == len(dict(model.named_parameters()))


@dataclass(frozen=True, eq=False)
class Heard:
    """What a layer was told by a batch: its input, and the gradient of the records' losses for its output."""

    name: str
    layer: nn.Module
    x: Tensor
    back: Tensor


def listen(model: nn.Module, inputs: Tensor, labels: Tensor) -> list[Heard]:
    """Return what every layer was told."""
    names = {layer: name for name, layer in model.named_modules() if type(layer) in RULES}
    notes: list[tuple[nn.Module, Tensor, Tensor]] = []

    def note(layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        notes.append((layer, args[0].detach(), output if output.requires_grad else output.requires_grad_()))

    state = {name: weight.detach() for name, weight in model.named_parameters()}
    hooks = [layer.register_forward_hook(note) for layer in names]
    try:
        logits = call(model, state, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    loss = nn.functional.cross_entropy(logits, labels, reduction="sum")
    back = torch.autograd.grad(loss, [output for _, _, output in notes], materialize_grads=True)
    return [Heard(names[layer], layer, x, one) for (layer, x, _), one in zip(notes, back, strict=True)]


def by_books(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the per-record gradients (records, parameters) of a model that `can_keep` accepts."""
    gradients: dict[str, Tensor] = {}
    for one in listen(model, inputs, labels):
        for kind, gradient in RULES[type(one.layer)](one.layer, one.x, one.back):
            name = f"{one.name}.{kind}".lstrip(".")
            gradients[name] = gradients[name] + gradient if name in gradients else gradient
    rows = [
        gradients[name].flatten(1) if name in gradients else weight.new_zeros(len(inputs), weight.numel())
        for name, weight in model.named_parameters()
    ]
    return torch.cat(rows, dim=1)
