"""Checkers for the chapter "The definition"."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from mialab import tradeoff
from mialab_book.exercises._feedback import Feedback, Objection, first_objection, guarded


def check_sensitivities(
    sum_add_remove: float, sum_replace: float, histogram_add_remove: float, histogram_replace: float
) -> Feedback:
    """Check the L1 sensitivities of a sum of ages between 18 and 90, and of a histogram of ages.

    Examples
    --------
    >>> print(check_sensitivities(90, 90, 1, 2))
    Not yet. The sum, replace one: an 18-year-old for a 90-year-old changes it by the difference.
    """
    objections = [
        (
            np.isclose(sum_add_remove, 72),
            "The sum, add/remove: a 90-year-old who leaves takes 90 years along.",
        ),
        (not np.isclose(sum_add_remove, 90), "The sum, add/remove: who changes it most by leaving?"),
        (
            np.isclose(sum_replace, 90),
            "The sum, replace one: an 18-year-old for a 90-year-old changes it by the difference.",
        ),
        (np.isclose(sum_replace, 180), "The sum, replace one: twice is a bound, but here it is not reached."),
        (not np.isclose(sum_replace, 72), "The sum, replace one: who changes it most, and for whom?"),
        (np.isclose(histogram_add_remove, 2), "The histogram, add/remove: who leaves was in one bin only."),
        (
            not np.isclose(histogram_add_remove, 1),
            "The histogram, add/remove: how many bins change, and by how much?",
        ),
        (np.isclose(histogram_replace, 1), "The histogram, replace one: one bin loses, another one gains."),
        (
            np.isclose(histogram_replace, np.sqrt(2)),
            "That is the L2 sensitivity, for Gaussian noise; L1 adds up.",
        ),
        (
            not np.isclose(histogram_replace, 2),
            "The histogram, replace one: which bins change, and by how much?",
        ),
    ]
    praise = "The factor between the relations is 72/90 for one query and 2 for the other: never assume it."
    return first_objection(objections, praise)


def check_delta(delta: Callable[[np.ndarray, np.ndarray, float], float]) -> Feedback:
    """Check a function (p, q, epsilon) → the smallest δ for two output distributions, in both directions."""
    p, q = np.array([0.4, 0.3, 0.2, 0.1, 0.0]), np.array([0.15, 0.1, 0.3, 0.4, 0.05])

    def of(a: np.ndarray, b: np.ndarray, epsilon: float) -> float:
        return float(np.maximum(a - np.exp(epsilon) * b, 0).sum())

    def objections() -> Iterator[Objection]:
        got = float(delta(p.copy(), q.copy(), 0.1))
        forward, back = of(p, q, 0.1), of(q, p, 0.1)
        yield (
            np.isclose(got, (p - np.exp(0.1) * q).sum()),
            "Outputs where the difference is negative are not in the worst set.",
        )
        yield (
            np.isclose(got, np.abs(p - np.exp(0.1) * q).sum()),
            "Not absolute values: the worst set holds the positive ones.",
        )
        yield (
            np.isclose(got, max((p - np.exp(0.1) * q).max(), (q - np.exp(0.1) * p).max())),
            "That is the worst single output; a set may hold several.",
        )
        yield (
            np.isclose(got, of(p, q, 0.0)) or np.isclose(got, of(q, p, 0.0)),
            "That is δ at ε = 0: where did e^ε go?",
        )
        yield np.isclose(got, forward + back), "Either direction has to hold; they do not add up."
        yield np.isclose(got, min(forward, back)), "One direction only. Which of the two is the worse?"
        yield not np.isclose(got, max(forward, back)), f"At ε = 0.1 it returned {got:.4f}."
        turned = float(delta(q.copy(), p.copy(), 0.1))
        yield not np.isclose(turned, max(forward, back)), "It changes when the two data sets change places."
        large = float(delta(p.copy(), q.copy(), 9.0))
        yield (
            not np.isclose(large, 0.05),
            f"At ε = 9 it returned {large:.4f}: one output is impossible on one side.",
        )

    praise = "The worst set is the set of outputs with p > e^ε·q: the best attack, in one line."
    return guarded(lambda: first_objection(objections(), praise))


Mechanism = Callable[[np.ndarray, float, float, np.random.Generator], np.ndarray]


def check_laplace(mechanism: Mechanism) -> Feedback:
    """Check a function (value, sensitivity, epsilon, rng) → value with Laplace noise."""
    value, sensitivity, epsilon = np.full(20_000, 7.0), 3.0, 0.5

    def objections() -> Iterator[Objection]:
        given = value.copy()
        got = np.asarray(mechanism(given, sensitivity, epsilon, np.random.default_rng(5)), dtype=float)
        yield not np.array_equal(given, value), "It changed the value that it was given."
        yield got.shape != value.shape, f"One number for each number, please; the shape is {got.shape}."
        noise = got - value
        yield (
            np.ptp(noise) == 0,
            "All numbers got the same noise: their differences are released in the clear.",
        )
        again = np.asarray(mechanism(value.copy(), sensitivity, epsilon, np.random.default_rng(5)))
        yield not np.array_equal(again, got), "The same rng gave other noise: chance came from elsewhere."
        yield noise.min() >= 0, "The noise is never negative."
        size, right = np.abs(noise).mean(), sensitivity / epsilon
        yield abs(noise.mean()) > 0.05 * right, "The noise has a mean that is not 0."
        yield (
            abs(size / (epsilon / sensitivity) - 1) < 0.05,
            "The scale is upside down: more sensitivity, more noise.",
        )
        yield abs(size / (right / 2) - 1) < 0.05, "Half of the noise: ε is twice what you promised."
        yield (
            abs(size / (right * 2) - 1) < 0.05,
            "Twice the noise that is needed; was the sensitivity counted twice?",
        )
        yield abs(size / (1 / epsilon) - 1) < 0.05, "The scale does not know the sensitivity."
        tail = (np.abs(noise) > 3 * size).mean()  # e^−3 for Laplace noise
        yield (
            abs(size / right - 1) < 0.3 and tail < 0.035,
            "Gaussian noise has other tails; it does not give pure ε.",
        )
        yield (
            abs(size / right - 1) > 0.05,
            f"The mean absolute noise is {size:.2f}, and should be {right:.2f}.",
        )

    praise = "Scale sensitivity/ε, fresh for every number."
    return guarded(lambda: first_objection(objections(), praise))


def coursework_mechanism(seed: int) -> np.ndarray:
    """Return a mechanism of your own as a table: row = data set, column = output, entries probabilities.

    Any two rows are neighbours.

    Examples
    --------
    >>> coursework_mechanism(1).shape, np.allclose(coursework_mechanism(1).sum(axis=1), 1)
    ((4, 6), True)
    """
    rng = np.random.default_rng([20261124, seed])
    table = rng.dirichlet(np.full(6, 2.0), size=4)
    table[rng.integers(4), rng.integers(6)] *= 1e-3  # something rare, so that pure ε is large
    return table / table.sum(axis=1, keepdims=True)


def check_coursework(epsilon_of: Callable[[np.ndarray, float], float], *, seed: int) -> Feedback:
    """Grade a function (table, delta) → the smallest ε at δ, by what any right one must have."""
    tables = [coursework_mechanism(1000 * seed + number) for number in range(8)]

    def objections() -> Iterator[Objection]:
        for table in tables:
            got, right = float(epsilon_of(table.copy(), 0.0)), _smallest(table, 0.0)
            next_rows = np.abs(np.log(table[:-1]) - np.log(table[1:])).max()
            yield not np.isfinite(got), "All ε of your mechanism are finite, and yours is not."
            yield np.isclose(got, np.exp(right)), "That is e^ε."
            yield (
                got < right - 1e-6 and np.isclose(got, next_rows),
                "Any two rows are neighbours, not only rows that follow one another.",
            )
            yield got < right - 1e-6, f"At δ = 0 it claims {got:.4f}; a pair of rows breaks that."
            yield got > right + 1e-3, f"At δ = 0 it says {got:.4f}, and a smaller ε holds."
        for table, delta in itertools.product(tables, (0.02, 0.2)):
            got, right = float(epsilon_of(table.copy(), delta)), _smallest(table, delta)
            low, high = got < right - 1e-6, got > right + 1e-3
            yield high and np.isclose(got, _smallest(table, 0.0)), "It does not use δ: allow it, and ε falls."
            yield (
                low and np.isclose(got, _single(table, delta)),
                "Single outputs are not enough: a set may hold several.",
            )
            yield (
                low and np.isclose(got, _smallest(table, delta, turned=False)),
                "One direction only: turn each pair round.",
            )
            yield low, f"At δ = {delta} it claims {got:.4f}; a set of outputs breaks that."
            yield high, f"At δ = {delta} it says {got:.4f}, and a smaller ε holds."
        everything = float(epsilon_of(tables[0].copy(), 1.0))
        yield (
            not np.isclose(everything, 0, atol=1e-3),
            f"At δ = 1 anything goes; it returned {everything:.4f}.",
        )

    praise = "All pairs, both directions, all sets of outputs, and never below the truth."
    return guarded(lambda: first_objection(objections(), praise))


def _smallest(table: np.ndarray, delta: float, *, turned: bool = True) -> float:
    """Return the smallest ε for all pairs of rows; without ``turned``, only from earlier to later rows."""
    pairs = (itertools.permutations if turned else itertools.combinations)(table, 2)
    return max(tradeoff.epsilon_at(tradeoff.DominatingPair(one, other), delta) for one, other in pairs)


def _single(table: np.ndarray, delta: float) -> float:
    """Return the ε that holds for every output by itself, and not for sets of them."""
    ratios = [(one - delta) / other for one, other in itertools.permutations(table, 2)]
    return float(np.log(max(1.0, np.max(ratios))))
