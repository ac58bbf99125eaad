"""A private trainer that is correct, in six components: each fault replaces exactly one of them.

    sample       who takes part        every record by its own coin, in every step
    preprocess   what the model sees   each record by itself
    clip         the sum               of gradients, each no longer than the clip
    noise        what hides a record   fresh in every step and run, standard deviation σ · clip on the sum
    divide       sum to mean           by a number that is public
    stop         when it is over       after the steps that were announced

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

LEARNING_RATE = 0.1
"""No promise depends on it."""

Inputs = Float[ndarray, "records weights"]
Targets = Float[ndarray, "records"]
RunGradients = Float[ndarray, "runs records weights"]
Present = Bool[ndarray, "runs records"]
Sums = Float[ndarray, "runs weights"]
Noise = Float[ndarray, "steps runs weights"]


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

    def __post_init__(self):
        check(self)
        _check.positive("clip", self.clip)
        _check.at_least("nominal_batch", self.nominal_batch, 1)

    @property
    def epoch(self) -> int:
        """How many steps see every record once, on average."""
        return round(1 / self.sampling_rate)


@door
@dataclass(frozen=True, eq=False)
class Transcript:
    """All that the runs release: every update, and the number of steps. A model is the sum of its updates."""

    updates: Float[ndarray, "steps runs weights"]
    steps_taken: Int[ndarray, "runs"]


def norm(vectors: Float[ndarray, "*vectors weights"]) -> Float[ndarray, "*vectors"]:
    """Return the Euclidean length of every vector."""
    return np.sqrt(np.einsum("...w,...w->...", vectors, vectors))


def clip_factor(length: Float[ndarray, "*vectors"], clip: float) -> Float[ndarray, "*vectors"]:
    """Return min(1, C/length): what to multiply a vector by so that it is no longer than the clip."""
    return clip / np.maximum(length, clip)


def weighted_sum(weight: Float[ndarray, "runs records"], gradients: RunGradients) -> Sums:
    """Return the sum over the records, each multiplied by its weight."""
    return np.einsum("rn,rnw->rw", weight, gradients)


def poisson_batches(recipe: Recipe, records: int, runs: int, rng: np.random.Generator) -> ndarray:
    """Draw every record of every batch by its own coin, bool (steps, runs, records); batches may be empty."""
    return rng.random((recipe.steps, runs, records)) < recipe.sampling_rate


def each_by_itself(x: Inputs, batch: Present) -> RunGradients:
    """Show the model each record as it is, whoever else is in the batch."""
    return np.broadcast_to(x, (len(batch), *x.shape))


def clip_each(gradients: RunGradients, batch: Present, recipe: Recipe) -> Sums:
    """Return Σ min(1, C/‖g‖) · g over the batch: one record moves the sum by C at most."""
    return weighted_sum(clip_factor(norm(gradients), recipe.clip) * batch, gradients)


def noise_each_step(recipe: Recipe, runs: int, weights: int, rng: np.random.Generator) -> Noise:
    """Draw fresh noise for every step of every run, with standard deviation σ · C."""
    return rng.normal(scale=recipe.noise_multiplier * recipe.clip, size=(recipe.steps, runs, weights))


def by_nominal_batch(total: Sums, batch: Present, recipe: Recipe) -> Sums:
    """Divide by a constant of the recipe, whoever came."""
    return total / recipe.nominal_batch


def never(weights: Sums, x: Inputs, y: Targets) -> Bool[ndarray, "runs"]:
    """Go on until the last step."""
    return np.zeros(len(weights), dtype=bool)


@door
@dataclass(frozen=True)
class Trainer:
    """The six components. `HONEST` is correct; ``dataclasses.replace(HONEST, clip=…)`` has one fault.

    Examples
    --------
    >>> recipe = Recipe(clip=1.0, noise_multiplier=2.0, sampling_rate=0.5, steps=3, nominal_batch=2)
    >>> seen = HONEST(np.eye(4), np.ones(4), recipe, runs=1000, rng=np.random.default_rng(0))
    >>> seen.updates.shape, abs(seen.updates.std() - 1) < 0.1
    ((3, 1000, 4), np.True_)

    One component replaced, a sum without a clip, and a record counts for as much as it likes:

    >>> from mialab_book.faults.faulty_components import clip_nothing
    >>> for trainer in (HONEST, Trainer(clip=clip_nothing)):
    ...     seen = trainer(np.ones((1, 1)), np.array([1e6]), recipe, runs=1, rng=np.random.default_rng(0))
    ...     print(abs(seen.updates).max() < 10)
    True
    False
    """

    sample: Callable[[Recipe, int, int, np.random.Generator], ndarray] = poisson_batches
    preprocess: Callable[[Inputs, Present], RunGradients] = each_by_itself
    clip: Callable[[RunGradients, Present, Recipe], Sums] = clip_each
    noise: Callable[[Recipe, int, int, np.random.Generator], Noise] = noise_each_step
    divide: Callable[[Sums, Present, Recipe], Sums] = by_nominal_batch
    stop: Callable[[Sums, Inputs, Targets], Bool[ndarray, "runs"]] = never

    @door
    def __call__(
        self, x: Inputs, y: Targets, recipe: Recipe, *, runs: int, rng: np.random.Generator
    ) -> Transcript:
        """Train ``runs`` models on inputs x and targets y, each on its own.

        Batches and noise have a stream of their own.

        Raises
        ------
        ValueError
            If ``runs`` is below 1.
        """
        _check.at_least("runs", runs, 1)
        for_batches, for_noise = rng.spawn(2)
        batches = self.sample(recipe, len(y), runs, for_batches)
        noise = self.noise(recipe, runs, x.shape[1], for_noise)
        weights, going = np.zeros(noise.shape[1:]), np.ones(runs, dtype=bool)
        updates, steps_taken = np.zeros_like(noise), np.zeros(runs, dtype=int)
        for step, batch in enumerate(batches):
            seen = self.preprocess(x, batch)
            error = np.einsum("rnw,rw->rn", seen, weights) - y
            total = self.clip(error[..., None] * seen, batch, recipe)
            updates[step] = going[:, None] * self.divide(total + noise[step], batch, recipe)
            weights = weights - LEARNING_RATE * updates[step]
            steps_taken += going
            going &= ~self.stop(weights, x, y)
        return Transcript(updates, steps_taken)


HONEST = Trainer()
