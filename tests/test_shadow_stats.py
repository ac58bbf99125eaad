"""Leaving out one model after the other, without summing afresh: the slow loop says the same."""

from functools import partial

import numpy as np
import pytest
from scipy.special import logsumexp

from mialab.attacks import few_shadows, lira, rmia, threshold
from mialab.attacks.shadow_stats import (
    LeaveOneOut,
    fill_either,
    leave_one_out,
    log_means,
    shadow_stats,
)
from mialab.game import Observations, flip_coins

VECTORISED = {
    "threshold.calibrated": threshold.calibrated,
    "few_shadows.shrunken_t": few_shadows.shrunken_t,
    "lira.offline": lira.offline,
    "lira.offline pooled": partial(lira.offline, spread="pooled"),
    "lira.online": lira.online,
    "lira.online pooled": partial(lira.online, spread="pooled"),
    "rmia.offline": partial(rmia.offline, a=0.5),
    "rmia.online": partial(rmia.online, gamma=2.0),
}


def log_probabilities(rng, models=7, records=60):
    """Signals at most 0, so that every attack takes them; some sides are empty, one model lies far off."""
    member = flip_coins(models, records, rng=rng)
    signal = -np.exp(rng.normal(size=records) + rng.normal(size=member.shape) - member)
    signal[0, :5] = -1e6
    return Observations(signal, member)


@pytest.mark.parametrize("attack", VECTORISED)
def test_definition_all_at_once_is_one_after_the_other(rng, attack):
    fleet = log_probabilities(rng)
    assert (fleet.member.sum(axis=0) <= 1).any()  # a side that is empty once its only model is the target
    at_once = leave_one_out(VECTORISED[attack], fleet).signal
    np.testing.assert_allclose(at_once, fleet.leave_one_out(VECTORISED[attack]).signal, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("attack", VECTORISED)
def test_the_targets_own_membership_plays_no_part(rng, attack):
    fleet = log_probabilities(rng)
    turned = fleet.member.copy()
    turned[2] = ~turned[2]
    other = leave_one_out(VECTORISED[attack], Observations(fleet.signal, turned)).signal
    np.testing.assert_allclose(
        other[2], leave_one_out(VECTORISED[attack], fleet).signal[2], rtol=1e-9, atol=1e-9
    )


def test_definition_sides_are_the_textbook_sums(rng):
    shadows = log_probabilities(rng)
    inside, outside = shadow_stats(shadows.signal[0], shadows)
    for record in range(60):
        for side, chosen in ((inside, shadows.member), (outside, ~shadows.member)):
            own = shadows.signal[chosen[:, record], record]
            assert side.count[record] == len(own)
            if len(own):
                assert side.mean[record] == pytest.approx(own.mean())
            else:
                assert np.isnan(side.mean[record])
            assert side.scatter[record] == pytest.approx(np.var(own) * len(own) if len(own) else 0)


def test_an_outlier_takes_no_digits_from_the_scatter_of_the_rest():
    # Subtracting from the sum of squares would leave noise of the order of 1e12 · 1e-16.
    signal = np.array([[1e6], [1.0], [1.0 + 1e-6], [1.0 - 1e-6]])
    shadows = LeaveOneOut(Observations(signal, np.ones((4, 1), dtype=bool)))
    inside, _ = shadow_stats(signal, shadows)
    np.testing.assert_allclose(inside.scatter[0], 2e-12, rtol=1e-6)


def test_equal_signals_have_no_scatter_at_all():
    signal = np.array([[7.0], [0.1], [0.1], [0.1]])
    inside, _ = shadow_stats(signal, LeaveOneOut(Observations(signal, np.ones((4, 1), dtype=bool))))
    assert inside.scatter[0] == 0


def test_definition_log_means_survive_what_exp_does_not(rng):
    shadows = Observations(
        rng.normal(size=(6, 30)) * 5 - np.array([[0.0], [900], [2000], [1], [5000], [900]]),
        flip_coins(6, 30, rng=rng),
    )
    inside, outside = log_means(shadows.signal[0], shadows)
    for record in range(30):
        for got, chosen in ((inside, shadows.member), (outside, ~shadows.member)):
            own = shadows.signal[chosen[:, record], record]
            want = logsumexp(own) - np.log(len(own)) if len(own) else np.nan
            np.testing.assert_allclose(got[record], want)
    at_once = log_means(shadows.signal, LeaveOneOut(shadows))
    for model in range(6):
        one = log_means(*shadows.leave_out(model))
        np.testing.assert_allclose([side[model] for side in at_once], one, rtol=1e-12)


def test_definition_several_queries_are_averaged(rng):
    first = log_probabilities(rng)
    second = Observations(first.signal + rng.normal(size=first.signal.shape), first.member)
    both = leave_one_out(threshold.calibrated, first, second).signal
    alone = [leave_one_out(threshold.calibrated, fleet).signal for fleet in (first, second)]
    np.testing.assert_allclose(both, (alone[0] + alone[1]) / 2)


def test_definition_what_stands_in_is_the_average_over_the_others():
    inside, outside = fill_either(np.array([np.nan, 5, 9, 4.0]), np.array([1, 2, 5, np.nan]))
    np.testing.assert_allclose(inside, [1 + 3.5, 5, 9, 4])
    np.testing.assert_allclose(outside, [1, 2, 5, 4 - 3.5])


@pytest.mark.usefixtures("at_the_door")
def test_the_door(rng):
    fleet = log_probabilities(rng)
    turned = Observations(fleet.signal, ~fleet.member)
    target, shadows = fleet.leave_out(0)
    with pytest.raises(ValueError, match="fleets must have the same membership, got another one"):
        leave_one_out(lira.online, fleet, turned)
    with pytest.raises(ValueError, match="the number of fleets must be at least 1, got 0"):
        leave_one_out(lira.online)
    with pytest.raises(ValueError, match="the number of models must be at least 2, got 1"):
        LeaveOneOut(Observations(target[None], fleet.member[:1]))
    for attack in VECTORISED.values():
        with pytest.raises(ValueError, match="target and shadows must have the same number of records"):
            attack(target[:-1], shadows)
        with pytest.raises(ValueError, match="target must hold no NaN, got 60 of 60 values"):
            attack(target * np.nan, shadows)
        with pytest.raises(ValueError, match=r"target and shadows\.fleet.signal must have the same shape"):
            attack(fleet.signal[:, 1:], LeaveOneOut(fleet))
    nobody = Observations(shadows.signal, np.ones_like(shadows.member))
    for attack in VECTORISED.values():
        with pytest.raises(ValueError, match=r"shadows must .*, got none to stand in for record 0"):
            attack(target, nobody)
