"""What can this audit see? A small bound may be a private mechanism, or a small audit.

Every `AuditResult` has the ceiling of its test. Here is the ceiling of all tests, and the number of trials
that a gap asks for.
"""

import numpy as np
from scipy.special import bdtr, bdtrc, expit, rel_entr

from mialab import _check
from mialab._validation import door
from mialab.audit.result import allowed_error, check_terms, largest_refuted

_TOO_MANY = 10**7


@door
def ceiling(members: int, non_members: int, *, delta: float = 0.0, confidence: float = 0.95) -> float:
    """Return the most that any exact test of independent runs can prove when all verdicts are right.

    That result has probability TPR^members · TNR^non_members. A test that refutes ε because of it is
    wrong that often, and must not be more often than 1 − confidence for any two rates that ε allows. No
    bound that rises with every right verdict is ever larger. With n on both sides and δ = 0 it
    is ln(q/(1 − q)), q = (1 − confidence)^(1/2n).

    Raises
    ------
    ValueError
        If a side is empty, or a number is out of its range.

    Examples
    --------
    >>> round(ceiling(500, 500), 6), round(ceiling(500, 5), 6)
    (5.809068, 5.124402)
    """
    check_terms(delta, confidence)
    for name, value in (("members", members), ("non_members", non_members)):
        _check.at_least(name, value, 1)
    allowed = np.log(allowed_error(confidence))
    return largest_refuted(lambda epsilon: log_all_right(members, non_members, epsilon, delta) <= allowed)


def log_all_right(members: int, non_members: int, epsilon: float, delta: float) -> float:
    """Return ln of the largest TPR^members · TNR^non_members that (ε, δ) allows.

    The rates that are allowed end in two straight lines, TPR = 1 − (TNR − δ)/e^ε and the same with the roles
    swapped. On each the product has one summit, which is taken if it lies on the line, or the corner
    where both meet.
    """
    return max(_on_line(members, non_members, epsilon, delta), _on_line(non_members, members, epsilon, delta))


def _on_line(steep: int, flat: int, epsilon: float, delta: float) -> float:
    """Return the largest of steep · ln(1 − (x − δ)/e^ε) + flat · ln(x), δ ≤ x ≤ the corner."""
    shrink, wrong = np.exp(-epsilon), (1 - delta) * expit(-epsilon)
    corner = 1 - wrong
    summit = flat * (1 + delta * shrink) / (shrink * (steep + flat)) if shrink > 0 else corner
    x = float(np.clip(summit, delta, corner))
    if x == corner:  # both are wrong as often
        return float((steep + flat) * np.log1p(-wrong))
    return float(steep * np.log1p(-(x - delta) * shrink) + flat * np.log(x))


@door
def trials_for_evidence(share: float, *, allowed: float, confidence: float = 0.95) -> tuple[int, int]:
    """Return from how many trials on a share of right verdicts is evidence against an allowed one.

    Parameters
    ----------
    share, allowed
        In (0, 1), ``share`` above ``allowed``. Of n trials, ⌈share · n⌉ are right.
    confidence
        In (0, 1).

    Returns
    -------
    The first number at which the exact p-value is below 1 − confidence, and the number from which on it
    always is (it goes up and down, because whole trials are right). From ln(1/error)/D on Chernoff's bound
    settles it, D being the divergence between the two shares; up to there all are computed.

    Raises
    ------
    ValueError
        If a share is out of its range, or the two are so close that more than ten million trials are needed.

    Examples
    --------
    >>> trials_for_evidence(0.65, allowed=0.6)
    (248, 270)
    """
    error = _check_shares(share, allowed, confidence)
    n = _up_to(-np.log(error) / _divergence(share, allowed))
    right = np.ceil(n * share - 1e-9)  # .65 · 20 is a little more than 13 for a float
    return _first_and_always(n, bdtr(n - right, n, 1 - allowed) < error)


@door
def trials_for_power(
    share: float, *, allowed: float, power: float = 0.8, confidence: float = 0.95
) -> tuple[int, int]:
    """Return how many trials find an attacker out who is right with probability ``share``.

    Returns
    -------
    The first number at which the exact test refutes ``allowed`` with probability ``power`` or more, and the
    number from which on it always does.

    Raises
    ------
    ValueError
        As `trials_for_evidence`, or if ``power`` is not in (0, 1).

    Examples
    --------
    >>> trials_for_power(0.65, allowed=0.6)
    (585, 617)
    """
    error = _check_shares(share, allowed, confidence)
    _check.probability("power", power, open_ends=True)
    between = (share + allowed) / 2
    ends = (error, allowed), (1 - power, share)
    n = _up_to(max(-np.log(miss) / _divergence(between, other) for miss, other in ends))
    return _first_and_always(n, bdtrc(_critical(n, allowed, error) - 1, n, share) >= power)


def _critical(n: np.ndarray, allowed: float, error: float) -> np.ndarray:
    """Return the fewest right verdicts with a p-value below ``error``: bisection, for all n at once."""
    refuted, open_ = n + 1, np.zeros_like(n)  # P(Bin(n) ≥ n + 1) = 0
    while ((refuted - open_) > 1).any():
        middle = (refuted + open_) // 2
        small = bdtr(n - middle, n, 1 - allowed) < error
        refuted, open_ = np.where(small, middle, refuted), np.where(small, open_, middle)
    return refuted


def _check_shares(share: float, allowed: float, confidence: float) -> float:
    for name, value in (("share", share), ("allowed", allowed)):
        _check.probability(name, value, open_ends=True)
    _check.confidence(confidence)
    if not share > allowed:
        _check.refuse("share", f"be above the allowed {allowed}", share)
    return allowed_error(confidence)


def _divergence(share: float, other: float) -> float:
    """Return the Kullback-Leibler divergence of two coins."""
    return float(rel_entr(share, other) + rel_entr(1 - share, 1 - other))


def _up_to(last: float) -> np.ndarray:
    if last > _TOO_MANY:
        _check.refuse("the gap", "need at most ten million trials", f"{last:.3g}")
    return np.arange(1, int(np.ceil(last)) + 1)


def _first_and_always(n: np.ndarray, enough: np.ndarray) -> tuple[int, int]:
    """Return the first of n that is enough, and the one after the last that is not."""
    always = n[~enough][-1] + 1 if not enough.all() else n[0]
    return int(n[enough][0]) if enough.any() else int(always), int(always)
