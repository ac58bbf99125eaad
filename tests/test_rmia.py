"""RMIA: the literal double loop, what gamma does and does not do, the choice of a, the door."""

from functools import partial

import numpy as np
import pytest

from mialab import metrics
from mialab.attacks import rmia
from mialab.attacks.shadow_stats import leave_one_out
from mialab.game import Observations, Outcome, flip_coins


def fleet_of(rng, models=9, records=80, a=0.6):
    """Models that lift the probability of a member from p to a·p + 1 − a, up to noise."""
    member = flip_coins(models, records, rng=rng)
    p = rng.uniform(0.05, 0.9, size=records) * rng.uniform(0.8, 1, size=member.shape)
    return Observations(np.log(np.where(member, a * p + 1 - a, p)), member)


def literally(target, shadows, gamma, population, average):
    """Count the share of records z with Pr(x|θ)/Pr(x) ≥ γ·Pr(z|θ)/Pr(z), one pair after the other."""
    ratio = [
        np.exp(target[i]) / average(np.exp(shadows.signal[:, i]), shadows.member[:, i]) for i in range(80)
    ]
    return np.array([np.mean([rx / ratio[z] >= gamma for z in population]) for rx in ratio])


def both_sides(fleet):
    few = np.minimum(fleet.member.sum(axis=0), (~fleet.member).sum(axis=0))
    assert few.min() >= 1
    return fleet


@pytest.mark.parametrize("gamma", [1.0, 1.3, 2.0])
def test_definition_online(rng, gamma):
    target, shadows = both_sides(fleet_of(rng, models=16)).leave_out(0)
    want = literally(
        target, shadows, gamma, range(80), lambda p, member: (p[member].mean() + p[~member].mean()) / 2
    )
    np.testing.assert_allclose(rmia.online(target, shadows, gamma=gamma), want, atol=1 / 80)
    assert np.mean(rmia.online(target, shadows, gamma=gamma) == want) > 0.9  # ties with itself may round


@pytest.mark.parametrize("a", [0.0, 0.4, 1.0])
def test_definition_offline(rng, a):
    target, shadows = both_sides(fleet_of(rng, models=16)).leave_out(0)
    population = np.arange(80) % 3 == 0
    want = literally(
        target,
        shadows,
        1.5,
        np.flatnonzero(population),
        lambda p, member: ((1 + a) * p[~member].mean() + 1 - a) / 2,
    )
    got = rmia.offline(target, shadows, a=a, gamma=1.5, population=population)
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_gamma_changes_no_order_but_ties(rng):
    target, shadows = fleet_of(rng, records=500).leave_out(0)
    fine, coarse = (rmia.online(target, shadows, gamma=gamma) for gamma in (1.0, 2.0))
    order = np.argsort(fine)
    assert np.all(np.diff(coarse[order]) >= 0)
    assert len(np.unique(coarse)) < len(np.unique(fine))


def test_limit_at_a_equal_one_only_the_shadows_without_it_count(rng):
    target, shadows = both_sides(fleet_of(rng, models=16)).leave_out(0)
    out = np.array([np.exp(shadows.signal[~shadows.member[:, i], i]).mean() for i in range(80)])
    ratio = np.exp(target) / out
    got = rmia.offline(target, shadows, a=1.0)
    np.testing.assert_array_equal(np.argsort(got, kind="stable"), np.argsort(ratio, kind="stable"))


def test_no_probability_is_too_small():
    member = np.array([[True, False], [False, True]])
    shadows = Observations(np.array([[-2000.0, -3000.0], [-2005.0, -2990.0]]), member)
    np.testing.assert_array_equal(rmia.online(np.array([-1990.0, -3100.0]), shadows), [1, 0.5])


@pytest.mark.parametrize("truth", [0.2, 0.6])
def test_a_is_chosen_as_the_shadows_behave(rng, truth):
    shadows = fleet_of(rng, models=10, records=1500, a=truth)
    assert abs(rmia.choose_a(shadows) - truth) <= 0.21


def test_the_chosen_a_serves_best_on_targets_it_has_not_seen(rng):
    fleet = fleet_of(rng, models=20, records=1500, a=0.3)
    mine, others = (
        Observations(fleet.signal[:8], fleet.member[:8]),
        Observations(fleet.signal[8:], fleet.member[8:]),
    )

    def area(a):
        return metrics.pooled_roc(leave_one_out(partial(rmia.offline, a=a), others)).auc

    assert area(rmia.choose_a(mine)) >= max(area(a) for a in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)) - 0.005


def test_definition_the_area_is_that_of_metrics(rng):
    score, member = rng.integers(5, size=100).astype(float), flip_coins(1, 100, rng=rng)[0]
    assert rmia._area(score, member) == pytest.approx(metrics.auc(Outcome(score, member)).value)


@pytest.mark.usefixtures("at_the_door")
def test_the_door(rng):
    target, shadows = fleet_of(rng).leave_out(0)
    for attack in (rmia.online, lambda *args, **options: rmia.offline(*args, a=0.5, **options)):
        with pytest.raises(ValueError, match=r"target must be log-probabilities, at most 0 .*, got 0.5"):
            attack(target * 0 + 0.5, shadows)
        with pytest.raises(ValueError, match="gamma must be a number, got nan"):
            attack(target, shadows, gamma=np.nan)
        with pytest.raises(ValueError, match="population must hold at least one record, got none"):
            attack(target, shadows, population=np.zeros(80, dtype=bool))
    with pytest.raises(ValueError, match=r"a must be in \[0, 1\], got 1.3"):
        rmia.offline(target, shadows, a=1.3)
    with pytest.raises(ValueError, match=r"shadows.member must hold members and non-members, got 80"):
        rmia.choose_a(Observations(shadows.signal, np.ones_like(shadows.member)))
