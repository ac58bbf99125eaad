"""A probe in a small batch: the likelihood ratio without a Gaussian limit.

Notation as in `mialab.leaks.batch_norm`, and q = √(S/n + ϵ). Given q, the output determines the
mates' mean: a = p − wq,

    w = y n/√((n − 1)(n − 1 − y²)),    so da/dy = (a factor without q) · q.

Suppose Gaussian records with known μ and σ². If all n − 1 mates are unknown, a and S are independent,
Gaussian and σ²χ² with n − 2 degrees of freedom. If one of them is the candidate c and the n − 2 rest are
unknown, with mean a′ and sum of squares S′, then

    a′ = ((n − 1)a − c)/(n − 2),    S′ = S − (n − 2)/(n − 1) · (c − a′)²,

and those are Gaussian and σ²χ² with n − 3 degrees of freedom. Either density of y is the integral over q
of the density of (a, S) times q · dS/dq = 2nq²; the factor without q cancels in their ratio. S′ > 0 is a
quadratic inequality in q, which says where the second integral runs. It may run nowhere: then the candidate
makes the output impossible, and the ratio is 0.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import gammaincinv, gammaln, logsumexp

from mialab import _check
from mialab._validation import door
from mialab.leaks.aggregates import Release
from mialab.leaks.batch_norm import EPS

_NODES = 400  # of the integrals over q
_TAIL = 1e-10  # of the χ² of S that is left out
_MOST = 1e6  # times the variance: a larger eps leaves the output no digit that tells
_FAR = 7.0  # standard deviations of a′ beyond which nothing is looked for


@door
def exact_log_likelihood_ratio(
    output: Release,
    probe: Release,
    candidate: Release,
    mean: Release,
    variance: Release,
    n: int,
    *,
    eps: float = EPS,
) -> Float[ndarray, "features"]:
    """Return log p(output | candidate in) − log p(output | out) of each feature, for Gaussian records.

    Sum them if the features are independent. −∞ is a proof that the candidate is not there.

    Parameters
    ----------
    output, probe, candidate
        The probe's output, its input, and who might be among the n − 1 mates (features,).
    mean, variance
        Of the population, feature by feature; known, not estimated.
    n
        Records in the batch, at least 5.

    Raises
    ------
    ValueError
        If shapes differ, a number or its square is not finite, ``eps`` is negative or above a million times
        a variance, n is below 5, a variance is not above 0, or an output is larger than √(n − 1), which none
        can be.

    Examples
    --------
    >>> zero, one, two = np.zeros(1), np.ones(1), np.full(1, 2.0)
    >>> exact_log_likelihood_ratio(-one, zero, two, zero, one, n=6).round(2)  # the mates lie high
    array([0.75])
    """
    _check.count("n", n, 5)
    _check.not_negative("eps", eps)
    given = {"output": output, "probe": probe, "candidate": candidate, "mean": mean, "variance": variance}
    for name, numbers in given.items():
        _check.squares(name, numbers)
    if not np.all(variance > 0):
        _check.refuse("variance", "be above 0 in every feature", variance.min())
    if not np.all(output**2 < n - 1):
        _check.refuse("output", f"be below √(n − 1) = {np.sqrt(n - 1):.4g} in size", np.abs(output).max())
    # In units of σ and with μ = 0; one row for each node, one column for each feature.
    scale = np.sqrt(variance)
    p, c, floor = (probe - mean) / scale, (candidate - mean) / scale, eps / variance
    for name, units in (("probe", p), ("candidate", c)):
        _check.squares(f"{name}, in standard deviations,", units)
    if (floor > _MOST).any():
        _check.refuse("eps", f"be at most {_MOST:.0e} times every variance", f"{floor.max():.3g} times one")
    w = output * n / np.sqrt((n - 1) * (n - 1 - output**2))
    furthest = 2 * gammaincinv((n - 2) / 2, 1 - _TAIL) + (np.abs(c) + _FAR) ** 2
    largest = np.sqrt(furthest / n + floor)

    q, step = _nodes(np.sqrt(floor), largest)
    out = _log_normal(p - w * q, 1 / (n - 1)) + _log_chi2(n * (q**2 - floor), n - 2)
    log_out = logsumexp(out + 2 * np.log(q), axis=0) + np.log(step)

    q, step = _nodes(*_possible(p, c, w, floor, n, largest))
    rest = ((n - 1) * (p - w * q) - c) / (n - 2)
    squares = n * (q**2 - floor) - (n - 2) / (n - 1) * (c - rest) ** 2
    inside = _log_normal(rest, 1 / (n - 2)) + _log_chi2(squares, n - 3) + np.log((n - 1) / (n - 2))
    with np.errstate(divide="ignore"):  # nowhere to go is log 0
        log_in = logsumexp(inside + 2 * np.log(q), axis=0) + np.log(step)
    return np.subtract(log_in, log_out)


def _nodes(low: ndarray, high: ndarray) -> tuple[ndarray, ndarray]:
    """Return the middles of equal steps from ``low`` to ``high``, and the length of a step."""
    step = np.maximum(high - low, 0) / _NODES
    return low + (np.arange(_NODES)[:, None] + 0.5) * step, step


def _possible(
    p: ndarray, c: ndarray, w: ndarray, eps: ndarray, n: int, largest: ndarray
) -> tuple[ndarray, ndarray]:
    """Return the interval of q in which S′ ≥ 0: A q² − 2B q − C ≥ 0."""
    share, slope, start = (n - 2) / (n - 1), (n - 1) / (n - 2) * w, (n - 1) / (n - 2) * (c - p)
    a, b, c0 = n - share * slope**2, share * start * slope, n * eps + share * start**2
    root = np.sqrt(np.maximum(b**2 + a * c0, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        bounded = (a < 0) & (b < 0) & (b**2 + a * c0 > 0)
        low = np.where(a > 0, (b + root) / a, np.where(bounded, (b + root) / a, largest))
        high = np.where(bounded, (b - root) / a, largest)
    low = np.maximum(low, np.sqrt(eps))
    return low, np.minimum(high, largest)


def _log_normal(x: ndarray, variance: float) -> ndarray:
    return -(x**2) / (2 * variance) - np.log(2 * np.pi * variance) / 2


def _log_chi2(x: ndarray, df: int) -> ndarray:
    """Return the logarithm of the χ² density, −∞ where x is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (df / 2 - 1) * np.log(x) - x / 2
    return np.where(x > 0, inside, -np.inf) - df / 2 * np.log(2) - gammaln(df / 2)
