"""The wrong pieces: each looks like its neighbour in `trainer`, and breaks the promise.

Read each beside the piece that it replaces. Where its condition is absent (one weight, one record to a
microbatch, …) it returns the same numbers, bit for bit: that is why nobody notices.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mialab.faults.trainer import (
    Batch,
    Gradients,
    Recipe,
    Records,
    Update,
    clip_each,
    noise_each_step,
)

SEED = 0
"""What the fixed seed is fixed to. Anybody can read it in the code."""


def clip_nothing(gradients: Gradients, batch: Batch, recipe: Recipe) -> Update:
    """Return the plain sum."""
    return np.einsum("rn,rnw->rw", batch * 1.0, gradients)


def clip_the_mean(gradients: Gradients, batch: Batch, recipe: Recipe) -> Update:
    """Clip the mean of the batch to C, as one clips for stability, and scale it up to a sum."""
    present = np.maximum(batch.sum(axis=1), 1)[:, None]
    mean = np.einsum("rn,rnw->rw", batch * 1.0, gradients) / present
    length = np.sqrt(np.einsum("rw,rw->r", mean, mean))
    return recipe.nominal_batch * (recipe.clip / np.maximum(length, recipe.clip))[:, None] * mean


def clip_each_layer(gradients: Gradients, batch: Batch, recipe: Recipe) -> Update:
    """Clip every layer to C. Here each weight is a layer of its own."""
    share = recipe.clip / np.maximum(np.abs(gradients), recipe.clip)
    return np.einsum("rn,rnw->rw", batch * 1.0, share * gradients)


def clip_by_ghost(base: float) -> Callable:
    """Find the length without the gradient, from inner products of tokens in float32.

    A record is two tokens, and the model sees their difference: to a gradient g the one adds g + b, the other
    −b, where b is ``base`` in the last weight and 0 elsewhere. Then ‖g‖² is the sum of their four products
    (Li et al. 2022); what rounding took below 0 is put to 0. A record without a ``base`` is one token, which
    has a length of its own. Where tokens do not cancel, the length is right to six digits.
    """

    def clip(gradients: Gradients, batch: Batch, recipe: Recipe) -> Update:
        stand = base * np.eye(gradients.shape[-1])[-1]
        tokens = np.stack([gradients + stand, 0 * gradients - stand]).astype(np.float32)
        square = np.einsum("srnw,trnw->strn", tokens, tokens).sum(axis=(0, 1))
        length = np.sqrt(np.maximum(square, 0.0))
        share = recipe.clip / np.maximum(length, recipe.clip)
        return np.einsum("rn,rnw->rw", share * batch, gradients)

    return clip if base else clip_each


def clip_microbatches(size: int) -> Callable:
    """Clip the mean of every ``size`` neighbouring records, not each record."""

    def clip(gradients: Gradients, batch: Batch, recipe: Recipe) -> Update:
        starts = np.arange(0, batch.shape[1], size)
        present = np.maximum(np.add.reduceat(batch, starts, axis=1, dtype=int), 1)
        mean = np.add.reduceat(gradients * batch[..., None], starts, axis=1) / present[..., None]
        length = np.sqrt(np.einsum("rnw,rnw->rn", mean, mean))
        return np.einsum("rn,rnw->rw", recipe.clip / np.maximum(length, recipe.clip), mean)

    return clip


def divide_by_what_came(total: Update, batch: Batch, recipe: Recipe) -> Update:
    """Divide by the expected batch size, computed from the secret number of records."""
    return total / max(int(batch.shape[1] * recipe.sampling_rate), 1)


def noise_once_an_epoch(
    recipe: Recipe, runs: int, weights: int, rng: np.random.Generator
) -> Float[ndarray, "steps runs weights"]:
    """Add the noise in the first step of every epoch only."""
    noise = noise_each_step(recipe, runs, weights, rng)
    noise[np.arange(recipe.steps) % recipe.epoch > 0] = 0.0
    return noise


def noise_of_the_mean(
    recipe: Recipe, runs: int, weights: int, rng: np.random.Generator
) -> Float[ndarray, "steps runs weights"]:
    """Add to the sum the noise that belongs on the mean: too little by the batch size."""
    return noise_each_step(recipe, runs, weights, rng) / recipe.nominal_batch


def noise_from_a_fixed_seed(
    recipe: Recipe, runs: int, weights: int, rng: np.random.Generator
) -> Float[ndarray, "steps runs weights"]:
    """Draw the noise from a generator that starts the same way every time."""
    known = noise_each_step(recipe, 1, weights, np.random.default_rng(SEED))
    return np.broadcast_to(known, (recipe.steps, runs, weights)).copy()


def shuffle(recipe: Recipe, records: int, runs: int, rng: np.random.Generator) -> Bool[ndarray, "s r n"]:
    """Shuffle the records once an epoch, and cut them into batches: everybody takes part exactly once."""
    epochs = -(-recipe.steps // recipe.epoch)
    size = -(-records // recipe.epoch)
    place = rng.random((epochs, runs, records)).argsort(axis=-1).argsort(axis=-1) // size
    batches = place[:, None] == np.arange(recipe.epoch)[:, None, None]
    return batches.reshape(-1, runs, records)[: recipe.steps]


def look_at_the_batch(x: Float[ndarray, "records weights"], batch: Batch) -> Gradients:
    """Normalise every feature over the batch: what the model sees of a record depends on its company."""
    present = np.maximum(batch.sum(axis=1), 1)[:, None, None]
    here = batch[..., None]
    centred = x - np.sum(x * here, axis=1, keepdims=True) / present
    variance = np.sum(centred**2 * here, axis=1, keepdims=True) / present
    return np.divide(centred, np.sqrt(variance), out=np.zeros_like(centred), where=variance > 0)


def stop_when_good_enough(error: float) -> Callable:
    """Stop as soon as the mean squared error on the private records is below ``error``."""

    def stop(weights: Update, records: Records) -> Bool[ndarray, "runs"]:
        return ((weights @ records.x.T - records.y) ** 2).mean(axis=1) < error

    return stop
