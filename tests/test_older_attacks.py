"""Difficulty calibration, the learned attack, the label-only attack."""

import numpy as np
import pytest

from mialab import metrics
from mialab.attacks import label_only, learned, threshold
from mialab.game import Observations, Outcome, flip_coins


def test_definition_difficulty_is_the_mean_over_models_without_the_record(rng):
    member = flip_coins(9, 50, rng=rng)
    fleet = Observations(rng.normal(size=member.shape), member)
    target, shadows = fleet.leave_out(0)
    for i, score in enumerate(threshold.calibrated(target, shadows)):
        assert score == pytest.approx(target[i] - shadows.signal[~shadows.member[:, i], i].mean())


def two_signals(rng, models=4, records=3000):
    """Members of class 0 have the first signal high, those of class 1 have it low; the second is noise."""
    member, label = flip_coins(models, records, rng=rng), rng.integers(2, size=records)
    first = 2.0 * member * np.where(label == 0, 1, -1) + rng.normal(size=member.shape)
    noise = Observations(rng.normal(size=member.shape), member)
    return [Observations(first, member), noise], member, label


def test_oracle_the_learned_attack_finds_the_best_rule_of_each_class(rng):
    fleets, member, label = two_signals(rng)
    targets, shadows = zip(*(fleet.leave_out(0) for fleet in fleets), strict=True)
    score = learned.logistic(np.stack(targets), shadows, label)
    # Given N(±2, 1) against N(0, 1), the log-odds are ±2·signal − 2.
    best = 2 * targets[0] * np.where(label == 0, 1, -1) - 2
    assert np.corrcoef(score, best)[0, 1] > 0.99
    assert metrics.auc(Outcome(score, member[0])).value > 0.9
    assert metrics.auc(Outcome(targets[0], member[0])).value < 0.55  # one rule for both classes finds nothing


def test_limit_a_signal_that_never_varies_changes_nothing(rng):
    fleets, member, label = two_signals(rng, records=500)
    still = Observations(np.ones(member.shape), member)
    targets, shadows = zip(*(fleet.leave_out(0) for fleet in [*fleets, still]), strict=True)
    with_it = learned.logistic(np.stack(targets), shadows, label)
    without = learned.logistic(np.stack(targets[:2]), shadows[:2], label)
    np.testing.assert_allclose(with_it, without, atol=1e-3)


@pytest.mark.parametrize("members", [1, 3])
def test_limit_a_signal_that_says_nothing_leaves_even_odds_whatever_the_shadows_hold(members):
    four = Observations(np.ones((1, 4)), np.arange(4)[None] < members)
    score = learned.logistic(np.ones((1, 4)), [four], np.zeros(4, dtype=int))
    np.testing.assert_allclose(score, 0, atol=1e-3)


def test_limit_of_four_records_a_class_the_learned_attack_knows_nothing(rng):
    """Shadows' shares of members, left in the odds, would bring the area down to .34: one out, many left."""
    areas, label = [], np.zeros(4, dtype=int)
    for _ in range(150):
        member = flip_coins(5, 4, rng=rng)
        fleet = Observations(rng.normal(size=member.shape), member)
        scores = fleet.leave_one_out(lambda target, shadows: learned.logistic(target[None], [shadows], label))
        areas.append(metrics.pooled_roc(scores).auc)
    assert np.std(areas) / np.sqrt(len(areas)) < 0.015
    assert np.mean(areas) == pytest.approx(0.5, abs=0.06)


def test_definition_label_only_counts_on_the_shadows(rng):
    member = flip_coins(5, 200, rng=rng)
    queries = [
        Observations((rng.random(member.shape) < 0.5 + 0.3 * member).astype(float), member) for _ in range(3)
    ]
    target, shadows = zip(*(query.leave_out(0) for query in queries), strict=True)
    score = label_only.by_count(np.stack(target), shadows)
    for i in range(200):
        right = sum(one[i] for one in target)
        same = [(sum(one.signal[j, i] for one in shadows) == right) for j in range(4) for i in range(200)]
        truth = [shadows[0].member[j, i] for j in range(4) for i in range(200)]
        hits = sum(s and m for s, m in zip(same, truth, strict=True))
        false = sum(s and not m for s, m in zip(same, truth, strict=True))
        want = (hits + 1) / (sum(truth) + 4) / ((false + 1) / (800 - sum(truth) + 4))
        assert np.exp(score[i]) == pytest.approx(want)


@pytest.mark.usefixtures("at_the_door")
def test_the_door(rng):
    fleets, member, label = two_signals(rng, records=30)
    target, shadows = np.stack([fleet.signal[0] for fleet in fleets]), fleets
    turned = Observations(fleets[1].signal, ~member)
    cases = [
        (target[:1], shadows, "target and shadows must have the same signals, got 1 and 2"),
        (target[:, :9], shadows, r"target and (label|shadows) must have the same number of records, got 9"),
        (target * np.nan, shadows, "target must hold no NaN, got 60 of 60 values"),
        (target, [shadows[0], turned], "shadows must have the same membership for every signal"),
    ]
    for signals, seen, message in cases:
        for attack in (label_only.by_count, lambda *both: learned.logistic(*both, label)):
            with pytest.raises(ValueError, match=message):
                attack(signals, seen)
    with pytest.raises(ValueError, match="target must be 1 for a right answer and 0 for a wrong one, got"):
        label_only.by_count(target, shadows)
    with pytest.raises(ValueError, match=r"shadows\.member of class 7 must hold members and non-members"):
        learned.logistic(target[:1], [Observations(fleets[0].signal, member | True)], label * 0 + 7)
