"""A likelihood ratio for few shadows, which does not take estimates for the truth.

With two shadows on a side, a record's variance is hardly known, and its mean not well. But there are
thousands of other records. So each record's variances, and its two means, are drawn towards what all
records have in common, as far as all records say that they are alike; and what remains unknown makes the
two densities wider: Student's, not Gaussian. The more shadows there are, the less a record borrows.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import gammaln, polygamma, psi

from mialab import _check
from mialab._validation import door
from mialab.attacks.shadow_stats import Shadows, ShadowStats, Signals, mean_over, refuse_without, shadow_stats

_SMALL = 1e-9

__all__ = ["shrunken_t"]


@door
def shrunken_t(target: Signals, shadows: Shadows) -> Signals:
    """Score each record by the log-ratio of two predictive densities, with and without it.

    The model. On each side of each record, signals are Gaussian over models. Their variance comes from
    a scaled inverse chi-squared distribution, fitted to all records' variances (Smyth 2004, §6). A
    record's two means come from a Gaussian in two dimensions, fitted to all records' pairs of means, so
    that a record which is hard for models without it is expected to gain more by being learned. All fits
    are to this one target's shadows; the densities of the target's signal, given the shadows, are
    Student's, as wide as all this is unsure. On signals that are far from Gaussian over models, such as a
    count of right answers, `lira.online` with pooled spreads may find more.

    Parameters
    ----------
    target
        The target's signals (records,).
    shadows
        At least 2 models of the attacker's own, some with and some without each record. A record may
        well lack shadows on a side.

    Returns
    -------
    Scores (records,) in nats: 0 where both densities explain the signal as well.

    Raises
    ------
    ValueError
        If numbers of records differ, there are fewer than 2 shadows, no record has shadows on both
        sides, or on one side no record has two shadows whose signals differ.

    Examples
    --------
    >>> from mialab.game import Observations, flip_coins
    >>> rng = np.random.default_rng(0)
    >>> member = flip_coins(4, 500, rng=rng)
    >>> shadows = Observations(3 * member + rng.normal(size=(4, 500)), member)
    >>> shrunken_t(np.array([0.0, 3.0, *np.zeros(498)]), shadows)[:2].round()
    array([-5.,  4.])
    """
    _check.at_least("the number of shadows", len(shadows), 2)
    inside, outside = shadow_stats(target, shadows)
    own_in, freedom_in = shrunk_variance(inside)
    own_out, freedom_out = shrunk_variance(outside)
    (mean_in, error_in), (mean_out, error_out) = shrunk_means(inside, own_in, outside, own_out)
    with_it = _log_t(target - mean_in, own_in + error_in, freedom_in)
    return with_it - _log_t(target - mean_out, own_out + error_out, freedom_out)


def shrunk_variance(stats: ShadowStats) -> tuple[Signals, Signals]:
    """Draw each record's variance towards that of all records, and say how well it is then known.

    Smyth 2004, §6. The logarithm of a variance with d degrees of freedom scatters by ψ′(d/2); by how much
    more the logarithms of all records scatter says how many degrees of freedom each may borrow from
    the others: infinitely many where they scatter no more than that.

    Returns
    -------
    The variances, and their degrees of freedom: own and borrowed.

    Raises
    ------
    ValueError
        If no record has two shadows on this side whose signals differ.

    Examples
    --------
    >>> shadows = ShadowStats(np.array([2.0, 3.0]), np.zeros(2), np.array([1.0, 2.0]))
    >>> shrunk_variance(shadows)[1]
    array([inf, inf])
    """
    known = stats.scatter > 0
    refuse_without(known, "have two models whose signals differ on the same side of some record")
    own = np.maximum(stats.freedom, 1).astype(int)  # few numbers: what is slow is looked up in a table
    half = np.arange(own.max() + 1) / 2
    log = np.log(np.where(known, stats.scatter, 1) / 2) - psi(half)[own]
    centre = mean_over(log, known)
    borrowed = 2 * inverse_trigamma(mean_over((log - centre) ** 2 - polygamma(1, half)[own], known))
    endless = np.isinf(borrowed)
    finite = np.where(endless, 1, borrowed)
    prior = np.exp(centre + np.where(endless, 0, psi(finite / 2) - np.log(finite / 2)))
    mixed = (finite * prior + stats.scatter) / (finite + stats.freedom)
    return np.where(endless, prior, mixed), borrowed + stats.freedom


def shrunk_means(
    inside: ShadowStats, own_in: Signals, outside: ShadowStats, own_out: Signals
) -> tuple[tuple[Signals, Signals], tuple[Signals, Signals]]:
    """Draw each record's two means towards what all records' pairs of means say of them.

    The pairs have a Gaussian distribution with covariance [[a, b], [b, c]]; the shadows show a record's
    pair with a precision of count/variance on each side, which is 0 where there is no shadow. What
    follows for the pair is Gaussian again, and this is its mean and its variances.

    Returns
    -------
    For each side, the mean and the variance of what is known of it.

    Raises
    ------
    ValueError
        If no record has shadows on both sides.
    """
    some_in, some_out = inside.count > 0, outside.count > 0
    both = some_in & some_out
    refuse_without(both, "hold some record in one model and not in another")
    centre_in, centre_out = mean_over(inside.mean, both), mean_over(outside.mean, both)
    off_in = np.where(some_in, inside.mean - centre_in, 0)
    off_out = np.where(some_out, outside.mean - centre_out, 0)
    sure_in, sure_out = inside.count / own_in, outside.count / own_out
    a = np.maximum(mean_over(off_in**2 - own_in / np.maximum(inside.count, 1), both), 0)
    c = np.maximum(mean_over(off_out**2 - own_out / np.maximum(outside.count, 1), both), 0)
    b = np.clip(mean_over(off_in * off_out, both), -np.sqrt(a * c), np.sqrt(a * c))
    apart = a * c - b**2  # the determinant of the covariance
    scale = 1 + sure_in * a + sure_out * c + sure_in * sure_out * apart
    left_in, left_out, shared = (a + sure_out * apart) / scale, (c + sure_in * apart) / scale, b / scale
    pull_in, pull_out = sure_in * off_in, sure_out * off_out
    return (
        (centre_in + left_in * pull_in + shared * pull_out, left_in),
        (centre_out + left_out * pull_out + shared * pull_in, left_out),
    )


def inverse_trigamma(value: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape"]:
    """Return x with ψ′(x) = value, and infinity where the value is not above 0.

    Smyth 2004, appendix: Newton's iteration on 1/ψ′, which rises to the root from below.

    Examples
    --------
    >>> polygamma(1, inverse_trigamma(np.array([0.5, 100.0]))).round(9)
    array([  0.5, 100. ])
    """
    some = value > _SMALL
    goal = np.where(some, value, 1)
    x, step = 0.5 + 1 / goal, np.ones_like(goal)
    while np.any(np.abs(step) > 1e-10 * x):
        now = polygamma(1, x)
        step = now * (1 - now / goal) / polygamma(2, x)
        x = x + step
    with np.errstate(divide="ignore", over="ignore"):
        far = 1 / np.maximum(value, 0) + 0.5  # to all digits, where the value is small
    return np.where(some, x, far)


def _log_t(distance: Signals, variance: Signals, freedom: Signals) -> Signals:
    """Return the logarithm of Student's density, but for a constant: a Gaussian's at infinite freedom."""
    endless = np.isinf(freedom)
    f = np.where(endless, 1, freedom)
    square = distance**2 / variance
    height = gammaln((f + 1) / 2) - gammaln(f / 2) - np.log(f / 2) / 2
    shape = np.where(endless, -square / 2, height - (f + 1) / 2 * np.log1p(square / f))
    return shape - np.log(variance) / 2
