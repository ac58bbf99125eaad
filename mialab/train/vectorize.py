"""Whether many models can be trained as one tensor program; where they cannot, they are trained one by one.

Three things decide it. Rules, for what a step need not show: one forward pass in training mode is inspected,
operation by operation. A check at run time: at a few steps one model of the fleet takes the same step alone.
And any error of the tensor program.
"""

import copy
import math
import warnings
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from tqdm import tqdm

from mialab import _check, _rng
from mialab.train import hidden
from mialab.train.fit import optimizer, train_step
from mialab.train.fleet import Fleet, State, concatenate, load, stack, state_of
from mialab.train.recipe import Sgd
from mialab.train.steps import Step, make_step

CHECKED_STEPS = (1, 2, 10)  # and the first after an interruption, and the last
_INSPECTED = 32  # records in the forward pass that is inspected

T = TypeVar("T")


class NotVectorizableError(Exception):
    """Why models cannot be trained as one tensor program."""


def together_or_one_by_one(why: str | None, together: Callable[[], T], one_by_one: Callable[[], T]) -> T:
    """Train models as one tensor program, or one by one where ``why`` or an error forbids it: with a warning.

    An error without a word goes without a warning.
    """
    if why is None:
        try:
            return together()
        except NotVectorizableError as error:
            why = str(error)
    if why:
        warning = f"the models are trained one by one, which takes longer: {why}"
        warnings.warn(warning, UserWarning, stacklevel=3)
    return one_by_one()


def train_fleet(
    why: str | None,
    shards: list[slice],
    rngs: list[np.random.Generator],
    steps: int,
    together: Callable[[slice, list[np.random.Generator], tqdm], Fleet],
    alone: Callable[[int, np.random.Generator], nn.Module],
) -> Fleet:
    """Train a fleet, shard by shard as tensor programs of so many steps; or every model ``alone``."""
    title = f"training {len(rngs)} models"

    def all_together() -> Fleet:
        again = copy.deepcopy(rngs)
        with tqdm(total=steps * len(shards), desc=title, delay=2, leave=False) as bar:
            return concatenate([together(shard, again[shard], bar) for shard in shards])

    def one_by_one() -> Fleet:
        each = enumerate(tqdm(rngs, title, delay=2, leave=False))
        models = [alone(number, rng) for number, rng in each]
        return Fleet(models[0], stack(models), tuple(models))

    return together_or_one_by_one(why, all_together, one_by_one)


def shards(models: int, bytes_per_model: float, memory_bytes: float) -> list[slice]:
    """Cut a fleet into parts that stay within ``memory_bytes``, of one model at least."""
    _check.positive("memory_bytes", memory_bytes)
    size = max(1, int(memory_bytes / bytes_per_model))
    return [slice(start, start + size) for start in range(0, models, size)]


def why_not(module: nn.Module, inputs: Tensor, batch_size: int) -> str | None:
    """Inspect a module, which is used up, and return why it cannot be trained as one tensor program, or None.

    Examples
    --------
    >>> why_not(nn.Linear(2, 3), torch.ones(4, 2), 4) is None
    True
    >>> why_not(nn.Sequential(nn.Linear(2, 3), nn.RReLU()), torch.ones(4, 2), 4)
    'its forward pass draws random numbers'
    """
    if any(_has_hooks(one) for one in (*module.modules(), *module.parameters())):
        return "it has hooks"
    if any(isinstance(layer, nn.RNNBase) for layer in module.modules()):
        return "it has recurrent layers"
    rows = np.resize(np.arange(len(inputs)), min(batch_size, _INSPECTED))
    before = _contents(module)
    try:
        with _rng.torch_undisturbed(), _Inspect(module) as inspected:
            module.train()(inputs[rows])
    except Exception as error:
        return _first_line(error)
    if inspected.why or before == _contents(module):
        return inspected.why
    return "its forward pass changes what it holds"


def stack_alike(modules: list[nn.Module]) -> State:
    """Stack models, which must differ in nothing but parameters and buffers."""
    if len({hidden.fingerprint(module) for module in modules}) > 1:
        raise NotVectorizableError("the models differ in more than their parameters and buffers")
    return attempt(stack, modules)


def checked_step(
    template: nn.Module, state: State, velocity: State, recipe: Sgd, witness: nn.Module, done: int = 0
) -> Step:
    """Return a step of a fleet that, now and then, compares with a step that its last model takes alone.

    Parameters
    ----------
    template, state, velocity, recipe
        As in `make_step`.
    witness
        A model like the last one, which is used up.
    done
        How many steps there have been.

    Returns
    -------
    A step that raises `NotVectorizableError` where the two differ, or the step itself raises.
    """
    step = attempt(make_step, template.train(), state, velocity, recipe)
    witness.train()
    number = done
    checked = {*CHECKED_STEPS, done + 1, recipe.steps}

    def run(inputs: Tensor, labels: Tensor) -> None:
        nonlocal number
        number += 1
        if number not in checked:
            attempt(step, inputs, labels)
            return
        before = {name: tensor[-1].detach().clone() for name, tensor in state.items()}
        attempt(_step_alone, witness, before, velocity, recipe, inputs[-1], labels[-1])
        attempt(step, inputs, labels)
        expected = state_of(witness)
        moved = max(_norm(expected[name], before[name]) for name in velocity)
        for name, tensor in state.items():
            if not is_close(tensor[-1], expected[name], before[name], moved):
                raise NotVectorizableError(f"as one tensor program, step {number} is another for {name!r}")

    return run


def attempt(do: Callable, *arguments):
    """Call a part of a tensor program; its errors are reasons to do without."""
    try:
        return do(*arguments)
    except NotVectorizableError:
        raise
    except Exception as error:
        raise NotVectorizableError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n")[0]


def is_close(got: Tensor, expected: Tensor, before: Tensor, moved: float) -> bool:
    """Tell whether what one step made of a tensor is, up to rounding, what it should be.

    The error is measured by how far the tensor went; rounding, by its size and by how far others ``moved``.
    On a GPU products are made in fewer digits.
    """
    if not expected.isfinite().all():
        return not got.isfinite().all()
    share = 1e-3 if got.device.type == "cpu" else 3e-2
    allowed = share * _norm(expected, before) + 1e-6 * (_norm(expected) + moved)
    return _norm(got, expected) <= allowed or math.isnan(moved)


def _norm(tensor: Tensor, origin: Tensor | None = None) -> float:
    """Return a tensor's length, or its distance from another, whatever its kind of numbers."""
    wide = tensor.detach().to(torch.complex128)
    return float(torch.linalg.vector_norm(wide if origin is None else wide - origin.detach().to(wide)))


def _step_alone(
    witness: nn.Module, state: State, velocity: State, recipe: Sgd, inputs: Tensor, labels: Tensor
) -> None:
    """Let one model take a step alone, from the fleet's weights and velocities."""
    load(witness, state)
    descent = optimizer(witness, recipe)
    weights = dict(witness.named_parameters())
    for name, speed in velocity.items():
        descent.state[weights[name]]["momentum_buffer"] = speed[-1].clone()
    with _rng.torch_undisturbed():
        train_step(witness, descent, inputs, labels, recipe)


def _contents(module: nn.Module) -> tuple[list[tuple[str, int]], str]:
    """Return what a module holds: which tensors, and a checksum of all else."""
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    return [(name, id(tensor)) for name, tensor in named], hidden.fingerprint(module)


def _has_hooks(thing: nn.Module | nn.Parameter) -> bool:
    """Tell whether something is called when a module or a weight is used: a copy or a stack has it not."""
    names = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    return any(getattr(thing, name, None) for name in (*names, "_post_accumulate_grad_hooks"))


class _Inspect(TorchDispatchMode):
    """Sees every operation of a forward pass, and remembers why a tensor program would get one wrong."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.weights = {weight.untyped_storage().data_ptr() for weight in module.parameters()}
        self.why: str | None = None

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.why = self.why or self.judge(func, args)
        return func(*args, **(kwargs or {}))

    def judge(self, func, args: tuple) -> str | None:
        """Return what is wrong with an operation."""
        name = func.overloadpacket.__name__
        pairs = list(zip(func._schema.arguments, args, strict=False))
        drops_out = any(arg for kind, arg in pairs if kind.name == "dropout_p")
        attends = name.startswith("_scaled_dot_product") and not drops_out
        if torch.Tag.nondeterministic_seeded in func.tags and not attends:
            return "its forward pass draws random numbers"
        if torch.Tag.data_dependent_output in func.tags:
            return "its forward pass looks at values"
        if name == "_embedding_bag" or (name == "embedding" and (args[2:] or (-1,)) != (-1,)):
            return "an embedding treats some of its rows in a way of their own"
        written = [arg for kind, arg in pairs if kind.alias_info is not None and kind.alias_info.is_write]
        tensors = [arg for arg in written if isinstance(arg, Tensor)]
        if any(tensor.untyped_storage().data_ptr() in self.weights for tensor in tensors):
            return "its forward pass writes to its weights"
        return None
