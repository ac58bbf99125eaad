"""What a private training run did, as far as its promise depends on it."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mialab import _check
from mialab._validation import door


@runtime_checkable
class Steps(Protocol):
    """What the accountants read: any recipe with these three fields is its own receipt."""

    @property
    def noise_multiplier(self) -> float:
        """σ: the standard deviation of the noise, in units of one record's largest contribution."""
        ...

    @property
    def sampling_rate(self) -> float:
        """q: the chance with which each record, independently, takes part in a step."""
        ...

    @property
    def steps(self) -> int:
        """How often."""
        ...


@door
@dataclass(frozen=True)
class SampledGaussian:
    """Sums of records drawn by independent coins, with Gaussian noise: the steps of DP-SGD.

    In a step each record takes part with chance q, contributes a vector of length at most 1, and noise of
    standard deviation σ is added to each coordinate of the sum. To the attacker who knows everything else a
    step is, at worst, one number: N(0, σ²) without the record, (1 − q)·N(0, σ²) + q·N(1, σ²) with it (Zhu,
    Dong & Wang 2022). A batch of fixed size is another mechanism.

    Attributes
    ----------
    noise_multiplier
        σ, above 0. Without noise there is no promise to compute.
    sampling_rate
        q, in (0, 1].
    steps
        A whole number, at least 1.

    Raises
    ------
    ValueError
        If a field is out of its range.

    Examples
    --------
    >>> SampledGaussian(noise_multiplier=4.0, sampling_rate=0.01, steps=10_000)
    SampledGaussian(noise_multiplier=4.0, sampling_rate=0.01, steps=10000)
    """

    noise_multiplier: float
    sampling_rate: float
    steps: int

    def __post_init__(self):
        check(self)


def read(*phases: Steps) -> list[SampledGaussian]:
    """Check the phases, and return them in Python's own numbers: those of 16 bits overflow on the way.

    Examples
    --------
    >>> read(SampledGaussian(1, 1, 10))
    [SampledGaussian(noise_multiplier=1.0, sampling_rate=1.0, steps=10)]
    """
    check(*phases)
    return [
        SampledGaussian(float(one.noise_multiplier), float(one.sampling_rate), int(one.steps))
        for one in phases
    ]


def check(*phases: Steps) -> None:
    """Refuse what nothing can be promised for."""
    _check.at_least("number of phases", len(phases), 1)
    for one in phases:
        _check.magnitude("noise_multiplier", one.noise_multiplier)
        _check.rate("sampling_rate", one.sampling_rate)
        _check.at_least("steps", one.steps, 1)
