"""Controls that every attack in the package must pass, and one that every experiment must pass.

An attack that fails to see a planted leak is broken; one that sees a leak where there is none has cheated.
"""

import importlib
import inspect
import pkgutil
from functools import partial

import numpy as np
import pytest

from mialab import attacks, metrics
from mialab.attacks import few_shadows, label_only, learned, lira, rmia, threshold
from mialab.attacks.shadow_stats import leave_one_out
from mialab.game import Observations, flip_coins

LABEL = np.arange(400) % 4


def as_log_probabilities(attack):
    """Hand on signals of any height as log-probabilities, in the same order."""

    def on_logs(target, shadows):
        signal = -np.logaddexp(0, -shadows.signal)
        return attack(-np.logaddexp(0, -target), Observations(signal, shadows.member))

    return on_logs


def as_answers(attack):
    """Hand on whether signals lie above three cuts: the right and wrong answers to three queries."""

    def on_bits(target, shadows):
        bits = [Observations((shadows.signal > cut).astype(float), shadows.member) for cut in (1, 2, 3)]
        return attack(np.stack([(target > cut).astype(float) for cut in (1, 2, 3)]), bits)

    return on_bits


ATTACKS = {
    "learned.logistic": lambda target, shadows: learned.logistic(target[None], [shadows], LABEL),
    "label_only.by_count": as_answers(label_only.by_count),
    "threshold.calibrated": threshold.calibrated,
    "lira.online": lira.online,
    "lira.online, pooled": partial(lira.online, spread="pooled"),
    "lira.offline": lira.offline,
    "lira.offline, pooled": partial(lira.offline, spread="pooled"),
    "few_shadows.shrunken_t": few_shadows.shrunken_t,
    "rmia.online": as_log_probabilities(rmia.online),
    "rmia.offline": as_log_probabilities(partial(rmia.offline, a=0.5)),
}
RANK_ATTACKS = {
    # What depends on the order of the signals alone: what is accused, and a score.
    "threshold.choose_threshold": lambda target, shadows: np.where(
        target >= threshold.choose_threshold(shadows), 1.0, 0.0
    ),
    "the signal itself": lambda target, shadows: target.argsort().argsort().astype(float),
}


def fleet_of(rng, gain, models=9):
    """Models that lift their members' signals by ``gain``; records of different levels."""
    member = flip_coins(models, len(LABEL), rng=rng)
    level = rng.normal(scale=0.5, size=len(LABEL))
    return Observations(level + gain * member + rng.normal(scale=0.3, size=member.shape), member)


def mean_area(attack, fleets, truth=lambda member: member):
    """Average, over fleets, the AUC with every model as target."""
    scores = [one.leave_one_out(attack) for one in fleets]
    outcomes = [Observations(one.signal, truth(one.member)) for one in scores]
    return np.mean([metrics.pooled_roc(one).auc for one in outcomes])


def is_a_coin(area):
    """Near one half: six fleets of 9 × 400 fair coins give it a standard error of .004 (Mann-Whitney)."""
    return abs(area - 0.5) < 4 * 0.004


def test_every_attack_of_the_package_is_here():
    found = set()
    for module in pkgutil.iter_modules(attacks.__path__):
        names = vars(importlib.import_module(f"mialab.attacks.{module.name}"))
        for name, function in names.items():
            own = inspect.isfunction(function) and function.__module__ == f"mialab.attacks.{module.name}"
            if (
                own
                and name[0] != "_"
                and list(inspect.signature(function).parameters)[:2] == ["target", "shadows"]
            ):
                found.add(f"{module.name}.{name}")
    helpers = {"shadow_stats.shadow_stats", "shadow_stats.log_means", "learned.stack"}
    assert found - helpers == {name.split(",")[0] for name in ATTACKS}


@pytest.mark.parametrize("attack", ATTACKS)
def test_control_a_memoriser_is_seen(rng, attack):
    fleet = fleet_of(rng, gain=5.0)
    roc = metrics.pooled_roc(fleet.leave_one_out(ATTACKS[attack]))
    assert roc.auc > 0.97


@pytest.mark.parametrize("attack", ATTACKS)
def test_control_a_model_that_does_not_depend_on_its_data_gives_nothing_away(rng, attack):
    fleets = [fleet_of(rng, gain=0.0) for _ in range(6)]
    assert is_a_coin(mean_area(ATTACKS[attack], fleets))


@pytest.mark.parametrize("attack", ATTACKS)
def test_control_shuffled_membership_is_not_found(rng, attack):
    fleets = [fleet_of(rng, gain=5.0) for _ in range(6)]
    assert is_a_coin(mean_area(ATTACKS[attack], fleets, truth=lambda member: rng.permuted(member, axis=1)))


@pytest.mark.parametrize("attack", ATTACKS)
def test_control_what_the_attack_says_does_not_depend_on_how_often_shadows_hold_a_record(rng, attack):
    """Signals that are the same for all models: all that is left to see is the shadows' membership."""
    fleet = fleet_of(rng, gain=0.0)
    level = np.broadcast_to(fleet.signal[0], fleet.signal.shape)
    noise = rng.normal(scale=1e-6, size=level.shape)  # so that there is a spread at all
    fleets = [Observations(level + noise, flip_coins(*level.shape, rng=rng)) for _ in range(6)]
    assert is_a_coin(mean_area(ATTACKS[attack], fleets))


def counts_alone(target, shadows):
    """Score by nothing but the shadows' membership."""
    return -shadows.member.sum(axis=0).astype(float)


def balanced(rng, models, records):
    """As many models with a record as without it: the design that gives the answer away."""
    rows = np.arange(models)[:, None] < models // 2
    return rng.permuted(np.broadcast_to(rows, (models, records)), axis=0)


def test_control_counting_the_shadows_is_a_coin_under_coins_and_certain_under_a_balanced_design(rng):
    noise = rng.normal(size=(10, 400))
    coins = [Observations(noise, flip_coins(10, 400, rng=rng)) for _ in range(6)]
    assert is_a_coin(mean_area(counts_alone, coins))
    rigged = Observations(noise, balanced(rng, 10, 400))
    with pytest.warns(UserWarning, match="membership is not like coins"):
        assert metrics.pooled_roc(rigged.leave_one_out(counts_alone)).auc == 1


def test_the_control_can_fail_lira_on_noise_is_no_coin_under_a_balanced_design(rng):
    noise = rng.normal(size=(6, 6, 400))
    with pytest.warns(UserWarning, match="membership is not like coins"):
        assert mean_area(lira.online, [Observations(one, balanced(rng, 6, 400)) for one in noise]) < 0.4
    assert is_a_coin(
        mean_area(lira.online, [Observations(one, flip_coins(6, 400, rng=rng)) for one in noise])
    )


@pytest.mark.parametrize("attack", RANK_ATTACKS)
@pytest.mark.parametrize("change", [np.exp, np.cbrt, lambda signal: 3 * signal - 7])
def test_control_a_monotone_change_of_the_signal_changes_no_rank_attack(rng, attack, change):
    fleet = fleet_of(rng, gain=1.0)
    changed = Observations(change(fleet.signal), fleet.member)
    before, after = (one.leave_one_out(RANK_ATTACKS[attack]).signal for one in (fleet, changed))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "attack", sorted(set(ATTACKS) - {"label_only.by_count", "rmia.online", "rmia.offline"})
)
def test_control_units_of_the_signal_do_not_matter(rng, attack):
    """Attacks that compare heights see the same whatever the unit and the zero."""
    fleet = fleet_of(rng, gain=1.0)
    changed = Observations(3 * fleet.signal - 7, fleet.member)
    areas = [metrics.pooled_roc(one.leave_one_out(ATTACKS[attack])).auc for one in (fleet, changed)]
    assert areas[0] == pytest.approx(areas[1], abs=1e-3)


def test_coverage_the_interval_over_models_and_records_holds_the_attacks_true_area(rng):
    """Targets share records and shadows; the interval must hold for the whole of it."""

    def fleet(models, records):
        member = flip_coins(models, records, rng=rng)
        luck = rng.normal(scale=0.3, size=(models, 1))  # one model leaks more than another
        level, memory = rng.normal(scale=2, size=records), rng.exponential(1.0, size=records)
        return Observations(level + (1 + luck) * memory * member + rng.normal(size=member.shape), member)

    attack = partial(lira.online, spread="pooled")
    big = [fleet(9, 4000) for _ in range(30)]
    truth = np.mean([metrics.pooled_roc(leave_one_out(attack, one)).auc for one in big])
    inside = 0
    for _ in range(60):
        one = fleet(9, 150)
        scores = leave_one_out(attack, one)
        interval = metrics.bootstrap(scores, lambda roc: roc.auc, rng=rng, resamples=200)
        inside += interval.low <= truth <= interval.high
    assert inside >= 52  # of 60 at 95 %; 51 or fewer: once in 1,000
