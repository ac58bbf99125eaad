"""Two output distributions: what the attacker has to tell apart."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door

_SAME = 1e-12  # outputs whose log-likelihood ratios differ by less are one output
_MOST = 2**27  # outputs of two pairs together: gigabytes
_SUM = 1e-9  # how far probabilities may sum from 1 by rounding

Numbers = float | Float[ndarray, "*points"]


@door
@dataclass(frozen=True, eq=False)
class Pair:
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
    >>> coin = Pair(np.array([0.25, 0.75]), np.array([0.75, 0.25]))
    >>> print(coin.tpr(0.25), coin.auc, coin.delta(0.0), round(coin.largest_loss, 4))
    0.75 0.75 0.5 1.0986
    >>> (coin**2).member
    array([0.5625, 0.375 , 0.0625])
    """

    member: Float[ndarray, "outputs"]
    non_member: Float[ndarray, "outputs"]

    def __post_init__(self):
        for name in ("member", "non_member"):
            _check_probabilities(name, getattr(self, name))
        member, non_member = _in_order(self.member, self.non_member)
        for name, array in (("member", member), ("non_member", non_member)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __reduce__(self) -> tuple:
        """Copy and unpickle by making it anew: arrays lose their lock on any other way."""
        return Pair, (self.member, self.non_member)

    @property
    def loss(self) -> Float[ndarray, "outputs"]:
        """The privacy loss of each output: the logarithm of its likelihood ratio, falling."""
        return _loss(self.member, self.non_member)

    @property
    def largest_loss(self) -> float:
        """The smallest ε that holds at δ = 0, in this direction. Infinite where an output gives it away."""
        return float(self.loss[0])

    @door
    def tpr(self, fpr: Numbers) -> Numbers:
        """Return the largest true-positive rate at a false-positive rate in [0, 1]."""
        check_rates(fpr)
        false, true = self.corners
        return np.interp(fpr, false, true)

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
        check_losses(epsilon)
        sure, open_ = self.non_member == 0, (self.non_member > 0) & (self.member > 0)
        below = np.minimum(np.asarray(epsilon)[..., None] - self.loss[open_], 0.0)
        return self.member[sure].sum() + (self.member[open_] * -np.expm1(below)).sum(axis=-1)

    @property
    def auc(self) -> float:
        """The area under the curve."""
        before = np.cumsum(self.member) - self.member
        return float(np.sum(self.non_member * (before + self.member / 2)))

    def swapped(self) -> "Pair":
        """Exchange the two worlds."""
        return Pair(self.non_member, self.member)

    def __mul__(self, other: "Pair") -> "Pair":
        """Return the pair of two independent outputs, seen together (Dong, Roth & Su 2022)."""
        if not isinstance(other, Pair):
            return NotImplemented
        if (outputs := len(self.member) * len(other.member)) > _MOST:
            _check.refuse("two pairs", f"have at most {_MOST} outputs together", outputs)
        return Pair(*(np.outer(a, b).ravel() for a, b in zip(self._both, other._both, strict=True)))

    def __pow__(self, times: int) -> "Pair":
        """Return the pair of ``times`` independent outputs, seen together."""
        _check.count("times", times, 1)
        half = self ** (times // 2) if times > 1 else None
        even = half * half if half is not None else self
        return even * self if times > 1 and times % 2 else even

    @property
    def _both(self) -> tuple[ndarray, ndarray]:
        return self.member, self.non_member


def check_rates(fpr: Numbers) -> None:
    """Refuse what is not a rate."""
    _check.numbers("fpr", fpr)
    if not np.all((np.asarray(fpr) >= 0) & (np.asarray(fpr) <= 1)):
        _check.refuse("fpr", "be in [0, 1]", fpr)


def check_losses(epsilon: Numbers) -> None:
    """Refuse what is no ε; any number is one, and so is infinity."""
    _check.not_nan("epsilon", epsilon)


def _check_probabilities(name: str, array: ndarray) -> None:
    _check.finite(name, array)
    if (array < 0).any():
        _check.refuse(name, "have no negative probability", array.min())
    if not abs(array.sum() - 1) <= _SUM:
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
