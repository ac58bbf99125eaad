"""Private-looking trainers, each with one piece replaced: `TRAINERS`. And the honest one beside them.

The canary is a record with a wild target (1,000 instead of about 1) in features that nobody else has. Its
gradient is longer than the clip whatever the weights are, and at a right angle to all others: nothing a
record can do is worse for the honest trainer, so that its audit meets the accountant's curve exactly.
"""

from dataclasses import replace

import numpy as np

from mialab.accounting import SampledGaussian
from mialab.faults import pieces, scores
from mialab.faults.fault import Correct, Fault, Stage, Training
from mialab.faults.trainer import HONEST, Recipe, Records

EVERY_STEP, LAST_MODEL = "every update", "the last model"
_ORDINARY, _CANARY = 3, 9  # features of ordinary records, and of the canary
_LARGE = 2.0**24  # float32 has 1,000 beside it, and not 1,000² beside its square


def stage(others: int = 15, *, target: float | None = None, against: float = 0.0) -> Stage:
    """Return ordinary records and a canary.

    Parameters
    ----------
    others
        How many records there are besides the canary.
    target
        Of all ordinary records; without it, targets that a linear model can fit.
    against
        If above 0, the three records before the canary have its features, and this target with a
        minus: they pull the other way.
    """
    bits = np.arange(1, others + 1)[:, None] >> np.arange(_ORDINARY) & 1
    x = np.zeros((others + 1, _ORDINARY + _CANARY))
    x[:-1, :_ORDINARY] = 1.0 - 2 * bits
    y = x[:, 0] if target is None else np.full(others + 1, target)
    direction = np.concatenate([np.zeros(_ORDINARY), np.full(_CANARY, _CANARY**-0.5)])
    pull = [others - 3, others - 2, others - 1] if against else []
    x[[*pull, others]], y = direction, y.copy()
    y[pull], y[others] = -against, 1000.0 + 10 * against
    return Stage(Records(x, y), direction)


RECIPE = Recipe(clip=1.0, noise_multiplier=3.0, sampling_rate=0.25, steps=8, nominal_batch=4)
FULL_BATCH = Recipe(clip=1.0, noise_multiplier=8.0, sampling_rate=1.0, steps=8, nominal_batch=16)
ONE_EPOCH = Recipe(clip=1.0, noise_multiplier=0.35, sampling_rate=0.25, steps=4, nominal_batch=4)


def _training(recipe: Recipe = RECIPE, on: Stage | None = None, score=None, **piece) -> Training:
    """Return the honest trainer with at most one piece replaced."""
    return Training(replace(HONEST, **piece), recipe, on or stage(), score or scores.every_step())


def _less_noise(factor: float, recipe: Recipe = RECIPE) -> SampledGaussian:
    """Return what the accountant should have been told."""
    return SampledGaussian(recipe.noise_multiplier / factor, recipe.sampling_rate, recipe.steps)


HONEST_TRAINERS = (
    Correct("DP-SGD", EVERY_STEP, _training()),
    Correct("DP-SGD", LAST_MODEL, _training(score=scores.last_model)),
    Correct("DP-SGD, full batch", EVERY_STEP, _training(FULL_BATCH)),
)

TRAINERS = (
    Fault(
        "no clipping",
        "Gradients are summed as they are, so that one record can outweigh any noise.",
        "what is left when the clip is forgotten; Abadi et al. 2016 clip for this reason",
        LAST_MODEL,
        _training(score=scores.last_model, clip=pieces.clip_nothing),
        np.inf,
        "a gradient may be as long as it likes",
    ),
    Fault(
        "clip the batch mean",
        "The mean of the batch is clipped, as one clips for stability, and not each record.",
        "the usual gradient clipping of deep learning, mistaken for that of Abadi et al. 2016",
        EVERY_STEP,
        _training(score=scores.every_step(shift=RECIPE.nominal_batch), clip=pieces.clip_the_mean),
        _less_noise(2 * RECIPE.nominal_batch),
        "one record can turn the whole mean round: from −C to C, times the batch size",
    ),
    Fault(
        "clip each layer",
        "Every layer is clipped to C, and the whole counted as C: it is C · √layers.",
        "asked, and answered, in Opacus issue #202",
        EVERY_STEP,
        _training(score=scores.every_step(shift=_CANARY**0.5), clip=pieces.clip_each_layer),
        _less_noise((_ORDINARY + _CANARY) ** 0.5),
        "a record may fill the clip of all twelve layers; this canary fills nine",
    ),
    Fault(
        "length from float32 inner products",
        "Inner products of tokens give the length: where they cancel it is 0, and nothing is clipped.",
        "the ghost clipping of Opacus 1.6.0, and of this package's first version",
        LAST_MODEL,
        _training(score=scores.last_model, clip=pieces.clip_by_ghost(_LARGE)),
        np.inf,
        "the larger a record's tokens, the longer a gradient that passes for 0",
    ),
    Fault(
        "divisor from the data",
        "The sum is divided by int(n · q): the noise shows how many records there are.",
        "Opacus issues #571 and #819",
        EVERY_STEP,
        _training(score=scores.quietness, divide=pieces.divide_by_what_came),
        np.inf,
        "with enough weights two sizes of noise are told apart for sure",
    ),
    Fault(
        "noise once an epoch",
        "Noise is added in the first step of every epoch, and the other steps are counted as noisy too.",
        "realistic: the noise is put where an epoch begins, not where a step is made",
        EVERY_STEP,
        _training(score=scores.quiet_steps, noise=pieces.noise_once_an_epoch),
        np.inf,
        "a step without noise shows who was in it",
    ),
    Fault(
        "noise for the wrong batch size",
        "The noise that belongs on the mean is added to the sum: too little by the batch size.",
        "Tramèr et al. 2022: (0.21, 1e-5) was claimed, ε > 2.79 was shown",
        EVERY_STEP,
        _training(score=scores.every_step(noise=1 / RECIPE.nominal_batch), noise=pieces.noise_of_the_mean),
        _less_noise(RECIPE.nominal_batch),
        "σ is σ/batch",
    ),
    Fault(
        "shuffled, counted as Poisson",
        "Batches are cut from a shuffled list, and the accountant is told of independent coins.",
        "Chua et al. 2024",
        EVERY_STEP,
        _training(ONE_EPOCH, score=scores.shuffled, sample=pieces.shuffle),
        None,
        "only lower bounds are known (Chua et al. 2024)",
    ),
    Fault(
        "fixed seed",
        "The noise comes from a generator with the same seed in every run.",
        "realistic: a seed set for reproducibility, in code that anybody can read",
        EVERY_STEP,
        _training(score=scores.without_known_noise, noise=pieces.noise_from_a_fixed_seed),
        np.inf,
        "noise that is known can be taken away",
    ),
    Fault(
        "batch-norm left on",
        "Features are normalised over the batch, so that a record moves the gradients of all others.",
        "Opacus issue #319: no such layer can be private; realistic where gradients are made by hand",
        EVERY_STEP,
        _training(on=stage(target=-2.0), score=scores.every_step(shift=2.5), look=pieces.look_at_the_batch),
        None,
        "it depends on how many records a batch can hold: each may turn its gradient round",
    ),
    Fault(
        "microbatches counted as records",
        "The mean of a few records is clipped: one record can turn it round, from −C to C.",
        "Ponomareva et al. 2023, §5.6; TensorFlow Privacy counts them twice",
        EVERY_STEP,
        _training(FULL_BATCH, stage(against=1000.0), clip=pieces.clip_microbatches(4)),
        _less_noise(2, FULL_BATCH),
        "the sensitivity is 2C",
    ),
    Fault(
        "early exit on private records",
        "Training stops once the error on the private records is small: the number of steps has no noise.",
        "realistic: early stopping, with the validation records taken from the private ones",
        "the number of steps",
        _training(score=scores.steps_taken, stop=pieces.stop_when_good_enough(10.0)),
        np.inf,
        "one record can keep the error large for ever",
    ),
)
