"""Layers that normalise feature maps, and whom each of them asks for the mean and the variance.

    none       nobody
    instance   the record itself, channel by channel
    layer      the record itself, all channels together
    group      the record itself, some channels together
    batch      everybody in the batch; when asked alone, a running average over the batches of training
    virtual    a reference batch that was chosen once: `VirtualBatchNorm2d`
    noisy      everybody in the batch, but clipped and with noise: `NoisyBatchNorm2d`

The first four never let one record see another. The other three do.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mialab import _check
from mialab._rng import Noise as Source
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.mechanisms.noise import Gaussian, Laplace

Maps = Float[Tensor, "records channels height width"]
PerChannel = Float[Tensor, "channels"]
Norm = Literal["none", "batch", "instance", "layer", "group", "virtual"]
Noise = Literal["gaussian", "laplace"]


@door
def norm_layer(norm: Norm, channels: int, side: int, reference: int = 0) -> nn.Module:
    """Return the layer for feature maps of ``channels`` × ``side`` × ``side``.

    ``reference`` is the number of rows in front of every batch that ``"virtual"`` looks at.

    Raises
    ------
    ValueError
        If ``norm`` is unknown, a size is below 1, groups do not come out even (4 of them), or ``"virtual"``
        has fewer than two rows to look at.

    Examples
    --------
    >>> norm_layer("group", 8, 4).num_groups
    4
    """
    makers = {
        "none": lambda: nn.Identity(),
        "batch": lambda: nn.BatchNorm2d(channels),
        "instance": lambda: nn.InstanceNorm2d(channels, affine=True),
        "layer": lambda: nn.LayerNorm([channels, side, side]),
        "group": lambda: nn.GroupNorm(4, channels),
        "virtual": lambda: VirtualBatchNorm2d(channels, reference),
    }
    _check.at_least("channels", channels, 1)
    _check.at_least("side", side, 1)
    if norm == "group" and channels % 4:
        _check.refuse("channels", "be a multiple of 4", channels)
    return makers[norm]()


class _Normalise(nn.Module):
    """Shift and scale every channel, then let training choose its own mean and spread."""

    def __init__(self, channels: int, epsilon: float):
        super().__init__()
        _check.at_least("channels", channels, 1)
        _check.not_negative("epsilon", epsilon)
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def apply_to(self, x: Maps, mean: PerChannel, variance: PerChannel) -> Maps:
        """Return weight · (x − mean)/√(variance + epsilon) + bias."""
        scale = self.weight / torch.sqrt(variance + self.epsilon)
        return (x - mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]


@door
class VirtualBatchNorm2d(_Normalise):
    """Normalise everybody by the statistics of the first rows of the batch, the same in every batch.

    Salimans et al. 2016, who mix the record at hand into the statistics as well; here it is left
    out, so that no record of a batch sees another, and all of them see the reference.

    Examples
    --------
    >>> layer = VirtualBatchNorm2d(1, reference=2)
    >>> x = torch.tensor([-1.0, 1.0, 3.0]).view(3, 1, 1, 1)
    >>> layer(x).flatten().detach().round(decimals=3)
    tensor([-1.,  1.,  3.])
    """

    def __init__(self, channels: int, reference: int, epsilon: float = 1e-5):
        _check.at_least("the number of reference records", reference, 2)
        super().__init__(channels, epsilon)
        self.reference = reference

    @door
    def forward(self, x: Maps) -> Maps:
        """Normalise.

        Raises
        ------
        ValueError
            If there are fewer records than the reference has.
        """
        _check.at_least("the number of records", len(x), self.reference)
        reference = x[: self.reference]
        mean = reference.mean(dim=(0, 2, 3))
        return self.apply_to(x, mean, reference.var(dim=(0, 2, 3), correction=0))


@door
class NoisyBatchNorm2d(_Normalise):
    """Normalise by batch statistics that were clipped, and then got noise.

    Values are clipped to [−clip, clip] and divided by ``clip``. In every channel, a record's own mean c is
    then in [−1, 1] and its mean square q in [c², 1]. The batch's means of both are released once, with
    independent noise of standard deviation ``noise``; all that follows, the running averages too, is
    computed from them. Replacing one of B records changes a channel's two numbers by at most
    ((1 + t), (1 − t²))/B with some t in [0, 1]: from c = q = 1 to c = −t, q = t². The length of that is
    largest at t = 1 and the sum of sizes at t = ½, so all F channels together move by

        at most 2√F/B in Euclidean length, and 9F/(4B) in sum of sizes,

    which is what `sensitivity` returns. `mechanism` is one release as a mechanism, with what it promises if
    one record is replaced; over T batches Gaussian curves multiply and Laplace's ε add up, all of them
    only for batches that hold the record. The promise is about the statistics alone: gradients, and the
    outputs of the batch-mates, are not covered.

    Parameters
    ----------
    channels
        F.
    clip
        Largest size of a value, above 0; infinite values are refused, since nothing could be promised.
    noise
        Standard deviation of the noise, in units of ``clip`` and of ``clip``²; at least 0.
    kind
        ``"gaussian"`` or ``"laplace"``.
    rng
        Where the noise comes from. If not given, from a generator of the layer's own, set from torch's when
        the layer is made, so that `train.fit` makes it reproducible. Whoever knows either takes the noise off
        again: a layer that is to be given away wants ``mialab.secure.SystemGenerator()``. Without it a copy
        of the layer, or one that is loaded from a file, draws the same noise again, and a saved layer carries
        the state of its generator, from which past noise can be computed; keep both to yourself.

    Examples
    --------
    >>> layer = NoisyBatchNorm2d(16, clip=3.0, noise=0.1)
    >>> layer.sensitivity(64), layer.mechanism(64).curve.mu
    (0.125, 1.25)

    Without noise, the statistics of values that the clip lets through are those of the batch:

    >>> exact, x = NoisyBatchNorm2d(1, clip=4.0, noise=0.0), torch.tensor([-1.0, 3.0]).view(2, 1, 1, 1)
    >>> exact.release(x), exact(x).flatten().detach().round(decimals=3)
    ((tensor([1.]), tensor([4.])), tensor([-1.,  1.]))
    """

    def __init__(
        self,
        channels: int,
        *,
        clip: float,
        noise: float,
        kind: Noise = "gaussian",
        momentum: float = 0.1,
        epsilon: float = 1e-5,
        rng: np.random.Generator | None = None,
    ):
        _check.positive("clip", clip)
        _check.not_negative("noise", noise)
        _check.rate("momentum", momentum)
        super().__init__(channels, epsilon)
        self.clip, self.noise, self.kind, self.momentum = clip, noise, kind, momentum
        self.source = Source(rng)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    @door
    def sensitivity(self, records: int) -> float:
        """Return by how much one replaced record of a batch can move the release, in the noise's norm."""
        channels = len(self.weight)
        _check.at_least("records", records, 1)
        return 2 * channels**0.5 / records if self.kind == "gaussian" else 9 * channels / (4 * records)

    @door
    def mechanism(self, records: int) -> Gaussian | Laplace:
        """Return the release from one batch as a mechanism; there is none without noise."""
        _check.positive("noise", self.noise)
        moves = self.sensitivity(records)
        if self.kind == "gaussian":
            return Gaussian(self.noise / moves, moves, Neighbours.REPLACE)
        return Laplace(2**0.5 * moves / self.noise, moves, Neighbours.REPLACE)

    @door
    def release(self, x: Maps) -> tuple[PerChannel, PerChannel]:
        """Return the batch's noisy mean and variance, on the scale of x.

        A variance smaller than its own noise is not known; it counts as large as the noise. With noise, a
        value that is not a number counts as 0: no clip would bound it. The means are made in double
        precision, so that a record moves them by no more than its share.

        Raises
        ------
        ValueError
            If there is no record.
        """
        _check.at_least("the number of records", len(x), 1)
        inside = x.clamp(-self.clip, self.clip) / self.clip
        if self.noise:
            inside = inside.nan_to_num(nan=0.0)
        mean = self._noisy(inside.mean(dim=(0, 2, 3), dtype=torch.float64))
        square = self._noisy((inside**2).mean(dim=(0, 2, 3), dtype=torch.float64))
        variance = (square - mean**2).clamp(min=self.noise)
        return (self.clip * mean).to(x.dtype), (self.clip**2 * variance).to(x.dtype)

    @door
    def forward(self, x: Maps) -> Maps:
        """Normalise: in training by this batch's release, else by the running average of all releases."""
        running = (self.get_buffer("running_mean"), self.get_buffer("running_var"))
        if not self.training:
            return self.apply_to(x, *running)
        released = self.release(x)
        for average, now in zip(running, released, strict=True):
            average.lerp_(now.detach(), self.momentum)
        return self.apply_to(x, *released)

    def _noisy(self, statistic: PerChannel) -> PerChannel:
        """Add the noise."""
        if self.kind == "gaussian":
            return statistic + self.noise * self.source.normal(statistic)
        return statistic + self.noise / 2**0.5 * self.source.laplace(statistic)
