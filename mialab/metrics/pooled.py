"""Rates and means pooled over models.

When every model of a fleet is attacked in turn, the same records are tried again and again, and one
model may be easier than another. So the trials are not independent, and an interval that counts them as
such is far too short. Here models and records are resampled, both with replacement, and the weight of a
model-record cell is the product of the two numbers of times it was drawn.

Scores of many models come with their membership, as `Observations`: signals as they were observed, or what
an attack made of them, as in ``pooled_roc(leave_one_out(lira.online, fleet))``.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.special import ndtr, stdtrit

from mialab import _check
from mialab._validation import door
from mialab.game import Observations
from mialab.metrics.estimate import Estimate, widened
from mialab.metrics.roc import RESOLVED_FROM, Band, Roc, rank_scores, weighted_roc

METHOD = "bootstrap of models and records"


@door
def pooled_roc(scores: Observations) -> Roc:
    """Return the ROC of one threshold for all models.

    Parameters
    ----------
    scores
        The scores of each target in turn, (models, records), and the truth.

    Raises
    ------
    ValueError
        If there are no members, or no non-members.

    Examples
    --------
    >>> member = np.array([[True, False], [False, True]])
    >>> pooled_roc(Observations(np.array([[2.0, 1.0], [1.0, 2.0]]), member)).auc
    1.0
    """
    _check.both_kinds("member", scores.member)
    member = scores.member.ravel() * 1.0
    return weighted_roc(*rank_scores(scores.signal.ravel()), member, 1 - member)


@door
def bootstrap(
    scores: Observations,
    statistic: Callable[[Roc], float],
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """Return a statistic of the pooled ROC, with an interval that resamples models and records.

    The pigeonhole bootstrap of Owen 2007, which for two crossed sources of luck errs on the wide side:
    by up to √3 where, after all, every cell has its own luck and nothing else. Its percentiles are moved
    outward for the few units there are (Hesterberg 2015, §5.3): to those of a normal at √(n/(n − 1))
    times Student's quantile with n − 1 degrees of freedom, n being the smaller of the numbers of models
    and records.

    No bootstrap knows what it has not seen. A leak that is carried by fewer than about ten records, or
    ten models, is *understated*: where one record in a hundred is memorised, and there are a hundred,
    a 95 % interval held the truth in 68 % of trials, and the truth lay above it in the others.

    Parameters
    ----------
    scores
        (models, records), at least five of each.
    statistic
        Of a `Roc`: for instance ``lambda roc: roc.auc``.
    rng
        Where the resamples come from.
    resamples
        How many; at least 100, and enough for the percentile that has to be read off. The error says how
        many that is.
    confidence
        In (0, 1).

    Raises
    ------
    ValueError
        If the input is refused by `pooled_roc`, too small, or every resample gives the same number, so
        that there is nothing to make an interval of.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> member = rng.random((16, 200)) < 0.5
    >>> scores = Observations(rng.normal(size=(16, 200)) + member, member)
    >>> print(bootstrap(scores, lambda roc: roc.auc, rng=rng))
    0.757 [0.725, 0.786]
    """
    values, tail = _resampled([scores], statistic, rng, resamples, confidence)
    return _estimate(statistic(pooled_roc(scores)), values[:, 0], tail, confidence)


@door
def paired_bootstrap(
    first: Observations,
    second: Observations,
    statistic: Callable[[Roc], float],
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """Return a statistic of the second scores minus that of the first, with an interval.

    Both are scores of the same records against the same membership: two attacks on one fleet, or one attack
    on two fleets that were trained with the same coins. Each resample is used for both, so what the two
    have in common cancels. Everything else is as in `bootstrap`.

    Raises
    ------
    ValueError
        As in `bootstrap`, and if the two differ in shape or membership.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> member = rng.random((16, 200)) < 0.5
    >>> luck = rng.normal(size=(16, 200))
    >>> first, second = (Observations(luck + gain * member, member) for gain in (1.0, 1.2))
    >>> print(paired_bootstrap(first, second, lambda roc: roc.auc, rng=rng))
    0.042 [0.039, 0.046]
    """
    if not np.array_equal(first.member, second.member):
        _check.refuse("first and second", "have the same membership", "another one")
    values, tail = _resampled([first, second], statistic, rng, resamples, confidence)
    value = statistic(pooled_roc(second)) - statistic(pooled_roc(first))
    return _estimate(value, values[:, 1] - values[:, 0], tail, confidence)


@door
def pooled_band(
    scores: Observations,
    fpr: Float[ndarray, "points"],
    *,
    rng: np.random.Generator,
    resamples: int = 300,
    confidence: float = 0.95,
) -> Band:
    """Return intervals for the pooled TPR at several false-positive rates, made like those of `bootstrap`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> member = rng.random((16, 200)) < 0.5
    >>> scores = Observations(rng.normal(size=(16, 200)) + member, member)
    >>> band = pooled_band(scores, np.array([0.1, 0.5]), rng=rng)
    >>> band.low.round(2), band.high.round(2)
    (array([0.31, 0.8 ]), array([0.46, 0.89]))
    """
    rates = fpr.tolist()
    values, tail = _resampled([scores], lambda roc: list(map(roc.tpr_at, rates)), rng, resamples, confidence)
    low, high = _read_off(values[:, 0], tail)
    # Where all resamples agree on 0 or 1, take what as many trials as there are models could not rule out.
    unseen = ((1 - confidence) / 2) ** (1 / min(scores.signal.shape))
    low, high = np.where(low == 1, unseen, low), np.where(high == 0, 1 - unseen, high)
    return Band(fpr, low, high, confidence, METHOD)


@door
def pooled_tpr_at(
    scores: Observations,
    fpr: float,
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """Return the pooled TPR at a false-positive rate, and whether the sample resolves that rate.

    A rate is resolved where the false positives are ten or more *and* come from ten or more different
    records: one odd record accused by sixteen models is one odd record.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> member = rng.random((16, 200)) < 0.5
    >>> print(pooled_tpr_at(Observations(rng.normal(size=(16, 200)) + member, member), 0.1, rng=rng))
    0.390 [0.303, 0.459]
    """
    roc = pooled_roc(scores)
    threshold = roc.threshold[roc.point_at(fpr)]
    behind = ((scores.signal >= threshold) & ~scores.member).any(axis=0).sum()
    estimate = bootstrap(
        scores, lambda roc: roc.tpr_at(fpr), rng=rng, resamples=resamples, confidence=confidence
    )
    return replace(estimate, resolved=roc.resolves(fpr) and bool(behind >= RESOLVED_FROM))


@door
def pooled_mean(
    value: Float[ndarray, "models records"] | Bool[ndarray, "models records"],
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """Return the mean of a table of models and records, with an interval that resamples both.

    The pigeonhole bootstrap of `bootstrap`, for a mean. A difference of two means whose models share their
    coins, or whose records are the same, is the mean of the difference of the tables: pass that.

    Parameters
    ----------
    value
        (models, records), at least five of each; finite. Booleans count as 0 and 1.
    rng
        Where the resamples come from.
    resamples
        How many; at least 100, and enough for the percentile that has to be read off.
    confidence
        In (0, 1).

    Raises
    ------
    ValueError
        If the table is too small or not finite, or all its entries are equal, so that there is nothing to
        make an interval of.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> print(pooled_mean(rng.random((16, 200)) < 0.9, rng=rng))
    0.904 [0.879, 0.926]
    """
    table = value.astype(float)
    _check.finite("value", table)
    tail = _percentile("value", table, resamples, confidence)
    if np.ptp(table) == 0:
        _check.refuse("value", "vary to have an interval", f"{table[0, 0]} everywhere")
    models, records = table.shape
    means = [draws(models, rng) @ table @ draws(records, rng) / table.size for _ in range(resamples)]
    return _estimate(float(table.mean()), np.array(means), tail, confidence)


def _resampled(
    fleets: list[Observations],
    statistic: Callable[[Roc], Any],
    rng: np.random.Generator,
    resamples: int,
    confidence: float,
) -> tuple[ndarray, float]:
    """Return the statistic (resamples, fleets, …), and the percentile to read off."""
    member = fleets[0].member
    _check.both_kinds("member", member)
    tail = _percentile("scores", member, resamples, confidence)
    rankings, hits = [rank_scores(one.signal.ravel()) for one in fleets], member * 1.0
    values, (models, records) = [], member.shape
    while len(values) < resamples:
        weight = np.outer(draws(models, rng), draws(records, rng))
        inside = weight * hits
        sides = inside.ravel(), (weight - inside).ravel()
        if sides[0].any() and sides[1].any():
            values.append([statistic(weighted_roc(*ranking, *sides)) for ranking in rankings])
    return np.array(values), tail


def draws(units: int, rng: np.random.Generator) -> ndarray:
    """Draw ``units`` of ``units`` with replacement, and count how often each was drawn."""
    return np.bincount(rng.integers(units, size=units), minlength=units).astype(float)


def _percentile(name: str, table: ndarray, resamples: int, confidence: float) -> float:
    """Return the percentile to read off, widened for few units (Hesterberg 2015, §5.3).

    Refuses tables that are too small, and resamples too few to have it.
    """
    _check.hold(name, table, 5, "models")
    _check.hold(name, table.T, 5, "records")
    _check.confidence(confidence)
    units = min(table.shape)
    student = stdtrit(units - 1, (1 + confidence) / 2)
    tail = float(ndtr(-np.sqrt(units / (units - 1)) * student))
    _check.at_least("resamples", resamples, max(100, int(np.ceil(1 / tail - 1))))
    return tail


def _read_off(values: ndarray, tail: float) -> ndarray:
    """Return both percentiles, so that as many more values lie beyond them as the tail says."""
    return np.quantile(values, [tail, 1 - tail], axis=0, method="weibull")


def _estimate(value: float, values: ndarray, tail: float, confidence: float) -> Estimate:
    """Read the interval off the resampled values."""
    if np.ptp(values) == 0:
        rule = "vary between resamples to have an interval"
        _check.refuse("the statistic", rule, f"{values[0]} every time")
    low, high = _read_off(values, tail)
    return widened(value, low, high, confidence, METHOD)
