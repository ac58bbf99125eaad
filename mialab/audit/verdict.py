"""A bound that was proved by an attacker, against one that was promised."""

from dataclasses import dataclass
from enum import StrEnum

from mialab import _check
from mialab._round import decimals_down
from mialab._validation import door
from mialab.accounting import Guarantee
from mialab.audit.result import AuditResult


class Finding(StrEnum):
    """What an audit says of a claim."""

    VIOLATED = "violated"
    """The claim is false, at this confidence."""
    CONSISTENT = "consistent"
    """The audit could have refuted the claim, and did not. That proves nothing."""
    UNINFORMATIVE = "uninformative"
    """With every guess right, this audit could still not have refuted the claim."""


@door
@dataclass(frozen=True)
class Verdict:
    """What an audit says of a claim, and how far it could have seen.

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
    ...     print(Verdict(seen, Guarantee(claimed, 0.0, Neighbours.REPLACE)))
    violated: ε ≤ 0.405 was claimed, ε ≥ 0.551 is proved; up to 5.809 could have been
    consistent: ε ≤ 1 was claimed, ε ≥ 0.551 is proved; up to 5.809 could have been
    uninformative: ε ≤ 6 was claimed, ε ≥ 0.551 is proved; up to 5.809 could have been
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
        can_see = self.result.ceiling > self.claim.epsilon
        return Finding.CONSISTENT if can_see else Finding.UNINFORMATIVE

    def __str__(self) -> str:
        """Print the finding with its power."""
        proved, most = decimals_down(self.result.epsilon_lower), decimals_down(self.result.ceiling)
        claimed = str(self.claim).split(" at δ")[0]
        return f"{self.finding}: {claimed} was claimed, ε ≥ {proved} is proved; up to {most} could have been"
