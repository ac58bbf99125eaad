"""What is planted: three kinds of canaries, from the mildest to the strongest."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int, Real
from numpy import ndarray
from torch import Tensor, nn

from mialab import _check
from mialab._functional import as_tensor
from mialab._types import Inputs
from mialab._validation import door
from mialab.dp_sgd.clipping import clipped
from mialab.per_example.gradients import by_record
from mialab.train._model_checks import cast_records

CanaryGradients = Callable[[nn.Module], Float[Tensor, "canaries weights"]]


@door
def mislabelled(
    x: Inputs,
    y: Int[ndarray, "records"],
    number: int,
    *,
    classes: int,
    rng: np.random.Generator,
) -> tuple[Float[ndarray, "number *features"], Int[ndarray, "number"]]:
    """Return real inputs, drawn without repetition, each with one of the labels that it does not have.

    Raises
    ------
    ValueError
        If there are fewer records than canaries, or fewer than two classes.

    Examples
    --------
    >>> x, y = np.eye(4, dtype=np.float32), np.arange(4)
    >>> inputs, labels = mislabelled(x, y, 3, classes=4, rng=np.random.default_rng(0))
    >>> bool((labels == inputs.argmax(axis=1)).any())
    False
    """
    _check.at_least("number", number, 1)
    _check.at_least("number of records", len(x), number)
    _check.at_least("classes", classes, 2)
    _check.labels("y", y, classes)
    drawn = rng.choice(len(x), number, replace=False)
    return x[drawn], (y[drawn] + rng.integers(1, classes, size=number)) % classes


@door
def out_of_distribution(
    shape: tuple[int, ...], number: int, *, classes: int, rng: np.random.Generator
) -> tuple[Float[ndarray, "number *features"], Int[ndarray, "number"]]:
    """Return inputs of independent fair bits, and labels at random: nothing else in the data is like them.

    Examples
    --------
    >>> inputs, labels = out_of_distribution((1, 8, 8), 5, classes=10, rng=np.random.default_rng(0))
    >>> inputs.shape, np.unique(inputs).tolist(), labels.shape
    ((5, 1, 8, 8), [0.0, 1.0], (5,))
    """
    _check.at_least("number", number, 1)
    _check.at_least("classes", classes, 1)
    inputs = rng.integers(2, size=(number, *shape)).astype(np.float32)
    return inputs, rng.integers(classes, size=number)


@door
def dirac(coordinates: Int[ndarray, "canaries"], clip: float) -> CanaryGradients:
    """Return canaries that are gradients: all of the clip, on one weight each, at every step.

    No record need have such a gradient, but the proof allows it, and for one of them alone the accountant's
    curve is exact. Weights are counted in the order of the model's parameters.

    Raises
    ------
    ValueError
        If two canaries share a weight (they could not be told apart), a coordinate is negative or no integer,
        there is none, or ``clip`` is not above 0.

    Examples
    --------
    >>> from mialab.models import mlp
    >>> dirac(np.array([0, 5]), 0.1)(mlp(4, (), 2)).nonzero()
    tensor([[0, 0],
            [1, 5]])
    """
    _check.positive("clip", clip)
    _check.at_least("number of coordinates", len(coordinates), 1)
    if len(np.unique(coordinates)) < len(coordinates) or (coordinates < 0).any():
        _check.refuse("coordinates", "be distinct and at least 0", coordinates.tolist())
    where = as_tensor(coordinates).unsqueeze(1)
    kept: list[Tensor] = []  # the same at every step

    def gradients(model: nn.Module) -> Tensor:
        weights = sum(one.numel() for one in model.parameters() if one.requires_grad)
        if int(where.max()) >= weights:
            _check.refuse("coordinates", f"be below the number of weights, {weights}", int(where.max()))
        if not kept or kept[0].shape[1] != weights:
            kept[:] = [torch.zeros(len(where), weights).scatter_(1, where, clip)]
        return kept[0].to(next(model.parameters()).device)

    return gradients


@door
def as_gradients(
    inputs: Real[ndarray, "canaries *features"], labels: Int[ndarray, "canaries"], clip: float
) -> CanaryGradients:
    """Return canaries that are records: their clipped gradients at the weights of the moment.

    Raises
    ------
    ValueError
        If an input is not finite, a label is no integer, or ``clip`` is not above 0.

    Examples
    --------
    >>> from mialab.models import mlp
    >>> as_gradients(np.eye(4, dtype=np.float32), np.array([0, 1, 1, 0]), 0.1)(mlp(4, (), 2)).norm(dim=1)
    tensor([0.1000, 0.1000, 0.1000, 0.1000])
    """
    _check.positive("clip", clip)
    _check.finite("inputs", inputs)

    def gradients(model: nn.Module) -> Tensor:
        device = next(model.parameters()).device
        x, y = as_tensor(cast_records(model, inputs)).to(device), as_tensor(labels).to(device)
        return clipped(by_record(model, x, y), clip)

    return gradients
