"""Private-looking answers, each with one flaw: `RELEASES`. And the mechanisms that keep their promise."""

from dataclasses import replace

import numpy as np

from mialab.accounting import Guarantee, Neighbours
from mialab.faults import answers
from mialab.faults.answers import BELL, COIN, COUNT, FOUR, HALF, WHOLE, WHOLE_BELL
from mialab.faults.fault import DELTA, Correct, Fault, Release
from mialab.mechanisms.noise import calibrate
from mialab.mechanisms.randomized_response import RandomizedResponse
from mialab.tradeoff import GaussianCurve, LaplaceCurve, epsilon_at, pure, randomized_response

ANSWER, REAL = "one released answer", "one released answer without its last bits"
_ADD, _REPLACE = Neighbours.ADD_REMOVE, Neighbours.REPLACE


def _at(mu: float) -> float:
    """Return the ε at `DELTA` of two Gaussians μ apart."""
    return epsilon_at(GaussianCurve(mu), DELTA)


_COIN = Release(COIN.guarantee, COIN.curve, answers.says_yes)
_COUNT = Release(COUNT.guarantee, COUNT.curve, lambda *a: answers.laplace(*a, scale=COUNT.scale))
_BELL = Release(
    BELL.guarantee(DELTA),
    BELL.curve,
    lambda *a: answers.gaussian(*a, deviation=BELL.standard_deviation),
)
_BITS = Release(WHOLE.guarantee, randomized_response(WHOLE.epsilon), answers.drawn(WHOLE))
_SMALL = calibrate(1.0, 10e-5)

HONEST_RELEASES = (
    Correct("randomized response", ANSWER, _COIN),
    Correct(
        "randomized response, 4 answers",
        ANSWER,
        Release(FOUR.guarantee, FOUR.curve, lambda *a: answers.says_yes(*a, coin=FOUR)),
    ),
    Correct("Laplace", REAL, _COUNT),
    Correct("Gaussian", REAL, _BELL),
    Correct("discrete Laplace", ANSWER, _BITS),
    Correct(
        "discrete Gaussian",
        ANSWER,
        Release(WHOLE_BELL.guarantee(DELTA), WHOLE_BELL.curve, answers.drawn(WHOLE_BELL)),
    ),
)

RELEASES = (
    Fault(
        "one coin for two",
        "On tails a second coin answers, but it is the first one again: all of them say no.",
        "realistic: the survey of Warner 1965 in code, with one random number too few",
        ANSWER,
        replace(_COIN, scores=answers.one_coin),
        np.inf,
        "only those whose true answer is yes ever say yes",
    ),
    Fault(
        "biased coin",
        "The coin tells the truth in 80 of 100 cases, and 75 are claimed.",
        "realistic: a coin nobody tossed often enough",
        ANSWER,
        replace(_COIN, scores=lambda *a: answers.says_yes(*a, coin=RandomizedResponse(0.8))),
        float(RandomizedResponse(0.8).epsilon),
        "ln(p/(1 − p)) = ln 4",
    ),
    Fault(
        "asked every day, counted once",
        "The same question is answered with fresh coins on five days, and the ε of one day is claimed.",
        "Tang et al. 2017; the reason for the permanent answers of Erlingsson et al. 2014",
        "five released answers",
        replace(_COIN, scores=answers.every_day),
        float(answers.DAYS * COIN.epsilon),
        "five times ε: losses add up, and all five answers can be the same",
    ),
    Fault(
        "half the sensitivity",
        "A value in [−1, 1] is replaced, which moves the sum by 2, and the noise is made for 1.",
        "realistic; Casacuberta et al. 2022 found it too small in many libraries (by finite arithmetic)",
        ANSWER,
        Release(
            Guarantee(1.0, 0.0, _REPLACE),
            LaplaceCurve(1.0),
            lambda *a: answers.laplace(*a, scale=1.0, shift=2.0),
        ),
        2.0,
        "twice the claim",
    ),
    Fault(
        "scale read as variance",
        "Δ/ε, the scale of Laplace noise, is taken for its variance, which is twice the square of the scale.",
        "realistic: libraries ask for a scale, a standard deviation or a variance",
        ANSWER,
        Release(
            HALF.guarantee,
            HALF.curve,
            lambda *a: answers.laplace(*a, scale=(HALF.scale / 2) ** 0.5),
        ),
        1.0,
        "√(2 · ε)",
    ),
    Fault(
        "deviation read as variance",
        "σ, the standard deviation of the Gaussian noise, is taken for its variance.",
        "realistic: the same confusion with another noise",
        ANSWER,
        replace(_BELL, scores=lambda *a: answers.gaussian(*a, deviation=BELL.noise_multiplier**0.5)),
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
            lambda *a: answers.gaussian(*a, deviation=_SMALL),
        ),
        _at(1 / _SMALL),
        "the Gaussian curve of the noise that is there",
    ),
    Fault(
        "one noise for two answers",
        "Two numbers are released with the same draw of noise: their difference has none.",
        "realistic: a draw kept in a variable, or a cache",
        "two released answers",
        Release(Guarantee(1.0, 0.0, _ADD), pure(1.0), answers.one_noise_for_two),
        np.inf,
        "the difference is exact",
    ),
    Fault(
        "floating point",
        "Laplace noise is computed in floats, as in a textbook, and its last bits tell the value.",
        "Mironov 2012",
        ANSWER,
        replace(_COUNT, scores=answers.textbook),
        np.inf,
        "there are answers that only one of the two values can give",
    ),
    Fault(
        "floating point, by accident",
        "NumPy's Laplace noise is added in floats; an answer below 0 with many digits was never moved by 1.",
        "Mironov 2012, Haney et al. 2022; found by this gallery in its own first Laplace row",
        ANSWER,
        replace(_COUNT, scores=answers.last_bits),
        np.inf,
        "there are answers that only one of the two values can give",
    ),
    Fault(
        "rounding to even",
        "Values are rounded as `round` does, 0.5 to 0 and 1.5 to 2, and counted as one step apart.",
        "realistic: the default of Python and NumPy",
        ANSWER,
        replace(_BITS, scores=answers.to_even),
        2.0,
        "two steps: twice the claim",
    ),
)
