"""Signals: what is observed of a model on a record, one number each. Higher always means "member".

The functions take logits and labels as NumPy arrays, so they serve models trained anywhere; `observe` asks a
model or a fleet of ours. A single logit z of label 1, (records, 1), is taken as the two logits (0, z).
Probabilities are no logits, and are refused: `logits_from_probabilities` makes logits of them. All are
computed in float64 from differences of logits, so that a model that is certain in float32 still gives finite
signals in the right order: no probability is ever rounded to 1 before its complement is taken, and no
constant is added to rescue a logarithm.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import logsumexp
from torch import nn

from mialab import _check, _logits
from mialab._types import Inputs
from mialab._validation import door
from mialab.train import Fleet, predict

Logits = Float[ndarray, "*models records classes"]
Labels = Int[ndarray, "records"]
Signals = Float[ndarray, "*models records"]
Signal = Callable[[Logits, Labels], Signals]


@door
def observe(models: nn.Module | Fleet, x: Inputs, y: Labels, signal: Signal | None = None) -> Signals:
    """Query a model, or every model of a fleet, on every record.

    Parameters
    ----------
    models
        A module that returns logits, however it was trained, or a fleet from `mialab.train.fit_many`; asked
        as by `mialab.train.predict`.
    x, y
        Records and their labels.
    signal
        One of the functions of this module; `logit_gap` if not given.

    Returns
    -------
    Float64 array, (records,) for a module and (models, records) for a fleet.

    Raises
    ------
    ValueError
        If a record is not finite, a label is out of range, or a model answers with probabilities, as one
        that ends in a softmax does.

    Examples
    --------
    >>> from mialab.models import mlp
    >>> observe(mlp(4, (8,), 3), np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0])).shape
    (4,)
    """
    logits, signal = predict(models, x), signal or logit_gap
    if signal not in _OWN:  # which check their logits themselves
        _checked(logits, y)
    return signal(logits, y)


@door
def logits_from_probabilities(p: Logits, *, floor: float | None = None) -> Logits:
    """Return logits with these probabilities: their logarithms.

    For models that only say probabilities, such as scikit-learn's. An exact 0 has no logarithm, and what it
    stands for is for you to say: every probability below ``floor`` is taken for it. No two are put in
    another order by that, as the floor may not lie above any probability that is not 0. Use one floor for
    all models that will be compared. Good ones are half of the least that the model could have said:

    * 1/(2n) for a forest of n trees that are grown until their leaves are pure: half a vote;
    * 0.00005 for numbers that were printed with four decimals;
    * the least number of the type, ``np.finfo(p.dtype).smallest_subnormal``, for a softmax that underflowed.

    A 1 needs no such care: its distance from 1 is the sum of the others, which is read instead of it. Rows
    are not made to sum to 1 again: no signal depends on it. Logarithms of probabilities are logits if all are
    finite; if not, give ``np.exp(log_p)``.

    Parameters
    ----------
    p
        Probabilities (…, records, classes) of two classes or more; every row sums to 1, as nearly as its
        numbers are rounded.
    floor
        What a probability of 0 is taken for, above 0 and at most the smallest one that is not 0.

    Returns
    -------
    Float64 array of the same shape, all finite.

    Raises
    ------
    ValueError
        If ``p`` is no array of probabilities, holds a 0 and there is no floor, or the floor is not above 0
        or is above another probability.

    Examples
    --------
    >>> logits_from_probabilities(np.array([[0.75, 0.25]])).round(3)
    array([[-0.288, -1.386]])
    >>> votes_of_10_trees = np.array([[1.0, 0.0, 0.0], [0.2, 0.7, 0.1]])
    >>> logit_gap(logits_from_probabilities(votes_of_10_trees, floor=1 / 20), np.array([0, 0])).round(3)
    array([ 2.303, -1.386])
    """
    if p.shape[-1] < 2:
        _check.refuse("p", "have shape (…, records, classes) with two classes or more", p.shape)
    _check.finite("p", p)
    if p.size and not _logits.are_probabilities(p):
        rule = "have rows in [0, 1] with sum 1"
        _check.refuse("p", rule, f"values from {p.min()} to {p.max()}, sums from {p.sum(-1).min()}")
    if floor is None and not p.all():
        _check.refuse("p", "be above 0 (or say with floor what a 0 stands for)", f"{(p == 0).sum()} zeros")
    if floor is not None:
        _check.positive("floor", floor)
        least = p.min(initial=1, where=p > 0)
        if floor > least:
            _check.refuse("floor", f"be at most the least probability above 0, {least}", floor)
        p = np.maximum(p, floor)
    return np.log(p)


@door
def loss(logits: Logits, y: Labels) -> Signals:
    """Return the log-probability of the label: the cross-entropy loss with its sign turned.

    Yeom et al. 2018, §3.2: members have lower loss.

    Examples
    --------
    >>> loss(np.array([[0.0, 0.0], [800.0, 0.0]]), np.array([0, 0]))
    array([-0.69314718, -0.        ])
    """
    return -np.logaddexp(0, -logit_gap(logits, y))


@door
def confidence(logits: Logits, y: Labels) -> Signals:
    """Return the probability of the label, in [0, 1].

    Examples
    --------
    >>> confidence(np.array([[0.0, 0.0]]), np.array([1]))
    array([0.5])
    """
    return np.exp(loss(logits, y))


@door
def logit_gap(logits: Logits, y: Labels) -> Signals:
    """Return log p − log(1 − p) for the label's probability p.

    Carlini et al. 2022: nearly Gaussian over models, which the loss is not. Computed as the
    label's logit minus the log-sum-exp of the other logits. Of a single logit z: z for label 1, −z for 0.

    Examples
    --------
    >>> logit_gap(np.array([[3.0, 1.0]]), np.array([0])), logit_gap(np.array([[2.0]]), np.array([0]))
    (array([2.]), array([-2.]))
    """
    own, others = _split(logits, y)
    return own - logsumexp(others, axis=-1)


@door
def margin(logits: Logits, y: Labels) -> Signals:
    """Return the label's logit minus the largest other logit.

    Examples
    --------
    >>> margin(np.array([[3.0, 1.0, 2.5]]), np.array([0]))
    array([0.5])
    """
    own, others = _split(logits, y)
    return own - others.max(axis=-1)


@door
def correctness(logits: Logits, y: Labels) -> Signals:
    """Return 1 where the model's answer (the first largest logit) is the label, else 0.

    Yeom et al. 2018, §3.1: the gap attack accuses exactly the records that are answered correctly.

    Examples
    --------
    >>> correctness(np.array([[3.0, 1.0], [3.0, 1.0]]), np.array([0, 1]))
    array([1., 0.])
    """
    return (_checked(logits, y).argmax(axis=-1) == y).astype(np.float64)


@door
def entropy(logits: Logits, y: Labels) -> Signals:
    """Return minus the entropy of the predicted distribution, in nats; the label plays no part.

    Shokri et al. 2017 noticed that predictions on members are the surer ones.

    Examples
    --------
    >>> entropy(np.array([[0.0, 0.0]]), np.array([0]))
    array([-0.69314718])
    """
    log_p, _ = _log_probabilities(_checked(logits, y))
    return (np.exp(log_p) * log_p).sum(axis=-1)


@door
def modified_entropy(logits: Logits, y: Labels) -> Signals:
    """Return minus the entropy that also asks whether the sure answer is the right one.

    Song & Mittal 2021, Eq. (8): (1 − p) log p + Σ qᵢ log(1 − qᵢ), where p is the probability of the
    label and qᵢ those of the other classes. Being surely wrong costs without bound.

    Examples
    --------
    >>> modified_entropy(np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]]), np.array([0, 0, 0])).round(4)
    array([ -0.6931,  -0.    , -17.998 ])
    """
    log_p, log_rest = _log_probabilities(_checked(logits, y))
    at_label = y[:, None] == np.arange(log_p.shape[-1])
    weight = np.where(at_label, np.exp(log_rest), np.exp(log_p))
    return (weight * np.where(at_label, log_p, log_rest)).sum(axis=-1)


_OWN = (loss, confidence, logit_gap, margin, correctness, entropy, modified_entropy)


def _checked(logits: Logits, y: Labels) -> Float[ndarray, "*models records two_or_more"]:
    """Return logits, a single one as two; refuse probabilities, and labels that do not fit."""
    if not np.isfinite(logits).all():
        if _logits.are_probabilities(np.exp(np.minimum(logits, 1.0))):
            zeros = "logarithms of 0: logits_from_probabilities(np.exp(logits), floor=…) makes them finite"
            _check.refuse("logits", "be finite", zeros)
        _check.finite("logits", logits)
    if not logits.shape[-1]:
        _check.refuse("logits", "have shape (…, records, classes) with one logit or more", logits.shape)
    _logits.refuse_probabilities("logits", logits, "logits_from_probabilities makes them logits")
    if logits.shape[-1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=-1)
    _check.labels("y", y, classes=logits.shape[-1])
    return logits


def _split(logits: Logits, y: Labels) -> tuple[Signals, Float[ndarray, "*models records others"]]:
    """Return the label's logit and the logits of the other classes."""
    logits = _checked(logits, y)
    at_label = np.broadcast_to(y[:, None] == np.arange(logits.shape[-1]), logits.shape)
    return logits[at_label].reshape(logits.shape[:-1]), logits[~at_label].reshape(*logits.shape[:-1], -1)


def _log_probabilities(logits: Logits) -> tuple[Logits, Logits]:
    """Return log p and log(1 − p) of every class.

    With the largest logit taken out, p = 1/(1 + s) for it, where s is the sum of the others' odds, and
    log s is a log-sum-exp: neither logarithm meets a rounded 1.
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    top = logits.argmax(axis=-1)[..., None] == np.arange(logits.shape[-1])
    log_odds_of_rest = np.asarray(logsumexp(np.where(top, -np.inf, shifted), axis=-1, keepdims=True))
    log_p = shifted - np.logaddexp(0, log_odds_of_rest)
    log_rest_of_top = log_odds_of_rest - np.logaddexp(0, log_odds_of_rest)
    with np.errstate(divide="ignore"):  # a certain class has log(1 − 1) here, and is replaced below
        return log_p, np.where(top, log_rest_of_top, np.log1p(-np.exp(log_p)))
