"""Training one model: the plain loop."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor, nn

from mialab import _rng
from mialab._functional import as_tensor, class_logits
from mialab._types import Inputs
from mialab._validation import door
from mialab.train._model_checks import check_training
from mialab.train.batching import batches
from mialab.train.recipe import Sgd


@door
def fit(
    make_model: Callable[[], nn.Module],
    x: Inputs,
    y: Int[ndarray, "records"],
    recipe: Sgd,
    *,
    rng: np.random.Generator,
    device: str = "cpu",
    pretrained: bool = False,
) -> nn.Module:
    """Train one fresh model on all of the records.

    Parameters
    ----------
    make_model
        Called without arguments, returns a module of its own with fresh random weights.
    x, y
        Records and their labels 0 … classes - 1; 0 or 1 for a model with a single logit.
    recipe
        What is done at every step.
    rng
        Decides the initial weights, the order of the records, and what the forward pass draws; torch's global
        seed plays no part.
    device
        ``"cpu"`` or ``"cuda"``.
    pretrained
        Say so if the weights that ``make_model`` gives are meant to be the same every time, as when they were
        learned from public data. What they know of the records already is not covered by anything that is
        said of the training.

    Returns
    -------
    The trained module, in evaluation mode, on ``device``.

    Raises
    ------
    ValueError
        If shapes or labels do not fit, a value is not finite, the device is not there, or ``make_model``
        returns the same module again, or the same weights without ``pretrained``.

    Examples
    --------
    >>> from mialab import models, train
    >>> x, y = np.eye(4, dtype=np.float32), np.arange(4)
    >>> model = fit(lambda: models.mlp(4, (8,), 4), x, y, Sgd(steps=50), rng=np.random.default_rng(0))
    >>> train.predict(model, x).argmax(axis=-1)
    array([0, 1, 2, 3])
    """
    _, x, _ = check_training(make_model, x, y, device, pretrained=pretrained)
    inputs, labels = as_tensor(x).to(device), as_tensor(y).to(device)
    return fit_tensors(make_model, inputs, labels, recipe, rng=rng)


def fit_tensors(
    make_model: Callable[[], nn.Module],
    inputs: Tensor,
    labels: Tensor,
    recipe: Sgd,
    *,
    rng: np.random.Generator,
) -> nn.Module:
    """Make a model and train it, on the device where its records are."""
    with _rng.torch_stream(rng):  # the initial weights, and then what the forward pass draws
        model = make_model().to(inputs.device).train()
        descent = optimizer(model, recipe)
        for batch in batches(len(inputs), recipe.steps, recipe.batch_size, rng=rng):
            train_step(model, descent, inputs[batch], labels[batch], recipe)
    return model.eval()


def optimizer(model: nn.Module, recipe: Sgd) -> torch.optim.Optimizer:
    """Return torch's optimizer with the recipe's settings."""
    return torch.optim.SGD(
        model.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )


def train_step(
    model: nn.Module, descent: torch.optim.Optimizer, inputs: Tensor, labels: Tensor, recipe: Sgd
) -> None:
    """Take one step of one model."""
    descent.zero_grad()
    logits = class_logits(model(inputs))
    nn.functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing).backward()
    descent.step()
