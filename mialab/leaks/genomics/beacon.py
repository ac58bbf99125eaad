"""A beacon answers one question only: does anybody in here carry this allele? Yes or no.

For an allele of frequency p, nobody among n people carries it with probability Dₙ = (1 − p)²ⁿ. The attacker
asks for alleles that the candidate carries. If the candidate is not in, the answer is "no" with probability
Dₙ. If the candidate is in, it is "no" only if the candidate's allele was misread, with probability δ, and the
n − 1 others don't carry it: δ·Dₙ₋₁ (Shringarpure & Bustamante 2015).
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.special import bdtr

from mialab import _check
from mialab._bisection import bisect
from mialab._validation import door
from mialab.leaks.genomics._tables import Dosages, Frequencies, check_frequencies, check_genotypes, sum_scores

Answers = Bool[ndarray, "variants"]


@door
def answers(genotypes: Dosages) -> Answers:
    """Return what an honest beacon says of each variant's counted allele.

    Examples
    --------
    >>> answers(np.array([[0, 1, 0], [0, 2, -1]]))
    array([False,  True, False])
    """
    check_genotypes("genotypes", genotypes)
    return np.asarray((genotypes > 0).any(axis=0))


@door
def log_absent(frequency: Float[ndarray, "..."], people: int) -> Float[ndarray, "..."]:
    """Return ln Dₙ = 2n·ln(1 − p): nobody among so many people carries the allele.

    Raises
    ------
    ValueError
        If ``people`` is below 1, or a frequency is not in [0, 1].
    """
    _check.count("people", people, 1)
    check_frequencies("frequency", np.ravel(frequency))
    with np.errstate(divide="ignore"):  # everybody carries an allele of frequency 1
        return np.asarray(2 * people * np.log1p(-frequency))


@door
def likelihood_ratio(
    answered: Answers, candidates: Dosages, frequency: Frequencies, n: int, *, mismatch: float
) -> Float[ndarray, "people"]:
    """Return log p(answers | in) − log p(answers | not in), over the alleles that the candidate carries.

    Yes: ln((1 − δ·Dₙ₋₁)/(1 − Dₙ)). No: ln(δ·Dₙ₋₁/Dₙ). What the candidate does not carry is not asked.

    Parameters
    ----------
    answered
        Bool (variants,).
    candidates
        Int (people, variants): 0, 1, 2, or −1 for missing, which is not asked.
    frequency
        Float (variants,), of the allele in the population; above 0, below 1.
    n
        How many people are in the beacon; at least 2.
    mismatch
        δ, in [0, 1). At 0 a single "no" is proof of absence, and the score −∞.

    Raises
    ------
    ValueError
        If shapes differ or a number is out of its range.

    Examples
    --------
    >>> rare = np.array([0.001, 0.001])
    >>> carries = np.array([[1, 1], [1, 0]])
    >>> likelihood_ratio(np.array([True, False]), carries, rare, n=50, mismatch=1e-3).round(3)
    array([-4.555,  2.351])
    """
    _check.count("n", n, 2)
    check_genotypes("candidates", candidates)
    check_frequencies("frequency", frequency, open_ends=True)
    _check.share("mismatch", mismatch)
    absent, without = log_absent(frequency, n), log_absent(frequency, n - 1)
    with np.errstate(divide="ignore"):  # no mismatch: −∞ for a "no", on purpose
        yes = np.log1p(-mismatch * np.exp(without)) - np.log(-np.expm1(absent))
        no = np.log(mismatch) + without - absent
    carried = np.where(answered, yes, no)
    return sum_scores(np.stack([np.zeros_like(carried), carried, carried]), candidates)


@door
def expected_tpr(
    fpr: float,
    queries: int | Int[ndarray, "..."],
    frequencies: Float[ndarray, "variants"],
    n: int,
    *,
    mismatch: float,
) -> Float[ndarray, "..."]:
    """Return the true-positive rate of so many questions, each for an allele drawn from ``frequencies``.

    The attacker of Shringarpure & Bustamante 2015 knows how frequencies are distributed, but not each of
    them. Then all questions are alike, with D the mean over the distribution, and the likelihood ratio grows
    with the number of "yes". That number is Bin(queries, 1 − Dₙ) for a stranger, and
    Bin(queries, 1 − δ·Dₙ₋₁) for a member. Accused is who has as many as strangers have with probability
    ``fpr`` or less: exact, and a step function.

    Parameters
    ----------
    fpr
        In [0, 1].
    queries
        How many questions, at least 0.
    frequencies
        Of alleles that a candidate carries: a carrier has common alleles more often than rare ones.
    n, mismatch
        As for `likelihood_ratio`.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> expected_tpr(0.05, np.array([10, 100, 1000]), np.array([0.001]), n=1000, mismatch=1e-6).round(3)
    array([0., 1., 1.])
    """
    _check.count("n", n, 2)
    _check.probability("fpr", fpr)
    _check.hold("frequencies", frequencies, 1, "frequencies")
    check_frequencies("frequencies", frequencies)
    _check.share("mismatch", mismatch)
    queries = np.asarray(queries)
    _check.labels("queries", queries, classes=2**31)  # SciPy's binomial counts no further
    absent, without = (np.exp(log_absent(frequencies, people)).mean() for people in (n, n - 1))
    tpr = [_tpr(fpr, asked, absent, mismatch * without) for asked in queries.ravel().tolist()]
    return np.reshape(tpr, queries.shape)


def _tpr(fpr: float, queries: int, no_out: float, no_in: float) -> float:
    """Return the TPR if a "no" has these probabilities, and as many "yes" accuse as strangers rarely have."""

    def at_least(yes: float, no: float) -> float:
        # bdtr counts the "no" that are left, and keeps its precision where they are rare
        left = queries - max(0, math.floor(yes))
        return float(bdtr(left, queries, no)) if left >= 0 else 0.0

    _, needed = bisect(lambda yes: at_least(yes, no_out) > fpr, -1.0, queries + 1.0, close=0.5)
    return at_least(needed, no_in)


@door
def budgeted_answers(
    genotypes: Dosages, queries: Int[ndarray, "queries"], frequency: Frequencies, budget: float
) -> Bool[ndarray, "queries"]:
    """Return the answers of a beacon in which every person has a budget, in the order of the questions.

    A "yes" to an allele of frequency p is worth ln(1/(1 − Dₙ)) of log-likelihood ratio to whoever suspects
    one of its carriers. So much is taken from the budget of each carrier who stands behind the answer; who
    cannot pay is treated as if they did not carry the allele (Raisaro et al. 2017). So no person's "yes" add
    up to more than the budget. It is no differential privacy: what is promised is about this attack, and
    about people whose relatives are not in the beacon either.

    Parameters
    ----------
    genotypes
        Int (people, variants) of the people in the beacon.
    queries
        Which variants are asked for, in order.
    frequency
        Float (variants,), of the counted allele in the population.
    budget
        In units of log-likelihood ratio, at least 0; may be infinite.

    Raises
    ------
    ValueError
        If shapes differ, there are fewer than two people, a query is for no variant, or the budget is
        negative.

    Examples
    --------
    >>> people = np.array([[1, 1], [1, 0]])
    >>> budgeted_answers(people, np.array([1, 1, 0]), np.array([0.2, 0.1]), budget=2.0)
    array([ True, False,  True])
    """
    check_genotypes("genotypes", genotypes)
    people, variants = genotypes.shape
    _check.count("the number of people", people, 2)
    check_frequencies("frequency", frequency)
    _check.at_least("budget", budget, 0)
    _check.labels("queries", queries, classes=variants)
    with np.errstate(divide="ignore"):
        price = -np.log(-np.expm1(log_absent(frequency, people)))
    left, said = np.full(people, budget, dtype=float), np.zeros(len(queries), dtype=bool)
    for place, variant in enumerate(queries):
        pays = (genotypes[:, variant] > 0) & (left >= price[variant])
        left[pays] -= price[variant]
        said[place] = pays.any()
    return said
