"""What was promised, as the curve that no attack may cross; and families of such claims, one number each.

A claim of a family with a larger number allows more. So if one is refuted, all smaller ones are, and the
largest that is refuted is a lower bound.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit, ndtr, ndtri

from mialab import tradeoff
from mialab._round import decimals_down, digits_down, digits_up
from mialab.tradeoff.pair import highest_tpr

Rates = float | Float[ndarray, "*rates"]

_ENDS = np.concatenate([[0.0], expit(np.arange(-40, 30, 0.5)), [1.0]])  # where pieces of a curve begin
_TRIED = expit(np.arange(-6, 6.1, 0.75))


class EpsilonDelta(NamedTuple):
    """(ε, δ), as the curve min(e^ε · FPR + δ, 1 − (1 − FPR − δ)/e^ε, 1) (Kairouz, Oh & Viswanath 2015)."""

    epsilon: float
    delta: float

    def tpr(self, fpr: Rates) -> Any:
        """Return the largest TPR that is allowed."""
        return highest_tpr(fpr, self.epsilon, self.delta)


class Gaussian(NamedTuple):
    """μ-Gaussian differential privacy, as its curve (Dong, Roth & Su 2022); μ may be below 0."""

    mu: float

    def tpr(self, fpr: Rates) -> Any:
        """Return Φ(Φ⁻¹(FPR) + μ)."""
        return ndtr(ndtri(fpr) + self.mu)


Claim = EpsilonDelta | Gaussian | tradeoff.Curve


def wrong_rate(claim: Claim) -> float:
    """Return how often the best attack is wrong, half of the records being members."""
    if isinstance(claim, EpsilonDelta):
        return (1 - claim.delta) * float(expit(-claim.epsilon))
    if isinstance(claim, Gaussian):
        return float(ndtr(-claim.mu / 2))
    return 1 - tradeoff.accuracy(claim)


def ends_of(claim: Claim) -> Float[ndarray, "ends"]:
    """Cut [0, 1] into pieces, on each of which the curve is smooth and not too steep."""
    if isinstance(claim, EpsilonDelta):
        return np.unique(np.append(np.linspace(0, 1, 17), wrong_rate(claim)))
    return _ENDS


@dataclass(frozen=True)
class Epsilon:
    """All claims (ε, δ) of one δ."""

    delta: float = 0.0
    stronger: ClassVar[Callable] = max
    """The more telling of two values."""
    close: ClassVar[float] = 1e-5
    """About how closely a bound is searched for where a test takes time; what is kept is refuted."""

    def claim(self, epsilon: float) -> EpsilonDelta:
        """Return the claim of this number."""
        return EpsilonDelta(epsilon, self.delta)

    def just_allowing(self, tpr: Rates, tnr: Rates) -> Any:
        """Return the ε with which the two rates are just allowed, in the better of both roles; it may be −∞.

        ln((TPR − δ)/FPR) or, with the roles swapped, ln((TNR − δ)/FNR) (Jagielski, Ullman & Oprea 2020).
        """
        with np.errstate(divide="ignore"):
            accused = np.log(np.maximum(tpr - self.delta, 0)) - np.log1p(-tnr)
            return np.maximum(accused, np.log(np.maximum(tnr - self.delta, 0)) - np.log1p(-tpr))

    def likely_worst(self, epsilon: float) -> Float[ndarray, "rates"]:
        """Return false-positive rates at which a rule that keeps the claim is likely to look worst."""
        return np.array([wrong_rate(self.claim(epsilon))])  # the corner of the curve

    def say(self, amount: float) -> str:
        """Print a lower bound, rounded downward."""
        return f"ε ≥ {decimals_down(amount)} at δ = {digits_down(self.delta)}"


@dataclass(frozen=True)
class Mu:
    """All claims of Gaussian differential privacy."""

    stronger: ClassVar[Callable] = max
    close: ClassVar[float] = 1e-3

    def claim(self, mu: float) -> Gaussian:
        """Return the claim of this number."""
        return Gaussian(mu)

    def just_allowing(self, tpr: Rates, tnr: Rates) -> Any:
        """Return the μ with which the two rates are just allowed: Φ⁻¹(TPR) − Φ⁻¹(FPR) (Nasr et al. 2023)."""
        return ndtri(tpr) - ndtri(1 - np.asarray(tnr))

    def likely_worst(self, mu: float) -> Float[ndarray, "rates"]:
        """Return false-positive rates at which a rule that keeps the claim may look worst: many."""
        return _TRIED

    def say(self, amount: float) -> str:
        """Print a lower bound, rounded downward."""
        return f"μ ≥ {decimals_down(amount)}"


@dataclass(frozen=True)
class PValue:
    """No family, one claim: what is shown is its p-value, the smaller the more telling."""

    stronger: ClassVar[Callable] = min

    def say(self, amount: float) -> str:
        """Print a p-value, rounded upward."""
        return f"p ≤ {digits_up(amount, 3)}"


Family = Epsilon | Mu
