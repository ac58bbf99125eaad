"""Checkers for the chapter "Calibrated attacks"."""

from collections.abc import Callable, Iterator

import numpy as np

from mialab import metrics
from mialab.game import Observations, flip_coins
from mialab_book.exercises._feedback import Feedback, Objection, first_objection, guarded


def check_precision(at_half: float, at_one_percent: float) -> Feedback:
    """Check the precision of "TPR 20 %, FPR 1 %" where half, and where 1 % of all records are members.

    Examples
    --------
    >>> check_precision(at_half=0.952, at_one_percent=0.952)
    Not yet. The second is what the first would be if the prior did not matter. Weigh both rates by it.
    """
    half, hundredth = 0.2 / 0.21, 0.002 / 0.0119

    def near(number: float, right: float) -> bool:
        return bool(np.isclose(number, right, atol=0.0015))

    objections = [
        (max(at_half, at_one_percent) > 1, "Give shares, not odds or per cent: both lie between 0 and 1."),
        (
            near(at_half, 0.2),
            "That is the share of members that is accused; what share of the accused are members?",
        ),
        (near(at_half, 0.19), "That is the advantage; precision divides."),
        (not near(at_half, half), "Of 1,000 members and 1,000 non-members, how many of each are accused?"),
        (
            near(at_one_percent, half),
            "The second is what the first would be if the prior did not matter. Weigh both rates by it.",
        ),
        (
            near(at_one_percent, 0.002 / 0.0099),
            "Those are the odds: divide by all the accused, not by the others.",
        ),
        (
            not near(at_one_percent, hundredth),
            "Of 100 members and 9,900 non-members, how many of each are accused?",
        ),
    ]
    praise = "The same attack, right 19 times in 20 or 1 time in 6: it depends on who could have been there."
    return first_objection(objections, praise)


def check_log_ratio(log_ratio: Callable[[float, np.ndarray, np.ndarray], float]) -> Feedback:
    """Check a function (signal, inside, outside) → log of the ratio of two fitted Gaussian densities.

    ``inside`` and ``outside`` are one record's signals under the shadows with and without it.
    """
    rng = np.random.default_rng(11)
    signal, inside, outside = 2.1, rng.normal(3, 0.5, size=9), rng.normal(1, 2, size=7)

    def log_density(mean: float, variance: float, *, constant: bool = True) -> float:
        return -((signal - mean) ** 2) / (2 * variance) - constant * np.log(variance) / 2

    def ratio(v_in: float, v_out: float, *, constant: bool = True) -> float:
        with_it = log_density(inside.mean(), v_in, constant=constant)
        return with_it - log_density(outside.mean(), v_out, constant=constant)

    v_in, v_out = inside.var(ddof=1), outside.var(ddof=1)
    right = (ratio(v_in, v_out), ratio(inside.var(), outside.var()))  # either estimate will do

    def objections() -> Iterator[Objection]:
        got = float(log_ratio(signal, inside.copy(), outside.copy()))
        yield np.isnan(got), "It is NaN."
        yield np.isclose(got, [-one for one in right]).any(), "It is turned round: a member must score high."
        yield np.isclose(got, np.exp(right)).any(), "That is the ratio itself; take the logarithm."
        letter = [ratio(v_in, v_in), ratio(inside.var(), inside.var())]
        yield (
            np.isclose(got, letter).any(),
            "The spread without the record is that of `outside`: read the letters.",
        )
        flat = [ratio(v_in, v_out, constant=False), ratio(inside.var(), outside.var(), constant=False)]
        yield np.isclose(got, flat).any(), "A wide Gaussian is a low one: log σ belongs into the density."
        squared = [ratio(v_in**2, v_out**2), ratio(inside.var() ** 2, outside.var() ** 2)]
        yield np.isclose(got, squared).any(), "A standard deviation was asked for, and a variance was given."
        yield not np.isclose(got, right).any(), f"It returned {got:.3f}: write down the two log-densities."

    praise = "By Neyman and Pearson, no other use of these two Gaussians finds more members at the same FPR."
    return guarded(lambda: first_objection(objections(), praise))


def check_others(mean_without: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Feedback:
    """Check a function (signal, member) → for every model and record, the mean over *other* models.

    Both inputs are (models, records); the mean is over those of the other models that do not hold the
    record.
    """
    rng = np.random.default_rng(12)
    member = np.concatenate([np.zeros((3, 40), dtype=bool), flip_coins(9, 40, rng=rng)])
    signal = rng.normal(size=40) + 2 * member + rng.normal(size=member.shape)
    right = np.array(
        [
            [np.delete(signal[:, j], i)[~np.delete(member[:, j], i)].mean() for j in range(40)]
            for i in range(12)
        ]
    )

    def objections() -> Iterator[Objection]:
        got = np.asarray(mean_without(signal.copy(), member.copy()), dtype=float)
        yield (
            got.shape != member.shape,
            f"One number for each model and record, please; the shape is {got.shape}.",
        )
        yield bool(np.isnan(got).any()), "There is a NaN, although every record has others without it here."
        everybody = (signal * ~member).sum(axis=0) / (~member).sum(axis=0)
        yield (
            np.allclose(got, everybody),
            "A target without the record is among its own shadows: its answer leaks into the mean.",
        )
        wrong_count = ((signal * ~member).sum(axis=0) - signal * ~member) / (~member).sum(axis=0)
        yield np.allclose(got, wrong_count), "You took the target out of the sum, but not out of the count."
        always = ((signal * ~member).sum(axis=0) - signal) / ((~member).sum(axis=0) - 1)
        yield (
            np.allclose(got, always),
            "A target that holds the record is not in the sum: nothing to take out.",
        )
        yield not np.allclose(got, right), "Take one model and one record, and average by hand."

    praise = "One sum for all targets: this is what lets hundreds of models be targets in seconds."
    return guarded(lambda: first_objection(objections(), praise))


def coursework_world(seed: int) -> Observations:
    """Return a fleet of your own: signals of 9 models on 800 records, drawn from your seed.

    With a target and 8 shadows, a record's own spreads are hardly known. Hard records are memorised more.
    """
    rng = np.random.default_rng([20261125, seed])
    member = flip_coins(9, 800, rng=rng)
    level = rng.normal(scale=3, size=800)
    memory = np.logaddexp(0, 1.5 - level)
    spread = np.where(member, 0.6, 1.4) * np.sqrt(8 / rng.chisquare(8, size=800))
    return Observations(level + memory * member + spread * rng.normal(size=member.shape), member)


def check_coursework(attack: Callable[[np.ndarray, Observations], np.ndarray], *, seed: int) -> Feedback:
    """Grade an attack (target's signals, 8 shadows) → scores, by what any good one must have."""
    worlds = [coursework_world(1000 * seed + number) for number in range(6)]

    def objections() -> Iterator[Objection]:
        target, shadows = worlds[0].leave_out(0)
        got = np.asarray(attack(target, shadows), dtype=float)
        yield got.shape != target.shape, f"One score for each record, please; the shape is {got.shape}."
        missing = "Some scores are not finite: what of a record with one shadow on a side, or none?"
        yield not np.isfinite(got).all(), missing
        blind = np.array_equal(got, attack(target[::-1].copy(), shadows))
        yield blind, "It never looks at the target. Counting shadows is no attack where coins are fair."
        models, records = np.arange(8)[::-1], np.random.default_rng(0).permutation(800)
        turned = attack(target, Observations(shadows.signal[models], shadows.member[models]))
        yield not np.allclose(got, turned), "It depends on the order of the shadows, which means nothing."
        mixed = Observations(shadows.signal[:, records], shadows.member[:, records])
        same = np.allclose(got[records], attack(target[records], mixed))
        yield not same, "It depends on the order of the records, which means nothing."
        wild = np.abs(got).max() > 1000 * np.median(np.abs(got))
        yield wild, "Some records are a thousand times as sure as most: two shadows do not make a variance."
        found = np.mean([metrics.pooled_roc(one.leave_one_out(attack)).tpr_at(0.05) for one in worlds])
        yield found < 0.08, f"It finds {found:.1%} of the members at 5 % FPR; a coin finds 5 %."
        more = "You ask how hard a record is; ask also what a model with it would say."
        yield found < 0.42, f"It finds {found:.1%} of the members at 5 % FPR. {more}"

    return guarded(lambda: first_objection(objections(), "It makes much of eight shadows."))
