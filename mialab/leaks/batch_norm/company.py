"""Asking a model in training mode: the answer depends on who else is asked.

In training mode a batch-norm layer takes mean and variance from the batch at hand, so a record's logits
are a function of the record *and its mates*. Whoever queries a model like that by mistake has chosen the
mates by mistake as well.
"""

import copy

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import nn
from torch.func import vmap

from mialab import _check
from mialab._functional import as_tensor
from mialab._types import Inputs, Member
from mialab._validation import door
from mialab.train import Fleet
from mialab.train._model_checks import cast_records
from mialab.train.fleet import explain_unreadable

_ROWS_AT_ONCE = 2**16  # records in one forward pass: bounds the memory of `predict_batches`


@door
def without_running_stats(module: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, whose batch-norm layers have only the batch at hand to go by.

    They forget their running averages, so that querying cannot change them; all other layers, dropout
    among them, are in evaluation mode.

    Examples
    --------
    >>> layer = without_running_stats(nn.BatchNorm1d(1))
    >>> layer(torch.tensor([[1.0], [3.0]])).flatten().detach().round(decimals=3)
    tensor([-1.,  1.])
    """
    alone = copy.deepcopy(module).eval()
    for layer in alone.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.running_mean = layer.running_var = layer.num_batches_tracked = None
    return alone


@door
def draw_mates(
    eligible: Member, queries: Int[ndarray, "queries"], mates: int, *, rng: np.random.Generator
) -> Int[ndarray, "queries mates"]:
    """Draw company for each query from the eligible records, never the query itself, without repeats.

    Parameters
    ----------
    eligible
        Bool (records,): who may be drawn.
    queries
        Row of each query in the same records.
    mates
        How many each gets, at least 1.

    Raises
    ------
    ValueError
        If there are too few eligible records, ``mates`` is below 1, or a query is none of the records.

    Examples
    --------
    >>> eligible = np.array([True, True, True, False])
    >>> mates = draw_mates(eligible, np.array([0, 3]), 2, rng=np.random.default_rng(0))
    >>> np.sort(mates[0])
    array([1, 2])
    """
    _check.at_least("mates", mates, 1)
    _check.labels("queries", queries, classes=len(eligible))
    if eligible.sum() <= mates:
        _check.refuse("eligible", f"have more than {mates} records", int(eligible.sum()))
    there = np.flatnonzero(eligible)
    keys = rng.random((len(queries), len(there)))
    keys[queries[:, None] == there] = 2.0  # behind everybody else
    return there[np.argpartition(keys, mates - 1, axis=1)[:, :mates]]


@door
def predict_batches(
    models: nn.Module | Fleet,
    x: Inputs,
    batches: Int[ndarray, "*models batches size"],
) -> Float[ndarray, "*models batches size classes"]:
    """Return the logits of whole batches of records that are asked together.

    The counterpart of `mialab.train.predict`, with the batch-norm layers, and nothing else, in training
    mode. Running averages are neither used nor changed.

    Parameters
    ----------
    models
        A module, or a fleet.
    x
        Records that the batches are rows of.
    batches
        Rows of x, (batches, size) for a module and (models, batches, size) for a fleet.

    Raises
    ------
    ValueError
        If a number is not finite, shapes do not fit, a row is none of x, or a batch has one record: torch
        refuses to normalise it, and its output would not depend on the record anyway.

    Examples
    --------
    >>> from mialab import models
    >>> model, x = models.small_cnn(1, 8, 10, norm="batch"), np.random.rand(6, 1, 8, 8).astype(np.float32)
    >>> predict_batches(model, x, np.array([[0, 1, 2], [3, 4, 5]])).shape
    (2, 3, 10)
    """
    _check.finite("x", x)
    _check.hold("x", x, 1, "records")
    _check.labels("batches", batches, classes=len(x))
    fleet = models if isinstance(models, Fleet) else Fleet.of([models])
    everyones = batches if isinstance(models, Fleet) else batches[None]
    if len(everyones) != len(fleet):
        _check.refuse("batches", f"be given for each of {len(fleet)} models", f"{len(everyones)}")
    if everyones.shape[2] < 2:
        _check.refuse("batches", "have at least 2 records each", everyones.shape[2])
    records, logits = as_tensor(cast_records(fleet[0], x)), []
    for one, rows in enumerate(everyones):
        model = without_running_stats(fleet[one])
        pieces = torch.tensor(rows).split(max(1, _ROWS_AT_ONCE // rows.shape[1]))
        with explain_unreadable(x):
            logits.append(torch.cat([_forward(model, records[piece]) for piece in pieces]))
    answers = torch.stack(logits).numpy()
    return answers if isinstance(models, Fleet) else answers[0]


@door
def predict_in_company(
    models: nn.Module | Fleet,
    x: Inputs,
    queries: Int[ndarray, "queries"],
    mates: Int[ndarray, "*models queries mates"],
) -> Float[ndarray, "*models queries classes"]:
    """Return the logits of each query from a batch of its own: the query first, then its mates.

    Parameters
    ----------
    models, x
        As for `predict_batches`.
    queries
        Rows of x.
    mates
        Rows of x, (queries, mates) for a module and (models, queries, mates) for a fleet: every model
        is asked in company of its own.

    Raises
    ------
    ValueError
        As for `predict_batches`.

    Examples
    --------
    >>> model, x = nn.BatchNorm1d(1), np.array([[0.0], [1.0], [3.0]], dtype=np.float32)
    >>> predict_in_company(model, x, np.array([1, 1]), mates=np.array([[0], [2]])).round(2)
    array([[ 1.],
           [-1.]], dtype=float32)
    """
    if mates.shape[-2] != len(queries):
        _check.refuse("mates", f"be drawn for each of {len(queries)} queries", f"{mates.shape[-2]}")
    _check.labels("queries", queries, classes=len(x))
    _check.labels("mates", mates, classes=len(x))
    if mates.shape[-1] < 1:
        _check.refuse("mates", "be at least 1 for each query", "none")
    first = np.broadcast_to(queries[:, None], (*mates.shape[:-1], 1))
    return predict_batches(models, x, np.concatenate([first, mates], axis=-1))[..., 0, :]


@torch.no_grad()
def _forward(model: nn.Module, batches: torch.Tensor) -> torch.Tensor:
    """Return the logits of every batch, each normalised by itself."""
    return vmap(model)(batches.to(next(model.parameters()).device)).cpu()
