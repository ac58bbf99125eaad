"""The checkers of "The company you keep": right answers pass, each named mistake gets its own hint."""

import numpy as np
import pytest
from scipy.stats import norm

from mialab_book.exercises import batch_norm as check


def hints_differ(feedbacks):
    return len({feedback.text for feedback in feedbacks}) == len(feedbacks)


def all_wrong(checker, wrong):
    feedbacks = {name: checker(answer) for name, answer in wrong.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert hints_differ(feedbacks.values()), feedbacks


def test_power():
    assert check.check_power(0.26).right
    assert check.check_power(norm.cdf(norm.ppf(0.05) + 1)).right
    all_wrong(check.check_power, {"per cent": 26, "width": 0.992, "coin": 0.05, "sign": 0.639, "other": 0.5})


def by_derivative(p, mu, var, x, n):
    z, y = (x - mu) / np.sqrt(var), (p - mu) / np.sqrt(var)
    return -(z + y * (z**2 - 1) / 2) / n


def by_difference(p, mu, var, x, n):
    """Give the secret a small share, and extrapolate."""
    share = 1e-6

    def output(weight):
        mean = mu + weight * (x - mu)
        spread = var + weight * ((x - mu) ** 2 - var)
        return (p - mean) / np.sqrt(spread)

    return (output(share) - output(0)) / share / (n - 1)


def stub(*_):
    raise NotImplementedError("write it")


def parts(p, mu, var, x, n):
    sd = np.sqrt(var)
    return -(x - mu) / sd / n, -(p - mu) / sd * ((x - mu) ** 2 / var - 1) / 2 / n


WRONG_SHIFTS = {
    "sign turned": lambda *world: -by_derivative(*world),
    "only the mean": lambda *world: parts(*world)[0],
    "only the variance": lambda *world: parts(*world)[1],
    "square not centred": lambda p, mu, var, x, n: (
        parts(p, mu, var, x, n)[0] - (p - mu) * (x - mu) ** 2 / (2 * n * var**1.5)
    ),
    "not divided by n": lambda p, mu, var, x, n: n * by_derivative(p, mu, var, x, n),
    "not divided by the spread": lambda p, mu, var, x, n: np.sqrt(var) * by_derivative(p, mu, var, x, n),
    "a constant": lambda *_: 0.7,
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_derivative, by_difference])
def test_shift_right(right):
    feedback = check.check_shift(right)
    assert feedback.right, feedback


def test_shift_wrong():
    all_wrong(check.check_shift, WRONG_SHIFTS)


def by_algebra(before, after, rho, n):
    mean, unbiased = ((new - (1 - rho) * old) / rho for old, new in zip(before, after, strict=True))
    return mean, unbiased * (n - 1) / n


def step_back(before, after, rho, n):
    """Take the same step further."""
    mean = before[0] + (after[0] - before[0]) / rho
    return mean, (before[1] + (after[1] - before[1]) / rho) * (1 - 1 / n)


def with_variance(of):
    return lambda before, after, rho, n: (by_algebra(before, after, rho, n)[0], of(before, after, rho, n))


def with_mean(of):
    return lambda before, after, rho, n: (of(before, after, rho), by_algebra(before, after, rho, n)[1])


WRONG_RECOVERIES = {
    "momentum turned round": with_mean(lambda b, a, rho: (a[0] - rho * b[0]) / (1 - rho)),
    "how far it moved": with_mean(lambda b, a, rho: a[0] - b[0]),
    "old average kept": with_mean(lambda b, a, rho: (a[0] - b[0]) / rho),
    "another mean": with_mean(lambda b, a, rho: a[0]),
    "unbiased variance": with_variance(lambda b, a, rho, n: by_algebra(b, a, rho, n)[1] * n / (n - 1)),
    "multiplied twice": with_variance(lambda b, a, rho, n: by_algebra(b, a, rho, n)[1] * (n / (n - 1)) ** 2),
    "another variance": with_variance(lambda b, a, rho, n: a[1]),
    "one number": lambda b, a, rho, n: (1.0,),
    "a stub": stub,
    "raises": lambda b, a, rho, n: b["mean"],
}


@pytest.mark.parametrize("right", [by_algebra, step_back])
def test_snapshots_right(right):
    feedback = check.check_snapshots(right)
    assert feedback.right, feedback


def test_snapshots_wrong():
    all_wrong(check.check_snapshots, WRONG_RECOVERIES)


def by_bits(layer, rng):
    """Change one record at a time, in many ways, and look at the bits."""
    heard = np.zeros((8, 8), dtype=bool)
    for _ in range(20):
        batch = rng.normal(size=(8, 5))
        for j in range(8):
            other = batch.copy()
            other[j] = 9 * rng.normal(size=5)
            heard[:, j] |= (layer(batch) != layer(other)).any(axis=1)
    return heard


def by_derivatives(layer, rng):
    """Take small steps from many batches, the loudest record at each place in turn."""
    heard = np.zeros((8, 8), dtype=bool)
    for loud in range(8):
        batch = rng.normal(size=(8, 3))
        batch[loud] *= 100
        for j in range(8):
            other = batch.copy()
            other[j] *= 1.01
            heard[:, j] |= np.abs(layer(other) - layer(batch)).max(axis=1) > 1e-12
            other[j] = batch[j] + rng.normal(size=3)
            heard[:, j] |= np.abs(layer(other) - layer(batch)).max(axis=1) > 1e-12
    return heard


def one_input(layer, rng):
    heard, batch = np.zeros((8, 8), dtype=bool), rng.normal(size=(8, 5))
    for j in range(8):
        other = batch.copy()
        other[j] += 0.01
        heard[:, j] = (layer(batch) != layer(other)).any(axis=1)
    return heard | np.eye(8, dtype=bool)


WRONG_FINDERS = {
    "tries one input": one_input,
    "changes everybody at once": lambda layer, rng: np.ones((8, 8), dtype=bool),
    "turned round": lambda layer, rng: by_bits(layer, rng).T,
    "forgets itself": lambda layer, rng: by_bits(layer, rng) & ~np.eye(8, dtype=bool),
    "numbers": lambda layer, rng: by_bits(layer, rng) * 1.0,
    "one verdict": lambda layer, rng: np.array([True]),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_bits, by_derivatives])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_coursework_right(right, seed):
    feedback = check.check_coursework(right, seed=seed)
    assert feedback.right, feedback


def test_coursework_wrong():
    all_wrong(lambda find: check.check_coursework(find, seed=1), WRONG_FINDERS)


def test_coursework_is_everybodys_own_and_true_to_its_word():
    batch = np.random.default_rng(0).normal(size=(8, 5))
    first, again = check.coursework_layer(1), check.coursework_layer(1)
    assert np.array_equal(first(batch), again(batch))
    for seed in range(12):
        layer, listens = check._layer_and_truth(seed)
        assert np.array_equal(by_bits(layer, np.random.default_rng(seed)), listens), seed
    assert any(not np.array_equal(first(batch), check.coursework_layer(seed)(batch)) for seed in range(2, 6))
