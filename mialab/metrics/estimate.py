"""A number with its interval."""

from dataclasses import dataclass

from scipy.special import betaincinv

from mialab import _check
from mialab._validation import door


@door
@dataclass(frozen=True, repr=False)
class Estimate:
    """An estimate that never travels without its interval.

    Attributes
    ----------
    value
        The estimate.
    low, high
        The interval.
    confidence
        Share of repetitions in which the interval holds the truth.
    method
        Where the interval comes from.
    resolved
        False where the sample is too small to know this number: there are fewer than ten false
        positives behind it. It then prints as such.

    Raises
    ------
    ValueError
        If the interval does not hold the value.

    Examples
    --------
    >>> Estimate(0.5, 0.4, 0.6, 0.95, "exact")
    Estimate(0.500 [0.400, 0.600]; 95 %, exact)
    >>> print(Estimate(0.5, 0.4, 0.6, 0.95, "exact"))
    0.500 [0.400, 0.600]
    >>> print(Estimate(0.5, 0.0, 1.0, 0.95, "exact", resolved=False))
    not resolved [0.000, 1.000]
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str
    resolved: bool = True

    def __post_init__(self):
        _check.confidence(self.confidence)
        if not self.low <= self.value <= self.high:
            _check.refuse("value", f"lie in its interval [{self.low}, {self.high}]", self.value)

    def __str__(self) -> str:
        """Print three decimals, and no value that the sample does not know."""
        value = f"{self.value:.3f}" if self.resolved else "not resolved"
        return f"{value} [{self.low:.3f}, {self.high:.3f}]"

    def __repr__(self) -> str:
        """Print the same, and where it comes from."""
        return f"Estimate({self}; {100 * self.confidence:g} %, {self.method})"


def widened(
    value: float, low: float, high: float, confidence: float, method: str, resolved: bool = True
) -> Estimate:
    """Make an estimate whose interval is widened to its value, where it leaves that out."""
    return Estimate(value, min(low, value), max(high, value), confidence, method, resolved)


@door
def clopper_pearson(successes: int, trials: int, *, confidence: float = 0.95) -> Estimate:
    """Return a proportion with its exact two-sided interval.

    Clopper & Pearson 1934: all probabilities that neither one-sided binomial test at level
    (1 − confidence)/2 rejects. Holds the truth at least as often as it says, for independent trials
    whose number and rule were fixed in advance.

    Parameters
    ----------
    successes, trials
        Whole numbers, 0 ≤ successes ≤ trials, trials ≥ 1.
    confidence
        In (0, 1).

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> print(clopper_pearson(10, 1000))
    0.010 [0.005, 0.018]
    """
    _check.at_least("trials", trials, 1)
    _check.within("successes", successes, trials, "trials")
    _check.confidence(confidence)
    error = (1 - confidence) / 2
    low, high = proportion_at_least(successes, trials, error), proportion_at_most(successes, trials, error)
    return Estimate(successes / trials, low, high, confidence, "Clopper-Pearson")


def proportion_at_least(successes: float, trials: float, error: float) -> float:
    """Return the exact one-sided lower limit of a proportion, wrong with probability ≤ ``error``.

    The numbers need not be whole: `auc` asks for a proportion that its variance is bounded by.

    Examples
    --------
    >>> proportion_at_least(0, 10, 0.05), round(proportion_at_least(10, 10, 0.05), 4)
    (0.0, 0.7411)
    """
    return float(betaincinv(successes, trials - successes + 1, error)) if successes else 0.0


def proportion_at_most(successes: float, trials: float, error: float) -> float:
    """Return the exact one-sided upper limit of a proportion, wrong with probability ≤ ``error``."""
    return 1 - proportion_at_least(trials - successes, trials, error)
