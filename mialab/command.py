"""The audit as a command, for a build pipeline: "mialab audit scores.csv --claimed-epsilon 1".

It exits with 0 if the claim is consistent with the scores, 10 if it is violated, 11 if this audit could not
have told. With one line that says why, it exits with 2 if the input is bad (scores may have 1 GiB), 3 if a
report, or the verdict itself, could not be written, and 130 if it was interrupted. No picture, no matplotlib.
"""

import argparse
import io
import json
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from scipy.special import log_expit

from mialab import __version__, _check, _files
from mialab._text import visible
from mialab._validation import door
from mialab.accounting import Guarantee, Neighbours
from mialab.audit import TESTS, AuditResult, Finding, Verdict, guess, lower_bound, split
from mialab.audit.bound import default_test, with_scores
from mialab.audit.evidence import Ranks, ranks_of, unfair
from mialab.audit.read_scores import read_scores
from mialab.audit.result import check_terms
from mialab.game import Counts, Design, Outcome

__all__ = ["main"]

EXIT = {Finding.CONSISTENT: 0, Finding.VIOLATED: 10, Finding.UNINFORMATIVE: 11}
BAD_INPUT, UNWRITTEN, INTERRUPTED = 2, 3, 130
LARGEST = 2**30  # bytes of scores
PICTURES = (".png", ".pdf", ".svg")
_IMPOSSIBLE = 1e-6  # a balance that coins show more rarely: they were not such, or not flipped
_LARGEST = 700  # ε: nearly the last whose e^−ε is a float with all its digits
_USAGE = "usage: mialab audit SCORES …, mialab audit --help, or mialab --version"
_NO_BOUND = "no bound is possible: without independent coins, or independent runs, scores prove nothing"


@dataclass(frozen=True)
class Report:
    """What the command found.

    Attributes
    ----------
    verdict
        On the claim, with the bound and its evidence; or None where the design admits no bound.
    how
        The rule, as it is needed to repeat the audit: threshold, test and seed, or numbers of guesses.
    fewest
        With fewer trials, no audit at all could refute the claim: with every verdict right, so many
        coins have probability q^trials, q = e^ε/(1 + e^ε), under a mechanism that keeps the promise.
    """

    verdict: Verdict | None
    claim: Guarantee
    outcome: Outcome
    ranks: Ranks
    how: dict[str, float | str]
    fewest: int

    @property
    def finding(self) -> Finding:
        """Violated, consistent or uninformative."""
        return self.verdict.finding if self.verdict else Finding.UNINFORMATIVE

    def __str__(self) -> str:
        """Print the verdict with its power."""
        said = [f"{self.finding}: {_NO_BOUND}"]
        if self.verdict:
            rule = ", ".join(f"{name} {value}" for name, value in self.how.items())
            said = [f"{self.verdict}", f"{self.verdict.result}; {rule}"]
        (members, others), distinct = self.ranks.sides, self.ranks.distinct
        records = f"{members + others} records, {members} of them members, {distinct} distinct scores"
        power = f"no audit of fewer than {self.fewest} trials could refute this claim"
        said.append(f"{records}; {self.outcome.design}; {self.claim.neighbours}; {power}")
        return "\n".join([*said, *self._of_coins])

    @property
    def _of_coins(self) -> list[str]:
        """Say how likely the coins were to fall like that, and where it matters what that means."""
        coins = self.verdict and self.verdict.result.coins
        if coins is None:
            return []
        said = f"coins: as far off with p = {coins:.2g}"
        what = "guesses are right too often where coins are unfair; say --coin P if P was the chance of 'in'"
        return [f"{said}; {unfair(coins)}: {what}" if unfair(coins) else said]

    def as_json(self) -> bytes:
        """Write everything that the verdict depends on."""
        result = self.verdict and self.verdict.result
        bound = result and {
            "epsilon_lower": result.value,
            "reach": result.reach,
            "ceiling": result.ceiling,
            "confidence": result.confidence,
            "test": result.test.name,
            "assumes": result.test.assumes,
            "trials": result.trials,
        }
        rank = result and {
            "name": result.name,
            "value": result.rank.value,
            "low": result.rank.low,
            "high": result.rank.high,
            "below_chance": result.rank.high < 0.5,
            "turned": result.turned,
            "flat": result.flat or None,
        }
        claim = {"epsilon": self.claim.epsilon, "delta": self.claim.delta}
        everything = {
            "finding": str(self.finding),
            "exit_code": EXIT[self.finding],
            "claim": claim | {"neighbours": str(self.claim.neighbours), "unit": self.claim.unit},
            "design": str(self.outcome.design),
            "bound": bound,
            "rank": rank,
            "coins_p_value": result and result.coins,
            "rule": self.how,
            "fewest_trials": self.fewest,
            "members": self.ranks.sides[0],
            "non_members": self.ranks.sides[1],
            "distinct_scores": self.ranks.distinct,
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
        return _run(arguments)
    except SystemExit:  # after --help
        return 0
    except _UnwrittenError as error:
        return _complain(f"what was found must be written, got {error}", UNWRITTEN)
    except (ValueError, OSError) as error:
        return _complain(str(error), BAD_INPUT)
    except (MemoryError, RecursionError) as error:
        return _complain(f"the scores must fit into memory, got {type(error).__name__}", BAD_INPUT)
    except KeyboardInterrupt:
        return _complain("the audit must run to its end, got an interruption", INTERRUPTED)


def console() -> NoReturn:
    """Run ``mialab audit …`` or ``mialab --version`` from a terminal, and exit."""
    asked = sys.argv[1:]
    if asked[:1] == ["audit"]:
        leave(asked[1:])
    if asked in (["--version"], ["--help"]):
        print(f"mialab {__version__}" if asked == ["--version"] else _USAGE)
        sys.exit(0)
    print(_USAGE, file=sys.stderr)
    sys.exit(BAD_INPUT)


def leave(arguments: Sequence[str]) -> NoReturn:
    """Run the audit from a terminal, and exit with its code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console without an ε gets a ?
    code = main(arguments)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:  # nobody reads, or the disk is full: `main` has said so, Python would say it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


class _UnwrittenError(Exception):
    """There is a verdict, and no place for it."""


def _run(arguments: Sequence[str] | None) -> int:
    asked = _parser().parse_args(arguments)
    claim = _claim(asked)
    outcome = read_scores(_content(asked.scores), design=Design(asked.design))
    report = judge(outcome, claim, asked)
    files = {asked.json: report.as_json} | {asked.picture: lambda: _picture(report, asked.picture)}
    made = {Path(path): content() for path, content in files.items() if path}
    try:
        _files.write(made)
    except OSError as error:
        raise _UnwrittenError(error) from error
    _say(str(report))
    return EXIT[report.finding]


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except (OSError, ValueError) as error:
        raise _UnwrittenError(error) from error


def _complain(message: str, code: int) -> int:
    """Say in one line what is wrong; the exit code says it where nobody listens."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print("mialab audit:", visible(message.replace("\n", " "), 1000), file=sys.stderr, flush=True)
    return code


def judge(outcome: Outcome, claim: Guarantee, asked: argparse.Namespace) -> Report:
    """Audit the scores with a rule that was fixed in advance, or that pays for being chosen from them."""
    error, ranks = 1 - asked.confidence, ranks_of(outcome, asked.coin)
    fewest = max(1, int(np.ceil(np.log(error) / log_expit(claim.epsilon))))
    if outcome.design in (Design.FIXED, Design.UNKNOWN):
        return Report(None, claim, outcome, ranks, {}, fewest)
    terms = {"neighbours": claim.neighbours, "unit": claim.unit, "delta": claim.delta}
    terms["confidence"] = asked.confidence
    how, result = _audit(outcome, asked, terms)
    if result.coins is not None and result.coins < _IMPOSSIBLE:
        _refuse_coins(ranks, asked)
    if asked.guess is not None or asked.threshold is not None:
        result = with_scores(result, ranks)
    return Report(Verdict(result, claim), claim, outcome, ranks, how, fewest)


def _refuse_coins(ranks: Ranks, asked: argparse.Namespace) -> None:
    """Refuse coins that cannot have been such: who says "out" of everybody would be right too often."""
    members, trials = ranks.sides[0], ranks.score.size
    rule = "have a fair coin for each record, so about half of them members"
    if asked.coin != 0.5:
        rule = f"have a coin for each record, so about {asked.coin:g} of them members"
    _check.refuse(f"--design {asked.design}", rule, f"{members} members of {trials}")


def _audit(outcome: Outcome, asked: argparse.Namespace, terms: dict) -> tuple[dict, AuditResult]:
    if asked.guess is not None:
        ins, outs = asked.guess
        return {"ins": ins, "outs": outs}, lower_bound(guess(outcome, ins=ins, outs=outs), **terms)
    biased = {} if asked.coin == 0.5 else {"p_in": asked.coin}
    if asked.threshold is None and asked.split is None:
        rule = {"threshold": "any, the cuts share the error"} | biased
        return rule, lower_bound(outcome, **terms, **biased)
    counts = outcome.at(asked.threshold or 0.0)
    test = asked.test or default_test(counts, "ε")  # by the design and the number of trials, not the scores
    if asked.threshold is not None:
        how = {"threshold": asked.threshold, "test": test} | biased
        return how, lower_bound(counts, test=test, **terms, **biased)
    how = {"threshold": "chosen on a part", "seed": asked.split, "test": test}
    return how, split(outcome, test=test, rng=np.random.default_rng(asked.split), **terms)


def _claim(asked: argparse.Namespace) -> Guarantee:
    neighbours = Neighbours(asked.neighbours)
    check_terms(asked.delta, asked.confidence)
    if asked.test and asked.threshold is None and asked.split is None:
        _check.refuse("--test", "come with --threshold or --split", asked.test)
    _check_coin(asked)
    _check_files(asked)
    _check.not_negative("--claimed-epsilon", asked.claimed_epsilon)
    if asked.claimed_epsilon > _LARGEST:
        _check.refuse("--claimed-epsilon", f"be at most {_LARGEST}", asked.claimed_epsilon)
    if asked.threshold is not None and not np.isfinite(asked.threshold):
        _check.refuse("--threshold", "be a finite number", asked.threshold)
    return Guarantee(asked.claimed_epsilon, asked.delta, neighbours, asked.unit)


def _check_coin(asked: argparse.Namespace) -> None:
    """Refuse a bias where no test is proved for one."""
    _check.probability("--coin", asked.coin, open_ends=True)
    if asked.coin == 0.5:
        return
    if asked.design not in (Design.COINS, Design.ONE_RUN):
        _check.refuse("--coin", "come with --design coins or one-run", asked.design)
    if asked.delta > 0:
        _check.refuse("--coin", "be 0.5 with --delta above 0", asked.coin)
    if asked.guess is not None or asked.split is not None or asked.test in ("rates", "joint"):
        _check.refuse("--coin", "be 0.5 but for any threshold, or --threshold with accuracy", asked.coin)


def _check_files(asked: argparse.Namespace) -> None:
    """Refuse to write where something else would be lost, before anything is computed."""
    if asked.picture is not None and Path(asked.picture).suffix.lower() not in PICTURES:
        _check.refuse("--picture", f"end in {', '.join(PICTURES)}", asked.picture)
    taken = {} if asked.scores == "-" else {os.path.realpath(asked.scores): "the scores"}
    for name, given in (("--json", asked.json), ("--picture", asked.picture)):
        if given is None:
            continue
        path, place = Path(given), os.path.realpath(given)
        if place in taken:
            _check.refuse(f"{taken[place]} and {name}", "be two files", given)
        if not path.parent.is_dir():
            _check.refuse(name, "be in a folder that exists", given)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            _check.refuse(name, "be a file, new or old, and no folder, link or device", repr(given))
        taken[place] = name


def _content(path: str) -> bytes:
    if path == "-" and sys.stdin is None:
        raise ValueError("standard input must be open, got a closed one")
    try:
        content = sys.stdin.buffer.read(LARGEST + 1) if path == "-" else _file(path)
    except OSError as error:
        raise ValueError(f"the scores must be a file that can be read, got {error}") from None
    if len(content) > LARGEST:
        _check.refuse("the scores", f"have at most {LARGEST:,} bytes", "more")
    return content


def _file(path: str) -> bytes:
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe may wait, a device never end
        _check.refuse("the scores", "be a regular file, or - for standard input", repr(path))
    with open(path, "rb") as file:
        return file.read(LARGEST + 1)


def _picture(report: Report, path: str) -> bytes:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from mialab import plots

    with mpl.rc_context():
        plots.use_style()
        figure = Figure(figsize=(6.4, 5.2))
        plots.plot_roc_against_claim(figure.subplots(), report.outcome, report.claim)
        image = io.BytesIO()
        figure.savefig(image, format=Path(path).suffix[1:].lower())
    return image.getvalue()


_DESIGN = (
    "how membership was decided. runs: each trial is a training of its own; one-run: one training, a fair "
    "coin for each record; coins: the same, and the attacker owns other models; fixed or unknown: in any "
    "other way, and no bound is possible"
)


_COIN = "coins or one-run: the chance of every record, on its own, to be a member, if it was not one half"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str):
        """Leave the exit to `main`."""
        if message.endswith("expected one argument"):
            message += " (a negative number may need a =, as in --threshold=-1e-3)"
        raise ValueError(message)

    def print_help(self, file: object = None) -> None:
        """Notice where nobody reads."""
        _say(self.format_help())


def _parser() -> _Parser:
    parser = _Parser(prog="mialab audit", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "scores", help="CSV, Parquet or .npz with the columns score and member; - reads stdin"
    )
    parser.add_argument("--claimed-epsilon", type=float, required=True, help="the ε that was promised")
    parser.add_argument("--delta", type=float, default=0.0, help="the δ that was promised (0)")
    parser.add_argument("--design", choices=list(map(str, Design)), required=True, help=_DESIGN)
    parser.add_argument(
        "--neighbours", choices=list(map(str, Neighbours)), required=True, help="what the promise compares"
    )
    parser.add_argument("--unit", default="record", metavar="WORD", help="what neighbours differ in (record)")
    parser.add_argument("--coin", type=float, default=0.5, metavar="P", help=_COIN)
    parser.add_argument("--confidence", type=float, default=0.95, help="of the verdict (0.95)")
    parser.add_argument(
        "--test",
        choices=[name for name, test in TESTS.items() if test.reads is Counts],
        help="of --threshold or --split: joint or rates (runs), accuracy",
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
