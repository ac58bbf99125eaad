"""Checkers for the chapter "Trust, but verify"."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import betaincinv, expit

from mialab_book.exercises._feedback import Feedback, Objection, first_objection, guarded


def check_ceiling(ceiling: float, finding: str) -> Feedback:
    """Check the most that any exact test proves with 40 runs on either side, all right; and what of ε = 5.

    Examples
    --------
    >>> print(check_ceiling(np.inf, "uninformative"))
    Not yet. Even a coin is right 80 times of 80 now and then: how often, at most, is what ε allows?
    """
    return guarded(lambda: first_objection(_objections_to_ceiling(ceiling, finding), CEILING_PRAISE))


CEILING_PRAISE = "Eighty perfect verdicts cannot contradict ε = 5. To say only that they agree would mislead."


def _objections_to_ceiling(ceiling: float, finding: str) -> Iterator[Objection]:
    yield (
        np.isinf(ceiling),
        "Even a coin is right 80 times of 80 now and then: how often, at most, is what ε allows?",
    )
    yield abs(ceiling - _all_right(40, 0.05)) < 0.01, "There are 80 verdicts: 40 on either side."
    yield (
        abs(ceiling - _all_right(80, 0.025)) < 0.01,
        "All of the 5 % is on one side: nobody asks for an upper limit.",
    )
    yield abs(ceiling - 0.05 ** (1 / 80)) < 0.01, "That is the rate; which ε allows just that rate?"
    yield (
        abs(ceiling - 2.33709) < 0.01,
        "That is the ceiling of two Clopper-Pearson limits; a joint test sees further.",
    )
    yield (
        abs(ceiling - _all_right(80, 0.05)) > 0.01,
        "80 coins, each right with probability q = e^ε/(1+e^ε): when is q⁸⁰ just 5 %?",
    )
    yield finding == "violated", "The bound must be above the claim for that."
    yield (
        finding == "consistent",
        "It did not contradict the claim. But could it have? Compare the ceiling with 5.",
    )
    yield finding != "uninformative", 'One of "violated", "consistent" and "uninformative", please.'


def _all_right(verdicts: int, error: float) -> float:
    """Return the ε that so many right verdicts just refute."""
    rate = error ** (1 / verdicts)
    return float(np.log(rate / (1 - rate)))


def check_bound(bound: Callable[[int, int, int, int, float], float]) -> Feedback:
    """Check a function (true_positives, members, false_positives, non_members, delta) → ε, by two limits."""

    def objections() -> Iterator[Objection]:
        got, right = float(bound(60, 100, 5, 120, 0.0)), _two_limits(60, 100, 5, 120)
        yield np.isnan(got), "For 60 of 100 members and 5 of 120 others it returned NaN."
        yield (
            np.isclose(got, np.log(0.6 / (5 / 120))),
            "Those are the rates that were seen: where are the limits?",
        )
        yield (
            abs(got - np.log(_low(60, 100, 0.025) / _low(5, 120, 0.025))) < 1e-3,
            "The false-positive rate needs its upper limit: it may be higher than it looked.",
        )
        yield (
            abs(got - _two_limits(60, 100, 5, 120, each=0.05)) < 1e-3,
            "Two limits at 5 % each may be wrong 10 % of the time: give each of them half.",
        )
        yield (
            abs(got - _two_limits(60, 100, 5, 120, each=0.0125)) < 1e-3,
            "Each limit is one-sided: half of the 5 % for each, not a quarter.",
        )
        yield abs(got - right / np.log(10)) < 1e-3, "The natural logarithm, please."
        yield abs(got - np.exp(right)) < 1e-2, "That is e^ε."
        yield abs(got - right) > 1e-3, f"For 60 of 100 members and 5 of 120 others it returned {got:.4f}."
        swapped = float(bound(115, 120, 40, 100, 0.0))
        yield (
            abs(swapped - right) > 1e-3,
            "It looks at one role only: whom the attack spares can tell as much as whom it accuses.",
        )
        with_delta = float(bound(60, 100, 5, 120, 0.1))
        yield abs(with_delta - right) < 1e-6, "It does not use delta."
        yield (
            abs(with_delta - _two_limits(60, 100, 5, 120, delta=0.1)) > 1e-3,
            f"At delta = 0.1 it returned {with_delta:.4f}: TPR ≤ e^ε · FPR + δ, solved for ε.",
        )
        useless = float(bound(5, 100, 6, 100, 0.0))
        yield not useless >= 0, f"Where nothing is proved the bound is 0; it returned {useless:.4f}."
        nothing = float(bound(0, 100, 0, 100, 0.1))
        yield not nothing >= 0, "Nobody was accused: the logarithm of nothing is not a bound; 0 is."

    praise = "Two exact limits, half of the error each, both roles, and never below 0."
    return guarded(lambda: first_objection(objections(), praise))


def _low(successes: int, trials: int, error: float) -> float:
    """Return the exact lower limit of a proportion."""
    return float(betaincinv(successes, trials - successes + 1, error)) if successes else 0.0


def _two_limits(
    true: int, members: int, false: int, others: int, *, delta: float = 0.0, each: float = 0.025
) -> float:
    tpr, tnr = _low(true, members, each), _low(others - false, others, each)
    roles = (tpr - delta) / (1 - tnr), (tnr - delta) / (1 - tpr)
    return max(0.0, float(np.log(max(*roles, 1.0))))


Audit = Callable[[np.ndarray, np.ndarray, float, np.random.Generator], float]


def coursework_mechanism(seed: int) -> float:
    """Return the ε of a mechanism of your own, between 0.7 and 1.5.

    Examples
    --------
    >>> 0.7 <= coursework_mechanism(1) <= 1.5
    True
    """
    return float(np.random.default_rng([20261124, seed]).uniform(0.7, 1.5))


def coursework_runs(seed: int, runs: int, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and membership of independent runs of your mechanism, as many on either side.

    Non-members' scores are even on [0, 1]; members' have density e^ε on top and e^−ε below.

    Examples
    --------
    >>> score, member = coursework_runs(1, 100, rng=np.random.default_rng(0))
    >>> score.shape, int(member.sum())
    ((200,), 100)
    """
    epsilon = coursework_mechanism(seed)
    top = expit(-epsilon)
    inside, outside = rng.random(runs), rng.random(runs)
    on_top = rng.random(runs) < expit(epsilon)
    inside = np.where(on_top, 1 - top * inside, (1 - top) * inside)
    return np.append(inside, outside), np.arange(2 * runs) < runs


def check_coursework(audit: Audit, *, seed: int, audits: int = 150) -> Feedback:
    """Grade a function (score, member, confidence, rng) → ε ≥ …, by what any honest audit must have."""

    def bounds(confidence: float, shuffled: bool = False) -> np.ndarray:
        rng, found = np.random.default_rng([7, seed]), np.empty(audits)
        for number in range(audits):
            score, member = coursework_runs(seed, 200, rng=rng)
            if shuffled:
                member = rng.permutation(member)
            found[number] = audit(score.copy(), member.copy(), confidence, np.random.default_rng(number))
        return found

    def objections() -> Iterator[Objection]:
        truth = coursework_mechanism(seed)
        score, member = coursework_runs(seed, 200, rng=np.random.default_rng(seed))
        given = score.copy(), member.copy()
        first = audit(*given, 0.95, np.random.default_rng(1))
        same = np.array_equal(given[0], score) and np.array_equal(given[1], member)
        yield not same, "It changed the scores or the membership that it was given."
        again = audit(score.copy(), member.copy(), 0.95, np.random.default_rng(1))
        yield first != again, "The same rng gave another bound: chance came from elsewhere."
        sure, unsure = bounds(0.95), bounds(0.5)
        yield not np.isfinite([sure, unsure]).all(), "A bound is a finite number."
        yield min(sure.min(), unsure.min()) < 0, "A bound below 0 says nothing: return 0."
        yield not sure.any(), "It proves nothing, ever. That is valid, and useless."
        over, often = (sure > truth).mean(), (unsure > truth).mean()
        yield (
            over > 0.4,
            f"At 95 % confidence {over:.0%} of the bounds are above the truth: where are the limits?",
        )
        yield np.array_equal(sure, unsure), "The confidence makes no difference."
        yield (
            over > 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / audits) or often > 0.5 + 3.5 * np.sqrt(0.25 / audits),
            f"At 50 % confidence {often:.0%} of the bounds are above the truth, at 95 % {over:.0%}: was the "
            "threshold picked on the runs that the bound is quoted for?",
        )
        yield (
            (bounds(0.95, shuffled=True) > 0).mean() > 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / audits),
            "It finds a leak where the coins were shuffled.",
        )
        yield (
            sure.mean() < 0.35 * truth,
            f"Valid, and blunt: the mean bound is {sure.mean():.2f}, where the fixed threshold reaches more.",
        )

    praise = "As often wrong as it says, no more; and it proves something."
    return guarded(lambda: first_objection(objections(), praise))
