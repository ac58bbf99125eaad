"""A curve on trial in one training run: the recursion, all mechanisms of a few canaries, and coverage."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import brentq, linprog
from scipy.special import expit, ndtr
from scipy.stats import binom

from audits import mu
from mialab.accounting import Neighbours
from mialab.audit import Finding, Guesses, lower_bound, p_value, refute
from mialab.audit.evidence import Made
from mialab.audit.one_run import either_side, impossible, inverse
from mialab.game import Design
from mialab.tradeoff import DominatingPair, GaussianCurve, LaplaceCurve, approximate, outer_polygon, pure
from refuting import p_of_guesses, right_by_rank, too_often

REPEATS, ERROR = 2000, 0.05
SAME = {"neighbours": Neighbours.ADD_REMOVE}
LOPSIDED = DominatingPair(np.array([0.2, 0.5, 0.3]), np.array([0.01, 0.29, 0.7]))
CURVES = (GaussianCurve(0.8), LaplaceCurve(1.5), pure(1.0), approximate(0.5, 0.01), LOPSIDED)


def one(right: int, guesses: int, canaries: int, design: Design = Design.ONE_RUN) -> Guesses:
    return Guesses(right, guesses, canaries, design)


def impossible_slowly(chance: float, right: int, guesses: int, canaries: int, wrong) -> bool:
    """Add up every sum from its beginning: the rates of right and of wrong guesses, from ``right`` down."""
    p = np.zeros(guesses + 1)
    p[right] = chance
    number = np.arange(guesses + 1)
    for j in range(right, 0, -1):
        rights = sum(number[j:] * p[j:]) / canaries  # guessed right, of j or more
        wrongs = sum((guesses - number[j:]) * p[j:]) / canaries  # guessed wrong, of j or more
        p[j - 1] = max(0.0, wrong(rights) - wrongs) * canaries / (guesses - j + 1)
    return bool(p.sum() > 1)


def p_slowly(right: int, guesses: int, canaries: int, wrong) -> float:
    chances = np.geomspace(1e-4, 1, 400)
    return next(a for a in chances if impossible_slowly(a, right, guesses, canaries, wrong) or a == 1)


@pytest.mark.parametrize("curve", CURVES)
def test_definition_the_recursion_read_slowly(curve, rng):
    for _ in range(8):
        m = int(rng.integers(2, 40))
        k = int(rng.integers(2, m + 1))
        right = int(rng.integers(1, k + 1))
        slow, p = p_slowly(right, k, m, inverse(curve)), p_value(one(right, k, m), curve)
        assert slow / 1.025 <= max(p, 1e-4) <= slow * (1 + 1e-9)


@pytest.mark.parametrize("curve", CURVES)
def test_definition_the_inverse_of_each_curve(curve):
    symmetric = either_side(curve) if isinstance(curve, DominatingPair) else curve
    for rate in (1e-6, 1e-3, 0.02, 0.1, 0.3, 0.5, 0.7, 0.95):
        reached = float(symmetric.tpr(rate))
        assert inverse(curve)(reached) == pytest.approx(rate, rel=1e-6)
        assert inverse(curve)(1 - rate) == pytest.approx(1 - symmetric.tpr(rate), rel=1e-6)  # symmetric


def tangents_of(pair: DominatingPair) -> list[tuple[float, float]]:
    """Return the (ε, δ) that together say what a polygon says."""
    losses = pair.loss[np.isfinite(pair.loss)]
    return [(float(e), float(pair.delta(e))) for e in losses]


def most_likely(right: int, canaries: int, pair: DominatingPair) -> float:
    """Return the largest P(C ≥ right) of *all* mechanisms of a few canaries: a linear program.

    A mechanism is a table: the chance of each vector of guesses, given each vector of coins. Two rows that
    differ in one coin keep to every (ε, δ) of the curve: the sum of max(0, P − e^ε·Q) is at most δ.
    """
    worlds = list(product((0, 1), repeat=canaries))
    n = len(worlds)
    near = [
        (a, b, e, d)
        for (a, u), (b, v) in product(enumerate(worlds), repeat=2)
        if sum(x != y for x, y in zip(u, v, strict=True)) == 1
        for e, d in tangents_of(pair if sum(u) > sum(v) else pair.swapped())
    ]
    size = n * n + len(near) * n
    rows, limits = [], []
    for k, (a, b, e, d) in enumerate(near):
        slack = n * n + k * n
        for g in range(n):
            row = np.zeros(size)
            row[a * n + g], row[b * n + g], row[slack + g] = 1, -np.exp(e), -1
            rows.append(row)
            limits.append(0.0)
        row = np.zeros(size)
        row[slack : slack + n] = 1
        rows.append(row)
        limits.append(d)
    sums = np.kron(np.eye(n), np.ones(n))
    gain = np.zeros(size)
    hits = np.array(
        [[sum(x == y for x, y in zip(u, g, strict=True)) >= right for g in worlds] for u in worlds]
    )
    gain[: n * n] = hits.ravel() / n
    equal = np.hstack([sums, np.zeros((n, size - n * n))])
    return -linprog(-gain, np.array(rows), limits, equal, np.ones(n), bounds=(0, 1)).fun


BRUTE = (
    pure(1.0),
    approximate(0.5, 0.1),
    LOPSIDED,
    outer_polygon(GaussianCurve(1.0).delta, np.linspace(-2, 2, 5)),
)


@pytest.mark.parametrize("pair", BRUTE)
@pytest.mark.parametrize("canaries", [1, 2])
def test_oracle_no_mechanism_of_few_canaries_does_better(pair, canaries):
    for right in range(1, canaries + 1):
        best = most_likely(right, canaries, pair)
        p = p_value(one(right, canaries, canaries), pair)
        assert best <= p + 1e-7
        if canaries == 1:
            assert best == pytest.approx(p, abs=1e-7)
    assert best > p - 0.1  # and not by much: the recursion is no empty promise


def test_oracle_three_canaries():
    for right in (2, 3):
        best = most_likely(right, 3, pure(0.8))
        assert best <= p_value(one(right, 3, 3), pure(0.8)) + 1e-7


@pytest.mark.parametrize(
    ("m", "k", "right", "epsilon"),
    [
        (1000, 1000, 760, 1.91539),
        (1000, 100, 95, 3.32330),
        (100_000, 100_000, 69_146, 1.30543),
        (100_000, 10_000, 9_000, 2.80859),
        (100, 100, 70, 1.06070),
    ],
)
def test_oracle_the_auditor_of_jax_privacy(m, k, right, epsilon):
    """JAX-Privacy 2.0.0, its one-run f-DP bound at δ = 1e-5 and 95 %, run elsewhere."""
    assert mu(one(right, k, m), **SAME).epsilon(1e-5) == pytest.approx(epsilon, abs=1e-5)


def test_limit_one_canary_is_accuracy():
    assert p_value(one(1, 1, 1), GaussianCurve(1.0)) == pytest.approx(ndtr(0.5), rel=1e-9)
    assert p_value(one(1, 1, 1), pure(1.0)) == pytest.approx(expit(1.0), rel=1e-9)


def test_limit_never_below_the_exact_tail_of_pure_privacy(rng):
    """At δ = 0 the binomial tail is the answer (Steinke et al. 2023); this recursion may lose a little."""
    for _ in range(30):
        m = int(rng.integers(1, 80))
        k = int(rng.integers(1, m + 1))
        v, epsilon = int(rng.integers(0, k + 1)), float(rng.uniform(0, 2))
        assert p_value(one(v, k, m), pure(epsilon)) >= p_of_guesses(v, k, m, epsilon) * (1 - 1e-9)


def test_limit_p_values_fall_with_right_guesses_and_rise_with_the_curve():
    by_right = [p_value(one(v, 40, 50), GaussianCurve(0.5)) for v in range(41)]
    by_mu = [p_value(one(35, 40, 50), GaussianCurve(mu)) for mu in (0.0, 0.3, 1.0, 2.0)]
    assert by_right == sorted(by_right, reverse=True)
    assert by_mu == sorted(by_mu)
    assert by_right[0] == 1 > by_right[-1]


def refuted(right: np.ndarray, guesses: int, canaries: int, curve) -> float:
    """Return the share of experiments in which the curve is refuted."""
    values, times = np.unique(right, return_counts=True)
    no = [v > 0 and impossible(ERROR, Made(int(v), guesses, 0, canaries), inverse(curve)) for v in values]
    return float(times[no].sum() / len(right))


def test_coverage_on_the_gaussian_mechanism():
    """Many coordinates of one release, a coin for each: the true μ is seldom refuted."""
    rng, errors, half = np.random.default_rng(1), {}, {}
    for true, m in product((0.1, 0.5, 1.0, 2.0), (15, 100, 400)):
        member = rng.random((REPEATS, m)) < 0.5
        score = true * member + rng.normal(size=member.shape)
        for name, ins, outs in (("all", m // 2, m - m // 2), ("few", m // 10, m // 10), ("ins", m // 5, 0)):
            right, k = right_by_rank(score, member, ins, outs), ins + outs
            errors[name, true, m] = refuted(right, k, m, GaussianCurve(true))
            half[name, true, m] = refuted(right, k, m, GaussianCurve(true / 5))
    assert not too_often(errors)
    assert max(half.values()) > 0.9  # a claim five times too small is refuted


def test_coverage_when_all_canaries_are_lucky_together():
    """Half of the runs tell much, and half nothing: why the law is no binomial of independent guesses."""
    rng, m, talks = np.random.default_rng(2), 400, 0.3
    rates = np.array([talks * 0.75, 1 - talks, talks * 0.25])
    mechanism = DominatingPair(rates, rates[::-1])
    right = rng.binomial(m, np.where(rng.random(REPEATS) < talks, 0.75, 0.5))
    each = (1 + mechanism.delta(0.0)) / 2  # the best accuracy that the curve allows
    assert not too_often({"ours": refuted(right, m, m, mechanism)})
    assert too_often({"binomial": float((binom.sf(right - 1, m, each) <= ERROR).mean())})


def test_definition_sharper_than_epsilon_and_delta_on_gaussian_noise():
    for true, m in product((0.5, 1.0), (200, 2000)):
        right = int(np.ceil(m * ndtr(true / 2)))
        guesses = one(right, m, m)
        ours, theirs = mu(guesses, **SAME), lower_bound(guesses, delta=1e-5, **SAME)
        assert ours.epsilon(1e-5) > 1.2 * theirs.value > 0
        assert ours.value < true


def test_definition_the_bound_is_where_the_test_turns():
    guesses = one(70, 100, 120)
    found = mu(guesses, **SAME)
    assert refute(guesses, GaussianCurve(found.value), **SAME).finding == Finding.VIOLATED
    assert refute(guesses, GaussianCurve(found.value + 2e-7), **SAME).finding == Finding.CONSISTENT
    assert 0 < found.value < found.ceiling
    turns = brentq(lambda mu: p_value(guesses, GaussianCurve(mu)) - ERROR, 0.01, 3)
    assert found.value <= turns <= found.value + 1e-6


def test_limit_no_leak_and_no_power():
    assert mu(one(50, 100, 100), **SAME).value == 0
    assert mu(one(0, 0, 100), **SAME).value == 0
    small = refute(one(2, 2, 2), GaussianCurve(3.0), **SAME)
    assert small.finding == Finding.UNINFORMATIVE


def test_limit_a_hundred_thousand_canaries_need_few_steps():
    calls = 0

    def counted(right: float) -> float:
        nonlocal calls
        calls += 1
        return inverse(GaussianCurve(0.341))(right)

    impossible(ERROR, Made(69_146, 100_000, 0, 100_000), counted)
    assert calls < 5000


class Curved:
    """A curve of an unknown kind."""


@pytest.mark.usefixtures("at_the_door")
def test_the_door():
    with pytest.raises(ValueError, match=r"claim must be a (Guarantee|Curve).*got Curved"):
        refute(one(1, 2, 2), Curved(), **SAME)
