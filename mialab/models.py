"""Fresh torch modules, small enough to read.

Each function returns a new module with new random weights that takes a batch of records and returns
logits of shape (records, classes).
"""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mialab import _check
from mialab.norms import Drop, Norm, Prepend, norm_layer


def mlp(inputs: int, hidden: tuple[int, ...], classes: int) -> nn.Sequential:
    """Return a perceptron: linear layers with ReLU between them.

    Parameters
    ----------
    inputs
        Numbers per record; records of any shape are flattened.
    hidden
        Width of each hidden layer; empty for logistic regression.
    classes
        Number of logits.

    Raises
    ------
    ValueError
        If a size is below 1.

    Examples
    --------
    >>> mlp(64, (32,), 10)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    widths = (inputs, *hidden, classes)
    for width in widths:
        _check.at_least("every size", width, 1)
    layers: list[nn.Module] = [nn.Flatten()]
    for below, above in pairwise(widths):
        layers += [nn.Linear(below, above), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


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
    _check.at_least("channels", channels, 1)
    _check.at_least("classes", classes, 1)
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
    return body if reference is None else nn.Sequential(Prepend(reference), *body, Drop(rows))


class Attention(nn.Module):
    """Self-attention with its weights in plain sight (Vaswani et al. 2017, Eq. (1), several heads)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def split(self, tokens: Tensor) -> Tensor:
        """Turn (records, tokens, width) into (records, heads, tokens, width / heads)."""
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def weights(
        self, tokens: Float[Tensor, "records tokens width"]
    ) -> Float[Tensor, "records heads tokens tokens"]:
        """Return how much each token (row) listens to each other (column); rows sum to 1."""
        query, key = self.split(self.query(tokens)), self.split(self.key(tokens))
        return torch.softmax(query @ key.mT / math.sqrt(query.shape[-1]), dim=-1)

    def forward(self, tokens: Float[Tensor, "records tokens width"]) -> Float[Tensor, "records tokens width"]:
        """Mix the values of all tokens by the attention weights."""
        mixed = self.weights(tokens) @ self.split(self.value(tokens))
        return self.output(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then a perceptron on each token; both add to their input, which is normalised first."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm_1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Float[Tensor, "records tokens width"]) -> Float[Tensor, "records tokens width"]:
        """Return tokens that have listened to each other."""
        tokens = tokens + self.attention(self.norm_1(tokens))
        return tokens + self.mlp(self.norm_2(tokens))


class Position(nn.Module):
    """Say where each token is: add a learned vector for its place."""

    def __init__(self, tokens: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(tokens, width))

    def forward(self, tokens: Float[Tensor, "records tokens width"]) -> Float[Tensor, "records tokens width"]:
        """Add the vectors."""
        return tokens + self.weight


class TinyTransformer(nn.Module):
    """Cut an image into square patches, let them listen to each other, and classify their mean."""

    def __init__(
        self, channels: int, side: int, classes: int, patch: int, width: int, heads: int, blocks: int
    ):
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(channels * patch**2, width)
        self.position = Position((side // patch) ** 2, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes)

    def tokens(
        self, images: Float[Tensor, "records channels side side"]
    ) -> Float[Tensor, "records tokens width"]:
        """Embed the patches, row by row, and say where each one was."""
        rows = images.unflatten(3, (-1, self.patch)).unflatten(2, (-1, self.patch))
        return self.position(self.embed(rows.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)))

    def forward(
        self, images: Float[Tensor, "records channels side side"]
    ) -> Float[Tensor, "records classes"]:
        """Return logits."""
        return self.classify(self.norm(self.blocks(self.tokens(images))).mean(dim=1))


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
    sizes = {
        "channels": channels,
        "side": side,
        "classes": classes,
        "patch": patch,
        "heads": heads,
        "blocks": blocks,
    }
    for name, size in sizes.items():
        _check.at_least(name, size, 1)
    if side % patch:
        _check.refuse("patch", f"divide the side {side}", patch)
    if width < 1 or width % heads:
        _check.refuse("width", f"be a multiple of the {heads} heads", width)
    return TinyTransformer(channels, side, classes, patch, width, heads, blocks)
