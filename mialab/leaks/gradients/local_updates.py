"""What a client sends."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import nn
from torch.func import grad, vmap

from mialab import _check
from mialab._functional import as_tensor
from mialab._types import Inputs
from mialab._validation import door
from mialab.leaks.gradients.per_record import check_readable
from mialab.per_example.gradients import loss

_RECORDS_AT_ONCE = 4096
_RATES = (1e-6, 1e6)  # outside, the step or its quotient is lost in single precision


@door
def local_updates(
    model: nn.Module,
    x: Inputs,
    y: Int[ndarray, "records"],
    batches: Int[ndarray, "clients n"],
    *,
    steps: int,
    learning_rate: float,
) -> Float[ndarray, "clients parameters"]:
    """Return what each client sends after ``steps`` of plain gradient descent on its own n records.

    (θ_start − θ_end)/(steps · learning rate): the mean of the gradients on the way (McMahan et al. 2017, with
    one batch). For one step it is the mean of the records' gradients. The mean over clients is what a server
    sees that adds up without looking (secure aggregation): for one step, that of one client who has all
    the records.

    Parameters
    ----------
    model
        Where all clients start; it is left as it is.
    x, y
        All records and labels.
    batches
        Row c: the record numbers of client c.
    steps
        At least 1.
    learning_rate
        Above 0.

    Raises
    ------
    ValueError
        As in `per_record`; or if a record number, ``steps`` or the learning rate is out of range.

    Examples
    --------
    >>> from mialab.leaks.gradients import per_record
    >>> from mialab.models import mlp
    >>> model, x, y = mlp(3, (), 2), np.eye(3, dtype=np.float32), np.array([0, 1, 1])
    >>> sent = local_updates(model, x, y, np.array([[0, 2]]), steps=1, learning_rate=0.5)
    >>> np.allclose(sent[0], per_record(model, x, y)[[0, 2]].mean(axis=0), atol=1e-6)
    True
    """
    inputs, labels, _ = check_readable(model, x, y)
    _check.at_least("steps", steps, 1)
    _check.positive("learning_rate", learning_rate)
    if not _RATES[0] <= learning_rate <= _RATES[1]:
        _check.refuse("learning_rate", f"be between {_RATES[0]:g} and {_RATES[1]:g}", learning_rate)
    _check.hold("batches", batches.T, 1, "records a client")
    _check.labels("batches", batches, classes=len(x))
    start = {name: weight.detach() for name, weight in model.named_parameters()}
    push = vmap(grad(partial(loss, model)))
    sent = []
    for some in as_tensor(batches).split(max(1, _RECORDS_AT_ONCE // batches.shape[1])):
        state = {name: weight.expand(len(some), *weight.shape) for name, weight in start.items()}
        for _ in range(steps):
            pushes = push(state, inputs[some], labels[some])
            state = {name: weight - learning_rate * pushes[name] for name, weight in state.items()}
        moved = [(start[name] - state[name]).flatten(1) for name in start]
        sent.append(torch.cat(moved, dim=1) / (steps * learning_rate))
    return np.asarray(torch.cat(sent).cpu().numpy())
