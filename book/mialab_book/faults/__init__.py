"""Private-looking code with exactly one flaw each, and the correct code beside it. NumPy and SciPy only.

    trainer.py            HONEST, Trainer   DP-SGD in six components, many runs at once: read this first
    faulty_components.py                    the wrong components, one for each fault
    attackers.py                            what the attacker makes of a run
    training.py           TRAINERS          trainers with one component replaced
    answers.py            RELEASES          randomized response and noise gone wrong, and how they are scored
    case.py               Case, Claim       name, claim, flaw, truth, and how to run it

A fault is correct code with one component replaced. ``case.run(record_in, runs, rng=…)`` returns the score of
the best attack known on each of many independent runs. What is claimed is computed by the accountants, as if
the code did what it says; `mialab_book.gallery` puts all of it through the audits.
"""

from mialab_book.faults.answers import HONEST_RELEASES, RELEASES
from mialab_book.faults.case import DELTA, Case, Claim
from mialab_book.faults.trainer import HONEST, Recipe, Trainer, Transcript
from mialab_book.faults.training import HONEST_TRAINERS, TRAINERS, Training

FAULTS: tuple[Case, ...] = TRAINERS + RELEASES
"""Everything that breaks its promise."""

CORRECT: tuple[Case, ...] = HONEST_TRAINERS + HONEST_RELEASES
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
    "Case",
    "Claim",
    "Recipe",
    "Trainer",
    "Training",
    "Transcript",
]
