"""The checkers of "DP-SGD": two right answers pass, each named mistake gets its own hint."""

import math

import numpy as np
import pytest

from mialab import tradeoff
from mialab.accounting import SampledGaussian, gdp_approximation, privacy_loss, renyi
from mialab_book.exercises import dp_sgd as check


def hints_differ(feedbacks):
    return len({feedback.text for feedback in feedbacks}) == len(feedbacks)


def stub(*_):
    raise NotImplementedError("write it")


def test_noise():
    assert check.check_noise(1.65, 1.65 / 256, 1, 2).right
    assert check.check_noise(1.1 * 1.5, 0.0064453125, 1.0, 2.0).right
    wrong = [
        *((1.1, 1, 1, 1), (1.1 / 1.5, 1, 1, 1), (1.65**2, 1, 1, 1), (7, 1, 1, 1)),
        *((1.65, 1.65, 1, 2), (1.65, 1.65 / 16, 1, 2), (1.65, 0.1, 1, 2)),
        *(
            (1.65, 1.65 / 256, 2, 2),
            (1.65, 1.65 / 256, 4, 2),
            (1.65, 1.65 / 256, 1, 1),
            (1.65, 1.65 / 256, 1, 4),
        ),
    ]
    feedbacks = [check.check_noise(*numbers) for numbers in wrong]
    assert not any(feedback.right for feedback in feedbacks)
    assert hints_differ(feedbacks)


def shortened(g, c):
    lengths = np.linalg.norm(g, axis=1, keepdims=True)
    return g * np.minimum(1, c / np.maximum(lengths, c / 2))


def at_once(g, c, s, b, rng):
    return (shortened(g, c).sum(axis=0) + rng.normal(scale=s * c, size=g.shape[1])) / b


def one_by_one(g, c, s, b, rng):
    total = s * c * rng.standard_normal(g.shape[1])
    for one in g:
        length = math.sqrt(float(one @ one))
        total = total + (one * (c / length) if length > c else one)
    return total / b


def after_a_sum(of):
    """Finish a wrong sum as one should."""
    return lambda g, c, s, b, rng: (of(g, c) + rng.normal(scale=s * c, size=g.shape[1])) / b


def noise_of(scale):
    """Add noise of a wrong scale to the right sum."""
    return lambda g, c, s, b, rng: (
        (shortened(g, c).sum(0) + rng.normal(scale=scale(g, c, s, b), size=g.shape[1])) / b
    )


def short(vector, c):
    return vector * min(1, c / np.linalg.norm(vector))


def unit(g, c):
    lengths = np.linalg.norm(g, axis=1, keepdims=True)
    return (c * g / np.where(lengths > 0, lengths, 1)).sum(0)


def changes_its_argument(g, c, s, b, rng):
    g *= np.minimum(1, c / np.maximum(np.linalg.norm(g, axis=1, keepdims=True), c / 2))
    return (g.sum(axis=0) + rng.normal(scale=s * c, size=g.shape[1])) / b


def not_a_number(g, c, s, b, rng):
    with np.errstate(invalid="ignore"):
        return (g / np.linalg.norm(g, axis=1, keepdims=True)).sum(0) / b


WRONG_MEANS = {
    "no clipping": after_a_sum(lambda g, c: g.sum(0)),
    "the sum is clipped": after_a_sum(lambda g, c: short(g.sum(0), c)),
    "the mean is clipped": lambda g, c, s, b, rng: (
        short(g.mean(0), c) + rng.normal(size=g.shape[1]) * s * c / b
    ),
    "all made as long as the clip": after_a_sum(unit),
    "coordinate by coordinate": after_a_sum(lambda g, c: np.clip(g, -c, c).sum(0)),
    "no division": lambda g, c, s, b, rng: at_once(g, c, s, 1.0, rng),
    "divisor from the data": lambda g, c, s, b, rng: at_once(g, c, s, len(g), rng),
    "half of the clip": after_a_sum(lambda g, c: shortened(g, c / 2).sum(0)),
    "no noise": lambda g, c, s, b, rng: at_once(g, c, 0.0, b, rng),
    "noise without the clip": noise_of(lambda g, c, s, b: s),
    "noise after the division": noise_of(lambda g, c, s, b: s * c * b),
    "noise for each record": noise_of(lambda g, c, s, b: s * c * math.sqrt(len(g))),
    "half of the noise": noise_of(lambda g, c, s, b: s * c / 3),
    "one number for all": lambda g, c, s, b, rng: (shortened(g, c).sum(0) + s * c * rng.normal()) / b,
    "one-sided": lambda g, c, s, b, rng: (
        (shortened(g, c).sum(0) + s * c * rng.exponential(size=g.shape[1])) / b
    ),
    "chance from elsewhere": lambda g, c, s, b, rng: at_once(g, c, s, b, np.random.default_rng()),
    "changes its argument": changes_its_argument,
    "not a number": not_a_number,
    "a wrong shape": lambda g, c, s, b, rng: g.mean(axis=1),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [at_once, one_by_one])
def test_private_mean_right(right):
    feedback = check.check_private_mean(right)
    assert feedback.right, feedback


def test_private_mean_wrong():
    feedbacks = {name: check.check_private_mean(wrong) for name, wrong in WRONG_MEANS.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert hints_differ(feedbacks.values()), feedbacks


def by_coins(n, q, rng):
    return np.flatnonzero(rng.random(n) < q)


def by_size(n, q, rng):
    return rng.permutation(n)[: rng.binomial(n, q)]


def never_empty(n, q, rng):
    batch = by_coins(n, q, rng)
    return batch if batch.size else rng.integers(n, size=1)


WRONG_BATCHES = {
    "fixed size": lambda n, q, rng: rng.choice(n, round(n * q), replace=False),
    "with replacement": lambda n, q, rng: rng.choice(n, rng.binomial(n, q)),
    "never empty": never_empty,
    "the first ones": lambda n, q, rng: np.arange(rng.binomial(n, q)),
    "twice the rate": lambda n, q, rng: by_coins(n, 2 * q, rng),
    "none or three": lambda n, q, rng: rng.permutation(n)[: 6 * (rng.random() < q * n / 6)],
    "a mask": lambda n, q, rng: rng.random(n) < q,
    "numbers from 1": lambda n, q, rng: by_coins(n, q, rng) + 1,
    "chance from elsewhere": lambda n, q, rng: by_coins(n, q, np.random.default_rng()),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_coins, by_size])
def test_poisson_batch_right(right):
    feedback = check.check_poisson_batch(right)
    assert feedback.right, feedback


def test_poisson_batch_wrong():
    feedbacks = {name: check.check_poisson_batch(wrong) for name, wrong in WRONG_BATCHES.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert hints_differ(feedbacks.values()), feedbacks


def by_whole_orders(sigma, rate, steps, delta):
    """Read the moments off the binomial theorem, and convert as in 2017."""
    best = math.inf
    for order in range(2, 65):
        terms = [
            math.comb(order, k) * (1 - rate) ** (order - k) * rate**k * math.exp((k * k - k) / (2 * sigma**2))
            for k in range(order + 1)
            if (k * k - k) / (2 * sigma**2) < 600
        ]
        if len(terms) == order + 1:
            best = min(best, (steps * math.log(math.fsum(terms)) + math.log(1 / delta)) / (order - 1))
    return best


def by_distribution(sigma, rate, steps, delta):
    return privacy_loss.guarantee(SampledGaussian(sigma, rate, steps), delta=delta).epsilon


WRONG_EPSILONS = {
    "the central limit": lambda s, q, t, d: tradeoff.epsilon_at(
        gdp_approximation(SampledGaussian(s, q, t)), d
    ),
    "one step": lambda s, q, t, d: by_whole_orders(s, q, 1, d),
    "no sampling": lambda s, q, t, d: (
        renyi.guarantee_mironov2017(SampledGaussian(s, 1.0, t), delta=d, orders=np.arange(2.0, 65.0)).epsilon
    ),
    "too small": lambda s, q, t, d: 0.7 * by_distribution(s, q, t, d),
    "a hair too small": lambda s, q, t, d: 0.999 * by_distribution(s, q, t, d),
    "one order only": lambda s, q, t, d: (
        renyi.guarantee_mironov2017(SampledGaussian(s, q, t), delta=d, orders=np.array([2.0])).epsilon
    ),
    "infinite": lambda s, q, t, d: math.inf,
    "deaf to steps": lambda s, q, t, d: by_whole_orders(s, q, t, d) if t in (100, 400, 1000) else 0.01,
    "a stub": stub,
}


def on_a_finer_grid(sigma, rate, steps, delta):
    """Stand in for an accountant whose grid adds less than ours: by 4e-6 of ε on such runs, as seen."""
    return by_distribution(sigma, rate, steps, delta) * (1 - 1e-5)


@pytest.mark.parametrize("right", [by_whole_orders, by_distribution, on_a_finer_grid])
def test_coursework_right(right):
    feedback = check.check_coursework(right, seed=1)
    assert feedback.right, feedback


def test_coursework_wrong():
    feedbacks = {name: check.check_coursework(wrong, seed=1) for name, wrong in WRONG_EPSILONS.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert hints_differ(feedbacks.values()), feedbacks
