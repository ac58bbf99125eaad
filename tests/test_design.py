"""Designs that leak are noticed where models take turns; coins, whatever their bias, are left in peace."""

import warnings

import numpy as np
import pytest

from mialab._design import log_chance_of_overlap, log_chance_of_spread
from mialab.attacks import lira, threshold
from mialab.attacks.shadow_stats import leave_one_out
from mialab.game import Observations, flip_coins


def held_by(number, models, records, rng):
    """Give every record to exactly this many of the models."""
    rows = np.arange(models)[:, None] < number
    return rng.permuted(np.broadcast_to(rows, (models, records)), axis=0)


def in_pairs(models, records, rng):
    half = rng.random((models // 2, records)) < 0.5
    return np.concatenate([half, ~half])


def one_pair(models, records, rng, turn):
    member = rng.random((models, records)) < 0.5
    member[-1] = member[0] ^ turn
    return member


LEAK = {
    "half of the models": lambda m, r, rng: held_by(m // 2, m, r, rng),
    "a quarter of the models": lambda m, r, rng: held_by(max(m // 4, 1), m, r, rng),
    "nearly half of the models": lambda m, r, rng: held_by(m // 2 + (rng.random(r) < 0.5), m, r, rng),
    "pairs of opposites": in_pairs,
    "one pair of opposites": lambda m, r, rng: one_pair(m, r, rng, turn=True),
    "one pair of twins": lambda m, r, rng: one_pair(m, r, rng, turn=False),
    "records with rates of their own": lambda m, r, rng: rng.random((m, r)) < rng.random(r),
}
FAIR = {
    "fair coins": lambda m, r, rng: rng.random((m, r)) < 0.5,
    "biased coins": lambda m, r, rng: rng.random((m, r)) < 0.2,
    "rare members": lambda m, r, rng: rng.random((m, r)) < 0.01,
    "a fixed number in each model": lambda m, r, rng: rng.permuted(
        np.broadcast_to(np.arange(r) < r // 2, (m, r)), axis=1
    ),
    "everybody": lambda m, r, rng: np.ones((m, r), dtype=bool),
}


def taken(member):
    return Observations(np.zeros(member.shape), member).leave_one_out(lambda target, shadows: target)


@pytest.mark.parametrize("design", LEAK)
@pytest.mark.parametrize(("models", "records"), [(4, 400), (8, 400), (17, 300), (64, 300)])
def test_a_design_that_leaks_is_noticed(design, models, records, rng):
    member = LEAK[design](models, records, rng)
    with pytest.warns(UserWarning, match="membership is not like coins"):
        taken(member)
    with pytest.warns(UserWarning, match="membership is not like coins"):
        leave_one_out(threshold.calibrated, Observations(rng.normal(size=member.shape), member))


@pytest.mark.parametrize("design", FAIR)
@pytest.mark.parametrize(("models", "records"), [(1, 50), (2, 1), (3, 400), (16, 60), (64, 300), (1100, 5)])
def test_coins_of_any_bias_are_left_in_peace(design, models, records, rng):
    for _ in range(5):
        taken(FAIR[design](models, records, rng))


def test_records_of_one_person_share_a_coin_and_are_left_in_peace(rng):
    for models, people, each in ((8, 100, 10), (16, 100, 10), (64, 5, 100), (64, 20, 30)):
        for _ in range(5):
            taken(np.repeat(flip_coins(models, people, rng=rng), each, axis=1))
    rigged = np.repeat(held_by(8, 16, 100, rng), 10, axis=1)
    with pytest.warns(UserWarning, match="how many models hold each record"):
        taken(rigged)


@pytest.mark.parametrize("bound", [log_chance_of_spread, log_chance_of_overlap])
def test_coverage_chances_are_bounds(bound, rng):
    """Under coins, a chance of at most e^b is found in at most that share of all cases."""
    for models, records, p in ((2, 10, 0.5), (6, 30, 0.5), (10, 30, 0.3)):
        found = np.array([bound(rng.random((models, records)) < p) for _ in range(400)])
        for level in (0.3, 0.1, 0.03):
            assert np.mean(found <= np.log(level)) <= level + 3 * np.sqrt(level / 400)


def test_definition_the_chance_of_a_balanced_design_is_that_of_its_columns():
    """All 30 records in 4 of 8 models: coins do that with chance (70/256)³⁰."""
    rng = np.random.default_rng(0)
    exact = 30 * np.log(70 / 256)
    assert exact <= log_chance_of_spread(held_by(4, 8, 30, rng)) <= exact + np.log(2 * 8 * 30)


def test_a_single_target_with_its_own_shadows_is_nobodys_turn(rng):
    seen = Observations(rng.normal(size=(16, 400)), held_by(8, 16, 400, rng))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lira.online(*seen.leave_out(0))
