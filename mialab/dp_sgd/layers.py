"""What one layer adds to the lengths, and to the clipped sum, of the records' gradients.

A layer saw the inputs ``a`` and got back the gradients ``e`` of the loss in its outputs: all that the
gradients of its weights are made of. There are two ways to their lengths:

* *materialise* them, one a record, as a small product; the sum costs little then;
* take their *ghost*: for a linear layer that reads T tokens the gradient is Σ_t e_t a_tᵀ, so its squared
  length is S = Σ_st (a_s·a_t)(e_s·e_t), and it need never exist (Goodfellow 2015 for T = 1; Li et al. 2022).
  The clipped sum is one wide product over the batch, with each record's e shortened (Bu et al. 2023).

**Lengths are rounded up**, so that the clip holds for every record, not for those that are well behaved. Let
u be half the distance from 1 to the next float, and γ_n = n·u/(1 − n·u): in whatever order n rounded
operations are done, a sum of products errs by at most γ_n times the sum of their sizes (Higham 2002, §3.1).

* A gradient that exists is measured by a norm, a sum of squares, where nothing cancels: its length is at most
  (1 + γ_n) times what was computed. One sum over rows and one over columns keep n small.
* In the ghost's sum tokens may cancel, and nothing of S be left but rounding. With B = (Σ_t |a_t| |e_t|)²,

      |Ŝ − S| ≤ γ_n · B,    n = d_in + d_out + 2T + 2,

  and what the record adds is not quite its gradient either: the product errs by γ′·√B, where γ′ = γ_{T+2} is
  for the record's own tokens. Since S ≤ B, its length is at most √S + γ′·√B ≤ √(Ŝ + (γ_n + 2γ′ + γ′²)·B).
  For tokens that do not cancel that is longer by some 10⁻⁴.
* Numbers so small that their squares vanish are counted as large as they might have been; those so large that
  squares overflow have an infinite length here, and their records are measured in another way (`clipping`).

A function of a kind takes (layer, a, e, norm) and returns a `Part`. ``norm`` says which way; ``"auto"`` takes
the one with less arithmetic. Every layer's records are the first axis.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap
from torch.nn import functional

from mialab.models import Position

Norm = Literal["auto", "ghost", "materialise"]
Pieces = dict[str, Tensor]

_FEW = 256  # records whose gradients are added up in the precision they have; of more, blocks
_BLOCK = 64  # of so many
_ROWS = 2**11  # rows of a product that are added up in the precision they have
_WORDS = 2**13  # words that are
_LONG = 2**13  # numbers in a row whose squares are
_PASSES = 8  # products that take as long as one number of a gradient: it is written, measured and summed


class Part(NamedTuple):
    """Limits to one layer's squared lengths (records); and its weighted sum, by weight, given the factors."""

    squares: Tensor
    weighted: Callable[[Tensor], Pieces]


def trained(layer: nn.Module) -> list[str]:
    """Name the layer's own weights that are trained."""
    own = layer._parameters  # `named_parameters` is slow, and asked in every step
    return [name for name, weight in own.items() if weight is not None and weight.requires_grad]


def linear(layer: nn.Linear, a: Tensor, e: Tensor, norm: Norm) -> Part:
    """Multiply e and a, summed over tokens: the weight's gradient; the bias's is e."""
    if a.ndim > 2:
        return _tokens(layer, a.flatten(1, -2), e.flatten(1, -2), norm)
    own = trained(layer)
    squares = a.new_zeros(()) if "bias" not in own else a.new_ones(())
    if "weight" in own:
        squares = longest(a).square_() + squares
    squares = longest(e).square_() * squares

    def weighted(factor: Tensor) -> Pieces:
        pieces = {
            "weight": lambda: _product(e * factor.unsqueeze(1), a),
            "bias": lambda: added_up(factor, e),
        }
        return {name: pieces[name]() for name in own}

    return Part(squares, weighted)


def conv2d(layer: nn.Conv2d, a: Tensor, e: Tensor, norm: Norm) -> Part:
    """Take it for a linear layer whose tokens are the patches of the image."""
    return _tokens(layer, _patches(layer, a, e.shape[2:]).mT, e.flatten(2).mT, norm)


def embedding(layer: nn.Embedding, a: Tensor, e: Tensor, norm: Norm) -> Part:
    """Add up what came back to the same word: the rows of the gradient that are not 0."""
    words, e = (
        a.flatten(1) if a.ndim > 1 else a.unsqueeze(1),
        e.flatten(1, -2) if a.ndim > 1 else e.unsqueeze(1),
    )
    if layer.padding_idx is not None:
        e = e * (words != layer.padding_idx).unsqueeze(2)
    first = (words.unsqueeze(1) == words.unsqueeze(2)).int().argmax(2)  # where a token's word comes first
    places = torch.arange(words.shape[1], device=words.device)
    rows = (first.unsqueeze(1) == places.unsqueeze(1)).to(e.dtype) @ e  # each word's gradient, at that place

    def weighted(factor: Tensor) -> Pieces:
        shorter = (rows * factor.view(-1, 1, 1)).flatten(0, 1)
        dtype = e.dtype if len(shorter) <= _WORDS else torch.float64
        total = torch.zeros_like(layer.weight, dtype=dtype)
        return {"weight": total.index_add_(0, words.flatten(), shorter.to(dtype))}

    return Part(longest(rows).square_(), weighted)


def layer_norm(layer: nn.LayerNorm, a: Tensor, e: Tensor, norm: Norm) -> Part:
    """Multiply e and the normalised input, token by token: the weight's gradient; the bias's is e."""
    inner = len(layer.normalized_shape)
    a, e = (one.flatten(-inner).unsqueeze(1).flatten(1, -2) for one in (a, e))  # records, tokens, features
    centred = a - a.mean(2, keepdim=True)
    variance = torch.linalg.vector_norm(centred, dim=2).square_() / a.shape[2]
    each = {
        "weight": lambda: _over_tokens(e * centred, (variance + layer.eps).rsqrt_()),
        "bias": lambda: _over_tokens(e),
    }
    return _materialised(layer, {name: each[name]() for name in trained(layer)})


def group_norm(layer: nn.GroupNorm, a: Tensor, e: Tensor, norm: Norm) -> Part:
    """Do as in layer normalisation, with one number a channel."""
    x = functional.group_norm(a, layer.num_groups, eps=layer.eps)
    each = {"weight": lambda: e * x, "bias": lambda: e}
    return _materialised(layer, {name: each[name]().flatten(2).sum(2) for name in trained(layer)})


def position(layer: Position, a: Tensor, e: Tensor, norm: Norm) -> Part:
    """Take it for a bias with values for each token."""
    return _materialised(layer, {"weight": e})


def any_layer(layer: nn.Module, a: Tensor, e: Tensor, norm: Norm) -> Part:
    """Ask the layer again, record by record, and materialise."""
    weights = {name: layer.get_parameter(name).detach() for name in trained(layer)}

    def pull(record: Tensor, error: Tensor) -> Pieces:
        def answer(weights: Pieces) -> Tensor:
            return functional_call(layer, weights, (record.unsqueeze(0),))

        return vjp(answer, weights)[1](error.unsqueeze(0))[0]

    return _materialised(layer, vmap(pull)(a, e))


KINDS: dict[type[nn.Module], Callable] = {
    nn.Linear: linear,
    nn.Conv2d: conv2d,
    nn.Embedding: embedding,
    nn.LayerNorm: layer_norm,
    nn.GroupNorm: group_norm,
    Position: position,
}
_ASKED_AGAIN = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.PReLU,
)
_ASKED_AGAIN += (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def kind_of(layer: nn.Module) -> Callable | None:
    """Return the function for a layer's kind, or None if what it does with its weights is not known.

    Subclasses and layers with hooks may do anything, so they are not taken for what they look like.
    """
    if layer._forward_hooks or layer._forward_pre_hooks or not set(trained(layer)) <= {"weight", "bias"}:
        return None
    if isinstance(layer, nn.Conv2d) and (layer.groups > 1 or layer.padding_mode != "zeros"):
        return any_layer if type(layer) is nn.Conv2d else None
    if isinstance(layer, nn.Embedding) and (layer.max_norm or layer.scale_grad_by_freq or layer.sparse):
        return None
    return KINDS.get(type(layer), any_layer if type(layer) in _ASKED_AGAIN else None)


def _tokens(layer: nn.Module, a: Tensor, e: Tensor, norm: Norm) -> Part:
    """Return the part of a layer with a (records, tokens, inputs), e (records, tokens, outputs)."""
    own, (tokens, inputs), outputs = trained(layer), a.shape[1:], e.shape[2]
    total = _over_tokens(e)  # the gradient of the bias
    squares = longest(total).square_() if "bias" in own else a.new_zeros(len(a))
    if "weight" not in own:
        return Part(squares, lambda factor: {"bias": added_up(factor, total)})
    ghost = tokens * (inputs + outputs) < _PASSES * inputs * outputs / tokens
    if norm == "ghost" or (norm == "auto" and ghost):
        squares = squares + _ghost(a, e)

        def product(factor: Tensor) -> Tensor:
            return _product((e * factor.view(-1, 1, 1)).flatten(0, 1), a.flatten(0, 1))

    else:
        gradients = e.mT @ a
        squares = squares + longest(gradients).square_()

        def product(factor: Tensor) -> Tensor:
            return added_up(factor, gradients)

    def weighted(factor: Tensor) -> Pieces:
        pieces = {
            "weight": lambda: product(factor).view_as(layer.get_parameter("weight")),
            "bias": lambda: added_up(factor, total),
        }
        return {name: pieces[name]() for name in own}

    return Part(squares, weighted)


def _patches(layer: nn.Conv2d, a: Tensor, out: torch.Size) -> Tensor:
    """Return what every output place looks at, (records, channels · kernel, places): one copy of a view."""
    a = functional.pad(a, layer._reversed_padding_repeated_twice)
    (records, channels), kernel = a.shape[:2], layer.kernel_size
    one, channel, row, column = a.stride()
    down, along = layer.stride
    by_row, by_column = layer.dilation
    shape = (records, channels, *kernel, *out)
    stride = (one, channel, row * by_row, column * by_column, row * down, column * along)
    return a.as_strided(shape, stride).reshape(records, -1, out.numel())


def _over_tokens(e: Tensor, weight: Tensor | None = None) -> Tensor:
    """Add up (records, tokens, outputs) over tokens, as a product: a sum along a middle axis is slow."""
    each = e.new_ones(1, e.shape[1]).expand(e.shape[:2]) if weight is None else weight
    return torch.bmm(each.unsqueeze(1), e).squeeze(1)


def unit(dtype: torch.dtype) -> float:
    """Return u, the largest relative error of one rounded operation."""
    return torch.finfo(dtype).eps / 2


def gamma(operations: int, dtype: torch.dtype) -> float:
    """Return γ_n = n·u/(1 − n·u), and infinity where n·u is too large for it to say anything."""
    spent = operations * unit(dtype)
    return spent / (1 - spent) if spent < 0.5 else math.inf


def longest(each: Tensor) -> Tensor:
    """Return how long each of the vectors (records, …) can be at most, given their rounded norms.

    First over the last axis, then over what is left, in double precision. The 8 is for the roots, the last
    roundings, and those of the record's factor and of the product with it. A square below the smallest float
    may be lost.
    """
    rows = each.flatten(2) if each.ndim > 2 else each
    inner = rows.shape[-1]
    if inner > _LONG:  # slow, and seldom
        norms, inner = torch.linalg.vector_norm(rows, dim=-1, dtype=torch.float64), 0
    else:
        norms = torch.linalg.vector_norm(rows, dim=-1)
    if norms.ndim > 1:
        norms = torch.linalg.vector_norm(norms, dim=1, dtype=torch.float64)
    lost = (rows[0].numel() * torch.finfo(each.dtype).tiny) ** 0.5
    many = gamma(sum(rows.shape[1:]), torch.float64)  # what is added up in double precision
    return norms.to(each.dtype).add_(lost).mul_(1 + gamma(inner + 8, each.dtype) + many)


def added_up(factor: Tensor, rows: Tensor) -> Tensor:
    """Return the sum of (records, …) over records, each times its factor.

    If they are many, in blocks, whose sums are added up, and stay, in double precision: else a record that
    joins would move the rounding of a long sum by more than is counted for it.
    """
    flat, whole = rows.reshape(len(rows), -1), len(rows) - len(rows) % _BLOCK
    if len(rows) <= _FEW or not flat.shape[1]:
        return (factor @ flat).view(rows.shape[1:])
    blocks = torch.bmm(factor[:whole].view(-1, 1, _BLOCK), flat[:whole].view(-1, _BLOCK, flat.shape[1]))
    total = blocks.squeeze(1).sum(0, dtype=torch.float64) + factor[whole:] @ flat[whole:]
    return total.view(rows.shape[1:])


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Return leftᵀ · right over many rows: in blocks, whose products are added up in double precision."""
    if len(left) <= _ROWS:
        return left.T @ right
    total = torch.zeros(left.shape[1], right.shape[1], dtype=torch.float64, device=left.device)
    for some, others in zip(left.split(_ROWS), right.split(_ROWS), strict=True):
        total += some.T @ others
    return total


def _ghost(a: Tensor, e: Tensor) -> Tensor:
    """Return how large Σ_st (a_s·a_t)(e_s·e_t), and what rounding adds to it, can be at most.

    Where a product vanishes, it was below the smallest float η: the last line counts it.
    """
    (tokens, inputs), outputs = a.shape[1:], e.shape[2]
    alike, told = a @ a.mT, e @ e.mT
    found = (alike * told).sum(2).sum(1)
    long_a, long_e = (one.diagonal(dim1=1, dim2=2).sqrt() for one in (alike, told))
    own = gamma(tokens + 2, a.dtype)
    errs = gamma(inputs + outputs + 2 * tokens + 8, a.dtype) + 2 * own + own**2
    grown = 1 + gamma(inputs + outputs + tokens + 8, a.dtype)
    limit = found + errs * grown**2 * (long_a * long_e).sum(1).square_()
    tiny = 4 * torch.finfo(a.dtype).tiny
    lost = inputs * long_e.sum(1).square_() + outputs * long_a.sum(1).square_() + tokens**2
    return limit.add_(lost, alpha=tiny).clamp_(min=0)


def _materialised(layer: nn.Module, gradients: Pieces) -> Part:
    """Return the part of gradients that are there, records first."""
    squares = sum(longest(one).square_() for one in gradients.values())

    def weighted(factor: Tensor) -> Pieces:
        return {
            name: added_up(factor, one).view_as(layer.get_parameter(name)) for name, one in gradients.items()
        }

    return Part(torch.as_tensor(squares), weighted)
