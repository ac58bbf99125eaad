"""One private model, the plain loop."""

from collections.abc import Callable, Iterator
from functools import reduce

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor, nn
from tqdm import tqdm

from mialab import _check, _rng
from mialab._functional import as_tensor
from mialab._types import Inputs
from mialab._validation import door
from mialab.dp_sgd._validation import check_private
from mialab.dp_sgd.clipping import Clipper, check_finite, make_clipper
from mialab.dp_sgd.recipe import DpSgd
from mialab.dp_sgd.sampling import poisson_batches
from mialab.dp_sgd.update import check_weights, gather, noisy_mean, optimizer, scatter


@door
def fit_private(
    make_model: Callable[[], nn.Module],
    x: Inputs,
    y: Int[ndarray, "records"],
    recipe: DpSgd,
    *,
    rng: np.random.Generator,
    device: str = "cpu",
    physical_batch: int | None = None,
    pretrained: bool = False,
) -> nn.Module:
    """Train one fresh model on the records, so that what it tells of any one of them is bounded.

    Parameters
    ----------
    make_model
        Called without arguments, returns a module of its own with fresh random weights. Parameters that need
        no gradient (``requires_grad_(False)``) stay as they are: features learned from public data can be
        kept, and the rest be tuned in private. Dropout is allowed: every record has its own mask.
    x, y
        Records and their labels 0 … classes - 1. A record is one row, and that is what is protected: a
        person with two rows is protected half as well.
    recipe
        What is done at every step, and what it promises.
    rng
        Decides the initial weights, the batches, the noise and the masks of dropout; torch's global seed
        plays no part. Whoever knows it takes the noise off again, and sees who was in each batch: for a model
        that is to be given away pass ``mialab.secure.SystemGenerator()``.
    device
        ``"cpu"`` or ``"cuda"``.
    physical_batch
        Most records to look at in one go: a larger batch is summed up in parts, which changes rounding alone.
        Noise is still added once.
    pretrained
        As in `train.fit`: what the first weights know of the records is not covered by the promise.

    Returns
    -------
    The trained module, in evaluation mode, on ``device``.

    Raises
    ------
    ValueError
        If shapes or labels do not fit, a value is not finite, the device is not there, the module mixes
        records, is not fresh or has nothing to train, or the weights do not stay finite. Without noise, also
        if a gradient is not finite: the error names the step. With noise such a gradient counts as 0, and
        nothing that is raised or returned depends on a record in a way that the promise does not cover.

    Examples
    --------
    >>> from mialab import models, train
    >>> x, y = np.eye(4, dtype=np.float32).repeat(50, axis=0), np.arange(4).repeat(50)
    >>> recipe = DpSgd(1.0, 0.5, sampling_rate=0.2, steps=60, nominal_batch=40, learning_rate=1.0)
    >>> model = fit_private(lambda: models.mlp(4, (), 4), x, y, recipe, rng=np.random.default_rng(0))
    >>> train.predict(model, x[::50]).argmax(axis=-1)
    array([0, 1, 2, 3])
    """
    _, x = check_private(make_model, x, y, device, dropout=True, pretrained=pretrained)
    _check.at_least("physical_batch", len(x) if physical_batch is None else physical_batch, 1)
    records = as_tensor(x).to(device), as_tensor(y).to(device)
    return PrivateRun(make_model, records, recipe, rng).train(physical_batch)


class PrivateRun:
    """A private training run on the records' device: what `fit_private` and an audit from within share.

    `check_private` has seen the maker and the records.
    """

    def __init__(
        self,
        make_model: Callable[[], nn.Module],
        records: tuple[Tensor, Tensor],
        recipe: DpSgd,
        rng: np.random.Generator,
    ):
        self.records, self.recipe, self.rng = records, recipe, rng
        device = records[0].device
        self.model = _rng.fresh(make_model, rng).to(device).train()
        self.noise = _rng.Noise(rng, device)
        self.weights = gather(self.model)
        self.optimizer = optimizer(self.weights, recipe)

    def train(self, physical_batch: int | None = None) -> nn.Module:
        """Take all steps, and return the trained model."""
        with _rng.torch_stream(self.rng.spawn(1)[0]):  # the masks of dropout
            for total in self.clipped_sums(physical_batch):
                self.step(total)
        return self.finish()

    def clipped_sums(self, physical_batch: int | None = None) -> Iterator[Tensor]:
        """Yield the sum of clipped gradients of every step's batch, which goes to `step` before the next."""
        steps, clipper = self.recipe.steps, make_clipper(self.model, self.records[0])
        batches = poisson_batches(len(self.records[0]), self.recipe.sampling_rate, steps, rng=self.rng)
        for step, batch in enumerate(tqdm(batches, "private steps", steps, delay=2, leave=False), 1):
            rows = torch.from_numpy(batch).to(self.weights.device)
            parts = rows.split(physical_batch or max(1, len(batch)))
            yield reduce(Tensor.add_, (self._clipped_sum(clipper, part, step) for part in parts))

    def _clipped_sum(self, clipper: Clipper, part: Tensor, step: int) -> Tensor:
        """Return the clipped sum of some records as one vector, in double precision.

        A gradient that is not finite adds nothing, and nothing tells of it: an error would, and its record
        with it. Only where no noise promises anything, it is an error.
        """
        total, norms = clipper(self.records[0][part], self.records[1][part], self.recipe.clip)
        if not self.recipe.noise_std:
            check_finite(norms, f" at step {step}")
        return torch.cat([one.double().flatten() for one in total.values()])

    def step(self, total: Tensor) -> Tensor:
        """Add the noise to a sum, take the step, and return what it reveals: the noisy mean."""
        self.weights.grad = noisy_mean(total, self.recipe, self.noise, self.weights.dtype)
        self.optimizer.step()
        return self.weights.grad

    def finish(self) -> nn.Module:
        """Return the trained model, in evaluation mode."""
        scatter(self.model)
        check_weights(self.weights)
        return self.model.eval()
