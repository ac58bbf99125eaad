"""How often is a bound above the truth at δ > 0? The truth is ε(δ), of mechanisms that have one.

The confessing mixture is as bad as (ε, δ) allows anywhere; the subsampled Gaussian is one step of DP-SGD, in
both roles. Larger versions of these tests, and of those without δ, are marked slow.
"""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, norm

from mialab.accounting import Neighbours
from mialab.audit import split
from mialab.audit.claims import Epsilon, EpsilonDelta
from mialab.audit.evidence import Rule
from mialab.audit.rates import _objection, as_telling, rate_limits
from mialab.game import Design, Outcome
from refuting import (
    ERROR,
    OF_CUTS,
    OF_GUESSES,
    REPEATS,
    accuracy_refutes,
    enough_members,
    enough_right,
    guesses_refute,
    members_on_top,
    rates_refute,
    right_from_either_end,
    too_often,
)
from worlds import (
    PURE,
    SAMPLING_RATE,
    WITH_DELTA,
    in_the_world,
    rules_of,
    subsampled_epsilon,
    subsampled_sigma,
    truth_of,
)

EPSILONS = (0.01, 0.5, float(np.log(3)), 2.0, 4.0)
DELTAS = (1e-3, 0.02)
SAME = {"neighbours": Neighbours.REPLACE}


def cells(mechanisms, deltas, sizes):
    """Yield what is audited; without a δ of its own, a mechanism is audited at 0."""
    for mechanism, epsilon, n in product(mechanisms, EPSILONS, sizes):
        for delta in deltas if mechanism in WITH_DELTA else (0.0,):
            yield mechanism, epsilon, delta, n


@pytest.mark.parametrize("delta", [1e-5, *DELTAS])
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_oracle_the_truth_about_one_subsampled_step(epsilon, delta):
    """The accountant's curve against the integral over all numbers with a larger likelihood ratio."""
    sigma = subsampled_sigma(epsilon, delta)
    truth = subsampled_epsilon(sigma, delta)
    assert truth == pytest.approx(epsilon, rel=0.01)
    deltas = []
    for loss in (truth, -truth):  # above the first, below the second
        telling = 0.5 + sigma**2 * np.log1p(np.expm1(loss) / SAMPLING_RATE) if loss > np.log(0.7) else -np.inf
        tail = norm.sf if loss > 0 else norm.cdf
        without = tail(telling / sigma)
        with_ = (1 - SAMPLING_RATE) * without + SAMPLING_RATE * tail((telling - 1) / sigma)
        more, less = (with_, without) if loss > 0 else (without, with_)
        deltas.append(more - np.exp(truth) * less)
    assert max(deltas) == pytest.approx(delta, rel=1e-3)


def parts(repeats, n):
    """Cut the repetitions into pieces that fit into memory."""
    most = min(repeats, 600_000 // n)
    return [most] * (repeats // most) + [repeats % most] * (repeats % most > 0)


def errors_of_rates(some, rng, repeats):
    errors = {}
    for mechanism, epsilon, delta, n in some:
        truth = truth_of(mechanism, epsilon, delta)
        for fpr, tpr in rules_of(mechanism, epsilon, delta):
            true, false = rng.binomial(n, [[tpr], [fpr]], size=(2, repeats))
            cell = mechanism, epsilon, delta, n, round(fpr, 4)
            errors["rates", *cell] = rates_refute(*rate_limits(true, false, (n, n), ERROR), *truth).mean()
            errors["accuracy", *cell] = accuracy_refutes(true + n - false, 2 * n, *truth).mean()
    return errors


def errors_of_ranks(some, rng, repeats):
    errors = {}
    for mechanism, epsilon, delta, n in some:
        enough, above = enough_members(n, *truth_of(mechanism, epsilon, delta), OF_CUTS), 0
        for part in parts(repeats, n):
            above += (members_on_top(mechanism, epsilon, n, rng, delta, part) >= enough).any(axis=1).sum()
        errors["ranks", mechanism, epsilon, delta, n] = above / repeats
    return errors


def errors_of_guesses(some, rng, repeats):
    """All canaries are guessed, or the numbers of guesses are those of any threshold."""
    errors = {}
    for mechanism, epsilon, delta, m in some:
        truth, shares = truth_of(mechanism, epsilon, delta), []
        enough = enough_right(m, m, *truth)
        for part in parts(repeats, m):
            member = rng.random((part, m)) < 0.5
            score = in_the_world(mechanism, epsilon, member, rng, delta) + 1e-9 * rng.random(member.shape)
            ranked = np.take_along_axis(member, np.argsort(-score, axis=1), axis=1)
            top, bottom = right_from_either_end(ranked)
            all_ = (top[:, m // 2] + bottom[:, m - m // 2] >= enough).sum()
            shares.append((all_, part * guesses_refute(top, bottom, m, *truth, OF_GUESSES)))
        for name, above in zip(("all", "any"), np.sum(shares, axis=0), strict=True):
            errors[name, mechanism, epsilon, delta, m] = above / repeats
    return errors


def errors_of_splits(some, rng, repeats):
    errors = {}
    for test, mechanism, epsilon, delta, n in some:
        member, (truth, at) = np.arange(2 * n) < n, truth_of(mechanism, epsilon, delta)
        above = 0
        for _ in range(repeats):
            outcome = Outcome(
                in_the_world(mechanism, epsilon, member, rng, delta), member, design=Design.RUNS
            )
            above += split(outcome, test=test, rng=rng, delta=at, **SAME).value > truth
        errors[test, mechanism, epsilon, delta, n] = above / repeats
    return errors


def test_coverage_of_two_rates_and_of_accuracy():
    """And at a smaller δ than that of the mechanism there is no such ε: the bound goes above it."""
    rng = np.random.default_rng(20)
    errors = errors_of_rates(cells(WITH_DELTA, DELTAS, (15, 50, 200, 1000, 5000)), rng, REPEATS)
    assert len(errors) == 800
    assert not too_often(errors)
    assert max(errors.values()) > 0.03
    fpr, tpr = rules_of("confessing mixture", 0.5, 0.02)[0]
    limits = rate_limits(*rng.binomial(5000, [[tpr], [fpr]], size=(2, REPEATS)), (5000, 5000), ERROR)
    assert too_often({"δ = 0": rates_refute(*limits, 0.5, 0.0).mean()})


def test_coverage_of_any_threshold_over_independent_runs():
    some = [*cells(WITH_DELTA, (0.02,), (15, 200)), *cells(WITH_DELTA[-1:], DELTAS[:1], (15, 50, 500))]
    errors = errors_of_ranks(some, np.random.default_rng(21), REPEATS)
    assert not too_often(errors)
    assert max(errors.values()) > 0.025


def test_coverage_within_one_run():
    some = [*cells(WITH_DELTA, (0.02,), (15, 150)), *cells(WITH_DELTA[-1:], DELTAS[:1], (15, 300))]
    errors = errors_of_guesses(some, np.random.default_rng(22), REPEATS)
    assert not too_often(errors)
    assert max(errors.values()) > 0.01  # δ has its price: a run that confesses is not this one


def test_coverage_of_the_split():
    some = [("rates", "confessing mixture", 0.5, 0.02, 60)]
    errors = errors_of_splits(some, np.random.default_rng(23), REPEATS)
    assert not too_often(errors)


@pytest.mark.slow
@pytest.mark.parametrize("errors_of", [errors_of_rates, errors_of_ranks, errors_of_guesses])
def test_coverage_of_twenty_thousand(errors_of):
    some = [*cells(PURE + WITH_DELTA, (1e-5, 0.02), (15, 50, 200))]
    errors = errors_of(some, np.random.default_rng(24), 20_000)
    assert not too_often(errors, 20_000)
    assert max(errors.values()) > 0.03


@pytest.mark.slow
@pytest.mark.parametrize("errors_of", [errors_of_ranks, errors_of_guesses])
def test_coverage_of_five_thousand_trials(errors_of):
    some = [*cells(("tight mixture", *WITH_DELTA[1:]), (1e-3,), (1000, 5000))]
    errors = errors_of(some, np.random.default_rng(25), 2000)
    assert not too_often(errors)
    assert max(errors.values()) > 0.015


@pytest.mark.slow
@pytest.mark.parametrize("test", ["accuracy", "rates", "joint"])
def test_coverage_of_many_splits(test):
    mechanisms = ("tight mixture", "confessing mixture", "subsampled gaussian")
    some = [(test, *cell) for cell in cells(mechanisms, (0.02,), (15, 60))]
    assert not too_often(errors_of_splits(some, np.random.default_rng(26), REPEATS))


def telling(true, false, n, delta):
    return as_telling(Rule(true, n, false, n, Design.RUNS), Epsilon(delta), ERROR)


def joint_refutes(least, n, epsilon, delta):
    return _objection(least, (n, n), EpsilonDelta(epsilon, delta), ERROR) is None


@pytest.mark.slow
@pytest.mark.parametrize("n", [15, 200, 1000, 5000])
@pytest.mark.parametrize("delta", [0.0, 1e-3, 0.02])
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_coverage_of_the_joint_test(epsilon, delta, n):
    """The first outcome on the way from no evidence to all of it that refutes the truth, and a sum."""
    for mechanism in WITH_DELTA[1:] if delta else ("tight mixture",):
        truth = truth_of(mechanism, epsilon, delta)
        for fpr, tpr in rules_of(mechanism, epsilon, delta):
            low, high = 0.0, 1.0  # from the expected outcome to the perfect one
            for _ in range(15):
                way = (low + high) / 2
                outcome = round(n * (tpr + way * (1 - tpr))), round(n * fpr * (1 - way))
                refuted = joint_refutes(telling(*outcome, n, delta), n, *truth)
                low, high = (low, way) if refuted else (way, high)
            outcome = round(n * (tpr + high * (1 - tpr))), round(n * fpr * (1 - high))
            least = telling(*outcome, n, delta)
            false = binom.pmf(np.arange(n + 1), n, fpr)
            assert not joint_refutes(least, n, *truth) or (false @ binom.sf(least - 1, n, tpr) <= ERROR)
