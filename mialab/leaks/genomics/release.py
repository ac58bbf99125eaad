"""Frequencies with a promise, and what the promise costs an association study."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.leaks.genomics._tables import Frequencies, check_frequencies, check_people
from mialab.mechanisms import noise


@door
def gaussian_release(variants: int, n: int, epsilon: float, delta: float) -> noise.Gaussian:
    """Return Gaussian noise that makes the frequencies of n people (ε, δ)-private, all variants together.

    Who is replaced by somebody else moves each frequency by at most 1/n (two alleles of 2n), and m of them by
    a Euclidean distance of at most √m/n: the sensitivity. How many people are in the study is public. Every
    genotype must be known: where one is missing, the divisor is smaller, and a person moves the frequency by
    more. The noise is of real numbers (see `noise`).

    Parameters
    ----------
    variants
        How many frequencies are released, m, at least 1; chosen without looking at the study.
    n
        How many people are in the study; at least 2.
    epsilon, delta
        As in `noise.calibrate`.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> few, many = (gaussian_release(m, 1000, 1.0, 1e-6).standard_deviation for m in (10, 100_000))
    >>> round(few, 4), round(many, 3)
    (0.0134, 1.336)
    """
    _check.count("variants", variants, 1)
    check_people(n)
    if epsilon > 2**20:
        _check.refuse("epsilon", "be at most 2**20: more is no promise", epsilon)
    return noise.Gaussian(noise.calibrate(epsilon, delta), float(np.sqrt(variants)) / n, Neighbours.REPLACE)


@door
def trend_z(
    cases: Float[ndarray, "variants"],
    controls: Float[ndarray, "variants"],
    frequency: Frequencies,
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
    >>> trend_z(np.array([0.55]), np.array([0.5]), np.array([0.5]), (1000, 1000)).round(2)
    array([3.16])
    """
    check_frequencies("frequency", frequency)
    for name, array in (("cases", cases), ("controls", controls)):
        _check.squares(name, array)
    for size, spread in zip(sizes, noise_sd, strict=True):
        check_people(size)
        _check.not_negative("noise_sd", spread)
        _check.squares("noise_sd", np.asarray(spread))
    if not ((frequency > 0) & (frequency < 1)).all():
        _check.refuse("frequency", "be above 0 and below 1", f"{frequency.min()} … {frequency.max()}")
    sampling = frequency * (1 - frequency) / 2 * (1 / sizes[0] + 1 / sizes[1])
    return (cases - controls) / np.sqrt(sampling + noise_sd[0] ** 2 + noise_sd[1] ** 2)
