"""Fresh torch modules, small enough to read.

Each function returns a new module with new random weights that takes a batch of records and returns
logits of shape (records, classes).
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from mialab import _check
from mialab._validation import door
from mialab.norms import Norm, norm_layer

__all__ = [
    "Attention",
    "Block",
    "Position",
    "TinyTransformer",
    "mlp",
    "small_cnn",
    "tiny_transformer",
    "token_transformer",
]

Read = Literal["mean", "first"]


@door
def mlp(inputs: int, hidden: tuple[int, ...], classes: int) -> nn.Sequential:
    """Return a perceptron: linear layers with ReLU between them.

    Parameters
    ----------
    inputs
        Numbers per record; records of any shape are flattened.
    hidden
        Width of each hidden layer; empty for logistic regression.
    classes
        Number of logits: one for each class, or a single one for label 1 against label 0.

    Raises
    ------
    ValueError
        If a size is below 1.

    Examples
    --------
    >>> mlp(64, (32,), 10)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    _check_sizes(inputs=inputs, hidden=min(hidden, default=1), classes=classes)
    layers: list[nn.Module] = [nn.Flatten()]
    for below, above in pairwise((inputs, *hidden, classes)):
        layers += [nn.Linear(below, above), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@door
def small_cnn(
    channels: int,
    side: int,
    classes: int,
    *,
    width: int = 16,
    norm: Norm | Callable[[int, int], nn.Module] = "none",
    reference: Float[Tensor, "reference channels side side"] | None = None,
) -> nn.Sequential:
    """Return two 3×3 convolutions that halve the image, then one linear layer.

    Parameters
    ----------
    channels, side
        Records are images of shape (channels, side, side); ``side`` is a multiple of 4.
    classes
        Number of logits.
    width
        Channels after the first convolution, a multiple of 4; twice as many after the second.
    norm
        What normalises the feature maps: ``"none"``, ``"batch"``, ``"instance"``, ``"layer"``,
        ``"group"`` (of 4 groups) or ``"virtual"``; or a function (channels, side) that returns a layer.
    reference
        The fixed batch of ``"virtual"`` normalisation, two records or more. It becomes part of the
        model: whoever has the file has the records.

    Raises
    ------
    ValueError
        If a size is below 1 or not the multiple it must be, ``norm`` is unknown, or there is a
        reference batch without ``"virtual"`` or the other way round.

    Examples
    --------
    >>> small_cnn(1, 8, 10, norm="group")(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    _check_sizes(channels=channels, classes=classes)
    for name, size in (("side", side), ("width", width)):
        if size < 4 or size % 4:
            _check.refuse(name, "be a multiple of 4", size)
    if (norm == "virtual") != (reference is not None):
        _check.refuse("reference", 'be given for "virtual" normalisation, and for no other', f"norm {norm!r}")
    rows = 0 if reference is None else len(reference)

    def normalise(channels: int, side: int) -> nn.Module:
        return norm(channels, side) if callable(norm) else norm_layer(norm, channels, side, rows)

    body = nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=2, padding=1),
        normalise(width, side // 2),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        normalise(2 * width, side // 4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * (side // 4) ** 2, classes),
    )
    return body if reference is None else nn.Sequential(_Prepend(reference), *body, _Drop(rows))


class _Prepend(nn.Module):
    """Put the reference batch in front of every batch."""

    def __init__(self, reference: Float[Tensor, "reference *features"]):
        super().__init__()
        self.register_buffer("reference", reference.clone())

    def forward(self, x: Float[Tensor, "records *features"]) -> Float[Tensor, "more *features"]:
        """Return the reference records, then those of the batch."""
        return torch.cat([self.get_buffer("reference"), x])


class _Drop(nn.Module):
    """Take the reference batch away again."""

    def __init__(self, reference: int):
        super().__init__()
        self.reference = reference

    def forward(self, x: Float[Tensor, "more *features"]) -> Float[Tensor, "records *features"]:
        """Return all rows but the reference's."""
        return x[self.reference :]


@door
class Attention(nn.Module):
    """Self-attention with its weights in plain sight (Vaswani et al. 2017, Eq. (1), several heads)."""

    def __init__(self, width: int, heads: int):
        _check.at_least("heads", heads, 1)
        if width < 1 or width % heads:
            _check.refuse("width", f"be a multiple of the {heads} heads", width)
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    @door
    def split(
        self, tokens: Float[Tensor, "records tokens width"]
    ) -> Float[Tensor, "records heads tokens share"]:
        """Turn (records, tokens, width) into (records, heads, tokens, width / heads)."""
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    @door
    def weights(
        self, tokens: Float[Tensor, "records tokens width"]
    ) -> Float[Tensor, "records heads tokens tokens"]:
        """Return how much each token (row) listens to each other (column); rows sum to 1."""
        query, key = self.split(self.query(tokens)), self.split(self.key(tokens))
        return torch.softmax(query @ key.mT / math.sqrt(query.shape[-1]), dim=-1)

    @door
    def forward(self, tokens: Float[Tensor, "records tokens width"]) -> Float[Tensor, "records tokens width"]:
        """Mix the values of all tokens by the attention weights."""
        mixed = self.weights(tokens) @ self.split(self.value(tokens))
        return self.output(mixed.transpose(1, 2).flatten(2))


@door
class Block(nn.Module):
    """Attention, then a perceptron on each token; both add to their input, which is normalised first."""

    def __init__(self, width: int, heads: int):
        _check.at_least("width", width, 1)
        super().__init__()
        self.norm_1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    @door
    def forward(self, tokens: Float[Tensor, "records tokens width"]) -> Float[Tensor, "records tokens width"]:
        """Return tokens that have listened to each other."""
        tokens = tokens + self.attention(self.norm_1(tokens))
        return tokens + self.mlp(self.norm_2(tokens))


@door
class Position(nn.Module):
    """Say where each token is: add a learned vector for its place."""

    def __init__(self, tokens: int, width: int):
        _check_sizes(tokens=tokens, width=width)
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(tokens, width))

    @door
    def forward(self, tokens: Float[Tensor, "records tokens width"]) -> Float[Tensor, "records tokens width"]:
        """Add the vectors."""
        return tokens + self.weight


@door
class TinyTransformer(nn.Module):
    """Embed the pieces of a record, let them listen to each other, and classify.

    Images are cut into square patches. What is classified is the mean of all tokens, or what the first
    one has heard.
    """

    def __init__(
        self,
        embed: nn.Module,
        length: int,
        classes: int,
        width: int,
        heads: int,
        blocks: int,
        patch: int | None = None,
        read: Read = "mean",
    ):
        _check_sizes(length=length, classes=classes, width=width)
        _check.at_least("blocks", blocks, 0)
        super().__init__()
        self.patch = patch
        self.read = read
        self.embed = embed
        self.position = Position(length, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes)

    @door
    def pieces(self, records: Float[Tensor, "records ..."]) -> Shaped[Tensor, "records tokens ..."]:
        """Cut images into patches, row by row; sentences are token numbers already."""
        if self.patch is None:
            return records.long()
        rows = records.unflatten(3, (-1, self.patch)).unflatten(2, (-1, self.patch))
        return rows.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)

    @door
    def tokens(self, records: Float[Tensor, "records ..."]) -> Float[Tensor, "records tokens width"]:
        """Embed the pieces, and say where each one was."""
        return self.position(self.embed(self.pieces(records)))

    @door
    def forward(self, records: Float[Tensor, "records ..."]) -> Float[Tensor, "records classes"]:
        """Return logits."""
        heard = self.norm(self.blocks(self.tokens(records)))
        return self.classify(heard.mean(dim=1) if self.read == "mean" else heard[:, 0])


@door
def tiny_transformer(
    channels: int,
    side: int,
    classes: int,
    *,
    patch: int = 2,
    width: int = 16,
    heads: int = 2,
    blocks: int = 2,
) -> TinyTransformer:
    """Return a transformer that reads an image as a sentence of patches.

    Parameters
    ----------
    channels, side
        Records are images of shape (channels, side, side).
    classes
        Number of logits.
    patch
        Side of a patch; divides ``side``.
    width, heads, blocks
        Numbers per token (a multiple of ``heads``), attention heads, and blocks.

    Raises
    ------
    ValueError
        If a size is below 1, or one that must divide another does not.

    Examples
    --------
    >>> tiny_transformer(1, 8, 10)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    _check_sizes(channels=channels, side=side, patch=patch, width=width, blocks=blocks)
    if side % patch:
        _check.refuse("patch", f"divide the side {side}", patch)
    embed = nn.Linear(channels * patch**2, width)
    return TinyTransformer(embed, (side // patch) ** 2, classes, width, heads, blocks, patch)


@door
def token_transformer(
    vocabulary: int,
    length: int,
    classes: int,
    *,
    width: int = 16,
    heads: int = 2,
    blocks: int = 1,
    read: Read = "first",
) -> TinyTransformer:
    """Return a transformer for sentences of a fixed length.

    Parameters
    ----------
    vocabulary, length
        Records are ``length`` token numbers 0 … vocabulary - 1, which training wants as floats.
    classes
        Number of logits.
    width, heads, blocks
        Numbers per token (a multiple of ``heads``), attention heads, and blocks.
    read
        What is classified: what the ``"first"`` token has heard, so that a fact reaches the answer
        through attention or not at all; or the ``"mean"`` of all tokens.

    Raises
    ------
    ValueError
        If a size is below 1, the width is no multiple of the heads, or ``read`` is unknown.

    Examples
    --------
    >>> token_transformer(9, 6, 3)(torch.zeros(5, 6)).shape
    torch.Size([5, 3])
    """
    _check_sizes(vocabulary=vocabulary, width=width, blocks=blocks)
    embed = nn.Embedding(vocabulary, width)
    return TinyTransformer(embed, length, classes, width, heads, blocks, read=read)


def _check_sizes(**sizes: int) -> None:
    """Refuse sizes below 1."""
    for name, size in sizes.items():
        _check.at_least(name, size, 1)
