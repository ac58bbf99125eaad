"""What a verdict says beside the bound: which way the evidence ranks, and how much it could have proved."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from scipy.special import bdtr, bdtrc

from mialab import _check
from mialab._round import digits_up
from mialab._validation import door
from mialab.audit.ranks import Ranks
from mialab.game import Counts, Design
from mialab.metrics import Estimate, balanced_accuracy
from mialab.metrics.roc import auc_of

_UNFAIR = 1e-2  # a balance that coins show more rarely is pointed at


@door
@dataclass(frozen=True)
class Evidence:
    """Which way the evidence ranks members, and the most that it could have proved.

    Attributes
    ----------
    name
        What ``rank`` estimates: the AUC of scores, the balanced accuracy of counts, the share of right
        guesses or of right calls. Of evidence that knows nothing each of them is ½.
    rank
        With its two-sided interval. Whether all of it lies below ½ is an exact test: of a mechanism that
        leaks nothing it does so with a probability of at most (1 − confidence)/2.
    reach
        The bound (or of a test the p-value) of the same evidence at its best: as many members, with the
        highest of the same scores; as many accused, and members before others.
    turned
        The bound (or p-value) of the same evidence turned round: a lower score for member.
    flat
        Why the evidence tells nobody from anybody ("all scores are equal"), or "".
    coins
        Two-sided p-value of the number of members, or None where no coin decided or nobody said.

    Examples
    --------
    >>> rank = Estimate(0.5, 0.4, 0.6, 0.95, "exact")
    >>> print(Evidence("AUC", rank, reach=0.0, turned=0.0, flat="all scores are equal", coins=0.003))
    AUC 0.500 [0.400, 0.600]; all scores are equal; the coins look unfair, p = 0.003
    """

    name: str
    rank: Estimate
    reach: float
    turned: float
    flat: str = ""
    coins: float | None = None

    @property
    def below_chance(self) -> bool:
        """Whether members were ranked lower, and not by luck."""
        return self.rank.high < 0.5

    def __str__(self) -> str:
        """Print the rank, and what is wrong with the evidence."""
        return "; ".join([f"{self.name} {self.rank}", *filter(None, (self.flat, unfair(self.coins)))])


def why_upside_down(evidence: Evidence, turned: str) -> str:
    """Say what is wrong with evidence that ranks members lower; ``turned`` is what it shows turned round."""
    said = f"a higher score must mean member, and these rank members lower: {evidence}"
    return f"{said}; turned round they show {turned}" if turned else said


def of_counts(
    counts: Counts, bound: Callable[[int, int], float], *, confidence: float, coins: float | None = None
) -> Evidence:
    """Return the evidence of a fixed rule; ``bound`` takes numbers of true and of false positives."""
    accused = counts.true_positives + counts.false_positives
    best = min(accused, counts.members)
    turned = counts.members - counts.true_positives, counts.non_members - counts.false_positives
    trials = counts.members + counts.non_members
    flat = {0: "nobody is accused", trials: "everybody is accused"}.get(accused, "")
    rank = balanced_accuracy(counts, confidence=confidence)
    return Evidence("balanced accuracy", rank, bound(best, accused - best), bound(*turned), flat, coins)


def of_ranks(
    ranks: Ranks, bound: Callable[[Ranks], float], *, confidence: float, coins: float | None = None
) -> Evidence:
    """Return the evidence of scores; ``bound`` takes a ranking."""
    rank, flat = _auc(ranks, confidence), _flat(ranks)
    return Evidence("AUC", rank, bound(ranks.best()), bound(ranks.turned()), flat, coins)


def with_auc(evidence: Evidence, ranks: Ranks, turned: float, *, confidence: float) -> Evidence:
    """Say of counts or guesses how all the scores rank: their AUC, unless it is only the counts that are low.

    ``turned`` is what another test shows of the scores turned round; the larger of both is kept.
    """
    evidence = replace(evidence, turned=max(turned, evidence.turned), flat=_flat(ranks) or evidence.flat)
    rank = _auc(ranks, confidence)
    only_counts = evidence.below_chance and rank.high >= 0.5
    return evidence if only_counts else replace(evidence, name="AUC", rank=rank)


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


def _auc(ranks: Ranks, confidence: float) -> Estimate:
    return auc_of(ranks.auc, min(ranks.sides), confidence=confidence)


def _flat(ranks: Ranks) -> str:
    return "all scores are equal" if ranks.score[0] == ranks.score[-1] else ""
