"""How long an audit takes. The aim: one run with 100,000 canaries below 1 s.

Each is called once, with numbers that were not asked for before.
"""

import time

import numpy as np

from mialab.accounting import Neighbours
from mialab.audit import Guesses, accuracy, fixed_threshold, guess, joint, one_run, split
from mialab.game import Counts, Design, Outcome

REPLACE = {"neighbours": Neighbours.REPLACE}


def timed(name, audit):
    """Print how long one call takes, and the bound."""
    start = time.perf_counter()
    bound = audit()
    print(f"{name:36}{time.perf_counter() - start:8.3f} s   {bound}")


def main():
    """Time each audit, small and large."""
    rng, many = np.random.default_rng(0), 1_000_000
    canaries = Guesses(60_000, 100_000, 100_000, Design.ONE_RUN)
    timed("one run, 100,000 canaries, δ > 0", lambda: one_run(canaries, delta=1e-7, **REPLACE))
    member = rng.random(many) < 0.5
    outcome = Outcome(rng.normal(size=many) + member, member, design=Design.ONE_RUN)
    timed(
        "one run, a million scores",
        lambda: one_run(guess(outcome, ins=1000, outs=1000), delta=1e-9, **REPLACE),
    )
    timed("split and accuracy, a million scores", lambda: split(outcome, accuracy, rng=rng, **REPLACE))
    for n in (50, 500, 5000):
        counts = Counts(n // 2, n, n // 10, n, design=Design.RUNS)
        for audit in (fixed_threshold, accuracy, joint):
            timed(f"{audit.__name__}, {n} on either side", lambda: audit(counts, **REPLACE))  # noqa: B023


if __name__ == "__main__":
    main()
