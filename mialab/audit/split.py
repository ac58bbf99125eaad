"""Choose the threshold on one part of the trials, test it on the rest."""

from dataclasses import replace

import numpy as np

from mialab import _check
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.bound import default_test, find_test, lower_bound, with_scores
from mialab.audit.claims import Epsilon
from mialab.audit.evidence import p_of_coins, ranks_of
from mialab.audit.rates import rate_limits
from mialab.audit.result import AuditResult
from mialab.game import Design, Outcome
from mialab.metrics import Roc, roc_curve


@door
def split(
    outcome: Outcome,
    *,
    neighbours: Neighbours,
    rng: np.random.Generator,
    test: str | None = None,
    share: float = 0.3,
    delta: float = 0.0,
    confidence: float = 0.95,
    unit: str = "record",
) -> AuditResult:
    """Return the bound of a threshold that was chosen on other trials than it is tested on.

    Given the trials it was chosen on, the threshold is fixed in advance for the rest, so the bound is as
    exact as that of the test; and given those coins, the coins of the rest are as fair as before. The price
    is the trials that were spent on choosing. What could have been proved at best is
    said of the rest, at the threshold that was chosen.

    Parameters
    ----------
    outcome
        Scores of all trials, with their design.
    neighbours, unit, delta, confidence
        As in `lower_bound`.
    rng
        Draws the trials to choose on. Of independent runs the same share of either side is drawn; coins
        are drawn without looking at how they fell, so that those of the rest stay fair.
    test
        One of `TESTS` that reads counts: the test on the rest.
    share
        In (0, 1), of the trials to choose on.

    Raises
    ------
    ValueError
        If the test is another or refuses the design, a number is out of its range, or a part is
        left without members or without non-members.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> member = np.arange(2000) < 1000
    >>> outcome = Outcome(rng.normal(size=2000) + 3 * member, member, design=Design.RUNS)
    >>> print(split(outcome, test="accuracy", neighbours=Neighbours.REPLACE, rng=rng))
    ε ≥ 2.422 at δ = 0 (95 % confident, accuracy, threshold chosen on 30 % of the trials)
    """
    _check.probability("share", share, open_ends=True)
    nobody_accused = outcome.at(np.inf)
    name = test or default_test(nobody_accused, "ε")
    find_test(nobody_accused, "ε", name, 0.5, delta)  # or refuse it, before anything is drawn
    chosen = _drawn(outcome, share, rng)
    rest = _part(outcome, ~chosen)
    counts = rest.at(choose_threshold(_part(outcome, chosen), name))
    terms = {"neighbours": neighbours, "delta": delta, "confidence": confidence, "unit": unit}
    bound = with_scores(lower_bound(counts, test=name, **terms), ranks_of(rest))
    how = bound.test.name.replace("fixed threshold", f"threshold chosen on {100 * share:g} % of the trials")
    coins = p_of_coins(outcome.design, int(outcome.member.sum()), outcome.member.size)
    return replace(bound, test=replace(bound.test, name=how), coins=coins)


def choose_threshold(part: Outcome, test: str) -> float:
    """Return the threshold that looks best on the part.

    For ``"accuracy"``, the one of the largest advantage. For the others, the one whose two Clopper-Pearson
    limits prove most on the part itself: limits are wide where few records decide, and so are not taken in
    by luck there. It lies halfway between the last score that is accused and the first that is not.
    """
    roc = roc_curve(part)
    promise = roc.tpr - roc.fpr if test == "accuracy" else _proved(roc)
    best = int(np.argmax(promise))
    last, first = roc.threshold[best], roc.threshold[min(best + 1, len(roc.threshold) - 1)]
    return float(last / 2 + first / 2)


def _proved(roc: Roc) -> np.ndarray:
    """Return the ε that the limits of each threshold prove, in the better of both roles; below 0 as well.

    Of a threshold whose neighbour accuses more members and no more non-members, or fewer non-members and no
    fewer members, it is −∞: the neighbour proves more.
    """
    sides = int(roc.members), int(roc.non_members)
    best = np.append(np.diff(roc.fpr) > 0, True) & np.append(True, np.diff(roc.tpr) > 0)
    true, false = (np.rint(rate[best] * size) for rate, size in zip((roc.tpr, roc.fpr), sides, strict=True))
    proved = np.full(len(best), -np.inf)
    proved[best] = Epsilon().just_allowing(*rate_limits(true, false, sides, 0.05))
    return proved


def _drawn(outcome: Outcome, share: float, rng: np.random.Generator) -> np.ndarray:
    """Mark the trials to choose on."""
    drawn = np.zeros(outcome.member.size, dtype=bool)
    runs = outcome.design == Design.RUNS
    for side in (outcome.member, ~outcome.member) if runs else (np.ones_like(drawn),):
        trials = np.flatnonzero(side)
        drawn[rng.choice(trials, size=round(share * trials.size), replace=False)] = True
    return drawn


def _part(outcome: Outcome, where: np.ndarray) -> Outcome:
    _check.both_kinds("member, in each part,", outcome.member[where])
    return Outcome(outcome.score[where], outcome.member[where], design=outcome.design)
