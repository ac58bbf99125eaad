"""Linkage: variants that lie close together on a chromosome are correlated."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.leaks import aggregates
from mialab.leaks.genomics._tables import Dosages, Frequencies, check_frequencies, check_genotypes


@door
def effective_variants(genotypes: Dosages) -> float:
    """Return how many independent variants would spread a stranger's score as little as these do.

    m²/Σ r²ᵢⱼ over all pairs of variants, r being their correlation. The test that takes variants for
    independent has for a member a mean in proportion to m/n and a variance in proportion to Σ r²/n, and so
    the power of that many. Each squared correlation that was estimated from N people is too large by (1 −
    r²)/(N − 2), and that is taken off; the result may be a little above m by luck.

    Parameters
    ----------
    genotypes
        Int (people, variants): 0, 1 or 2, none missing; at least four people, and every variant must vary.

    Raises
    ------
    ValueError
        If a genotype is missing or out of range, there are fewer than four people, or a variant does
        not vary.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> free = rng.binomial(2, 0.5, size=(1000, 40))
    >>> round(effective_variants(free)), round(effective_variants(np.repeat(free, 3, axis=1)))
    (40, 40)
    """
    x = _complete("genotypes", genotypes)
    people, variants = x.shape
    _check.at_least("the number of people", people, 4)
    z = x - x.mean(axis=0)
    size = np.linalg.norm(z, axis=0)
    if not size.all():
        _check.refuse("genotypes", "vary at every variant", f"none at {size.argmin()}")
    z /= size
    gram = z @ z.T if people < variants else z.T @ z  # both have the same sum of squares
    pairs = np.sum(gram**2) - variants
    pairs -= (variants * (variants - 1) - pairs) / (people - 2)
    return float(variants**2 / (variants + pairs))


@door
def whitened_z_score(
    released: Frequencies,
    candidates: Dosages,
    reference: Int[ndarray, "others variants"],
    n: int,
    *,
    directions: int,
) -> Float[ndarray, "people"]:
    """Return `aggregates.z_score` with the correlations of a reference's genotypes taken into account.

    Only ``directions`` are kept, those in which the reference varies most: each needs several people before
    its variance means anything. As in `tracing.z_score`, what the reference's own error adds is taken off.

    Parameters
    ----------
    released
        Float (variants,), in [0, 1].
    candidates, reference
        Int (people, variants): 0, 1 or 2, none missing.
    n
        How many people are in the study; at least 2.
    directions
        At least 1.

    Raises
    ------
    ValueError
        If shapes differ, a genotype is missing, or a number is out of its range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> study, strangers, reference = rng.binomial(2, 0.5, size=(3, 200, 100)).repeat(2, axis=2)
    >>> released = study[:20].mean(axis=0) / 2
    >>> for people in (study[:20], strangers):
    ...     print(whitened_z_score(released, people, reference, n=20, directions=50).mean().round(1))
    1.0
    -0.1
    """
    _check.count("n", n, 2)
    _check.at_least("directions", directions, 1)
    x, known = _complete("candidates", candidates), _complete("reference", reference)
    check_frequencies("released", released)
    population = aggregates.Population.of(known, directions=directions)
    z = aggregates.z_score(2 * released, x, population, n)
    people = len(known)
    spread = population.distance(x) * np.sqrt(1 / n + 1 / people)
    return z - population.rank / people / spread


def _complete(name: str, genotypes: ndarray) -> ndarray:
    """Return genotypes as floats, and refuse a missing one."""
    check_genotypes(name, genotypes)
    if missing := np.count_nonzero(genotypes < 0):
        _check.refuse(name, "have no missing genotype where correlations count", f"{missing} of them")
    return genotypes.astype(float)
