"""The membership game."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mialab.accounting import Neighbours
from mialab.game import Counts, Design, Observations, Outcome, flip_coins
from mialab.metrics import roc_curve
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


def test_definition_the_constructors_put_labels_and_sides_where_they_belong(rng):
    score, member = rng.normal(size=50), rng.random(50) < 0.5
    plain = Outcome(score, member, design=Design.COINS)
    by_sides = Outcome.from_train_test(score[member], score[~member], design=Design.COINS)
    for label in (member, member.astype(int), member.astype(np.uint8)):
        by_label = Outcome.from_labels(label, score, design=Design.COINS)
        np.testing.assert_array_equal(by_label.score, plain.score)
        np.testing.assert_array_equal(by_label.member, plain.member)
    for cut in score:
        assert plain.at(cut) == by_label.at(cut) == by_sides.at(cut)


def test_oracle_labels_and_scores_come_in_the_order_of_scikit_learn(rng):
    asked = {"y_true": rng.integers(2, size=200), "y_score": rng.normal(size=200)}
    outcome = Outcome.from_labels(**asked)
    assert roc_curve(outcome).auc == pytest.approx(roc_auc_score(**asked), abs=1e-12)
    assert roc_curve(Outcome.from_labels(*asked.values())).auc == roc_curve(outcome).auc


def test_what_is_printed_fits_a_line_and_counts():
    """A score or a membership may be secret, so both are counted and never shown."""
    member = np.arange(4321) % 3 == 0
    outcome = Outcome(np.full(4321, 0.123), member, design=Design.COINS)
    assert repr(outcome) == "Outcome(4,321 scores: 1,441 members, 2,880 non-members; coins)"
    assert repr(outcome.at(1)) == "Counts(accused: 0 of 1,441 members, 0 of 2,880 non-members; coins)"
    fleet = Observations(np.full((1, 4321), 0.123), member[None])
    assert repr(fleet) == "Observations(1 models × 4,321 records: 1,441 members, 2,880 non-members)"
    roc = "Roc(2 points: 1,441 members, 2,880 non-members)"
    assert repr(roc_curve(outcome)) == roc


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
        (lambda: Outcome.from_labels([0, 2], PAIR), "y_true must be 1 for members and 0 for non-members"),
        (lambda: Outcome.from_labels(PAIR, PAIR), "y_true must be integers, got dtype float64"),
        (lambda: Outcome.from_labels([-1, 1], PAIR), "y_true must be 1 for .*, got 1 other values"),
        (lambda: Outcome.from_labels([0, 1], BOTH), "y_score must be an array of numbers, got dtype bool"),
        (lambda: Outcome.from_labels([1, 1], PAIR), "y_true must hold members and non-members"),
        (lambda: Outcome.from_labels([1, 0, 1], PAIR), "must have the same number of records, got 3 and 2"),
        (lambda: Outcome.from_train_test(PAIR, []), "test_scores must hold scores, got none"),
        (lambda: Outcome.from_train_test([], PAIR), "train_scores must hold scores, got none"),
        (lambda: Outcome.from_labels([0, 1], PAIR / 0.0), "y_score must be finite, got inf"),
        (lambda: Outcome.from_train_test(PAIR, PAIR / 0.0), "test_scores must be finite, got inf"),
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
