"""The membership game."""

import copy
import pickle

import numpy as np
import pytest

from mialab.accounting import Neighbours
from mialab.game import Counts, Design, Observations, Outcome, flip_coins
from mialab.tradeoff import pure


def test_definition_every_coin_is_fair_and_independent(rng):
    member = flip_coins(200, 300, rng=rng)
    n = member.size
    assert abs(member.mean() - 0.5) < 4 * 0.5 / np.sqrt(n)
    # Independent: the numbers of members of a record spread like binomials, not like a balanced design.
    spread = member.sum(axis=0).var(ddof=1)
    assert 0.75 * 50 < spread < 1.25 * 50


def test_definition_counts_are_those_of_the_slow_loop(rng):
    score, member = rng.normal(size=50).round(1), rng.random(50) < 0.5
    counts = Outcome(score, member, design=Design.COINS).at(0.3)
    pairs = list(zip(score, member, strict=True))
    assert counts.true_positives == sum(1 for s, m in pairs if m and s >= 0.3)
    assert counts.false_positives == sum(1 for s, m in pairs if not m and s >= 0.3)
    assert counts.members + counts.non_members == 50
    assert counts.design is Design.COINS


def test_limit_everybody_or_nobody_is_accused():
    outcome = Outcome(np.array([0.1, 0.9]), np.array([True, False]))
    assert outcome.at(-np.inf).true_positives == outcome.at(-np.inf).false_positives == 1
    assert outcome.at(np.inf).true_positives == outcome.at(np.inf).false_positives == 0


def test_the_target_leaves_without_its_membership():
    seen = Observations(np.arange(6.0).reshape(3, 2), np.array([[True, False]] * 3))
    target, shadows = seen.leave_out(1)
    assert target.tolist() == [2, 3]
    assert shadows.signal.tolist() == [[0, 1], [4, 5]]
    assert len(shadows) == 2


def test_what_was_recorded_does_not_change():
    score = np.array([0.1, 0.9])
    outcome = Outcome(score, np.array([True, False]))
    score[0] = 5
    assert outcome.score[0] == 0.1
    with pytest.raises(ValueError, match="read-only"):
        outcome.score[0] = 5


PAIR = np.array([0.1, 0.9])
BOTH = np.array([True, False])


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Outcome(PAIR, BOTH[:1]),
            r"score and member must have the same number of records, got 2 and 1",
        ),
        (lambda: Outcome(PAIR, np.array([1, 0])), "member must be an array of bool, got dtype int64"),
        (lambda: Outcome(PAIR, BOTH | True), "member must hold members and non-members, got 2 members of 2"),
        (lambda: Outcome(PAIR[:0], BOTH[:0]), "member must hold members and non-members, got 0 members of 0"),
        (lambda: Outcome(PAIR * np.nan, BOTH), r"score must hold no NaN, got 2 of 2 values"),
        (lambda: Outcome(PAIR / 0.0, BOTH), "score must be finite, got inf"),
        (lambda: Outcome(PAIR[None], BOTH[None]), r"score must have shape \(records\), got shape \(1, 2\)"),
        (lambda: Outcome(PAIR, BOTH).at(np.nan), "threshold must be a number, got nan"),
        (lambda: Observations(PAIR, BOTH), r"signal must have shape \(models, records\), got shape \(2,\)"),
        (lambda: Observations(PAIR[None], BOTH[None]).leave_out(1), "model must be in 0 … 0, got 1"),
        (lambda: Counts(3, 2, 0, 1), r"true_positives must be in 0 … 2 \(members\), got 3"),
        (lambda: Counts(0, 0, 0, 1), "members must be at least 1, got 0"),
        (lambda: flip_coins(0, 3, rng=np.random.default_rng(0)), "models must be at least 1, got 0"),
    ],
)
def test_the_door(make, message):
    with np.errstate(divide="ignore"), pytest.raises(ValueError, match=message):
        make()


def test_definition_a_design_and_neighbours_have_one_spelling():
    """What the command takes is what Python takes, and what is printed."""
    for kind, words in (
        (Design, ("coins", "fixed", "one-run", "runs", "unknown")),
        (Neighbours, ("add-remove", "replace-one")),
    ):
        assert [str(one) for one in kind] == list(words)
        assert [kind(word) for word in words] == list(kind)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_definition_what_a_game_has_recorded_stays_locked(copied):
    seen = Observations(PAIR[None], BOTH[None])
    end = Outcome(PAIR, BOTH, design=Design.RUNS)
    for whole, names in ((seen, ("signal", "member")), (end, ("score", "member"))):
        again = copied(whole)
        for name in names:
            np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
            assert not getattr(again, name).flags.writeable
    assert copied(end).design is Design.RUNS
    curve = pure(1.0)
    assert not copied(curve).member.flags.writeable


@pytest.mark.usefixtures("at_the_door")
def test_definition_a_design_is_taken_by_its_word():
    assert Outcome([2.0, 1.0], [True, False], design="runs").design is Design.RUNS
    for wrong in ("independent runs", "Runs", "nonsense", 3, None):
        with pytest.raises(ValueError, match="design must be one of 'coins', 'fixed', 'one-run', 'runs'"):
            Outcome([2.0, 1.0], [True, False], design=wrong)
