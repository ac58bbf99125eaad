"""The checkers of "Randomized response": two right answers pass, each named mistake gets its own hint."""

import numpy as np
import pytest

from mialab.mechanisms.randomized_response import RandomizedResponse
from mialab_book.exercises import randomized_response as check


def hints_differ(feedbacks):
    return len({feedback.text for feedback in feedbacks}) == len(feedbacks)


def stub(*_):
    raise NotImplementedError("write estimate(reported, truth_probability)")


def test_the_die():
    assert check.check_die(np.log(5)).right
    assert check.check_die(np.log(5 / 6) - np.log(1 / 6)).right
    feedbacks = [check.check_die(wrong) for wrong in (np.log(2), 5, np.log2(5), np.log(4), 0.3)]
    assert not any(feedback.right for feedback in feedbacks)
    assert hints_differ(feedbacks)


RIGHT_ESTIMATES = {
    "by the line": lambda r, p: (np.mean(r) - (1 - p)) / (2 * p - 1),
    "by the inverse table": lambda r, p: np.linalg.solve(
        [[p, 1 - p], [1 - p, p]], [np.mean(r == 1), np.mean(r == 0)]
    )[0],
}
WRONG_ESTIMATES = {
    "the reports": lambda r, p: r.mean(),
    "divided by p": lambda r, p: r.mean() / p,
    "lies taken away, not stretched": lambda r, p: (r.mean() - (1 - p)) / p,
    "the other answer": lambda r, p: 1 - (r.mean() - (1 - p)) / (2 * p - 1),
    "p taken for the first coin": lambda r, p: (r.mean() - (1 - p) / 2) / p,
    "cut off": lambda r, p: max(0.0, (r.mean() - (1 - p)) / (2 * p - 1)),
    "fitted to the example": lambda r, p: (r.mean() - 0.2) / 0.6,
    "a constant": lambda r, p: 0.3,
    "a stub": stub,
    "raises": lambda r, p: r["share"],
}


@pytest.mark.parametrize("name", RIGHT_ESTIMATES)
def test_estimate_right(name):
    feedback = check.check_estimate(RIGHT_ESTIMATES[name])
    assert feedback.right, feedback


def test_estimate_wrong():
    feedbacks = [check.check_estimate(wrong) for wrong in WRONG_ESTIMATES.values()]
    assert not any(feedback.right for feedback in feedbacks), feedbacks
    assert hints_differ(feedbacks)


def by_odds(reported, p, prior):
    says_one = p * prior >= (1 - p) * (1 - prior)
    says_zero = (1 - p) * prior >= p * (1 - prior)
    return np.where(reported == 1, int(says_one), int(says_zero))


def by_bayes(reported, p, prior):
    likelihood = np.where(reported == 1, p, 1 - p)
    posterior = likelihood * prior / (likelihood * prior + (1 - likelihood) * (1 - prior))
    return (posterior > 0.5).astype(int)


WRONG_GUESSES = {
    "listens always": lambda r, p, prior: r,
    "the opposite": lambda r, p, prior: 1 - r,
    "the prior alone": lambda r, p, prior: np.full(len(r), int(prior > 0.5)),
    "the prior where it is not one half": lambda r, p, prior: (
        r if prior == 0.5 else np.full(len(r), int(prior > 0.5))
    ),
    "a rare answer only": lambda r, p, prior: r if prior > 0.25 else np.zeros(len(r), dtype=int),
    "a probability": lambda r, p, prior: np.where(r == 1, p, 1 - p),
    "one guess": lambda r, p, prior: np.array([1]),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_odds, by_bayes])
def test_attacker_right(right):
    feedback = check.check_attacker(right)
    assert feedback.right, feedback


def test_attacker_wrong():
    feedbacks = [check.check_attacker(wrong) for wrong in WRONG_GUESSES.values()]
    assert not any(feedback.right for feedback in feedbacks), feedbacks
    assert hints_differ(feedbacks)


def by_package(truth, answers, epsilon, rng):
    return RandomizedResponse.from_epsilon(epsilon, answers)(truth, rng=rng)


def by_choice(truth, answers, epsilon, rng):
    """Draw a shift from a table of probabilities: 0 with the largest."""
    weights = np.ones(answers)
    weights[0] = np.exp(epsilon)
    return (truth + rng.choice(answers, size=truth.shape, p=weights / weights.sum())) % answers


def among_all(truth, answers, epsilon, rng):
    p = np.exp(epsilon) / (np.exp(epsilon) + answers - 1)
    return np.where(rng.random(truth.shape) < p, truth, rng.integers(0, answers, size=truth.shape))


def for_two(truth, answers, epsilon, rng):
    p = np.exp(epsilon) / (1 + np.exp(epsilon))
    return np.where(
        rng.random(truth.shape) < p, truth, (truth + rng.integers(1, answers, truth.shape)) % answers
    )


def in_place(truth, answers, epsilon, rng):
    truth[:] = by_package(truth, answers, epsilon, rng)
    return truth


def next_answer(truth, answers, epsilon, rng):
    p = np.exp(epsilon) / (np.exp(epsilon) + answers - 1)
    return np.where(rng.random(truth.shape) < p, truth, (truth + 1) % answers)


def elsewhere(truth, answers, epsilon, rng):
    return by_package(truth, answers, epsilon, np.random.default_rng())


def one_coin_for_all(truth, answers, epsilon, rng):
    return (truth + rng.integers(1, answers, truth.shape)) % answers


WRONG_SURVEYS = {
    "noise reused": one_coin_for_all,
    "lies among all answers": among_all,
    "truth probability for two answers": for_two,
    "changes its argument": in_place,
    "always the next answer": next_answer,
    "chance from elsewhere": elsewhere,
    "half the epsilon": lambda t, k, e, rng: by_package(t, k, e / 2, rng),
    "twice the epsilon": lambda t, k, e, rng: by_package(t, k, 2 * e, rng),
    "one report": lambda t, k, e, rng: t[:1],
    "outside the answers": lambda t, k, e, rng: by_package(t, k, e, rng) + 1,
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_package, by_choice])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_coursework_right(right, seed):
    feedback = check.check_coursework(right, seed=seed)
    assert feedback.right, feedback


@pytest.mark.parametrize("seed", [1, 2])
def test_coursework_wrong(seed):
    feedbacks = {name: check.check_coursework(wrong, seed=seed) for name, wrong in WRONG_SURVEYS.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert hints_differ(feedbacks.values())
