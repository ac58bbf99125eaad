"""The probe in a small batch: the likelihood ratio without a Gaussian limit.

Notation as in `probe.py`. Given S, the output determines the others' mean: a = p − w with

    w = y · n √((S/n + ϵ)/((n − 1)(n − 1 − y²))),    so dw/dy = (a factor without S) · √(S/n + ϵ).

Suppose Gaussian records with known μ and σ². If all n − 1 others are unknown, a and S are independent,
Gaussian and σ²χ² with n − 2 degrees of freedom. If one of them is the candidate c and the n − 2 rest are
unknown, with mean a′ and sum of squares S′, then

    a′ = ((n − 1)a − c)/(n − 2),    S′ = S − (n − 2)/(n − 1) · (c − a′)²,

and those are Gaussian and σ²χ² with n − 3 degrees of freedom. Either density of y is the integral over S
of the density of (a, S) times √(S/n + ϵ); the factor without S cancels in their ratio.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import gammaincinv, gammaln, logsumexp

from mialab import _check
from mialab.leaks.aggregates import Release
from mialab.leaks.batch_norm.probe import EPSILON

_NODES = 1000  # of the integral over S
_TAIL = 1e-10  # of S that is left out on either side


def exact_log_ratio(
    output: Release,
    probe: Release,
    candidate: Release,
    mean: Release,
    variance: Release,
    n: int,
    *,
    epsilon: float = EPSILON,
) -> Float[ndarray, "features"]:
    """Return log p(output | candidate in) − log p(output | out) of each feature, for Gaussian records.

    Sum them if the features are independent.

    Parameters
    ----------
    output, probe, candidate
        The probe's output, its input, and who might be among the n − 1 others (features,).
    mean, variance
        Of the population, feature by feature; known, not estimated.
    n
        Records in the batch, at least 5.

    Raises
    ------
    ValueError
        If n is below 5, a variance is not above 0, or an output is larger than √(n − 1), which none
        can be.

    Examples
    --------
    >>> zero, one, two = np.zeros(1), np.ones(1), np.full(1, 2.0)
    >>> exact_log_ratio(-one, zero, two, zero, one, n=6).round(2)  # the others lie high: 2 may be there
    array([0.75])
    """
    _check.at_least("n", n, 5)
    if not np.all(variance > 0):
        _check.refuse("variance", "be above 0 in every feature", variance.min())
    if not np.all(output**2 < n - 1):
        _check.refuse("output", f"be below √(n − 1) = {np.sqrt(n - 1):.4g} in size", np.abs(output).max())
    # In units of σ and with μ = 0; one row for each node of S, one column for each feature.
    scale = np.sqrt(variance)
    p, c, eps = (probe - mean) / scale, (candidate - mean) / scale, epsilon / variance
    share = (np.arange(_NODES) + 0.5) / _NODES
    low, high = (2 * gammaincinv((n - 2) / 2, tail) for tail in (_TAIL, 1 - _TAIL))
    s = (low + (high + np.max(c**2) - low) * share**2)[:, None]  # S may exceed its χ² by the candidate's own
    step = np.log(share)[:, None]  # dS = 2 (…) share d(share)
    a = p - output * n * np.sqrt((s / n + eps) / ((n - 1) * (n - 1 - output**2)))
    a_rest = ((n - 1) * a - c) / (n - 2)
    s_rest = s - (n - 2) / (n - 1) * (c - a_rest) ** 2
    jacobian = step + np.log(s / n + eps) / 2 + np.zeros_like(a)
    out = _log_normal(a, 1 / (n - 1)) + _log_chi2(s, n - 2)
    inside = _log_normal(a_rest, 1 / (n - 2)) + _log_chi2(s_rest, n - 3) + np.log((n - 1) / (n - 2))
    return np.subtract(logsumexp(inside + jacobian, axis=0), logsumexp(out + jacobian, axis=0))


def _log_normal(x: ndarray, variance: float) -> ndarray:
    return -(x**2) / (2 * variance) - np.log(2 * np.pi * variance) / 2


def _log_chi2(x: ndarray, df: int) -> ndarray:
    """Return the logarithm of the χ² density, −∞ where x is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (df / 2 - 1) * np.log(x) - x / 2
    return np.where(x > 0, inside, -np.inf) - df / 2 * np.log(2) - gammaln(df / 2)
