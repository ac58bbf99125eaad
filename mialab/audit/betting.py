"""Look as often as you like, and stop when you are sure: a bound by betting."""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import betaln, xlog1py, xlogy

from mialab import _check
from mialab._bisection import bisect
from mialab._validation import door
from mialab.audit.claims import Epsilon, EpsilonDelta
from mialab.game import Design
from mialab.metrics import Estimate

GRID = np.arange(3001) / 200  # every ε that is bet against

Wealth = Float[ndarray, "ways epsilons"]


def _start() -> Wealth:
    return np.zeros((2, GRID.size))


@door
@dataclass(frozen=True, eq=False)
class ConfidenceSequence:
    """A stream of right and wrong calls, and bets on them against every ε of a grid: look at it at any time.

    Each trial is a fair coin, and the attacker calls it or abstains. Under (ε, δ), whatever happened before,
    P(right) ≤ e^ε · P(wrong) + δ. So whoever bets a share λ ≤ 1/(e^ε + δ) of their wealth, chosen before
    the trial, has 1 + λ · (1[right] − e^ε · 1[wrong] − δ) times as much afterwards: a loss on average. Wealth
    that starts at 1 ever reaches 1/error with a probability of at most ``error`` (Ville 1939): ε is refuted
    as soon as it does, and for good. The same bets against a smaller ε would have won more, so one
    ε of the grid (0, 0.005 … 15) speaks for all down to the one before it; the bound is the largest of those
    that are refuted without a gap.

    The bet is what would have made the wealth grow fastest if the attacker were right as often as
    before, (right + ½)/(right + wrong + 1) (Krichevsky & Trofimov 1981): never more than allowed.

    * Independent runs: a fair coin, tossed anew, decides each run. Runs in a known order, in after out,
      have no such coin.
    * Coins of one target, or of one run: at δ = 0 only. A run that confesses with probability δ confesses
      all coins at once.

    Attributes
    ----------
    design
        How membership was decided: independent runs, or at δ = 0 coins.
    delta
        In [0, 1): the δ of the bound.
    right, wrong, abstained
        How the trials went so far.

    Raises
    ------
    ValueError
        If δ is out of its range, or above 0 within one run.

    Examples
    --------
    >>> from mialab.audit import lower_bound
    >>> calls = np.where(np.random.default_rng(0).random(400) < 0.75, 1, -1)
    >>> seen = ConfidenceSequence(Design.RUNS)
    >>> for call in calls[:300]:
    ...     seen = seen.update(call)
    >>> print(lower_bound(seen, neighbours="replace-one"))
    ε ≥ 0.415 at δ = 0 (95 % confident, betting, stopped at will)
    >>> print(lower_bound(seen.update(calls[300:]), neighbours="replace-one"))
    ε ≥ 0.535 at δ = 0 (95 % confident, betting, stopped at will)
    """

    design: Design
    delta: float = field(default=0.0, kw_only=True)
    right: int = field(default=0, init=False)
    wrong: int = field(default=0, init=False)
    abstained: int = field(default=0, init=False)
    _wealth: Wealth = field(default_factory=_start, init=False, repr=False)
    _most: Wealth = field(default_factory=_start, init=False, repr=False)

    def __post_init__(self):
        _check.share("delta", self.delta)
        if self.delta > 0 and self.design in (Design.COINS, Design.ONE_RUN):
            _check.refuse("delta", f"be 0 with {self.design} for betting", self.delta)

    @door
    def update(self, calls: int | np.integer | Int[ndarray, "trials"]) -> "ConfidenceSequence":
        """Return the state after more trials: 1 for a right call, −1 for a wrong one, 0 for none."""
        seen = np.atleast_1d(np.asarray(calls))
        if not np.isin(seen, (-1, 0, 1)).all():
            _check.refuse("calls", "be 1 (right), −1 (wrong) or 0 (abstained)", calls)
        right, wrong, abstained = self.right, self.wrong, self.abstained
        wealth, most = self._wealth, self._most
        for call in seen:
            told = np.array([[right], [wrong]])  # as it is called, and turned round
            share = bet(told, told[::-1], GRID, self.delta)
            wealth = wealth + np.log1p(share * payoff(np.array([[call], [-call]]), GRID, self.delta))
            most = np.maximum(most, wealth)
            right, wrong, abstained = right + (call == 1), wrong + (call == -1), abstained + (call == 0)
        return self._with(int(right), int(wrong), int(abstained), wealth, most)

    def turned(self) -> "ConfidenceSequence":
        """Return the state had every right call been wrong, and every wrong one right."""
        return self._with(self.wrong, self.right, self.abstained, self._wealth[::-1], self._most[::-1])

    @door
    def rank(self, *, confidence: float = 0.95) -> Estimate:
        """Return the share of right calls with an interval that holds whenever one stops.

        Refuted are the shares q that a bettor got rich against who draws another from Beta(½, ½) and bets on
        it: their wealth is B(right + ½, wrong + ½)/B(½, ½) over q^right · (1 − q)^wrong (Krichevsky &
        Trofimov 1981), and ever reaches 1/error with a probability of at most ``error`` (Ville 1939).

        Examples
        --------
        >>> print(ConfidenceSequence("runs").update([1] * 60 + [-1] * 40).rank())
        0.600 [0.434, 0.751]
        """
        _check.confidence(confidence)
        right, wrong = self.right, self.wrong
        share = right / (right + wrong) if right + wrong else 0.5
        limit = betaln(right + 0.5, wrong + 0.5) - betaln(0.5, 0.5) + np.log1p(-confidence)

        def poor(place: float) -> bool:
            return bool(xlogy(right, place) + xlog1py(wrong, -place) > limit)

        low, high = (bisect(poor, share, end)[1] for end in (0.0, 1.0))
        return Estimate(share, low, high, confidence, "betting, at any time")

    def _with(self, *state: int | Wealth) -> "ConfidenceSequence":
        copy = replace(self)
        for name, value in zip(("right", "wrong", "abstained", "_wealth", "_most"), state, strict=True):
            object.__setattr__(copy, name, value)
        return copy


def bound(calls: ConfidenceSequence, family: Epsilon, error: float) -> float:
    """Return the last ε of the grid that is refuted together with all before it."""
    _check_delta(calls, family.delta)
    refuted = calls._most[0] >= -np.log(error)
    gap = len(GRID) if refuted.all() else int(np.argmin(refuted))
    return float(GRID[max(gap - 1, 0)])


def p_value(calls: ConfidenceSequence, claim: EpsilonDelta) -> float:
    """Return 1 over the most wealth that was ever reached against the next ε of the grid."""
    _check_delta(calls, claim.delta)
    place = int(np.searchsorted(GRID, claim.epsilon))
    return float(np.exp(-calls._most[0, place])) if place < GRID.size else 1.0


def _check_delta(calls: ConfidenceSequence, delta: float) -> None:
    if delta != calls.delta:
        _check.refuse("delta", f"be {calls.delta}, which was bet with", delta)


def bet(
    right: int | np.integer | ndarray,
    wrong: int | np.integer | ndarray,
    epsilon: float | ndarray,
    delta: float,
) -> ndarray:
    """Return the share of the wealth to bet, given how the trials *before* this one went.

    λ = p/(e^ε + δ) − (1 − p)/(1 − δ), if that is positive: Kelly's (1956) bet on a right call that comes with
    probability p.

    Examples
    --------
    >>> float(bet(3, 0, 0.0, 0.0)), float(bet(0, 3, 0.0, 0.0))
    (0.75, 0.0)
    """
    often = (np.asarray(right) + 0.5) / (np.asarray(right) + wrong + 1)
    return np.asarray(np.maximum(often / (np.exp(epsilon) + delta) - (1 - often) / (1 - delta), 0.0))


def payoff(call: int | np.integer | ndarray, epsilon: float | ndarray, delta: float) -> ndarray:
    """Return what a bet of 1 earns: 1 − δ if right, −e^ε − δ if wrong, −δ if there was no call."""
    call = np.asarray(call)
    return np.asarray((call == 1) * 1.0 - (call == -1) * np.exp(epsilon) - delta)
