"""Checkers for the chapter "The company you keep"."""

from collections.abc import Callable, Iterator

import numpy as np

from mialab.leaks import batch_norm as bn
from mialab_book.exercises._feedback import Feedback, Objection, first_objection, guarded

Layer = Callable[[np.ndarray], np.ndarray]


def check_power(tpr: float) -> Feedback:
    """Check the TPR at 5 % FPR for a released mean of 64 records: a layer of width 1024 over 64 inputs.

    Examples
    --------
    >>> check_power(0.992)
    Not yet. That is the power of 1,024 independent features. In how many directions can the records vary?
    """
    width = "That is the power of 1,024 independent features. In how many directions can the records vary?"
    objections = [
        (np.isclose(tpr, 26, atol=0.5), "Give it as a share, not in per cent."),
        (np.isclose(tpr, 0.992, atol=0.002), width),
        (np.isclose(tpr, 0.05, atol=0.005), "That is the power of a coin. D/√n is 1 here, not 0."),
        (np.isclose(tpr, 0.639, atol=0.005), "Φ(1 − Φ⁻¹(0.05)…)? Mind the sign: Φ⁻¹(0.05) is −1.645."),
        (not np.isclose(tpr, 0.2595, atol=0.006), "Φ(Φ⁻¹(0.05) + √(r/n)), with the right r."),
    ]
    return first_objection(objections, "A layer cannot tell more directions apart than its input has.")


def check_shift(shift: Callable[[float, float, float, float, int], float]) -> Feedback:
    """Check a function (probe, mean, variance, secret, n) → first-order shift of the probe's output.

    One feature, ϵ = 0; the secret takes the place of an average one of the n − 1 others.
    """
    worlds = [(0.0, 0.0, 1.0, 2.0, 50), (1.5, 1.0, 4.0, -3.0, 20), (-2.0, 0.5, 0.25, 0.75, 1000)]

    def truth(world: tuple) -> tuple[float, float, float]:
        probe, mean, variance, secret, n = world
        known = (np.array([value]) for value in (probe, mean, variance))
        view = bn.LinearizedProbe.of(*known, n=n, eps=0.0)
        by_mean = float(view.by_mean[0] * (secret - mean)) / (n - 1)
        by_square = float(view.by_square[0] * ((secret - mean) ** 2 - variance)) / (n - 1)
        return by_mean + by_square, by_mean, by_square

    def objections() -> Iterator[Objection]:
        got = np.array([float(shift(*world)) for world in worlds])
        right, by_mean, by_square = (np.array(column) for column in zip(*map(truth, worlds), strict=True))
        n, sd = np.array([world[4] for world in worlds]), np.sqrt([world[2] for world in worlds])

        def close(other: np.ndarray) -> bool:  # a textbook's 1/n for 1/(n − 1) is no mistake, to first order
            return bool(np.all(np.abs(got - other) < 0.12 * np.abs(right) + 0.02 / n))

        yield (
            close(-right) and not close(right),
            "A high secret lifts the mean. What does that do to the probe?",
        )
        yield (
            close(by_mean) and not close(right),
            "The secret moves the mean, and you have that. It moves the variance too.",
        )
        yield close(by_square), "That is the variance's part. Where is the mean's?"
        uncentred = by_mean + by_square * _ratio(worlds)
        yield (
            close(uncentred) and not close(right),
            "The variance only changes by how far (x − μ)² is from σ²: an average record leaves it alone.",
        )
        yield close(right * (n - 1)), "One record among n − 1 has a share of 1/(n − 1) in a mean."
        yield close(right * sd) and not close(right), "In which units? Divide by the spread."
        yield (
            not close(right),
            f"For probe, mean, variance, secret, n = {worlds[1]} it returned {got[1]:.4f}.",
        )

    praise = "Mean and variance in one number: that is why one probe is worth one number a feature."
    return guarded(lambda: first_objection(objections(), praise))


def _ratio(worlds: list[tuple]) -> np.ndarray:
    """Return (x − μ)² as a multiple of (x − μ)² − σ²."""
    _, mean, variance, secret, _ = np.array(worlds).T
    return (secret - mean) ** 2 / ((secret - mean) ** 2 - variance)


def check_snapshots(recover: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Feedback:
    """Check a function (before, after, momentum, n) → mean and biased variance of the batch between.

    ``before`` and ``after`` are pairs (running mean, running variance).
    """
    rng = np.random.default_rng(11)
    batch, momentum, n = rng.normal(2, 3, size=(6, 4)), 0.1, 6
    mean, variance = batch.mean(axis=0), batch.var(axis=0)
    before = (rng.normal(size=4), rng.random(4) + 1)
    unbiased = variance * n / (n - 1)
    after = tuple(
        (1 - momentum) * old + momentum * new for old, new in zip(before, (mean, unbiased), strict=True)
    )

    def objections() -> Iterator[Objection]:
        copies = [tuple(part.copy() for part in snapshot) for snapshot in (before, after)]
        answer = recover(*copies, momentum, n)
        yield len(answer) != 2, "Return two arrays: the mean and the variance."
        got_mean, got_variance = (np.asarray(part, dtype=float) for part in answer)
        turned = (after[0] - momentum * before[0]) / (1 - momentum)
        yield (
            np.allclose(got_mean, turned),
            "Torch's momentum is the share of the *new* batch, not of the old average.",
        )
        yield np.allclose(got_mean, after[0] - before[0]), "That is by how much it moved. Undo the momentum."
        yield (
            np.allclose(got_mean, (after[0] - before[0]) / momentum),
            "The old average did not only move: a share of it was thrown away.",
        )
        yield (
            not np.allclose(got_mean, mean),
            "The mean is not the batch's. Solve r_new = (1 − ρ)r_old + ρm for m.",
        )
        yield (
            np.allclose(got_variance, unbiased),
            "The mean is right. The stored variance is the unbiased one: n/(n − 1) times what was asked.",
        )
        yield (
            np.allclose(got_variance, unbiased * n / (n - 1)),
            "n/(n − 1) was multiplied a second time. Torch has multiplied already; divide.",
        )
        yield not np.allclose(got_variance, variance), "The mean is right, the variance is not."

    praise = "Two files, one subtraction: the average never blurred anything."
    return guarded(lambda: first_objection(objections(), praise))


def coursework_layer(seed: int) -> Layer:
    """Return a layer of your own for batches (8, features), to try your search on."""
    return _layer_and_truth(seed)[0]


def _layer_and_truth(seed: int) -> tuple[Layer, np.ndarray]:
    """Return a layer, and who listens to whom: True at [i, j] if row i's output depends on row j's input."""
    rng = np.random.default_rng([20261125, seed])
    listens = np.eye(8, dtype=bool)
    kind = rng.integers(4)
    order = rng.permutation(8)
    if kind == 0:  # one row is in everybody's mean
        listens[:, order[0]] = True
    elif kind == 1:  # two groups, normalised apart
        listens |= np.isin(np.arange(8), order[:4])[:, None] == np.isin(np.arange(8), order[:4])
    elif kind == 2:  # each listens to the next in some order
        listens[order, np.roll(order, -1)] = True
    else:  # some are divided by the largest value of the others, which nearly always is the loudest's
        listens[order[:3]] = True
    weight = np.where(listens, rng.uniform(0.5, 1.5, size=(8, 8)), 0.0)

    def layer(batch: np.ndarray) -> np.ndarray:
        own = batch / np.sqrt(np.mean(batch**2, axis=1, keepdims=True) + 1e-5)
        if kind != 3:
            return own - 1e-4 * weight @ np.tanh(batch) / weight.sum(axis=1, keepdims=True)
        loudest = np.abs(batch).max(axis=1)
        heard = np.where(listens, loudest, 0.0).max(axis=1, keepdims=True)
        return np.where(listens.sum(axis=1, keepdims=True) > 1, batch / (heard + 1e-5), own)

    return layer, listens


def check_coursework(find: Callable[[Layer, np.random.Generator], np.ndarray], *, seed: int) -> Feedback:
    """Grade a function (layer, rng) → who listens to whom, bool (8, 8), on layers it has not seen.

    The layer takes float64 batches of shape (8, features) with any number of features.
    """

    def objections() -> Iterator[Objection]:
        for number in range(12):
            layer, listens = _layer_and_truth(1000 * seed + number)
            got = np.asarray(find(layer, np.random.default_rng(number)))
            yield got.shape != (8, 8), f"Return an 8 × 8 array; the shape is {got.shape}."
            yield got.dtype != bool, "Return booleans."
            yield (
                not np.diag(got).all(),
                "A record's output depends on itself: if not even that was seen, the search does not work.",
            )
            yield (
                np.array_equal(got, listens.T) and not np.array_equal(listens, listens.T),
                "Turned round: the row is the one who listens.",
            )
            quiet = "It hears less than there is. How small a change was none? Did you try one input only?"
            yield bool((listens & ~got).any()), quiet
            yield (
                bool((got & ~listens).any()),
                "It hears what is not there. Did you change one record at a time?",
            )

    praise = "It finds who listens to whom in layers it had not seen. Now point it at a model of your own."
    return guarded(lambda: first_objection(objections(), praise))
