"""The checkers of "A fingerprint in the clay": right answers pass, each named mistake gets its own hint."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from scipy.stats import norm

from mialab.leaks import gradients as gr
from mialab_book.exercises import gradients as check


def all_wrong(checker, wrong):
    feedbacks = {name: checker(answer) for name, answer in wrong.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert len({feedback.text for feedback in feedbacks.values()}) == len(feedbacks), feedbacks


def stub(*_):
    raise NotImplementedError("write it")


def test_power():
    assert check.check_power(0.126).right
    assert check.check_power(norm.cdf(norm.ppf(0.05) + 0.5)).right
    wrong = {"per cent": 12.6, "parameters": 1.0, "coin": 0.05, "no root": norm.cdf(norm.ppf(0.05) + 0.25)}
    all_wrong(check.check_power, wrong | {"turned": norm.cdf(norm.ppf(0.05) + 2), "other": 0.4})


def by_formula(attention, delta, values):
    heard = delta @ values.T
    return attention * (heard - (attention * heard).sum(axis=1, keepdims=True))


def by_autograd(attention, delta, values):
    scores = torch.log(torch.from_numpy(attention)).requires_grad_()
    heard = torch.softmax(scores, dim=1) @ torch.from_numpy(values)
    return torch.autograd.grad((heard * torch.from_numpy(delta)).sum(), scores)[0].numpy()


WRONG_SCORES = {
    "before the softmax": lambda a, d, v: d @ v.T,
    "nothing subtracted": lambda a, d, v: a * (d @ v.T),
    "over columns": lambda a, d, v: a * (d @ v.T - (a * (d @ v.T)).sum(axis=0, keepdims=True)),
    "plain mean": lambda a, d, v: a * (d @ v.T - (d @ v.T).mean(axis=1, keepdims=True)),
    "turned round": lambda a, d, v: by_formula(a, d, v).T,
    "sign": lambda a, d, v: -by_formula(a, d, v),
    "one number": lambda a, d, v: 1.0,
    "something else": lambda a, d, v: a,
    "a stub": stub,
    "raises": lambda a, d, v: a["x"],
}


@pytest.mark.parametrize("right", [by_formula, by_autograd])
def test_score_gradient_right(right):
    feedback = check.check_score_gradient(right)
    assert feedback.right, feedback


def test_score_gradient_wrong():
    all_wrong(check.check_score_gradient, WRONG_SCORES)


def in_a_loop(gradients, clip):
    total = np.zeros(gradients.shape[1])
    for gradient in gradients:
        length = np.linalg.norm(gradient)
        total += gradient if length <= clip else gradient / length * clip
    return total


def in_place(gradients, clip):
    gradients /= np.maximum(np.linalg.norm(gradients, axis=1, keepdims=True) / clip, 1)
    return gradients.sum(axis=0)


def lengths(g):
    return np.linalg.norm(g, axis=1, keepdims=True)


WRONG_SUMS = {
    "the sum clipped": lambda g, c: g.sum(axis=0) * min(1, c / np.linalg.norm(g.sum(axis=0))),
    "the mean": lambda g, c: in_a_loop(g, c) / len(g),
    "short ones lengthened": lambda g, c: (g * c / lengths(g)).sum(axis=0),
    "numbers clipped": lambda g, c: np.clip(g, -c, c).sum(axis=0),
    "one factor": lambda g, c: (g * min(1, c / lengths(g).max())).sum(axis=0),
    "argument changed": in_place,
    "all of them": lambda g, c: gr.clip(g, c),
    "not clipped": lambda g, c: g.sum(axis=0),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [in_a_loop, lambda g, c: gr.clip(g, c).sum(axis=0)])
def test_clipped_sum_right(right):
    feedback = check.check_clipped_sum(right)
    assert feedback.right, feedback


def test_clipped_sum_wrong():
    all_wrong(check.check_clipped_sum, WRONG_SUMS)


def test_coverage_the_mean_clipped_is_told_what_the_sum_clipped_is():
    mean = check.check_clipped_sum(lambda g, c: g.mean(axis=0) * min(1, c / np.linalg.norm(g.mean(axis=0))))
    assert not mean.right
    assert mean.text == check.check_clipped_sum(WRONG_SUMS["the sum clipped"]).text


def by_least_squares(update, gradients, n):
    return np.rint(n * gr.weights(update, gradients)).astype(int)


def by_non_negative(update, gradients, n):
    scale = np.linalg.norm(gradients, axis=1)
    return np.rint(n * nnls((gradients / scale[:, None]).T, update)[0] / scale).astype(int)


WRONG_COUNTS = {
    "who, not how often": lambda u, g, n: np.minimum(by_least_squares(u, g, n), 1),
    "floats": lambda u, g, n: n * gr.weights(u, g),
    "not times n": lambda u, g, n: np.rint(gr.weights(u, g)).astype(int),
    "another shape": lambda u, g, n: np.zeros(2, dtype=int),
    "somebody else": lambda u, g, n: np.roll(by_least_squares(u, g, n), 1),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_least_squares, by_non_negative])
@pytest.mark.parametrize("seed", [1, 2])
def test_coursework_right(right, seed):
    feedback = check.check_coursework(right, seed=seed)
    assert feedback.right, feedback


def test_coursework_wrong():
    all_wrong(lambda count: check.check_coursework(count, seed=1), WRONG_COUNTS)


def test_coursework_updates_differ_by_seed_and_hold_together():
    update, gradients, n = check.coursework_update(3)
    assert not np.array_equal(update, check.coursework_update(4)[0])
    times = by_least_squares(update, gradients, n)
    np.testing.assert_allclose(times @ gradients / n, update, atol=1e-9)
