"""A private trainer that is correct, in six pieces: each fault replaces exactly one of them.

    sample   who takes part        every record by its own coin, in every step
    look     what the model sees   each record by itself
    clip     the sum               of gradients, each no longer than the clip
    noise    what hides a record   fresh in every step and run, standard deviation σ · clip on the sum
    divide   sum to mean           by a number that is public
    stop     when it is over       after the steps that were announced

The model is the smallest that can be trained, a linear one with squared loss, and all runs are
trained at once: arrays carry an axis "runs", each with its own batches and its own noise.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.accounting.steps import check

Gradients = Float[ndarray, "runs records weights"]
Batch = Bool[ndarray, "runs records"]
Update = Float[ndarray, "runs weights"]


@door
@dataclass(frozen=True)
class Recipe:
    """What is done, and at the same time what the accountant reads: it satisfies `accounting.Steps`.

    Attributes
    ----------
    clip
        C, above 0: the longest gradient a record may contribute.
    noise_multiplier
        σ, above 0: the noise on the sum has standard deviation σ · C.
    sampling_rate
        q, in (0, 1].
    steps
        A whole number, at least 0.
    nominal_batch
        The public divisor, at least 1.
    learning_rate
        Above 0. No promise depends on it.

    Raises
    ------
    ValueError
        If a field is out of its range.
    """

    clip: float
    noise_multiplier: float
    sampling_rate: float
    steps: int
    nominal_batch: int
    learning_rate: float = 0.1

    def __post_init__(self):
        check(self)
        _check.positive("clip", self.clip)
        _check.positive("learning_rate", self.learning_rate)
        _check.at_least("nominal_batch", self.nominal_batch, 1)

    @property
    def epoch(self) -> int:
        """How many steps see every record once, on average."""
        return round(1 / self.sampling_rate)


@door
@dataclass(frozen=True, eq=False)
class Records:
    """Inputs (records, weights) and targets (records,)."""

    x: Float[ndarray, "records weights"]
    y: Float[ndarray, "records"]


@door
@dataclass(frozen=True, eq=False)
class Trace:
    """All that a run releases: every update, and the number of steps. The model is the sum of the updates."""

    updates: Float[ndarray, "steps runs weights"]
    lasted: Int[ndarray, "runs"]


def poisson(recipe: Recipe, records: int, runs: int, rng: np.random.Generator) -> Bool[ndarray, "s r n"]:
    """Draw every record of every batch by its own coin; batches may be empty."""
    return rng.random((recipe.steps, runs, records)) < recipe.sampling_rate


def each_by_itself(x: Float[ndarray, "records weights"], batch: Batch) -> Gradients:
    """Show the model each record as it is, whoever else is in the batch."""
    return np.broadcast_to(x, (len(batch), *x.shape))


def clip_each(gradients: Gradients, batch: Batch, recipe: Recipe) -> Update:
    """Return Σ min(1, C/‖g‖) · g over the batch: one record moves the sum by C at most."""
    length = np.sqrt(np.einsum("rnw,rnw->rn", gradients, gradients))
    share = recipe.clip / np.maximum(length, recipe.clip)
    return np.einsum("rn,rnw->rw", share * batch, gradients)


def noise_each_step(
    recipe: Recipe, runs: int, weights: int, rng: np.random.Generator
) -> Float[ndarray, "steps runs weights"]:
    """Draw fresh noise for every step of every run, with standard deviation σ · C."""
    return rng.normal(scale=recipe.noise_multiplier * recipe.clip, size=(recipe.steps, runs, weights))


def by_nominal_batch(total: Update, batch: Batch, recipe: Recipe) -> Update:
    """Divide by a constant of the recipe, whoever came."""
    return total / recipe.nominal_batch


def never(weights: Update, records: Records) -> Bool[ndarray, "runs"]:
    """Go on until the last step."""
    return np.zeros(len(weights), dtype=bool)


@door
@dataclass(frozen=True)
class Trainer:
    """The six pieces. `HONEST` is correct; ``dataclasses.replace(HONEST, clip=…)`` has one fault.

    Examples
    --------
    >>> recipe = Recipe(clip=1.0, noise_multiplier=2.0, sampling_rate=0.5, steps=3, nominal_batch=2)
    >>> four = Records(np.eye(4), np.ones(4))
    >>> trace = HONEST(four, recipe, runs=1000, rng=np.random.default_rng(0))
    >>> trace.updates.shape, abs(trace.updates.std() - 1) < 0.1
    ((3, 1000, 4), np.True_)

    One piece replaced, a sum without a clip, and a record counts for as much as it likes:

    >>> from mialab.faults.pieces import clip_nothing
    >>> wild = Records(np.ones((1, 1)), np.array([1e6]))
    >>> for trainer in (HONEST, Trainer(clip=clip_nothing)):
    ...     print(abs(trainer(wild, recipe, runs=1, rng=np.random.default_rng(0)).updates).max() < 10)
    True
    False
    """

    sample: Callable[[Recipe, int, int, np.random.Generator], Bool[ndarray, "s r n"]] = poisson
    look: Callable[[Float[ndarray, "records weights"], Batch], Gradients] = each_by_itself
    clip: Callable[[Gradients, Batch, Recipe], Update] = clip_each
    noise: Callable[[Recipe, int, int, np.random.Generator], Float[ndarray, "steps runs weights"]] = (
        noise_each_step
    )
    divide: Callable[[Update, Batch, Recipe], Update] = by_nominal_batch
    stop: Callable[[Update, Records], Bool[ndarray, "runs"]] = never

    @door
    def __call__(self, records: Records, recipe: Recipe, *, runs: int, rng: np.random.Generator) -> Trace:
        """Train ``runs`` models, each on its own: batches and noise have a stream of their own.

        Raises
        ------
        ValueError
            If ``runs`` is below 1.
        """
        _check.at_least("runs", runs, 1)
        for_batches, for_noise = rng.spawn(2)
        batches = self.sample(recipe, len(records.y), runs, for_batches)
        noise = self.noise(recipe, runs, records.x.shape[1], for_noise)
        weights, going = np.zeros(noise.shape[1:]), np.ones(runs, dtype=bool)
        updates, lasted = np.zeros_like(noise), np.zeros(runs, dtype=int)
        for step, batch in enumerate(batches):
            seen = self.look(records.x, batch)
            error = np.einsum("rnw,rw->rn", seen, weights) - records.y
            total = self.clip(error[..., None] * seen, batch, recipe)
            updates[step] = going[:, None] * self.divide(total + noise[step], batch, recipe)
            weights = weights - recipe.learning_rate * updates[step]
            lasted += going
            going &= ~self.stop(weights, records)
        return Trace(updates, lasted)


HONEST = Trainer()
