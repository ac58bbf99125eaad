"""The checkers of "The definition": two right answers pass, each named mistake gets its own hint."""

import itertools
import math

import numpy as np
import pytest

from mialab.tradeoff import DominatingPair, epsilon_at
from mialab_book.exercises import definition as check


def hints_differ(feedbacks):
    return len({feedback.text for feedback in feedbacks}) == len(feedbacks)


def stub(*_):
    raise NotImplementedError("write delta(p, q, epsilon)")


def test_sensitivities():
    assert check.check_sensitivities(90, 72, 1, 2).right
    assert check.check_sensitivities(90.0, 90.0 - 18.0, 1.0, 2.0).right
    wrong = [
        *((72, 72, 1, 2), (45, 72, 1, 2), (90, 90, 1, 2), (90, 180, 1, 2), (90, 45, 1, 2)),
        *((90, 72, 2, 2), (90, 72, 3, 2), (90, 72, 1, 1), (90, 72, 1, math.sqrt(2)), (90, 72, 1, 5)),
    ]
    feedbacks = [check.check_sensitivities(*numbers) for numbers in wrong]
    assert not any(feedback.right for feedback in feedbacks)
    assert hints_differ(feedbacks)


def by_positive_part(p, q, epsilon):
    return max(np.maximum(a - np.exp(epsilon) * b, 0).sum() for a, b in ((p, q), (q, p)))


def by_all_sets(p, q, epsilon):
    sets = [np.array(chosen, dtype=bool) for chosen in itertools.product([0, 1], repeat=len(p))]
    return max(a[s].sum() - math.exp(epsilon) * b[s].sum() for s in sets for a, b in ((p, q), (q, p)))


WRONG_DELTAS = {
    "all outputs": lambda p, q, e: (p - np.exp(e) * q).sum(),
    "absolute": lambda p, q, e: np.abs(p - np.exp(e) * q).sum(),
    "one output": lambda p, q, e: max((p - np.exp(e) * q).max(), (q - np.exp(e) * p).max()),
    "total variation": lambda p, q, e: np.abs(p - q).sum() / 2,
    "one direction": lambda p, q, e: np.maximum(p - np.exp(e) * q, 0).sum(),
    "both added": lambda p, q, e: (
        by_positive_part(p, q, e)
        + min(np.maximum(p - np.exp(e) * q, 0).sum(), np.maximum(q - np.exp(e) * p, 0).sum())
    ),
    "the other direction": lambda p, q, e: np.maximum(q - np.exp(e) * p, 0).sum(),
    "no leak beyond an epsilon": lambda p, q, e: by_positive_part(p, q, e) if e < 5 else 0.0,
    "a constant": lambda p, q, e: 0.2,
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_positive_part, by_all_sets])
def test_delta_right(right):
    feedback = check.check_delta(right)
    assert feedback.right, feedback


def test_delta_wrong():
    feedbacks = {name: check.check_delta(wrong) for name, wrong in WRONG_DELTAS.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert hints_differ(feedbacks.values())


def laplace(v, s, e, rng):
    return v + rng.laplace(scale=s / e, size=v.shape)


def two_exponentials(v, s, e, rng):
    return v + rng.exponential(s / e, size=v.shape) - rng.exponential(s / e, size=v.shape)


def mutates(v, s, e, rng):
    v += rng.laplace(scale=s / e, size=v.shape)
    return v


WRONG_MECHANISMS = {
    "noise reused": lambda v, s, e, rng: v + rng.laplace(scale=s / e),
    "upside down": lambda v, s, e, rng: laplace(v, e, s, rng),
    "sensitivity off by two, too little": lambda v, s, e, rng: laplace(v, s / 2, e, rng),
    "sensitivity off by two, too much": lambda v, s, e, rng: laplace(v, 2 * s, e, rng),
    "no sensitivity": lambda v, s, e, rng: laplace(v, 1, e, rng),
    "Gaussian": lambda v, s, e, rng: v + rng.normal(scale=s / e * math.sqrt(math.pi / 2), size=v.shape),
    "one-sided": lambda v, s, e, rng: v + rng.exponential(s / e, size=v.shape),
    "shifted": lambda v, s, e, rng: laplace(v, s, e, rng) - 3,
    "chance from elsewhere": lambda v, s, e, rng: laplace(v, s, e, np.random.default_rng()),
    "changes its argument": mutates,
    "one number": lambda v, s, e, rng: v[:1],
    "something else": lambda v, s, e, rng: laplace(v, 0.7 * s, e, rng),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [laplace, two_exponentials])
def test_laplace_right(right):
    feedback = check.check_laplace(right)
    assert feedback.right, feedback


def test_laplace_wrong():
    feedbacks = {name: check.check_laplace(wrong) for name, wrong in WRONG_MECHANISMS.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert hints_differ(feedbacks.values())


def by_package(table, delta):
    pairs = itertools.permutations(range(len(table)), 2)
    return max(epsilon_at(DominatingPair(table[a].copy(), table[b].copy()), delta) for a, b in pairs)


def by_corners(table, delta):
    """Try every set "ratio at least this": ε = ln((P(S) − δ)/Q(S)) must hold for all of them."""
    worst = 0.0
    for a, b in itertools.permutations(table, 2):
        order = np.argsort(-a / b)
        for size in range(1, len(order) + 1):
            p, q = a[order[:size]].sum(), b[order[:size]].sum()
            worst = max(worst, math.log((p - delta) / q)) if p > delta else worst
    return worst


def worst_output(table, delta):
    """Look at single outputs only."""
    gaps = [(a - delta) / b for a, b in itertools.permutations(table, 2)]
    return max(0.0, math.log(max(max(gap.max() for gap in gaps), 1e-9)))


WRONG_TABLES = {
    "rows that follow one another": lambda t, d: float(np.abs(np.diff(np.log(t), axis=0)).max()),
    "one direction": lambda t, d: (
        max(
            epsilon_at(DominatingPair(t[a].copy(), t[b].copy()), d)
            for a, b in itertools.combinations(range(4), 2)
        )
        if d
        else by_corners(t, d)
    ),
    "e to the epsilon": lambda t, d: math.exp(by_corners(t, d)),
    "delta not used": lambda t, d: by_corners(t, 0.0),
    "single outputs": worst_output,
    "too careful": lambda t, d: by_corners(t, d) + 0.1,
    "too careful with delta": lambda t, d: by_corners(t, d) + (0.1 if d else 0),
    "nothing": lambda t, d: 0.0,
    "infinite": lambda t, d: math.inf,
    "careful at the end": lambda t, d: by_corners(t, d) if d < 1 else 0.5,
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_package, by_corners])
@pytest.mark.parametrize("seed", [1, 2])
def test_coursework_right(right, seed):
    feedback = check.check_coursework(right, seed=seed)
    assert feedback.right, feedback


def test_coursework_wrong():
    feedbacks = {name: check.check_coursework(wrong, seed=1) for name, wrong in WRONG_TABLES.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert hints_differ(feedbacks.values()), feedbacks
