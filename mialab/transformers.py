"""Transformers with their attention in plain sight; `mialab.models` is where to get them from."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from mialab import _check
from mialab._validation import door

Read = Literal["mean", "first"]


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
