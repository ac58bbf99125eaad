"""The audit as a command, for a build pipeline: "python -m mialab.audit scores.csv --claimed-epsilon 1".

It exits with 0 if the claim is consistent with the scores, 10 if it is violated, 11 if this audit could not
have told, and 2, with one line that says why, if the input is bad. Only a picture asks for matplotlib.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import bdtr, log_expit

from mialab import _check
from mialab._validation import door
from mialab.accounting import Guarantee, Neighbours
from mialab.audit import (
    AuditResult,
    Finding,
    Verdict,
    accuracy,
    any_threshold,
    fixed_threshold,
    guess,
    joint,
    one_run,
    split,
)
from mialab.audit.read_scores import read_scores
from mialab.audit.result import check_terms
from mialab.game import Design, Outcome

__all__ = ["main"]

EXIT = {Finding.CONSISTENT: 0, Finding.VIOLATED: 10, Finding.UNINFORMATIVE: 11}
BAD_INPUT = 2
DESIGNS = {one.name.lower().replace("_", "-"): one for one in Design}
NEIGHBOURS = {"add-remove": Neighbours.ADD_REMOVE, "replace-one": Neighbours.REPLACE}
TESTS = {"accuracy": accuracy, "rates": fixed_threshold, "joint": joint}
PICTURES = (".png", ".pdf", ".svg")
_JOINT_UP_TO = 1000  # trials on either side: the joint test of more takes seconds
_UNFAIR = 1e-6  # a balance that fair coins show more rarely: they were not fair, or not flipped
_LARGEST = 700  # ε: nearly the last whose e^−ε is a float with all its digits
_NO_BOUND = "no bound is possible: without independent coins, or independent runs, scores prove nothing"


@door
@dataclass(frozen=True)
class Report:
    """What the command found.

    Attributes
    ----------
    finding
        Violated, consistent or uninformative.
    result
        The bound, or None where the design admits none.
    how
        The rule, as it is needed to repeat the audit: threshold, test and seed, or numbers of guesses.
    fewest
        With fewer trials, no audit at all could refute the claim: with every verdict right, so many
        coins have probability q^trials, q = e^ε/(1 + e^ε), under a mechanism that keeps the promise.
    """

    finding: Finding
    result: AuditResult | None
    claim: Guarantee
    outcome: Outcome
    how: dict[str, float | str]
    fewest: int

    def __str__(self) -> str:
        """Print the verdict with its power."""
        if self.result is None:
            said = [f"{self.finding}: {_NO_BOUND}"]
        else:
            rule = ", ".join(f"{name} {value}" for name, value in self.how.items())
            said = [str(Verdict(self.result, self.claim)), f"{self.result}; {rule}"]
        members, distinct = int(self.outcome.member.sum()), len(np.unique(self.outcome.score))
        records = f"{self.outcome.member.size} records, {members} of them members, {distinct} distinct scores"
        power = f"no audit of fewer than {self.fewest} trials could refute this claim"
        return "\n".join([*said, f"{records}; {self.outcome.design}; {self.claim.neighbours}; {power}"])

    def as_json(self) -> bytes:
        """Write everything that the verdict depends on."""
        bound = self.result and {
            "epsilon_lower": self.result.epsilon_lower,
            "ceiling": self.result.ceiling,
            "confidence": self.result.confidence,
            "method": str(self.result.method),
            "trials": self.result.trials,
        }
        claim = {"epsilon": self.claim.epsilon, "delta": self.claim.delta}
        everything = {
            "finding": str(self.finding),
            "exit_code": EXIT[self.finding],
            "claim": claim | {"neighbours": str(self.claim.neighbours)},
            "design": str(self.outcome.design),
            "bound": bound or None,
            "rule": self.how,
            "fewest_trials": self.fewest,
            "members": int(self.outcome.member.sum()),
            "non_members": int((~self.outcome.member).sum()),
            "distinct_scores": len(np.unique(self.outcome.score)),
            "text": str(self),
        }
        return (json.dumps(everything, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


@door
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Examples
    --------
    >>> main(["nowhere.csv", "--claimed-epsilon", "1", "--design", "runs", "--neighbours", "replace-one"])
    2
    """
    try:
        asked = _parser().parse_args(arguments)
        claim = _claim(asked)
        outcome = read_scores(_content(asked.scores), design=DESIGNS[asked.design])
        report = judge(outcome, claim, asked)
        files = {asked.json: report.as_json} | {asked.picture: lambda: _picture(report, asked.picture)}
        made = {Path(path): content() for path, content in files.items() if path}
        for path, content in made.items():
            write_whole(path, content)
        print(report, flush=True)
    except (ValueError, OSError) as error:
        print("mialab.audit:", *str(error).split("\n"), file=sys.stderr)
        return BAD_INPUT
    return EXIT[report.finding]


@door
def judge(outcome: Outcome, claim: Guarantee, asked: argparse.Namespace) -> Report:
    """Audit the scores with a rule that was fixed in advance, or that pays for being chosen from them."""
    error = 1 - asked.confidence
    fewest = max(1, int(np.ceil(np.log(error) / log_expit(claim.epsilon))))
    if outcome.design in (Design.FIXED, Design.UNKNOWN):
        return Report(Finding.UNINFORMATIVE, None, claim, outcome, {}, fewest)
    if outcome.design != Design.RUNS:
        _check_coins(outcome.member, asked.design)
    terms = {"neighbours": claim.neighbours, "delta": claim.delta, "confidence": asked.confidence}
    how, result = _audit(outcome, asked, terms)
    return Report(Verdict(result, claim).finding, result, claim, outcome, how, fewest)


def _check_coins(member: np.ndarray, design: str) -> None:
    """Refuse coins that cannot have been fair: who says "out" of everybody would be right too often."""
    members, trials = int(member.sum()), member.size
    if 2 * bdtr(min(members, trials - members), trials, 0.5) < _UNFAIR:
        rule = "have a fair coin for each record, so about half of them members"
        _check.refuse(f"--design {design}", rule, f"{members} members of {trials}")


def _audit(outcome: Outcome, asked: argparse.Namespace, terms: dict) -> tuple[dict, AuditResult]:
    if asked.guess is not None:
        ins, outs = asked.guess
        return {"ins": ins, "outs": outs}, one_run(guess(outcome, ins=ins, outs=outs), **terms)
    if asked.threshold is None and asked.split is None:
        return {"threshold": "any, the cuts share the error"}, any_threshold(outcome, **terms)
    test = asked.test or _default_test(outcome)
    if asked.threshold is not None:
        how = {"threshold": asked.threshold, "test": test}
        return how, TESTS[test](outcome.at(asked.threshold), **terms)
    how = {"threshold": "chosen on a part", "seed": asked.split, "test": test}
    return how, split(outcome, TESTS[test], rng=np.random.default_rng(asked.split), **terms)


def _default_test(outcome: Outcome) -> str:
    """Choose by the design and the number of trials alone, never by the scores."""
    if outcome.design != Design.RUNS:
        return "accuracy"
    members = int(outcome.member.sum())
    return "joint" if max(members, outcome.member.size - members) <= _JOINT_UP_TO else "rates"


def _claim(asked: argparse.Namespace) -> Guarantee:
    neighbours = NEIGHBOURS[asked.neighbours]
    check_terms(asked.delta, asked.confidence, neighbours)
    if asked.test and asked.threshold is None and asked.split is None:
        _check.refuse("--test", "come with --threshold or --split", asked.test)
    _check_files(asked)
    _check.not_negative("--claimed-epsilon", asked.claimed_epsilon)
    if asked.claimed_epsilon > _LARGEST:
        _check.refuse("--claimed-epsilon", f"be at most {_LARGEST}", asked.claimed_epsilon)
    if asked.threshold is not None and not np.isfinite(asked.threshold):
        _check.refuse("--threshold", "be a finite number", asked.threshold)
    return Guarantee(asked.claimed_epsilon, asked.delta, neighbours)


def _check_files(asked: argparse.Namespace) -> None:
    """Refuse to write where something else would be lost, before anything is computed."""
    if asked.picture is not None and Path(asked.picture).suffix.lower() not in PICTURES:
        _check.refuse("--picture", f"end in {', '.join(PICTURES)}", asked.picture)
    taken = {} if asked.scores == "-" else {Path(asked.scores).resolve(): "the scores"}
    for name, given in (("--json", asked.json), ("--picture", asked.picture)):
        if given is None:
            continue
        path = Path(given)
        if path.resolve() in taken:
            _check.refuse(f"{taken[path.resolve()]} and {name}", "be two files", given)
        if not path.parent.is_dir():
            _check.refuse(name, "be in a folder that exists", given)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            _check.refuse(name, "be a file, new or old, and no folder, link or device", repr(given))
        taken[path.resolve()] = name


def _content(path: str) -> bytes:
    if path != "-":
        return Path(path).read_bytes()
    if sys.stdin is None:
        raise ValueError("standard input must be open, got a closed one")
    return sys.stdin.buffer.read()


@door
def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: beside its place first, then moved there in one step."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _picture(report: Report, path: str) -> bytes:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from mialab import plots

    with mpl.rc_context():
        plots.use_style()
        figure = Figure(figsize=(6.4, 5.2))
        plots.one_picture(figure.subplots(), report.outcome, report.claim)
        image = io.BytesIO()
        figure.savefig(image, format=Path(path).suffix[1:].lower())
    return image.getvalue()


_DESIGN = (
    "how membership was decided. runs: each trial is a training of its own; one-run: one training, a fair "
    "coin for each record; coins: the same, and the attacker owns other models; fixed or unknown: in any "
    "other way, and no bound is possible"
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str):
        """Leave the exit to `main`."""
        if message.endswith("expected one argument"):
            message += " (a negative number may need a =, as in --threshold=-1e-3)"
        raise ValueError(message)


def _parser() -> _Parser:
    parser = _Parser(prog="python -m mialab.audit", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "scores", help="CSV, Parquet or .npz with the columns score and member; - reads stdin"
    )
    parser.add_argument("--claimed-epsilon", type=float, required=True, help="the ε that was promised")
    parser.add_argument("--delta", type=float, default=0.0, help="the δ that was promised (0)")
    parser.add_argument("--design", choices=DESIGNS, required=True, help=_DESIGN)
    parser.add_argument("--neighbours", choices=NEIGHBOURS, required=True, help="what the promise compares")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the verdict (0.95)")
    parser.add_argument(
        "--test", choices=TESTS, help="of --threshold or --split: joint or rates (runs), accuracy"
    )
    rule = parser.add_mutually_exclusive_group()
    rule.add_argument(
        "--threshold", type=float, help="fixed before the scores were seen (else any, at a price)"
    )
    rule.add_argument("--split", type=int, metavar="SEED", help="choose it on 30 %% of the trials")
    rule.add_argument(
        "--guess", type=int, nargs=2, metavar=("INS", "OUTS"), help="coins or one-run: how many guesses"
    )
    parser.add_argument("--json", metavar="FILE", help="write a report, over an old one")
    parser.add_argument("--picture", metavar="FILE", help="draw the ROC and the claim (.png, .pdf, .svg)")
    return parser
