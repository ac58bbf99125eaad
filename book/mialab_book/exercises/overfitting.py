"""Checkers for the chapter "Overfitting"."""

from collections.abc import Callable, Iterator

import numpy as np

from mialab import metrics
from mialab.game import Observations, Outcome, flip_coins
from mialab_book.exercises._feedback import Feedback, Objection, first_objection, guarded


def check_gap_attack(advantage: float, accuracy: float) -> Feedback:
    """Check the two numbers for "99 % of members and 91 % of non-members are answered correctly".

    Examples
    --------
    >>> check_gap_attack(advantage=0.99, accuracy=0.54)
    Not yet. That is the true-positive rate alone. How many non-members are accused?
    """
    return guarded(lambda: first_objection(_objections_to_gap(advantage, accuracy), GAP_PRAISE))


GAP_PRAISE = "Eight points better on what it has seen, eight points of advantage; nobody saw a probability."


def _objections_to_gap(advantage: float, accuracy: float) -> Iterator[Objection]:
    yield (
        np.isclose(advantage, 0.99),
        "That is the true-positive rate alone. How many non-members are accused?",
    )
    yield abs(advantage) > 1, "Give the advantage as a share, not in per cent."
    yield not np.isclose(advantage, 0.08), "The advantage is TPR − FPR; whom does this rule accuse?"
    yield (
        np.isclose(accuracy, 0.95),
        "That is the model's accuracy; the attacker's is the share of right verdicts.",
    )
    yield np.isclose(accuracy, 0.08), "An advantage of 0 is a coin, and a coin is right half of the time."
    yield accuracy > 1, "Give the accuracy as a share, not in per cent."
    half = "Half of the records are members. What share of them do you judge right? And of the others?"
    yield not np.isclose(accuracy, 0.54), half


def check_advantage(advantage: Callable[[np.ndarray, np.ndarray, float], float]) -> Feedback:
    """Check a function (score, member, threshold) → TPR − FPR of "accuse from the threshold on"."""
    score = np.array([0.9, 0.5, 0.4, 0.5, 0.1, 0.1, 0.1, 0.05, 0.5, 0.0])
    member = np.array([True, True, True, False, False, False, False, False, False, False])

    def objections() -> Iterator[Objection]:
        got = float(advantage(score.copy(), member.copy(), 0.5))
        right, strict = 2 / 3 - 2 / 7, 1 / 3 - 0 / 7
        yield np.isclose(got, -right), "The sign is turned: members must come first."
        yield np.isclose(got, strict), "A score that equals the threshold is accused too: use ≥."
        yield np.isclose(got, np.mean((score >= 0.5) == member)), "That is the accuracy on this sample."
        yield (
            np.isclose(got, 2 / 10 - 2 / 10),
            "Divide by the members and by the non-members, not by all records.",
        )
        yield (
            np.isclose(got, 1 - 2 / 7),
            "The threshold is given: do not choose the best one on the same data.",
        )
        yield not np.isclose(got, right), f"For three members and seven non-members it returned {got:.3f}."
        everybody = float(advantage(score.copy(), member.copy(), -1.0))
        yield not np.isclose(everybody, 0), "Who accuses everybody has no advantage."
        turned = float(advantage(score.copy(), ~member, 0.5))
        yield not np.isclose(turned, -right), "An attack that is worse than a coin has a negative advantage."

    praise = "Rates are shares of their own side, and the threshold came from outside."
    return guarded(lambda: first_objection(objections(), praise))


def check_memorisation(memorisation: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Feedback:
    """Check a function (correct, member) → per-record memorisation, both inputs (models, records)."""
    rng = np.random.default_rng(7)
    member = rng.random((60, 5)) < np.array([0.2, 0.5, 0.5, 0.7, 0.5])
    correct = rng.random((60, 5)) < np.where(member, [1, 1, 0.9, 0.9, 1], [0.1, 0.9, 0.9, 0.3, 0.5])
    right = metrics.memorisation(correct, member, min_count=1)

    def objections() -> Iterator[Objection]:
        got = np.asarray(memorisation(correct.copy(), member.copy()), dtype=float)
        yield got.shape == (60,), "Average over models, not over records."
        yield got.shape != (5,), f"One number for each of the 5 records, please; the shape is {got.shape}."
        yield (
            bool(np.isnan(got).any()),
            "There is a NaN: did you divide by a number of models that is zero?",
        )
        yield np.allclose(got, -right), "It is turned round: in minus out."
        joint = (correct & member).mean(axis=0) - (correct & ~member).mean(axis=0)
        yield np.allclose(got, joint), "Divide by the number of models on each side, not by all models."
        inside = (correct & member).sum(axis=0) / member.sum(axis=0)
        yield (
            np.allclose(got, inside),
            "That is how often members are answered correctly. What would have happened without the record?",
        )
        yield (
            np.allclose(got, inside - correct.mean(axis=0)),
            "Compare with the models without the record, not with all.",
        )
        yield not np.allclose(got, right), f"For record 0 it returned {got[0]:.3f}. Count by hand."

    praise = "The mean of these numbers over all records is the generalisation gap."
    return guarded(lambda: first_objection(objections(), praise))


def coursework_fleet(seed: int) -> Observations:
    """Return a fleet of your own: signals of 48 models on 600 records, drawn from your seed.

    Classes differ in difficulty, and a fifth of the records is memorised.
    """
    rng = np.random.default_rng([20261124, seed])
    member = flip_coins(48, 600, rng=rng)
    ease = rng.normal(scale=3, size=600) + 1.5 * (np.arange(600) % 3)
    memory = np.where(rng.random(600) < 0.2, rng.uniform(2, 3), 0.2)
    return Observations(ease + memory * member + rng.normal(scale=0.5, size=member.shape), member)


Rule = Callable[[np.ndarray, Observations, float], np.ndarray]


def check_coursework(accuse: Rule, *, seed: int) -> Feedback:
    """Grade a rule (target's signals, shadows, fpr) → accused, by what any right rule must have.

    Right rules keep the false-positive rate they were given, on targets they were not tuned on and at more
    than one rate; find far more members than a coin would; and do not depend on the order of the records.
    """
    worlds = [coursework_fleet(1000 * seed + number) for number in range(20)]

    def objections() -> Iterator[Objection]:
        yield from _objections_to_form(accuse, worlds[0])
        for fpr in (0.05, 0.02):
            yield from _objections_to_rates(accuse, worlds, fpr)

    return guarded(
        lambda: first_objection(objections(), "It keeps its promise on targets it has never seen.")
    )


def _objections_to_form(accuse: Rule, world: Observations) -> Iterator[Objection]:
    target, shadows = world.leave_out(0)
    accused = np.asarray(accuse(target, shadows, 0.05))
    yield accused.shape != target.shape, f"One verdict a record, please; the shape is {accused.shape}."
    yield accused.dtype != bool, "Return booleans: accused or not."
    order = np.random.default_rng(0).permutation(len(target))
    shuffled = accuse(target[order], Observations(shadows.signal[:, order], shadows.member[:, order]), 0.05)
    yield not np.array_equal(shuffled, accused[order]), "Its verdicts depend on the order of the records."


def _objections_to_rates(accuse: Rule, worlds: list[Observations], fpr: float) -> Iterator[Objection]:
    pairs = [(accuse(*world.leave_out(0), fpr), world.member[0]) for world in worlds]
    counts = [Outcome(accused.astype(float), member).at(1.0) for accused, member in pairs]
    false = sum(one.false_positives for one in counts) / sum(one.non_members for one in counts)
    hits = sum(one.true_positives for one in counts) / sum(one.members for one in counts)
    yield hits + false == 0, "Nobody is ever accused."
    promised = f"Told to accuse {fpr:.0%} of the non-members, it accuses {false:.1%} of those of new targets."
    yield false > 2 * fpr, f"{promised} Is the threshold chosen for the rate that it was given?"
    own_data = "Did the shadows that set the threshold also make its scores? Attack them in turn."
    yield false > 1.3 * fpr, f"{promised} {own_data}"
    yield false < 0.5 * fpr, f"{promised} The allowance is not used."
    found = f"At {false:.1%} of the non-members it finds {hits:.1%} of the members."
    yield hits < 3 * false, f"{found} Whom does it accuse: members, or records that are easy for every model?"
