"""What a private training run did, as far as its promise depends on it: many steps of a sampled Gaussian."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.tradeoff import GaussianCurve

_CLIPS = 2.0**-100, 2.0**100


@runtime_checkable
class Steps(Protocol):
    """What the accountants read: any recipe with these three fields is its own receipt.

    A recipe may also say whose part of the data the promise protects, as ``unit``; else it is a "record".
    """

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
        """How often. With 0 nothing is released, and ε is 0."""
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
        A whole number, at least 0.

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


@door
def gdp_approximation(*phases: Steps) -> GaussianCurve:
    """Return the Gaussian curve that the steps come near to, as they get many and small.

    μ² = Σ q² · steps · (e^(1/σ²) − 1) (Bu, Dong, Long & Su 2020, for Poisson sampling). This is
    **not a bound**: the ε read from it is often below the true one. For a bound ask `privacy_loss`.

    Raises
    ------
    ValueError
        If there is no phase, a field of one is out of its range, or there is too little noise.

    Examples
    --------
    >>> from mialab import tradeoff
    >>> near = gdp_approximation(SampledGaussian(4.0, 0.01, 10_000))
    >>> print(round(tradeoff.epsilon_at(near, 1e-5), 5))  # the truth is above 0.9468
    0.94244
    """
    with np.errstate(over="ignore"):
        each = [
            step.sampling_rate * np.sqrt(step.steps * np.expm1(step.noise_multiplier**-2.0))
            for step in read(phases)
        ]
    if not np.isfinite(mu := math.hypot(*each)):
        _check.refuse("noise_multiplier", "be large enough for a finite μ", f"μ = {mu}")
    return GaussianCurve(mu)


def sampled_loss(loss: Float[ndarray, "*outputs"], sampling_rate: float) -> Float[ndarray, "*outputs"]:
    """Return ln((1 − q) + q·e^loss): what a loss becomes for a record that takes part with chance q.

    Of Gaussian noise, whose mean the record moves from 0 to 1, the loss is (x − ½)/σ².

    Examples
    --------
    >>> sampled_loss(np.array([0.0, np.log(3)]), 0.5).round(6), sampled_loss(np.array([2.0]), 1.0)
    (array([0.      , 0.693147]), array([2.]))
    """
    with np.errstate(divide="ignore"):
        return np.logaddexp(np.log1p(-sampling_rate), np.log(sampling_rate) + loss)


def check(recipe: Steps, *, clip: float | None = None) -> None:
    """Refuse what is no sampled Gaussian: the one rule of accountants, trainers, federations and faults.

    What has a clip is trained, and may do without noise, and then without any promise.
    """
    if clip is not None:
        check_clip(clip)
        _check.not_negative("noise_multiplier", recipe.noise_multiplier)
        if math.isinf(clip) and recipe.noise_multiplier:
            _check.refuse("noise_multiplier", "be 0 where clip is infinite", recipe.noise_multiplier)
    if clip is None or recipe.noise_multiplier:
        _check.magnitude("noise_multiplier", recipe.noise_multiplier)
    _check.rate("sampling_rate", recipe.sampling_rate)
    _check.at_least("steps", recipe.steps, 0)


def check_clip(clip: float) -> None:
    """Refuse a clip that is not above 0, or so near a float's ends that nothing could be shortened to it."""
    _check.above_0("clip", clip)
    if not (_CLIPS[0] <= clip <= _CLIPS[1] or math.isinf(clip)):
        _check.refuse("clip", "be in 2⁻¹⁰⁰ … 2¹⁰⁰, or infinite", clip)


def read(phases: Sequence[Steps]) -> list[SampledGaussian]:
    """Return those phases that release anything, in Python's own numbers, and refuse half a step.

    Examples
    --------
    >>> read([SampledGaussian(1, 1, 10), SampledGaussian(1, 1, 0)])
    [SampledGaussian(noise_multiplier=1.0, sampling_rate=1.0, steps=10)]
    """
    _check.at_least("number of phases", len(phases), 1)
    told = [phase for phase in phases if phase.steps != 0]
    exact = [
        SampledGaussian(one.noise_multiplier, one.sampling_rate, one.steps) for one in told
    ]  # by the door
    return [
        SampledGaussian(float(one.noise_multiplier), float(one.sampling_rate), one.steps) for one in exact
    ]


def unit_of(phases: Sequence[Steps]) -> str:
    """Return whose part of the data all the phases protect."""
    units = {getattr(recipe, "unit", "record") for recipe in phases}
    if len(units) > 1:
        _check.refuse("phases", "protect the same unit", " and ".join(sorted(units)))
    return units.pop()
