"""Two rates at once: sharper than a limit for each of them."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import bdtr, bdtrc

from mialab.accounting import Neighbours
from mialab.audit.clopper_pearson import lower_limits
from mialab.audit.result import AuditResult, Method, check_terms
from mialab.game import Counts, Design

JOINT = Method("exact joint test, fixed threshold", (Design.RUNS,))
_TIE = 1e-9  # outcomes whose evidence differs by less count as equal, so that more of them are extreme
_FINE = 1e-5  # how closely ε is searched for; the refuted end is kept
_PIECES = 2000  # a worst case that needs more of them is given up, and ε is not refuted


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
    fraction of a second for 500 trials on either side, and some seconds for 5,000.

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
    sides, error = (counts.members, counts.non_members), 1 - confidence
    epsilon, ceiling = (
        _bound(*outcome, sides, delta, error)
        for outcome in ((counts.true_positives, counts.false_positives), (counts.members, 0))
    )
    return AuditResult(epsilon, delta, confidence, JOINT, neighbours, counts.design, sum(sides), ceiling)


@lru_cache(maxsize=4096)  # repeated experiments have few distinct outcomes
def _bound(true: int, false: int, sides: tuple[int, int], delta: float, error: float) -> float:
    least = as_telling(true, false, sides, delta, error)
    low, high = 0.0, 1.0
    if not refuted(least, sides, low, delta, error):
        return 0.0
    while refuted(least, sides, high, delta, error):
        low, high = high, 2 * high
    while high - low > _FINE:
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(least, sides, middle, delta, error) else (low, middle)
    return low


def as_telling(
    true: int, false: int, sides: tuple[int, int], delta: float, error: float
) -> Int[ndarray, "false_positives"]:
    """Return, for each number of false positives, from how many true ones on it tells as much as this.

    One more than there are members where no number does.
    """
    members, non_members = sides
    tpr = lower_limits(np.arange(members + 1), members, error / 2)
    tnr = lower_limits(np.arange(non_members + 1)[::-1], non_members, error / 2)
    told = np.exp(_evidence(tpr[true], tnr[false], delta) - _TIE)
    if told == 0:
        return np.zeros(non_members + 1, dtype=int)
    accused = told * (1 - tnr) + delta
    spared = 1 - (tnr - delta) / told
    return np.searchsorted(tpr, np.minimum(accused, spared))


def _evidence(tpr: float, tnr: float, delta: float) -> float:
    """Return the ε at which the two limits are just allowed; −∞ where any is."""
    with np.errstate(divide="ignore"):
        accused = np.log(max(tpr - delta, 0.0)) - np.log1p(-tnr)
        return float(max(accused, np.log(max(tnr - delta, 0.0)) - np.log1p(-tpr)))


def refuted(
    least: Int[ndarray, "false_positives"], sides: tuple[int, int], epsilon: float, delta: float, error: float
) -> bool:
    """Tell whether no rates that (ε, δ) allows reach these outcomes more often than ``error``."""
    ends = np.linspace(0, 1, 17)
    low, high = ends[:-1], ends[1:]
    for _ in range(60):
        open_ = _probability(least, sides, _highest_tpr(high, epsilon, delta), low) > error
        low, high = low[open_], high[open_]
        if not len(low):
            return True
        middle = (low + high) / 2
        if (
            len(low) > _PIECES
            or (_probability(least, sides, _highest_tpr(middle, epsilon, delta), middle) > error).any()
        ):
            return False
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    return False


def _highest_tpr(fpr: Float[ndarray, "pieces"], epsilon: float, delta: float) -> Float[ndarray, "pieces"]:
    grows = np.exp(epsilon)
    return np.clip(np.minimum(grows * fpr + delta, 1 - (1 - fpr - delta) / grows), 0, 1)


def _probability(
    least: Int[ndarray, "false_positives"],
    sides: tuple[int, int],
    tpr: Float[ndarray, "pieces"],
    fpr: Float[ndarray, "pieces"],
) -> Float[ndarray, "pieces"]:
    """Return how likely the outcomes are at these rates: a sum over the false positives.

    Numbers further than 6√n from the expected ones have a chance of e^−72 (Hoeffding 1963), which no sum of
    floats would notice.
    """
    members, non_members = sides
    reach = int(6 * np.sqrt(non_members)) + 1
    around = np.floor(fpr * non_members).astype(int) + np.arange(-reach, reach + 1)[:, None]
    false = np.clip(around, 0, non_members)
    weight = np.diff(bdtr(false * 1.0, non_members, fpr), axis=0, prepend=0.0)
    asked = least[false]
    enough = np.where(asked > 0, bdtrc(np.clip(asked - 1, 0, members) * 1.0, members, tpr), 1.0)
    return (weight * enough).sum(axis=0)
