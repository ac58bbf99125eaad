"""Many models, trained as one tensor program, in shards, with checkpoints."""

import copy
import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor, nn
from tqdm import tqdm

from mialab import _check, _rng
from mialab._functional import as_tensor
from mialab._types import Inputs, MemberMatrix
from mialab._validation import door
from mialab.train import _doors, alike, checkpoint, hidden
from mialab.train.alone import descend, optimizer, step
from mialab.train.fleet import Fleet, State, assemble, bytes_per_record, stack, state_of, to_arrays
from mialab.train.recipe import Sgd
from mialab.train.steps import at_rest, make_step
from mialab.train.streams import fleet_batches

SAVE_EVERY_SECONDS = 10.0

_PROBED = 8  # records that an untrained model is asked about
_SAME: dict = {"rtol": 1e-4, "atol": 1e-5, "equal_nan": True}  # another processor rounds otherwise


@door
def fit_many(
    make_model: Callable[[], nn.Module],
    x: Inputs,
    y: Int[ndarray, "records"],
    member: MemberMatrix,
    recipe: Sgd,
    *,
    rng: np.random.Generator,
    device: str = "cpu",
    checkpoint_folder: str | Path | None = None,
    memory_bytes: float = 2**30,
    pretrained: bool = False,
) -> Fleet:
    """Train one model for every row of ``member``, each on the records of its row.

    The models never see each other. Model ``i`` is the one that ``fit`` would train alone on
    ``x[member[i]], y[member[i]]`` with ``rng.spawn(len(member))[i]``, up to rounding. All take the same
    number of steps; a model with fewer records goes through them more often. Modules that cannot be trained
    as one tensor program are trained by `fit`, one by one; a warning says so, and why.

    Parameters
    ----------
    make_model
        Called without arguments, returns a module of its own with fresh random weights.
    x, y
        All records and their labels 0 … classes - 1.
    member
        Bool (models, records); every row holds at least one record.
    recipe
        What is done at every step.
    rng
        Its children decide each model's initial weights, order of records, and what its forward pass draws.
        Torch's global seed plays no part.
    device
        ``"cpu"`` or ``"cuda"``.
    checkpoint_folder
        Where to keep finished shards and, every ten seconds, the one in progress. A run that was
        interrupted and is called again with the same arguments goes on from there and ends with the
        same bits; a run that was finished is read back. Where models are trained one by one, those that are
        finished are kept, unless training changes more in them than parameters and buffers.
    memory_bytes
        Shards are cut so that an estimate of weights, velocities and activations stays below this.
    pretrained
        As in `fit`.

    Returns
    -------
    The fleet, on ``device``, in the order of the rows.

    Raises
    ------
    ValueError
        If shapes or labels do not fit, a row is empty, a value is not finite, the device is not there,
        ``make_model`` returns the same module again, or the same weights without ``pretrained``, or the
        checkpoint is damaged or belongs to another run.

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
    example, x = _doors.check_training(make_model, x, y, device, pretrained=pretrained)
    _doors.check_member(member)
    _check.positive("memory_bytes", memory_bytes)
    size = max(1, int(memory_bytes / _bytes_per_model(example, x, recipe.batch_size)))
    cuts = range(0, len(member), size)
    rngs = rng.spawn(len(member))
    steps = recipe.steps * len(cuts)
    with tqdm(total=steps, desc=f"training {len(member)} models", delay=2, leave=False) as bar:
        run = _Run(make_model, example, x, y, recipe, device, checkpoint_folder, bar)
        return assemble([run.shard(cut, member[cut : cut + size], rngs[cut : cut + size]) for cut in cuts])


class _Run:
    """What all shards of a run have in common."""

    def __init__(
        self,
        make_model: Callable[[], nn.Module],
        example: nn.Module,
        x: np.ndarray,
        y: np.ndarray,
        recipe: Sgd,
        device: str,
        folder: str | Path | None,
        bar: tqdm,
    ):
        self.make_model, self.recipe, self.device = make_model, recipe, device
        self.folder, self.bar = folder, bar
        self.x, self.y = as_tensor(x).to(device), as_tensor(y).to(device)
        self.about = f"{recipe} {example} {device.split(':')[0]}"
        if folder is not None:
            self.about += "".join(map(_checksum, (x, y)))
        self.one_by_one = alike.why_not(example, self.x, recipe.batch_size)
        if self.one_by_one:
            alike.notice(self.one_by_one)

    def shard(self, first: int, member: np.ndarray, rngs: list[np.random.Generator]) -> Fleet:
        """Train one shard, from its checkpoint if there is one."""
        if not self.one_by_one:
            try:
                return self.together(first, member, copy.deepcopy(rngs))
            except alike.UnlikeError as error:
                self.one_by_one = str(error)
                alike.notice(self.one_by_one)
        models = []
        for number, (row, rng) in enumerate(zip(member, rngs, strict=True), start=first):
            models.append(self.alone(number, row, rng))
            self.bar.update(self.recipe.steps / len(member))
        return Fleet(models[0], stack(models), tuple(models))

    def together(self, first: int, member: np.ndarray, rngs: list[np.random.Generator]) -> Fleet:
        """Train models as one tensor program."""
        witness, again = self.fresh(copy.deepcopy(rngs[-1])), copy.deepcopy(rngs[0])
        modules = [self.fresh(rng) for rng in rngs]
        alike.check_alike(modules)
        template, state = modules[0].train(), alike.attempt(stack, modules)
        del modules
        velocity = at_rest(template, state)
        tensors = state | {f"velocity/{name}": speed for name, speed in velocity.items()}
        saved = self.saved(f"models-{first:06d}", again, member, rngs, tensors) if self.folder else None
        done = saved.restore() if saved else 0
        self.bar.update(done)

        steps = self.recipe.steps
        step = alike.attempt(make_step, template, state, velocity, self.recipe)
        step = alike.tried(step, state, velocity, self.recipe, witness.train(), steps, done)
        members = [np.flatnonzero(row) for row in member]
        stream = fleet_batches(members, steps, self.recipe.batch_size, rngs=rngs)
        for number, batch in enumerate(islice(stream, done, None), start=done + 1):
            records = torch.from_numpy(batch).to(self.device)
            inputs = self.x.index_select(0, records.flatten()).view(*batch.shape, *self.x.shape[1:])
            step(inputs, self.y[records])
            self.bar.update()
            if saved:
                saved.keep(number, last=number == steps)
        return Fleet(template.eval(), {name: tensor.detach() for name, tensor in state.items()})

    def alone(self, number: int, row: np.ndarray, rng: np.random.Generator) -> nn.Module:
        """Train one model by `fit`, or read it back."""
        rows = torch.from_numpy(np.flatnonzero(row)).to(self.device)
        records, again = (self.x[rows], self.y[rows]), copy.deepcopy(rng)
        trained = partial(descend, self.make_model, *records, self.recipe, rng=rng)
        model = self.fresh(again) if self.folder else None
        if model is None or any(isinstance(one, nn.UninitializedParameter) for one in model.parameters()):
            return trained()
        saved = self.saved(f"model-{number:06d}", copy.deepcopy(rng), row, [again], state_of(model))
        if saved.restore():
            return model.eval()
        done = trained()
        if hidden.fingerprint(done) == hidden.fingerprint(model):
            saved.tensors = state_of(done)
            saved.keep(self.recipe.steps, last=True)
        return done

    def fresh(self, rng: np.random.Generator) -> nn.Module:
        """Return one more model."""
        return _rng.fresh(self.make_model, rng).to(self.device)

    def saved(
        self,
        name: str,
        rng: np.random.Generator,
        member: np.ndarray,
        rngs: list[np.random.Generator],
        tensors: State,
    ) -> "_Saved":
        """Name a checkpoint; ``rng`` makes its first model, to ask what it was before training."""
        with np.printoptions(threshold=sys.maxsize):
            states = [f"{one.bit_generator.seed_seq} {one.bit_generator.state}" for one in rngs]
        arrays = [_checksum(array) for array in (member, *to_arrays(tensors).values())]
        fingerprint = hashlib.sha256(f"{self.about} {name} {states} {arrays}".encode()).hexdigest()
        probe = _probe(self.fresh(rng), self.x, self.y, self.recipe)
        return _Saved(Path(self.folder or "") / f"{name}.npz", fingerprint, probe, tensors)


@dataclass
class _Saved:
    """A checkpoint: what training changes, the number of steps behind it, and what the model was at first."""

    path: Path
    fingerprint: str
    probe: np.ndarray
    tensors: State
    saved_at: float = field(default_factory=time.monotonic)

    def restore(self) -> int:
        """Put back what was saved, and return the number of steps it had taken."""
        arrays = checkpoint.read(self.path, self.fingerprint)
        if arrays is None:
            return 0
        steps, probe = arrays.pop(".steps", np.array(0)), arrays.pop(".probe", np.zeros(0))
        if probe.shape != self.probe.shape or not np.allclose(probe, self.probe, **_SAME):
            checkpoint.refuse(self.path)
        checkpoint.restore(self.path, arrays, self.tensors)
        return int(steps)

    def keep(self, steps: int, *, last: bool) -> None:
        """Save after the last step, and every so often before it."""
        if last or time.monotonic() - self.saved_at >= SAVE_EVERY_SECONDS:
            arrays = to_arrays(self.tensors) | {".steps": np.array(steps), ".probe": self.probe}
            checkpoint.write(self.path, arrays, self.fingerprint)
            self.saved_at = time.monotonic()


def _checksum(array: np.ndarray) -> str:
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()


def _probe(model: nn.Module, x: Tensor, y: Tensor, recipe: Sgd) -> np.ndarray:
    """Return what an untrained model answers to a few records, and how far each weight would go by them."""
    rows = np.resize(np.arange(len(x)), min(recipe.batch_size, _PROBED))
    with _rng.torch_stream(np.random.default_rng(0)):
        with torch.no_grad():
            logits = model.eval()(x[rows]).flatten()
        step(model.train(), optimizer(model, recipe), x[rows], y[rows], recipe)
    pulls = [weight.grad.to_dense().flatten() for weight in model.parameters() if weight.grad is not None]
    pulls = [
        pull @ torch.arange(len(pull)).to(pull).cos() for pull in pulls
    ]  # one number each, with its sign
    return torch.stack([*logits, *pulls]).cpu().to(torch.complex128).numpy()


def _bytes_per_model(model: nn.Module, x: np.ndarray, batch_size: int) -> float:
    """Estimate what one member of a shard takes while it trains: a rule of thumb, not a bound.

    Weights, velocities and gradients, and all that a forward pass makes twice over.
    """
    inputs = as_tensor(x[[0, -1]]).to(next(model.parameters()).device)
    weights = sum(weight.numel() for weight in model.parameters())
    return 12 * weights + 2 * batch_size * (bytes_per_record(model.eval(), inputs) + x[0].nbytes)
