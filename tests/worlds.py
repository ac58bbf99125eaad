"""Mechanisms of exactly known ε, to be audited: what a member and a non-member look like."""

from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

from mialab.accounting import SampledGaussian, privacy_loss
from mialab.tradeoff import GaussianCurve, LaplaceCurve, approximate, epsilon_at, pure

PURE = ("randomized response", "laplace", "tight mixture")
WITH_DELTA = ("gaussian", "subsampled gaussian", "subsampled gaussian, removed", "confessing mixture")
SAMPLING_RATE = 0.3


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Return the distance of two Gaussians whose ε at ``delta`` is this."""
    return float(brentq(lambda mu: GaussianCurve(mu).delta(epsilon) - delta, 1e-3, 50))


@lru_cache
def subsampled_epsilon(sigma: float, delta: float) -> float:
    """Return the exact ε of one step of the subsampled Gaussian: a record added, or removed."""
    both = privacy_loss.curve(SampledGaussian(sigma, SAMPLING_RATE, 1))
    return max(epsilon_at(both, delta), epsilon_at(both.swapped(), delta))


@lru_cache
def subsampled_sigma(epsilon: float, delta: float) -> float:
    """Return the noise of a subsampled Gaussian whose ε at ``delta`` is about this."""
    return float(brentq(lambda sigma: subsampled_epsilon(sigma, delta) - epsilon, 0.2, 200, rtol=1e-4))


def subsampled_score(member: np.ndarray, sigma: float, removed: bool, rng) -> np.ndarray:
    """Draw one number with or without the record; the score is its log-likelihood ratio."""
    took_part = (member ^ removed) & (rng.random(member.shape) < SAMPLING_RATE)
    number = took_part + sigma * rng.normal(size=member.shape)
    loss = np.log1p(-SAMPLING_RATE), np.log(SAMPLING_RATE) + (2 * number - 1) / (2 * sigma**2)
    return (-1 if removed else 1) * np.logaddexp(*loss)


def in_the_world(mechanism: str, epsilon: float, member: np.ndarray, rng, delta: float = 0.02) -> np.ndarray:
    """Draw the scores of one mechanism whose ε (at δ for those that have one, else at 0) is known."""
    if mechanism == "randomized response":
        return np.where(rng.random(member.shape) < expit(epsilon), member, ~member) * 1.0
    if mechanism == "laplace":
        return member + rng.laplace(scale=1 / epsilon, size=member.shape)
    if mechanism == "gaussian":
        return gaussian_mu(epsilon, delta) * member + rng.normal(size=member.shape)
    if mechanism.startswith("subsampled"):
        return subsampled_score(member, subsampled_sigma(epsilon, delta), "removed" in mechanism, rng)
    # tight mixture: a non-member is uniform, a member has density e^ε on the top 1/(1 + e^ε), e^−ε below
    top, place = expit(-epsilon), rng.random(member.shape)
    high = rng.random(member.shape) < expit(epsilon)
    score = np.where(member, np.where(high, 1 - top * place, (1 - top) * place), place)
    if mechanism == "tight mixture":
        return score
    confesses = rng.random(member.shape) < delta  # and otherwise the same
    return np.where(confesses, np.where(member, 1 + place, -1 - place), score)


def truth_of(mechanism: str, epsilon: float, delta: float = 0.02) -> tuple[float, float]:
    """Return ε and δ of which the mechanism is exactly private."""
    if mechanism == "gaussian":
        return epsilon_at(GaussianCurve(gaussian_mu(epsilon, delta)), delta), delta
    if mechanism.startswith("subsampled"):
        return subsampled_epsilon(subsampled_sigma(epsilon, delta), delta), delta
    return epsilon, delta if mechanism == "confessing mixture" else 0.0


def rules_of(mechanism: str, epsilon: float, delta: float = 0.02) -> list[tuple[float, float]]:
    """Return FPR and TPR of two good rules against each mechanism: near the corner, and far out."""
    corner = float(expit(-epsilon))
    if mechanism == "gaussian":
        curve = GaussianCurve(gaussian_mu(epsilon, delta))
        return [(fpr, float(curve.tpr(fpr))) for fpr in (0.02, corner)]
    if mechanism.startswith("subsampled"):
        sigma, places = subsampled_sigma(epsilon, delta), np.array([0.02, 0.2])
        without, shift = norm.isf(places), 1 / sigma
        with_ = (1 - SAMPLING_RATE) * places + SAMPLING_RATE * norm.sf(without - shift)
        rates = (1 - with_, 1 - places) if "removed" in mechanism else (places, with_)
        return [(float(fpr), float(tpr)) for fpr, tpr in zip(*rates, strict=True)]
    if mechanism == "confessing mixture":
        curve, corner = approximate(epsilon, delta), (1 - delta) * corner
    else:
        curve = LaplaceCurve(epsilon) if mechanism == "laplace" else pure(epsilon)
    places = (corner,) if mechanism == "randomized response" else (corner, 0.3 * corner)
    return [(fpr, float(curve.tpr(fpr))) for fpr in places]
