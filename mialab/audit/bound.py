"""Evidence × test × claim: a lower bound, a verdict or a p-value, by the best valid test or by any.

The table `TESTS` says all: what a test reads, which claims it can refute, for which designs it is proved and
what it assumes.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from mialab import _check
from mialab._validation import door
from mialab.accounting import Guarantee, Neighbours
from mialab.audit import accuracy, betting, one_run, ranking, rates
from mialab.audit.betting import ConfidenceSequence
from mialab.audit.claims import Claim, Epsilon, EpsilonDelta, Mu, PValue
from mialab.audit.evidence import Evidence, Guesses, Ranks, auc_of_ranks, flat, read
from mialab.audit.result import AuditResult, AuditTest, Verdict, allowed_error, check_terms
from mialab.game import Counts, Design, Outcome
from mialab.tradeoff import Curve

JOINT_UP_TO = 1000
"""Runs on either side up to which the joint test is the default: the one of more takes seconds."""

_RUNS, _COINS = (Design.RUNS,), (Design.COINS, Design.ONE_RUN)
_FIXED = "a rule fixed in advance"
_COIN = "a coin for each record"

TESTS = {
    "accuracy": AuditTest(
        "accuracy, fixed threshold",
        Counts,
        _RUNS + _COINS,
        f"{_FIXED}; as many runs on both sides, or {_COIN}",
        accuracy.p_value,
        accuracy.bound,
    ),
    "rates": AuditTest(
        "Clopper-Pearson, fixed threshold",
        Counts,
        _RUNS,
        f"{_FIXED}; independent runs",
        rates.p_value_of_limits,
        rates.bound_of_limits,
    ),
    "joint": AuditTest(
        "exact joint test, fixed threshold",
        Counts,
        _RUNS,
        f"{_FIXED}; independent runs",
        rates.p_value_of_both,
        rates.bound_of_both,
    ),
    "any-threshold": AuditTest(
        "any threshold",
        Outcome,
        _RUNS + _COINS,
        f"independent runs, or {_COIN}",
        ranking.p_value_of_cuts,
        ranking.bound_of_cuts,
        claims=("ε",),
    ),
    "order": AuditTest(
        "exact test of the curve, cut by rank",
        Outcome,
        _RUNS,
        "independent runs",
        ranking.p_value_of_order,
        ranking.bound_of_order,
    ),
    "one-run": AuditTest(
        "one run",
        Guesses,
        _COINS,
        f"numbers of guesses fixed in advance; {_COIN}",
        one_run.p_value,
        one_run.bound,
    ),
    "betting": AuditTest(
        "betting, stopped at will",
        ConfidenceSequence,
        _RUNS + _COINS,
        "a fair coin for each trial; at δ > 0 independent runs",
        betting.p_value,
        betting.bound,
        claims=("ε",),
    ),
}
"""Every test, by the name that `lower_bound`, `refute` and the command take."""


@door
def lower_bound(
    evidence: Evidence,
    *,
    neighbours: Neighbours,
    family: Literal["epsilon", "mu"] = "epsilon",
    delta: float = 0.0,
    confidence: float = 0.95,
    test: str | None = None,
    p_in: float = 0.5,
    unit: str = "record",
) -> AuditResult:
    """Return a lower bound on ε at a δ, or on μ: the largest number whose claim the evidence refutes.

    Parameters
    ----------
    evidence
        `Counts` of a rule that was fixed in advance; an `Outcome`, whose threshold is chosen from the data
        and paid for; `Guesses` in one run; or a `ConfidenceSequence`. With its design.
    neighbours, unit
        Which data sets the two sides are: what a coin decides.
    family
        ``"epsilon"`` for (ε, δ), ``"mu"`` for Gaussian differential privacy.
    delta
        In [0, 1); of ε.
    confidence
        In (0, 1).
    test
        A name of `TESTS`, fixed in advance; None for the best one that is proved for the evidence and its
        design, a choice that depends on neither scores nor membership.
    p_in
        In (0, 1): how probable it was for every record, on its own, to be a member. Not what came of it.

    Raises
    ------
    ValueError
        If a number is out of its range, the test is for other evidence or claims or is not proved for the
        design, or ``p_in`` is not ½ though δ > 0, there are no coins, or the test wants fair ones.

    Examples
    --------
    >>> counts = Counts(375, 500, 125, 500, design="runs")
    >>> for test in ("rates", "accuracy", "joint"):
    ...     print(lower_bound(counts, neighbours="replace-one", test=test))
    ε ≥ 0.893 at δ = 0 (95 % confident, Clopper-Pearson, fixed threshold)
    ε ≥ 0.976 at δ = 0 (95 % confident, accuracy, fixed threshold)
    ε ≥ 0.951 at δ = 0 (95 % confident, exact joint test, fixed threshold)
    >>> hundred = Guesses(right=95, guesses=100, canaries=1000, design="one-run")
    >>> print(lower_bound(hundred, neighbours="add-remove", delta=1e-5))
    ε ≥ 2.165 at δ = 1e-05 (95 % confident, one run)
    """
    check_terms(delta, confidence)
    if family == "mu" and delta:
        _check.refuse("delta", "be 0 for μ, which speaks of every δ", delta)
    of, claim = (Epsilon(delta), "ε") if family == "epsilon" else (Mu(), "μ")
    chosen, error = find_test(evidence, claim, test, p_in, delta), allowed_error(confidence)
    shown = _shown(evidence, lambda look: chosen.bound(look, of, error), of, confidence, p_in)
    return AuditResult(**shown, test=chosen, neighbours=neighbours, unit=unit)


@door
def refute(
    evidence: Evidence,
    claim: Guarantee | Curve,
    *,
    neighbours: Neighbours | None = None,
    unit: str | None = None,
    confidence: float = 0.95,
    test: str | None = None,
    p_in: float = 0.5,
) -> Verdict:
    """Try to refute a claim, and say what that shows: violated, consistent or uninformative.

    Parameters
    ----------
    evidence, confidence, test, p_in
        As in `lower_bound`.
    claim
        A guarantee, which is compared with a bound on ε at its δ; or a trade-off curve, which gets a p-value:
        `GaussianCurve`, the exact one of an accountant, or any other. "Member" is the first world of a curve.
    neighbours, unit
        Of a curve, which does not say them itself; the unit is a record if nothing is said.

    Raises
    ------
    ValueError
        As `lower_bound`; or if ``neighbours`` is missing for a curve, or not that of the guarantee.

    Examples
    --------
    >>> from mialab.tradeoff import GaussianCurve, pure
    >>> counts = Counts(60, 100, 5, 100, design="runs")
    >>> print(refute(counts, Guarantee(1.0, 0.0, "replace-one")))  # doctest: +NORMALIZE_WHITESPACE
    violated: ε ≤ 1 was claimed, ε ≥ 1.628 is proved; up to 4.193 could have been, up to 2.865 with these
        scores; balanced accuracy 0.775 [0.680, 0.848]
    >>> for curve in (GaussianCurve(1.0), pure(2.0)):
    ...     print(refute(counts, curve, neighbours="replace-one"))  # doctest: +NORMALIZE_WHITESPACE
    violated: p ≤ 6.18e-05, at best 1.17e-31, with these scores 1.05e-10;
        balanced accuracy 0.775 [0.680, 0.848] (95 % confident, exact joint test, fixed threshold)
    consistent: p ≤ 0.251, at best 9.47e-12, with these scores 0.00017; balanced accuracy 0.775 [0.680, 0.848]
        (95 % confident, exact joint test, fixed threshold)
    """
    if isinstance(claim, Guarantee):
        for name, given in (("neighbours", neighbours), ("unit", unit)):
            if given not in (None, getattr(claim, name)):
                _check.refuse(name, f"be {getattr(claim, name)}, as in the claim", given)
        terms = {name: getattr(claim, name) for name in ("neighbours", "unit", "delta")}
        return Verdict(lower_bound(evidence, **terms, confidence=confidence, test=test, p_in=p_in), claim)
    if neighbours is None:
        _check.refuse("neighbours", "be given with a curve", None)
    check_terms(0.0, confidence)
    chosen = find_test(evidence, "curve", test, p_in, 0.0)
    shown = _shown(evidence, lambda look: chosen.p_value(look, claim), PValue(), confidence, p_in)
    terms = {"neighbours": neighbours, "unit": unit or "record"}
    return Verdict(AuditResult(**shown, **terms, test=chosen), claim)


@door
def p_value(
    evidence: Evidence, claim: Guarantee | Curve, *, test: str | None = None, p_in: float = 0.5
) -> float:
    """Return at most how likely evidence at least as telling as this is, if the claim is true.

    Parameters and errors as in `refute`.

    Examples
    --------
    >>> round(p_value(Guesses(65, 100, 100, "coins"), Guarantee(0.405465, 0.0, "replace-one")), 3)
    0.179
    """
    delta = claim.delta if isinstance(claim, Guarantee) else 0.0
    chosen = find_test(evidence, "ε" if isinstance(claim, Guarantee) else "curve", test, p_in, delta)
    asked: Claim = EpsilonDelta(claim.epsilon, delta) if isinstance(claim, Guarantee) else claim
    return chosen.p_value(read(evidence, confidence=0.95, p_in=p_in).looks[0], asked)


def default_test(evidence: Evidence, claim: str) -> str:
    """Return the name of the best test of a claim that is proved for the evidence."""
    if isinstance(evidence, Outcome):
        return "any-threshold" if claim == "ε" else "order"
    if not isinstance(evidence, Counts):
        return "one-run" if isinstance(evidence, Guesses) else "betting"
    if evidence.design in _COINS:
        return "accuracy"
    return "joint" if max(evidence.members, evidence.non_members) <= JOINT_UP_TO else "rates"


def find_test(evidence: Evidence, claim: str, name: str | None, p_in: float, delta: float) -> AuditTest:
    """Return the test, after refusing what it is not for."""
    tests = TESTS.items()
    fitting = [some for some, test in tests if isinstance(evidence, test.reads) and claim in test.claims]
    kind, what = type(evidence).__name__, "(ε, δ)" if claim == "ε" else claim
    if not fitting:
        _check.refuse("the claim", f"be (ε, δ), which alone {kind} can refute", what)
    name = default_test(evidence, claim) if name is None else name
    if name not in fitting:
        _check.refuse("test", f"be one of {', '.join(fitting)} for {kind} and {what}", name)
    TESTS[name].admit(evidence.design)
    if p_in != 0.5:
        if delta > 0:
            _check.refuse("delta", f"be 0 with p_in = {p_in:g}", delta)
        if name not in ("accuracy", "any-threshold") or claim != "ε":
            _check.refuse("p_in", "be 0.5 but for accuracy and any-threshold, of ε", p_in)
    return TESTS[name]


def table() -> str:
    """Return what `TESTS` says, as a Markdown table.

    *Independent runs*: their number on either side was fixed in advance. *A coin for each record*: its own,
    which no guess of that record has seen.
    """
    lines = ["| test | evidence | refutes | proved for | assumes |", "|---" * 5 + "|"]
    for name, test in TESTS.items():
        claims, designs = ", ".join(test.claims), ", ".join(test.designs)
        lines.append(f"| {name} | {test.reads.__name__} | {claims} | {designs} | {test.assumes} |")
    return "\n".join(lines)


def with_scores(result: AuditResult, ranks: Ranks) -> AuditResult:
    """Say of what counts or guesses proved how the scores rank that they were made of.

    The AUC is the rank, unless only the counts are low. The scores turned round are tried as well.
    """
    turned = ranking.bound_of_cuts(ranks.turned(), Epsilon(result.delta), allowed_error(result.confidence))
    rank = auc_of_ranks(ranks, result.confidence)
    result = replace(result, turned=max(turned, result.turned), flat=flat(ranks) or result.flat)
    only_counts = result.rank.high < 0.5 <= rank.high
    return result if only_counts else replace(result, name="AUC", rank=rank)


def _shown(
    evidence: Evidence,
    amount: Callable[[Any], float],
    of: Epsilon | Mu | PValue,
    confidence: float,
    p_in: float,
) -> dict[str, Any]:
    """Return what the evidence shows, and what it could have shown, as fields of the result."""
    seen = read(evidence, confidence=confidence, p_in=p_in)._asdict()
    value, best, turned, ceiling = (amount(look) for look in seen.pop("looks"))
    reach = of.stronger(best, value)  # a search that ends early may see less at its best
    reach = reach if of.stronger(reach, ceiling) == ceiling else ceiling
    amounts = {"value": value, "ceiling": ceiling, "reach": reach, "turned": turned}
    return seen | amounts | {"of": of, "confidence": confidence}
