"""Curves on trial over independent runs: a true curve is refuted no more often than its p-value says."""

from itertools import product

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import beta, binom, binomtest, norm

from audits import result
from mialab.accounting import Neighbours, SampledGaussian, privacy_loss
from mialab.audit import Finding, lower_bound, p_value, refute
from mialab.audit.claims import Gaussian, Mu
from mialab.audit.evidence import ranks_of
from mialab.audit.ranking import cuts, p_of_cuts, p_value_of_order, passed
from mialab.game import Counts, Design, Outcome
from mialab.tradeoff import DominatingPair, GaussianCurve, LaplaceCurve, approximate, pure
from refuting import too_often

REPEATS, ERROR = 2000, 0.05
SAME = {"neighbours": Neighbours.ADD_REMOVE}


def runs(true: int, members: int, false: int, non_members: int, design: Design = Design.RUNS) -> Counts:
    return Counts(true, members, false, non_members, design=design)


def all_outcomes(sides: tuple[int, int]) -> list[tuple[int, int]]:
    return list(product(range(sides[0] + 1), range(sides[1] + 1)))


def chances(telling: np.ndarray, fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Return the probability of a set of outcomes (true, false) at many rates."""
    members, non_members = np.array(telling.shape) - 1
    hits = binom.pmf(np.arange(members + 1)[:, None], members, tpr)
    false = binom.pmf(np.arange(non_members + 1)[:, None], non_members, fpr)
    return np.einsum("tp,fp,tf->p", hits, false, telling)


RATES = np.unique(np.concatenate([np.linspace(0, 1, 2001), np.geomspace(1e-6, 1, 1000)]))
CURVES = (GaussianCurve(1.0), LaplaceCurve(1.5), pure(1.0), approximate(0.5, 0.1))
LOPSIDED = DominatingPair(np.array([0.2, 0.5, 0.3]), np.array([0.01, 0.29, 0.7]))


def two_limits_slowly(true: int, false: int, sides: tuple[int, int], curve) -> float:
    """Return the smallest of many errors at which two exact limits are above the curve."""
    errors = np.geomspace(1e-6, 1, 4000)
    low = beta.ppf(errors / 2, true, sides[0] - true + 1) if true else 0 * errors
    high = beta.isf(errors / 2, false + 1, sides[1] - false) if false < sides[1] else 1 + 0 * errors
    above = low > curve.tpr(high)
    return float(errors[above][0]) if above.any() else 2.0


@pytest.mark.parametrize("curve", [CURVES[0], CURVES[3], LOPSIDED])
def test_definition_the_p_value_is_the_chance_of_what_tells_as_much(curve):
    sides = (7, 5)
    order = np.array([two_limits_slowly(*one, sides, curve) for one in all_outcomes(sides)]).reshape(8, 6)
    for true, false in ((7, 0), (6, 0), (6, 1), (7, 2)):
        worst = chances(order <= order[true, false] * 1.0001, RATES, curve.tpr(RATES)).max()
        p = p_value(runs(true, 7, false, 5), curve)
        assert worst * (1 - 1e-3) <= p <= worst * 1.02
        assert p <= order[true, false] * 1.02


@pytest.mark.parametrize("curve", [*CURVES, LOPSIDED])
def test_coverage_no_rates_of_a_true_curve_are_refuted_too_often(curve):
    """Every outcome of eleven runs, and all rates: exact."""
    p = np.array([p_value(runs(t, 6, f, 5), curve) for t, f in all_outcomes((6, 5))])
    for level in (0.01, ERROR, 0.2):
        below = (p <= level).reshape(7, 6)
        assert chances(below, RATES, curve.tpr(RATES)).max() <= level
    assert chances(below, RATES, GaussianCurve(3.5).tpr(RATES)).max() > 0.5  # and it can refute


@pytest.mark.parametrize("curve", [GaussianCurve(0.8), pure(0.7), LOPSIDED])
def test_definition_a_cut_by_rank_integrates_over_its_unknown_rate(curve):
    n, m = 20, 30
    for place, rank in enumerate(cuts(n)):
        for hits in (3, 12, 25):

            def chance(u, rank=rank, hits=hits):
                return beta.pdf(u, rank, n - rank + 1) * binom.sf(hits - 1, m, curve.tpr(u))

            slow = quad(chance, 0, 1, limit=400)[0]
            p = p_of_cuts(np.full(cuts(n).shape, hits), m, n, curve.tpr)[place]
            assert slow * (1 - 1e-6) <= p <= slow * 1.03


def test_definition_ranks_count_strictly_beyond_the_cut():
    score = np.array([5.0, 4.0, 3.0, 3.0, 2.0, 1.0, 0.0, 3.5])
    member = np.array([True, False, True, False, True, False, False, True])
    ranks = ranks_of(Outcome(score, member, design=Design.RUNS))
    sides, (above, below) = ranks.sides, passed(ranks)
    assert sides == (4, 4)
    assert (above.tolist(), below.tolist()) == ([1, 2], [2, 2])


def scores_of(name: str, member: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if name == "gaussian":
        return rng.normal(size=member.shape) + member
    if name == "laplace":
        return rng.laplace(size=member.shape) + 1.5 * member
    if name == "randomized response":
        return np.where(rng.random(member.shape) < expit(1.0), member, ~member) * 1.0
    if name == "lopsided":
        worlds = LOPSIDED.member, LOPSIDED.non_member
        return np.where(member, *(-rng.choice(3, p=side, size=member.shape) for side in worlds)) * 1.0
    drawn = rng.binomial(50, 0.1, member.shape) * member  # how many of fifty steps held the record
    shift, noise = drawn / 2.0, rng.normal(size=member.shape)
    return shift + noise * np.sqrt(50)  # a post-processing of fifty noisy steps: their sum


TRUE = {
    "gaussian": GaussianCurve(1.0),
    "laplace": LaplaceCurve(1.5),
    "randomized response": pure(1.0),
    "lopsided": LOPSIDED,
    "subsampled gaussian": privacy_loss.curve(SampledGaussian(2.0, 0.1, 50)),
}


def least_hits(side: tuple[int, int], tpr, level: float) -> np.ndarray:
    """Return for each cut the fewest hits with a p-value of at most ``level``: bisection."""
    m, n = side
    low, high = np.zeros(cuts(n).shape, dtype=int), np.full(cuts(n).shape, m + 1)
    while (high - low > 1).any():
        middle = (low + high) // 2
        small = p_of_cuts(middle, m, n, tpr) <= level
        low, high = np.where(small, low, middle), np.where(small, middle, high)
    return high


def refuted(score: np.ndarray, member: np.ndarray, curve, *, union: bool) -> float:
    """Return the share of experiments (rows) in which the order of the scores refutes the curve."""
    m, n = int(member.sum()), int((~member).sum())
    swapped = curve.swapped() if isinstance(curve, DominatingPair) else curve
    level = ERROR / (len(cuts(m)) + len(cuts(n)) if union else 1)
    found = np.zeros(len(score), dtype=bool)
    ins, outs = score[:, member], score[:, ~member]
    for one, other, tpr in ((ins, outs, curve.tpr), (-outs, -ins, swapped.tpr)):
        size = one.shape[1], other.shape[1]
        cut = -np.sort(-other, axis=1)[:, cuts(size[1]) - 1]
        hits = (one[:, :, None] > cut[:, None]).sum(axis=1)
        found |= (hits >= least_hits(size, tpr, level)).any(axis=1)
    return float(found.mean())


def test_coverage_the_true_curve_is_seldom_refuted_anywhere():
    rng, errors, without = np.random.default_rng(1), {}, {}
    for (name, curve), sides in product(TRUE.items(), ((15, 15), (60, 40), (300, 300))):
        member = np.arange(sum(sides)) < sides[0]
        score = scores_of(name, np.tile(member, (REPEATS, 1)), rng)
        errors[name, sides] = refuted(score, member, curve, union=True)
        without[name, sides] = refuted(score, member, curve, union=False)
    assert len(errors) == 15
    assert not too_often(errors)
    assert max(errors.values()) > 0.015  # and it is not by saying nothing that it is never wrong
    assert ("gaussian", (300, 300)) in too_often(without)  # the best cut without its price fails


def test_definition_the_fast_experiment_is_the_public_function(rng):
    member = np.arange(60) < 35
    for shift, curve in product((0.0, 1.5), (GaussianCurve(0.5), LOPSIDED)):
        score = rng.normal(size=60) + shift * member
        said = refute(Outcome(score, member, design=Design.RUNS), curve, **SAME)
        assert (said.finding == Finding.VIOLATED) == bool(refuted(score[None], member, curve, union=True))


def test_definition_two_rates_prove_mu():
    for true, false in ((60, 5), (100, 0), (30, 30)):
        low = norm.ppf(binomtest(true, 100).proportion_ci(0.95).low)
        high = norm.ppf(binomtest(false, 80).proportion_ci(0.95).high)
        bound = lower_bound(runs(true, 100, false, 80), family="mu", test="rates", **SAME)
        assert bound.value == pytest.approx(max(0.0, low - high), abs=1e-9)


def test_coverage_every_bound_on_mu_of_thirteen_runs():
    sides = (7, 6)
    terms, outcomes = {"family": "mu", **SAME}, all_outcomes(sides)
    both = [
        [lower_bound(runs(t, 7, f, 6), test=test, **terms).value for t, f in outcomes]
        for test in ("rates", "joint")
    ]
    rates, joint = np.array(both).reshape(2, 8, 7)
    for mu in (0.0, 0.2, 0.5, 1.0, 2.0):
        for bound in (rates, joint):
            assert chances(bound > mu, RATES, GaussianCurve(mu).tpr(RATES)).max() <= ERROR
    assert (joint >= rates - 1e-3).all()
    assert chances(joint > 0.5, RATES, GaussianCurve(0.5).tpr(RATES)).max() > 0.03
    assert chances(joint > 0.5, RATES, GaussianCurve(1.0).tpr(RATES)).max() > ERROR  # a claim too small


def test_definition_the_joint_bound_on_mu_read_slowly():
    """Order all outcomes by what two limits prove, and take the likeliest rates of each curve."""
    sides = (9, 7)
    some = [runs(t, 9, f, 7) for t, f in all_outcomes(sides)]
    by_limits = np.array([norm.ppf(lower(one.true_positives, 9)) for one in some]) - norm.isf(
        [lower(7 - one.false_positives, 7) for one in some]
    )
    for true, false in ((9, 0), (8, 1), (9, 2), (6, 0)):
        telling = (by_limits >= by_limits[true * 8 + false] - 1e-9).reshape(10, 8)
        bound = lower_bound(runs(true, 9, false, 7), family="mu", test="joint", **SAME).value
        if bound > 0:
            assert chances(telling, RATES, GaussianCurve(bound).tpr(RATES)).max() <= ERROR
        assert chances(telling, RATES, GaussianCurve(bound + 1e-3).tpr(RATES)).max() > ERROR


def lower(hits: int, trials: int) -> float:
    return float(beta.ppf(ERROR / 2, hits, trials - hits + 1)) if hits else 0.0


def test_coverage_of_mu_anywhere_is_that_of_its_test(rng):
    member = np.arange(200) < 100
    outcome = Outcome(rng.normal(size=200) + 1.5 * member, member, design=Design.RUNS)
    bound = lower_bound(outcome, family="mu", **SAME)
    assert 0.3 < bound.value < 1.5 < bound.ceiling
    ranks = ranks_of(outcome)
    assert p_value_of_order(ranks, Gaussian(bound.value)) <= ERROR
    assert p_value_of_order(ranks, GaussianCurve(bound.value)) <= ERROR + 1e-12
    assert p_value_of_order(ranks, GaussianCurve(bound.value + 2e-3)) > ERROR


def test_oracle_epsilon_of_a_gaussian_bound_is_on_the_safe_side():
    bound = result(1.0, of=Mu())
    assert bound.epsilon(1e-5) == pytest.approx(4.377178, abs=1e-6)
    assert GaussianCurve(1.0).delta(bound.epsilon(1e-5)) > 1e-5


def test_limit_no_leak_refutes_nothing():
    even = runs(50, 100, 50, 100)
    assert refute(even, pure(0.0), **SAME).finding == Finding.CONSISTENT
    for test in ("rates", "joint"):
        assert lower_bound(even, family="mu", test=test, **SAME).value == 0
    tied = Outcome(np.zeros(40), np.arange(40) < 20, design=Design.RUNS)
    assert p_value(tied, GaussianCurve(0.1)) == 1
    assert lower_bound(tied, family="mu", **SAME).value == 0


def test_limit_what_no_audit_of_this_size_could_see():
    said = refute(runs(3, 3, 0, 3), GaussianCurve(3.0), **SAME)
    assert (said.finding, said.result.value) == (Finding.UNINFORMATIVE, said.result.ceiling)
    assert str(said).startswith("uninformative: p ≤ ")


def test_limit_the_lopsided_curve_is_tested_in_its_own_direction():
    """One output in five gives a member away; that a non-member were given away would be a lie."""
    member = np.arange(400) < 200
    score = scores_of("lopsided", member, np.random.default_rng(3))
    there, back = Outcome(score, member, design=Design.RUNS), Outcome(-score, ~member, design=Design.RUNS)
    assert refute(there, LOPSIDED, **SAME).finding == Finding.CONSISTENT
    assert refute(back, LOPSIDED, **SAME).finding == Finding.VIOLATED
    assert refute(back, LOPSIDED.swapped(), **SAME).finding == Finding.CONSISTENT
