"""A bound that was proved by an attacker, against one that was promised."""

from dataclasses import dataclass
from enum import StrEnum

from mialab import _check
from mialab._round import decimals_down
from mialab._validation import door
from mialab.accounting import Guarantee
from mialab.audit.evidence import why_upside_down
from mialab.audit.result import AuditResult


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
        What was proved by attacking.
    claim
        What was promised. It must be about the same neighbours and the same δ.

    Raises
    ------
    ValueError
        If neighbours or δ differ: the two then speak of different things; or if ``result`` is anything but an
        `AuditResult`, as a credible interval is.

    Examples
    --------
    >>> from mialab.accounting import Neighbours
    >>> from mialab.audit.accuracy import accuracy
    >>> from mialab.game import Counts, Design
    >>> seen = accuracy(Counts(330, 500, 170, 500, design=Design.RUNS), neighbours=Neighbours.REPLACE)
    >>> for claimed in (0.405, 1.0, 6.0):
    ...     verdict = Verdict(seen, Guarantee(claimed, 0.0, Neighbours.REPLACE))
    ...     print(verdict)  # doctest: +NORMALIZE_WHITESPACE
    violated: ε ≤ 0.405 was claimed, ε ≥ 0.551 is proved; up to 5.809 could have been, up to 5.809 with these
        scores; balanced accuracy 0.660 [0.610, 0.707]
    consistent: ε ≤ 1 was claimed, ε ≥ 0.551 is proved; up to 5.809 could have been, up to 5.809 with these
        scores; balanced accuracy 0.660 [0.610, 0.707]
    uninformative: ε ≤ 6 was claimed, ε ≥ 0.551 is proved; up to 5.809 could have been, up to 5.809 with these
        scores; balanced accuracy 0.660 [0.610, 0.707]
    """

    result: AuditResult
    claim: Guarantee

    def __post_init__(self):
        if not isinstance(self.result, AuditResult):
            _check.refuse("result", "be an AuditResult: nothing else is a bound", type(self.result).__name__)
        for name in ("neighbours", "delta"):
            proved, claimed = getattr(self.result, name), getattr(self.claim, name)
            if proved != claimed:
                _check.refuse(f"{name} of bound and claim", "be the same", f"{proved} and {claimed}")

    @property
    def finding(self) -> Finding:
        """Violated, consistent or uninformative."""
        if self.result.epsilon_lower > self.claim.epsilon:
            return Finding.VIOLATED
        can_see = self.result.reach > self.claim.epsilon and not self.upside_down
        return Finding.CONSISTENT if can_see else Finding.UNINFORMATIVE

    @property
    def upside_down(self) -> bool:
        """Whether the evidence ranks members lower: it is below chance, or would refute if turned round."""
        evidence = self.result.evidence
        return evidence is not None and (evidence.below_chance or evidence.turned > self.claim.epsilon)

    def __str__(self) -> str:
        """Print the finding with its power: that of so many trials, and that of these scores."""
        result, evidence = self.result, self.result.evidence
        proved, most, reach = map(decimals_down, (result.epsilon_lower, result.ceiling, result.reach))
        claimed = str(self.claim).split(" at δ")[0]
        said = f"{self.finding}: {claimed} was claimed, ε ≥ {proved} is proved; up to {most} could have been"
        if evidence is None:
            return said
        why = str(evidence)
        turned = f"ε ≥ {decimals_down(evidence.turned)}" if evidence.turned else ""
        if self.upside_down and self.finding != Finding.VIOLATED:
            why = why_upside_down(evidence, turned)
        return f"{said}, up to {reach} with these scores; {why}"
