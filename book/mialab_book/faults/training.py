"""Private-looking trainers, each with one component replaced: `TRAINERS`. And the honest one beside them.

The canary is a record with a wild target (1,000 instead of about 1) in features that nobody else has. Its
gradient is longer than the clip whatever the weights are, and at a right angle to all others: nothing a
record can do is worse for the honest trainer, so that its audit meets the accountant's curve exactly.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab._validation import door
from mialab_book.faults import attackers, faulty_components
from mialab_book.faults.attackers import Attacker, likelihood_ratio
from mialab_book.faults.case import Case, Mechanism
from mialab_book.faults.trainer import HONEST, Inputs, Recipe, Targets, Trainer

EVERY_STEP, LAST_MODEL = "every update", "the last model"
_OTHERS = 15  # records besides the canary
_ORDINARY, _CANARY = 3, 9  # features of ordinary records, and of the canary
_LARGE = 2.0**24  # float32 has 1,000 beside it, and not 1,000² beside its square


@door
@dataclass(frozen=True, eq=False)
class Training:
    """A trainer, its recipe, its records, and who attacks it.

    Attributes
    ----------
    trainer, recipe
        What is run.
    attacker
        One of `attackers`, or another function of the transcript, the recipe, and the canary's direction.
    x, y
        Inputs (records, weights) and targets (records,). The last record is the canary; its inputs have
        length 1, and are the direction in which it pulls.

    Examples
    --------
    >>> recipe = Recipe(clip=1.0, noise_multiplier=2.0, sampling_rate=0.5, steps=3, nominal_batch=2)
    >>> training = Training(HONEST, recipe, attackers.last_model, np.eye(3), np.array([1.0, 1.0, 1e3]))
    >>> print(training(True, 10_000, rng=np.random.default_rng(0)).mean().round(1))  # half of the steps
    1.5
    """

    trainer: Trainer
    recipe: Recipe
    attacker: Attacker
    x: Inputs
    y: Targets

    @door
    def __call__(self, record_in: bool, runs: int, *, rng: np.random.Generator) -> Float[ndarray, "runs"]:
        """Train ``runs`` models with or without the canary, and return the attacker's score of each.

        Raises
        ------
        ValueError
            If ``runs`` is below 1.
        """
        end = len(self.y) - (not record_in)
        seen = self.trainer(self.x[:end], self.y[:end], self.recipe, runs=runs, rng=rng)
        return self.attacker(seen, self.recipe, self.x[-1])


def records(*, target: float | None = None, against: float = 0.0) -> tuple[Inputs, Targets]:
    """Return inputs and targets of 15 ordinary records and, as the last one, of a canary.

    Parameters
    ----------
    target
        Of all ordinary records; without it, targets that a linear model can fit.
    against
        If above 0, the three records before the canary have its features, and this target with a
        minus: they pull the other way.
    """
    bits = np.arange(1, _OTHERS + 1)[:, None] >> np.arange(_ORDINARY) & 1
    x = np.zeros((_OTHERS + 1, _ORDINARY + _CANARY))
    x[:-1, :_ORDINARY] = 1.0 - 2 * bits
    y = x[:, 0].copy() if target is None else np.full(_OTHERS + 1, target)
    pull = slice(-4, -1) if against else slice(0)
    x[pull] = x[-1] = np.repeat([0.0, _CANARY**-0.5], [_ORDINARY, _CANARY])
    y[pull], y[-1] = -against, 1000.0 + 10 * against
    return x, y


RECIPE = Recipe(clip=1.0, noise_multiplier=3.0, sampling_rate=0.25, steps=8, nominal_batch=4)
FULL_BATCH = Recipe(clip=1.0, noise_multiplier=8.0, sampling_rate=1.0, steps=8, nominal_batch=16)
ONE_EPOCH = Recipe(clip=1.0, noise_multiplier=0.35, sampling_rate=0.25, steps=4, nominal_batch=4)
_RECORDS = records()


def _case(
    name: str,
    attacker: Attacker,
    flaw: str = "",
    truth: Mechanism | float | None = None,
    *,
    sees: str = EVERY_STEP,
    recipe: Recipe = RECIPE,
    on: tuple[Inputs, Targets] = _RECORDS,
    **component,
) -> Case:
    """Return the honest trainer with at most one component replaced."""
    training = Training(replace(HONEST, **component), recipe, attacker, *on)
    return Case(name, sees, recipe, training, flaw, truth)


def _less_noise(factor: float, recipe: Recipe = RECIPE) -> Recipe:
    """Return what the accountant should have been told."""
    return replace(recipe, noise_multiplier=recipe.noise_multiplier / factor)


HONEST_TRAINERS = (
    _case("DP-SGD", likelihood_ratio()),
    _case("DP-SGD", attackers.last_model, sees=LAST_MODEL),
    _case("DP-SGD, full batch", likelihood_ratio(), recipe=FULL_BATCH),
)

TRAINERS = (
    _case(
        "no clipping",
        attackers.last_model,
        "Gradients are summed as they are, so that one record can outweigh any noise.",
        np.inf,
        sees=LAST_MODEL,
        clip=faulty_components.clip_nothing,
    ),
    _case(
        "clip the batch mean",
        likelihood_ratio(shift=RECIPE.nominal_batch),
        "The mean of the batch is clipped, as one clips for stability, and not each record.",
        _less_noise(2 * RECIPE.nominal_batch),
        clip=faulty_components.clip_the_mean,
    ),
    _case(
        "clip each layer",
        likelihood_ratio(shift=_CANARY**0.5),  # this canary fills the clip of nine layers of twelve
        "Every layer is clipped to C, and the whole counted as C: it is C · √layers.",
        _less_noise((_ORDINARY + _CANARY) ** 0.5),
        clip=faulty_components.clip_each_layer,
    ),
    _case(
        "length from float32 inner products",
        attackers.last_model,
        "Inner products of tokens give the length: where they cancel it is 0, and nothing is clipped.",
        np.inf,
        sees=LAST_MODEL,
        clip=faulty_components.clip_by_ghost(_LARGE),
    ),
    _case(
        "divisor from the data",
        attackers.size_of_updates,
        "The sum is divided by int(n · q): the noise shows how many records there are.",
        np.inf,
        divide=faulty_components.divide_by_what_came,
    ),
    _case(
        "noise once an epoch",
        attackers.steps_without_noise,
        "Noise is added in the first step of every epoch, and the other steps are counted as noisy too.",
        np.inf,
        noise=faulty_components.noise_once_an_epoch,
    ),
    _case(
        "noise for the wrong batch size",
        likelihood_ratio(noise=1 / RECIPE.nominal_batch),
        "The noise that belongs on the mean is added to the sum: too little by the batch size.",
        _less_noise(RECIPE.nominal_batch),
        noise=faulty_components.noise_of_the_mean,
    ),
    _case(
        "shuffled, counted as Poisson",
        attackers.shuffled_ratio,
        "Batches are cut from a shuffled list, and the accountant is told of independent coins.",
        recipe=ONE_EPOCH,
        sample=faulty_components.shuffle,
    ),
    _case(
        "fixed seed",
        attackers.without_known_noise,
        "The noise comes from a generator with the same seed in every run.",
        np.inf,
        noise=faulty_components.noise_from_a_fixed_seed,
    ),
    _case(
        "batch-norm left on",
        likelihood_ratio(shift=2.5),
        "Features are normalised over the batch, so that a record moves the gradients of all others.",
        on=records(target=-2.0),
        preprocess=faulty_components.normalise_over_the_batch,
    ),
    _case(
        "microbatches counted as records",
        likelihood_ratio(),
        "The mean of a few records is clipped: one record can turn it round, from −C to C.",
        _less_noise(2, FULL_BATCH),
        recipe=FULL_BATCH,
        on=records(against=1000.0),
        clip=faulty_components.clip_microbatches(4),
    ),
    _case(
        "early exit on private records",
        attackers.number_of_steps,
        "Training stops once the error on the private records is small: the number of steps has no noise.",
        np.inf,
        sees="the number of steps",
        stop=faulty_components.stop_when_good_enough(10.0),
    ),
)
