"""How large a push is: by head, by projection, by token.

Take one head of attention. Token i listens to token j with weight A_ij, and what it hears is Σⱼ A_ij vⱼ with
vⱼ = W xⱼ + b. Let δᵢ be the gradient of the loss for what token i hears. Then

    ∂L/∂vⱼ = Σᵢ A_ij δᵢ                  and                  ∂L/∂W = Σⱼ (Σᵢ A_ij δᵢ) xⱼᵀ:

the value projection's gradient is a sum over tokens, each weighted by the attention it got. Token j's
share has the length |Σᵢ A_ij δᵢ| · |xⱼ|. If only one token answers, that is A_ij |δᵢ| |xⱼ|, proportional
to the attention. The scores s_ij = qᵢ·kⱼ/√w get another gradient, through the softmax:

    ∂L/∂s_ij = A_ij (δᵢ·vⱼ − Σₖ A_ik δᵢ·vₖ),

which vanishes where A_ij is 0 *and* where it is 1: a token that has all of the attention leaves no
fingerprint on queries and keys.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor, nn

from mialab import _check
from mialab._types import Inputs
from mialab._validation import door
from mialab.leaks.gradients.per_record import check_readable, training_only
from mialab.models import Attention, TinyTransformer
from mialab.per_example import capture
from mialab.per_example.gradients import keeps_apart
from mialab.per_example.layers import RULES

_AT_ONCE = 256  # records in one pass
_ALL = slice(None)


@door
def part(model: nn.Module, name: str = "", *, head: int | None = None) -> Bool[ndarray, "parameters"]:
    """Mark some of a model's parameters, in the order in which `per_record` returns them.

    Parameters
    ----------
    model
        Any module.
    name
        A layer or a parameter, as in ``"embed"``, ``"blocks.0"`` or ``"blocks.0.attention.value"``; empty for
        the whole model.
    head
        Only what belongs to this attention head: its rows of query, key and value, and its columns of
        the output projection, whose bias belongs to no head.

    Raises
    ------
    ValueError
        If nothing has this name, or there is no such head.

    Examples
    --------
    >>> from mialab.models import tiny_transformer
    >>> model = tiny_transformer(1, 8, 10, width=16, heads=2, blocks=1)
    >>> part(model).sum(), part(model, "blocks.0.attention.value", head=0).sum()
    (np.int64(2762), np.int64(136))
    """
    names = [own for own, _ in model.named_parameters()]
    inside = [own == name or not name or own.startswith(f"{name}.") for own in names]
    if not any(inside):
        _check.refuse("name", "be a layer or a parameter of the model", repr(name))
    marks = []
    for (own, weight), asked in zip(model.named_parameters(), inside, strict=True):
        mark = torch.full(weight.shape, asked and head is None)
        layer, _, kind = own.rpartition(".")
        if asked and head is not None and (cut := _of_head(model, layer, head)):
            outputs, inputs = cut
            if kind == "weight":
                mark[outputs, inputs] = True
            elif outputs != _ALL:
                mark[outputs] = True
        marks.append(mark.flatten())
    marked = torch.cat(marks).numpy()
    if not marked.any():
        _check.refuse("head", f"be a head of {name or 'the model'}", head)
    return marked


def _of_head(model: nn.Module, layer: str, head: int) -> tuple[slice, slice] | None:
    """Return which outputs and inputs of a layer belong to a head, or None if it is no part of attention."""
    owner, _, projection = layer.rpartition(".")
    attention = model.get_submodule(owner)
    if not isinstance(attention, Attention):
        return None
    if not 0 <= head < attention.heads:
        _check.refuse("head", f"be in 0 … {attention.heads - 1}", head)
    wide = attention.query.out_features // attention.heads
    own = slice(head * wide, (head + 1) * wide)
    return (_ALL, own) if projection == "output" else (own, _ALL)


@door
def by_token(
    model: nn.Module, x: Inputs, y: Int[ndarray, "records"], layer: str, *, head: int | None = None
) -> Float[ndarray, "records tokens"]:
    """Return the norm of each token's own share of a layer's weight gradient, record by record.

    A record's gradient is the sum of its tokens' shares δₜ xₜᵀ, of length |δₜ| |xₜ|. For key and value a
    token is one that was listened to; for query and output, one that listened.

    Parameters
    ----------
    model, x, y
        As for `per_record`; a model of the layers that it names.
    layer
        A linear or an embedding layer, as in ``"blocks.0.attention.value"``.
    head
        Only this head's rows (query, key, value) or columns (output).

    Raises
    ------
    ValueError
        As in `per_record`; or if there is no such layer or head.

    Examples
    --------
    >>> from mialab.models import token_transformer
    >>> x, y = np.array([[0.0, 1.0, 2.0]], dtype=np.float32), np.array([1])
    >>> by_token(token_transformer(3, 3, 2), x, y, "blocks.0.attention.value").shape
    (1, 3)
    """
    inputs, labels, _ = check_readable(model, x, y)
    kinds = {name: one for name, one in model.named_modules() if isinstance(one, nn.Linear | nn.Embedding)}
    _check.one_of("layer", layer, list(kinds))
    if not keeps_apart(model):
        known = ", ".join(kind.__name__ for kind in RULES)
        _check.refuse("the model", f"consist of {known} and our attention", type(model).__name__)
    cut = (_ALL, _ALL) if head is None else _of_head(model, layer, head)
    if cut is None:
        _check.refuse("head", f"be a head of {layer}", head)
    outputs, features = cut

    def share(seen: capture.LayerRecord) -> Tensor:
        if seen.errors.ndim != 3:
            raise capture.UnsuitableError
        norms = seen.errors[..., outputs].norm(dim=-1)
        return norms if seen.inputs.dtype == torch.int64 else norms * seen.inputs[..., features].norm(dim=-1)

    shares = []
    with training_only(kinds[layer], model):
        for some, their in zip(inputs.split(_AT_ONCE), labels.split(_AT_ONCE), strict=True):
            try:
                shares.append(capture.run(model, {layer: kinds[layer]}, some, their, share)[layer])
            except (capture.UnsuitableError, KeyError):
                _check.refuse("layer", "be asked once for every token", repr(layer))
    return torch.cat(shares).cpu().numpy()


@door
def attention_maps(model: TinyTransformer, x: Inputs) -> Float[ndarray, "blocks records heads tokens tokens"]:
    """Return how much each token (row) listened to each other (column), block by block and head by head.

    Raises
    ------
    ValueError
        If the model is no transformer of `mialab.models`, or can't read the records.

    Examples
    --------
    >>> from mialab.models import tiny_transformer
    >>> maps = attention_maps(tiny_transformer(1, 8, 10), np.zeros((3, 1, 8, 8), dtype=np.float32))
    >>> maps.shape, float(maps[0, 0, 0, 0].sum().round(4))
    ((2, 3, 2, 16, 16), 1.0)
    """
    if not isinstance(model, TinyTransformer):
        _check.refuse("the model", "be a transformer of mialab.models", type(model).__name__)
    inputs, _, _ = check_readable(model, x, np.zeros(len(x), dtype=np.int64))
    maps = []
    with torch.no_grad():
        tokens = model.tokens(inputs)
        for block in model.blocks:
            maps.append(block.get_submodule("attention").weights(block.get_submodule("norm_1")(tokens)))  # type: ignore[operator]
            tokens = block(tokens)
    return torch.stack(maps).cpu().numpy()
