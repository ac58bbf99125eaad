"""How long the command takes on a million rows, and the audits of a curve. The aim: one run below 1 s.

The command runs in this process, so Python's own start is not counted.
"""

import contextlib
import io
import tempfile
import time
from pathlib import Path

import numpy as np

from mialab.accounting import Neighbours
from mialab.audit import Guesses, guess, lower_bound, refute
from mialab.audit.read_scores import read_scores
from mialab.command import main as command
from mialab.game import Counts, Design, Outcome
from mialab.tradeoff import GaussianCurve

REPLACE = {"neighbours": Neighbours.REPLACE}
MANY = 1_000_000


def timed(name, audit):
    """Print how long one call takes, and what it said."""
    start = time.perf_counter()
    said = audit()
    print(f"{name:44}{time.perf_counter() - start:8.3f} s   {said}")


def quietly(*arguments):
    """Return the first line that the command prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        command([*map(str, arguments), "--claimed-epsilon", "0.5", "--neighbours", "replace-one"])
    return out.getvalue().splitlines()[0]


def against_jax_privacy(rng):
    """Put JAX-Privacy's auditor on the same scores, where it is installed: "in" from one threshold on."""
    try:
        from jax_privacy import auditing  # pyright: ignore[reportMissingImports]
    except ImportError:
        print("JAX-Privacy is not installed: no comparison")
        return
    member, threshold = rng.random(100_000) < 0.5, 1.5
    score = rng.normal(size=100_000) + member
    outcome, terms = Outcome(score, member, design=Design.ONE_RUN), {"significance": 0.05, "delta": 1e-5}
    theirs = auditing.CanaryScoreAuditor(score[member], score[~member])
    cut = {"threshold_strategy": auditing.Explicit(threshold)}
    seen = guess(outcome, ins=int((score >= threshold).sum()), outs=0)
    timed("JAX-Privacy, one run, f-DP", lambda: theirs.epsilon_one_run_fdp(**terms, **cut))
    timed("ours", lambda: lower_bound(seen, family="mu", **REPLACE).epsilon(1e-5))
    timed("JAX-Privacy, one run, (ε, δ)", lambda: theirs.epsilon_one_run(**terms, **cut))
    timed("ours", lambda: lower_bound(seen, delta=1e-5, **REPLACE).value)


def main():
    """Time the reader, the command and the audits of a curve."""
    rng = np.random.default_rng(0)
    member = rng.random(MANY) < 0.5
    score = rng.normal(size=MANY) + member
    with tempfile.TemporaryDirectory() as folder:
        csv, npz = Path(folder, "scores.csv"), Path(folder, "scores.npz")
        rows = (f"{s!r},{int(m)}\n" for s, m in zip(score.tolist(), member, strict=True))
        csv.write_text("score,member\n" + "".join(rows), encoding="utf-8")
        np.savez(npz, score=score, member=member)
        for path in (csv, npz):
            kind = path.suffix
            content = path.read_bytes()
            timed(f"read {kind}, a million rows", lambda: read_scores(content, design=Design.RUNS).at(0))  # noqa: B023
            for design in ("runs", "one-run"):
                for delta in ("0", "1e-5"):
                    asked = (path, "--design", design, "--delta", delta)
                    timed(f"command, {kind}, {design}, δ = {delta}", lambda: quietly(*asked))  # noqa: B023
        picture = Path(folder, "roc.png")
        timed("command with its picture", lambda: quietly(npz, "--design", "runs", "--picture", picture))
    for right, guesses in ((69_146, 100_000), (9_000, 10_000)):
        seen = Guesses(right, guesses, 100_000, Design.ONE_RUN)
        name = f"100,000 canaries, {guesses} guesses: μ"
        timed(name, lambda: lower_bound(seen, family="mu", **REPLACE))  # noqa: B023
        timed("the same: p", lambda: refute(seen, GaussianCurve(0.5), **REPLACE))  # noqa: B023
    against_jax_privacy(rng)
    for n in (100, 500):
        counts = Counts(6 * n // 10, n, 3 * n // 20, n, design=Design.RUNS)
        timed(
            f"joint, a curve, {n} on either side",
            lambda: refute(counts, GaussianCurve(0.5), test="joint", **REPLACE),  # noqa: B023
        )
        timed(
            f"joint, μ, {n} on either side",
            lambda: lower_bound(counts, family="mu", test="joint", **REPLACE),  # noqa: B023
        )
    for n in (500, 50_000):
        side = np.arange(2 * n) < n
        outcome = Outcome(rng.normal(size=2 * n) + side, side, design=Design.RUNS)
        claim = GaussianCurve(0.7)
        timed(f"order, a curve, {n} on either side", lambda: refute(outcome, claim, **REPLACE))  # noqa: B023
        timed(f"order, μ, {n} on either side", lambda: lower_bound(outcome, family="mu", **REPLACE))  # noqa: B023


if __name__ == "__main__":
    main()
