"""The checkers of "Calibrated attacks": two right answers pass, each named mistake gets its own hint."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import norm

from mialab.attacks import few_shadows, lira, threshold
from mialab.attacks.shadow_stats import leave_one_out
from mialab.game import Observations
from mialab_book.exercises import calibrated_attacks as check


def all_wrong_each_with_its_hint(feedbacks):
    assert not any(feedback.right for feedback in feedbacks)
    return len({feedback.text for feedback in feedbacks}) == len(feedbacks)


def stub(*_):
    raise NotImplementedError("write it")


def test_precision():
    assert check.check_precision(0.952, 0.168).right
    assert check.check_precision(200 / 210, 20 / (20 + 99)).right
    wrong = {
        "odds": (20, 0.2),
        "TPR": (0.2, 0.168),
        "advantage": (0.19, 0.168),
        "guess": (0.5, 0.168),
        "prior forgotten": (0.952, 0.952),
        "odds at the second": (0.952, 0.202),
        "another guess": (0.952, 0.5),
    }
    assert all_wrong_each_with_its_hint([check.check_precision(*numbers) for numbers in wrong.values()])


def by_scipy(signal, inside, outside):
    with_it = norm.logpdf(signal, inside.mean(), inside.std(ddof=1))
    return with_it - norm.logpdf(signal, outside.mean(), outside.std(ddof=1))


def by_hand(signal, inside, outside):
    def log_density(sample):
        return -((signal - np.mean(sample)) ** 2) / (2 * np.var(sample)) - np.log(np.std(sample))

    return log_density(inside) - log_density(outside)


WRONG_RATIOS = {
    "turned round": lambda s, i, o: -by_scipy(s, i, o),
    "not the logarithm": lambda s, i, o: np.exp(by_scipy(s, i, o)),
    "the wrong letter": lambda s, i, o: norm.logpdf(s, i.mean(), i.std()) - norm.logpdf(s, o.mean(), i.std()),
    "no constant": lambda s, i, o: (s - o.mean()) ** 2 / (2 * o.var()) - (s - i.mean()) ** 2 / (2 * i.var()),
    "variance for standard deviation": lambda s, i, o: (
        norm.logpdf(s, i.mean(), i.var(ddof=1)) - norm.logpdf(s, o.mean(), o.var(ddof=1))
    ),
    "something else": lambda s, i, o: s - o.mean(),
    "NaN": lambda s, i, o: np.nan,
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_scipy, by_hand])
def test_log_ratio_right(right):
    assert check.check_log_ratio(right).right


def test_log_ratio_wrong():
    assert all_wrong_each_with_its_hint([check.check_log_ratio(wrong) for wrong in WRONG_RATIOS.values()])


def by_sums(signal, member):
    own = ~member
    return ((signal * own).sum(axis=0) - signal * own) / (own.sum(axis=0) - own)


def by_the_package(signal, member):
    return signal - leave_one_out(threshold.calibrated, Observations(signal, member)).signal


WRONG_OTHERS = {
    "the target among its shadows": lambda s, m: np.broadcast_to((s * ~m).sum(0) / (~m).sum(0), s.shape),
    "taken out of the sum only": lambda s, m: ((s * ~m).sum(0) - s * ~m) / (~m).sum(0),
    "always taken out": lambda s, m: ((s * ~m).sum(0) - s) / ((~m).sum(0) - 1),
    "one number a record": lambda s, m: (s * ~m).sum(0) / (~m).sum(0),
    "NaN": lambda s, m: s * np.nan,
    "with the record": lambda s, m: np.full(s.shape, s[m].mean()),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [by_sums, by_the_package])
def test_others_right(right):
    assert check.check_others(right).right


def test_others_wrong():
    with np.errstate(divide="ignore", invalid="ignore"):
        assert all_wrong_each_with_its_hint([check.check_others(wrong) for wrong in WRONG_OTHERS.values()])


WRONG_ATTACKS = {
    "one threshold for all": lambda target, shadows: target,
    "counts the shadows": lambda target, shadows: -shadows.member.sum(axis=0).astype(float),
    "only how hard": threshold.calibrated,
    "a variance from two shadows": lira.online,
    "NaN where a side is empty": lambda target, shadows: np.where(
        shadows.member.all(axis=0) | ~shadows.member.any(axis=0), np.nan, target
    ),
    "one number": lambda target, shadows: np.array([1.0]),
    "only the first shadow": lambda target, shadows: target - shadows.signal[0],
    "the place of a record": lambda target, shadows: target + np.arange(len(target)),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [few_shadows.shrunken_t, partial(lira.online, spread="pooled")])
@pytest.mark.parametrize("seed", [1, 2])
def test_coursework_right(right, seed):
    feedback = check.check_coursework(right, seed=seed)
    assert feedback.right, feedback


def test_coursework_wrong():
    assert all_wrong_each_with_its_hint(
        [check.check_coursework(wrong, seed=1) for wrong in WRONG_ATTACKS.values()]
    )


def test_coursework_is_everybodys_own():
    first, again, other = (check.coursework_world(seed) for seed in (1, 1, 2))
    assert np.array_equal(first.signal, again.signal)
    assert not np.array_equal(first.member, other.member)
