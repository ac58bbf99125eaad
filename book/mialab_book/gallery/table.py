"""The table: one row for everything in the gallery and every audit.

**One error budget.** A table of a hundred tests at 95 % accuses five innocents. So the error is divided by
the number of cells (Bonferroni): that *any* cell of the whole table accuses something correct happens with
probability of at most 1 − confidence, however the cells depend on each other. All cells of a row share their
runs, and the audits with a threshold share the calibration set; that is why nothing sharper is claimed.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mialab import _check
from mialab._round import decimals_down, digits_up
from mialab._validation import door
from mialab.audit import Finding
from mialab.game import Design, Outcome
from mialab_book.faults import CORRECT, FAULTS, Case
from mialab_book.gallery.audits import AUDITS, Audit, AuditOutcome, Simulation, one_of_each_pair

_FEWEST = 30  # runs on either side


@door
@dataclass(frozen=True, eq=False)
class Row:
    """One thing in the gallery, and what every audit found.

    Attributes
    ----------
    case
        What was audited.
    outcomes
        By the name of the audit.
    seconds
        By the name of the audit; under ``"runs"`` those of running the thing itself.

    Examples
    --------
    >>> row = Row(CORRECT[0], {"two rates": AuditOutcome(Finding.CONSISTENT, 8000)}, {"two rates": 0.1})
    >>> row.caught_by, row.why_not("two rates")
    ([], 'the promise is kept')
    """

    case: Case
    outcomes: dict[str, AuditOutcome]
    seconds: dict[str, float]

    @property
    def caught_by(self) -> list[str]:
        """The audits that say: the claim is false."""
        return [name for name, found in self.outcomes.items() if found.finding == Finding.VIOLATED]

    @property
    def lower(self) -> float:
        """The largest ε that any audit proved: they share the error of the table, so all hold at once.

        It may be below the claim and the claim yet be refuted: the audits of a curve prove no ε.
        """
        bounds = [found.bound for found in self.outcomes.values() if found.bound]
        return max((bound.value for bound in bounds), default=0.0)

    @property
    def trials(self) -> int:
        """The trials of the audit that had most."""
        return max((found.trials for found in self.outcomes.values()), default=0)

    @door
    def why_not(self, name: str) -> str:
        """Say why an audit did not accuse; empty if it did."""
        outcome = self.outcomes[name]
        if outcome.finding == Finding.VIOLATED:
            return ""
        if outcome.finding == Finding.UNINFORMATIVE:
            most = (
                f", it sees no further than {decimals_down(outcome.bound.ceiling)}" if outcome.bound else ""
            )
            return f"it could not have told{most}"
        if not self.case.flaw:
            return "the promise is kept"
        if self.caught_by:
            return f"less sharp here than {', '.join(self.caught_by)}"
        true, claimed = self.case.true_epsilon, self.case.claim.guarantee.epsilon
        if true is None or np.isinf(true):
            return "this attack shows too little in so few runs"
        return f"the gap is small for so few runs: {digits_up(true, 3)} against {digits_up(claimed, 3)}"


@door
def simulate(case: Case, *, runs: int, rng: np.random.Generator) -> Simulation:
    """Run something with and without the record: ``runs`` times each, and as often again to calibrate.

    Raises
    ------
    ValueError
        If ``runs`` is below 30: fewer coins may all fall alike.
    """
    _check.at_least("runs", runs, _FEWEST)
    member = np.arange(2 * runs) < runs
    calibration, test = (
        Outcome(
            np.concatenate([case.run(inside, runs, rng=rng) for inside in (True, False)]),
            member,
            design=Design.RUNS,
        )
        for _ in range(2)
    )
    return Simulation(calibration, test, one_of_each_pair(test, rng=rng))


@door
def run_gallery(
    cases: Sequence[Case] = FAULTS + CORRECT,
    audits: Mapping[str, Audit] = AUDITS,
    *,
    runs: int = 4000,
    rng: np.random.Generator,
    confidence: float = 0.95,
) -> list[Row]:
    """Put everything through every audit.

    Parameters
    ----------
    cases
        What to audit.
    audits
        How, by name.
    runs
        On either side; as many again to calibrate.
    rng
        Every case gets a stream of its own, so that a row does not depend on the rows before it.
    confidence
        Of the whole table: each of its cells has an error of (1 − confidence)/cells.

    Raises
    ------
    ValueError
        If ``runs`` is below 30, or ``confidence`` is not in (0, 1).

    Examples
    --------
    >>> from mialab_book.faults import RELEASES
    >>> audits = {"two rates": AUDITS["two rates"]}
    >>> (row,) = run_gallery(RELEASES[:1], audits, runs=500, rng=np.random.default_rng(0))
    >>> row.case.name, row.caught_by, round(row.lower, 1)
    ('one coin for two', ['two rates'], 4.1)
    """
    _check.confidence(confidence)
    each = 1 - (1 - confidence) / max(len(cases) * len(audits), 1)
    streams = rng.spawn(len(cases))
    return [_row(case, audits, runs, each, stream) for case, stream in zip(cases, streams, strict=True)]


def _row(
    case: Case, audits: Mapping[str, Audit], runs: int, confidence: float, rng: np.random.Generator
) -> Row:
    start = time.perf_counter()
    simulation, claim = simulate(case, runs=runs, rng=rng), case.claim
    outcomes, seconds = {}, {"runs": time.perf_counter() - start}
    for name, audit in audits.items():
        start = time.perf_counter()
        outcomes[name] = audit(simulation, claim, confidence, rng)
        seconds[name] = time.perf_counter() - start
    return Row(case, outcomes, seconds)
