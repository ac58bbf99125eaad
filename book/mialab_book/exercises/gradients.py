"""Checkers for the chapter "A fingerprint in the clay"."""

from collections.abc import Callable, Iterator

import numpy as np

from mialab.leaks.aggregates import expected_tpr
from mialab_book.exercises._feedback import Feedback, Objection, first_objection, guarded


def check_power(tpr: float) -> Feedback:
    """Check the TPR at 5 % FPR of the inner product: 64 records, participation ratio 16, 10,000 parameters.

    Examples
    --------
    >>> check_power(1.0)
    Not yet. That is 10,000 parameters over 64 records. In how many directions is the variance?
    """
    naive = "That is 10,000 parameters over 64 records. In how many directions is the variance?"
    objections = [
        (np.isclose(tpr, 12.6, atol=0.5), "Give it as a share, not in per cent."),
        (np.isclose(tpr, 1.0, atol=0.002), naive),
        (np.isclose(tpr, 0.05, atol=0.002), "That is the power of a coin. √(16/64) is ½, not 0."),
        (
            np.isclose(tpr, expected_tpr(0.05, 0.25, 1), atol=0.002),
            "The square root is missing: D/√n = √(16/64).",
        ),
        (np.isclose(tpr, expected_tpr(0.05, 2.0, 1), atol=0.005), "Turned round: it is 16/64, not 64/16."),
        (not np.isclose(tpr, expected_tpr(0.05, 0.5, 1), atol=0.002), "Φ(Φ⁻¹(0.05) + √(ratio/n))."),
    ]
    return first_objection(objections, "The number of parameters plays no part.")


def check_score_gradient(score_gradient: Callable[..., np.ndarray]) -> Feedback:
    """Check a function (attention, delta, values) → gradient for the scores before the softmax.

    One head: attention and the answer are (tokens, tokens); delta and values are (tokens, width).
    """
    rng = np.random.default_rng(5)
    scores, delta, values = rng.normal(size=(4, 4)), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    attention = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    heard = delta @ values.T
    right = attention * (heard - (attention * heard).sum(axis=1, keepdims=True))

    def objections() -> Iterator[Objection]:
        got = np.asarray(score_gradient(attention.copy(), delta.copy(), values.copy()), dtype=float)
        yield got.shape != (4, 4), f"One number for each pair of tokens, (4, 4); the shape is {got.shape}."
        yield np.allclose(got, heard), "That is the gradient for the attention. Now go through the softmax."
        yield (
            np.allclose(got, attention * heard),
            "A softmax shares out one whole: more for one is less for the others. What is subtracted?",
        )
        over_columns = attention * (heard - (attention * heard).sum(axis=0, keepdims=True))
        yield np.allclose(got, over_columns), "Rows sum to 1, not columns: over which axis is the mean?"
        plain = attention * (heard - heard.mean(axis=1, keepdims=True))
        yield np.allclose(got, plain), "The mean that is subtracted is weighted by the attention."
        yield np.allclose(got, right.T), "Turned round: the row is the token that listens."
        yield np.allclose(got, -right), "The sign is turned."
        yield not np.allclose(got, right), "A_ij (δ_i·v_j − Σ_k A_ik δ_i·v_k), for each i and j."

    praise = "Each row sums to zero: who gains attention takes it from the others. At A = 1 nothing is left."
    return guarded(lambda: first_objection(objections(), praise))


def check_clipped_sum(clipped_sum: Callable[[np.ndarray, float], np.ndarray]) -> Feedback:
    """Check a function (gradients, clip) → the sum of the gradients, each shortened to at most ``clip``."""
    rng = np.random.default_rng(6)
    gradients, bound = rng.normal(size=(12, 5)) * np.geomspace(0.1, 10, 12)[:, None], 1.5
    lengths = np.linalg.norm(gradients, axis=1, keepdims=True)
    right = (gradients * np.minimum(1, bound / lengths)).sum(axis=0)

    def objections() -> Iterator[Objection]:
        given = gradients.copy()
        got = np.asarray(clipped_sum(given, bound), dtype=float)
        yield not np.array_equal(given, gradients), "It changed its argument."
        yield got.shape != (5,), f"One number for each parameter, (5,); the shape is {got.shape}."
        total = gradients.sum(axis=0)
        whole = total * min(1, bound / np.linalg.norm(total))
        mean = gradients.mean(axis=0)
        yield (
            np.allclose(got, whole) or np.allclose(got, mean * min(1, bound / np.linalg.norm(mean))),
            "That clips the sum. One loud record still decides where it points: clip each record.",
        )
        yield np.allclose(got, right / len(gradients)), "That is their mean. The sum was asked for."
        forced = (gradients * bound / lengths).sum(axis=0)
        yield np.allclose(got, forced), "Short gradients were lengthened. Clipping only shortens."
        yield (
            np.allclose(got, np.clip(gradients, -bound, bound).sum(axis=0)),
            "That clips each *number*. It is each record's length that must be at most the clip.",
        )
        loudest = gradients * min(1, bound / lengths.max())
        yield np.allclose(got, loudest.sum(axis=0)), "One factor for all. Each record needs its own."
        yield not np.allclose(got, right), "Σ g·min(1, C/|g|), record by record."

    praise = "Now no record can move the sum by more than the clip, whatever it holds."
    return guarded(lambda: first_objection(objections(), praise))


def coursework_update(seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return an update of your own, all candidates' gradients, and how many gradients it is the mean of."""
    return _update_and_truth(seed)[0]


def _update_and_truth(seed: int) -> tuple[tuple[np.ndarray, np.ndarray, int], np.ndarray]:
    """Return (update, gradients, n), and how often each candidate is in the batch."""
    rng = np.random.default_rng([20261126, seed])
    candidates, n = int(rng.integers(15, 40)), int(rng.integers(5, 30))
    common = rng.normal(size=(3, 120))
    gradients = rng.normal(size=(candidates, 3)) @ common + 0.05 * rng.normal(size=(candidates, 120))
    gradients *= 10.0 ** rng.uniform(-3, 0, size=(candidates, 1))
    times = np.bincount(rng.integers(candidates, size=n), minlength=candidates)
    return (times @ gradients / n, gradients, n), times


def check_coursework(count: Callable[[np.ndarray, np.ndarray, int], np.ndarray], *, seed: int) -> Feedback:
    """Grade a function (update, gradients, n) → how often each candidate is in the batch, as integers."""

    def objections() -> Iterator[Objection]:
        for number in range(12):
            (update, gradients, n), times = _update_and_truth(1000 * seed + number)
            got = np.asarray(count(update.copy(), gradients.copy(), n))
            yield got.shape != times.shape, f"One number for each candidate; the shape is {got.shape}."
            yield not np.issubdtype(got.dtype, np.integer), "Return integers."
            yield (
                bool(np.array_equal(got, np.minimum(times, 1)) and times.max() > 1),
                "You say who, and not how often.",
            )
            yield got.sum() != n, f"The batch has {n} records; yours has {got.sum()}. Rounding, or dividing?"
            yield (
                bool((got != times).any()),
                "Some are wrong. Do short gradients get lost beside long ones? Are they alike?",
            )

    praise = "Every record of every batch: with fewer candidates than parameters there is nothing to guess."
    return guarded(lambda: first_objection(objections(), praise))
