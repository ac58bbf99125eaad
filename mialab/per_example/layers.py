"""The kinds of layers, and what their per-example gradients are made of.

A layer saw the inputs ``a`` and got back the gradients ``e`` of the loss in its outputs: all that the
gradients of its weights are made of. A rule of a kind takes (layer, a, e, norm), with records in the first
axis, and returns the layer's per-example gradients in one of three forms:

* `Dense`: they exist;
* `Affine`: for a linear layer that reads T tokens a gradient is Σ_t e_t a_tᵀ, and it need never exist;
* `Lookup`: only the rows of the words that were looked up are not 0.

Whatever the form, it has ``squared_norms()`` (upper bounds), the ``clipped_sum(factors)`` over records, and
the ``gradients()`` themselves. ``norm`` decides between the first two forms: ``"materialise"`` the gradients,
one a record, as a small product, so that the sum costs little; or take their ``"ghost"``, the squared norm
S = Σ_st (a_s·a_t)(e_s·e_t) (Goodfellow 2015 for T = 1; Li et al. 2022). The clipped sum is then one wide
product over the batch, with each record's e shortened (Bu et al. 2023). ``"auto"`` takes what needs less
arithmetic.

**Norms are rounded up** (`rounding`), so that the clip holds for every record, not for those that are well
behaved. In the ghost's sum tokens may cancel, and nothing of S be left but rounding. With
B = (Σ_t |a_t| |e_t|)²,

    |Ŝ − S| ≤ γ_n · B,    n = d_in + d_out + 2T + 2,

and what the record adds is not quite its gradient either: the product errs by γ′·√B, where γ′ = γ_{T+2} is
for the record's own tokens. Since S ≤ B, its norm is at most √S + γ′·√B ≤ √(Ŝ + (γ_n + 2γ′ + γ′²)·B). For
tokens that do not cancel that is longer by some 10⁻⁴. Numbers so small that their squares vanish are counted
as large as they might have been; those so large that squares overflow have an infinite norm here, and their
records are measured in another way (`dp_sgd.clipping`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap
from torch.nn import functional

from mialab.models import Position
from mialab.per_example.rounding import gamma, norm_bounds, product_of_rows, weighted_sum

Norm = Literal["auto", "ghost", "materialise"]
Tensors = dict[str, Tensor]
"""Of each weight, by its name."""

_WORDS = 2**13  # words that are added up in the precision they have
_PASSES = 8  # products that take as long as one number of a gradient: it is written, measured and summed


@dataclass(eq=False)
class Dense:
    """Per-example gradients that exist, records first."""

    each: Tensors

    def squared_norms(self) -> Tensor:
        """Return upper bounds on their squared norms (records,)."""
        return torch.as_tensor(sum(norm_bounds(one).square_() for one in self.each.values()))

    def clipped_sum(self, factors: Tensor) -> Tensors:
        """Return their sum, each times its record's factor."""
        return {name: weighted_sum(factors, one) for name, one in self.each.items()}

    def gradients(self) -> Tensors:
        """Return them, records first."""
        return self.each


@dataclass(eq=False)
class Affine:
    """Σ_t e_t a_tᵀ for the weight, and Σ_t e_t for the ``bias``, if that is trained."""

    a: Tensor  # (records, inputs) or (records, tokens, inputs)
    e: Tensor  # (records, outputs) or (records, tokens, outputs)
    bias: bool

    @cached_property
    def total(self) -> Tensor:
        """Σ_t e_t (records, outputs)."""
        return self.e if self.e.ndim == 2 else _over_tokens(self.e)

    def squared_norms(self) -> Tensor:
        """Return upper bounds on their squared norms (records,)."""
        if self.a.ndim == 2:
            return norm_bounds(self.e).square_() * (norm_bounds(self.a).square_() + self.bias)
        ghost = _ghost(self.a, self.e)
        return norm_bounds(self.total).square_() + ghost if self.bias else ghost

    def clipped_sum(self, factors: Tensor) -> Tensors:
        """Return their sum, each times its record's factor."""
        shorter = self.e * factors.view(-1, *[1] * (self.e.ndim - 1))
        total = {"weight": product_of_rows(shorter.flatten(0, -2), self.a.flatten(0, -2))}
        return {**total, "bias": weighted_sum(factors, self.total)} if self.bias else total

    def gradients(self) -> Tensors:
        """Return them, records first."""
        a, e = (one.unsqueeze(1) if one.ndim == 2 else one for one in (self.a, self.e))
        return {"weight": e.mT @ a, "bias": self.total} if self.bias else {"weight": e.mT @ a}


@dataclass(eq=False)
class Lookup:
    """What came back to the words of each record, of the ``vocabulary``."""

    words: Tensor  # (records, tokens)
    e: Tensor  # (records, tokens, width)
    vocabulary: int

    @cached_property
    def rows(self) -> Tensor:
        """The rows of the gradients that are not 0: of each word, at the place where it comes first."""
        first = (self.words.unsqueeze(1) == self.words.unsqueeze(2)).int().argmax(2)
        places = torch.arange(self.words.shape[1], device=self.words.device)
        return (first.unsqueeze(1) == places.unsqueeze(1)).to(self.e.dtype) @ self.e

    def squared_norms(self) -> Tensor:
        """Return upper bounds on their squared norms (records,)."""
        return norm_bounds(self.rows).square_()

    def clipped_sum(self, factors: Tensor) -> Tensors:
        """Return their sum, each times its record's factor."""
        shorter = (self.rows * factors.view(-1, 1, 1)).flatten(0, 1)
        dtype = self.e.dtype if len(shorter) <= _WORDS else torch.float64
        total = shorter.new_zeros(self.vocabulary, shorter.shape[1], dtype=dtype)
        return {"weight": total.index_add_(0, self.words.flatten(), shorter.to(dtype))}

    def gradients(self) -> Tensors:
        """Return them, records first."""
        each = self.e.new_zeros(len(self.e), self.vocabulary, self.e.shape[2])
        return {"weight": each.scatter_add_(1, self.words.unsqueeze(2).expand_as(self.e), self.e)}


Form = Dense | Affine | Lookup
Rule = Callable[..., Form]


def trained(layer: nn.Module) -> list[str]:
    """Name the layer's own weights that are trained."""
    own = layer._parameters  # `named_parameters` is slow, and asked in every step
    return [name for name, weight in own.items() if weight is not None and weight.requires_grad]


def linear(layer: nn.Linear, a: Tensor, e: Tensor, norm: Norm) -> Form:
    """Take all axes but the first and the last for tokens."""
    if a.ndim > 2:
        a, e = a.flatten(1, -2), e.flatten(1, -2)
    return _affine(layer, a, e, norm)


def conv2d(layer: nn.Conv2d, a: Tensor, e: Tensor, norm: Norm) -> Form:
    """Take it for a linear layer whose tokens are the patches of the image."""
    return _affine(layer, _patches(layer, a, e.shape[2:]).mT, e.flatten(2).mT, norm)


def embedding(layer: nn.Embedding, a: Tensor, e: Tensor, norm: Norm) -> Form:
    """Look up all axes but the first as tokens; padding gets nothing back."""
    words, e = a.view(len(a), -1), e.view(len(a), -1, e.shape[-1])
    if layer.padding_idx is not None:
        e = e * (words != layer.padding_idx).unsqueeze(2)
    return Lookup(words, e, layer.num_embeddings)


def layer_norm(layer: nn.LayerNorm, a: Tensor, e: Tensor, norm: Norm) -> Form:
    """Multiply e and the normalised input, token by token: the weight's gradient; the bias's is e."""
    inner = len(layer.normalized_shape)
    a, e = (one.flatten(-inner).unsqueeze(1).flatten(1, -2) for one in (a, e))  # records, tokens, features
    centred = a - a.mean(2, keepdim=True)
    variance = torch.linalg.vector_norm(centred, dim=2).square_() / a.shape[2]
    scale = (variance + layer.eps).rsqrt_()
    return _dense(layer, weight=lambda: _over_tokens(e * centred, scale), bias=lambda: _over_tokens(e))


def group_norm(layer: nn.GroupNorm, a: Tensor, e: Tensor, norm: Norm) -> Form:
    """Do as in layer normalisation, with one number a channel."""
    x = functional.group_norm(a, layer.num_groups, eps=layer.eps)
    return _dense(layer, weight=lambda: (e * x).flatten(2).sum(2), bias=lambda: e.flatten(2).sum(2))


def position(layer: Position, a: Tensor, e: Tensor, norm: Norm) -> Form:
    """Take it for a bias with values for each token."""
    return Dense({"weight": e})


def any_layer(layer: nn.Module, a: Tensor, e: Tensor, norm: Norm) -> Form:
    """Ask the layer again, record by record."""
    weights = {name: layer.get_parameter(name).detach() for name in trained(layer)}

    def pull(record: Tensor, error: Tensor) -> Tensors:
        def answer(weights: Tensors) -> Tensor:
            return functional_call(layer, weights, (record.unsqueeze(0),))

        return vjp(answer, weights)[1](error.unsqueeze(0))[0]

    return Dense(vmap(pull)(a, e))


RULES: dict[type[nn.Module], Rule] = {
    nn.Linear: linear,
    nn.Conv2d: conv2d,
    nn.Embedding: embedding,
    nn.LayerNorm: layer_norm,
    nn.GroupNorm: group_norm,
    Position: position,
    **dict.fromkeys((nn.Conv1d, nn.Conv3d, nn.PReLU), any_layer),
    **dict.fromkeys((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), any_layer),
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), any_layer),
}


def rule_of(layer: nn.Module) -> Rule | None:
    """Return the rule for a layer's kind, or None if what it does with its weights is not known.

    Subclasses and layers with hooks may do anything, so they are not taken for what they look like.
    """
    if layer._forward_hooks or layer._forward_pre_hooks or not set(trained(layer)) <= {"weight", "bias"}:
        return None
    if type(layer) is nn.Conv2d and (layer.groups > 1 or layer.padding_mode != "zeros"):
        return any_layer
    if isinstance(layer, nn.Embedding) and (layer.max_norm or layer.scale_grad_by_freq or layer.sparse):
        return None
    return RULES.get(type(layer))


def _affine(layer: nn.Module, a: Tensor, e: Tensor, norm: Norm) -> Form:
    """Choose the form for a layer that multiplies: a (records, [tokens,] inputs), e likewise."""
    affine = Affine(a, e, bias="bias" in trained(layer))
    if "weight" not in trained(layer):
        return Dense({"bias": affine.total})
    if e.ndim == 2 or norm == "ghost":
        return affine
    (tokens, inputs), outputs = a.shape[1:], e.shape[2]
    if norm == "auto" and tokens * (inputs + outputs) < _PASSES * inputs * outputs / tokens:
        return affine
    return Dense(affine.gradients())


def _dense(layer: nn.Module, **each: Callable[[], Tensor]) -> Dense:
    """Make the gradients of the weights that are trained."""
    return Dense({name: make() for name, make in each.items() if name in trained(layer)})


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
