"""The checkers of "People": right answers pass, each named mistake gets its own hint."""

import numpy as np
import pytest

from mialab_book.exercises import people as check


@pytest.mark.parametrize("answer", [(0.0741, 0.00271), (800 / 10_790, np.e / (np.e + 999))])
def test_the_register_right(answer):
    assert check.check_register(*answer).right


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ((7.41, 0.0027), "shares, not in per cent"),
        ((0.8, 0.0027), "how many members are accused"),
        ((0.988, 0.0027), "if half of all people"),
        ((0.0008, 0.0027), "share of *all accused*"),
        ((0.05, 0.0027), "Of a million people"),
        ((0.0741, 0.7311), "the limit at even odds"),
        ((0.0741, 0.00739), "one factor"),
        ((0.0741, 0.001), "1 to 999"),
    ],
)
def test_the_register_wrong(answer, hint):
    feedback = check.check_register(*answer)
    assert not feedback.right
    assert hint in feedback.text


def bayes(p, f, t):
    return p * t / (p * t + (1 - p) * f)


def by_odds(p, f, t):
    if p in (0, 1):
        return p
    odds = p / (1 - p) * t / f
    return odds / (1 + odds)


@pytest.mark.parametrize("right", [bayes, by_odds])
def test_posterior_right(right):
    assert check.check_posterior(right).right


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda p, f, t: t / (t + f), "Where does the prior"),
        (lambda p, f, t: p * t, "Divide by all who are accused."),
        (lambda p, f, t: p * t / f, "members and others"),
        (lambda p, f, t: bayes(p, t, f), "changed places"),
        (lambda p, f, t: 0.3, "it returned 0.3000"),
        (lambda p, f, t: bayes(min(p, 0.02), f, t), "Priors of 0 and 1"),
    ],
)
def test_posterior_wrong(wrong, hint):
    feedback = check.check_posterior(wrong)
    assert not feedback.right
    assert hint in feedback.text


def most(p, e):
    odds = p / (1 - p) * np.exp(e)
    return odds / (1 + odds)


@pytest.mark.parametrize("right", [most, lambda p, e: p * np.exp(e) / (1 + p * (np.exp(e) - 1))])
def test_posterior_bound_right(right):
    assert check.check_posterior_bound(right).right


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda p, e: p * np.exp(e), "the odds, not the probability"),
        (lambda p, e: p / (1 - p) * np.exp(e), "turn them back"),
        (lambda p, e: p, "Where does ε enter"),
        (lambda p, e: np.exp(e) / (1 + np.exp(e)), "Where does the prior enter"),
        (lambda p, e: most(p, 2 * e), "it returned"),
        (lambda p, e: most(p, max(e, 1.0)), "At ε = 0"),
        (lambda p, e: most(p, min(e, 1.0)), "small priors"),
    ],
)
def test_posterior_bound_wrong(wrong, hint):
    feedback = check.check_posterior_bound(wrong)
    assert not feedback.right
    assert hint in feedback.text


def losses(plain, private, group):
    return {g: plain[:, group == g].mean() - private[:, group == g].mean() for g in np.unique(group)}


def worst(plain, private, group):
    table = losses(plain, private, group)
    return max(table, key=table.get), max(table.values())


def worst_by_sums(plain, private, group):
    size = np.bincount(group) * len(plain)
    lost = np.bincount(group, (plain.astype(int) - private).sum(axis=0)) / size
    return int(lost.argmax()), lost.max()


@pytest.mark.parametrize("right", [worst, worst_by_sums])
def test_the_coursework_right(right):
    assert check.check_coursework(right, seed=1).right


def of_all(plain, private, group):
    lost = np.bincount(group, (plain.astype(int) - private).sum(axis=0)) / plain.size
    return int(lost.argmax()), lost.max()


def lowest(plain, private, group):
    after = [private[:, group == g].mean() for g in range(3)]
    return int(np.argmin(after)), losses(plain, private, group)[int(np.argmin(after))]


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda *a: (worst(*a)[0], -worst(*a)[1]), "positive number"),
        (of_all, "Divide by the records of the group"),
        (lowest, "lowest accuracy"),
        (lambda *a: (0, 0.123), "it returned"),
    ],
)
def test_the_coursework_wrong(wrong, hint):
    feedback = check.check_coursework(wrong, seed=1)
    assert not feedback.right
    assert hint in feedback.text


def test_a_stub_is_told_so():
    def stub(*_):
        raise NotImplementedError("write me")

    for one in (
        check.check_posterior,
        check.check_posterior_bound,
        lambda f: check.check_coursework(f, seed=1),
    ):
        assert "still a stub" in one(stub).text


def test_the_coursework_differs_by_seed():
    assert len({worst(*check.coursework_answers(seed))[0] for seed in range(12)}) == 3
