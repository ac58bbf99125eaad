"""Checkers for the chapter "DP-SGD"."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from mialab import tradeoff
from mialab.accounting import SampledGaussian, gdp_approximation, privacy_loss, renyi
from mialab_book.exercises._feedback import Feedback, Objection, first_objection, guarded


def check_noise(
    on_the_sum: float, on_the_average: float, epsilon_factor: float, sum_factor: float
) -> Feedback:
    """Check the noise of a recipe with clip 1.5, noise multiplier 1.1 and nominal batch 256.

    Its standard deviation on each coordinate of the sum and of the average; and the factors by which ε and
    the first of these change when the clip doubles.

    Examples
    --------
    >>> print(check_noise(1.1, 1.1 / 256, 1, 1))
    Not yet. The sum: the noise multiplier counts in units of the clip.
    """
    objections = [
        (np.isclose(on_the_sum, 1.1), "The sum: the noise multiplier counts in units of the clip."),
        (np.isclose(on_the_sum, 1.1 / 1.5), "The sum: times the clip, not divided by it."),
        (np.isclose(on_the_sum, 1.65**2), "The sum: that is the variance."),
        (not np.isclose(on_the_sum, 1.65), "The sum: σ times the largest contribution of one record."),
        (
            np.isclose(on_the_average, 1.65),
            "The average: the noise is on the sum before the division, so it is divided too.",
        ),
        (
            np.isclose(on_the_average, 1.65 / 16),
            "The average: noise is drawn once for the sum, not once for each record: no square root.",
        ),
        (not np.isclose(on_the_average, 1.65 / 256), "The average: the noise of the sum, divided by what?"),
        (
            np.isclose(epsilon_factor, 2) or np.isclose(epsilon_factor, 0.5),
            "ε: the noise and the largest contribution double together.",
        ),
        (not np.isclose(epsilon_factor, 1), "ε: which numbers of a recipe does the accountant read?"),
        (np.isclose(sum_factor, 1), "The noise on the sum does change: it is σ times the clip."),
        (not np.isclose(sum_factor, 2), "The noise on the sum is proportional to the clip."),
    ]
    return first_objection(objections, "Clip and noise are one knob for the promise, and two for learning.")


PrivateMean = Callable[[np.ndarray, float, float, float, np.random.Generator], np.ndarray]


def check_private_mean(private_mean: PrivateMean) -> Feedback:
    """Check a function (gradients, clip, noise_multiplier, nominal_batch, rng) → what a step may use."""
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(6, 4000))
    directions[0, 1:] = 0  # the longest gradient has one large number
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    gradients = directions * np.array([[8.0], [5.0], [3.0], [0.5], [0.1], [0.0]])
    clip, sigma, nominal = 2.0, 1.5, 10.0
    right = _clipped(gradients, clip).sum(axis=0)

    def of(noise: float) -> np.ndarray:
        given = gradients.copy()
        got = np.asarray(private_mean(given, clip, noise, nominal, np.random.default_rng(5)), dtype=float)
        if not np.array_equal(given, gradients):
            raise ValueError("it changed the gradients that it was given")
        return got

    def objections() -> Iterator[Objection]:
        got = of(0.0)
        yield got.shape != right.shape, f"One number for each weight, please; the shape is {got.shape}."
        yield not np.isfinite(got).all(), "Without noise it is not finite: what of a gradient of length 0?"
        yield from _clipping(got, gradients, clip, nominal, right)
        noise = (of(sigma) - got) * nominal
        again = (of(sigma) - got) * nominal
        yield not noise.any(), "There is no noise."
        yield not np.allclose(noise, again), "The same rng gave other noise: chance came from elsewhere."
        yield np.ptp(noise) < 1e-6, "All weights got the same noise: differences are released in the clear."
        size = noise.std()
        for factor, hint in (
            (1 / clip, "The noise does not know the clip: without it σ is in no unit at all."),
            (nominal, "The noise was added after the division: far more than is needed."),
            (np.sqrt(6), "Noise for each record: once for the sum is enough."),
        ):
            yield abs(size / (sigma * clip * factor) - 1) < 0.05, hint
        yield noise.min() >= 0, "The noise is never negative."
        yield (
            not 0.95 < size / (sigma * clip) < 1.05,
            f"The noise on the sum has standard deviation {size:.2f}, and should have {sigma * clip:.2f}.",
        )

    praise = "Clip each, sum, noise once, divide by a public number: in this order."
    return guarded(lambda: first_objection(objections(), praise))


def _clipped(gradients: np.ndarray, clip: float) -> np.ndarray:
    lengths = np.linalg.norm(gradients, axis=1, keepdims=True)
    return gradients * np.minimum(1, clip / np.where(lengths > 0, lengths, clip))


def _clipping(
    got: np.ndarray, gradients: np.ndarray, clip: float, nominal: float, right: np.ndarray
) -> Iterator[Objection]:
    """Name the ways to clip wrongly, as they show without noise."""
    records, total = len(gradients), gradients.sum(axis=0)
    lengths = np.linalg.norm(gradients, axis=1, keepdims=True)
    unit = gradients / np.where(lengths > 0, lengths, 1)
    whole = total * min(1, clip / np.linalg.norm(total))
    mean = total / records
    for wrong, hint in (
        (total, "Nothing is clipped: one record may move the sum by any amount."),
        (whole, "The sum is clipped, not each record: one record can still turn it round."),
        (mean * min(1, clip / np.linalg.norm(mean)) * nominal, "The mean is clipped, not each record."),
        (clip * unit.sum(axis=0), "Short gradients are made longer: clip only what is longer than C."),
        (
            np.clip(gradients, -clip, clip).sum(axis=0),
            "Each number is clipped by itself; it is the length of the whole gradient that counts.",
        ),
        (right * nominal, "It returned the sum: divide by the nominal batch."),
    ):
        yield np.allclose(got * nominal, wrong), hint
    yield (
        np.allclose(got * records, right),
        "Divided by the number of records that came: that number is a secret. Use the public one.",
    )
    yield (
        not np.allclose(got * nominal, right),
        "Without noise it is not the clipped sum over the public number.",
    )


def check_poisson_batch(batch: Callable[[int, float, np.random.Generator], np.ndarray]) -> Feedback:
    """Check a function (records, rate, rng) → the numbers of the records that take part in a step."""

    def objections() -> Iterator[Objection]:
        rng = np.random.default_rng(4)
        drawn = [np.asarray(batch(20, 0.1, rng)) for _ in range(3000)]
        one, same = (np.asarray(batch(500, 0.3, np.random.default_rng(8))) for _ in range(2))
        yield not np.array_equal(one, same), "The same rng gave another batch: chance came from elsewhere."
        yield any(one.dtype == bool for one in drawn), "A mask, not numbers: which records are they?"
        yield (
            any(one.ndim != 1 or (one.size and not 0 <= one.min() <= one.max() < 20) for one in drawn),
            "Return record numbers from 0 to records − 1, in one axis.",
        )
        yield any(len(np.unique(one)) < one.size for one in drawn), "A record is in a batch at most once."
        sizes = np.array([one.size for one in drawn])
        yield np.ptp(sizes) == 0, "All batches have the same size: that is another mechanism, with another ε."
        yield sizes.min() > 0, "It never returns an empty batch; one in eight should be empty here."
        share = np.bincount(np.concatenate(drawn), minlength=20) / len(drawn)
        yield np.ptp(share) > 0.1, "Some records take part more often than others."
        yield abs(share.mean() - 0.1) > 0.01, f"Records take part with chance {share.mean():.3f}, not 0.1."
        yield abs(sizes.var() / 1.8 - 1) > 0.2, "The sizes do not vary as independent coins would have them."

    praise = "One coin for each record, and nothing else decides."
    return guarded(lambda: first_objection(objections(), praise))


class Run(NamedTuple):
    """A run to be accounted for: σ, q, the number of steps, and δ."""

    sigma: float
    rate: float
    steps: int
    delta: float


def coursework_run(seed: int) -> Run:
    """Return a run of your own.

    Examples
    --------
    >>> coursework_run(1) == coursework_run(1), coursework_run(1) == coursework_run(2)
    (True, False)
    """
    rng = np.random.default_rng([20261124, seed])
    rate, steps = float(rng.choice([0.005, 0.01, 0.02, 0.05])), int(rng.choice([100, 400, 1000]))
    return Run(round(float(rng.uniform(0.8, 3)), 2), rate, steps, float(rng.choice([1e-6, 1e-5])))


_ORDERS = np.arange(2.0, 65.0)
_GRID = 1e-4  # relative; our own limit lies above the truth by some millionths, and a finer one may be right


def check_coursework(epsilon_of: Callable[[float, float, int, float], float], *, seed: int) -> Feedback:
    """Grade a function (sigma, rate, steps, delta) → ε, by what any proved limit must have."""
    runs = [coursework_run(1000 * seed + number) for number in range(4)]

    def objections() -> Iterator[Objection]:
        for run in runs:
            got, steps = float(epsilon_of(*run)), SampledGaussian(*run[:3])
            exact = privacy_loss.guarantee(steps, delta=run.delta).epsilon
            loose = renyi.guarantee_mironov2017(steps, delta=run.delta, orders=_ORDERS).epsilon
            at = f"At σ = {run.sigma}, q = {run.rate}, {run.steps} steps, δ = {run.delta:g}"
            yield not np.isfinite(got), "It is not finite."
            near = tradeoff.epsilon_at(gdp_approximation(steps), run.delta)
            yield np.isclose(got, near, rtol=1e-3), "That is the central limit: near, and no bound."
            yield (
                any(np.isclose(got, one, rtol=1e-3) for one in _by_moments(run._replace(steps=1))),
                "As if there had been one step.",
            )
            yield got < exact * (1 - _GRID), f"{at} it claims {got:.4f}, and an attack can break that."
            yield (
                any(np.isclose(got, one, rtol=1e-3) for one in _by_moments(run._replace(rate=1.0))),
                "As if everybody had been in every step: use q.",
            )
            yield got > 1.1 * loose, f"{at} it says {got:.4f}; whole orders up to 64 prove {loose:.4f}."
        sigma, rate, steps, delta = runs[0]
        base = float(epsilon_of(*runs[0]))
        for name, other, grows in (
            ("more noise", (sigma * 1.5, rate, steps, delta), False),
            ("a larger q", (sigma, rate * 2, steps, delta), True),
            ("more steps", (sigma, rate, steps * 4, delta), True),
            ("a larger δ", (sigma, rate, steps, delta * 10), False),
        ):
            changed = float(epsilon_of(*other))
            yield (changed > base) != grows, f"With {name} it goes from {base:.3f} to {changed:.3f}."

    praise = "Never below the truth, not far above it, and it moves the right way."
    return guarded(lambda: first_objection(objections(), praise))


def _by_moments(run: Run) -> list[float]:
    """Return what whole Rényi orders prove, by either conversion."""
    steps = SampledGaussian(*run[:3])
    convert = renyi.guarantee, renyi.guarantee_mironov2017
    return [of(steps, delta=run.delta, orders=_ORDERS).epsilon for of in convert]
