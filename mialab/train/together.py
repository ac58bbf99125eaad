"""Many models, trained as one tensor program, in shards, with checkpoints."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import nn
from tqdm import tqdm

from mialab import _check, _rng
from mialab._types import MemberMatrix
from mialab.train import _doors, checkpoint
from mialab.train.fleet import Fleet, State, assemble, to_arrays
from mialab.train.recipe import Sgd
from mialab.train.steps import make_step
from mialab.train.streams import fleet_batches

SAVE_EVERY_SECONDS = 10.0


def fit_many(
    make_model: Callable[[], nn.Module],
    x: Float[ndarray, "records *features"],
    y: Int[ndarray, "records"],
    member: MemberMatrix,
    recipe: Sgd,
    *,
    rng: np.random.Generator,
    device: str = "cpu",
    checkpoint_folder: str | Path | None = None,
    memory_bytes: float = 2**30,
) -> Fleet:
    """Train one model for every row of ``member``, each on the records of its row.

    The models never see each other. Model ``i`` is the one that ``fit`` would train alone on
    ``x[member[i]], y[member[i]]`` with ``rng.spawn(len(member))[i]``, up to rounding. All take the same
    number of steps; a model with fewer records goes through them more often.

    Parameters
    ----------
    make_model
        Called without arguments, returns a module with fresh random weights.
    x, y
        All records and their labels 0 … classes - 1.
    member
        Bool (models, records); every row holds at least one record.
    recipe
        What is done at every step.
    rng
        Its children decide each model's initial weights and order of records. Torch's global seed plays
        no part.
    device
        ``"cpu"`` or ``"cuda"``.
    checkpoint_folder
        Where to keep finished shards and, every ten seconds, the one in progress. A run that was
        interrupted and is called again with the same arguments goes on from there and ends with the
        same bits; a run that was finished is read back.
    memory_bytes
        Shards are cut so that an estimate of weights, velocities and activations stays below this.

    Returns
    -------
    The fleet, on ``device``, in the order of the rows.

    Raises
    ------
    ValueError
        If shapes or labels do not fit, a row is empty, a value is not finite, the device is not there,
        or the checkpoint belongs to another run.

    Examples
    --------
    >>> from mialab import models, train
    >>> x, y = np.eye(4, dtype=np.float32), np.arange(4)
    >>> member = np.array([[True, True, True, True], [True, True, False, False]])
    >>> fleet = fit_many(
    ...     lambda: models.mlp(4, (8,), 4), x, y, member, Sgd(steps=50), rng=np.random.default_rng(0)
    ... )
    >>> (train.predict(fleet, x).argmax(axis=-1) == y)[member].all()
    np.True_
    """
    example = _doors.check_training(make_model, x, y, device)
    _doors.check_member(member, len(x))
    _check.positive("memory_bytes", memory_bytes)
    size = max(1, int(memory_bytes / _bytes_per_model(example, x, recipe.batch_size)))
    cuts = [(start, min(start + size, len(member))) for start in range(0, len(member), size)]
    rngs = rng.spawn(len(member))
    steps = recipe.steps * -(-len(member) // size)
    with tqdm(total=steps, desc=f"training {len(member)} models", delay=2, leave=False) as bar:
        run = _Run(make_model, example, x, y, recipe, torch.device(device), checkpoint_folder, bar)
        cuts = range(0, len(member), size)
        return assemble([run.shard(cut, member[cut : cut + size], rngs[cut : cut + size]) for cut in cuts])


@dataclass(frozen=True)
class _Run:
    """What all shards of a run have in common."""

    make_model: Callable[[], nn.Module]
    example: nn.Module
    x: np.ndarray
    y: np.ndarray
    recipe: Sgd
    device: torch.device
    folder: str | Path | None
    bar: tqdm

    def shard(self, first: int, member: np.ndarray, rngs: list[np.random.Generator]) -> Fleet:
        """Train one shard, from its checkpoint if there is one."""
        fleet = Fleet.of([_rng.fresh(self.make_model, rng) for rng in rngs])
        state = {name: tensor.to(self.device) for name, tensor in fleet.state.items()}
        velocity = {name: torch.zeros_like(state[name]) for name, _ in fleet.template.named_parameters()}
        saved = self.saved(first, member, rngs, state, velocity)
        done = saved.restore() if saved else 0
        self.bar.update(done)

        x, y = torch.from_numpy(self.x).to(self.device), torch.from_numpy(self.y).to(self.device)
        step = make_step(fleet.template.train(), state, velocity, self.recipe)
        members = [np.flatnonzero(row) for row in member]
        stream = fleet_batches(members, self.recipe.steps, self.recipe.batch_size, rngs=rngs)
        for number, batch in enumerate(islice(stream, done, None), start=done + 1):
            records = torch.from_numpy(batch).to(self.device)
            inputs = x.index_select(0, records.flatten()).view(*batch.shape, *x.shape[1:])
            step(inputs, y[records])
            self.bar.update()
            if saved:
                saved.keep(number, last=number == self.recipe.steps)
        trained = {name: tensor.detach() for name, tensor in state.items()}
        return Fleet(fleet.template.eval(), trained)

    def saved(
        self, first: int, member: np.ndarray, rngs: list[np.random.Generator], state: State, velocity: State
    ) -> "_Saved | None":
        """Name the checkpoint of a shard, if the caller wants checkpoints."""
        if self.folder is None:
            return None
        digest = hashlib.sha256(f"{self.recipe} {self.example} {self.device.type} {first}".encode())
        for rng in rngs:
            digest.update(str(rng.bit_generator.seed_seq).encode())
        for array in (self.x, self.y, member):
            digest.update(np.ascontiguousarray(array).tobytes())
        path = Path(self.folder) / f"models-{first:06d}.npz"
        return _Saved(path, digest.hexdigest(), state, velocity)


@dataclass
class _Saved:
    """The checkpoint of one shard: its weights, velocities and the number of steps behind them."""

    path: Path
    fingerprint: str
    state: State
    velocity: State
    saved_at: float = field(default_factory=time.monotonic)

    def tensors(self) -> State:
        """Name every tensor that training changes."""
        speeds = {f"velocity/{name}": tensor for name, tensor in self.velocity.items()}
        return {**{f"state/{name}": tensor for name, tensor in self.state.items()}, **speeds}

    def restore(self) -> int:
        """Put back what was saved, and return the number of steps it had taken."""
        arrays = checkpoint.read(self.path, self.fingerprint)
        if arrays is None:
            return 0
        for name, tensor in self.tensors().items():
            tensor.copy_(torch.from_numpy(arrays[name]))
        return int(arrays["steps"])

    def keep(self, steps: int, *, last: bool) -> None:
        """Save after the last step, and every so often before it."""
        if last or time.monotonic() - self.saved_at >= SAVE_EVERY_SECONDS:
            checkpoint.write(
                self.path, {**to_arrays(self.tensors()), "steps": np.array(steps)}, self.fingerprint
            )
            self.saved_at = time.monotonic()


def _bytes_per_model(model: nn.Module, x: np.ndarray, batch_size: int) -> float:
    """Estimate what one member of a shard takes while it trains: a rule of thumb, not a bound.

    Weights, velocities and gradients, and every layer's output twice over.
    """
    outputs = 0

    def count(_layer: nn.Module, _inputs: object, output: object) -> None:
        nonlocal outputs
        outputs += output.numel() if isinstance(output, torch.Tensor) else 0

    for layer in model.modules():
        layer.register_forward_hook(count)
    with torch.no_grad():
        model.eval()(torch.from_numpy(x[:1]))
    weights = sum(weight.numel() for weight in model.parameters())
    return 4 * (3 * weights + 2 * batch_size * (outputs + x[0].size))
