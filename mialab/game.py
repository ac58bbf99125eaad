"""The membership game: who was in, who was accused.

A coin decides, for every model and every record, whether the record is in that model's training set.
The attacker sees a signal and returns a score; only the game-master holds both the score and the coin,
and only the game-master makes an `Outcome`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from mialab import _check
from mialab._design import warn_unless_coins
from mialab._types import Member, MemberMatrix, Score, SignalMatrix
from mialab._validation import door


class Design(StrEnum):
    """How membership was decided. A bound is proved for some of these and refuses the others.

    The words are those that the command takes, and that are printed.

    Examples
    --------
    >>> Design("one-run") is Design.ONE_RUN, str(Design.RUNS)
    (True, 'runs')
    """

    COINS = "coins"
    """Independent coins: each record of each model is a member by its own fair coin."""
    FIXED = "fixed"
    """The numbers of members and of non-members were chosen; which records is random."""
    ONE_RUN = "one-run"
    """Many canaries, each in or out of one single training run by its own fair coin."""
    RUNS = "runs"
    """Independent runs: each trial is a training run of its own."""
    UNKNOWN = "unknown"
    """Nobody says. What is computed from it is a description, never a bound."""


@door
def flip_coins(models: int, records: int, *, rng: np.random.Generator) -> MemberMatrix:
    """Decide membership by independent fair coins, one for each model and record.

    Columns are not balanced on purpose: with as many models in as out for each record, counting the
    other models of a record would tell whether this one holds it.

    Parameters
    ----------
    models, records
        Shape of the matrix; each at least 1.
    rng
        Where the coins come from.

    Returns
    -------
    Bool array (models, records), True where the record is in the model's training set.

    Raises
    ------
    ValueError
        If a number is below 1.

    Examples
    --------
    >>> coins = flip_coins(3, 1000, rng=np.random.default_rng(0))
    >>> coins.shape, abs(coins.mean() - 0.5) < 0.03
    ((3, 1000), np.True_)
    """
    _check.count("models", models, 1)
    _check.count("records", records, 1)
    return rng.random((int(models), int(records))) < 0.5


def _lock(thing: object, **arrays: np.ndarray) -> None:
    """Copy arrays and lock the copies: what a game has recorded does not change afterwards."""
    for name, array in arrays.items():
        copy = array.copy()
        copy.flags.writeable = False
        object.__setattr__(thing, name, copy)


@door
@dataclass(frozen=True, eq=False, repr=False)
class Observations:
    """Signals of many models on many records, and who was in: the design matrix of an experiment.

    An attack turns them into scores, which are held in the same way: the signal itself is the score of the
    simplest attack. The metrics that are pooled over models take either.

    Attributes
    ----------
    signal
        Float (models, records), higher means "member".
    member
        Bool (models, records), True where the record was in the model's training set.

    Raises
    ------
    ValueError
        If the shapes differ, there are not two axes, ``member`` is not bool or a signal is not finite.

    Examples
    --------
    >>> seen = Observations(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[True, False], [False, True]]))
    >>> seen
    Observations(2 models × 2 records: 2 members, 2 non-members)
    >>> target, shadows = seen.leave_out(0)
    >>> target, shadows.signal
    (array([0.9, 0.1]), array([[0.2, 0.8]]))
    >>> seen[:, :1]
    Observations(2 models × 1 records: 1 members, 1 non-members)
    """

    signal: SignalMatrix
    member: MemberMatrix

    def __post_init__(self):
        _check.finite("signal", self.signal)
        _lock(self, signal=self.signal, member=self.member)

    def __reduce__(self) -> tuple:
        """Copy and unpickle by making it anew: arrays lose their lock on any other way."""
        return Observations, (self.signal, self.member)

    def __len__(self) -> int:
        """Return the number of models."""
        return len(self.signal)

    def __getitem__(self, cells: Any) -> "Observations":
        """Take some of the models, or of the records: ``fleet[:64]``, ``fleet[:, chosen]``."""
        return Observations(self.signal[cells], self.member[cells])

    def __repr__(self) -> str:
        """Say how many there are of what, and never a signal or who was in."""
        models, records = self.signal.shape
        return f"Observations({models:,} models × {records:,} records: {_members(self.member)})"

    @door
    def leave_out(self, model: int) -> "tuple[Score, Observations]":
        """Split off one model as the target.

        Returns the target's signals (records,), without its membership, and the other models with
        theirs: what the attacker sees, and what the attacker owns.
        """
        if not 0 <= model < len(self):
            _check.refuse("model", f"be in 0 … {len(self) - 1}", model)
        return self.signal[model], self[np.arange(len(self)) != model]

    @door
    def leave_one_out(self, attack: "Callable[[Score, Observations], Score]") -> "Observations":
        """Score every record for every model, with all the other models as shadows; takes any attack.

        ``attack(target, shadows)`` gets what `leave_out` returns, and so never the target's membership.
        Returns the scores in the place of the signals, beside the same ``member``. Warns where membership
        over the models is not like independent coins, so that who was in the shadows tells who is in the
        target: as where every record is in exactly half of the models, or two models share all or none.
        `attacks.shadow_stats.leave_one_out` does the same at once, for attacks that can.

        Examples
        --------
        >>> seen = Observations(np.array([[3.0, 1.0], [1.0, 1.0]]), np.array([[True, False], [False, True]]))
        >>> seen.leave_one_out(lambda target, shadows: target - shadows.signal.mean(axis=0)).signal
        array([[ 2.,  0.],
               [-2.,  0.]])
        """
        warn_unless_coins(self.member)
        scores = np.stack([attack(*self.leave_out(model)) for model in range(len(self))])
        return Observations(scores, self.member)


def _members(member: np.ndarray) -> str:
    """Say how many members and non-members there are."""
    members = np.count_nonzero(member)
    return f"{members:,} members, {member.size - members:,} non-members"


@door
@dataclass(frozen=True, repr=False)
class Counts:
    """What accusing came to: the whole numbers that an audit may rest on.

    Attributes
    ----------
    true_positives, members
        How many members were accused, and of how many.
    false_positives, non_members
        How many non-members were accused, and of how many.
    design
        How membership was decided.

    Raises
    ------
    ValueError
        If a side is empty or has more accused than it has records.

    Examples
    --------
    >>> Counts(true_positives=8, members=10, false_positives=1, non_members=10)
    Counts(accused: 8 of 10 members, 1 of 10 non-members; unknown)
    """

    true_positives: int
    members: int
    false_positives: int
    non_members: int
    design: Design = field(default=Design.UNKNOWN, kw_only=True)

    def __post_init__(self):
        for accused, side in (("true_positives", "members"), ("false_positives", "non_members")):
            hits, size = getattr(self, accused), getattr(self, side)
            _check.at_least(side, size, 1)
            _check.within(accused, hits, size, side)

    def __repr__(self) -> str:
        """Say it in one line."""
        hits = f"{self.true_positives:,} of {self.members:,} members"
        false = f"{self.false_positives:,} of {self.non_members:,} non-members"
        return f"Counts(accused: {hits}, {false}; {self.design})"


@door
@dataclass(frozen=True, eq=False, repr=False)
class Outcome:
    """The end of a game: the attacker's scores beside the truth.

    `Outcome.from_labels` takes labels first, as scikit-learn does; `Outcome.from_train_test` takes the scores
    of members and of non-members apart.

    Attributes
    ----------
    score
        Float (records,), higher means "member".
    member
        Bool (records,).
    design
        How membership was decided; a bound asks for it.

    Raises
    ------
    ValueError
        If the shapes differ, there is more than one axis, one kind is missing, ``member`` is not bool
        or a score is not finite.

    Examples
    --------
    >>> end = Outcome(np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, False, True, False]))
    >>> end
    Outcome(4 scores: 2 members, 2 non-members; unknown)
    >>> end.at(0.5)
    Counts(accused: 1 of 2 members, 1 of 2 non-members; unknown)
    """

    score: Score
    member: Member
    design: Design = field(default=Design.UNKNOWN, kw_only=True)

    def __post_init__(self):
        _check.finite("score", self.score)
        _check.both_kinds("member", self.member)
        _lock(self, score=self.score, member=self.member)

    @classmethod
    @door
    def from_labels(
        cls,
        y_true: Int[ndarray, "records"] | Bool[ndarray, "records"],
        y_score: Score,
        *,
        design: Design = Design.UNKNOWN,
    ) -> "Outcome":
        """Make an outcome of labels and scores, in the order of `sklearn.metrics.roc_auc_score`.

        Parameters
        ----------
        y_true
            Who is a member, (records,): 1 or True for a member, 0 or False for a non-member.
        y_score
            Float (records,), higher means "member". Losses point the other way: pass their negatives.
        design
            How membership was decided.

        Raises
        ------
        ValueError
            If a label is neither 0 nor 1, or `Outcome` refuses the rest.

        Examples
        --------
        >>> Outcome.from_labels(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.3, 0.1]), design="coins")
        Outcome(4 scores: 2 members, 2 non-members; coins)
        """
        strange = np.count_nonzero((y_true != 0) & (y_true != 1))
        if strange:
            _check.refuse("y_true", "be 1 for members and 0 for non-members", f"{strange} other values")
        _check.both_kinds("y_true", y_true)
        _check.finite("y_score", y_score)
        return cls(y_score, y_true == 1, design=design)

    @classmethod
    @door
    def from_train_test(
        cls,
        train_scores: Float[ndarray, "members"],
        test_scores: Float[ndarray, "non_members"],
        *,
        design: Design = Design.UNKNOWN,
    ) -> "Outcome":
        """Make an outcome of the scores of training records, the members, and of test records.

        Parameters
        ----------
        train_scores, test_scores
            Float (members,) and (non_members,), at least one each; higher means "member".
        design
            How it was decided which records were trained on.

        Raises
        ------
        ValueError
            If a side has no scores, or a score is not finite.

        Examples
        --------
        >>> Outcome.from_train_test(np.array([0.9, 0.3]), np.array([0.8, 0.1, 0.2]), design="fixed")
        Outcome(5 scores: 2 members, 3 non-members; fixed)
        """
        for name, scores in (("train_scores", train_scores), ("test_scores", test_scores)):
            _check.hold(name, scores, 1, "scores")
            _check.finite(name, scores)
        score = np.concatenate([train_scores, test_scores])
        return cls(score, np.arange(score.size) < train_scores.size, design=design)

    def __reduce__(self) -> tuple:
        """Copy and unpickle by making it anew: arrays lose their lock on any other way."""
        return partial(Outcome, design=self.design), (self.score, self.member)

    def __repr__(self) -> str:
        """Say how many there are of what, and never a score or who is a member."""
        return f"Outcome({self.score.size:,} scores: {_members(self.member)}; {self.design})"

    @door
    def at(self, threshold: float) -> Counts:
        """Accuse every record whose score is at least ``threshold``, and count."""
        accused, member = self.score >= threshold, self.member
        counted = (accused & member, member, accused & ~member, ~member)  # as `Counts` has them
        return Counts(*(int(one.sum()) for one in counted), design=self.design)
