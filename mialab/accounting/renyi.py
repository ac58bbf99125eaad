"""The Rényi accountant: moments of the privacy loss, which add up from step to step.

Simple, and never far off; the exact accountant (`privacy_loss`) shows what it gives away.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import gammaln, gammasgn, log_ndtr

from mialab import _check
from mialab._validation import door
from mialab.accounting._discretize import log_sum
from mialab.accounting.guarantee import Guarantee, Neighbours
from mialab.accounting.steps import Steps, read, unit_of

ORDERS = np.concatenate([1 + np.arange(1, 100) / 10, np.arange(11, 64), 2.0 ** np.arange(6, 11)])
"""Where the divergence is looked at by default."""

_LAST_PLACES = 1e-15
_MOST = 2**24  # as many terms does an order have
_TERMS = 1024  # of a series that alternates and falls at least like the third power


@door
def divergence(*phases: Steps, orders: Float[ndarray, "orders"] = ORDERS) -> Float[ndarray, "orders"]:
    """Return the Rényi divergence of all steps together, at each order.

    Mironov, Talwar & Zhang 2019: ln(A)/(α − 1), where A is the α-th moment of the likelihood ratio, of the
    sum over steps. "With the record" against "without" is the larger of the two directions, and
    the sum also holds where a step is chosen after seeing the earlier ones.

    Parameters
    ----------
    phases
        Steps that may differ in noise and sampling rate.
    orders
        α, each above 1.

    Raises
    ------
    ValueError
        If there is no phase, a field of one is out of its range, there is no order, or one is not above 1 or
        is above 2²⁴.

    Examples
    --------
    >>> from mialab.accounting import SampledGaussian
    >>> print(divergence(SampledGaussian(2.5, 0.01, 50), orders=np.array([1.5, 100.0])).round(9))
    [6.50071000e-04 1.67416308e+02]
    """
    steps = read(phases)
    _check_orders(orders)
    moments = np.zeros(len(orders))
    for step in steps:
        each = [_bound(float(order), step.sampling_rate, step.noise_multiplier) for order in orders]
        moments += step.steps * np.array(each)
    return moments / (orders - 1)


@door
def guarantee(*phases: Steps, delta: float, orders: Float[ndarray, "orders"] = ORDERS) -> Guarantee:
    """Return the ε at ``delta`` that the Rényi divergences prove.

    The smallest over the orders of D + ln(1 − 1/α) − (ln δ + ln α)/(α − 1) (Canonne, Kamath & Steinke 2020,
    Proposition 12).

    Raises
    ------
    ValueError
        If ``delta`` is not in (0, 1), there is too little noise for any ε, or as in `divergence`.

    Examples
    --------
    >>> from mialab.accounting import SampledGaussian
    >>> print(guarantee(SampledGaussian(4.0, 0.01, 10_000), delta=1e-5))
    ε ≤ 1.0355 at δ = 1e-05 (proved, add-remove)
    """
    moments = divergence(*phases, orders=orders)
    return _promise(phases, least_epsilon(moments, delta=delta, orders=orders), delta)


@door
def least_epsilon(
    moments: Float[ndarray, "orders"], *, delta: float, orders: Float[ndarray, "orders"] = ORDERS
) -> float:
    """Return the ε of `guarantee` from divergences; infinite where there is too little noise.

    Raises
    ------
    ValueError
        If ``delta`` is not in (0, 1), an order or the number of orders is wrong, or a divergence is negative.

    Examples
    --------
    >>> from mialab.accounting import SampledGaussian
    >>> round(least_epsilon(divergence(SampledGaussian(4.0, 0.01, 10_000)), delta=1e-5), 4)
    1.0355
    """
    _check.probability("delta", delta, open_ends=True)
    _check_orders(orders)
    _check.same_shape("moments", moments, "orders", orders)
    if not (moments >= 0).all():
        _check.refuse("moments", "be at least 0", moments.min())
    paid = np.log1p(-1 / orders) - (np.log(float(delta)) + np.log(orders)) / (orders - 1)
    return max(float((moments + paid).min()), 0.0)


@door
def guarantee_mironov2017(
    *phases: Steps, delta: float, orders: Float[ndarray, "orders"] = ORDERS
) -> Guarantee:
    """Return the larger ε of the first conversion, with which papers up to 2020 were written.

    The smallest over the orders of D + ln(1/δ)/(α − 1) (Mironov 2017).

    Raises
    ------
    ValueError
        As in `guarantee`.

    Examples
    --------
    >>> from mialab.accounting import SampledGaussian
    >>> print(guarantee_mironov2017(SampledGaussian(4.0, 0.01, 10_000), delta=1e-5))
    ε ≤ 1.25858 at δ = 1e-05 (proved, add-remove)
    """
    _check.probability("delta", delta, open_ends=True)
    epsilon = divergence(*phases, orders=orders) - np.log(float(delta)) / (orders - 1)
    return _promise(phases, max(float(epsilon.min()), 0.0), delta)


def _check_orders(orders: ndarray) -> None:
    _check.finite("orders", orders)
    _check.at_least("the number of orders", np.size(orders), 1)
    if not (orders > 1).all():
        _check.refuse("orders", "be above 1", orders.min())
    if (np.asarray(orders, dtype=float) > _MOST).any():
        _check.refuse("orders", f"be at most {_MOST}", orders.max())


def _promise(phases: Sequence[Steps], epsilon: float, delta: float) -> Guarantee:
    if not np.isfinite(epsilon):
        _check.refuse("noise_multiplier", "be large enough for a finite ε", f"ε = {epsilon}")
    released = any(recipe.steps for recipe in phases)
    return Guarantee(epsilon if released else 0.0, delta, Neighbours.ADD_REMOVE, unit_of(phases))


def _bound(order: float, rate: float, noise: float) -> float:
    """Return ln E[(likelihood ratio)^order] of one step, the record absent, with its rounding counted upward.

    It is a few last places of the terms' logarithms.
    """
    if rate == 1:
        return (order**2 - order) / (2 * noise**2) * (1 + _LAST_PLACES)
    log_moment = _finite_sum if order == int(order) else _two_series
    terms = order * (1 + np.log(order) - np.log(rate))
    return max(log_moment(order, rate, noise), 0.0) * (1 + _LAST_PLACES) + _LAST_PLACES * terms


def _finite_sum(order: float, rate: float, noise: float) -> float:
    """Return the logarithm of the moment for a whole order: the binomial theorem."""
    k = np.arange(order + 1)
    log_binomial = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
    weights = (order - k) * np.log1p(-rate) + k * np.log(rate)
    return float(log_sum(log_binomial + weights + (k**2 - k) / (2 * noise**2)))


def _two_series(order: float, rate: float, noise: float) -> float:
    """Return it for any order: two binomial series, on either side of where the two parts are equal.

    From the order on the terms alternate and fall, so that the sum is off by less than the first term
    left out, which is added.
    """
    i = np.arange(int(order) + _TERMS)
    j = order - i
    log_binomial = gammaln(order + 1) - gammaln(i + 1) - gammaln(j + 1)
    equal = noise**2 * (np.log1p(-rate) - np.log(rate)) + 0.5
    stay, take = np.log1p(-rate), np.log(rate)
    left = j * stay + i * take + (i**2 - i) / (2 * noise**2) + log_ndtr((equal - i) / noise)
    right = i * stay + j * take + (j**2 - j) / (2 * noise**2) + log_ndtr((j - equal) / noise)
    terms = log_binomial + np.logaddexp(left, right)
    total = log_sum(terms[:-1], gammasgn(j + 1)[:-1])
    return float(np.logaddexp(total, terms[-1]))
