"""What many small steps look like from afar: a description, not a promise."""

import math

import numpy as np

from mialab import _check
from mialab._validation import door
from mialab.accounting.steps import Steps, read
from mialab.tradeoff import GaussianCurve


@door
def description(*phases: Steps) -> GaussianCurve:
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
    >>> from mialab.accounting import SampledGaussian
    >>> near = description(SampledGaussian(4.0, 0.01, 10_000))
    >>> print(round(tradeoff.epsilon_at(near, 1e-5), 5))  # the truth is above 0.9468
    0.94244
    """
    with np.errstate(over="ignore"):
        each = [
            one.sampling_rate * np.sqrt(one.steps * np.expm1(one.noise_multiplier**-2.0))
            for one in read(*phases)
        ]
    if not np.isfinite(mu := math.hypot(*each)):
        _check.refuse("noise_multiplier", "be large enough for a finite μ", f"μ = {mu}")
    return GaussianCurve(mu)
