"""Checkers for the chapter "Nobody is a percentage"."""

from collections.abc import Callable, Iterator

import numpy as np

from mialab.leaks import genomics
from mialab.leaks.genomics import beacon
from mialab_book.exercises._feedback import Feedback, Objection, first_objection, guarded

QUESTIONS = 6


def check_variants(variants: float) -> Feedback:
    """Check how many variants find 80 % at 5 % FPR, in a study of 1,000 with a reference of 1,000.

    Examples
    --------
    >>> check_variants(6183)
    Not yet. That is for known frequencies. What does the reference's own error do to n?
    """

    def near(value: float) -> bool:
        return bool(np.isclose(variants, value, rtol=0.02))

    objections = [
        (near(6183), "That is for known frequencies. What does the reference's own error do to n?"),
        (near(4973), "The sum of the two quantiles has to be squared: √(m/n) is what stands in the law."),
        (
            near(15698),
            "1.96 is for a test with two sides. Nobody is accused for leaning away from the study.",
        ),
        (near(5411), "That finds 50 %. For 80 % the power's own quantile, 0.842, comes on top."),
        (near(1292), "Mind the sign: −0.842 would be a power of 20 %."),
        (not near(12365), "Solve Φ(Φ⁻¹(0.05) + √(m/(n(1 + n/N)))) = 0.8 for m."),
    ]
    return first_objection(objections, "A chip reads forty times as many; linkage takes some of that back.")


def check_score(score: Callable[..., float]) -> Feedback:
    """Check a function (released, genome, reference, n, people) → the score, N(0, 1) for strangers.

    To first order: m/N is taken off.
    """
    rng = np.random.default_rng(5)
    p, n, people = rng.uniform(0.2, 0.8, 300), 60, 40
    genomes = rng.binomial(2, p, size=(6, 300))
    released = (genomes[0] + rng.binomial(2 * n - 2, p)) / (2 * n)
    reference = rng.binomial(2 * people, p) / (2 * people)
    lift, sampling = _parts(genomes, reference, n, people)
    plain = genomics.z_score(released, genomes, genomics.Reference(reference), n)
    right = plain / sampling - lift

    def objections() -> Iterator[Objection]:
        got = np.array([float(score(released, x, reference, n, people)) for x in genomes])

        def close(other: np.ndarray) -> bool:
            return bool(np.allclose(got, other, rtol=1e-6, atol=1e-9))

        yield close(-right), "Members should score high. Which way round is the difference of frequencies?"
        yield close(right + lift), "Strangers are lifted: the reference is in both factors. Take m/N off."
        yield (
            close((right + lift) * sampling),
            "That is the score for known frequencies. The reference is a sample, too: its error widens the "
            "sum, and lifts it.",
        )
        yield (
            close(right * sampling),
            "The lift is off. The spread is √(1/n + 1/N) times the genome's distance, not √(1/n).",
        )
        yield (
            close(right / 2) or close(right / 2 - lift / 2),
            "The mean of n genomes is *twice* the frequency.",
        )
        yield (
            close((right + lift) / np.sqrt(2) - lift * np.sqrt(2)) or close(right / np.sqrt(2)),
            "A genome has two alleles: its variance is 2r(1 − r).",
        )
        yield (
            not close(right),
            f"For a study of {n} and a reference of {people}: {got[0]:.3f}, not {right[0]:.3f}.",
        )

    return guarded(lambda: first_objection(objections(), "From percentages to a name, in four lines."))


def _parts(genomes: np.ndarray, reference: np.ndarray, n: int, people: int) -> tuple[np.ndarray, float]:
    """Return by how much a score is lifted, and its factor where the reference is taken for known."""
    distance = np.sqrt(np.sum((genomes - 2 * reference) ** 2 / (2 * reference * (1 - reference)), axis=1))
    spread = np.sqrt(1 / n + 1 / people)
    return genomes.shape[1] / people / (distance * spread), spread * np.sqrt(n)


Ask = Callable[[int | np.integer], bool]


class _TooManyError(Exception):
    """A seventh question."""


def coursework_beacon(seed: int) -> tuple[Ask, np.ndarray, np.ndarray]:
    """Return a beacon of your own, the genomes of four candidates, and the alleles' frequencies."""
    ask, genomes, frequency, _ = _beacon_and_truth(np.random.default_rng([20261126, seed]))
    return ask, genomes, frequency


def _beacon_and_truth(rng: np.random.Generator) -> tuple[Ask, np.ndarray, np.ndarray, int]:
    """Make a beacon of 20 people and four candidates, one of whom is among them."""
    frequency = np.exp(rng.uniform(np.log(0.001), np.log(0.4), 2000))
    genomes = rng.binomial(2, frequency, size=(4, 2000)).astype(np.int8)
    member, asked = int(rng.integers(4)), []
    others = rng.binomial(2, frequency, size=(19, 2000)).astype(np.int8)
    said = beacon.answers(np.vstack([others, genomes[member][None]]))

    def ask(variant: int | np.integer) -> bool:
        asked.append(variant)
        if len(asked) > QUESTIONS:
            raise _TooManyError
        return bool(said[variant])

    return ask, genomes, frequency, member


def check_coursework(who: Callable[..., int], *, seed: int) -> Feedback:
    """Check a function (ask, genomes, frequency, rng) → row of the candidate who is in, on 60 new beacons."""
    rng = np.random.default_rng([20261127, seed])

    def objections() -> Iterator[Objection]:
        found, truth = [], []
        for _ in range(60):
            ask, genomes, frequency, member = _beacon_and_truth(rng)
            try:
                answer = who(
                    ask, genomes.copy(), frequency.copy(), np.random.default_rng(rng.integers(2**32))
                )
            except _TooManyError:
                yield True, f"It asked more than {QUESTIONS} questions."
                return
            yield np.ndim(answer) != 0, "Return one row, a whole number."
            yield not 0 <= int(answer) <= 3, f"There are rows 0 … 3, and it returned {answer}."
            found.append(int(answer))
            truth.append(member)
        right = float(np.mean(np.array(found) == truth))
        yield len(set(found)) == 1, f"It always accuses row {found[0]}."
        yield (
            right < 0.4,
            f"It finds {right:.0%} of the members; a die finds 25 %. Which alleles does it ask for?",
        )
        yield (
            right < 0.8,
            f"It finds {right:.0%} of the members. What is a yes worth if many people have the allele?",
        )

    praise = "Six bits, one of four people. How many for one in a million?"
    return guarded(lambda: first_objection(objections(), praise))
