"""What an audit showed, with everything that it depends on, and what that says of a claim."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mialab import _check
from mialab._bisection import bisect, double
from mialab._round import decimals_down, digits_down, digits_up
from mialab._validation import door
from mialab.accounting import Guarantee, Neighbours
from mialab.accounting.guarantee import check_unit
from mialab.audit.claims import Epsilon, Mu, PValue
from mialab.audit.evidence import unfair
from mialab.game import Design
from mialab.metrics import Estimate
from mialab.tradeoff import Curve, GaussianCurve

_LARGEST_ERROR = 1 - 1e-6


@dataclass(frozen=True)
class AuditTest:
    """A test of claims, and all that a result must say of it.

    Attributes
    ----------
    name
        As it is printed.
    reads
        The kind of evidence.
    designs
        How membership may have been decided.
    assumes
        What else it is proved for, in words.
    p_value
        Takes evidence and a claim.
    bound
        Takes evidence, a family of claims and the allowed error, and returns the largest number refuted.
    claims
        What it can refute: "ε" for (ε, δ), "μ", "curve" for any trade-off curve.
    """

    name: str
    reads: type
    designs: tuple[Design, ...]
    assumes: str
    p_value: Callable[[Any, Any], float] = field(repr=False)
    bound: Callable[[Any, Any, float], float] = field(repr=False)
    claims: tuple[str, ...] = ("ε", "μ", "curve")

    def admit(self, design: Design) -> None:
        """Refuse a design that this test is not proved for."""
        if design == Design.UNKNOWN:
            _check.refuse("design", "be known, or no bound is possible", design)
        if design not in self.designs:
            allowed = " or ".join(self.designs)
            _check.refuse("design", f"be {allowed} ({self.name} is proved for nothing else)", design)


@door
@dataclass(frozen=True)
class AuditResult:
    """What an audit showed: a lower bound on ε or μ, or a p-value of a claimed curve.

    With probability at least ``confidence`` over the repetitions of the whole experiment, the mechanism
    is not (ε′, δ)-differentially private for any ε′ below a bound on ε, and not μ′-Gaussian-DP for any μ′
    below one on μ (Dong, Roth & Su 2022). A bound of 0 says nothing. If a curve is true, its p-value is at
    most any given number with at most that probability.

    Attributes
    ----------
    value
        The bound, at least 0 and finite; or the p-value, in [0, 1].
    ceiling
        The value, had every verdict been right: the most that so many trials could have shown.
    reach
        The value of the same evidence at its best: as many members, with the highest of the same scores; of a
        fixed rule as many accused, and members before others.
    turned
        The value of the same evidence turned round: a lower score for member.
    of
        What these are values of: ε at a δ, μ, or a p-value.
    confidence
        In (0, 1).
    test
        With the designs that it is proved for, and what it assumes.
    neighbours, unit
        Which data sets were told apart: the record (or other unit) added or removed, or replaced.
    design
        How membership was decided; one that the test is proved for.
    trials
        How many coins, or runs, are behind it.
    name, rank
        Which way the evidence ranks members: the AUC of scores, the balanced accuracy of counts, the share of
        right guesses or calls, with its two-sided interval. Of evidence that knows nothing each is ½.
        Whether all of the interval lies below ½ is an exact test: of a mechanism that leaks nothing it does
        so with a probability of at most (1 − confidence)/2.
    flat
        Why the evidence tells nobody from anybody ("all scores are equal"), or "".
    coins
        Two-sided p-value of the number of members, or None where no coin decided or nobody said.

    Raises
    ------
    ValueError
        If a number is out of its range, the value more telling than its reach or the reach than the ceiling,
        or the test is not proved for the design.

    Examples
    --------
    >>> from mialab.audit import lower_bound
    >>> from mialab.game import Counts
    >>> counts = Counts(60, 100, 5, 100, design="runs")
    >>> print(lower_bound(counts, neighbours="replace-one"))
    ε ≥ 1.628 at δ = 0 (95 % confident, exact joint test, fixed threshold)
    """

    value: float
    ceiling: float
    reach: float
    turned: float
    of: Epsilon | Mu | PValue
    confidence: float
    test: AuditTest
    neighbours: Neighbours
    unit: str
    design: Design
    trials: int
    name: str
    rank: Estimate
    flat: str = ""
    coins: float | None = None

    def __post_init__(self):
        check_terms(self.delta, self.confidence)
        self.test.admit(self.design)
        _check.at_least("trials", self.trials, 1)
        check_unit(self.unit)
        for name in ("value", "ceiling"):
            check = _check.probability if isinstance(self.of, PValue) else _check.not_negative
            check(name, getattr(self, name))
        for name, limit in (("value", "reach"), ("reach", "ceiling")):
            some, most = getattr(self, name), getattr(self, limit)
            if self.of.stronger(most, some) != most:
                _check.refuse(name, f"be no more telling than the {limit} {most}", some)

    @property
    def delta(self) -> float:
        """The δ of a bound on ε; 0 for others."""
        return self.of.delta if isinstance(self.of, Epsilon) else 0.0

    @door
    def epsilon(self, delta: float) -> float:
        """Return the ε at ``delta`` of the Gaussian curve of a bound on μ, rounded downward.

        It is relative to the assumed family: a bound on ε *if* the curve of the mechanism is a Gaussian one,
        else on nothing. The mechanism with the highest curve at one point may have a lower one at another.

        Raises
        ------
        ValueError
            If this is no bound on μ, or ``delta`` is not in (0, 1): at δ = 0 there is no finite ε.

        Examples
        --------
        >>> from mialab.audit import lower_bound
        >>> from mialab.game import Counts
        >>> counts = Counts(60, 100, 5, 100, design="runs")
        >>> bound = lower_bound(counts, family="mu", neighbours="replace-one")
        >>> print(bound, "so, if Gaussian, ε ≥", round(bound.epsilon(1e-5), 2))
        μ ≥ 1.457 (95 % confident, exact joint test, fixed threshold) so, if Gaussian, ε ≥ 6.81
        """
        if not isinstance(self.of, Mu):
            _check.refuse("the result", "be a bound on μ", str(self))
        _check.probability("delta", delta, open_ends=True)
        curve = GaussianCurve(self.value)
        return largest_refuted(lambda epsilon: bool(curve.delta(epsilon) > delta))

    @property
    def terms(self) -> str:
        """The confidence, the test and a unit that is no record, as they are printed."""
        said = f"{digits_down(self.confidence, percent=True)} % confident, {self.test.name}"
        unit = "" if self.unit == "record" else f"one {self.unit}"
        return f"({'; '.join(filter(None, [said, unit, unfair(self.coins)]))})"

    @property
    def rank_and_flaws(self) -> str:
        """Which way the evidence ranks, and what is wrong with it."""
        return "; ".join([f"{self.name} {self.rank}", *filter(None, (self.flat, unfair(self.coins)))])

    def __str__(self) -> str:
        """Print all numbers rounded to the safe side: a bound on paper holds as well."""
        return f"{self.of.say(self.value)} {self.terms}"


class Finding(StrEnum):
    """What an audit says of a claim."""

    VIOLATED = "violated"
    """The claim is false, at this confidence."""
    CONSISTENT = "consistent"
    """The audit could have refuted the claim, and did not. That proves nothing."""
    UNINFORMATIVE = "uninformative"
    """The audit could not have refuted the claim: too few trials, too many equal scores, or upside down."""


@door
@dataclass(frozen=True)
class Verdict:
    """What an audit says of a claim, which way its scores rank, and how far it could have seen.

    Where the evidence ranks members *lower*, and not by luck, the verdict is never consistent: somebody took
    losses for scores. That is so if the whole interval of its rank lies below ½, or if the same evidence
    turned round would have refuted the claim. Of a mechanism that leaks nothing the first happens with a
    probability of at most (1 − confidence)/2, and of one that keeps the claim the second with at most
    1 − confidence. A proof stays a proof: what is violated is violated.

    Attributes
    ----------
    result
        What was shown by attacking.
    claim
        What was promised: a guarantee, for a bound on ε, about the same neighbours, unit and δ; or the curve
        of a p-value.

    Raises
    ------
    ValueError
        If neighbours, units or δ differ: the two then speak of different things; or if ``result`` is anything
        but an `AuditResult` of that kind, as a credible interval is.

    Examples
    --------
    >>> from mialab.audit import refute
    >>> from mialab.game import Counts
    >>> counts = Counts(330, 500, 170, 500, design="runs")
    >>> for claimed in (0.405, 1.0, 6.0):
    ...     verdict = refute(counts, Guarantee(claimed, 0.0, "replace-one"), test="accuracy")
    ...     print(verdict)  # doctest: +NORMALIZE_WHITESPACE
    violated: ε ≤ 0.405 was claimed, ε ≥ 0.551 is proved; up to 5.809 could have been, up to 5.809 with these
        scores; balanced accuracy 0.660 [0.610, 0.707]
    consistent: ε ≤ 1 was claimed, ε ≥ 0.551 is proved; up to 5.809 could have been, up to 5.809 with these
        scores; balanced accuracy 0.660 [0.610, 0.707]
    uninformative: ε ≤ 6 was claimed, ε ≥ 0.551 is proved; up to 5.809 could have been, up to 5.809 with these
        scores; balanced accuracy 0.660 [0.610, 0.707]
    """

    result: AuditResult
    claim: Guarantee | Curve

    def __post_init__(self):
        is_bound, promised = isinstance(self.result.of, Epsilon), isinstance(self.claim, Guarantee)
        if isinstance(self.result.of, Mu) or is_bound != promised:
            rule = "be a bound on ε for a guarantee, a p-value for a curve"
            _check.refuse("result", rule, str(self.result))
        if isinstance(self.claim, Guarantee):
            check_same("bound and claim", self.result, self.claim)

    @property
    def finding(self) -> Finding:
        """Violated, consistent or uninformative."""
        if self._refuted_by(self.result.value):
            return Finding.VIOLATED
        can_see = self._refuted_by(self.result.reach) and not self.upside_down
        return Finding.CONSISTENT if can_see else Finding.UNINFORMATIVE

    @property
    def upside_down(self) -> bool:
        """Whether the evidence ranks members lower: it is below chance, or would refute if turned round."""
        return self.result.rank.high < 0.5 or self._refuted_by(self.result.turned)

    def _refuted_by(self, amount: float) -> bool:
        if isinstance(self.claim, Guarantee):
            return amount > self.claim.epsilon
        return amount <= 1 - self.result.confidence

    def __str__(self) -> str:
        """Print the finding with its power: that of so many trials, and that of these scores."""
        result, say, why = self.result, self.result.of.say, self.result.rank_and_flaws
        if self.upside_down and self.finding != Finding.VIOLATED:
            why = f"a higher score must mean member, and these rank members lower: {why}"
            if isinstance(result.of, PValue) or result.turned:
                why = f"{why}; turned round they show {say(result.turned).split(' at δ')[0]}"
        if isinstance(self.claim, Guarantee):
            proved, most, reach = map(decimals_down, (result.value, result.ceiling, result.reach))
            claimed = str(self.claim).split(" at δ")[0]
            if result.unit != "record":
                claimed = f"{claimed} for one {result.unit}"
            said = (
                f"{self.finding}: {claimed} was claimed, ε ≥ {proved} is proved; up to {most} could have been"
            )
            return f"{said}, up to {reach} with these scores; {why}"
        most, reach = (digits_up(amount, 3) for amount in (result.ceiling, result.reach))
        said = f"{self.finding}: {say(result.value)}, at best {most}, with these scores {reach}"
        return f"{said}; {why} {result.terms}"


def check_same(what: str, first: AuditResult | Guarantee, second: Guarantee) -> None:
    """Refuse to compare what speaks of other neighbours, another unit or another δ."""
    for name in ("neighbours", "unit", "delta"):
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            _check.refuse(f"{name} of {what}", "be the same", f"{one} and {other}")


def check_terms(delta: float, confidence: float) -> None:
    """Refuse the terms of a bound that cannot be."""
    _check.share("delta", delta)
    _check.confidence(confidence)


def allowed_error(confidence: float) -> float:
    """Return 1 − confidence; a little less where that is next to 1, which every ε would be refuted at.

    Examples
    --------
    >>> allowed_error(0.75), allowed_error(5e-324) < 1
    (0.25, True)
    """
    return min(1 - confidence, _LARGEST_ERROR)


def largest_refuted(refuted: Callable[[float], bool], *, close: float = 0.0) -> float:
    """Return the largest number that is refuted, or 0 if none is; the refuted end of the search is kept.

    Examples
    --------
    >>> largest_refuted(lambda epsilon: epsilon < 3), largest_refuted(lambda epsilon: False)
    (2.9999999999999996, 0.0)
    """
    return bisect(refuted, *double(refuted, 0.0, 1.0), close=close)[0] if refuted(0.0) else 0.0
