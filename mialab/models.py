"""Fresh torch modules, small enough to read.

Each function returns a new module with new random weights that takes a batch of records and returns
logits of shape (records, classes).
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mialab import _check
from mialab._validation import door
from mialab.norms import Norm, norm_layer
from mialab.transformers import (
    Attention,
    Block,
    Position,
    TinyTransformer,
    tiny_transformer,
    token_transformer,
)

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
    widths = (inputs, *hidden, classes)
    for name, size in zip(["inputs", *["hidden"] * len(hidden), "classes"], widths, strict=True):
        _check.at_least(name, size, 1)
    layers: list[nn.Module] = [nn.Flatten()]
    for below, above in pairwise(widths):
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
