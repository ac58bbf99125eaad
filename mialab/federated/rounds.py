"""Many federations, trained as one tensor program."""

import copy
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

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
from mialab.dp_sgd.clipping import clip_factors, clipped, is_common
from mialab.dp_sgd.update import noisy_mean
from mialab.federated.recipe import FedAvg
from mialab.federated.trace import Trace
from mialab.per_example.rounding import gamma, norm_bounds
from mialab.train import Sgd, _model_checks, vectorize
from mialab.train.batching import fleet_batches, look_up
from mialab.train.fit import optimizer, train_step
from mialab.train.fleet import flatten, load, state_of, unflatten
from mialab.train.steps import zero_velocity

_CLIENTS = 64  # whose updates are added up in the precision they have
_PIECE = 64  # numbers of an update whose squares are


@door
def federate(
    make_model: Callable[[], nn.Module],
    x: Inputs,
    y: Int[ndarray, "records"],
    owner: Int[ndarray, "records"],
    member: MemberMatrix,
    recipe: FedAvg,
    *,
    rng: np.random.Generator,
    watch: Collection[int] = (),
    device: str = "cpu",
    pretrained: bool = False,
) -> Trace:
    """Train one shared model for every row of ``member``, each client on its own records of that row.

    In every round a client starts from a fresh module with the shared weights. Weights that need no gradient
    (``requires_grad_(False)``) stay as they are: no client sends them, and they get no noise. Modules that
    cannot be trained as one tensor program are trained client by client; a warning says so, and why.

    Parameters
    ----------
    make_model
        Called without arguments, returns a module of its own with fresh random weights. It may have no
        buffers: running averages are another channel, which this does not simulate.
    x, y
        All records and their labels 0 … classes - 1.
    owner
        The client, 0 … clients - 1, that a record lies with.
    member
        Bool (federations, records): which records were there. A client that holds none of a row's records is
        absent from that federation: it sends nothing.
    recipe
        What is done in every round.
    rng
        Its children decide each federation's initial weights, batches, coins and noise, and what forward
        passes draw. Whoever knows it takes the noise off again: a model that is to be given away wants
        ``mialab.secure.SystemGenerator()``.
    watch
        Rounds, counted from 0, whose updates are kept client by client.
    device
        ``"cpu"`` or ``"cuda"``.
    pretrained
        As in `train.fit`.

    Returns
    -------
    What was sent and shared, in the order of the rows.

    Raises
    ------
    ValueError
        If shapes or labels do not fit, a client holds nothing in all rows, a value is not finite, the module
        has buffers or is not fresh, a round to watch is not there, or the device is not there; or if training
        diverged: the error names the round.

    Examples
    --------
    >>> from mialab import models, train
    >>> x, y = np.eye(4, dtype=np.float32).repeat(10, axis=0), np.arange(4).repeat(10)
    >>> owner, member = np.arange(40) % 2, np.ones((1, 40), dtype=bool)
    >>> recipe = FedAvg(rounds=20, nominal_clients=2, learning_rate=0.5)
    >>> make = lambda: models.mlp(4, (8,), 4)
    >>> trace = federate(make, x, y, owner, member, recipe, rng=np.random.default_rng(0), watch=[0])
    >>> train.predict(trace.shared(20), x[::10]).argmax(axis=-1)
    array([[0, 1, 2, 3]])
    >>> trace.updates[0].shape  # one federation, two clients
    torch.Size([1, 2, 76])
    """
    example, x, _ = _model_checks.check_training(make_model, x, y, device, pretrained=pretrained)
    _model_checks.check_member(member)
    holds = _records_of(owner, member)
    if list(example.buffers()):
        _check.refuse("make_model", "return a module without buffers", type(example).__name__)
    kinds = sorted({f"{weight.dtype}" for weight in example.parameters()})
    if len(kinds) > 1 or "complex" in kinds[0]:
        _check.refuse("make_model", "return a module whose weights are real, of one precision", kinds)
    strangers = sorted(set(watch) - set(range(recipe.rounds)))
    if strangers:
        _check.refuse("watch", f"hold rounds in 0 … {recipe.rounds - 1}", strangers[0])
    records, rngs = (as_tensor(x).to(device), as_tensor(y).to(device)), rng.spawn(len(member))

    def together() -> Trace:
        run = _Run(make_model, records, holds, recipe, copy.deepcopy(rngs))
        return run.trace(run.together(), set(watch))

    def one_by_one() -> Trace:
        run = _Run(make_model, records, holds, recipe, rngs)
        return run.trace(run.one_by_one, set(watch), tuple(run.modules))

    why = vectorize.why_not(example, records[0], recipe.batch_size)
    return vectorize.together_or_one_by_one(why, together, one_by_one)


def _records_of(owner: ndarray, member: ndarray) -> list[list[ndarray]]:
    """List what each client holds in each federation."""
    if owner.min() < 0:
        _check.refuse("owner", "be at least 0", int(owner.min()))
    clients = range(owner.max() + 1)
    holds = [[np.flatnonzero(row & (owner == client)) for client in clients] for row in member]
    for client in clients:
        if not any(row[client].size for row in holds):
            _check.refuse(f"client {client}", "hold a record in one federation or more", "none")
    return holds


@dataclass
class _Run:
    """One call of `federate`: what the rounds of all federations begin with, and what is done in one."""

    make_model: Callable[[], nn.Module]
    records: tuple[Tensor, Tensor]
    holds: list[list[ndarray]]
    recipe: FedAvg
    rngs: list[np.random.Generator]

    def __post_init__(self):
        holds, recipe, rngs = self.holds, self.recipe, self.rngs
        self.first, self.device = copy.deepcopy(rngs), self.records[0].device
        self.shape = len(holds), len(holds[0])
        self.modules = [_rng.fresh(self.make_model, rng).to(self.device) for rng in rngs]
        self.template, self.start = self.modules[0], torch.stack([_vector(one) for one in self.modules])
        self.noises = [_rng.Noise(rng, self.device) for rng in rngs]
        self.present = torch.tensor([[rows.size > 0 for rows in row] for row in holds], device=self.device)
        nobody = np.zeros(1, dtype=np.int64)  # the absent go through the motions, and count for nothing
        everybody = [rows if rows.size else nobody for row in holds for rows in row]
        streams = [child for rng in rngs for child in rng.spawn(self.shape[1])]
        steps = recipe.rounds * recipe.local_steps
        self.batches = fleet_batches(everybody, steps, recipe.batch_size, rngs=streams)
        self.draws = [rng.spawn(1)[0] for rng in rngs]  # for forward passes
        self.trained = torch.stack([_is_trained(one) for one in self.modules])
        self.sgd = Sgd(steps, recipe.batch_size, recipe.learning_rate, momentum=0.0)

    def trace(self, train: Callable[[Tensor], Tensor], watch: set[int], modules: tuple = ()) -> Trace:
        """Go through all rounds, given what every client would send after each."""
        shared, updates, took_part = [self.start], {}, [self.present.new_empty(0, *self.shape)]
        for round_ in tqdm(range(self.recipe.rounds), "rounds", delay=2, leave=False):
            update = train(shared[-1])
            there = self.coins()
            took_part.append(there.unsqueeze(0))
            if not self.recipe.noise_multiplier and not torch.isfinite(update[there]).all():
                _check.refuse("what clients send", f"stay finite, in round {round_}", "NaN or infinity")
            shared.append(shared[-1] + torch.where(self.trained, self.averaged(update, there), 0.0))
            if not torch.isfinite(shared[-1]).all():
                _check.refuse("shared weights", f"stay finite, in round {round_}", "NaN or infinity")
            if round_ in watch:
                updates[round_] = update
        return Trace(self.template, torch.stack(shared), updates, torch.cat(took_part), modules)

    def fresh(self, federation: int) -> nn.Module:
        """Return one more module with a federation's initial weights, in training mode."""
        return _rng.fresh(self.make_model, copy.deepcopy(self.first[federation])).to(self.device).train()

    def together(self) -> Callable[[Tensor], Tensor]:
        """Return a function from the shared weights to what every client would send: one tensor program."""
        stacked = vectorize.stack_alike(self.modules).items()
        state = {name: each.repeat_interleave(self.shape[1], dim=0) for name, each in stacked}
        velocity = zero_velocity(self.template, state)
        step = vectorize.checked_step(self.template, state, velocity, self.sgd, self.fresh(-1))

        def run(shared: Tensor) -> Tensor:
            rows = shared.repeat_interleave(self.shape[1], dim=0)
            with torch.no_grad():
                for name, piece in unflatten(rows, state_of(self.template)).items():
                    state[name].copy_(piece)
            for inputs, labels in self.next_batches():
                step(inputs, labels)
            return (flatten(state).detach() - rows).unflatten(0, self.shape)

        return run

    def one_by_one(self, shared: Tensor) -> Tensor:
        """Do the same client by client."""
        federations, clients = self.shape
        batches = list(self.next_batches())
        updates = [
            self.alone(one // clients, shared[one // clients], [(x[one], y[one]) for x, y in batches])
            for one in range(federations * clients)
        ]
        return torch.stack(updates).unflatten(0, self.shape)

    def alone(self, federation: int, shared: Tensor, batches: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Return what one client would send."""
        local = self.fresh(federation)
        load(local, unflatten(shared, state_of(local)))
        descent = optimizer(local, self.sgd)
        with _rng.torch_stream(self.draws[federation]):
            for inputs, labels in batches:
                train_step(local, descent, inputs, labels, self.sgd)
        return torch.where(self.trained[federation], _vector(local) - shared, 0.0)

    def next_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one round's local steps, (federations · clients, batch, …)."""
        for _ in range(self.recipe.local_steps):
            yield look_up(*self.records, next(self.batches))

    def coins(self) -> Tensor:
        """Draw who takes part: (federations, clients)."""
        luck = np.stack([rng.random(self.shape[1]) for rng in self.rngs])
        return self.present & torch.from_numpy(luck < self.recipe.sampling_rate).to(self.device)

    def averaged(self, update: Tensor, there: Tensor) -> Tensor:
        """Clip what is sent, and add it up; add noise, and divide, as a step of private training does.

        Lengths are rounded up. With noise, an update that is not finite counts as 0, and nothing tells of it.
        """
        clip, length = self.recipe.clip, _longest(update.flatten(0, 1)).unflatten(0, self.shape)
        if is_common(clip) and torch.isfinite(length).all():
            share = (clip_factors(length, clip) * there).unsqueeze(1)
            blocks = zip(share.split(_CLIENTS, 2), update.split(_CLIENTS, 1), strict=True)
            total = torch.stack([(one @ sent).squeeze(1) for one, sent in blocks]).sum(0, dtype=torch.float64)
        else:
            rows = clipped({"": update.double().flatten(0, 1)}, clip).unflatten(0, self.shape)
            total = (rows * there.unsqueeze(2)).sum(1)
        server = self.recipe.server_step
        means = [noisy_mean(row, server, one, row.dtype) for row, one in zip(total, self.noises, strict=True)]
        return torch.stack(means).to(update.dtype)


def _longest(rows: Tensor) -> Tensor:
    """Return how long rows can be at most: in short pieces, so that rounding up adds little."""
    whole = rows.shape[1] - rows.shape[1] % _PIECE
    pieces = [norm_bounds(rows[:, whole:])] if whole < rows.shape[1] else []
    if whole:
        pieces.append(norm_bounds(rows[:, :whole].unflatten(1, (-1, _PIECE))))
    return torch.linalg.vector_norm(torch.stack(pieces), dim=0) * (1 + gamma(6, rows.dtype))


def _is_trained(module: nn.Module) -> Tensor:
    """Tell of every weight of a module, in one row, whether it is trained."""
    each = [torch.full_like(one, one.requires_grad, dtype=torch.bool) for one in module.parameters()]
    return torch.cat([one.flatten() for one in each])


def _vector(module: nn.Module) -> Tensor:
    """Return all weights of a module in one row."""
    return torch.cat([weight.detach().flatten() for weight in module.parameters()])
