"""Training many models as one tensor program, in shards, with checkpoints."""

import copy
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
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
from mialab._functional import as_tensor, class_logits
from mialab._types import Inputs, MemberMatrix
from mialab._validation import door
from mialab.train import hidden, vectorize
from mialab.train._model_checks import check_member, check_training
from mialab.train.batching import fleet_batches
from mialab.train.checkpoint import Checkpoint, to_arrays
from mialab.train.fit import fit_tensors, optimizer, train_step
from mialab.train.fleet import Fleet, State, concatenate, stack, state_of
from mialab.train.recipe import Sgd
from mialab.train.steps import make_step, zero_velocity

_PROBED = 8  # records that an untrained model is asked about


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
        All records and their labels 0 … classes - 1; 0 or 1 for models with a single logit.
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
    example, x, bytes_per_record = check_training(make_model, x, y, device, pretrained=pretrained)
    check_member(member)
    _check.positive("memory_bytes", memory_bytes)
    # Weights, velocities, gradients, and twice all that a forward pass makes: a rule of thumb, not a bound.
    weights = sum(weight.numel() for weight in example.parameters())
    bytes_per_model = 12 * weights + 2 * recipe.batch_size * (bytes_per_record + x[0].nbytes)
    size = max(1, int(memory_bytes / bytes_per_model))
    starts = range(0, len(member), size)
    rngs = rng.spawn(len(member))
    total = recipe.steps * len(starts)
    inputs, labels = as_tensor(x).to(device), as_tensor(y).to(device)
    about = f"{recipe} {example} {device.split(':')[0]}"
    if checkpoint_folder is not None:
        about += _checksum(x) + _checksum(y)
    if why := vectorize.why_not(example, inputs, recipe.batch_size):
        vectorize.warn_one_by_one(why)
    with tqdm(total=total, desc=f"training {len(member)} models", delay=2, leave=False) as bar:
        run = _Run(make_model, inputs, labels, recipe, bar, why, checkpoint_folder, about)
        shards = [slice(start, start + size) for start in starts]
        return concatenate([run.shard(one.start, member[one], rngs[one]) for one in shards])


@dataclass
class _Run:
    """What all shards of a run have in common."""

    make_model: Callable[[], nn.Module]
    x: Tensor
    y: Tensor
    recipe: Sgd
    bar: tqdm
    one_by_one: str | None  # why, if they are
    folder: str | Path | None
    about: str  # what a checkpoint belongs to

    def shard(self, first: int, member: np.ndarray, rngs: list[np.random.Generator]) -> Fleet:
        """Train one shard, from its checkpoint if there is one."""
        if not self.one_by_one:
            try:
                return self.fit_vectorized(first, member, copy.deepcopy(rngs))
            except vectorize.NotVectorizableError as error:
                self.one_by_one = str(error)
                vectorize.warn_one_by_one(self.one_by_one)
        models = []
        for number, (row, rng) in enumerate(zip(member, rngs, strict=True), start=first):
            models.append(self.fit_one(number, row, rng))
            self.bar.update(self.recipe.steps / len(member))
        return Fleet(models[0], stack(models), tuple(models))

    def fit_vectorized(self, first: int, member: np.ndarray, rngs: list[np.random.Generator]) -> Fleet:
        """Train models as one tensor program."""
        witness, first_rng = self.fresh(copy.deepcopy(rngs[-1])), copy.deepcopy(rngs[0])
        modules = [self.fresh(rng) for rng in rngs]
        vectorize.check_same_structure(modules)
        template, state = modules[0].train(), vectorize.attempt(stack, modules)
        del modules
        velocity = zero_velocity(template, state)
        tensors = state | {f"velocity/{name}": speed for name, speed in velocity.items()}
        name = f"models-{first:06d}"
        saved = self.checkpoint(name, first_rng, member, rngs, tensors) if self.folder else None
        done = saved.restore() if saved else 0
        self.bar.update(done)

        steps = self.recipe.steps
        step = vectorize.attempt(make_step, template, state, velocity, self.recipe)
        step = vectorize.checked_step(step, state, velocity, self.recipe, witness.train(), steps, done)
        members = [np.flatnonzero(row) for row in member]
        batches = fleet_batches(members, steps, self.recipe.batch_size, rngs=rngs)
        for number, batch in enumerate(islice(batches, done, None), start=done + 1):
            records = torch.from_numpy(batch).to(self.x.device)
            inputs = self.x.index_select(0, records.flatten()).view(*batch.shape, *self.x.shape[1:])
            step(inputs, self.y[records])
            self.bar.update()
            if saved:
                saved.save(number, last=number == steps)
        return Fleet(template.eval(), {name: tensor.detach() for name, tensor in state.items()})

    def fit_one(self, number: int, row: np.ndarray, rng: np.random.Generator) -> nn.Module:
        """Train one model by the plain loop, or read it back."""
        rows, first_rng = torch.from_numpy(np.flatnonzero(row)).to(self.x.device), copy.deepcopy(rng)
        train = partial(fit_tensors, self.make_model, self.x[rows], self.y[rows], self.recipe, rng=rng)
        start = self.fresh(copy.deepcopy(rng)) if self.folder else None
        if start is None or any(isinstance(one, nn.UninitializedParameter) for one in start.parameters()):
            return train()
        saved = self.checkpoint(f"model-{number:06d}", first_rng, row, [rng], state_of(start))
        if saved.restore():
            return start.eval()
        model = train()
        if hidden.fingerprint(model) == hidden.fingerprint(start):
            saved.tensors = state_of(model)
            saved.save(self.recipe.steps, last=True)
        return model

    def fresh(self, rng: np.random.Generator) -> nn.Module:
        """Return one more model."""
        return _rng.fresh(self.make_model, rng).to(self.x.device)

    def checkpoint(
        self,
        name: str,
        rng: np.random.Generator,
        member: np.ndarray,
        rngs: list[np.random.Generator],
        tensors: State,
    ) -> Checkpoint:
        """Name a checkpoint; ``rng`` makes its first model, to ask what it was before training."""
        with np.printoptions(threshold=sys.maxsize):
            states = [f"{one.bit_generator.seed_seq} {one.bit_generator.state}" for one in rngs]
        arrays = [_checksum(array) for array in (member, *to_arrays(tensors).values())]
        fingerprint = hashlib.sha256(f"{self.about} {name} {states} {arrays}".encode()).hexdigest()
        probe = _probe(self.fresh(rng), self.x, self.y, self.recipe)
        return Checkpoint(Path(self.folder or "") / f"{name}.npz", fingerprint, probe, tensors)


def _checksum(array: np.ndarray) -> str:
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()


def _probe(model: nn.Module, x: Tensor, y: Tensor, recipe: Sgd) -> np.ndarray:
    """Return an untrained model's logits on a few records, and for each weight a number of its gradient."""
    rows = np.resize(np.arange(len(x)), min(recipe.batch_size, _PROBED))
    with _rng.torch_stream(np.random.default_rng(0)):
        with torch.no_grad():
            logits = class_logits(model.eval()(x[rows])).flatten()
        train_step(model.train(), optimizer(model, recipe), x[rows], y[rows], recipe)
    gradients = [weight.grad.to_dense().flatten() for weight in model.parameters() if weight.grad is not None]
    signed = [one @ torch.arange(len(one)).to(one).cos() for one in gradients]  # a sum would hide the order
    return torch.stack([*logits, *signed]).cpu().to(torch.complex128).numpy()
