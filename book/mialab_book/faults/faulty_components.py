"""The wrong components: each looks like its neighbour in `trainer`, and breaks the promise.

Read each beside the component that it replaces. Where its condition is absent (one weight, one record to a
microbatch, …) it returns the same numbers, bit for bit: that is why nobody notices. Each says where it was
published or seen, or why it is realistic, and what it really gives.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from mialab_book.faults.trainer import (
    Inputs,
    Noise,
    Present,
    Recipe,
    RunGradients,
    Sums,
    Targets,
    clip_each,
    clip_factor,
    noise_each_step,
    norm,
    weighted_sum,
)

SEED = 0
"""What the fixed seed is fixed to. Anybody can read it in the code."""


def clip_nothing(gradients: RunGradients, batch: Present, recipe: Recipe) -> Sums:
    """Return the plain sum: a gradient may be as long as it likes, and outweigh any noise.

    What is left when the clip is forgotten; Abadi et al. 2016 clip for this reason.
    """
    return weighted_sum(batch * 1.0, gradients)


def clip_the_mean(gradients: RunGradients, batch: Present, recipe: Recipe) -> Sums:
    """Clip the mean of the batch to C, as one clips for stability, and scale it up to a sum.

    The usual gradient clipping of deep learning, mistaken for that of Abadi et al. 2016. One record can turn
    the whole mean round: from −C to C, times the batch size.
    """
    present = np.maximum(batch.sum(axis=1), 1)[:, None]
    mean = weighted_sum(batch * 1.0, gradients) / present
    return recipe.nominal_batch * clip_factor(norm(mean), recipe.clip)[:, None] * mean


def clip_each_layer(gradients: RunGradients, batch: Present, recipe: Recipe) -> Sums:
    """Clip every layer to C, and count the whole as C. Here each weight is a layer of its own.

    Asked, and answered, in Opacus issue #202: a record moves the sum by C · √layers.
    """
    return weighted_sum(batch * 1.0, clip_factor(np.abs(gradients), recipe.clip) * gradients)


def clip_by_ghost(base: float) -> Callable:
    """Find the length without the gradient, from inner products of tokens in float32.

    A record is two tokens, and the model sees their difference: to a gradient g the one adds g + b, the other
    −b, where b is ``base`` in the last weight and 0 elsewhere. Then ‖g‖² is the sum of their four products
    (Li et al. 2022); what rounding took below 0 is put to 0. A record without a ``base`` is one token, which
    has a length of its own. Where tokens do not cancel, the length is right to six digits.

    The ghost clipping of Opacus 1.6.0, and of this package's first version. The larger a record's tokens, the
    longer a gradient that passes for 0.
    """

    def clip(gradients: RunGradients, batch: Present, recipe: Recipe) -> Sums:
        stand = base * np.eye(gradients.shape[-1])[-1]
        tokens = np.stack([gradients + stand, 0 * gradients - stand]).astype(np.float32)
        square = np.einsum("srnw,trnw->strn", tokens, tokens).sum(axis=(0, 1))
        length = np.sqrt(np.maximum(square, 0.0))
        return weighted_sum(clip_factor(length, recipe.clip) * batch, gradients)

    return clip if base else clip_each


def clip_microbatches(size: int) -> Callable:
    """Clip the mean of every ``size`` neighbouring records, not each record.

    Ponomareva et al. 2023, §5.6; TensorFlow Privacy counts them twice. One record can turn the mean round:
    the sensitivity is 2C.
    """

    def clip(gradients: RunGradients, batch: Present, recipe: Recipe) -> Sums:
        starts = np.arange(0, batch.shape[1], size)
        present = np.maximum(np.add.reduceat(batch, starts, axis=1, dtype=int), 1)
        mean = np.add.reduceat(gradients * batch[..., None], starts, axis=1) / present[..., None]
        return weighted_sum(clip_factor(norm(mean), recipe.clip), mean)

    return clip


def divide_by_what_came(total: Sums, batch: Present, recipe: Recipe) -> Sums:
    """Divide by the expected batch size, computed from the secret number of records.

    Opacus issues #571 and #819. With enough weights two sizes of noise are told apart for sure.
    """
    return total / max(int(batch.shape[1] * recipe.sampling_rate), 1)


def noise_once_an_epoch(recipe: Recipe, runs: int, weights: int, rng: np.random.Generator) -> Noise:
    """Add the noise in the first step of every epoch only: a step without noise shows who was in it.

    Realistic: the noise is put where an epoch begins, not where a step is made.
    """
    noise = noise_each_step(recipe, runs, weights, rng)
    noise[np.arange(recipe.steps) % recipe.epoch > 0] = 0.0
    return noise


def noise_of_the_mean(recipe: Recipe, runs: int, weights: int, rng: np.random.Generator) -> Noise:
    """Add to the sum the noise that belongs on the mean: σ is σ/batch.

    Tramèr et al. 2022: (0.21, 1e-5) was claimed, ε > 2.79 was shown.
    """
    return noise_each_step(recipe, runs, weights, rng) / recipe.nominal_batch


def noise_from_a_fixed_seed(recipe: Recipe, runs: int, weights: int, rng: np.random.Generator) -> Noise:
    """Draw the noise from a generator that starts the same way every time: it can be taken away.

    Realistic: a seed set for reproducibility, in code that anybody can read.
    """
    known = noise_each_step(recipe, 1, weights, np.random.default_rng(SEED))
    return np.broadcast_to(known, (recipe.steps, runs, weights)).copy()


def shuffle(recipe: Recipe, records: int, runs: int, rng: np.random.Generator) -> ndarray:
    """Shuffle the records once an epoch, and cut them into batches: everybody takes part exactly once.

    Chua et al. 2024, who know lower bounds only of what it gives.
    """
    epochs = -(-recipe.steps // recipe.epoch)
    size = -(-records // recipe.epoch)
    place = rng.random((epochs, runs, records)).argsort(axis=-1).argsort(axis=-1) // size
    batches = place[:, None] == np.arange(recipe.epoch)[:, None, None]
    return batches.reshape(-1, runs, records)[: recipe.steps]


def normalise_over_the_batch(x: Inputs, batch: Present) -> RunGradients:
    """Normalise every feature over the batch: what the model sees of a record depends on its company.

    Opacus issue #319: no such layer can be private; realistic where gradients are made by hand. What it gives
    depends on how many records a batch can hold: each may turn its gradient round.
    """
    present = np.maximum(batch.sum(axis=1), 1)[:, None, None]
    here = batch[..., None]
    centred = x - np.sum(x * here, axis=1, keepdims=True) / present
    variance = np.sum(centred**2 * here, axis=1, keepdims=True) / present
    return np.divide(centred, np.sqrt(variance), out=np.zeros_like(centred), where=variance > 0)


def stop_when_good_enough(error: float) -> Callable:
    """Stop as soon as the mean squared error on the private records is below ``error``.

    Realistic: early stopping, with the validation records taken from the private ones. One record can keep
    the error large for ever.
    """

    def stop(weights: Sums, x: Inputs, y: Targets) -> Bool[ndarray, "runs"]:
        return ((weights @ x.T - y) ** 2).mean(axis=1) < error

    return stop
