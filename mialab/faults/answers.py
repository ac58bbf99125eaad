"""Answers, right and wrong, with what the attacker makes of them: one score for each of many answers.

The record is one person's answer, one count, or one value; "in" and "out" are two answers it can have, or
whether it is there. The score rises with the likelihood ratio of what was released.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab.accounting import Neighbours
from mialab.faults.scores import Scores
from mialab.mechanisms.discrete import DiscreteLaplace
from mialab.mechanisms.discrete_gaussian import DiscreteGaussian
from mialab.mechanisms.floating_point import could_come_from, textbook_laplace
from mialab.mechanisms.noise import Gaussian, Laplace
from mialab.mechanisms.randomized_response import RandomizedResponse

_ADD = Neighbours.ADD_REMOVE
DAYS = 5

COIN, FOUR = RandomizedResponse(0.75), RandomizedResponse.from_epsilon(1.0, 4)
COUNT = Laplace(1.0, 1.0, _ADD)
HALF = Laplace(0.5, 1.0, _ADD)
BELL = Gaussian(4.0, 1.0, _ADD)
WHOLE = DiscreteLaplace(1.0, 1.0, 1.0, _ADD)
WHOLE_BELL = DiscreteGaussian(2.0, 1.0, 1.0, _ADD)


def says_yes(record_in: bool, runs: int, rng: np.random.Generator, coin: RandomizedResponse = COIN) -> Scores:
    """Ask people whose true answer is 1 ("in") or 0; answers other than these two speak for neither."""
    reported = coin(np.full(runs, int(record_in)), rng=rng)
    return (reported == 1) * 1.0 - (reported == 0)


def one_coin(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
    """Heads: the truth. Tails: what a second coin says, but it is the same coin again, and says no."""
    heads = rng.random(runs) < 0.5
    return heads * float(record_in)


def every_day(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
    """Ask the same people again, with fresh coins."""
    return COIN(np.full((runs, DAYS), int(record_in)), rng=rng).sum(axis=1) * 1.0


def ratio_of_laplace(noisy: Float[ndarray, "runs"], shift: float) -> Scores:
    """Return |x| − |x − shift|, the likelihood ratio of ``shift`` against 0 in units of the noise.

    Left and right of both it is ∓shift, and is written so: the difference itself would keep last bits that
    depend on the value, and an audit accuses the mechanism for them, rightly (Mironov 2012).
    """
    return np.clip(2 * noisy - shift, -shift, shift)


def laplace(record_in: bool, runs: int, rng: np.random.Generator, scale: float, shift: float = 1.0) -> Scores:
    """Add Laplace noise to ``shift`` ("in") or 0."""
    return ratio_of_laplace(shift * record_in + rng.laplace(scale=scale, size=runs), shift)


def gaussian(record_in: bool, runs: int, rng: np.random.Generator, deviation: float) -> Scores:
    """Add Gaussian noise to 1 ("in") or 0: the number itself rises with the likelihood ratio."""
    return record_in + rng.normal(scale=deviation, size=runs)


def one_noise_for_two(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
    """Release the number of all records, and of the public ones, with the same noise: one from the other."""
    noise = rng.laplace(scale=2.0, size=runs)
    return np.round((100 + record_in + noise) - (100 + noise), 9)


def textbook(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
    """Ask of every answer which value could have produced its last bits, and weigh those that both could."""
    noisy = np.array([textbook_laplace(float(record_in), COUNT.scale, rng=rng) for _ in range(runs)])
    gives_away = (
        could_come_from(noisy, 1.0, COUNT.scale) * 10.0 - could_come_from(noisy, 0.0, COUNT.scale) * 10.0
    )
    return gives_away + ratio_of_laplace(noisy, 1.0)


def last_bits(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
    """Subtract as anybody would, and see the last bits by accident: below 0, 1 + noise has fewer."""
    noisy = COUNT(np.full(runs, float(record_in)), rng=rng)
    return np.abs(noisy) - np.abs(noisy - 1)


def to_even(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
    """Round halves to the even neighbour: 0.5 and 1.5, one apart, become 0 and 2. Noise as for one step."""
    stay = -np.expm1(-WHOLE.epsilon)
    noise = rng.geometric(stay, runs) - rng.geometric(stay, runs)
    return ratio_of_laplace(np.round(0.5 + record_in) + noise, 2.0)


def drawn(mechanism: DiscreteLaplace | DiscreteGaussian) -> Callable[..., Scores]:
    """Ask a mechanism that draws its noise one by one, exactly."""

    def scores(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
        noisy = np.array([mechanism(float(record_in), rng=rng) for _ in range(runs)])
        return noisy if isinstance(mechanism, DiscreteGaussian) else ratio_of_laplace(noisy, 1.0)

    return scores
