"""Two output distributions that the attacker has to tell apart, and the curves that such a pair has.

A curve that is no polygon gets a pair around it, `outer_polygon`, so that many releases of anything can be
multiplied. Independent products keep the order: if one pair is nowhere easier to tell apart than another,
neither are their products (Dong, Roth & Su 2022). So exact ≤ outer, however often one multiplies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit

from mialab import _check
from mialab._validation import door

_SAME = 1e-12  # outputs whose log-likelihood ratios differ by less are one output
_MOST = 2**27  # outputs of two pairs together: gigabytes
_LARGEST = 700  # ε: nearly the last whose e^ε is a float
SUM = 1e-9
"""How far probabilities may sum from 1 by rounding."""

Numbers = float | Float[ndarray, "*points"]


@door
@dataclass(frozen=True, eq=False)
class DominatingPair:
    """The distribution of a finite mechanism's output in two worlds: record in, record out.

    The best attack at any false-positive rate accuses from a likelihood ratio on (Neyman & Pearson 1933). So
    outputs are kept in falling order of it, outputs with the same ratio are one output, and the curve is the
    polygon of the running sums.

    A pair has a direction: `swapped` exchanges the worlds, and a promise has to hold for both.

    Attributes
    ----------
    member, non_member
        Float (outputs,): probabilities in the two worlds; each sums to 1.

    Raises
    ------
    ValueError
        If the shapes differ, a probability is negative or not finite, or a sum is not 1.

    Examples
    --------
    >>> coin = DominatingPair(np.array([0.25, 0.75]), np.array([0.75, 0.25]))
    >>> print(coin.tpr(0.25), coin.auc, coin.delta(0.0), round(coin.largest_loss, 4))
    0.75 0.75 0.5 1.0986
    >>> (coin**2).member
    array([0.5625, 0.375 , 0.0625])
    """

    member: Float[ndarray, "outputs"]
    non_member: Float[ndarray, "outputs"]

    def __post_init__(self):
        worlds = {"member": self.member, "non_member": self.non_member}
        for name, array in worlds.items():
            _check_probabilities(name, array)
        for name, array in zip(worlds, _in_order(*worlds.values()), strict=True):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __reduce__(self) -> tuple:
        """Copy and unpickle by making it anew: arrays lose their lock on any other way."""
        return DominatingPair, (self.member, self.non_member)

    @cached_property
    def loss(self) -> Float[ndarray, "outputs"]:
        """The privacy loss of each output: the logarithm of its likelihood ratio, falling."""
        loss = _loss(self.member, self.non_member)
        loss.flags.writeable = False
        return loss

    @property
    def largest_loss(self) -> float:
        """The smallest ε that holds at δ = 0, in this direction. Infinite where an output gives it away."""
        return float(self.loss[0])

    @door
    def tpr(self, fpr: Numbers) -> Numbers:
        """Return the largest true-positive rate at a false-positive rate in [0, 1]."""
        check_rates(fpr)
        return np.interp(fpr, *self.corners)

    @property
    def corners(self) -> tuple[Float[ndarray, "corners"], Float[ndarray, "corners"]]:
        """FPR and TPR of the corners of the curve, from the left end to (1, 1)."""
        false, true = np.cumsum(self.non_member), np.cumsum(self.member)
        if self.non_member[0] > 0:
            false, true = np.append(0.0, false), np.append(0.0, true)
        false[-1] = true[-1] = 1.0
        return np.minimum(false, 1.0), np.minimum(true, 1.0)

    @door
    def delta(self, epsilon: Numbers) -> Numbers:
        """Return the smallest δ at ``epsilon``: the largest TPR − e^ε · FPR of any attack.

        The sum over outputs of max(0, P − e^ε · Q), P the member's and Q the non-member's probability.
        ``epsilon`` may be any number: below 0 it says the same of who is *not* accused.
        """
        first, last = int(self.non_member[0] == 0), len(self.loss) - int(self.member[-1] == 0)
        below = np.minimum(np.asarray(epsilon)[..., None] - self.loss[first:last], 0.0)
        return self.member[:first].sum() + (self.member[first:last] * -np.expm1(below)).sum(axis=-1)

    @property
    def auc(self) -> float:
        """The area under the curve."""
        before = np.cumsum(self.member) - self.member
        return float(np.sum(self.non_member * (before + self.member / 2)))

    def swapped(self) -> "DominatingPair":
        """Exchange the two worlds."""
        return DominatingPair(self.non_member, self.member)

    def __mul__(self, other: "DominatingPair") -> "DominatingPair":
        """Return the pair of two independent outputs, seen together (Dong, Roth & Su 2022)."""
        if not isinstance(other, DominatingPair):
            return NotImplemented
        if (outputs := len(self.member) * len(other.member)) > _MOST:
            _check.refuse("two pairs", f"have at most {_MOST} outputs together", outputs)
        worlds = (self.member, other.member), (self.non_member, other.non_member)
        return DominatingPair(*(np.outer(one, two).ravel() for one, two in worlds))

    def __pow__(self, times: int) -> "DominatingPair":
        """Return the pair of ``times`` independent outputs, seen together."""
        _check.count("times", times, 1)
        if times == 1:
            return self
        half = self ** (times // 2)
        return half * half * self if times % 2 else half * half


@door
def pure(epsilon: float) -> DominatingPair:
    """Return the best that any attack can do against a mechanism of which only (ε, 0) is known.

    TPR ≤ min(e^ε · FPR, 1 − e^−ε · (1 − FPR)): one corner. It is the curve of randomized response with two
    answers, the worst mechanism that the promise allows (Kairouz, Oh & Viswanath 2015, Theorem 3.3).

    Raises
    ------
    ValueError
        If ``epsilon`` is negative or not finite.

    Examples
    --------
    >>> round(float(pure(1.0).tpr(0.01)), 6)
    0.027183
    """
    return approximate(epsilon, 0.0)


@door
def approximate(epsilon: float, delta: float) -> DominatingPair:
    """Return the best that any attack can do against a mechanism of which only (ε, δ) is known.

    With probability δ the output gives the world away; else it is randomized response (Kairouz, Oh &
    Viswanath 2015, Theorem 3.3).

    Raises
    ------
    ValueError
        If ``epsilon`` is negative or not finite, or ``delta`` is not in [0, 1].

    Examples
    --------
    >>> round(float(approximate(1.0, 0.1).tpr(0.01)), 6)
    0.127183
    """
    _check.not_negative("epsilon", epsilon)
    _check.probability("delta", delta)
    hidden = (1 - delta) * expit(np.array([epsilon, -epsilon]))
    return DominatingPair(np.array([delta, *hidden, 0.0]), np.array([0.0, *hidden[::-1], delta]))


def highest_tpr(fpr: Numbers, epsilon: float, delta: float) -> Any:
    """Return ``approximate(epsilon, delta).tpr(fpr)`` without its checks, for what asks a thousand times."""
    grown = np.exp(epsilon)
    return np.minimum(np.minimum(grown * fpr + delta, 1 - (1 - fpr - delta) / grown), 1.0)


@door
def randomized_response(epsilon: float, answers: int = 2) -> DominatingPair:
    """Return the exact curve of randomized response, for two people's true answers that differ.

    The reported answer is the true one with probability e^ε/(e^ε + k − 1), and each other with
    1/(e^ε + k − 1). With more than two answers most reports fit neither truth, and the curve lies inside the
    pure one: the best accuracy is (2·e^ε + k − 2)/(2·(e^ε + k − 1)).

    Parameters
    ----------
    epsilon
        At least 0.
    answers
        Number k of possible answers, at least 2.

    Examples
    --------
    >>> two, four = randomized_response(1.0), randomized_response(1.0, 4)
    >>> print(round(two.tpr(0.01), 6), round(four.tpr(0.01), 6), round(two.auc, 6), round(four.auc, 6))
    0.027183 0.027183 0.731059 0.702793
    """
    _check.not_negative("epsilon", epsilon)
    _check.at_least("answers", answers, 2)
    truth = 1 / (1 + (answers - 1) * np.exp(-epsilon))
    lie = truth * np.exp(-epsilon)
    rest = (answers - 2) * lie
    return DominatingPair(np.array([truth, rest, lie]), np.array([lie, rest, truth]))


@door
def outer_polygon(delta: Callable[[Numbers], Numbers], epsilon: Float[ndarray, "tangents"]) -> DominatingPair:
    """Return the polygon of tangents: every attack that the curve allows, it allows too.

    All that it knows of the curve is δ at these ε: TPR ≤ e^ε · FPR + δ(ε). Losses above the largest ε count
    as infinite, so a grid that ends too early costs δ, and never the truth. With a grid of equal steps, such
    as ``0.05 * np.arange(-100, 101)``, products of polygons stay small.

    Parameters
    ----------
    delta
        A curve's ``delta``.
    epsilon
        Where to touch the curve, rising.

    Raises
    ------
    ValueError
        If ``epsilon`` does not rise, is not finite, or δ at the last is 1, so that nothing is known.

    Examples
    --------
    >>> from mialab.tradeoff.continuous import GaussianCurve
    >>> curve, grid = GaussianCurve(1.0), np.linspace(-6, 6, 61)
    >>> bool((outer_polygon(curve.delta, grid).tpr(grid[30:35] / 2) >= curve.tpr(grid[30:35] / 2)).all())
    True
    """
    if len(epsilon) and np.abs(epsilon).max() > _LARGEST:
        _check.refuse("epsilon", f"be within ±{_LARGEST}, for e^ε to be a float", np.abs(epsilon).max())
    if not (len(epsilon) and (np.diff(epsilon) > 0).all()):
        _check.refuse("epsilon", "rise", epsilon)
    slope, start = np.exp(epsilon[::-1]), np.asarray(delta(epsilon))[::-1]
    if start[0] >= 1:
        _check.refuse("the largest epsilon", "have a delta below 1", f"δ({epsilon[-1]:g}) = {start[0]:g}")
    meet = np.diff(start) / -np.diff(slope)  # where each tangent meets the next
    corners = np.append(meet, (1 - start[-1]) / slope[-1])
    width = np.diff(np.maximum.accumulate(np.clip(corners, 0, 1)), prepend=0.0)
    height = np.append(start[0], slope * width)
    member = np.append(height, 0.0)
    return DominatingPair(member, np.array([0.0, *width, 1 - width.sum()]))


def check_rates(fpr: Numbers) -> None:
    """Refuse what is not a rate."""
    if not np.all((np.asarray(fpr) >= 0) & (np.asarray(fpr) <= 1)):
        _check.refuse("fpr", "be in [0, 1]", fpr)


def _check_probabilities(name: str, array: ndarray) -> None:
    if (array < 0).any():
        _check.refuse(name, "have no negative probability", array.min())
    if not abs(array.sum() - 1) <= SUM:
        _check.refuse(name, "sum to 1", array.sum())


def _loss(member: ndarray, non_member: ndarray) -> ndarray:
    with np.errstate(divide="ignore"):
        return np.log(member) - np.log(non_member)


def _in_order(member: ndarray, non_member: ndarray) -> tuple[ndarray, ndarray]:
    """Sort outputs by falling loss, drop the impossible ones, and add up those of equal loss."""
    possible = np.maximum(member, non_member) >= np.finfo(float).tiny  # below it, a ratio has no digits
    member, non_member = member[possible], non_member[possible]
    loss = _loss(member, non_member)
    order = np.argsort(-loss, kind="stable")
    finite = np.abs(loss[np.isfinite(loss)])
    same = min(_SAME, 1e-3 * finite.max(initial=0.0))  # no loss at all is not made of small ones
    falls = np.append(True, loss[order][1:] < loss[order][:-1] - same)
    starts = np.flatnonzero(falls)
    return np.add.reduceat(member[order], starts), np.add.reduceat(non_member[order], starts)
