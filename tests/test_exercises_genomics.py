"""The checkers of "Nobody is a percentage": right answers pass, each named mistake gets its own hint."""

import numpy as np
import pytest
from scipy.stats import norm

from mialab_book.exercises import genomics as check


def all_wrong(checker, wrong):
    feedbacks = {name: checker(answer) for name, answer in wrong.items()}
    assert not any(feedback.right for feedback in feedbacks.values()), feedbacks
    assert len({feedback.text for feedback in feedbacks.values()}) == len(feedbacks), feedbacks


def test_variants():
    quantiles = norm.ppf(0.95) + norm.ppf(0.8)
    assert check.check_variants(12_400).right
    assert check.check_variants(2000 * quantiles**2).right
    wrong = {
        "known frequencies": 1000 * quantiles**2,
        "not squared": 2000 * quantiles,
        "two sides": 2000 * (norm.ppf(0.975) + norm.ppf(0.8)) ** 2,
        "half of them": 2000 * norm.ppf(0.95) ** 2,
        "sign": 2000 * (norm.ppf(0.95) - norm.ppf(0.8)) ** 2,
        "other": 80,
    }
    all_wrong(check.check_variants, wrong)


def by_sums(released, genome, reference, n, people, *, lift=1.0, widen=1.0, double=2.0, ploidy=2.0):
    variance = ploidy * reference * (1 - reference)
    away = genome - 2 * reference
    total = np.sum(away * double * (released - reference) / variance) - lift * len(genome) / people
    return total / np.sqrt(np.sum(away**2 / variance) * (1 / n + widen / people))


def one_at_a_time(released, genome, reference, n, people):
    total = squares = 0.0
    for f, x, r in zip(released, genome, reference, strict=True):
        unit = np.sqrt(2 * r * (1 - r))
        step = (x - 2 * r) / unit
        total += step * (2 * f - 2 * r) / unit - 1 / people
        squares += step**2
    return total / squares**0.5 / (1 / n + 1 / people) ** 0.5


def stub(*_):
    raise NotImplementedError("write it")


def wrong_way(*world):
    return lambda *inputs: by_sums(*inputs, **dict(world))


WRONG_SCORES = {
    "sign": lambda *inputs: -by_sums(*inputs),
    "lift left on": wrong_way(("lift", 0.0)),
    "reference taken for known": wrong_way(("lift", 0.0), ("widen", 0.0)),
    "spread of the study only": wrong_way(("widen", 0.0)),
    "frequency not doubled": wrong_way(("double", 1.0), ("lift", 0.5)),
    "one allele": wrong_way(("ploidy", 1.0)),
    "a constant": lambda *_: 1.0,
    "a stub": stub,
    "raises": lambda *_: 1 / 0,
}


@pytest.mark.parametrize("right", [by_sums, one_at_a_time])
def test_score_right(right):
    feedback = check.check_score(right)
    assert feedback.right, feedback


def test_score_wrong():
    all_wrong(check.check_score, WRONG_SCORES)


def one_each(ask, genomes, frequency, rng):
    """Ask for the rarest allele that one candidate alone has, in turn; accuse who has the best "yes"."""
    carried = genomes > 0
    alone = carried & (carried.sum(axis=0) == 1)
    score = np.zeros(4)
    for question in range(6):
        row = question % 4 if question < 4 else int(np.argsort(-score, kind="stable")[question - 4])
        mine = np.flatnonzero(alone[row])
        rank = 0 if question < 4 else 1
        variant = mine[np.argsort(frequency[mine])[min(rank, len(mine) - 1)]]
        score[row] += -np.log(1 - (1 - frequency[variant]) ** 40) if ask(variant) else -5.0
    return int(np.argmax(score))


def by_likelihood(ask, genomes, frequency, rng):
    """Ask for the six rarest alleles that somebody alone has, shared out; add up log-likelihood ratios."""
    from mialab.leaks.genomics import beacon

    carried = genomes > 0
    alone = carried & (carried.sum(axis=0) == 1)
    lists = [list(np.flatnonzero(row)[np.argsort(frequency[row])]) for row in alone]
    asked = [owner.pop(0) for owner in lists]
    asked += sorted((owner[0] for owner in lists), key=lambda v: frequency[v])[:2]
    said = np.array([ask(v) for v in asked])
    score = beacon.likelihood_ratio(said, genomes[:, asked], frequency[asked], 20, mismatch=1e-4)
    return int(np.argmax(score))


def random_alleles(ask, genomes, frequency, rng):
    score = np.zeros(4)
    for variant in rng.choice(2000, size=6, replace=False):
        score += (genomes[:, variant] > 0) * (1 if ask(variant) else -1)
    return int(np.argmax(score))


def own_alleles_any_frequency(ask, genomes, frequency, rng):
    carried = genomes > 0
    alone = carried & (carried.sum(axis=0) == 1)
    score = np.zeros(4)
    for question in range(6):
        row = question % 4
        score[row] += 1.0 if ask(rng.choice(np.flatnonzero(alone[row]))) else -1.0
    return int(np.argmax(score + 1e-3 * rng.random(4)))


def too_many(ask, genomes, frequency, rng):
    return int(sum(ask(v) for v in range(7)) > 100)


WRONG_WHO = {
    "random alleles": random_alleles,
    "alleles of any frequency": own_alleles_any_frequency,
    "seven questions": too_many,
    "always the first": lambda *_: 0,
    "another row": lambda *_: 7,
    "four verdicts": lambda *_: np.zeros(4),
    "a stub": stub,
}


@pytest.mark.parametrize("right", [one_each, by_likelihood])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_coursework_right(right, seed):
    feedback = check.check_coursework(right, seed=seed)
    assert feedback.right, feedback


def test_coursework_wrong():
    all_wrong(lambda who: check.check_coursework(who, seed=1), WRONG_WHO)


def test_coursework_is_everybodys_own():
    ask, genomes, frequency = check.coursework_beacon(1)
    again = check.coursework_beacon(1)[1]
    assert np.array_equal(genomes, again)
    assert not np.array_equal(genomes, check.coursework_beacon(2)[1])
    assert [ask(v) for v in np.argsort(-frequency)[:6]] == [True] * 6
    with pytest.raises(Exception, match=r"^$"):
        ask(0)
