"""Answers, right and wrong, with what the attacker makes of them: `HONEST_RELEASES` and `RELEASES`.

The record is one person's answer, one count, or one value; "in" and "out" are two answers it can have, or
whether it is there. Each function returns one score for each of many answers, which rises with the likelihood
ratio of what was released.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab.accounting import Guarantee, Neighbours
from mialab.mechanisms.discrete import DiscreteLaplace
from mialab.mechanisms.discrete_gaussian import DiscreteGaussian
from mialab.mechanisms.floating_point import could_come_from, textbook_laplace
from mialab.mechanisms.noise import Gaussian, Laplace, calibrate
from mialab.mechanisms.randomized_response import RandomizedResponse
from mialab.tradeoff import pure
from mialab_book.faults.case import DELTA, Case, Claim, OneAnswer

ANSWER, REAL = "one released answer", "one released answer without its last bits"
DAYS = 5
_ADD, _REPLACE = Neighbours.ADD_REMOVE, Neighbours.REPLACE

COIN, FOUR = RandomizedResponse(0.75), RandomizedResponse.from_epsilon(1.0, 4)
COUNT = Laplace(1.0, 1.0, _ADD)
BELL = Gaussian(4.0, 1.0, _ADD)
WHOLE = DiscreteLaplace(1.0, 1.0, 1.0, _ADD)
WHOLE_BELL = DiscreteGaussian(2.0, 1.0, 1.0, _ADD)


def experiment_with(mechanism: OneAnswer) -> Callable[..., Float[ndarray, "runs"]]:
    """Return a function that asks a mechanism many times, and scores its answers.

    The truth is the mechanism's whole sensitivity ("in") or 0; of randomized response the answer 1 or 0, and
    answers other than these two speak for neither. Gaussian noise needs no score: the number itself rises
    with the likelihood ratio.
    """

    def experiment(record_in: bool, runs: int, *, rng: np.random.Generator) -> Float[ndarray, "runs"]:
        if isinstance(mechanism, RandomizedResponse):
            reported = mechanism(np.full(runs, int(record_in)), rng=rng)
            return (reported == 1) * 1.0 - (reported == 0)
        value = record_in * mechanism.sensitivity
        if isinstance(mechanism, DiscreteLaplace | DiscreteGaussian):  # which draw exactly, one by one
            noisy = np.array([mechanism(value, rng=rng) for _ in range(runs)])
        else:
            noisy = mechanism(np.full(runs, value), rng=rng)
        gaussian = isinstance(mechanism, Gaussian | DiscreteGaussian)
        return noisy if gaussian else laplace_ratio(noisy, mechanism.sensitivity)

    return experiment


def laplace_ratio(noisy: Float[ndarray, "runs"], shift: float) -> Float[ndarray, "runs"]:
    """Return |x| − |x − shift|, the likelihood ratio of ``shift`` against 0 in units of the noise.

    Left and right of both it is ∓shift, and is written so: the difference itself would keep last bits that
    depend on the value, and an audit accuses the mechanism for them, rightly (Mironov 2012).
    """
    return np.clip(2 * noisy - shift, -shift, shift)


def one_coin(record_in: bool, runs: int, *, rng: np.random.Generator) -> Float[ndarray, "runs"]:
    """Heads: the truth. Tails: what a second coin says, but it is the same coin again, and says no.

    Realistic: the survey of Warner 1965 in code, with one random number too few. Only those whose true answer
    is yes ever say yes.
    """
    heads = rng.random(runs) < 0.5
    return heads * float(record_in)


def every_day(record_in: bool, runs: int, *, rng: np.random.Generator) -> Float[ndarray, "runs"]:
    """Ask the same people again, with fresh coins: losses add up, and all answers can be the same.

    Tang et al. 2017; the reason for the permanent answers of Erlingsson et al. 2014.
    """
    return COIN(np.full((runs, DAYS), int(record_in)), rng=rng).sum(axis=1) * 1.0


def one_noise_for_two(record_in: bool, runs: int, *, rng: np.random.Generator) -> Float[ndarray, "runs"]:
    """Release the number of all records, and of the public ones, with the same noise: one from the other.

    Realistic: a draw kept in a variable, or a cache. The difference is exact.
    """
    noise = rng.laplace(scale=2.0, size=runs)
    return np.round((100 + record_in + noise) - (100 + noise), 9)


def textbook(record_in: bool, runs: int, *, rng: np.random.Generator) -> Float[ndarray, "runs"]:
    """Ask of every answer which value could have produced its last bits, and weigh those that both could.

    Mironov 2012: there are answers that only one of the two values can give.
    """
    noisy = np.array([textbook_laplace(float(record_in), COUNT.scale, rng=rng) for _ in range(runs)])
    from_1, from_0 = (could_come_from(noisy, value, COUNT.scale) * 10.0 for value in (1.0, 0.0))
    return from_1 - from_0 + laplace_ratio(noisy, 1.0)


def last_bits(record_in: bool, runs: int, *, rng: np.random.Generator) -> Float[ndarray, "runs"]:
    """Subtract as anybody would, and see the last bits by accident: below 0, 1 + noise has fewer.

    Mironov 2012, Haney et al. 2022; found by the gallery in its own first Laplace row.
    """
    noisy = COUNT(np.full(runs, float(record_in)), rng=rng)
    return np.abs(noisy) - np.abs(noisy - 1)


def to_even(record_in: bool, runs: int, *, rng: np.random.Generator) -> Float[ndarray, "runs"]:
    """Round halves to the even neighbour: 0.5 and 1.5, one apart, become 0 and 2. Noise as for one step.

    Realistic: the default of Python and NumPy.
    """
    stay = -np.expm1(-WHOLE.epsilon)
    noise = rng.geometric(stay, runs) - rng.geometric(stay, runs)
    return laplace_ratio(np.round(0.5 + record_in) + noise, 2.0)


HONEST_RELEASES = (
    Case("randomized response", ANSWER, COIN, experiment_with(COIN)),
    Case("randomized response, 4 answers", ANSWER, FOUR, experiment_with(FOUR)),
    Case("Laplace", REAL, COUNT, experiment_with(COUNT)),
    Case("Gaussian", REAL, BELL, experiment_with(BELL)),
    Case("discrete Laplace", ANSWER, WHOLE, experiment_with(WHOLE)),
    Case("discrete Gaussian", ANSWER, WHOLE_BELL, experiment_with(WHOLE_BELL)),
)


def _mistaken(name: str, claimed: OneAnswer, really: OneAnswer, flaw: str) -> Case:
    """Return a mechanism whose parameters are not those that are claimed."""
    return Case(name, ANSWER, claimed, experiment_with(really), flaw, truth=really)


RELEASES = (
    Case(
        "one coin for two",
        ANSWER,
        COIN,
        one_coin,
        "On tails a second coin answers, but it is the first one again: all of them say no.",
        np.inf,
    ),
    _mistaken(
        "biased coin",  # realistic: a coin nobody tossed often enough
        COIN,
        RandomizedResponse(0.8),
        "The coin tells the truth in 80 of 100 cases, and 75 are claimed.",
    ),
    Case(
        "asked every day, counted once",
        "five released answers",
        COIN,
        every_day,
        "The same question is answered with fresh coins on five days, and the ε of one day is claimed.",
        float(DAYS * COIN.epsilon),
    ),
    _mistaken(
        "half the sensitivity",  # Casacuberta et al. 2022: too small in many libraries, by finite arithmetic
        Laplace(1.0, 1.0, _REPLACE),
        Laplace(2.0, 2.0, _REPLACE),  # the same noise
        "A value in [−1, 1] is replaced, which moves the sum by 2, and the noise is made for 1.",
    ),
    _mistaken(
        "scale read as variance",  # realistic: libraries ask for a scale, a standard deviation or a variance
        Laplace(0.5, 1.0, _ADD),  # of scale 2; √(2 · ε) is what it gives
        Laplace(1.0, 1.0, _ADD),  # of variance 2
        "Δ/ε, the scale of Laplace noise, is taken for its variance, which is twice the square of the scale.",
    ),
    _mistaken(
        "deviation read as variance",  # realistic: the same confusion with another noise
        BELL,
        Gaussian(BELL.noise_multiplier**0.5, 1.0, _ADD),
        "σ, the standard deviation of the Gaussian noise, is taken for its variance.",
    ),
    _mistaken(
        "10e-5 for 10⁻⁵",  # Near & Abuah 2021, chapter 6: one in the text, the other in the code
        Gaussian(calibrate(1.0, DELTA), 1.0, _ADD),
        Gaussian(calibrate(1.0, 10e-5), 1.0, _ADD),
        "The noise is made for δ = 10e-5, which is 10⁻⁴, and 10⁻⁵ is claimed.",
    ),
    Case(
        "one noise for two answers",
        "two released answers",
        Claim(Guarantee(1.0, 0.0, _ADD), pure(1.0)),
        one_noise_for_two,
        "Two numbers are released with the same draw of noise: their difference has none.",
        np.inf,
    ),
    Case(
        "floating point",
        ANSWER,
        COUNT,
        textbook,
        "Laplace noise is computed in floats, as in a textbook, and its last bits tell the value.",
        np.inf,
    ),
    Case(
        "floating point, by accident",
        ANSWER,
        COUNT,
        last_bits,
        "NumPy's Laplace noise is added in floats; an answer below 0 with many digits was never moved by 1.",
        np.inf,
    ),
    Case(
        "rounding to even",
        ANSWER,
        WHOLE,
        to_even,
        "Values are rounded as `round` does, 0.5 to 0 and 1.5 to 2, and counted as one step apart.",
        2.0,
    ),
)
