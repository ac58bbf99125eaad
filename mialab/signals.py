"""Signals: what is observed of a model on a record, one number each. Higher always means "member".

The functions take logits and labels as NumPy arrays, so they serve models trained anywhere; `observe`
asks a model or a fleet of ours. All are computed in float64 from differences of logits, so that a model
that is certain in float32 still gives finite signals in the right order: no probability is ever
rounded to 1 before its complement is taken, and no constant is added to rescue a logarithm.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import logsumexp
from torch import nn

from mialab import _check
from mialab._validation import door
from mialab.train import Fleet, predict

Logits = Float[ndarray, "*models records classes"]
Labels = Int[ndarray, "records"]
Signals = Float[ndarray, "*models records"]
Signal = Callable[[Logits, Labels], Signals]


@door
def observe(
    models: nn.Module | Fleet, x: Float[ndarray, "records *features"], y: Labels, signal: Signal | None = None
) -> Signals:
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
        If a record is not finite or a label is out of range.

    Examples
    --------
    >>> from mialab.models import mlp
    >>> observe(mlp(4, (8,), 3), np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0])).shape
    (4,)
    """
    return (signal or logit_gap)(predict(models, x), y)


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
    label's logit minus the log-sum-exp of the other logits.

    Examples
    --------
    >>> logit_gap(np.array([[3.0, 1.0]]), np.array([0]))
    array([2.])
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
    _doors(logits, y)
    return (logits.argmax(axis=-1) == y).astype(np.float64)


@door
def entropy(logits: Logits, y: Labels) -> Signals:
    """Return minus the entropy of the predicted distribution, in nats; the label plays no part.

    Shokri et al. 2017 noticed that predictions on members are the surer ones.

    Examples
    --------
    >>> entropy(np.array([[0.0, 0.0]]), np.array([0]))
    array([-0.69314718])
    """
    _doors(logits, y)
    log_p, _ = _log_probabilities(logits)
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
    _doors(logits, y)
    log_p, log_rest = _log_probabilities(logits)
    at_label = y[:, None] == np.arange(logits.shape[-1])
    weight = np.where(at_label, np.exp(log_rest), np.exp(log_p))
    return (weight * np.where(at_label, log_p, log_rest)).sum(axis=-1)


def _doors(logits: Logits, y: Labels) -> None:
    """Refuse logits that are not finite, too few classes, and labels that do not fit."""
    if np.ndim(logits) < 2 or logits.shape[-1] < 2:
        _check.refuse("logits", "have shape (…, records, classes) with two classes or more", np.shape(logits))
    _check.finite("logits", logits)
    _check.labels("y", y, classes=logits.shape[-1])
    if y.shape != (logits.shape[-2],):
        _check.refuse("y", f"have one label for each of the {logits.shape[-2]} records", f"shape {y.shape}")


def _split(logits: Logits, y: Labels) -> tuple[Signals, Float[ndarray, "*models records others"]]:
    """Return the label's logit and the logits of the other classes, in float64."""
    _doors(logits, y)
    at_label = np.broadcast_to(y[:, None] == np.arange(logits.shape[-1]), logits.shape)
    wide = logits.astype(np.float64)
    return wide[at_label].reshape(logits.shape[:-1]), wide[~at_label].reshape(*logits.shape[:-1], -1)


def _log_probabilities(logits: Logits) -> tuple[Logits, Logits]:
    """Return log p and log(1 − p) of every class.

    With the largest logit taken out, p = 1/(1 + s) for it, where s is the sum of the others' odds, and
    log s is a log-sum-exp: neither logarithm meets a rounded 1.
    """
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    top = logits.argmax(axis=-1)[..., None] == np.arange(logits.shape[-1])
    log_odds_of_rest = np.asarray(logsumexp(np.where(top, -np.inf, shifted), axis=-1, keepdims=True))
    log_p = shifted - np.logaddexp(0, log_odds_of_rest)
    log_rest_of_top = log_odds_of_rest - np.logaddexp(0, log_odds_of_rest)
    with np.errstate(divide="ignore"):  # a certain class has log(1 − 1) here, and is replaced below
        return log_p, np.where(top, log_rest_of_top, np.log1p(-np.exp(log_p)))
