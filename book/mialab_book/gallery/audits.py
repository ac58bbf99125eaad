"""The audits of the gallery: each gets the same runs, and says what it found.

An audit is any function of the runs and the claim: add yours to `AUDITS`, and the table has one more column.

What an audit has to fix in advance (a threshold, numbers of guesses) is fixed on a calibration set: runs of
the attacker's own, which are not tested on.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mialab._validation import door
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
from mialab_book.faults import Claim

FEW = 500
"""Runs on either side for the exact joint test, which takes seconds for more."""
_SHARES = (0.5, 0.3, 0.1, 0.02, 0.0)  # of the coins to guess, on either end


@door
@dataclass(frozen=True, eq=False)
class Simulation:
    """The same mechanism with and without the record, many times.

    Attributes
    ----------
    calibration
        Independent runs to choose thresholds on.
    runs
        Independent runs, as many on either side.
    coins
        The same runs as another experiment: of each pair of them, one with the record and one without, only
        one is seen, which a fair coin chooses.
    """

    calibration: Outcome
    runs: Outcome
    coins: Outcome


@door
@dataclass(frozen=True)
class AuditOutcome:
    """What one audit found: its finding, how many trials it had, and its bound if it has one."""

    finding: Finding
    trials: int
    bound: AuditResult | None = None


Audit = Callable[[Simulation, Claim, float, np.random.Generator], AuditOutcome]
"""``audit(simulation, claim, confidence, rng)``."""


@door
def one_of_each_pair(outcome: Outcome, *, rng: np.random.Generator) -> Outcome:
    """Return as many trials as there are runs on either side, each with a fair coin for its membership.

    The k-th run with the record and the k-th without it are a pair, of which the coin chooses one.

    Raises
    ------
    ValueError
        If the sides differ in size.
    """
    with_it, without = outcome.score[outcome.member], outcome.score[~outcome.member]
    pairs = np.stack([without, with_it])  # NumPy refuses sides that differ
    coin = rng.random(pairs.shape[1]) < 0.5
    return Outcome(np.where(coin, pairs[1], pairs[0]), coin, design=Design.COINS)


def of_bound(proved: Callable[[Simulation, np.random.Generator, dict], AuditResult]) -> Audit:
    """Return the audit that holds a lower bound on ε against the claim."""

    def audit(simulation: Simulation, claim: Claim, confidence: float, rng: np.random.Generator):
        promised = claim.guarantee
        terms = {name: getattr(promised, name) for name in ("neighbours", "unit", "delta")}
        terms["confidence"] = confidence
        bound = proved(simulation, rng, terms)
        return AuditOutcome(Verdict(bound, promised).finding, bound.trials, bound)

    return audit


def at_threshold(test: str, *, most: int | None = None) -> Audit:
    """Return the audit of the threshold that is best on the calibration set, by a test of `audit.TESTS`.

    Only the first ``most`` runs of either side are used.
    """

    def proved(simulation: Simulation, rng: np.random.Generator, terms: dict) -> AuditResult:
        calibration, runs = (_first(part, most) for part in (simulation.calibration, simulation.runs))
        return lower_bound(runs.at(choose_threshold(calibration, test)), test=test, **terms)

    return of_bound(proved)


def _split(simulation: Simulation, rng: np.random.Generator, terms: dict) -> AuditResult:
    return split(simulation.runs, test="rates", rng=rng, **terms)


def _any_threshold(simulation: Simulation, rng: np.random.Generator, terms: dict) -> AuditResult:
    return lower_bound(simulation.runs, **terms)


def _betting(simulation: Simulation, rng: np.random.Generator, terms: dict) -> AuditResult:
    """Call one coin after the other; each of these runs has a coin of its own."""
    coins = simulation.coins
    accused = coins.score >= choose_threshold(simulation.calibration, "accuracy")
    calls = ConfidenceSequence(Design.RUNS, delta=terms["delta"])
    return lower_bound(calls.update(np.where(accused == coins.member, 1, -1)), **terms)


def _one_run(simulation: Simulation, rng: np.random.Generator, terms: dict) -> AuditResult:
    """Guess as many coins on either end as would have proved most on the calibration set."""
    practice = _untied(one_of_each_pair(simulation.calibration, rng=rng), rng)
    coins = _untied(simulation.coins, rng)
    sizes = [int(share * practice.score.size) for share in _SHARES]
    numbers = [{"ins": ins, "outs": outs} for ins in sizes for outs in sizes if ins + outs]
    proved = [lower_bound(guess(practice, **number), **terms).value for number in numbers]
    return lower_bound(guess(coins, **numbers[int(np.argmax(proved))]), **terms)


def _curve(simulation: Simulation, claim: Claim, confidence: float, rng: np.random.Generator) -> AuditOutcome:
    """Ask whether both rates, each with its exact limit, lie above the claimed curve: TPR_lo > f(FPR_hi)."""
    counts = simulation.runs.at(_far_above(simulation.calibration, claim.curve))
    sides = counts.members, counts.non_members
    margin = _margin(counts.true_positives, counts.false_positives, sides, claim.curve, 1 - confidence)
    best = _margin(counts.members, 0, sides, claim.curve, 1 - confidence)
    missed = Finding.CONSISTENT if best > 0 else Finding.UNINFORMATIVE
    return AuditOutcome(Finding.VIOLATED if margin > 0 else missed, sum(sides))


def _curve_anywhere(
    simulation: Simulation, claim: Claim, confidence: float, rng: np.random.Generator
) -> AuditOutcome:
    neighbours = claim.guarantee.neighbours
    found = refute(simulation.runs, claim.curve, neighbours=neighbours, confidence=confidence)
    return AuditOutcome(found.finding, found.result.trials)


AUDITS: dict[str, Audit] = {
    "two rates": at_threshold("rates"),
    "joint": at_threshold("joint", most=FEW),
    "accuracy": at_threshold("accuracy"),
    "split": of_bound(_split),
    "any threshold": of_bound(_any_threshold),
    "one run": of_bound(_one_run),
    "betting": of_bound(_betting),
    "curve": _curve,
    "curve anywhere": _curve_anywhere,
}
"""Every audit that the gallery goes through, by name."""


def _first(outcome: Outcome, most: int | None) -> Outcome:
    """Return the first runs of either side."""
    kept = np.concatenate([np.flatnonzero(side)[:most] for side in (outcome.member, ~outcome.member)])
    return Outcome(outcome.score[kept], outcome.member[kept], design=outcome.design)


def _untied(outcome: Outcome, rng: np.random.Generator) -> Outcome:
    """Put equal scores in an order by lot, so that any number of them can be guessed."""
    rank = np.lexsort((rng.random(outcome.score.size), outcome.score)).argsort()
    return Outcome(rank.astype(float), outcome.member, design=outcome.design)


def _far_above(calibration: Outcome, claimed: Curve) -> float:
    """Return the threshold at which the limits of the calibration set lie furthest above the curve."""
    roc = roc_curve(calibration)
    sides = int(roc.members), int(roc.non_members)
    true, false = (np.rint(rate * size) for rate, size in zip((roc.tpr, roc.fpr), sides, strict=True))
    best = int(np.argmax(_margin(true, false, sides, claimed, 0.05)))
    last, first = roc.threshold[best], roc.threshold[min(best + 1, len(roc.threshold) - 1)]
    return float(last / 2 + first / 2)


def _margin(true, false, sides: tuple[int, int], claimed: Curve, error: float):
    """Return how far the lower limit of the TPR lies above the curve at the upper limit of the FPR."""
    tpr_low, tnr_low = rate_limits(true, false, sides, error)
    return tpr_low - claimed.tpr(1 - tnr_low)
