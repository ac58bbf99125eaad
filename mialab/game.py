"""The membership game: who was in, who was accused.

A coin decides, for every model and every record, whether the record is in that model's training set.
The attacker sees a signal and returns a score; only the game-master holds both the score and the coin,
and only the game-master makes an `Outcome`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

import numpy as np

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


def _own(array: np.ndarray, dtype: type) -> np.ndarray:
    """Copy an array and lock the copy: what a game has recorded does not change afterwards."""
    copy = np.array(array, dtype=dtype)
    copy.flags.writeable = False
    return copy


@door
@dataclass(frozen=True, eq=False)
class Observations:
    """What many models gave away about many records: the design matrix of an experiment.

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
    >>> target, shadows = seen.leave_out(0)
    >>> target, shadows.signal
    (array([0.9, 0.1]), array([[0.2, 0.8]]))
    """

    signal: SignalMatrix
    member: MemberMatrix

    def __post_init__(self):
        _check.finite("signal", self.signal)
        object.__setattr__(self, "signal", _own(self.signal, float))
        object.__setattr__(self, "member", _own(self.member, bool))

    def __reduce__(self) -> tuple:
        """Copy and unpickle by making it anew: arrays lose their lock on any other way."""
        return Observations, (self.signal, self.member)

    def __len__(self) -> int:
        """Return the number of models."""
        return len(self.signal)

    @door
    def leave_out(self, model: int) -> "tuple[Score, Observations]":
        """Split off one model as the target.

        Returns the target's signals (records,), without its membership, and the other models with
        theirs: what the attacker sees, and what the attacker owns.
        """
        if not 0 <= model < len(self):
            _check.refuse("model", f"be in 0 … {len(self) - 1}", model)
        others = np.arange(len(self)) != model
        return self.signal[model], Observations(self.signal[others], self.member[others])

    @door
    def in_turn(self, attack: "Callable[[Score, Observations], Score]") -> SignalMatrix:
        """Let every model be the target once, with all the others as shadows.

        ``attack(target, shadows)`` gets what `leave_out` returns, and so never the target's membership.
        Returns the scores (models, records), to be compared with ``member``. Warns where membership over
        the models is not like independent coins, so that who was in the shadows tells who is in the target:
        as where every record is in exactly half of the models, or two models share all or none.

        Examples
        --------
        >>> seen = Observations(np.array([[3.0, 1.0], [1.0, 1.0]]), np.array([[True, False], [False, True]]))
        >>> seen.in_turn(lambda target, shadows: target - shadows.signal.mean(axis=0))
        array([[ 2.,  0.],
               [-2.,  0.]])
        """
        warn_unless_coins(self.member)
        return np.stack([attack(*self.leave_out(model)) for model in range(len(self))])


@door
@dataclass(frozen=True)
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
    >>> Counts(true_positives=8, members=10, false_positives=1, non_members=10).true_positives
    8
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
            if not 0 <= hits <= size:
                _check.refuse(accused, f"be in 0 … {size} ({side})", hits)


@door
@dataclass(frozen=True, eq=False)
class Outcome:
    """The end of a game: the attacker's scores beside the truth.

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
    >>> end.at(0.5)  # doctest: +ELLIPSIS
    Counts(true_positives=1, members=2, false_positives=1, non_members=2, ...)
    """

    score: Score
    member: Member
    design: Design = field(default=Design.UNKNOWN, kw_only=True)

    def __post_init__(self):
        _check.finite("score", self.score)
        _check.both_kinds("member", self.member)
        object.__setattr__(self, "score", _own(self.score, float))
        object.__setattr__(self, "member", _own(self.member, bool))

    def __reduce__(self) -> tuple:
        """Copy and unpickle by making it anew: arrays lose their lock on any other way."""
        return partial(Outcome, design=self.design), (self.score, self.member)

    @door
    def at(self, threshold: float) -> Counts:
        """Accuse every record whose score is at least ``threshold``, and count."""
        accused = self.score >= threshold
        members = int(self.member.sum())
        return Counts(
            true_positives=int((accused & self.member).sum()),
            members=members,
            false_positives=int((accused & ~self.member).sum()),
            non_members=self.member.size - members,
            design=self.design,
        )
