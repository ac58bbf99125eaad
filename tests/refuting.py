"""Many repetitions of an audit at once: how many of them refute the truth, and whether that is too many."""

import numpy as np
from scipy.special import bdtr, expit
from scipy.stats import binom

from mialab.audit import one_run
from mialab.audit.claims import EpsilonDelta
from mialab.audit.evidence import Made
from mialab.audit.ranking import MIDDLE, Cut, middle_and_ends, p_value_of_cut
from worlds import in_the_world

REPEATS, ERROR = 2000, 0.05
OF_CUTS = [MIDDLE] + [(1 - MIDDLE) / 6] * 6  # shares of the allowed error
OF_GUESSES = [MIDDLE] + [(1 - MIDDLE) / 9] * 9


def too_often(errors: dict, repeats: int = REPEATS) -> dict:
    """Return the cells whose share of bounds above the truth is too large for luck, all cells together."""
    allowed = binom.isf(0.01 / len(errors), repeats, ERROR)
    return {cell: share for cell, share in errors.items() if share * repeats > allowed}


def rates_refute(tpr_low: np.ndarray, tnr_low: np.ndarray, epsilon: float, delta: float) -> np.ndarray:
    """Tell whether rates this high are forbidden: TPR > e^ε · FPR + δ, or TNR > e^ε · FNR + δ."""
    grows = np.exp(epsilon)
    return (tpr_low - delta > grows * (1 - tnr_low)) | (tnr_low - delta > grows * (1 - tpr_low))


def accuracy_refutes(right: np.ndarray, trials: int, epsilon: float, delta: float) -> np.ndarray:
    """Tell whether so many right verdicts, of half members and half not, refute (ε, δ)."""
    wrong_rate = (1 - delta) * expit(-epsilon)
    above = right >= trials * (1 - wrong_rate) + 1  # where Hoeffding's theorem speaks
    return above & (bdtr(trials - right, trials, wrong_rate) <= ERROR)


def p_of_guesses(right: int, guesses: int, canaries: int, epsilon: float, delta: float = 0.0) -> float:
    """Return the p-value of so many right guesses in one run."""
    return one_run.p_value(Made(right, guesses, 0, canaries), EpsilonDelta(epsilon, delta))


def p_of_cut(found: int, places: int, sides: tuple[int, int], epsilon: float, delta: float = 0.0) -> float:
    """Return the p-value of so many members in the highest places."""
    return p_value_of_cut(Cut(found, places, *sides), EpsilonDelta(epsilon, delta))


def right_by_rank(score: np.ndarray, member: np.ndarray, ins: int, outs: int) -> np.ndarray:
    """Guess the highest in and the lowest out, in many experiments at once."""
    order = np.argsort(-score, axis=1)
    ranked = np.take_along_axis(member, order, axis=1)
    return ranked[:, :ins].sum(axis=1) + (~ranked[:, ranked.shape[1] - outs :]).sum(axis=1)


def enough_right(guesses: int, m: int, epsilon: float, delta: float, error: float = ERROR) -> int:
    """Return the fewest right guesses that refute (ε, δ): bisection."""
    low, high = 0, guesses + 1
    while high - low > 1:
        right = (low + high) // 2
        small = p_of_guesses(right, guesses, m, epsilon, delta) <= error
        low, high = (low, right) if small else (right, high)
    return high


def refuted(right: np.ndarray, guesses: int, canaries: int, epsilon: float, delta: float) -> float:
    """Return the share of experiments in which the one-run bound is above ``epsilon``."""
    return float((right >= enough_right(guesses, canaries, epsilon, delta)).mean())


def members_on_top(
    mechanism: str, epsilon: float, n: int, rng, delta: float = 0.02, repeats: int = REPEATS
) -> np.ndarray:
    """Return how many of the highest are members at each cut, n on either side: (repeats, cuts)."""
    member = np.tile(np.arange(2 * n) >= n, (repeats, 1))  # non-members first, and so among equal scores
    order = np.argsort(-in_the_world(mechanism, epsilon, member, rng, delta), axis=1, kind="stable")
    middle, ends = middle_and_ends(2 * n)
    cuts = np.array([middle, *ends, *(2 * n - end for end in ends)])
    return np.cumsum(np.take_along_axis(member, order, axis=1), axis=1)[:, cuts - 1]


def enough_members(n: int, epsilon: float, delta: float, shares: list[float]) -> np.ndarray:
    """Return the fewest members on top of each cut that refute (ε, δ): bisection."""
    middle, ends = middle_and_ends(2 * n)
    enough = []
    for cut, share in zip((middle, *ends, *(2 * n - end for end in ends)), shares, strict=True):
        low, high = 0, min(cut, n) + 1
        while high - low > 1:
            found = (low + high) // 2
            small = p_of_cut(found, cut, (n, n), epsilon, delta) <= share * ERROR
            low, high = (low, found) if small else (found, high)
        enough.append(high)
    return np.array(enough)


def numbers_of_guesses(m: int) -> list[tuple[int, int]]:
    middle, ends = middle_and_ends(m)
    return [(middle, m - middle), *(pair for end in ends for pair in ((end, 0), (0, end), (end, end)))]


def guesses_refute(
    top: np.ndarray, bottom: np.ndarray, m: int, epsilon: float, delta: float, shares: list[float]
) -> float:
    """Return the share of experiments of which one of the ten numbers of guesses refutes (ε, δ).

    (repeats, guesses + 1): how many of the highest are members, and of the lowest are not.
    """
    above = np.zeros(len(top), dtype=bool)
    for (ins, outs), share in zip(numbers_of_guesses(m), shares, strict=True):
        enough = enough_right(ins + outs, m, epsilon, delta, share * ERROR)
        above |= top[:, ins] + bottom[:, outs] >= enough
    return float(above.mean())


def right_from_either_end(ranked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    none = np.zeros((len(ranked), 1), dtype=int)
    top, bottom = np.cumsum(ranked, axis=1), np.cumsum(~ranked[:, ::-1], axis=1)
    return np.hstack([none, top]), np.hstack([none, bottom])
