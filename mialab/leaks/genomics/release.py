"""Allele frequencies with differential privacy."""

import numpy as np

from mialab import _check
from mialab._validation import door
from mialab.accounting import Neighbours
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
    _check.count("n", n, 2)
    if epsilon > 2**20:
        _check.refuse("epsilon", "be at most 2**20: more is no promise", epsilon)
    return noise.Gaussian(noise.calibrate(epsilon, delta), float(np.sqrt(variants)) / n, Neighbours.REPLACE)
