"""What an experiment left: a rule's counts, a ranking of scores, guesses in one run, a stream of calls.

An audit looks at each of them four times: as it is, at its best, turned round, and all right.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import bdtr, bdtrc

from mialab import _check
from mialab._round import digits_up
from mialab._validation import door
from mialab.audit.betting import ConfidenceSequence
from mialab.game import Counts, Design, Outcome
from mialab.metrics import Estimate, balanced_accuracy
from mialab.metrics.estimate import proportion_at_least, proportion_at_most, widened
from mialab.metrics.roc import auc_of

Places = int | Int[ndarray, "cuts"]

_MOST = 2**31 - 1  # trials: SciPy's binomial counts no further
_UNFAIR = 1e-2  # a balance that coins show more rarely is pointed at


@door
@dataclass(frozen=True)
class Guesses:
    """How many of the coins were guessed, and how many guesses are right.

    Attributes
    ----------
    right, guesses, canaries
        Whole numbers, 0 ≤ right ≤ guesses ≤ canaries.
    design
        How membership was decided.
    by_lot
        How many of the guesses lots among equal scores would decide: they are neither right nor wrong.
    lost
        How many could not have been right, had the same scores ranked as many members highest.
    coins
        Two-sided p-value of the number of members, or None where nobody said.

    Raises
    ------
    ValueError
        If more guesses are right than were made, or more were made than there are canaries, or there are
        2³¹ of them or more.

    Examples
    --------
    >>> Guesses(right=95, guesses=100, canaries=1000).design
    <Design.UNKNOWN: 'unknown'>
    """

    right: int
    guesses: int
    canaries: int
    design: Design = Design.UNKNOWN
    by_lot: int = field(default=0, kw_only=True, repr=False, compare=False)
    lost: int = field(default=0, kw_only=True, repr=False, compare=False)
    coins: float | None = field(default=None, kw_only=True, repr=False, compare=False)

    def __post_init__(self):
        _check.at_least("canaries", self.canaries, 1)
        if self.canaries > _MOST:
            _check.refuse("canaries", f"be at most {_MOST}", self.canaries)
        _check.within("guesses", self.guesses, self.canaries, "canaries")
        _check.within("right", self.right, self.guesses, "guesses")
        for name in ("by_lot", "lost"):
            _check.within(name, getattr(self, name), self.guesses - self.right, "guesses that are not right")


Evidence = Counts | Outcome | Guesses | ConfidenceSequence


class Made(NamedTuple):
    """How many guesses are right, how many were "in" and "out", of how many canaries, and the coins' bias."""

    right: int
    ins: int
    outs: int
    canaries: int
    p_in: float = 0.5

    @property
    def guesses(self) -> int:
        """How many guesses there are."""
        return self.ins + self.outs


class Rule(NamedTuple):
    """A rule's counts, and the chance that every coin had, if coins decided."""

    true: int
    members: int
    false: int
    non_members: int
    design: Design
    p_in: float = 0.5

    @property
    def sides(self) -> tuple[int, int]:
        """How many members and non-members there are."""
        return self.members, self.non_members

    @property
    def right(self) -> int:
        """How many verdicts are right."""
        return self.true + self.non_members - self.false

    def guesses(self) -> Made:
        """Return every verdict as a guess of that record's coin."""
        accused, trials = self.true + self.false, self.members + self.non_members
        return Made(self.right, accused, trials - accused, trials, self.p_in)


@dataclass(frozen=True, eq=False)
class Ranks:
    """All scores, and those of members, each sorted: all that an audit may use of an outcome.

    Attributes
    ----------
    score
        Float (records,), rising.
    member
        Float (members,), rising: some of the same scores.
    design, p_in
        How membership was decided, and the chance of every coin, if coins decided.
    """

    score: Float[ndarray, "records"]
    member: Float[ndarray, "members"]
    design: Design
    p_in: float = 0.5

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
        if members:
            return np.maximum(found, places - (to_border - found_to_border))
        return np.maximum(above - found, places - found_to_border)

    def right(self, ins: Places, outs: Places) -> Int[ndarray, "cuts"]:
        """Guess the highest in and the lowest out, and count who is right, however equal scores fall."""
        return self.surely(ins) + self.turned().surely(outs, members=False)

    def turned(self) -> "Ranks":
        """Return the ranking of the negative scores."""
        return Ranks(-self.score[::-1], -self.member[::-1], self.design, self.p_in)

    def best(self) -> "Ranks":
        """Give the highest of the same scores to as many members.

        No other way of giving them out puts more members, or more non-members at the other end, beyond any
        place: the highest k records hold k members, or all of them, and where equal scores stand across that
        border somebody has to share them.
        """
        return Ranks(self.score, self.score[-self.member.size :], self.design, self.p_in)


class AllRight(Ranks):
    """A ranking of so many members and others in which every guess is right."""

    def right(self, ins: Places, outs: Places) -> Int[ndarray, "cuts"]:
        """Count all."""
        return np.atleast_1d(ins) + np.atleast_1d(outs)


class Seen(NamedTuple):
    """Evidence as it is, and what else could have been seen.

    Attributes
    ----------
    looks
        The evidence as it is; with as many members, who have the highest of the same scores, or as many
        accused, members before others; with a lower score for member; with every verdict right.
    design, trials
        How membership was decided, and how many coins or runs there are.
    name, rank
        Which way the evidence ranks: the AUC of scores, the balanced accuracy of counts, the share of right
        guesses or calls, with its two-sided interval. Of evidence that knows nothing each of them is ½.
    flat
        Why the evidence tells nobody from anybody ("all scores are equal"), or "".
    coins
        Two-sided p-value of the number of members, or None where no coin decided or nobody said.
    """

    looks: tuple[Any, ...]
    design: Design
    trials: int
    name: str
    rank: Estimate
    flat: str = ""
    coins: float | None = None


def read(evidence: Evidence, *, confidence: float, p_in: float = 0.5) -> Seen:
    """Return what an audit looks at."""
    if isinstance(evidence, Counts):
        return _of_counts(evidence, confidence, p_in)
    if isinstance(evidence, Outcome):
        return _of_scores(evidence, confidence, p_in)
    if isinstance(evidence, Guesses):
        return _of_guesses(evidence, confidence)
    return _of_calls(evidence, confidence)


def _of_counts(counts: Counts, confidence: float, p_in: float) -> Seen:
    true, members = counts.true_positives, counts.members
    false, others = counts.false_positives, counts.non_members
    accused, trials = true + false, members + others
    best = min(accused, members)
    seen = (true, false), (best, accused - best), (members - true, others - false), (members, 0)
    rules = tuple(Rule(hits, members, misses, others, counts.design, p_in) for hits, misses in seen)
    flat = {0: "nobody is accused", trials: "everybody is accused"}.get(accused, "")
    rank = balanced_accuracy(counts, confidence=confidence)
    coins = p_of_coins(counts.design, members, trials, p_in)
    return Seen(rules, counts.design, trials, "balanced accuracy", rank, flat, coins)


def _of_scores(outcome: Outcome, confidence: float, p_in: float) -> Seen:
    ranks = ranks_of(outcome, p_in)
    members, records = ranks.member.size, ranks.score.size
    highest = np.arange(float(records))
    perfect = AllRight(highest, highest[-members:], outcome.design, p_in)
    looks, rank = (ranks, ranks.best(), ranks.turned(), perfect), auc_of_ranks(ranks, confidence)
    coins = p_of_coins(outcome.design, members, records, p_in)
    return Seen(looks, outcome.design, records, "AUC", rank, flat(ranks), coins)


def _of_guesses(guesses: Guesses, confidence: float) -> Seen:
    made, right, lots = guesses.guesses, guesses.right, guesses.by_lot
    numbers = right, made - guesses.lost, made - right - lots, made
    looks = tuple(Made(number, made, 0, guesses.canaries) for number in numbers)
    error = (1 - confidence) / 2
    share = (right + lots / 2) / made if made else 0.5
    low, high = proportion_at_least(right, made, error), proportion_at_most(right + lots, made, error)
    rank = widened(share, low, high, confidence, "Clopper-Pearson")
    flat = "" if made > lots else "equal scores, or none, decide all guesses"
    return Seen(looks, guesses.design, guesses.canaries, "right guesses", rank, flat, guesses.coins)


def _of_calls(calls: ConfidenceSequence, confidence: float) -> Seen:
    trials = calls.right + calls.wrong + calls.abstained
    _check.at_least("trials", trials, 1)
    start = ConfidenceSequence(calls.design, delta=calls.delta)
    best = start.update(np.ones(calls.right + calls.wrong, dtype=int))
    looks = calls, best, calls.turned(), best.update(np.ones(calls.abstained, dtype=int))
    flat = "" if calls.right + calls.wrong else "nothing is called"
    return Seen(looks, calls.design, trials, "right calls", calls.rank(confidence=confidence), flat)


def ranks_of(outcome: Outcome, p_in: float = 0.5) -> Ranks:
    """Return the ranking of an outcome.

    Examples
    --------
    >>> ranks = ranks_of(Outcome(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False])))
    >>> ranks.auc, *(some.surely(2) for some in (ranks, ranks.best(), ranks.turned()))
    (0.875, array([1]), array([1]), array([0]))
    """
    return Ranks(np.sort(outcome.score), np.sort(outcome.score[outcome.member]), outcome.design, p_in)


@door
def guess(outcome: Outcome, *, ins: int, outs: int) -> Guesses:
    """Guess "in" for the highest scores and "out" for the lowest, and count who is right.

    The two numbers are fixed before scores and membership are compared. Where equal scores stand across
    a border, lots would have to decide which of them are guessed. Counted are as many right ones as
    there are under any lots: the fewest.

    Raises
    ------
    ValueError
        If a number is negative, or both together are more than the records, or nothing.

    Examples
    --------
    >>> outcome = Outcome(np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, True, False, True]))
    >>> guess(outcome, ins=1, outs=2)
    Guesses(right=2, guesses=3, canaries=4, design=<Design.UNKNOWN: 'unknown'>)
    """
    records = outcome.score.size
    for name, value in (("ins", ins), ("outs", outs)):
        _check.at_least(name, value, 0)
    if not 1 <= ins + outs <= records:
        _check.refuse("ins + outs", f"be in 1 … {records} (records)", ins + outs)
    coins = p_of_coins(outcome.design, int(outcome.member.sum()), records)
    ranks, made = ranks_of(outcome), ins + outs
    right, possible = (int(some.right(ins, outs)[0]) for some in (ranks, ranks.best()))
    wrong = int(ranks.turned().right(outs, ins)[0])
    by_lot, lost = made - right - wrong, made - possible
    return Guesses(right, made, records, outcome.design, by_lot=by_lot, lost=lost, coins=coins)


def p_of_coins(design: Design, members: int, trials: int, p_in: float = 0.5) -> float | None:
    """Return how likely coins are to fall so far from what is expected, or None where there were none.

    Twice the smaller of both exact tails. Who guesses the likelier side of unfair coins is right too often,
    with no leak at all.

    Examples
    --------
    >>> round(p_of_coins(Design.COINS, 450, 1000), 5), p_of_coins(Design.RUNS, 450, 1000)
    (0.00173, None)
    """
    _check.probability("p_in", p_in, open_ends=True)
    if design not in (Design.COINS, Design.ONE_RUN):
        if p_in != 0.5:
            _check.refuse("p_in", f"be 0.5 for design {design}, which has no coins of known bias", p_in)
        return None
    return min(1.0, 2 * float(min(bdtr(members, trials, p_in), bdtrc(members - 1, trials, p_in))))


def unfair(coins: float | None) -> str:
    """Say so if the coins look unfair."""
    if coins is None or coins >= _UNFAIR:
        return ""
    return f"the coins look unfair, p = {digits_up(coins, 2)}"


def auc_of_ranks(ranks: Ranks, confidence: float) -> Estimate:
    """Return the AUC with its interval."""
    return auc_of(ranks.auc, min(ranks.sides), confidence=confidence)


def flat(ranks: Ranks) -> str:
    """Say so if a ranking tells nobody from anybody."""
    return "all scores are equal" if ranks.score[0] == ranks.score[-1] else ""


def _from(rising: ndarray, border: ndarray) -> tuple[ndarray, ndarray]:
    """Count what is above the border, and what is not below it."""
    above, below = (np.searchsorted(rising, border, side=side) for side in ("right", "left"))
    return rising.size - above, rising.size - below
