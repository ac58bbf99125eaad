"""What the attacker makes of a run, who knows the code, all records, and who asks about one: the canary.

Every attacker takes the transcript, the recipe and the direction of the canary's gradient, and returns a
score that rises with the likelihood that the canary was in. What the attacker sees is the threat model: every
update is what the promise is about; the last model is less.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab.accounting.steps import sampled_loss
from mialab_book.faults.faulty_components import SEED
from mialab_book.faults.trainer import Recipe, Transcript, noise_each_step

Direction = Float[ndarray, "weights"]
Attacker = Callable[[Transcript, Recipe, Direction], Float[ndarray, "runs"]]


def towards(seen: Transcript, recipe: Recipe, direction: Direction) -> Float[ndarray, "steps runs"]:
    """Return how far every noisy sum went towards the canary, in units of the clip.

    For the honest trainer that is N(0, σ²) without the canary, and N(1, σ²) in the steps it takes part in:
    the worst pair that the accountant knows.
    """
    return seen.updates @ direction * (-recipe.nominal_batch / recipe.clip)


def likelihood_ratio(*, shift: float = 1.0, noise: float = 1.0) -> Attacker:
    """See every update: the likelihood ratio of all steps together, the most telling score there is.

    Σ ln((1 − q) + q · e^(shift · (x − shift/2)/s²)), s = ``noise`` · σ. The attacker knows what the fault
    does to the canary (``shift``, in clips) or to the noise (a factor).
    """

    def score(seen: Transcript, recipe: Recipe, direction: Direction) -> Float[ndarray, "runs"]:
        deviation = noise * recipe.noise_multiplier
        loss = shift * (towards(seen, recipe, direction) - shift / 2) / deviation**2
        return sampled_loss(loss, recipe.sampling_rate).sum(axis=0)

    return score


def last_model(seen: Transcript, recipe: Recipe, direction: Direction) -> Float[ndarray, "runs"]:
    """See only the model that comes out: how far it lies towards the canary."""
    return towards(seen, recipe, direction).sum(axis=0)


def shuffled_ratio(seen: Transcript, recipe: Recipe, direction: Direction) -> Float[ndarray, "runs"]:
    """See every update, and know that the canary comes exactly once an epoch, at any step equally likely.

    For each epoch the logarithm of the mean over its steps of e^((x − ½)/σ²) (Chua et al. 2024).
    """
    exponent = (towards(seen, recipe, direction) - 0.5) / recipe.noise_multiplier**2
    epochs = exponent.reshape(-1, recipe.epoch, exponent.shape[1])
    return (np.logaddexp.reduce(epochs, axis=1) - np.log(recipe.epoch)).sum(axis=0)


def steps_without_noise(seen: Transcript, recipe: Recipe, direction: Direction) -> Float[ndarray, "runs"]:
    """See every update, and add up those without noise."""
    quiet = np.arange(recipe.steps) % recipe.epoch > 0
    return np.round(towards(seen, recipe, direction)[quiet].sum(axis=0), 9)


def without_known_noise(seen: Transcript, recipe: Recipe, direction: Direction) -> Float[ndarray, "runs"]:
    """See every update, draw the same noise from the same seed, and take it away."""
    known = noise_each_step(recipe, 1, len(direction), np.random.default_rng(SEED))
    clean = Transcript(seen.updates - known / recipe.nominal_batch, seen.steps_taken)
    return np.round(towards(clean, recipe, direction).sum(axis=0), 9)


def size_of_updates(seen: Transcript, recipe: Recipe, direction: Direction) -> Float[ndarray, "runs"]:
    """See every update, and look at nothing but its size: a larger divisor makes for smaller noise."""
    return -np.log((seen.updates**2).sum(axis=(0, 2)))


def number_of_steps(seen: Transcript, recipe: Recipe, direction: Direction) -> Float[ndarray, "runs"]:
    """See how many steps there were."""
    return seen.steps_taken.astype(float)
