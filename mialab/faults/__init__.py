"""Private-looking code with exactly one flaw each, and the correct code beside it. NumPy and SciPy only.

    trainer.py    HONEST, Trainer     DP-SGD in six pieces, many runs at once: read this first
    pieces.py                         the wrong pieces, one for each fault
    scores.py                         what the attacker makes of a run
    training.py   TRAINERS            trainers with one piece replaced
    answers.py                        answers, right and wrong, and their scores
    releases.py   RELEASES            randomized response and noise gone wrong
    fault.py      Fault, Correct      name, flaw, source, claim, truth, and how to run it

``fault.run(record_in, runs, rng=…)`` returns the score of the best attack known on each of many independent
runs. What is claimed is computed by the accountants, as if the code did what it says; `mialab.gallery` puts
all of it through the audits.
"""

from mialab.faults.fault import DELTA, Correct, Fault, Release, Stage, Training
from mialab.faults.releases import HONEST_RELEASES, RELEASES
from mialab.faults.trainer import HONEST, Recipe, Records, Trace, Trainer
from mialab.faults.training import HONEST_TRAINERS, TRAINERS

FAULTS: tuple[Fault, ...] = TRAINERS + RELEASES
"""Everything that breaks its promise."""

CORRECT: tuple[Correct, ...] = HONEST_TRAINERS + HONEST_RELEASES
"""Everything that keeps it."""

__all__ = [
    "CORRECT",
    "DELTA",
    "FAULTS",
    "HONEST",
    "HONEST_RELEASES",
    "HONEST_TRAINERS",
    "RELEASES",
    "TRAINERS",
    "Correct",
    "Fault",
    "Recipe",
    "Records",
    "Release",
    "Stage",
    "Trace",
    "Trainer",
    "Training",
]
