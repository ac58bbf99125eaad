"""The audits of the gallery: each gets the same runs, and says what it saw.

A `Look` is any function of the runs and the promise: add yours to `LOOKS`, and the table has one more column.

What an audit has to fix in advance (a threshold, numbers of guesses) is fixed on runs of the attacker's own,
the rehearsal, which are not tested on.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mialab._validation import door
from mialab.accounting import Guarantee
from mialab.audit import (
    AuditResult,
    ConfidenceSequence,
    Finding,
    Verdict,
    guess,
    lower_bound,
    refute,
    split,
)
from mialab.audit.rates import rate_limits
from mialab.audit.split import choose_threshold
from mialab.game import Design, Outcome
from mialab.metrics import roc_curve
from mialab.tradeoff import Curve

FEW = 500
"""Runs on either side for the exact joint test, which takes seconds for more."""
_SHARES = (0.5, 0.3, 0.1, 0.02, 0.0)  # of the coins to guess, on either end


@door
@dataclass(frozen=True, eq=False)
class Runs:
    """The same mechanism with and without the record, many times.

    Attributes
    ----------
    rehearsal
        Independent runs to choose thresholds on.
    runs
        Independent runs, as many on either side.
    coins
        The same runs as another experiment: of each pair of them, one with the record and one without,
        a fair coin says which one is seen.
    """

    rehearsal: Outcome
    runs: Outcome
    coins: Outcome


@door
@dataclass(frozen=True)
class Seen:
    """What one audit says: its finding, how many trials it had, and its bound if it has one."""

    finding: Finding
    trials: int
    bound: AuditResult | None = None


@door
@dataclass(frozen=True, eq=False)
class Promise:
    """What is claimed: a guarantee, and the curve that goes with it."""

    claims: Guarantee
    curve: Curve


Audit = Callable[[Runs, Promise, float, np.random.Generator], Seen]


@door
@dataclass(frozen=True)
class Look:
    """An audit and its name.

    ``audit(runs, promise, confidence, rng)`` returns what was `Seen`.

    Examples
    --------
    >>> def trusting(runs, promise, confidence, rng):
    ...     return Seen(Finding.CONSISTENT, runs.runs.score.size)
    >>> Look("trust", trusting).name
    'trust'
    """

    name: str
    audit: Audit


def _against(bound: AuditResult, promise: Promise) -> Seen:
    return Seen(Verdict(bound, promise.claims).finding, bound.trials, bound)


def _terms(promise: Promise, confidence: float) -> dict:
    claims = promise.claims
    return {"neighbours": claims.neighbours, "delta": claims.delta, "confidence": confidence}


def _rates(runs: Runs, promise: Promise, confidence: float, rng: np.random.Generator) -> Seen:
    counts = runs.runs.at(choose_threshold(runs.rehearsal, "rates"))
    return _against(lower_bound(counts, test="rates", **_terms(promise, confidence)), promise)


def _joint(runs: Runs, promise: Promise, confidence: float, rng: np.random.Generator) -> Seen:
    rehearsal, test = (_first(one, FEW) for one in (runs.rehearsal, runs.runs))
    counts = test.at(choose_threshold(rehearsal, "joint"))
    return _against(lower_bound(counts, test="joint", **_terms(promise, confidence)), promise)


def _right(runs: Runs, promise: Promise, confidence: float, rng: np.random.Generator) -> Seen:
    counts = runs.runs.at(choose_threshold(runs.rehearsal, "accuracy"))
    return _against(lower_bound(counts, test="accuracy", **_terms(promise, confidence)), promise)


def _split(runs: Runs, promise: Promise, confidence: float, rng: np.random.Generator) -> Seen:
    return _against(split(runs.runs, test="rates", rng=rng, **_terms(promise, confidence)), promise)


def _any(runs: Runs, promise: Promise, confidence: float, rng: np.random.Generator) -> Seen:
    return _against(lower_bound(runs.runs, **_terms(promise, confidence)), promise)


def _betting(runs: Runs, promise: Promise, confidence: float, rng: np.random.Generator) -> Seen:
    """Call one coin after the other; each of these runs has a coin of its own."""
    accused = runs.coins.score >= choose_threshold(runs.rehearsal, "accuracy")
    calls = ConfidenceSequence(Design.RUNS, delta=promise.claims.delta)
    calls = calls.update(np.where(accused == runs.coins.member, 1, -1))
    return _against(lower_bound(calls, **_terms(promise, confidence)), promise)


def _one_run(runs: Runs, promise: Promise, confidence: float, rng: np.random.Generator) -> Seen:
    """Guess as many coins on either end as would have proved most in the rehearsal."""
    terms = _terms(promise, confidence)
    practice, coins = (_untied(one, rng) for one in (tossed(runs.rehearsal, rng=rng), runs.coins))
    sizes = [int(share * practice.score.size) for share in _SHARES]
    trials = [(ins, outs) for ins in sizes for outs in sizes if ins + outs]
    proved = [lower_bound(guess(practice, ins=i, outs=o), **terms).value for i, o in trials]
    ins, outs = trials[int(np.argmax(proved))]
    guesses = guess(coins, ins=ins, outs=outs)
    return _against(lower_bound(guesses, **terms), promise)


def _curve(runs: Runs, promise: Promise, confidence: float, rng: np.random.Generator) -> Seen:
    """Ask whether both rates, each with its exact limit, lie above the claimed curve: TPR_lo > f(FPR_hi)."""
    counts = runs.runs.at(_far_above(runs.rehearsal, promise.curve))
    sides = counts.members, counts.non_members
    margin = _margin(counts.true_positives, counts.false_positives, sides, promise.curve, 1 - confidence)
    best = _margin(counts.members, 0, sides, promise.curve, 1 - confidence)
    missed = Finding.CONSISTENT if best > 0 else Finding.UNINFORMATIVE
    return Seen(Finding.VIOLATED if margin > 0 else missed, sum(sides))


def _anywhere(runs: Runs, promise: Promise, confidence: float, rng: np.random.Generator) -> Seen:
    neighbours = promise.claims.neighbours
    seen = refute(runs.runs, promise.curve, neighbours=neighbours, confidence=confidence)
    return Seen(seen.finding, seen.result.trials)


LOOKS = (
    Look("two rates", _rates),
    Look("joint", _joint),
    Look("accuracy", _right),
    Look("split", _split),
    Look("any threshold", _any),
    Look("one run", _one_run),
    Look("betting", _betting),
    Look("curve", _curve),
    Look("curve anywhere", _anywhere),
)
"""Every audit that the gallery goes through."""


@door
def tossed(outcome: Outcome, *, rng: np.random.Generator) -> Outcome:
    """Return as many coins as there are runs on either side: of each pair a coin shows one.

    Raises
    ------
    ValueError
        If the sides differ in size.
    """
    with_it, without = outcome.score[outcome.member], outcome.score[~outcome.member]
    pairs = np.stack([without, with_it])  # NumPy refuses sides that differ
    coin = rng.random(pairs.shape[1]) < 0.5
    return Outcome(np.where(coin, pairs[1], pairs[0]), coin, design=Design.COINS)


def _first(outcome: Outcome, most: int) -> Outcome:
    """Return the first runs of either side."""
    sides = [np.flatnonzero(side)[:most] for side in (outcome.member, ~outcome.member)]
    kept = np.concatenate(sides)
    return Outcome(outcome.score[kept], outcome.member[kept], design=outcome.design)


def _untied(outcome: Outcome, rng: np.random.Generator) -> Outcome:
    """Put equal scores in an order by lot, so that any number of them can be guessed."""
    rank = np.lexsort((rng.random(outcome.score.size), outcome.score)).argsort()
    return Outcome(rank.astype(float), outcome.member, design=outcome.design)


def _far_above(rehearsal: Outcome, claimed: Curve) -> float:
    """Return the threshold at which the limits of the rehearsal lie furthest above the curve."""
    roc = roc_curve(rehearsal)
    sides = int(roc.members), int(roc.non_members)
    true, false = (np.rint(rate * size) for rate, size in zip((roc.tpr, roc.fpr), sides, strict=True))
    best = int(np.argmax(_margin(true, false, sides, claimed, 0.05)))
    last, first = roc.threshold[best], roc.threshold[min(best + 1, len(roc.threshold) - 1)]
    return float(last / 2 + first / 2)


def _margin(true, false, sides: tuple[int, int], claimed: Curve, error: float):
    """Return how far the lower limit of the TPR lies above the curve at the upper limit of the FPR."""
    tpr_low, tnr_low = rate_limits(true, false, sides, error)
    return tpr_low - claimed.tpr(1 - tnr_low)
