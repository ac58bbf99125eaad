"""The recipe of a private training run, which is its receipt as well."""

from dataclasses import dataclass
from typing import Literal

from mialab import _check
from mialab._validation import door
from mialab.accounting.steps import check

Optimizer = Literal["sgd", "adam"]

ROUNDING = 2.0**-10
"""How much further than the clip, as a share of it, a record may move a sum of floats: see `clipping`."""


@door
@dataclass(frozen=True)
class DpSgd:
    """Differentially private gradient descent on the cross-entropy (Abadi et al. 2016, Algorithm 1).

    At every step each record takes part with chance ``sampling_rate``, independently. The gradient of its own
    loss, all parameters together, is shortened to length ``clip`` if it is longer. Gaussian noise of standard
    deviation ``noise_multiplier · clip``, and a thousandth more for the rounding of sums, is added to each
    coordinate of the sum, and the whole is divided by ``nominal_batch``. What happens to the result, momentum
    or Adam, is post-processing and costs no privacy.

    The accountants read the very object that trained:
    ``accounting.privacy_loss.guarantee(recipe, delta=1e-5)``. They refuse one without noise.

    Attributes
    ----------
    clip
        C, in 2⁻¹⁰⁰ … 2¹⁰⁰: the most that one record can add to the sum, in Euclidean length. Infinite for no
        clipping, which goes with no noise only: there is no noise that hides a move of any size.
    noise_multiplier
        σ, finite and at least 0. Zero trains, without a promise.
    sampling_rate
        q, in (0, 1].
    steps
        Number of updates; a whole number, at least 0. With 0 nothing is released.
    nominal_batch
        What the noisy sum is divided by: a public number, usually q times a public guess of the number of
        records. Never the size of the batch that was drawn, nor anything else that depends on the data.
    learning_rate
        Step size.
    momentum
        Share of the last update that is kept, in [0, 1); 0 with Adam, which has its own.
    optimizer
        ``"sgd"`` or ``"adam"``, as `torch.optim` defines them.

    Raises
    ------
    ValueError
        If a field is out of its range.

    Examples
    --------
    >>> recipe = DpSgd(clip=1.0, noise_multiplier=4.0, sampling_rate=0.01, steps=10_000, nominal_batch=600)
    >>> recipe.noise_std
    4.00390625
    >>> from mialab.accounting import privacy_loss
    >>> print(privacy_loss.guarantee(recipe, delta=1e-5))
    ε ≤ 0.946871 at δ = 1e-05 (proved, add-remove)
    """

    clip: float
    noise_multiplier: float
    sampling_rate: float
    steps: int
    nominal_batch: float
    learning_rate: float = 0.1
    momentum: float = 0.0
    optimizer: Optimizer = "sgd"

    def __post_init__(self):
        check(self, clip=self.clip)
        _check.positive("nominal_batch", self.nominal_batch)
        _check.positive("learning_rate", self.learning_rate)
        _check.share("momentum", self.momentum)
        if self.optimizer == "adam" and self.momentum:
            _check.refuse("momentum", "be 0 with Adam, which has its own", self.momentum)

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise on each coordinate of the sum: σ · C · (1 + 2⁻¹⁰), 0 without noise.

        The last factor is for the rounding of sums, by which a record may move a little more than the clip.
        """
        return self.noise_multiplier * self.clip * (1 + ROUNDING) if self.noise_multiplier else 0.0
