"""The likelihood-ratio attack: the literal reading, a world whose true ratio is known, the door."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import norm

from mialab import metrics
from mialab.attacks import lira
from mialab.attacks.shadow_stats import leave_one_out
from mialab.game import Design, Observations, Outcome, flip_coins


def world(rng, models=12, records=200):
    """Every record has its own two means and its own two spreads."""
    member = flip_coins(models, records, rng=rng)
    out, gap = rng.normal(scale=3, size=records), rng.exponential(2, size=records)
    spread = np.where(member, rng.uniform(0.5, 1, size=records), rng.uniform(0.8, 2, size=records))
    return Observations(out + gap * member + spread * rng.normal(size=member.shape), member)


def literally(target, shadows, pooled):
    """Algorithm 1, record by record, for records with two shadows or more on each side."""
    inside = [shadows.signal[shadows.member[:, i], i] for i in range(len(target))]
    outside = [shadows.signal[~shadows.member[:, i], i] for i in range(len(target))]

    def variance(lists, i):
        if not pooled:
            return np.var(lists[i], ddof=1)
        return sum(np.sum((one - one.mean()) ** 2) for one in lists) / sum(len(one) - 1 for one in lists)

    return np.array(
        [
            norm.logpdf(target[i], inside[i].mean(), np.sqrt(variance(inside, i)))
            - norm.logpdf(target[i], outside[i].mean(), np.sqrt(variance(outside, i)))
            for i in range(len(target))
        ]
    )


def enough_on_each_side(fleet):
    """Keep the records with two shadows or more on each side, whichever model is the target."""
    few = np.minimum(fleet.member.sum(axis=0), (~fleet.member).sum(axis=0))
    return Observations(fleet.signal[:, few >= 3], fleet.member[:, few >= 3])


@pytest.mark.parametrize("spread", ["per_record", "pooled"])
def test_definition_online_is_algorithm_1(rng, spread):
    target, shadows = enough_on_each_side(world(rng)).leave_out(0)
    np.testing.assert_allclose(
        lira.online(target, shadows, spread=spread), literally(target, shadows, spread == "pooled"), rtol=1e-9
    )


def test_definition_offline_is_the_one_sided_test(rng):
    target, shadows = enough_on_each_side(world(rng)).leave_out(0)
    for i, score in enumerate(lira.offline(target, shadows)):
        outside = shadows.signal[~shadows.member[:, i], i]
        p_value = 1 - norm.cdf(target[i], outside.mean(), outside.std(ddof=1))
        if p_value > 1e-12:
            assert np.exp(-score) == pytest.approx(p_value, rel=1e-3)


def test_offline_a_surprisingly_low_signal_is_not_suspicious():
    shadows = Observations(np.array([[0.0], [2.0]]), np.zeros((2, 1), dtype=bool))
    low, middle, high, higher = (
        lira.offline(np.array([signal]), shadows)[0] for signal in (-40.0, 1.0, 40.0, 60.0)
    )
    assert low < middle < high < higher  # and 40 is where a probability would long be rounded to 1


def test_pooled_spreads_are_each_of_its_own_side(rng):
    # Members spread ten times less than non-members: a mixed-up letter would make the two equal.
    member = flip_coins(40, 100, rng=rng)
    shadows = Observations(np.where(member, 0.1, 1.0) * rng.normal(size=member.shape), member)
    score = lira.online(np.zeros(100), shadows, spread="pooled")
    assert np.median(score) == pytest.approx(np.log(10), abs=0.1)


def test_rule_where_a_spread_is_unknown_or_zero_it_is_the_pooled_one():
    member = np.array([[True] * 3, [True, True, False], [False] * 3, [False] * 3])
    signal = np.array([[1.0, 4.0, 5.0], [3.0, 4.0, 1.0], [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]])
    target = np.array([2.0, 2.0, 2.0])
    # With the record: variances 2, 0 (zero), unknown (one shadow). Pooled: (2 + 0)/(1 + 1) = 1.
    inside = np.array([2.0, 1.0, 1.0])
    # Without it: 2, 2 and (0, 2, 1): 1. Pooled plays no part.
    outside = np.array([2.0, 2.0, 1.0])
    want = norm.logpdf(target, [2, 4, 5], np.sqrt(inside)) - norm.logpdf(target, [1, 1, 1], np.sqrt(outside))
    np.testing.assert_allclose(lira.online(target, Observations(signal, member)), want)


def test_rule_where_a_side_is_empty_its_mean_is_the_others_moved_by_the_average_difference():
    member = np.array([[True, False], [True, False], [False, False], [False, False]])
    signal = np.array([[5.0, 1.0], [7.0, 2.0], [1.0, 3.0], [3.0, 4.0]])
    got = lira.online(np.array([0.0, 0.0]), Observations(signal, member), spread="pooled")
    pooled_out = (2 + 5) / (1 + 3)
    want = norm.logpdf(0, 2.5 + 4, np.sqrt(2)) - norm.logpdf(0, 2.5, np.sqrt(pooled_out))
    assert got[1] == pytest.approx(want)


def test_rule_offline_an_unknown_record_is_an_average_one():
    signal = np.array([[1.0, 5.0, 9.0], [3.0, 7.0, 9.0]])
    shadows = Observations(signal, np.array([[False, False, True]] * 2))
    got = lira.offline(np.array([0.0, 0.0, 6.0]), shadows)[2]
    assert np.exp(-got) == pytest.approx(1 - ndtr((6 - 4) / np.sqrt(2 + 8)))


def neyman_pearson(fpr, mu):
    """Return the ROC of the best test of N(0, 1) against N(mu, 1)."""
    return ndtr(ndtri(fpr) + mu)


def simulated(rng, shadows, records, mu):
    """Draw records of different levels, all of the same gap and spread: the true ratio is known."""
    member = flip_coins(shadows + 1, records, rng=rng)
    level = rng.normal(scale=5, size=records)
    return level, Observations(level + mu * member + rng.normal(size=member.shape), member)


def test_oracle_with_many_shadows_the_attack_reaches_neyman_pearson(rng):
    mu, fprs = 1.5, (0.01, 0.1)
    level, fleet = simulated(rng, 200, 6000, mu)
    target, shadows = fleet.leave_out(0)
    known = Outcome(mu * (target - level) - mu**2 / 2, fleet.member[0], design=Design.COINS)
    attack = Outcome(lira.online(target, shadows, spread="pooled"), fleet.member[0], design=Design.COINS)
    for fpr in fprs:
        for outcome in (known, attack):
            interval = metrics.tpr_at(outcome, fpr, confidence=0.99)
            assert interval.low <= neyman_pearson(fpr, mu) <= interval.high
    np.testing.assert_allclose(np.corrcoef(known.score, attack.score)[0, 1], 1, atol=0.01)


def test_oracle_it_approaches_neyman_pearson_as_shadows_grow(rng):
    mu, areas = 1.5, []
    for shadows in (4, 16, 64):
        _, fleet = simulated(rng, shadows, 4000, mu)
        areas.append(
            metrics.pooled_roc(
                Observations(leave_one_out(lira.online, fleet).signal[:5], fleet.member[:5])
            ).auc
        )
    best = ndtr(mu / np.sqrt(2))
    assert areas[0] + 0.02 < areas[1] < areas[2] < best + 0.01
    assert areas[2] > best - 0.02


@pytest.mark.usefixtures("at_the_door")
def test_the_door(rng):
    target, shadows = world(rng).leave_out(0)
    three = Observations(shadows.signal[:3], shadows.member[:3])
    with pytest.raises(ValueError, match="the number of shadows must be at least 4, got 3"):
        lira.online(target, three)
    with pytest.raises(ValueError, match="spread must be one of 'per_record', 'pooled', got 'fixed'"):
        lira.online(target, shadows, spread="fixed")
    still = Observations(np.zeros_like(shadows.signal), shadows.member)
    for attack in (lira.online, lira.offline):
        with pytest.raises(ValueError, match=r"two models whose signals differ .* got none .* record 0"):
            attack(target, still)
