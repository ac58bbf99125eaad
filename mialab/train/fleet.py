"""Trained models as stacked tensors, and the logits they return."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn
from torch.func import vmap
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mialab import _check, _functional, _rng
from mialab._functional import as_tensor
from mialab._types import Inputs
from mialab._validation import door
from mialab.train import hidden

State = dict[str, Tensor]

_BYTES_AT_ONCE = 2**27  # what all layers together may return in one forward pass
_CLOSE = 1e-2  # of the largest logit; products on a GPU have few digits, a wrong model none


@door
@dataclass(frozen=True, eq=False)
class Fleet:
    """Many models of one shape, kept as stacked tensors.

    Attributes
    ----------
    template
        A module of that shape; its own weights mean nothing.
    state
        For every parameter and buffer of the template, a tensor with the models as its first axis. A weight
        that is used at two places is there once.
    modules
        The models themselves, where they differ in more than parameters and buffers or had to be trained one
        by one; else none. Their weights mean nothing either.

    Examples
    --------
    >>> from mialab import models
    >>> alone = models.mlp(4, (8,), 3)
    >>> fleet = Fleet.of([alone, alone])
    >>> len(fleet), type(fleet[0]).__name__
    (2, 'Sequential')
    """

    template: nn.Module
    state: State
    modules: tuple[nn.Module, ...] = ()

    @classmethod
    @door
    def of(cls, modules: list[nn.Module]) -> "Fleet":
        """Stack modules of one shape."""
        same = len({hidden.fingerprint(module) for module in modules}) == 1
        own = () if same else tuple(hidden.copy_of(module) for module in modules)
        return cls(hidden.copy_of(modules[0]), stack(modules), own)

    def __len__(self) -> int:
        """Return the number of models."""
        return len(next(iter(self.state.values())))

    def __getitem__(self, model: int) -> nn.Module:
        """Return one model as a module of its own, in evaluation mode."""
        if not 0 <= model < len(self):
            raise IndexError(f"model must be in 0 … {len(self) - 1}, got {model}")
        single = hidden.copy_of(self.modules[model] if self.modules else self.template)
        load(single, {name: stacked[model] for name, stacked in self.state.items()})
        return single.eval()


def state_of(module: nn.Module) -> State:
    """Return a module's parameters and buffers by name, each once, sharing their memory."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return {name: tensor.detach() for name, tensor in named}


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that training may change, by name; one that is shared has one name."""
    return {name: weight for name, weight in module.named_parameters() if weight.requires_grad}


def stack(modules: list[nn.Module]) -> State:
    """Stack the parameters and buffers of modules of one shape."""
    states = [state_of(module) for module in modules]
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def flatten(state: State) -> Float[Tensor, "models weights"]:
    """Put the stacked weights of every model in one row."""
    return torch.cat([tensor.reshape(len(tensor), -1) for tensor in state.values()], dim=1)


def unflatten(flat: Float[Tensor, "*models weights"], like: Mapping[str, Tensor]) -> State:
    """Cut rows of weights into tensors of these names and shapes, as views."""
    pieces = flat.split([weight.numel() for weight in like.values()], dim=-1)
    return {
        name: piece.view(flat.shape[:-1] + weight.shape)
        for (name, weight), piece in zip(like.items(), pieces, strict=True)
    }


def load(module: nn.Module, state: State) -> None:
    """Write parameters and buffers into a module."""
    for name, tensor in state_of(module).items():
        tensor.copy_(state[name].detach())


@door
def predict(models: nn.Module | Fleet, x: Inputs) -> Float[ndarray, "*models records classes"]:
    """Return the logits of one model, or of every model of a fleet, for every record.

    Models run in evaluation mode, on the device where they are, on a bounded piece of the records at a time,
    and are left as they were. A module may return its logits alone, as the first of several results, as
    ``"logits"`` (or the only tensor) of a dictionary, or as ``.logits`` of an object. A module with a single
    logit z for label 1, of shape (records, 1) or (records), counts as one with the two logits (0, z). The
    result is an array of shape (records, classes) for a module and (models, records, classes) for a fleet, in
    the models' precision, float32 at least. Records are cast to that precision first, the one thing here that
    may round.

    Raises
    ------
    ValueError
        If a record holds NaN or infinity, or a module returns no logits of shape (records, classes), or a
        single one that comes out of a sigmoid.

    Examples
    --------
    >>> predict(nn.Linear(2, 3), torch.eye(2)).shape
    (2, 3)
    """
    _check.finite("x", x)
    # NumPy gives an axis of length 1 any stride; one that looks like channels-last breaks vmap of GroupNorm.
    inputs = as_tensor(x).clone(memory_format=torch.contiguous_format)
    with explain_unreadable(x):
        many = isinstance(models, Fleet)
        logits = _predict_fleet(models, inputs) if many else _predict_one(models, inputs)
    return (logits.float() if logits.dtype.itemsize < 4 else logits).numpy()


@contextmanager
def explain_unreadable(x: ndarray | Tensor) -> Iterator[None]:
    """Say that a model cannot read the records, and in its own words why."""
    try:
        yield
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # a model may raise anything
        rule = f"hold records that the model can read ({type(error).__name__}: {error})"
        raise ValueError(f"x must {rule}, got shape {tuple(x.shape)}") from error


@torch.no_grad()
def _predict_one(module: nn.Module, inputs: Tensor) -> Tensor:
    """Return the logits of one module, piece by piece."""
    with _evaluating(module):
        pieces = _pieces(module, inputs, models=1)
        return torch.cat([find_logits(module, module(piece), len(piece)).cpu() for piece in pieces])


@torch.no_grad()
def _predict_fleet(fleet: Fleet, inputs: Tensor) -> Tensor:
    """Return the logits of all models, at once, or one by one where that cannot be."""
    if not fleet.modules and len(inputs):
        with suppress(Exception):  # of a tensor program; the models' own comes again
            return _predict_vectorized(fleet, inputs)
    return torch.stack([_predict_one(fleet[model], inputs) for model in range(len(fleet))])


def _predict_vectorized(fleet: Fleet, inputs: Tensor) -> Tensor:
    template = fleet[0]

    def forward(state: State, records: Tensor) -> Tensor:
        return find_logits(template, _functional.call(template, state, records), len(records))

    ask, pieces = vmap(forward, in_dims=(0, None)), _pieces(template, inputs, models=len(fleet))
    buffers = {name: fleet.state[name].clone() for name, _ in template.named_buffers()}
    logits = torch.cat([ask({**fleet.state, **buffers}, piece).cpu() for piece in pieces], dim=1)
    expected, got = _predict_one(fleet[len(fleet) - 1], inputs[:2]), logits[-1, :2]
    if not torch.allclose(got, expected, rtol=0, atol=_CLOSE * float(expected.abs().amax()), equal_nan=True):
        raise RuntimeError("one tensor program returns something else")
    return logits


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode; after it, give every layer its own mode and its buffers back."""
    modes = [(layer, layer.training) for layer in module.modules()]
    buffers = [
        (layer, name, buffer, buffer.clone())
        for layer, _ in modes
        for name, buffer in layer.named_buffers(recurse=False)
    ]
    try:
        module.eval()
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode
        for layer, name, buffer, value in buffers:
            setattr(layer, name, buffer.copy_(value))


def _pieces(module: nn.Module, inputs: Tensor, models: int) -> list[Tensor]:
    """Cut records into pieces of nearly one size that fit in memory at once, cast for the module."""
    inputs = inputs.to(next((one.device for one in _tensors(module)), inputs.device))
    if inputs.is_floating_point() or not accepts_integers(module, inputs[:2]):
        inputs = inputs.to(precision_of(module))
    _, bytes_per_record = forward_and_bytes(module, inputs[:2])
    rows = _BYTES_AT_ONCE / (models * bytes_per_record)
    return list(inputs.tensor_split(-(-len(inputs) // max(1, int(rows))) or 1))


def precision_of(module: nn.Module) -> torch.dtype:
    """Return the type of a module's floating-point weights."""
    return next((one.dtype for one in _tensors(module) if one.is_floating_point()), torch.float32)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


@torch.no_grad()
def accepts_integers(module: nn.Module, integers: Tensor) -> bool:
    """Tell whether a module takes integers as they are, as one that looks up words does."""
    try:
        with _rng.torch_undisturbed():
            module(integers)
    except Exception:  # whatever it is, the module's own comes again where it was not the type
        return False
    return True


@torch.no_grad()
def forward_and_bytes(module: nn.Module, inputs: Tensor) -> tuple[object, float]:
    """Return a module's output, and how many bytes its operations make of one record; at least 1."""
    with _rng.torch_undisturbed(), _NewBytes() as made:
        output = module(inputs)
    return output, max(1.0, made.bytes / max(1, len(inputs)))


class _NewBytes(TorchDispatchMode):
    """Counts the bytes of all new tensors."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        if not any(one.alias_info for one in func._schema.returns):
            self.bytes += sum(one.nbytes for one in tree_leaves(output) if isinstance(one, Tensor))
        return output


def find_logits(module: nn.Module, output: object, records: int) -> Tensor:
    """Find the logits (records, classes) in what a module returned."""
    if isinstance(output, (list, tuple)) and not hasattr(output, "logits") and output:
        return find_logits(module, output[0], records)
    if isinstance(output, Mapping):
        tensors = [one for one in output.values() if isinstance(one, Tensor)]
        output = output.get("logits", tensors[0] if len(tensors) == 1 else None)
    return check_logits(module, getattr(output, "logits", output), records)


def check_logits(module: nn.Module, output: object, records: int) -> Tensor:
    """Return a module's output as logits (records, classes), or refuse it."""
    if not isinstance(output, Tensor) or output.ndim not in (1, 2) or len(output) != records:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        _check.refuse("the module", "return logits of shape (records, classes)", got)
    logits = _functional.class_logits(output)
    if logits is not output and isinstance([*module.modules()][-1], nn.Sigmoid):
        _check.refuse("the module", "return a logit", "a probability: leave out the sigmoid")
    return logits


def concatenate(fleets: list[Fleet]) -> Fleet:
    """Join the shards of a fleet, none with modules of its own, in their order."""
    state = {name: torch.cat([part.state[name] for part in fleets]) for name in fleets[0].state}
    return Fleet(fleets[0].template, state)
