"""Noise with a promise, secure random numbers, and shares estimated from noisy answers."""

from unittest import mock

import numpy as np

from golden.cases import Area, generator
from mialab import accounting, secure
from mialab.mechanisms import discrete, discrete_gaussian, floating_point, noise, randomized_response, shares

AREA = Area()
add = AREA.add

ADD_REMOVE = accounting.Neighbours.ADD_REMOVE
VALUES = np.array([212.0, 0.0, -3.5, 1e6])


def laplace(epsilon, sensitivity) -> noise.Laplace:
    return noise.Laplace(epsilon, sensitivity, ADD_REMOVE)


def laplace_answers(epsilon, sensitivity):
    return laplace(epsilon, sensitivity)(VALUES, rng=generator())


def laplace_promise(epsilon, sensitivity):
    made = laplace(epsilon, sensitivity)
    return made.scale, made.guarantee.epsilon, made.guarantee.delta, made.curve.tpr(0.01)


def gaussian(multiplier, sensitivity) -> noise.Gaussian:
    return noise.Gaussian(multiplier, sensitivity, ADD_REMOVE)


def gaussian_answers(multiplier, sensitivity):
    return gaussian(multiplier, sensitivity)(VALUES, rng=generator())


def gaussian_scale(multiplier, sensitivity):
    made = gaussian(multiplier, sensitivity)
    return made.standard_deviation, made.curve.mu


def gaussian_epsilon(multiplier, delta):
    return gaussian(multiplier, 1.0).guarantee(delta).epsilon


for epsilon, sensitivity in [(0.5, 1.0), (0.1, 3.0), (4.0, 0.25)]:
    said = f"epsilon {epsilon}, sensitivity {sensitivity}"
    add(f"Laplace noise on four numbers, {said}", "exact", laplace_answers, epsilon, sensitivity)
    add(f"Laplace scale, epsilon, delta, TPR, {said}", "upper", laplace_promise, epsilon, sensitivity)
for multiplier, sensitivity in [(2.0, 1.0), (3.0, 0.1), (0.5, 7.0)]:
    said = f"noise multiplier {multiplier}, sensitivity {sensitivity}"
    add(f"Gaussian noise on four numbers, {said}", "exact", gaussian_answers, multiplier, sensitivity)
    add(f"Gaussian standard deviation, mu, {said}", "upper", gaussian_scale, multiplier, sensitivity)
    for delta in (1e-5, 0.1):
        name = f"Gaussian epsilon, noise multiplier {multiplier}, delta {delta}"
        add(name, "upper", gaussian_epsilon, multiplier, delta)


def calibrated(epsilon, delta):
    return noise.calibrate(epsilon, delta)


def curve_mu(multiplier):
    return noise.gaussian_curve(multiplier).mu


for epsilon, delta in [(1.0, 1e-5), (0.0, 0.1), (10.0, 1e-9), (0.01, 1e-3)]:
    name = f"noise multiplier calibrated to epsilon {epsilon}, delta {delta}"
    add(name, "upper", calibrated, epsilon, delta)
for multiplier in (2.0, 3.0, 0.1):
    add(f"mu of the Gaussian mechanism, noise multiplier {multiplier}", "upper", curve_mu, multiplier)


# Discrete noise.


def discrete_laplace(epsilon, sensitivity, grid) -> discrete.DiscreteLaplace:
    return discrete.DiscreteLaplace(epsilon, sensitivity, grid, ADD_REMOVE)


def discrete_laplace_answers(epsilon, sensitivity, grid):
    count, rng = discrete_laplace(epsilon, sensitivity, grid), generator()
    return [count(212.25, rng=rng) for _ in range(20)]


def discrete_laplace_promise(epsilon, sensitivity, grid):
    made = discrete_laplace(epsilon, sensitivity, grid)
    return made.steps, made.guarantee.epsilon, made.guarantee.delta


def discrete_gaussian_of(multiplier, sensitivity, grid) -> discrete_gaussian.DiscreteGaussian:
    return discrete_gaussian.DiscreteGaussian(multiplier, sensitivity, grid, ADD_REMOVE)


def discrete_gaussian_answers(multiplier, sensitivity, grid):
    count, rng = discrete_gaussian_of(multiplier, sensitivity, grid), generator()
    return [count(212.25, rng=rng) for _ in range(20)]


def discrete_gaussian_epsilon(multiplier, sensitivity, grid, delta):
    return discrete_gaussian_of(multiplier, sensitivity, grid).guarantee(delta).epsilon


def discrete_gaussian_curve(multiplier, sensitivity, grid):
    made = discrete_gaussian_of(multiplier, sensitivity, grid)
    return made.steps, made.curve.delta(0.5), made.curve.delta(0.0)


def wide_bell(multiplier, spread):
    made = discrete_gaussian.WideBell(multiplier, spread)
    return made.delta(np.array([0.0, 0.5, 2.0])), made.delta(1.0), made.largest_loss


for epsilon, sensitivity, grid in [(0.5, 1.0, 1.0), (0.5, 1.0, 0.3), (2.0, 1.0, 0.125)]:
    said = f"epsilon {epsilon}, sensitivity {sensitivity}, grid {grid}"
    add(
        f"discrete Laplace noise, 20 times, {said}",
        "exact",
        discrete_laplace_answers,
        epsilon,
        sensitivity,
        grid,
    )
    add(
        f"discrete Laplace steps, epsilon, {said}",
        "upper",
        discrete_laplace_promise,
        epsilon,
        sensitivity,
        grid,
    )
for multiplier, sensitivity, grid in [(4.0, 1.0, 1.0), (1.0, 2.0, 0.5), (0.5, 1.0, 0.3)]:
    said = f"noise multiplier {multiplier}, sensitivity {sensitivity}, grid {grid}"
    where = (multiplier, sensitivity, grid)
    add(f"discrete Gaussian noise, 20 times, {said}", "exact", discrete_gaussian_answers, *where)
    add(f"discrete Gaussian steps, delta, {said}", "upper", discrete_gaussian_curve, *where)
    for delta in (1e-5, 0.01):
        add(
            f"discrete Gaussian epsilon, {said}, delta {delta}",
            "upper",
            discrete_gaussian_epsilon,
            *where,
            delta,
        )
add("delta of a discrete Gaussian on a fine grid, noise multiplier 2", "upper", wide_bell, 2.0, 2e8)
add("delta of a discrete Gaussian on a fine grid, noise multiplier 0.7", "upper", wide_bell, 0.7, 1e6)


# Floats give noise away.


def textbook(value, scale):
    rng = generator()
    return [floating_point.textbook_laplace(value, scale, rng=rng) for _ in range(30)]


def could_come(value, scale, of):
    return floating_point.could_come_from(np.array(textbook(value, scale)), of, scale)


add("textbook Laplace noise in floats, 30 times", "exact", textbook, 1.0, 1.0)
for of in (0.0, 1.0):
    add(f"which textbook Laplace answers of 1 could come from {of}", "exact", could_come, 1.0, 1.0, of)


# Randomized response.


def coins(truth, answers) -> randomized_response.RandomizedResponse:
    return randomized_response.RandomizedResponse(truth, answers)


def reported(truth, answers):
    people = generator(1).integers(answers, size=400)
    return coins(truth, answers)(people, rng=generator())


def response_promise(truth, answers):
    made = coins(truth, answers)
    return made.epsilon, made.guarantee.epsilon


def response_lies(truth, answers):
    made = coins(truth, answers)
    return made.lie_probability, made.curve.tpr(0.01), made.price(0.3), made.price(0.01)


def response_from(epsilon, answers):
    return randomized_response.RandomizedResponse.from_epsilon(epsilon, answers).truth_probability


def response_estimate(truth, answers, fixed_file, confidence):
    made = coins(truth, answers).estimate(
        reported(truth, answers), fixed_file=fixed_file, confidence=confidence
    )
    return [(one.value, one.standard_error, one.low, one.high) for one in made]


for truth, answers in [(0.75, 2), (0.5001, 2), (0.4, 5), (0.999, 3)]:
    said = f"truth with chance {truth}, {answers} answers"
    add(f"randomized response of 400 people, {said}", "exact", reported, truth, answers)
    add(f"randomized response epsilon, {said}", "upper", response_promise, truth, answers)
    add(f"randomized response lies, TPR, price, {said}", "exact", response_lies, truth, answers)
    for fixed, confidence in ((False, 0.95), (True, 0.9)):
        name = f"shares estimated, {said}, fixed file {fixed}, confidence {confidence}"
        add(name, "exact", response_estimate, truth, answers, fixed, confidence)
for epsilon, answers in [(1.0, 2), (0.0, 2), (3.0, 10)]:
    name = f"chance of the truth at epsilon {epsilon}, {answers} answers"
    add(name, "exact", response_from, epsilon, answers)


def share(function, count, people, truth, lie):
    made = {"people": shares.shares_of_people, "file": shares.shares_on_file}[function](
        count, people, truth, lie
    )
    return made.value, made.standard_error, made.low, made.high


def share_by_hand():
    made = shares.Shares(0.3, 0.02, 0.25, 0.35, 0.95, "by hand")
    return made.value, made.standard_error, made.low, made.high


add("share by hand", "exact", share_by_hand)
for function in ("people", "file"):
    for count, people in [(400, 1000), (0, 1000), (1000, 1000), (1, 1), (240, 1000)]:
        name = f"share of {function} from {count} of {people} yes, truth 0.75, lie 0.25"
        add(name, "exact", share, function, count, people, 0.75, 0.25)


# The operating system's numbers, with a source that is seeded here.


def system_numbers(draw):
    with mock.patch.object(secure, "_system_bytes", generator().bytes):
        return draw(secure.SystemGenerator())


def shuffled(rng):
    numbers = np.arange(12)
    rng.shuffle(numbers)
    return numbers


SYSTEM = {
    "bytes": lambda rng: list(rng.bytes(8)),
    "random": lambda rng: rng.random(30),
    "one random number": lambda rng: rng.random(),
    "random, single precision": lambda rng: rng.random(5, dtype=np.float32),
    "integers below 7": lambda rng: rng.integers(7, size=30),
    "integers from -3 to 3": lambda rng: rng.integers(-3, 3, size=10, endpoint=True),
    "permutation": lambda rng: rng.permutation(10),
    "choice without replacement": lambda rng: rng.choice(20, size=6, replace=False),
    "choice": lambda rng: rng.choice(np.array([2.0, 4.0, 8.0]), size=10),
    "shuffle": shuffled,
    "standard normal": lambda rng: rng.standard_normal(101),
    "standard normal, single precision": lambda rng: rng.standard_normal(11, dtype=np.float32),
    "normal": lambda rng: rng.normal(3.0, 0.5, size=11),
    "laplace": lambda rng: rng.laplace(3.0, 0.5, size=11),
    "spawn": lambda rng: [child.random() for child in rng.spawn(3)],
}
for name, draw in SYSTEM.items():
    add(f"system generator, {name}", "exact", system_numbers, draw)
