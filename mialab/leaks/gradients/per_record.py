"""One gradient for each record, and what a client sends who has taken some steps along them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor, nn
from torch.func import grad, vmap

from mialab import _check, _logits
from mialab._functional import as_tensor
from mialab._types import Inputs
from mialab._validation import door
from mialab.models import TinyTransformer
from mialab.norms import NoisyBatchNorm2d
from mialab.per_example.gradients import loss, per_example
from mialab.train.fleet import accepts_integers, explain_unreadable

_CLIENT_RECORDS_AT_ONCE = 4096
_RATES = (1e-6, 1e6)  # outside, the step or its quotient is lost in single precision


@door
def per_record(
    model: nn.Module,
    x: Inputs,
    y: Int[ndarray, "records"],
    *,
    columns: Bool[ndarray, "parameters"] | None = None,
    memory_bytes: float = 2**28,
) -> Float[ndarray, "records columns"]:
    """Return the gradient of each record's cross-entropy, for all parameters in their order, flattened.

    A model of known layers, our attention among them, takes one pass over the batch, which keeps what every
    layer saw and got back; any other takes `torch.func.vmap` of the gradient of one record. Both are exact.
    The mean of the rows is what a training step on the batch would use.

    Parameters
    ----------
    model
        Returns logits. It is left as it is, and answers in the mode it is in.
    x, y
        Records and their labels.
    columns
        Which parameters to keep, as `part` returns it; all if not given.
    memory_bytes
        Records are taken in chunks whose estimated memory stays below this; the result is not counted.

    Returns
    -------
    Float array (records, columns), of the model's own precision.

    Raises
    ------
    ValueError
        If the model, in the mode it is in, draws random numbers or lets records see each other, so that a
        record has no gradient of its own; if the model can't read the records (wrong length, a token
        outside its vocabulary); if a record is not finite, or a label is out of range.

    Examples
    --------
    >>> from mialab.models import mlp
    >>> x, y = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
    >>> per_record(mlp(3, (), 2), x, y).shape
    (3, 8)
    """
    inputs, labels, outputs = check_readable(model, x, y)
    parameters = sum(weight.numel() for weight in model.parameters())
    keep = np.ones(parameters, dtype=bool) if columns is None else columns
    _check.positive("memory_bytes", memory_bytes)
    if keep.shape != (parameters,):
        _check.refuse("columns", f"have one entry for each of the {parameters} parameters", keep.shape)
    rows = max(1, int(memory_bytes / (3 * inputs.element_size() * (parameters + outputs))))
    chosen = torch.from_numpy(np.flatnonzero(keep)).to(inputs.device)
    gradients = np.empty(
        (len(x), len(chosen)), dtype=np.float64 if inputs.element_size() == 8 else np.float32
    )
    with training_only(model, model):
        for start in range(0, len(x), rows):
            chunk = slice(start, start + rows)
            each = per_example(model, inputs[chunk], labels[chunk])
            found = torch.cat([one.flatten(1) for one in each.values()], dim=1)
            gradients[chunk] = (found if keep.all() else found[:, chosen]).cpu().numpy()
    return gradients


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
    for some in as_tensor(batches).split(max(1, _CLIENT_RECORDS_AT_ONCE // batches.shape[1])):
        state = {name: weight.expand(len(some), *weight.shape) for name, weight in start.items()}
        for _ in range(steps):
            pushes = push(state, inputs[some], labels[some])
            state = {name: weight - learning_rate * pushes[name] for name, weight in state.items()}
        moved = [(start[name] - state[name]).flatten(1) for name in start]
        sent.append(torch.cat(moved, dim=1) / (steps * learning_rate))
    return np.asarray(torch.cat(sent).cpu().numpy())


@contextmanager
def training_only(layer: nn.Module, model: nn.Module) -> Iterator[None]:
    """Run a block in which the weights of one layer of a model are trained, and no others."""
    before = [(weight, weight.requires_grad) for weight in model.parameters()]
    try:
        model.requires_grad_(False)
        layer.requires_grad_(True)
        yield
    finally:
        for weight, trained in before:
            weight.requires_grad_(trained)


def check_readable(model: nn.Module, x: Inputs, y: Int[ndarray, "records"]) -> tuple[Tensor, Tensor, int]:
    """Refuse what has no per-record gradient; return inputs, labels and the layers' outputs per record."""
    _check_alone(model)
    _check.hold("x", x, 1, "records")
    _check.finite("x", x)
    if isinstance(model, TinyTransformer) and model.patch is None:
        _check_sentences(model, x)
    weight = next(model.parameters())
    inputs = as_tensor(x).to(weight.device)
    if inputs.is_floating_point() or not accepts_integers(model, inputs[:1]):
        inputs = inputs.to(weight.dtype)
    logits, outputs = _outputs_per_record(model, inputs[:1])
    if logits.ndim != 2 or logits.shape[1] == 1:
        rule = "return logits of shape (records, classes), two classes or more"
        _check.refuse("the model", rule, tuple(logits.shape))
    _logits.refuse_probabilities("the model's answers", logits.cpu().numpy(), "leave out the softmax")
    _check.labels("y", y, classes=logits.shape[1])
    return inputs, as_tensor(y).to(weight.device), outputs


def _check_alone(model: nn.Module) -> None:
    """Refuse layers that let one record see another, or that draw random numbers."""
    for layer in model.modules():
        batch = isinstance(layer, nn.modules.batchnorm._BatchNorm | NoisyBatchNorm2d)
        if batch and (layer.training or getattr(layer, "running_mean", None) is None):
            rule = "normalise each record alone (with batch statistics a record has no gradient of its own)"
            _check.refuse("the model", rule, f"{type(layer).__name__} that asks the batch: call model.eval()")
        if isinstance(layer, nn.modules.dropout._DropoutNd) and layer.training and layer.p > 0:
            rule = "draw no random numbers (a record would have another gradient each time)"
            _check.refuse("the model", rule, f"{type(layer).__name__} in training mode: call model.eval()")


def _check_sentences(model: TinyTransformer, x: Inputs) -> None:
    """Refuse sentences of another length, and tokens that have no embedding."""
    length, vocabulary = len(model.position.weight), len(model.embed.get_parameter("weight"))
    if x.shape[1:] != (length,):
        _check.refuse("x", f"be sentences of {length} tokens", f"shape {x.shape}")
    strange = x[(x != np.floor(x)) | (x < 0) | (x >= vocabulary)]
    if strange.size:
        _check.refuse("x", f"hold token numbers in 0 … {vocabulary - 1}", strange[0])


def _outputs_per_record(model: nn.Module, record: Tensor) -> tuple[Tensor, int]:
    """Ask the model one record; return its logits, and how many numbers its layers return."""
    counts: list[int] = []

    def count(_layer: nn.Module, _inputs: object, output: object) -> None:
        counts.append(output.numel() if isinstance(output, Tensor) else 0)

    with ExitStack() as hooks, explain_unreadable(record), torch.no_grad():
        for layer in model.modules():
            hooks.enter_context(layer.register_forward_hook(count))
        return model(record), sum(counts)
