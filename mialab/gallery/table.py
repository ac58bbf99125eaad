"""The table: one row for everything in the gallery and every audit.

**One error budget.** A table of a hundred tests at 95 % accuses five innocents. So the error is divided by
the number of cells (Bonferroni): that *any* cell of the whole table accuses something correct happens with
probability of at most 1 − confidence, however the cells depend on each other. All cells of a row share their
runs, and the audits with a threshold share the rehearsal; that is why nothing sharper is claimed.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mialab import _check
from mialab._round import decimals_down, digits_up
from mialab._validation import door
from mialab.audit import Finding
from mialab.faults import CORRECT, FAULTS, Correct, Fault
from mialab.gallery.looks import LOOKS, Look, Promise, Runs, Seen, tossed
from mialab.game import Design, Outcome

Case = Fault | Correct

_FEWEST = 30  # runs on either side


@door
@dataclass(frozen=True, eq=False)
class Row:
    """One thing in the gallery, and what every audit saw of it.

    Attributes
    ----------
    case
        A `Fault` or something `Correct`.
    seen
        By the name of the audit.
    seconds
        By the name of the audit; under ``"runs"`` those of running the thing itself.

    Examples
    --------
    >>> row = Row(CORRECT[0], {"two rates": Seen(Finding.CONSISTENT, 8000)}, {"two rates": 0.1})
    >>> row.caught_by, row.why_not("two rates")
    ([], 'the promise is kept')
    """

    case: Case
    seen: dict[str, Seen]
    seconds: dict[str, float]

    @property
    def caught_by(self) -> list[str]:
        """The audits that say: the claim is false."""
        return [name for name, one in self.seen.items() if one.finding == Finding.VIOLATED]

    @property
    def lower(self) -> float:
        """The largest ε that any audit proved: they share the error of the table, so all hold at once.

        It may be below the claim and the claim yet be refuted: the audits of a curve prove no ε.
        """
        return max((one.bound.value for one in self.seen.values() if one.bound), default=0.0)

    @property
    def trials(self) -> int:
        """The trials of the audit that had most."""
        return max((one.trials for one in self.seen.values()), default=0)

    @door
    def why_not(self, name: str) -> str:
        """Say why an audit did not accuse; empty if it did."""
        seen, claimed = self.seen[name], self.case.claims.epsilon
        if seen.finding == Finding.VIOLATED:
            return ""
        if seen.finding == Finding.UNINFORMATIVE:
            most = f", it sees no further than {decimals_down(seen.bound.ceiling)}" if seen.bound else ""
            return f"it could not have told{most}"
        if isinstance(self.case, Correct):
            return "the promise is kept"
        if self.caught_by:
            return f"less sharp here than {', '.join(self.caught_by)}"
        true = self.case.true_epsilon
        if true is None or np.isinf(true):
            return "this attack shows too little in so few runs"
        return f"the gap is small for so few runs: {_truth(self.case)} against {digits_up(claimed, 3)}"


@door
def play(case: Case, *, runs: int, rng: np.random.Generator) -> Runs:
    """Run something with and without the record: ``runs`` times each, and as often again to rehearse.

    Raises
    ------
    ValueError
        If ``runs`` is below 30: fewer coins may all fall alike.
    """
    _check.at_least("runs", runs, _FEWEST)
    member = np.arange(2 * runs) < runs
    rehearsal, test = (
        Outcome(
            np.concatenate([case.run(inside, runs, rng=rng) for inside in (True, False)]),
            member,
            design=Design.RUNS,
        )
        for _ in range(2)
    )
    return Runs(rehearsal, test, tossed(test, rng=rng))


@door
def hang(
    cases: Sequence[Case] = FAULTS + CORRECT,
    looks: Sequence[Look] = LOOKS,
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
    looks
        How.
    runs
        On either side; as many again to rehearse.
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
    >>> from mialab.faults import RELEASES
    >>> (row,) = hang(RELEASES[:1], LOOKS[:1], runs=500, rng=np.random.default_rng(0))
    >>> row.case.name, row.caught_by, round(row.lower, 1)
    ('one coin for two', ['two rates'], 4.1)
    """
    _check.confidence(confidence)
    each = 1 - (1 - confidence) / max(len(cases) * len(looks), 1)
    streams = rng.spawn(len(cases))
    return [_row(case, looks, runs, each, stream) for case, stream in zip(cases, streams, strict=True)]


def _row(case: Case, looks: Sequence[Look], runs: int, confidence: float, rng: np.random.Generator) -> Row:
    start = time.perf_counter()
    played, promise = play(case, runs=runs, rng=rng), Promise(case.claims, case.curve)
    seen, seconds = {}, {"runs": time.perf_counter() - start}
    for look in looks:
        start = time.perf_counter()
        seen[look.name] = look.audit(played, promise, confidence, rng)
        seconds[look.name] = time.perf_counter() - start
    return Row(case, seen, seconds)


@door
def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a table: claim, truth, what each audit proved (**bold**: accused), trials, seconds.

    Where an audit has no bound, it says yes or no.

    Examples
    --------
    >>> seen = {"joint": Seen(Finding.CONSISTENT, 1000), "curve": Seen(Finding.VIOLATED, 8000)}
    >>> print(markdown([Row(FAULTS[0], seen, {"runs": 0.3})]))
    |  | claims | gives | joint | curve | trials | seconds |
    | --- | --- | --- | --- | --- | --- | --- |
    | no clipping | 1.05 | ∞ | consistent | **violated** | 8,000 | 0.3 |
    """
    names = list(rows[0].seen) if rows else []
    head = ["", "claims", "gives", *names, "trials", "seconds"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        cells = [_cell(one) for one in row.seen.values()]
        claims, spent = digits_up(row.case.claims.epsilon, 3), f"{sum(row.seconds.values()):.1f}"
        lines.append([_title(row.case), claims, _truth(row.case), *cells, f"{row.trials:,}", spent])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _title(case: Case) -> str:
    return case.name if isinstance(case, Fault) else f"{case.name} ({case.sees}): correct"


def _truth(case: Case) -> str:
    true = case.true_epsilon
    if true is None:
        return "?"
    return "∞" if np.isinf(true) else digits_up(true, 3)


def _cell(seen: Seen) -> str:
    says = decimals_down(seen.bound.value) if seen.bound else str(seen.finding)
    return f"**{says}**" if seen.finding == Finding.VIOLATED else says
