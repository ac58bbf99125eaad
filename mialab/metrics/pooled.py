"""Rates pooled over models.

When every model of a fleet is attacked in turn, the same records are tried again and again, and one
model may be easier than another. So the trials are not independent, and an interval that counts them as
such is far too short. Here models and records are resampled, both with replacement, and the weight of a
model-record cell is the product of the two numbers of times it was drawn.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr, stdtrit

from mialab import _check
from mialab._types import MemberMatrix, SignalMatrix
from mialab._validation import door
from mialab.metrics.estimate import Estimate
from mialab.metrics.roc import RESOLVED_FROM, Band, Roc, rank_scores, weighted_roc

METHOD = "bootstrap of models and records"


@door
def pooled_roc(score: SignalMatrix, member: MemberMatrix) -> Roc:
    """Return the ROC of one threshold for all models.

    Parameters
    ----------
    score, member
        (models, records): the scores of each target in turn, and the truth.

    Raises
    ------
    ValueError
        If shapes differ, a score is not finite, ``member`` is not bool or one kind is missing.

    Examples
    --------
    >>> pooled_roc(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[True, False], [False, True]])).auc
    1.0
    """
    _doors(score, member)
    flat = member.ravel().astype(float)
    return weighted_roc(*rank_scores(score.astype(float).ravel()), flat, 1 - flat)


@door
def bootstrap(
    score: SignalMatrix,
    member: MemberMatrix,
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
    score, member
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
    >>> print(bootstrap(rng.normal(size=(16, 200)) + member, member, lambda roc: roc.auc, rng=rng))
    0.757 [0.725, 0.786]
    """
    values, tail = _resampled([score], member, statistic, rng, resamples, confidence)
    return _estimate(statistic(pooled_roc(score, member)), values[:, 0], tail, confidence)


@door
def paired_bootstrap(
    first: SignalMatrix,
    second: SignalMatrix,
    member: MemberMatrix,
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

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> member = rng.random((16, 200)) < 0.5
    >>> luck = rng.normal(size=(16, 200))
    >>> print(paired_bootstrap(luck + member, luck + 1.2 * member, member, lambda roc: roc.auc, rng=rng))
    0.042 [0.039, 0.046]
    """
    values, tail = _resampled([first, second], member, statistic, rng, resamples, confidence)
    value = statistic(pooled_roc(second, member)) - statistic(pooled_roc(first, member))
    return _estimate(value, values[:, 1] - values[:, 0], tail, confidence)


@door
def pooled_band(
    score: SignalMatrix,
    member: MemberMatrix,
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
    >>> band = pooled_band(rng.normal(size=(16, 200)) + member, member, np.array([0.1, 0.5]), rng=rng)
    >>> band.low.round(2), band.high.round(2)
    (array([0.31, 0.8 ]), array([0.46, 0.89]))
    """

    def tprs(roc: Roc) -> list[float]:
        return [roc.tpr_at(float(one)) for one in fpr]

    values, tail = _resampled([score], member, tprs, rng, resamples, confidence)
    low, high = read_off(values[:, 0], tail)
    # Where all resamples agree on 0 or 1, take what as many trials as there are models could not rule out.
    unseen = ((1 - confidence) / 2) ** (1 / min(score.shape))
    low, high = np.where(low == 1, unseen, low), np.where(high == 0, 1 - unseen, high)
    return Band(np.asarray(fpr, dtype=float), low, high, confidence, METHOD)


@door
def pooled_tpr_at(
    score: SignalMatrix,
    member: MemberMatrix,
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
    >>> print(pooled_tpr_at(rng.normal(size=(16, 200)) + member, member, 0.1, rng=rng))
    0.390 [0.303, 0.459]
    """
    roc = pooled_roc(score, member)
    threshold = roc.threshold[roc.point_at(fpr)]
    behind = ((score >= threshold) & ~member).any(axis=0).sum()
    estimate = bootstrap(
        score, member, lambda roc: roc.tpr_at(fpr), rng=rng, resamples=resamples, confidence=confidence
    )
    return replace(estimate, resolved=roc.resolves(fpr) and bool(behind >= RESOLVED_FROM))


def _resampled(
    scores: list[SignalMatrix],
    member: MemberMatrix,
    statistic: Callable[[Roc], Any],
    rng: np.random.Generator,
    resamples: int,
    confidence: float,
) -> tuple[ndarray, float]:
    """Return the statistic (resamples, scores, …), and the percentile to read off."""
    for score in scores:
        _doors(score, member)
    models, records = member.shape
    _check.hold("member", member, 5, "models")
    _check.hold("member", member.T, 5, "records")
    tail = percentile(models, records, resamples, confidence)
    rankings, hits, false = (
        [rank_scores(one.astype(float).ravel()) for one in scores],
        member * 1.0,
        ~member * 1.0,
    )
    values = []
    while len(values) < resamples:
        weight = np.outer(draws(models, rng), draws(records, rng))
        sides = (weight * hits).ravel(), (weight * false).ravel()
        if sides[0].any() and sides[1].any():
            values.append([statistic(weighted_roc(*ranking, *sides)) for ranking in rankings])
    return np.array(values), tail


def _estimate(value: float, values: ndarray, tail: float, confidence: float) -> Estimate:
    """Read the interval off the resampled values."""
    if np.ptp(values) == 0:
        _check.refuse(
            "the statistic", "vary between resamples to have an interval", f"{values[0]} every time"
        )
    low, high = read_off(values, tail)
    return Estimate(value, min(low, value), max(high, value), confidence, METHOD)


def read_off(values: ndarray, tail: float) -> ndarray:
    """Return both percentiles, so that as many more values lie beyond them as the tail says."""
    return np.quantile(values, [tail, 1 - tail], axis=0, method="weibull")


def _doors(score: SignalMatrix, member: MemberMatrix) -> None:
    _check.finite("score", score)
    _check.both_kinds("member", member)


def draws(units: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``units`` of ``units`` with replacement, and count how often each was drawn."""
    return np.bincount(rng.integers(units, size=units), minlength=units).astype(float)


def percentile(models: int, records: int, resamples: int, confidence: float) -> float:
    """Return the percentile to read off, widened for few units (Hesterberg 2015, §5.3).

    Refuses resamples too few to have it.
    """
    _check.confidence(confidence)
    units = min(models, records)
    student = stdtrit(units - 1, (1 + confidence) / 2)
    tail = float(ndtr(-np.sqrt(units / (units - 1)) * student))
    _check.at_least("resamples", resamples, max(100, int(np.ceil(1 / tail - 1))))
    return tail
