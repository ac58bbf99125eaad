"""Threshold attacks: the slow rule, the limits, and the controls that every attack must pass."""

import numpy as np
import pytest

from mialab import metrics
from mialab.attacks import threshold
from mialab.game import Observations, Outcome, flip_coins


def a_fleet(rng, models=9, records=300, gain=1.0):
    """Signals of models that lift their members' signal by ``gain``."""
    member = flip_coins(models, records, rng=rng)
    return Observations(rng.normal(size=member.shape) + gain * member, member)


def test_definition_the_threshold_is_the_best_of_all_that_were_seen(rng):
    shadows = a_fleet(rng, models=2, records=40)

    def gain(t):
        accused = shadows.signal >= t
        return accused[shadows.member].mean() - accused[~shadows.member].mean()

    best = max(gain(t) for t in shadows.signal.ravel())
    assert gain(threshold.choose_threshold(shadows)) == pytest.approx(best)


@pytest.mark.parametrize("fpr", [0.0, 0.05, 0.5, 1.0])
def test_definition_the_threshold_at_an_fpr_is_the_lowest_allowed(rng, fpr):
    shadows = a_fleet(rng, models=2, records=40)
    chosen = threshold.choose_threshold(shadows, fpr=fpr)
    outside = shadows.signal[~shadows.member]
    assert (outside >= chosen).mean() <= fpr
    below = shadows.signal[shadows.signal < chosen]
    assert below.size == 0 or (outside >= below.max()).mean() > fpr


def test_a_rule_fixed_on_shadows_keeps_its_fpr_on_the_target(rng):
    fleet = a_fleet(rng, models=9, records=2000)
    target, shadows = fleet.leave_out(0)
    counts = Outcome(target, fleet.member[0]).at(threshold.choose_threshold(shadows, fpr=0.1))
    assert abs(metrics.fpr(counts).value - 0.1) < 4 * np.sqrt(0.1 * 0.9 / counts.non_members)


def test_a_rate_that_floats_cannot_write_is_still_allowed():
    shadows = Observations(np.arange(200.0)[None], (np.arange(200) % 2 == 0)[None])
    for fpr in (0.01, 0.02, 0.05, 0.29):
        accused = shadows.signal >= threshold.choose_threshold(shadows, fpr=fpr)
        assert (accused & ~shadows.member).sum() == round(100 * fpr)


@pytest.mark.usefixtures("at_the_door")
def test_the_door(rng):
    one_kind = Observations(np.zeros((1, 2)), np.ones((1, 2), dtype=bool))
    with pytest.raises(
        ValueError, match=r"shadows\.member must hold members and non-members, got 2 members of 2"
    ):
        threshold.choose_threshold(one_kind)
    with pytest.raises(ValueError, match=r"fpr must be in \[0, 1\], got 2"):
        threshold.choose_threshold(a_fleet(rng), fpr=2)
