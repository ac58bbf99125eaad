"""The likelihood-ratio attack of Carlini et al. 2022.

How would a model that did *not* see this record behave on it, and how one that did? Shadow models answer
both questions with a Gaussian each; the score is the logarithm of the ratio of the two densities at what
the target shows. No test of one Gaussian against the other has more power (Neyman & Pearson 1933).

The Gaussians are those of a signal that is nearly Gaussian over models, such as `signals.logit_gap`.
"""

from typing import Literal

import numpy as np
from scipy.special import log_ndtr

from mialab import _check
from mialab._validation import door
from mialab.attacks.shadow_stats import Shadows, Signals, average_record, fill_either, shadow_stats

Spread = Literal["per_record", "pooled"]


@door
def online(target: Signals, shadows: Shadows, *, spread: Spread = "per_record") -> Signals:
    """Score each record by the log-likelihood ratio of two Gaussians, with and without it.

    Carlini et al. 2022, Algorithm 1. Means and variances are the unbiased ones of the shadows on each
    side.

    Where a record has no shadow on a side, its mean there is the one on the other side, moved by the
    average difference. Where its variance on a side is unknown (fewer than two shadows) or zero, it is
    the pooled one of that side.

    Parameters
    ----------
    target
        The target's signals (records,).
    shadows
        At least 4 models of the attacker's own, some with and some without each record.
    spread
        Whether every record gets its own two variances, or all share the pooled two, each of its own
        side. Pooled is the better choice for few shadows; `few_shadows` chooses between the two, and
        everything in between, by what the shadows say.

    Returns
    -------
    Scores (records,) in nats: 0 where both Gaussians explain the signal as well.

    Raises
    ------
    ValueError
        If numbers of records differ, there are fewer than 4 shadows, or a rule above finds no record
        to take an average of.

    Examples
    --------
    >>> from mialab.game import Observations
    >>> signal = np.array([[0.0], [2.0], [4.0], [6.0]])
    >>> shadows = Observations(signal, np.array([[False], [False], [True], [True]]))
    >>> online(np.array([3.0]), shadows), online(np.array([5.0]), shadows)
    (array([0.]), array([4.]))
    """
    _check.at_least("the number of shadows", len(shadows), 4)  # two a side of an even split
    inside, outside = shadow_stats(target, shadows)
    mean_in, mean_out = fill_either(inside.mean, outside.mean)
    with_it = _log_density(target, mean_in, inside.variance(pooled=spread == "pooled"))
    return with_it - _log_density(target, mean_out, outside.variance(pooled=spread == "pooled"))


@door
def offline(target: Signals, shadows: Shadows, *, spread: Spread = "per_record") -> Signals:
    """Score each record by how surprisingly high its signal is for a model that did not see it.

    Carlini et al. 2022, the offline form: the probability that a model without the record has a lower
    signal than the target. Here it is −log of the complement, which has the same order and still tells
    apart what a float would round to 1. One-sided: a signal that is surprisingly *low* says nothing for
    membership.

    A record without a shadow that lacks it is taken for an average record: the mean of the other
    records' means, and the variance between records added to that between shadows. Where its variance is
    unknown (fewer than two such shadows) or zero, it is the pooled one.

    Parameters
    ----------
    target
        The target's signals (records,).
    shadows
        The attacker's own models; only those without a record are asked about it.
    spread
        Whether every record gets its own variance, or all share the pooled one.

    Returns
    -------
    Scores (records,) in nats, at least 0: −log of a one-sided p-value.

    Raises
    ------
    ValueError
        If numbers of records differ, or a rule above finds no record to take an average of.

    Examples
    --------
    >>> from mialab.game import Observations
    >>> shadows = Observations(np.array([[0.0], [2.0]]), np.array([[False], [False]]))
    >>> np.exp(-offline(np.array([1.0]), shadows))
    array([0.5])
    """
    _, outside = shadow_stats(target, shadows)
    own, missing = outside.variance(pooled=spread == "pooled"), np.isnan(outside.mean)
    centre, between = average_record(outside.mean)
    mean = np.where(missing, centre, outside.mean)
    return -log_ndtr((mean - target) / np.sqrt(own + np.where(missing, between, 0)))


def _log_density(signal: Signals, mean: Signals, variance: Signals) -> Signals:
    """Return the logarithm of a Gaussian density, but for the constant that both sides share."""
    return -((signal - mean) ** 2 / variance + np.log(variance)) / 2
