"""The statistic with which it began: a distance."""

import numpy as np

from mialab import _check
from mialab._validation import door
from mialab.leaks.genomics._tables import Frequencies, Genotypes, Scores, add_up, observed, worth_of
from mialab.leaks.genomics.frequencies import Reference, check_all


@door
def homer(released: Frequencies, candidates: Genotypes, reference: Reference) -> Scores:
    """Return the distance statistic: how much closer the genome is to the study than to the reference.

    At each variant |x/2 − r| − |x/2 − f|, for a genotype x, a reference frequency r and a released one f;
    then mean/(standard deviation/√variants) over the variants (Homer et al. 2008). It was compared with
    N(0, 1). A stranger's score is that only if study and reference are equally large samples of one
    population, and variants are independent (Sampson & Zhao 2009; Braun et al. 2009).

    Parameters
    ----------
    released
        Float (variants,), in [0, 1].
    candidates
        Int (people, variants): 0, 1, 2, or −1 for missing, which is left out.
    reference
        What is known of the population.

    Raises
    ------
    ValueError
        If shapes differ, a number is out of its range, or a candidate has fewer than two known genotypes
        or the same distance at all variants.

    Examples
    --------
    >>> known = Reference(np.array([0.5, 0.5, 0.5]))
    >>> homer(np.array([0.7, 0.4, 0.5]), np.array([[2, 0, 1], [0, 2, 1]]), known).round(3)
    array([ 1.732, -1.732])
    """
    check_all(released, candidates, reference)
    half = np.array([0.0, 0.5, 1.0])[:, None]
    apart = np.abs(half - reference.frequency) - np.abs(half - released)
    known = observed(candidates)
    total, squares = (add_up(worth_of(*of), candidates) for of in (apart, apart**2))
    spread = squares - total**2 / known
    flat = (known < 2) | (spread <= 1e-12 * squares)  # only rounding
    if flat.any():
        _check.refuse("candidates", "have distances that vary over the variants", f"row {flat.argmax()}")
    return total / np.sqrt(known * spread / (known - 1))
