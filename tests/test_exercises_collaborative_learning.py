"""The checkers of "Collaborative learning": right answers pass, each named mistake gets its own hint."""

import numpy as np
import pytest

from mialab_book.exercises import collaborative_learning as check


def test_the_units_right():
    assert check.check_units(phone=4.0, record=0.5).right
    assert check.check_units(phone=8 * 0.5, record=1 / 2).right


@pytest.mark.parametrize(
    ("phone", "record", "hint"),
    [
        (0.5, 0.5, "eight records are a group"),
        (0.0625, 0.5, "more can be told of it"),
        (0.5 * 8**0.5, 0.5, "no composition"),
        (3.0, 0.5, "k times as large"),
        (4.0, 0.0625, "Nothing is divided"),
        (4.0, 1.0, "differ in one phone"),
    ],
)
def test_the_units_wrong(phone, record, hint):
    feedback = check.check_units(phone, record)
    assert not feedback.right
    assert hint in feedback.text


def a_round(
    w, u, there, clip, sigma, nominal, rng, *, each=True, share=None, scale=None, by=None, before=True
):
    length = np.linalg.norm(u, axis=1)
    shares = (np.minimum(1, clip / length) if share is None else share(clip, length)) * there
    noise = rng.normal(scale=sigma * clip if scale is None else scale(sigma, clip), size=len(w))
    total = shares @ u
    divisor = nominal if by is None else by(there)
    return w + (total + noise) / divisor if before else w + total / divisor + noise


def by_loop(w, u, there, clip, sigma, nominal, rng):
    total = rng.normal(size=len(w)) * sigma * clip
    for one in u[there]:
        total += one / max(1.0, np.linalg.norm(one) / clip)
    return w + total / nominal


@pytest.mark.parametrize("right", [a_round, by_loop])
def test_the_round_right(right):
    assert check.check_round(right).right


def clip_the_sum(w, u, there, clip, sigma, nominal, rng):
    total = u[there].sum(axis=0)
    return w + total * min(1, clip / np.linalg.norm(total)) / nominal


def noise_on_each(w, u, there, clip, sigma, nominal, rng):
    noise = rng.normal(scale=sigma * clip, size=(there.sum(), len(w))).sum(axis=0)
    return a_round(w, u, there, clip, 0.0, nominal, rng) + noise / nominal


def the_same_noise(w, u, there, clip, sigma, nominal, rng):
    return a_round(w, u, there, clip, sigma, nominal, np.random.default_rng(0))


def one_draw_for_all(w, u, there, clip, sigma, nominal, rng):
    return a_round(w, u, there, clip, 0.0, nominal, rng) + rng.normal(scale=sigma * clip) / nominal


def laplace_noise(w, u, there, clip, sigma, nominal, rng):
    noise = rng.laplace(scale=sigma * clip / np.sqrt(2), size=len(w))
    return a_round(w, u, there, clip, 0.0, nominal, rng) + noise / nominal


def noise_from_elsewhere(w, u, there, clip, sigma, nominal, rng):
    return a_round(w, u, there, clip, sigma, nominal, ELSEWHERE)


ELSEWHERE = np.random.default_rng(5)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (laplace_noise, "Gaussian noise"),
        (noise_from_elsewhere, "Draw from the rng"),
        (the_same_noise, "The same noise in every call"),
        (one_draw_for_all, "noise of its own"),
        (lambda w, u, t, *rest: a_round(w, u, np.ones(6, bool), *rest), "Not everybody takes part"),
        (lambda *a: a_round(*a, share=lambda clip, length: np.ones(6)), "not clipped"),
        (clip_the_sum, "not their sum"),
        (lambda *a: a_round(*a, share=lambda clip, length: clip / length), "A short update stays"),
        (lambda *a: a_round(*a, by=lambda there: there.sum()), "how many came is a secret"),
        (lambda w, *a: a_round(w + 1, *a), "the move is off"),
        (lambda *a: a_round(*a, scale=lambda sigma, clip: 0.0), "There is no noise"),
        (lambda *a: a_round(*a, scale=lambda sigma, clip: sigma), "in units of the clip"),
        (lambda *a: a_round(*a, before=False), "before it is divided"),
        (noise_on_each, "Noise once, on the sum"),
        (lambda *a: a_round(*a, scale=lambda sigma, clip: 0.1 * sigma), "should be 1.6"),
    ],
)
def test_the_round_wrong(wrong, hint):
    feedback = check.check_round(wrong)
    assert not feedback.right
    assert hint in feedback.text


def by_projection(sums, took_part):
    rows = took_part.astype(float)
    inverse = np.linalg.pinv(rows)
    known = np.isclose(np.diag(inverse @ rows), 1)
    return np.where(known[:, None], inverse @ sums, np.nan)


def by_solving(sums, took_part):
    rows = took_part.astype(float)
    out = np.full((rows.shape[1], sums.shape[1]), np.nan)
    for client in range(rows.shape[1]):
        unit = np.eye(rows.shape[1])[client]
        mix, *_ = np.linalg.lstsq(rows.T, unit, rcond=None)
        if np.allclose(rows.T @ mix, unit):
            out[client] = mix @ sums
    return out


@pytest.mark.parametrize("right", [by_projection, by_solving])
def test_the_coursework_right(right):
    assert check.check_coursework(right, seed=1).right


def only_pairs(sums, took_part):
    out = np.full((6, 3), np.nan)
    change = took_part[1].astype(int) - took_part[0]
    (client,) = np.flatnonzero(change)
    out[client] = (sums[1] - sums[0]) * change[client]
    return out


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda sums, who: np.linalg.pinv(who.astype(float)) @ sums, "more than was seen"),
        (lambda sums, who: sums, "(clients, weights)"),
        (only_pairs, "more can be told"),
        (lambda sums, who: 2 * by_projection(sums, who), "an update is wrong"),
    ],
)
def test_the_coursework_wrong(wrong, hint):
    feedback = check.check_coursework(wrong, seed=1)
    assert not feedback.right
    assert hint in feedback.text


def test_a_stub_is_told_so():
    def stub(*_):
        raise NotImplementedError("write me")

    assert "still a stub" in check.check_round(stub).text
    assert "still a stub" in check.check_coursework(stub, seed=1).text
