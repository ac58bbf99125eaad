"""Look as often as you like, and stop when you are sure: a bound by betting."""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import betaln, xlog1py, xlogy

from mialab import _check
from mialab._validation import door
from mialab.accounting import Neighbours
from mialab.audit.evidence import Evidence
from mialab.audit.result import AuditResult, Method, check_terms
from mialab.game import Design
from mialab.metrics import Estimate

SEQUENTIAL = Method("betting, stopped at will", (Design.RUNS, Design.COINS, Design.ONE_RUN))
GRID = np.arange(3001) / 200  # every ε that is bet against


def _no_money() -> Float[ndarray, "ways epsilons"]:
    return np.zeros((2, GRID.size))


@door
@dataclass(frozen=True, eq=False)
class Betting:
    """Bets against every ε of a grid, one trial after the other.

    Each trial is a fair coin, and the attacker calls it or abstains. Under (ε, δ), whatever happened before,
    P(right) ≤ e^ε · P(wrong) + δ. So whoever stakes a share λ ≤ 1/(e^ε + δ) of their wealth, chosen before
    the trial, has 1 + λ · (1[right] − e^ε · 1[wrong] − δ) times as much afterwards: a loss on average. Wealth
    that starts at 1 ever reaches 1/error with a probability of at most ``error`` (Ville 1939): ε is refuted
    as soon as it does, and for good. The same stakes against a smaller ε would have won more, so one
    ε of the grid (0, 0.005 … 15) speaks for all down to the one before it; the bound is the largest of those
    that are refuted without a gap.

    The stake is what would have made the wealth grow fastest if the attacker were right as often as
    before, (right + ½)/(right + wrong + 1) (Krichevsky & Trofimov 1981): never more than allowed.

    * Independent runs: a fair coin, tossed anew, decides each run. Runs in a known order, in after out,
      have no such coin.
    * Coins of one target, or of one run: at δ = 0 only. A run that confesses with probability δ confesses
      all coins at once.

    Attributes
    ----------
    design, neighbours, delta, confidence
        As in `fixed_threshold`.
    right, wrong, abstained
        How the trials went so far.

    Raises
    ------
    ValueError
        If a number is out of its range, the design is another, or δ > 0 within one run.

    Examples
    --------
    >>> bets = Betting(Design.RUNS, Neighbours.REPLACE)
    >>> verdicts = np.where(np.random.default_rng(0).random(400) < 0.75, 1, -1)
    >>> for seen in verdicts[:300]:
    ...     bets = bets.after(seen)
    >>> print(bets.result())
    ε ≥ 0.415 at δ = 0 (95 % confident, betting, stopped at will)
    >>> print(bets.after(verdicts[300:]).result())
    ε ≥ 0.535 at δ = 0 (95 % confident, betting, stopped at will)
    """

    design: Design
    neighbours: Neighbours
    delta: float = field(default=0.0, kw_only=True)
    confidence: float = field(default=0.95, kw_only=True)
    right: int = field(default=0, init=False)
    wrong: int = field(default=0, init=False)
    abstained: int = field(default=0, init=False)
    _wealth: Float[ndarray, "ways epsilons"] = field(default_factory=_no_money, init=False, repr=False)
    _most: Float[ndarray, "ways epsilons"] = field(default_factory=_no_money, init=False, repr=False)

    def __post_init__(self):
        check_terms(self.delta, self.confidence, self.neighbours)
        SEQUENTIAL.admit(self.design)
        if self.delta > 0 and self.design != Design.RUNS:
            _check.refuse("delta", f"be 0 with {self.design} for betting", self.delta)

    @door
    def after(self, verdicts: int | np.integer | Int[ndarray, "trials"]) -> "Betting":
        """Return the state after more trials: 1 for a right call, −1 for a wrong one, 0 for none."""
        seen = np.atleast_1d(np.asarray(verdicts))
        if not np.isin(seen, (-1, 0, 1)).all():
            _check.refuse("verdicts", "be 1 (right), −1 (wrong) or 0 (abstained)", verdicts)
        right, wrong, abstained = self.right, self.wrong, self.abstained
        wealth, most = self._wealth, self._most
        for one in seen:
            told = np.array([[right], [wrong]])  # as it is called, and turned round
            share = stake(told, told[::-1], GRID, self.delta)
            earned = payment(np.array([[one], [-one]]), GRID, self.delta)
            wealth = wealth + np.log1p(share * earned)
            most = np.maximum(most, wealth)
            right, wrong, abstained = right + (one == 1), wrong + (one == -1), abstained + (one == 0)
        return self._with(
            right=int(right), wrong=int(wrong), abstained=int(abstained), _wealth=wealth, _most=most
        )

    def result(self) -> AuditResult:
        """Return the bound as it stands; at least one trial must have been seen."""
        trials = self.right + self.wrong + self.abstained
        _check.at_least("trials", trials, 1)
        called = replace(self).after(np.ones(self.right + self.wrong, dtype=int))
        best = called.after(np.ones(self.abstained, dtype=int))
        terms = self.delta, self.confidence, SEQUENTIAL, self.neighbours, self.design, trials
        rank = rank_at_any_time(self.right, self.wrong, confidence=self.confidence)
        flat = "" if self.right + self.wrong else "nothing is called"
        evidence = Evidence("right calls", rank, called._refuted(), self._refuted(turned=True), flat)
        return AuditResult(self._refuted(), *terms, ceiling=best._refuted(), evidence=evidence)

    def _refuted(self, *, turned: bool = False) -> float:
        """Return the last ε of the grid that is refuted together with all before it."""
        refuted = self._most[int(turned)] >= -np.log1p(-self.confidence)
        gap = len(GRID) if refuted.all() else int(np.argmin(refuted))
        return float(GRID[max(gap - 1, 0)])

    def _with(self, **state: object) -> "Betting":
        copy = replace(self)
        for name, value in state.items():
            object.__setattr__(copy, name, value)
        return copy


def rank_at_any_time(right: int, wrong: int, *, confidence: float) -> Estimate:
    """Return the share of right calls with an interval that holds whenever one stops.

    Refuted are the shares q that a bettor got rich against who draws another from Beta(½, ½) and bets on it:
    their wealth is B(right + ½, wrong + ½)/B(½, ½) over q^right · (1 − q)^wrong (Krichevsky & Trofimov
    1981), and ever reaches 1/error with a probability of at most ``error`` (Ville 1939).

    Examples
    --------
    >>> print(rank_at_any_time(60, 40, confidence=0.95))
    0.600 [0.434, 0.751]
    """
    share = right / (right + wrong) if right + wrong else 0.5
    limit = betaln(right + 0.5, wrong + 0.5) - betaln(0.5, 0.5) + np.log1p(-confidence)

    def end(outside: float) -> float:
        inside = share
        while min(outside, inside) < (middle := (outside + inside) / 2) < max(outside, inside):
            held = xlogy(right, middle) + xlog1py(wrong, -middle) > limit
            outside, inside = (outside, middle) if held else (middle, inside)
        return outside

    return Estimate(share, end(0.0), end(1.0), confidence, "betting, at any time")


def stake(
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
    >>> float(stake(3, 0, 0.0, 0.0)), float(stake(0, 3, 0.0, 0.0))
    (0.75, 0.0)
    """
    often = (np.asarray(right) + 0.5) / (np.asarray(right) + wrong + 1)
    return np.asarray(np.maximum(often / (np.exp(epsilon) + delta) - (1 - often) / (1 - delta), 0.0))


def payment(verdict: int | np.integer | ndarray, epsilon: float | ndarray, delta: float) -> ndarray:
    """Return what a stake of 1 earns: 1 − δ if right, −e^ε − δ if wrong, −δ if there was no call."""
    verdict = np.asarray(verdict)
    return np.asarray((verdict == 1) * 1.0 - (verdict == -1) * np.exp(epsilon) - delta)
