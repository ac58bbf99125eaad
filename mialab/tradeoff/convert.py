"""A curve in one number, and back; and what an accusation is worth where few are members.

The numbers of a curve are what the best attack can reach; what an attack was *measured* to reach needs an
interval first.
"""

import math
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.special import expit, logit

from mialab import _check
from mialab._bisection import bisect, double
from mialab._validation import door
from mialab.tradeoff.pair import Numbers

_ROUNDED = 1e-12  # share of δ(ε) that a curve's own rounding may hide


@runtime_checkable
class Promise(Protocol):
    """What an ε is read from: δ at every ε, exactly or rounded upward."""

    def delta(self, epsilon: Numbers) -> Numbers:
        """Return the smallest δ at an ε."""
        ...

    @property
    def largest_loss(self) -> float:
        """The smallest ε at δ = 0; may be infinite."""
        ...


@runtime_checkable
class Curve(Promise, Protocol):
    """What every curve can do."""

    def tpr(self, fpr: Numbers) -> Numbers:
        """Return the largest true-positive rate at a false-positive rate."""
        ...

    @property
    def auc(self) -> float:
        """The area under the curve."""
        ...


@door
def advantage(curve: Curve) -> float:
    """Return the largest TPR − FPR of any attack: δ at ε = 0.

    Examples
    --------
    >>> from mialab.tradeoff import pure
    >>> round(advantage(pure(1.0)), 6)  # tanh(ε/2)
    0.462117
    """
    return float(curve.delta(0.0))


@door
def accuracy(curve: Curve, *, prior: float = 0.5) -> float:
    """Return the largest share of right verdicts, where a share ``prior`` of all records are members.

    The best of π·TPR + (1 − π)·(1 − FPR), which is 1 − π + π·δ(ln((1 − π)/π)): the conjugate again.

    Raises
    ------
    ValueError
        If ``prior`` is not in (0, 1).

    Examples
    --------
    >>> from mialab.tradeoff import pure
    >>> round(accuracy(pure(1.0)), 6), round(accuracy(pure(1.0), prior=0.1), 6)
    (0.731059, 0.9)
    """
    _check.probability("prior", prior, open_ends=True)
    odds = np.log1p(-prior) - np.log(prior)
    return float(1 - prior + prior * curve.delta(odds))


@door
def epsilon_at(curve: Promise, delta: float) -> float:
    """Return the smallest ε ≥ 0 at which the curve keeps within ``delta``, rounded upward.

    Bisection, which keeps the end where δ(ε) ≤ ``delta``. Infinite where no ε does.

    Raises
    ------
    ValueError
        If ``delta`` is not in [0, 1].

    Examples
    --------
    >>> from mialab.tradeoff.continuous import GaussianCurve
    >>> round(epsilon_at(GaussianCurve(1.0), 1e-5), 6), epsilon_at(GaussianCurve(1.0), 0.0)
    (4.377178, inf)
    """
    _check.probability("delta", delta)
    if delta == 0:  # δ(ε) may be too small for a float, and is not 0 for that
        return max(curve.largest_loss, 0.0)
    if delta == 1:
        return 0.0
    most = allowed(curve, delta)
    if curve.delta(0.0) <= most:
        return 0.0
    if curve.delta(np.inf) > most:
        return np.inf

    def too_low(epsilon: float) -> bool:
        return bool(curve.delta(epsilon) > most)

    return bisect(too_low, *double(too_low, 0.0, 1.0))[1]


def allowed(curve: Promise, delta: float) -> float:
    """Return what a curve's δ(ε) may come out as, so that with its rounding it is not above ``delta``.

    What is given away at every ε is a sum of probabilities, and is taken as it is; the rest may have been
    rounded down by 10⁻¹² of itself.

    Examples
    --------
    >>> from mialab.tradeoff.continuous import GaussianCurve
    >>> 1e-5 * (1 - 2e-12) < allowed(GaussianCurve(1.0), 1e-5) < 1e-5
    True
    """
    sure = float(curve.delta(np.inf))
    rest = (float(delta) - sure) * (1 - _ROUNDED)
    # One float less, for below 10⁻³⁰⁸ they lie further apart than that.
    return sure + (math.nextafter(rest, 0.0) if rest > 0 else rest)


@door
def epsilon_from_rates(fpr: float, tpr: float, *, delta: float = 0.0) -> float:
    """Return the smallest ε ≥ 0 at δ that allows an attack with these two rates.

    From TPR ≤ e^ε · FPR + δ, and the same for those not accused (Kairouz, Oh & Viswanath 2015).

    Raises
    ------
    ValueError
        If a rate, or δ, is not in [0, 1].

    Examples
    --------
    >>> round(epsilon_from_rates(0.01, 0.1), 6), epsilon_from_rates(0.0, 0.1)
    (2.302585, inf)
    """
    for name, value in (("fpr", fpr), ("tpr", tpr), ("delta", delta)):
        _check.probability(name, value)
    ratios = [_log_ratio(tpr - delta, fpr), _log_ratio(1 - fpr - delta, 1 - tpr)]
    return max(0.0, *ratios)


@door
def posterior(prior: float, fpr: float, tpr: float) -> float:
    """Return the probability that an accused record is a member.

    Bayes' rule: prior · TPR / (prior · TPR + (1 − prior) · FPR). With the best TPR that a promise allows,
    ``curve.tpr(fpr)``, it is the most that an accusation can be worth under it.

    Parameters
    ----------
    prior
        Probability, before anything is seen, that the record is a member; in [0, 1].
    fpr, tpr
        Rates of the attack, in [0, 1], not both 0: somebody must be accused.

    Raises
    ------
    ValueError
        If a number is out of its range, or nobody is ever accused.

    Examples
    --------
    >>> round(posterior(0.01, fpr=0.001, tpr=0.08), 3)
    0.447
    """
    for name, value in (("prior", prior), ("fpr", fpr), ("tpr", tpr)):
        _check.probability(name, value)
    true, false = prior * tpr, (1 - prior) * fpr
    if true + false == 0:
        _check.refuse("the chance of an accusation", "be above 0", true + false)
    return true / (true + false)


@door
def posterior_bound(prior: float, epsilon: float) -> float:
    """Return the most that anybody can come to believe of a member under pure ε, whatever is seen.

    The odds grow by e^ε at most: it is the definition, divided through (Kasiviswanathan & Smith 2014 make it
    precise). Of one membership, whatever the others are: where several only come together, as those of a
    family may, they change at once, and the ε of the group counts.
    With δ > 0 no such limit exists: with probability δ everything may be given away. Use `posterior` there.

    Parameters
    ----------
    prior
        In [0, 1].
    epsilon
        At least 0: between a data set with the record and the one without it.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> round(posterior_bound(0.01, 1.0), 4), posterior_bound(0.5, 0.0)
    (0.0267, 0.5)
    """
    _check.probability("prior", prior)
    _check.not_negative("epsilon", epsilon)
    if prior in (0.0, 1.0):
        return prior
    return float(expit(logit(prior) + epsilon))


def _log_ratio(above: float, below: float) -> float:
    """Return ln(above/below), where nothing above means no demand."""
    if above <= 0:
        return -np.inf
    return float(np.log(above) - np.log(below)) if below > 0 else np.inf
