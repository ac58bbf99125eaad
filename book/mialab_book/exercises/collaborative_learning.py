"""Checkers for the chapter "Collaborative learning"."""

from collections.abc import Callable, Iterator

import numpy as np

from mialab_book.exercises._feedback import Feedback, Objection, first_objection, guarded


def check_units(phone: float, record: float) -> Feedback:
    """Check the ε of a phone of eight records under ε = .5 a record, and of a record under ε = .5 a phone.

    Examples
    --------
    >>> check_units(phone=0.5, record=0.5)
    Not yet. The phone's eight records are a group.
    """
    return guarded(lambda: first_objection(_objections_to_units(phone, record), UNITS_PRAISE))


UNITS_PRAISE = "Eight times one way, and nothing gained the other: make the unit the one that you mean."


def _objections_to_units(phone: float, record: float) -> Iterator[Objection]:
    yield np.isclose(phone, 0.5), "The phone's eight records are a group."
    yield np.isclose(phone, 0.0625), "A phone holds more than a record: more can be told of it, not less."
    yield np.isclose(phone, 0.5 * np.sqrt(8)), "A group of eight is no composition of eight: it is 8 ε."
    yield not np.isclose(phone, 4.0), "For a group of k records, ε is k times as large."
    yield np.isclose(record, 0.0625), "Nothing is divided: who differs in a record differs in a phone."
    yield not np.isclose(record, 0.5), "Two data sets that differ in one record differ in one phone."


Round = Callable[[np.ndarray, np.ndarray, np.ndarray, float, float, float, np.random.Generator], np.ndarray]


def check_round(dp_round: Round) -> Feedback:
    """Check one round: (weights, updates, takes_part, clip, noise_multiplier, nominal, rng) → weights."""
    rng = np.random.default_rng(0)
    updates = rng.normal(size=(6, 4)) * np.array([[0.1], [1.0], [5.0], [0.2], [3.0], [1.0]])
    coins = np.array([True, True, False, True, True, False])
    start = rng.normal(size=4)

    def call(sigma: float, seed: int = 1, nominal: float = 3.0, clip: float = 0.8) -> np.ndarray:
        with np.errstate(all="ignore"):
            given = start.copy(), updates.copy(), coins.copy(), clip, sigma, nominal
            return np.asarray(dp_round(*given, np.random.default_rng(seed)), dtype=float)

    def objections() -> Iterator[Objection]:
        length = np.linalg.norm(updates, axis=1)
        clipped = updates * np.minimum(1, 0.8 / length)[:, None]
        moved = (call(0.0) - start) * 3.0
        whole = updates[coins].sum(axis=0)
        yield np.allclose(moved, clipped.sum(axis=0)), "Not everybody takes part: see takes_part."
        yield np.allclose(moved, whole), "The updates are not clipped."
        yield (
            np.allclose(moved, whole * min(1, 0.8 / np.linalg.norm(whole))),
            "Each client's update is clipped, not their sum: one client could still be all of it.",
        )
        yield (
            np.allclose(moved, (updates * (0.8 / length)[:, None])[coins].sum(axis=0)),
            "A short update stays as it is; only a long one is shortened.",
        )
        yield (
            np.allclose(moved / 3, clipped[coins].mean(axis=0)),
            "Divide by the public number: how many came is a secret.",
        )
        yield not np.allclose(moved, clipped[coins].sum(axis=0)), "Without noise the move is off."
        noise = np.array([call(2.0, seed) - call(0.0) for seed in range(400)]) * 3.0
        yield not noise.any(), "There is no noise."
        yield (
            not np.ptp(noise, axis=0).any(),
            "The same noise in every call can be taken off: draw it from rng.",
        )
        yield (
            np.allclose(noise, noise[:, :1]),
            "Every weight gets noise of its own, as many draws as weights.",
        )
        spread = noise.std()
        yield np.isclose(spread, 2.0, rtol=0.06), "The noise is in units of the clip: σ · C."
        yield np.isclose(spread, 1.6 * 3, rtol=0.06), "Noise goes on the sum, before it is divided."
        yield np.isclose(spread, 1.6 * 2, rtol=0.06), "Noise once, on the sum: not on each client's update."
        yield (
            not np.isclose(spread, 1.6, rtol=0.06),
            f"Noise on the sum should be 1.6, it is {spread:.2f}.",
        )
        shape = abs(noise).mean() / spread  # √(2/π) for Gaussian noise around 0
        yield (
            abs(noise.mean()) > 0.2 or not np.isclose(shape, np.sqrt(2 / np.pi), atol=0.04),
            "The promise is proved for Gaussian noise around 0: rng.normal.",
        )
        yield not np.array_equal(call(2.0), call(2.0)), "Draw from the rng you are given: a run must repeat."

    return guarded(
        lambda: first_objection(objections(), "Clip each, add up, noise once, divide by a public number.")
    )


def coursework_sums(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of five rounds (rounds, weights), and who took part in each (rounds, clients).

    Six clients send the same update in every round. Some of them can be told from the sums; not all.
    """
    rng = np.random.default_rng(seed)
    updates = rng.normal(size=(6, 3))
    took_part = rng.random((5, 6)) < 0.6
    took_part[1] = took_part[0]
    lone = rng.integers(6)
    took_part[1, lone] = ~took_part[0, lone]  # two rounds that differ in one client
    return took_part.astype(float) @ updates, took_part


def check_coursework(unmask: Callable[[np.ndarray, np.ndarray], np.ndarray], seed: int) -> Feedback:
    """Grade a function (sums, took_part) → (clients, weights), NaN where nothing is determined."""

    def objections() -> Iterator[Objection]:
        for other in range(seed, seed + 40):
            sums, took_part = coursework_sums(other)
            rng = np.random.default_rng(other)
            truth = rng.normal(size=(6, 3))
            got = np.asarray(unmask(sums.copy(), took_part.copy()), dtype=float)
            yield got.shape != truth.shape, f"Return (clients, weights), here {truth.shape}; got {got.shape}."
            known = _determined(took_part)
            told = ~np.isnan(got).any(axis=1)
            yield (
                bool((told & ~known).any()),
                "You say more than was seen: other updates give the same sums. Least squares picks one.",
            )
            yield bool((known & ~told).any()), f"With seed {other} more can be told: subtract whole rounds."
            yield not np.allclose(got[known], truth[known]), f"With seed {other} an update is wrong."

    praise = "Exactly what was seen, and no more. A sum hides nobody whom the next sum leaves out."
    return guarded(lambda: first_objection(objections(), praise))


def _determined(took_part: np.ndarray) -> np.ndarray:
    """Say which clients' updates follow from the sums: those whose unit vector is in the row space."""
    rows = took_part.astype(float)
    return np.isclose(np.diag(np.linalg.pinv(rows) @ rows), 1.0)
