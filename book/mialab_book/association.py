"""The allelic test of an association study, on frequencies that noise was added to."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door


@door
def allelic_z_score(
    cases: Float[ndarray, "variants"],
    controls: Float[ndarray, "variants"],
    frequency: Float[ndarray, "variants"],
    sizes: tuple[int, int],
    *,
    noise_sd: tuple[float, float] = (0.0, 0.0),
) -> Float[ndarray, "variants"]:
    """Return how many standard errors the allele frequencies of cases and controls are apart.

    (f₁ − f₀)/√(p(1 − p)(1/2n₁ + 1/2n₀) + s₁² + s₀²): the allelic test of an association study, which
    knows how much noise was added.

    Parameters
    ----------
    cases, controls
        Float (variants,): released frequencies, which noise may have taken out of [0, 1].
    frequency
        Float (variants,): p of a public reference, above 0 and below 1.
    sizes
        n₁ and n₀, each at least 2.
    noise_sd
        s₁ and s₀, at least 0.

    Raises
    ------
    ValueError
        If shapes differ or a number is out of its range.

    Examples
    --------
    >>> allelic_z_score(np.array([0.55]), np.array([0.5]), np.array([0.5]), (1000, 1000)).round(2)
    array([3.16])
    """
    for name, array in (("cases", cases), ("controls", controls), ("frequency", frequency)):
        _check.squares(name, array)
    for size, spread in zip(sizes, noise_sd, strict=True):
        _check.count("sizes", size, 2)
        _check.not_negative("noise_sd", spread)
        _check.squares("noise_sd", np.asarray(spread))
    if not ((frequency > 0) & (frequency < 1)).all():
        _check.refuse("frequency", "be above 0 and below 1", f"{frequency.min()} … {frequency.max()}")
    sampling = frequency * (1 - frequency) / 2 * (1 / sizes[0] + 1 / sizes[1])
    return (cases - controls) / np.sqrt(sampling + noise_sd[0] ** 2 + noise_sd[1] ** 2)
