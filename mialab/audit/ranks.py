"""Scores as a ranking with ties: what is among the highest, however equal scores fall."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mialab.game import Outcome

Places = int | Int[ndarray, "cuts"]


@dataclass(frozen=True, eq=False)
class Ranks:
    """All scores, and those of members, each sorted: all that an audit may use of an outcome.

    Attributes
    ----------
    score
        Float (records,), rising.
    member
        Float (members,), rising: some of the same scores.
    """

    score: Float[ndarray, "records"]
    member: Float[ndarray, "members"]

    @property
    def non_member(self) -> Float[ndarray, "others"]:
        """The scores of non-members, rising: all, less one for each that a member has."""
        place = np.searchsorted(self.score, self.member)
        place += np.arange(self.member.size) - np.searchsorted(self.member, self.member)
        return np.delete(self.score, place)

    @property
    def sides(self) -> tuple[int, int]:
        """How many members and non-members there are."""
        return self.member.size, self.score.size - self.member.size

    @property
    def distinct(self) -> int:
        """How many scores are distinct."""
        return 1 + int(np.count_nonzero(self.score[1:] != self.score[:-1]))

    @property
    def auc(self) -> float:
        """The area under the ROC, equal scores counting one half.

        Twice the records that a member outscores, with those of equal score once, are counted for each
        member. Of these pairs, members² are pairs of members.
        """
        below = np.searchsorted(self.score, self.member)
        equal = self.distinct < self.score.size
        or_equal = np.searchsorted(self.score, self.member, side="right") if equal else below + 1
        members, non_members = self.sides
        return (int(below.sum()) + int(or_equal.sum()) - members**2) / (2 * members * non_members)

    def surely(self, places: Places, *, members: bool = True) -> Int[ndarray, "cuts"]:
        """Count the members (or the others) among the highest; of equal scores theirs come last."""
        places = np.atleast_1d(places)
        border = self.score[np.minimum(self.score.size - places, self.score.size - 1)]
        above, to_border = _from(self.score, border)
        found, found_to_border = _from(self.member, border)
        if not members:
            found, found_to_border = above - found, to_border - found_to_border
        others = to_border - above - (found_to_border - found)
        return found + np.maximum(0, places - above - others)

    def right(self, ins: Places, outs: Places) -> Int[ndarray, "cuts"]:
        """Guess the highest in and the lowest out, and count who is right, however equal scores fall."""
        return self.surely(ins) + self.turned().surely(outs, members=False)

    def turned(self) -> "Ranks":
        """Return the ranking of the negative scores."""
        return Ranks(-self.score[::-1], -self.member[::-1])

    def best(self) -> "Ranks":
        """Give the highest of the same scores to as many members.

        No other way of giving them out puts more members, or more non-members at the other end, beyond any
        place: the highest k records hold k members, or all of them, and where equal scores stand across that
        border somebody has to share them.
        """
        return Ranks(self.score, self.score[self.score.size - self.member.size :])


def ranks_of(outcome: Outcome) -> Ranks:
    """Return the ranking of an outcome.

    Examples
    --------
    >>> ranks = ranks_of(Outcome(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False])))
    >>> ranks.auc, *(some.surely(2) for some in (ranks, ranks.best(), ranks.turned()))
    (0.875, array([1]), array([1]), array([0]))
    """
    return Ranks(np.sort(outcome.score), np.sort(outcome.score[outcome.member]))


def _from(rising: ndarray, border: ndarray) -> tuple[ndarray, ndarray]:
    """Count what is above the border, and what is not below it."""
    above, below = (np.searchsorted(rising, border, side=side) for side in ("right", "left"))
    return rising.size - above, rising.size - below
