"""Two rates at once: sharper than a limit for each of them."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import bdtr, bdtrc, expit

from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.clopper_pearson import lower_limits
from mialab.audit.result import AuditResult, Method, allowed_error, check_terms, of_rule
from mialab.game import Counts, Design

Least = Int[ndarray, "false_positives"]  # how many true ones tell as much, for each number of false ones
Rates = Float[ndarray, "pieces"]
JOINT = Method("exact joint test, fixed threshold", (Design.RUNS,))
_TIE = 1e-9  # outcomes whose evidence differs by less count as equal, so that more of them are extreme
_FINE = 1e-5  # about how closely ε is searched for; what is kept is refuted
_LIKELY = 20  # pieces of which the middle is tried as well
_NUMBERS = 500  # false positives on either side of the expected number that are not taken together
_PIECES = 2000  # a worst case that needs more of them is given up, and ε is not refuted


@door
def joint(
    counts: Counts, *, neighbours: Neighbours, delta: float = 0.0, confidence: float = 0.95
) -> AuditResult:
    """Return the ε that both rates together prove, of a rule fixed before the trials were seen.

    `fixed_threshold` pays for two limits, and both are seldom wrong at once. Here its bound only *orders* the
    outcomes by how telling they are, and ε is refuted if, for all rates that (ε, δ) allows, an outcome
    at least as telling as this one has probability of at most 1 − confidence: the best bound that keeps
    this order (Buehler 1957).

    The worst rates lie on the boundary TPR = min(e^ε · FPR + δ, 1 − (1 − FPR − δ)/e^ε). It is cut into
    pieces; telling outcomes are likelier with a higher TPR and a lower FPR, so no rates on a piece are
    worse than its highest TPR with its lowest FPR, and pieces are halved until that decides. It takes a
    fraction of a second for 5,000 trials on either side, and some seconds for a million in all.

    Parameters
    ----------
    counts
        Of a rule fixed in advance, with ``design=Design.RUNS``; the sides may be of different size.
    neighbours, delta, confidence
        As in `fixed_threshold`.

    Raises
    ------
    ValueError
        If a number is out of its range, or the design is another.

    Examples
    --------
    >>> from mialab.audit.clopper_pearson import fixed_threshold
    >>> counts = Counts(60, 100, 5, 100, design=Design.RUNS)
    >>> for audit in (fixed_threshold, joint):
    ...     print(audit(counts, neighbours=Neighbours.REPLACE))
    ε ≥ 1.483 at δ = 0 (95 % confident, Clopper-Pearson, fixed threshold)
    ε ≥ 1.628 at δ = 0 (95 % confident, exact joint test, fixed threshold)
    """
    check_terms(delta, confidence, neighbours)
    JOINT.admit(counts.design)
    sides, error = (counts.members, counts.non_members), allowed_error(confidence)

    def bound(true: int, false: int) -> float:
        return _bound(true, false, sides, delta, error)

    return of_rule(counts, bound, JOINT, neighbours=neighbours, delta=delta, confidence=confidence)


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def _bound(true: int, false: int, sides: tuple[int, int], delta: float, error: float) -> float:
    """Guess the largest ε that no known rates save, prove it, and where that fails learn rates that save it.

    What refutes an ε refutes all smaller ones, which allow fewer rates: one proof is enough.
    """
    least, known = as_telling(true, false, sides, delta, error), np.empty(0)

    def saved(epsilon: float) -> bool:
        some = np.append(known, _corner(epsilon, delta))
        return bool((_probability(least, sides, *_on_boundary(some, epsilon, delta)) > error).any())

    low = _largest_unsaved(saved)
    for tries in range(60):
        if (found := _objection(least, sides, low, delta, error)) is None:
            return low
        known = np.append(known, _worst_near(found, least, sides, low, delta))
        lower = _largest_unsaved(saved)
        low = max(lower if lower < low else low - _FINE * 2**tries, 0.0)
        if low == 0:
            return 0.0
    return 0.0


def _largest_unsaved(saved: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    while not saved(high):
        low, high = high, 2 * high
    while high - low > _FINE:
        middle = (low + high) / 2
        low, high = (low, middle) if saved(middle) else (middle, high)
    return low


def as_telling(true: int, false: int, sides: tuple[int, int], delta: float, error: float) -> Least:
    """Return, for each number of false positives, from how many true ones on it tells as much as this.

    One more than there are members where no number does.
    """
    members, non_members = sides
    tpr, tnr = _all_limits(members, error / 2), _all_limits(non_members, error / 2)[::-1]
    told = np.exp(_evidence(tpr[true], tnr[false], delta) - _TIE)
    if told == 0:
        return np.zeros(non_members + 1, dtype=int)
    accused = told * (1 - tnr) + delta
    spared = 1 - (tnr - delta) / told
    return np.searchsorted(tpr, np.minimum(accused, spared))


@lru_cache(maxsize=16)
def _all_limits(trials: int, error: float) -> Float[ndarray, "successes"]:
    limits = lower_limits(np.arange(trials + 1), trials, error)
    limits.flags.writeable = False
    return limits


def _evidence(tpr: float, tnr: float, delta: float) -> float:
    """Return the ε at which the two limits are just allowed; −∞ where any is."""
    with np.errstate(divide="ignore"):
        accused = np.log(max(tpr - delta, 0.0)) - np.log1p(-tnr)
        return float(max(accused, np.log(max(tnr - delta, 0.0)) - np.log1p(-tpr)))


def refuted(least: Least, sides: tuple[int, int], epsilon: float, delta: float, error: float) -> bool:
    """Tell whether no rates that (ε, δ) allows reach these outcomes more often than ``error``."""
    return _objection(least, sides, epsilon, delta, error) is None


def _objection(
    least: Least, sides: tuple[int, int], epsilon: float, delta: float, error: float
) -> float | None:
    """Return an FPR of the boundary that reaches them more often, or that could not be ruled out, or None."""
    ends = np.unique(np.append(np.linspace(0, 1, 17), _corner(epsilon, delta)))
    low, high = ends[:-1], ends[1:]
    for _ in range(60):
        most = _probability(least, sides, _highest_tpr(high, epsilon, delta), low)
        low, high, most = low[most > error], high[most > error], most[most > error]
        if not len(low):
            return None
        middle = (low + high) / 2
        likely = middle[np.argsort(most)[-_LIKELY:]]
        reached = _probability(least, sides, *_on_boundary(likely, epsilon, delta))
        if len(low) > _PIECES or (reached > error).any():
            return float(likely[np.argmax(reached)])
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    return float(low[0])


def _corner(epsilon: float, delta: float) -> float:
    """Return the FPR where the boundary has its kink; there it is often worst."""
    return float((1 - delta) * expit(-epsilon))


def _worst_near(fpr: float, least: Least, sides: tuple[int, int], epsilon: float, delta: float) -> float:
    """Return an FPR around this one that reaches them still more often."""
    for width in 1 / (20 * 8 ** np.arange(4.0)):
        some = np.clip(fpr + width * np.linspace(-1, 1, 21), 0, 1)
        fpr = float(some[np.argmax(_probability(least, sides, *_on_boundary(some, epsilon, delta)))])
    return fpr


def _on_boundary(fpr: float | Rates, epsilon: float, delta: float) -> tuple[Rates, Rates]:
    some = np.atleast_1d(np.asarray(fpr))
    return _highest_tpr(some, epsilon, delta), some


def _highest_tpr(fpr: Rates, epsilon: float, delta: float) -> Rates:
    grows = np.exp(epsilon)
    return np.clip(np.minimum(grows * fpr + delta, 1 - (1 - fpr - delta) / grows), 0, 1)


def _probability(least: Least, sides: tuple[int, int], tpr: Rates, fpr: Rates) -> Rates:
    """Return how likely the outcomes are at these rates: a sum over the false positives.

    Numbers further than 12σ + 48 from the expected one have a chance of e^−72 (Bernstein's inequality), which
    no sum of floats would notice. Where the others are thousands, they are taken in blocks, each as if all
    of it were its smallest number, for which the fewest true positives are enough: never less than the
    truth, and more by a shift of about σ/100.
    """
    members, non_members = sides
    reach = np.ceil(12 * np.sqrt(non_members * fpr * (1 - fpr)) + 48).astype(int)
    block = -(-reach // _NUMBERS)
    steps = int(np.max(-(-reach // block)))
    around = np.floor(fpr * non_members).astype(int) + block * np.arange(-steps, steps + 1)[:, None]
    false = np.clip(around, 0, non_members)
    weight = np.diff(bdtr(false * 1.0, non_members, fpr), axis=0, prepend=0.0)
    asked = least[np.minimum(np.maximum(around - block + 1, 0), false)]
    enough = np.where(asked > 0, bdtrc(np.clip(asked - 1, 0, members) * 1.0, members, tpr), 1.0)
    return (weight * enough).sum(axis=0)
