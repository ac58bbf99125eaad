"""A curve in one number, and back.

The numbers of a curve are what the best attack can reach; what an attack was *measured* to reach needs an
interval first.
"""

import math
from typing import Protocol, runtime_checkable

import numpy as np

from mialab import _check
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
    >>> from mialab.tradeoff.named import pure
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
    >>> from mialab.tradeoff.named import pure
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
    too_low, enough = 0.0, 1.0
    while curve.delta(enough) > most:
        too_low, enough = enough, 2 * enough
    while too_low < (middle := too_low + (enough - too_low) / 2) < enough:
        too_low, enough = (middle, enough) if curve.delta(middle) > most else (too_low, middle)
    return enough


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
def epsilon_from_accuracy(accuracy: float, *, delta: float = 0.0) -> float:
    """Return the smallest ε that lets an attack be right this often, half of the records being members.

    (e^ε + δ)/(1 + e^ε), solved for ε.

    Examples
    --------
    >>> round(epsilon_from_accuracy(0.6), 6)  # ln 1.5
    0.405465
    """
    _check.probability("accuracy", accuracy)
    return epsilon_from_rates(1 - accuracy, accuracy, delta=delta)


@door
def epsilon_from_advantage(advantage: float, *, delta: float = 0.0) -> float:
    """Return the smallest ε that allows this TPR − FPR.

    (e^ε − 1 + 2δ)/(e^ε + 1), solved for ε.

    Examples
    --------
    >>> round(epsilon_from_advantage(0.5), 6)  # ln 3
    1.098612
    """
    if not -1 <= advantage <= 1:
        _check.refuse("advantage", "be in [-1, 1]", advantage)
    return epsilon_from_accuracy((1 + advantage) / 2, delta=delta)


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


def _log_ratio(above: float, below: float) -> float:
    """Return ln(above/below), where nothing above means no demand."""
    if above <= 0:
        return -np.inf
    return float(np.log(above) - np.log(below)) if below > 0 else np.inf
