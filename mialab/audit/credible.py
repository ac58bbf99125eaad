"""What a Bayesian believes about ε. It is no bound, and its type says so."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaln, xlog1py, xlogy

from mialab import _check
from mialab._quadrature import panels
from mialab._round import decimals_down, digits_down
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.ranking import borders
from mialab.audit.result import largest_refuted
from mialab.game import Counts, Design
from mialab.tradeoff.pair import highest_tpr

_TOWARDS_1 = 1 - 0.25 ** np.arange(1, 9)


@door
@dataclass(frozen=True)
class CredibleInterval:
    """An interval that holds ε with some probability *if the prior is believed*: an opinion, no bound.

    No `Verdict` accepts it: over repetitions of the experiment it may miss the truth more often than it says.

    Attributes
    ----------
    low, high
        ε, 0 ≤ low ≤ high.
    delta, probability, neighbours, trials
        What it is for.
    """

    low: float
    high: float
    delta: float
    probability: float
    neighbours: Neighbours
    trials: int

    def __post_init__(self):
        _check.share("delta", self.delta)
        _check.probability("probability", self.probability, open_ends=True)
        _check.not_negative("low", self.low)
        if not self.low <= self.high:
            _check.refuse("high", f"be at least low, {self.low}", self.high)

    def __str__(self) -> str:
        """Print it as what it is."""
        ends = f"{decimals_down(self.low)} to {decimals_down(self.high)}"
        sure = digits_down(self.probability, percent=True)
        return f"ε from {ends} at δ = {digits_down(self.delta)} ({sure} % credible: Bayesian, no bound)"


@door
def credible(
    counts: Counts, *, neighbours: Neighbours, delta: float = 0.0, probability: float = 0.95
) -> CredibleInterval:
    """Return the equal-tailed interval of ε under Jeffreys' prior for both rates.

    Zanella-Béguelin et al. 2022: the posteriors are TPR ~ Beta(½ + TP, ½ + FN) and FPR ~ Beta(½ + FP, ½ +
    TN), independent. (ε, δ) allows the pair if no test, this one or its reverse, does too well:

        TPR ≤ e^ε · FPR + δ,    TNR ≤ e^ε · FNR + δ,    FPR ≤ e^ε · TPR + δ,    FNR ≤ e^ε · TNR + δ.

    How probable that is says `posterior`; the two ends are where it is (1 − probability)/2, and 1 minus that,
    or 0 where it is more than that from the start. An attack that is worse than chance shows what its reverse
    shows; and one that is near chance an ε that is near 0: at δ = 0 the low end is above 0, since two rates
    are never believed to be exactly equal.

    Parameters
    ----------
    counts
        Of a rule fixed in advance, over independent runs.
    neighbours, delta
        As in `lower_bound`.
    probability
        In (0, 1).

    Raises
    ------
    ValueError
        If a number is out of its range, or the design is another.

    Examples
    --------
    >>> counts = Counts(375, 500, 125, 500, design=Design.RUNS)
    >>> print(credible(counts, neighbours=Neighbours.REPLACE))
    ε from 0.977 to 1.284 at δ = 0 (95 % credible: Bayesian, no bound)
    """
    _check.share("delta", delta)
    _check.probability("probability", probability, open_ends=True)
    if counts.design != Design.RUNS:
        _check.refuse("design", f"be {Design.RUNS} for a posterior of two rates", counts.design)
    tail = (1 - probability) / 2
    low = largest_refuted(lambda epsilon: posterior(counts, epsilon, delta) <= tail)
    high = largest_refuted(lambda epsilon: _outside(counts, epsilon, delta) >= tail)
    trials = counts.members + counts.non_members
    return CredibleInterval(low, max(low, high), delta, probability, neighbours, trials)


def posterior(counts: Counts, epsilon: float, delta: float = 0.0) -> float:
    """Return how probable it is, after the counts, that (ε, δ) allows both rates.

    The TPR may be at most what two of the inequalities allow; from that goes the chance that it is less
    than the other two allow, which is the chance that the reversed test's is more than the first two do.

    Raises
    ------
    ValueError
        If ``epsilon`` is not a finite number of at least 0, or ``delta`` is not in [0, 1).

    Examples
    --------
    >>> posterior(Counts(5, 10, 5, 10), epsilon=0.0)  # two rates are never exactly equal
    0.0
    >>> round(posterior(Counts(5, 10, 5, 10), epsilon=1.0), 6)
    0.941451
    """
    _check.not_negative("epsilon", epsilon)
    _check.share("delta", delta)
    allowed = _chance(counts, epsilon, delta) - _chance(_reverse(counts), epsilon, delta, beyond=True)
    return min(max(allowed, 0.0), 1.0)


def _outside(counts: Counts, epsilon: float, delta: float) -> float:
    """Return 1 − `posterior`, without that difference: nothing is lost where it is small."""
    return sum(_chance(one, epsilon, delta, beyond=True) for one in (counts, _reverse(counts)))


def _reverse(counts: Counts) -> Counts:
    """Return the counts of the test that accuses whom this one spares."""
    true, false = counts.true_positives, counts.false_positives
    return Counts(counts.members - true, counts.members, counts.non_members - false, counts.non_members)


def _chance(counts: Counts, epsilon: float, delta: float, *, beyond: bool = False) -> float:
    """Return how probable it is that the TPR is within the highest allowed; or beyond it: the FNR too low.

    An integral over the FPR, on the scale arcsin √FPR, where Jeffreys' density has no poles: Gauss and
    Legendre's rule on pieces that end at the corners of the region, and get short towards the one at 1 − δ,
    where the chance may grow like a root.
    """
    true, false = counts.true_positives, counts.false_positives
    missed, spared = counts.members - true, counts.non_members - false
    sides = counts.members, counts.non_members
    ends = borders(true + 0.5, false + 0.5, sides, epsilon, delta)
    angle, weight = panels(np.arcsin(np.sqrt(np.union1d(ends, (1 - delta) * _TOWARDS_1))))
    fpr = np.sin(angle) ** 2
    density = np.exp(
        np.log(2) + xlogy(false, fpr) + xlog1py(spared, -fpr) - betaln(false + 0.5, spared + 0.5)
    )
    if beyond:
        lowest = np.maximum(1 - delta - np.exp(epsilon) * fpr, np.exp(-epsilon) * (1 - delta - fpr))
        within = betainc(missed + 0.5, true + 0.5, np.maximum(lowest, 0.0))
    else:
        within = betainc(true + 0.5, missed + 0.5, highest_tpr(fpr, epsilon, delta))
    return float(weight @ (density * within))
