"""One model, the plain loop."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import nn

from mialab import _rng
from mialab.train import _doors
from mialab.train.recipe import Sgd
from mialab.train.streams import batches


def fit(
    make_model: Callable[[], nn.Module],
    x: Float[ndarray, "records *features"],
    y: Int[ndarray, "records"],
    recipe: Sgd,
    *,
    rng: np.random.Generator,
    device: str = "cpu",
) -> nn.Module:
    """Train one fresh model on all of the records.

    Parameters
    ----------
    make_model
        Called without arguments, returns a module with fresh random weights.
    x, y
        Records and their labels 0 … classes - 1.
    recipe
        What is done at every step.
    rng
        Decides the initial weights and the order of the records; torch's global seed plays no part.
    device
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    The trained module, in evaluation mode, on ``device``.

    Raises
    ------
    ValueError
        If shapes or labels do not fit, a value is not finite, or the device is not there.

    Examples
    --------
    >>> from mialab import models, train
    >>> x, y = np.eye(4, dtype=np.float32), np.arange(4)
    >>> model = fit(lambda: models.mlp(4, (8,), 4), x, y, Sgd(steps=50), rng=np.random.default_rng(0))
    >>> train.predict(model, x).argmax(axis=-1)
    array([0, 1, 2, 3])
    """
    _doors.check_training(make_model, x, y, device)
    model = _rng.fresh(make_model, rng).to(device).train()
    inputs, labels = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    for batch in batches(len(x), recipe.steps, recipe.batch_size, rng=rng):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(
            model(inputs[batch]), labels[batch], label_smoothing=recipe.label_smoothing
        )
        loss.backward()
        optimizer.step()
    return model.eval()
