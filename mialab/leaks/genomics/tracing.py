"""Tracing a genome in the study whose allele frequencies were published."""

import numpy as np

from mialab import _check
from mialab._validation import door
from mialab.leaks.genomics._tables import Dosages, Frequencies, Scores, Table, sum_scores
from mialab.leaks.genomics.frequencies import Reference, check_all


@door
def homer(released: Frequencies, candidates: Dosages, reference: Reference) -> Scores:
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
    known = np.count_nonzero(candidates >= 0, axis=1)
    total, squares = (sum_scores(table, candidates) for table in (apart, apart**2))
    spread = squares - total**2 / known
    flat = (known < 2) | (spread <= 1e-12 * squares)  # only rounding
    if flat.any():
        _check.refuse("candidates", "have distances that vary over the variants", f"row {flat.argmax()}")
    return total / np.sqrt(known * spread / (known - 1))


@door
def likelihood_ratio(
    released: Frequencies, candidates: Dosages, reference: Reference, *, error: float = 0.0
) -> Scores:
    """Return log p(genome | drawn from the study) − log p(genome | drawn from the reference).

    Σ x·log(f/r) + (2 − x)·log((1 − f)/(1 − r)), as if both alleles were drawn from the released
    frequencies: the test of Sankararaman et al. 2009. It is not centred: a stranger's score is negative.

    Parameters
    ----------
    released, candidates, reference
        As for `homer`.
    error
        In [0, 1): the chance that a genotype was read wrong, and is then like a stranger's. At 0, who carries
        an allele that nobody in the study has is no member, for certain, and the score is −∞.

    Raises
    ------
    ValueError
        If shapes differ or a number is out of its range.

    Examples
    --------
    >>> known = Reference(np.array([0.5, 0.1]))
    >>> likelihood_ratio(np.array([0.6, 0.0]), np.array([[2, 0], [1, 1]]), known).round(3)
    array([0.575,  -inf])
    >>> likelihood_ratio(np.array([0.6, 0.0]), np.array([[1, 1]]), known, error=0.01).round(3)
    array([-4.646])
    """
    check_all(released, candidates, reference)
    return sum_scores(_log_ratio(released, released, 1 - released, reference, error), candidates)


@door
def exact_likelihood_ratio(
    released: Frequencies, candidates: Dosages, reference: Reference, n: int, *, error: float = 0.0
) -> Scores:
    """Return log p(frequencies | the candidate is in) − log p(frequencies | a stranger is in the place).

    With c of the study's 2n alleles being the counted one, the ratio at a variant is
    Bin(c − x; 2n − 2, p)/Bin(c; 2n, p). The binomials cancel, and what is left is the chance of drawing the
    genotype from the study *without putting the first allele back*, over that of drawing it from the
    population: c(c − 1)/2n(2n − 1) over p², for x = 2. So this is `likelihood_ratio` without its last
    approximation, and by the lemma of Neyman & Pearson 1933 no test is better, for independent variants in
    Hardy-Weinberg proportions, known frequencies, and error 0.

    Parameters
    ----------
    released, candidates, reference, error
        As for `likelihood_ratio`. The frequencies must be counts out of 2n alleles.
    n
        How many people are in the study; at least 2.

    Raises
    ------
    ValueError
        If shapes differ, a number is out of its range, or a frequency is no count out of 2n.

    Examples
    --------
    >>> known = Reference(np.array([0.5]))
    >>> np.exp(exact_likelihood_ratio(np.array([0.25]), np.array([[0], [1], [2]]), known, n=2)).round(3)
    array([2., 1., 0.])
    """
    _check.count("n", n, 2)
    check_all(released, candidates, reference)
    alleles, count = 2 * n, np.rint(2 * n * released)
    off = np.abs(2 * n * released - count)
    if off.max() > 1e-6 * alleles:
        where = f"{released[off.argmax()]} at variant {off.argmax()}"
        _check.refuse("released", f"be counts out of 2n = {alleles} alleles", where)
    again = np.maximum(count - 1, 0) / (alleles - 1)
    other = np.maximum(alleles - count - 1, 0) / (alleles - 1)
    return sum_scores(_log_ratio(count / alleles, again, other, reference, error), candidates)


@door
def z_score(released: Frequencies, candidates: Dosages, reference: Reference, n: int) -> Scores:
    """Return how many standard deviations the study leans towards each genome; N(0, 1) for strangers.

    The test of `aggregates.z_score` for independent variants of variance 2r(1 − r). With a reference of N
    people a stranger's sum Σ (x − 2r)(2f − 2r)/2r(1 − r) is not 0 on average, because r is in both factors
    and in the variance. To second order it is Σ (1 + (3 + 2(1 − 2r)²/r(1 − r))/2N)/N, about m/N for m
    variants; that is taken off. Variants that are not independent, rare alleles and another population break
    the N(0, 1).

    Parameters
    ----------
    released, candidates, reference
        As for `homer`.
    n
        How many people are in the study; at least 2.

    Raises
    ------
    ValueError
        If shapes differ or a number is out of its range.

    Examples
    --------
    >>> known = Reference(np.array([0.5, 0.5]))
    >>> z_score(np.array([0.6, 0.5]), np.array([[2, 1], [0, 1], [2, 0]]), known, n=50).round(3)
    array([ 2.   , -2.   ,  1.414])
    """
    _check.count("n", n, 2)
    check_all(released, candidates, reference)
    away = np.arange(3)[:, None] - 2 * reference.frequency
    lean = away * 2 * (released - reference.frequency) / reference.variance
    terms = lean - _lift(reference), away**2 / reference.variance
    total, squares = (sum_scores(table, candidates) for table in terms)
    if not squares.all():
        rule = "differ from the reference's mean"
        _check.refuse("candidates", rule, f"none in row {squares.argmin()}")
    return total / np.sqrt(squares * (1 / n + 1 / reference.people))


def _lift(reference: Reference) -> Frequencies:
    """Return a stranger's mean at each variant, E 2(p − r)²/r(1 − r), to second order in 1/N.

    With e = r − p, v = p(1 − p)/2N and s = 1 − 2p: 1/r(1 − r) = (1 − se/pq + e²/pq + s²e²/(pq)² …)/pq, and
    the moments of a binomial share are E e² = v, E e³ = vs/2N, E e⁴ = 3v² + …; then r is put for p.
    """
    r, people = reference.frequency, reference.people
    skew = 2 * (1 - 2 * r) ** 2 / (r * (1 - r))
    return (1 + (3 + skew) / (2 * people)) / people


def _log_ratio(
    first: Frequencies, second: Frequencies, other: Frequencies, reference: Reference, error: float
) -> Table:
    """Return log((1 − e)·p(x | study)/p(x | reference) + e) for x = 0, 1, 2.

    The first allele has frequency ``first``; after an allele of one kind the next of the same kind has
    ``second`` (counted allele) or ``other`` (the other one).
    """
    _check.share("error", error)
    p, q = reference.frequency, 1 - reference.frequency
    none = (1 - first) * other / q**2
    both = first * second / p**2
    one = first * (1 - second) / (p * q)
    with np.errstate(divide="ignore"):  # an allele that the study does not have: −∞, on purpose
        return np.log((1 - error) * np.stack([none, one, both]) + error)
