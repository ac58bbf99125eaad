"""Private-looking answers, each with one flaw: `RELEASES`. And the mechanisms that keep their promise.

The record is one person's answer, one count, or one value; "in" and "out" are two answers it can have, or
whether it is there. The score rises with the likelihood ratio of what was released.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab.accounting import Guarantee, Neighbours
from mialab.faults.fault import DELTA, Correct, Fault, Release
from mialab.faults.scores import Scores
from mialab.mechanisms.discrete import DiscreteLaplace
from mialab.mechanisms.discrete_gaussian import DiscreteGaussian
from mialab.mechanisms.floating_point import could_come_from, textbook_laplace
from mialab.mechanisms.noise import Gaussian, Laplace, calibrate
from mialab.mechanisms.randomized_response import RandomizedResponse
from mialab.tradeoff import GaussianCurve, LaplaceCurve, epsilon_at, pure, randomized_response

ANSWER, REAL = "one released answer", "one released answer without its last bits"
_ADD, _REPLACE = Neighbours.ADD_REMOVE, Neighbours.REPLACE
_DAYS = 5

COIN, FOUR = RandomizedResponse(0.75), RandomizedResponse.from_epsilon(1.0, 4)
COUNT = Laplace(1.0, 1.0, _ADD)
HALF = Laplace(0.5, 1.0, _ADD)
BELL = Gaussian(4.0, 1.0, _ADD)
WHOLE = DiscreteLaplace(1.0, 1.0, 1.0, _ADD)
WHOLE_BELL = DiscreteGaussian(2.0, 1.0, 1.0, _ADD)


def _says_yes(
    record_in: bool, runs: int, rng: np.random.Generator, coin: RandomizedResponse = COIN
) -> Scores:
    """Ask people whose true answer is 1 ("in") or 0; answers other than these two speak for neither."""
    reported = coin(np.full(runs, int(record_in)), rng=rng)
    return (reported == 1) * 1.0 - (reported == 0)


def _one_coin(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
    """Heads: the truth. Tails: what a second coin says, but it is the same coin again, and says no."""
    heads = rng.random(runs) < 0.5
    return heads * float(record_in)


def _every_day(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
    """Ask the same people again, with fresh coins."""
    return COIN(np.full((runs, _DAYS), int(record_in)), rng=rng).sum(axis=1) * 1.0


def _laplace_score(noisy: Float[ndarray, "runs"], shift: float) -> Scores:
    """Return |x| − |x − shift|, the likelihood ratio of ``shift`` against 0 in units of the noise.

    Left and right of both it is ∓shift, and is written so: the difference itself would keep last bits that
    depend on the value, and an audit accuses the mechanism for them, rightly (Mironov 2012).
    """
    return np.clip(2 * noisy - shift, -shift, shift)


def _laplace(
    record_in: bool, runs: int, rng: np.random.Generator, scale: float, shift: float = 1.0
) -> Scores:
    return _laplace_score(shift * record_in + rng.laplace(scale=scale, size=runs), shift)


def _normal(record_in: bool, runs: int, rng: np.random.Generator, deviation: float) -> Scores:
    return record_in + rng.normal(scale=deviation, size=runs)


def _one_noise_for_two(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
    """Release the number of all records, and of the public ones, with the same noise: one from the other."""
    noise = rng.laplace(scale=2.0, size=runs)
    return np.round((100 + record_in + noise) - (100 + noise), 9)


def _textbook(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
    """Ask of every answer which value could have produced its last bits, and weigh those that both could."""
    noisy = np.array([textbook_laplace(float(record_in), COUNT.scale, rng=rng) for _ in range(runs)])
    gives_away = (
        could_come_from(noisy, 1.0, COUNT.scale) * 10.0 - could_come_from(noisy, 0.0, COUNT.scale) * 10.0
    )
    return gives_away + _laplace_score(noisy, 1.0)


def _last_bits(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
    """Subtract as anybody would, and see the last bits by accident: below 0, 1 + noise has fewer."""
    noisy = COUNT(np.full(runs, float(record_in)), rng=rng)
    return np.abs(noisy) - np.abs(noisy - 1)


def _to_even(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
    """Round halves to the even neighbour: 0.5 and 1.5, one apart, become 0 and 2. Noise as for one step."""
    stay = -np.expm1(-WHOLE.epsilon)
    noise = rng.geometric(stay, runs) - rng.geometric(stay, runs)
    return _laplace_score(np.round(0.5 + record_in) + noise, 2.0)


def _drawn(mechanism: DiscreteLaplace | DiscreteGaussian):
    def scores(record_in: bool, runs: int, rng: np.random.Generator) -> Scores:
        noisy = np.array([mechanism(float(record_in), rng=rng) for _ in range(runs)])
        return noisy if isinstance(mechanism, DiscreteGaussian) else _laplace_score(noisy, 1.0)

    return scores


def _at(mu: float) -> float:
    """Return the ε at `DELTA` of two Gaussians μ apart."""
    return epsilon_at(GaussianCurve(mu), DELTA)


_COIN = Release(COIN.guarantee, COIN.curve, _says_yes)
_COUNT = Release(COUNT.guarantee, COUNT.curve, lambda *a: _laplace(*a, scale=COUNT.scale))
_BELL = Release(BELL.guarantee(DELTA), BELL.curve, lambda *a: _normal(*a, deviation=BELL.standard_deviation))
_BITS = Release(WHOLE.guarantee, randomized_response(WHOLE.epsilon), _drawn(WHOLE))
_SMALL = calibrate(1.0, 10e-5)

HONEST_RELEASES = (
    Correct("randomized response", ANSWER, _COIN),
    Correct(
        "randomized response, 4 answers",
        ANSWER,
        Release(FOUR.guarantee, FOUR.curve, lambda *a: _says_yes(*a, coin=FOUR)),
    ),
    Correct("Laplace", REAL, _COUNT),
    Correct("Gaussian", REAL, _BELL),
    Correct("discrete Laplace", ANSWER, _BITS),
    Correct(
        "discrete Gaussian",
        ANSWER,
        Release(WHOLE_BELL.guarantee(DELTA), WHOLE_BELL.curve, _drawn(WHOLE_BELL)),
    ),
)

RELEASES = (
    Fault(
        "one coin for two",
        "On tails a second coin answers, but it is the first one again: all of them say no.",
        "realistic: the survey of Warner 1965 in code, with one random number too few",
        ANSWER,
        replace(_COIN, scores=_one_coin),
        np.inf,
        "only those whose true answer is yes ever say yes",
    ),
    Fault(
        "biased coin",
        "The coin tells the truth in 80 of 100 cases, and 75 are claimed.",
        "realistic: a coin nobody tossed often enough",
        ANSWER,
        replace(_COIN, scores=lambda *a: _says_yes(*a, coin=RandomizedResponse(0.8))),
        float(RandomizedResponse(0.8).epsilon),
        "ln(p/(1 − p)) = ln 4",
    ),
    Fault(
        "asked every day, counted once",
        "The same question is answered with fresh coins on five days, and the ε of one day is claimed.",
        "Tang et al. 2017; the reason for the permanent answers of Erlingsson et al. 2014",
        "five released answers",
        replace(_COIN, scores=_every_day),
        float(_DAYS * COIN.epsilon),
        "five times ε: losses add up, and all five answers can be the same",
    ),
    Fault(
        "half the sensitivity",
        "A value in [−1, 1] is replaced, which moves the sum by 2, and the noise is made for 1.",
        "realistic; Casacuberta et al. 2022 found it too small in many libraries (by finite arithmetic)",
        ANSWER,
        Release(
            Guarantee(1.0, 0.0, _REPLACE), LaplaceCurve(1.0), lambda *a: _laplace(*a, scale=1.0, shift=2.0)
        ),
        2.0,
        "twice the claim",
    ),
    Fault(
        "scale read as variance",
        "Δ/ε, the scale of Laplace noise, is taken for its variance, which is twice the square of the scale.",
        "realistic: libraries ask for a scale, a standard deviation or a variance",
        ANSWER,
        Release(HALF.guarantee, HALF.curve, lambda *a: _laplace(*a, scale=(HALF.scale / 2) ** 0.5)),
        1.0,
        "√(2 · ε)",
    ),
    Fault(
        "deviation read as variance",
        "σ, the standard deviation of the Gaussian noise, is taken for its variance.",
        "realistic: the same confusion with another noise",
        ANSWER,
        replace(_BELL, scores=lambda *a: _normal(*a, deviation=BELL.noise_multiplier**0.5)),
        _at(BELL.noise_multiplier**-0.5),
        "the Gaussian curve of μ = 1/√σ",
    ),
    Fault(
        "10e-5 for 10⁻⁵",
        "The noise is made for δ = 10e-5, which is 10⁻⁴, and 10⁻⁵ is claimed.",
        "Near & Abuah 2021, chapter 6: one in the text, the other in the code",
        ANSWER,
        Release(
            Guarantee(1.0, DELTA, _ADD),
            GaussianCurve(1 / calibrate(1.0, DELTA)),
            lambda *a: _normal(*a, deviation=_SMALL),
        ),
        _at(1 / _SMALL),
        "the Gaussian curve of the noise that is there",
    ),
    Fault(
        "one noise for two answers",
        "Two numbers are released with the same draw of noise: their difference has none.",
        "realistic: a draw kept in a variable, or a cache",
        "two released answers",
        Release(Guarantee(1.0, 0.0, _ADD), pure(1.0), _one_noise_for_two),
        np.inf,
        "the difference is exact",
    ),
    Fault(
        "floating point",
        "Laplace noise is computed in floats, as in a textbook, and its last bits tell the value.",
        "Mironov 2012",
        ANSWER,
        replace(_COUNT, scores=_textbook),
        np.inf,
        "there are answers that only one of the two values can give",
    ),
    Fault(
        "floating point, by accident",
        "NumPy's Laplace noise is added in floats; an answer below 0 with many digits was never moved by 1.",
        "Mironov 2012, Haney et al. 2022; found by this gallery in its own first Laplace row",
        ANSWER,
        replace(_COUNT, scores=_last_bits),
        np.inf,
        "there are answers that only one of the two values can give",
    ),
    Fault(
        "rounding to even",
        "Values are rounded as `round` does, 0.5 to 0 and 1.5 to 2, and counted as one step apart.",
        "realistic: the default of Python and NumPy",
        ANSWER,
        replace(_BITS, scores=_to_even),
        2.0,
        "two steps: twice the claim",
    ),
)
