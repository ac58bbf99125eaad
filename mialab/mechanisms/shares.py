"""From reported answers back to true shares.

A person of this answer reports it with probability p, any other with probability q < p. So the number of
reports has mean n·(q + (p − q)·π), and (count/n − q)/(p − q) is unbiased for the share π.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, betaincinv, gammaln, xlog1py, xlogy

from mialab import _check
from mialab._validation import door

_MOST = 2**31  # the number of terms, and of places to look at


@door
@dataclass(frozen=True)
class Shares:
    """An estimated share, with its standard error and interval.

    Attributes
    ----------
    value
        Unbiased; may lie outside [0, 1].
    standard_error
        Square root of the unbiased estimate of its variance.
    low, high
        Exact interval; may reach outside [0, 1] where the people are sampled.
    confidence
        Share of repetitions in which the interval holds the truth, at least.
    method
        Where the interval comes from.

    Examples
    --------
    >>> print(shares_on_file(400, 1000, 0.75, 0.25))
    0.300 [0.246, 0.354]
    """

    value: float
    standard_error: float
    low: float
    high: float
    confidence: float
    method: str

    def __str__(self) -> str:
        """Print three decimals."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@door
def shares_of_people(
    count: int, people: int, truth: float, lie: float, *, confidence: float = 0.95
) -> Shares:
    """Estimate the share in the population from which the people were drawn independently.

    The reports are then independent too, and Clopper & Pearson's interval for their rate, mapped by the
    straight line, is exact.

    Parameters
    ----------
    count, people
        How many reported the answer, of how many.
    truth, lie
        p and q.
    confidence
        In (0, 1).

    Raises
    ------
    ValueError
        If ``count`` is not a whole number in 0 … ``people``, p and q are not in [0, 1] with p above q, or
        ``confidence`` is not in (0, 1).

    Examples
    --------
    >>> print(shares_of_people(400, 1000, 0.75, 0.25))
    0.300 [0.239, 0.362]
    """
    _check_survey(count, people, truth, lie, confidence)
    error, slope = (1 - confidence) / 2, truth - lie
    seen = count / people
    low = betaincinv(count, people - count + 1, error) if count else 0.0
    high = 1 - betaincinv(people - count, count + 1, error) if count < people else 1.0
    spread = np.sqrt(seen * (1 - seen) / (people - 1)) / slope if people > 1 else np.inf
    value, low, high = (float((rate - lie) / slope) for rate in (seen, low, high))
    return Shares(value, float(spread), low, high, confidence, "Clopper-Pearson, people sampled")


@door
def shares_on_file(count: int, people: int, truth: float, lie: float, *, confidence: float = 0.95) -> Shares:
    """Estimate the share among these very people; only their coins are random.

    With m true ones, the count is Bin(m, p) + Bin(n − m, q), which grows with m. The interval holds every m
    that neither one-sided test at half of the error rejects: exact, as Clopper & Pearson's is.

    Parameters
    ----------
    count, people, truth, lie, confidence
        As for `shares_of_people`.

    Raises
    ------
    ValueError
        As `shares_of_people` does.
    """
    _check_survey(count, people, truth, lie, confidence)
    error, slope = (1 - confidence) / 2, truth - lie

    def too_many(true: int) -> bool:
        return _chance_at_most(count, true, people, truth, lie) <= error

    def enough(true: int) -> bool:
        return 1 - _chance_at_most(count - 1, true, people, truth, lie) > error

    first, end = (bisect_left(range(people + 1), True, key=holds) for holds in (enough, too_many))
    low, high = min(first, people) / people, max(end - 1, 0) / people
    value = (count / people - lie) / slope
    variance = (value * truth * (1 - truth) + (1 - value) * lie * (1 - lie)) / (people * slope**2)
    spread = float(np.sqrt(max(variance, 0.0)))
    return Shares(float(value), spread, low, high, confidence, "exact, these people are the file")


def _chance_at_most(count: int, true: int, people: int, truth: float, lie: float) -> float:
    """Return P(Bin(true, p) + Bin(people − true, q) ≤ count)."""
    hits = np.arange(min(true, count) + 1) if count >= 0 else np.arange(0)
    log_choices = gammaln(true + 1) - gammaln(hits + 1) - gammaln(true - hits + 1)
    log_chance = log_choices + xlogy(hits, truth) + xlog1py(true - hits, -truth)
    rest = people - true
    others = bdtr(np.minimum(count - hits, rest), rest, lie) if rest else np.ones(len(hits))
    return float(np.sum(np.exp(log_chance) * others))


def _check_survey(count: int, people: int, truth: float, lie: float, confidence: float) -> None:
    _check.at_least("people", people, 1)
    if int(people) > _MOST:
        _check.refuse("people", f"be at most {_MOST}", people)
    _check.probability("truth", truth)
    _check.probability("lie", lie)
    if not truth > lie:
        _check.refuse("truth", f"be above lie = {lie}", truth)
    _check.within("count", count, people, "people")
    _check.confidence(confidence)
