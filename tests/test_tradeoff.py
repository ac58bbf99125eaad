"""Curves: polygons against brute force, closed forms against quadrature, all against dp-accounting."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution as pld
from scipy.integrate import quad
from scipy.special import comb

from mialab import tradeoff
from mialab.tradeoff import DominatingPair, GaussianCurve, LaplaceCurve
from mialab.tradeoff.pair import highest_tpr

RATES = np.concatenate([[0.0, 1.0, 1e-6, 1e-3], np.linspace(0.01, 0.99, 41)])
LOSSES = np.linspace(-4, 4, 81)


def a_pair(rng, outputs=4):
    return DominatingPair(rng.dirichlet(np.ones(outputs)), rng.dirichlet(np.ones(outputs)))


def all_rules(pair):
    """Return FPR and TPR of every set of outputs that one could accuse."""
    rules = np.array(list(itertools.product([0, 1], repeat=len(pair.member))))
    return rules @ pair.non_member, rules @ pair.member


# --- polygons ------------------------------------------------------------------------------------------


def test_definition_delta_is_the_best_of_all_rules(rng):
    for pair in (
        a_pair(rng),
        a_pair(rng, 3) * a_pair(rng, 2),
        DominatingPair(np.array([0.2, 0.8, 0]), np.array([0, 0.9, 0.1])),
    ):
        false, true = all_rules(pair)
        slow = [(true - math.exp(epsilon) * false).max() for epsilon in LOSSES]
        np.testing.assert_allclose(pair.delta(LOSSES), slow, atol=1e-14)


def test_definition_tpr_is_the_best_of_all_mixtures_of_two_rules(rng):
    for pair in (a_pair(rng), DominatingPair(np.array([0.2, 0.8, 0]), np.array([0, 0.9, 0.1]))):
        false, true = all_rules(pair)
        for rate in (0.0, 0.03, 0.3, 0.8, 1.0):
            best = 0.0
            for i, j in itertools.product(range(len(false)), repeat=2):
                if false[i] <= rate and (false[j] > rate or i == j):
                    mix = (rate - false[i]) / (false[j] - false[i]) if false[j] > rate else 0.0
                    best = max(best, true[i] + mix * (true[j] - true[i]))
            assert pair.tpr(rate) == pytest.approx(best, abs=1e-14)


def test_definition_auc_is_the_chance_that_a_member_looks_more_like_one(rng):
    pair = a_pair(rng, 5)
    wins = pair.loss[:, None] > pair.loss
    ties = pair.loss[:, None] == pair.loss
    assert pair.auc == pytest.approx(pair.member @ (wins + ties / 2) @ pair.non_member)


def test_definition_a_product_is_seen_together(rng):
    first, second = a_pair(rng, 3), a_pair(rng, 3)
    member = [a * b for a in first.member for b in second.member]
    non_member = [a * b for a in first.non_member for b in second.non_member]
    slow = DominatingPair(np.array(member), np.array(non_member))
    np.testing.assert_allclose((first * second).tpr(RATES), slow.tpr(RATES), rtol=1e-13)


@pytest.mark.parametrize("times", [1, 2, 3, 5, 8, 13])
def test_definition_a_power_is_a_product_of_equals(rng, times):
    pair = a_pair(rng, 2)
    slow = pair
    for _ in range(times - 1):
        slow = slow * pair
    np.testing.assert_allclose((pair**times).delta(LOSSES), slow.delta(LOSSES), atol=1e-13)
    assert len((pair**times).member) == times + 1


@pytest.mark.parametrize(("epsilon", "delta", "times"), [(0.5, 0.0, 6), (0.1, 0.001, 20), (1.0, 0.01, 5)])
def test_oracle_powers_are_kairouz_oh_viswanath_theorem_3_3(epsilon, delta, times):
    exact = tradeoff.approximate(epsilon, delta) ** times
    for i in range(times // 2 + 1):
        low = np.arange(i)
        grown = np.exp((times - low) * epsilon) - np.exp((times - 2 * i + low) * epsilon)
        inner = np.sum(comb(times, low) * grown) / (1 + math.exp(epsilon)) ** times
        theirs = 1 - (1 - delta) ** times * (1 - inner)
        assert exact.delta((times - 2 * i) * epsilon) == pytest.approx(theirs, rel=1e-10)


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0, math.log(3), 2.0, 4.0, 8.0])
def test_oracle_pure_closed_forms(epsilon):
    curve = tradeoff.pure(epsilon)
    known = {
        0.1: 0.524979,
        0.5: 0.622459,
        1: 0.731059,
        math.log(3): 0.75,
        2: 0.880797,
        4: 0.982014,
        8: 0.999665,
    }
    assert tradeoff.accuracy(curve) == pytest.approx(known[epsilon], abs=5e-7)
    assert tradeoff.advantage(curve) == pytest.approx(math.tanh(epsilon / 2))
    assert curve.auc == pytest.approx(tradeoff.accuracy(curve))
    assert curve.largest_loss == pytest.approx(epsilon)
    grown = np.minimum(math.exp(epsilon) * RATES, 1 - math.exp(-epsilon) * (1 - RATES))
    np.testing.assert_allclose(curve.tpr(RATES), grown, rtol=1e-12)


def test_oracle_facts_at_one_per_cent():
    got = [float(tradeoff.pure(epsilon).tpr(0.01)) for epsilon in (0.1, 1, 4)]
    np.testing.assert_allclose(got, [0.011052, 0.027183, 0.545982], atol=5e-7)


@pytest.mark.parametrize(("epsilon", "delta"), [(1.0, 0.1), (0.0, 0.3), (2.0, 1e-5), (0.5, 0.0), (1.0, 1.0)])
def test_definition_approximate_is_the_region(epsilon, delta):
    curve = tradeoff.approximate(epsilon, delta)
    grown = np.minimum(math.exp(epsilon) * RATES + delta, 1 - math.exp(-epsilon) * (1 - delta - RATES))
    np.testing.assert_allclose(curve.tpr(RATES), np.minimum(grown, 1), rtol=1e-12)
    np.testing.assert_allclose(highest_tpr(RATES, epsilon, delta), curve.tpr(RATES), rtol=1e-12)
    assert tradeoff.accuracy(curve) == pytest.approx((math.exp(epsilon) + delta) / (1 + math.exp(epsilon)))
    assert tradeoff.advantage(curve) == pytest.approx(
        (math.exp(epsilon) - 1 + 2 * delta) / (math.exp(epsilon) + 1)
    )


@pytest.mark.parametrize(
    ("answers", "epsilon", "accuracy"), [(4, 1.0, 0.650), (10, 1.0, 0.573), (2, 1.0, 0.731)]
)
def test_oracle_with_more_answers_the_attacker_does_worse(answers, epsilon, accuracy):
    curve = tradeoff.randomized_response(epsilon, answers)
    grown = math.exp(epsilon)
    exact = (2 * grown + answers - 2) / (2 * (grown + answers - 1))
    assert tradeoff.accuracy(curve) == pytest.approx(exact)
    assert tradeoff.accuracy(curve) == pytest.approx(accuracy, abs=5e-4)
    assert (curve.tpr(RATES) <= tradeoff.pure(epsilon).tpr(RATES) + 1e-15).all()


@pytest.mark.parametrize(("answers", "epsilon"), [(2, 1.0), (4, 1.0), (10, 0.3)])
def test_oracle_randomized_response_of_dp_accounting(answers, epsilon):
    blind = answers / (math.exp(epsilon) + answers - 1)  # how often theirs answers at random
    theirs = pld.from_randomized_response(blind, answers, value_discretization_interval=1e-4)
    ours = tradeoff.randomized_response(epsilon, answers)
    for asked in (0.0, 0.1, 0.25, 0.9 * epsilon):
        # Theirs rounds losses up to the grid: an upper bound, by at most a grid step.
        assert ours.delta(asked) <= theirs.get_delta_for_epsilon(asked) + 1e-12
        assert ours.delta(asked - 1e-4) >= theirs.get_delta_for_epsilon(asked) - 1e-12


# --- closed forms --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mu", "epsilon", "auc"), [(0.5, 1.993091, None), (1.0, 4.377178, 0.760250), (2.0, 9.997256, 0.921350)]
)
def test_oracle_gaussian_facts(mu, epsilon, auc):
    curve = GaussianCurve(mu)
    assert tradeoff.epsilon_at(curve, 1e-5) == pytest.approx(epsilon, abs=5e-7)
    if auc:
        assert curve.auc == pytest.approx(auc, abs=5e-7)


def test_oracle_gaussian_rates():
    curve = GaussianCurve(1.0)
    np.testing.assert_allclose(curve.tpr(np.array([0.01, 0.001])), [0.092362, 0.018298], atol=5e-7)
    assert tradeoff.accuracy(curve) == pytest.approx(0.691462, abs=5e-7)


def exact_gaussian(mu, epsilon):
    """Return δ(ε) from the two tails, with as many digits as their difference loses, and sixty more."""
    with mpmath.workdps(60 + int(abs(math.log10(mu))) + 310):
        m, e = mpmath.mpf(float(mu)), mpmath.mpf(float(epsilon))
        tail = [mpmath.erfc((e / m + side * m / 2) / mpmath.sqrt(2)) / 2 for side in (-1, 1)]
        return tail[0] - mpmath.exp(e) * tail[1]


def some_losses(mu, rng):
    """Return ε of δ from 1 down to 10⁻³⁰⁰, and some that have nothing to do with μ."""
    deviations = np.concatenate([np.linspace(-2, 36.9, 12), rng.uniform(-2, 36.9, 4)])
    losses = np.concatenate([[0.0], mu * (mu / 2 + deviations), [1e-12, 1e-3, 0.7, 30.0]])
    return losses[losses >= 0]


@pytest.mark.parametrize("mu", [1e-100, 1e-20, 1e-9, 1e-5, 1e-3, 0.03, 0.3, 1.0, 2.3, 7.0, 40.0, 3e3, 2e5])
def test_oracle_gaussian_delta_keeps_twelve_digits_everywhere(mu, rng):
    losses = some_losses(mu, rng)
    exact = [exact_gaussian(mu, epsilon) for epsilon in losses]
    found = GaussianCurve(mu).delta(losses)
    large = [k for k, one in enumerate(exact) if one > 1e-300]
    assert len(large) > 8
    assert max(abs(mpmath.mpf(float(found[k])) / exact[k] - 1) for k in large) < 5e-13
    assert all(found[k] <= 2e-300 for k in range(len(losses)) if k not in large)
    for epsilon in losses[1::3]:  # the mirror image
        with mpmath.workdps(400):
            grown = mpmath.exp(-mpmath.mpf(float(epsilon)))
            mirrored = 1 - grown + grown * exact_gaussian(mu, epsilon)
        assert float(abs(GaussianCurve(mu).delta(-epsilon) / mirrored - 1)) < 1e-12


@pytest.mark.parametrize("delta", [5e-324, 1e-320, 1e-300, 1e-100, 1e-30, 1e-18, 1e-5, 0.3])
@pytest.mark.parametrize("mu", [1e-4, 0.5, 20.0, 1e4])
def test_oracle_epsilon_is_never_below_the_truth(mu, delta):
    epsilon = tradeoff.epsilon_at(GaussianCurve(mu), delta)
    assert exact_gaussian(mu, epsilon) <= mpmath.mpf(delta)
    less = 1e-9 if delta > 1e-308 else 1e-3  # below it floats themselves are rough
    assert epsilon == 0 or exact_gaussian(mu, epsilon * (1 - less)) > mpmath.mpf(delta)


def test_limit_curves_so_far_apart_that_epsilon_is_no_float():
    for mu in (1e160, 1e300):
        assert tradeoff.epsilon_at(GaussianCurve(mu), 0.5) == math.inf
        assert tradeoff.epsilon_at(GaussianCurve(mu), 1.0) == 0
        assert GaussianCurve(mu).delta(np.array([0.0, 1e300, math.inf])).tolist() == [1, 1, 0]
    np.testing.assert_allclose(LaplaceCurve(800.0).tpr(np.array([0.0, 1e-300, 0.7, 1.0])), [0, 1, 1, 1])


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    "wrong", [math.nan, np.array([0.0, np.nan]), "1", 1j, np.ma.array([1.0], mask=[True])]
)
@pytest.mark.parametrize(
    "curve",
    [
        GaussianCurve(1.0),
        GaussianCurve(0.0),
        LaplaceCurve(1.0),
        tradeoff.pure(1.0),
        tradeoff.pure(1.0).swapped(),
    ],
)
def test_definition_no_curve_answers_what_is_no_number(curve, wrong):
    with pytest.raises(ValueError, match="epsilon must"):
        curve.delta(wrong)
    with pytest.raises(ValueError, match="fpr must"):
        curve.tpr(wrong)


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize(
    ("curve", "theirs"),
    [
        (GaussianCurve(1.0), pld.from_gaussian_mechanism(1.0, value_discretization_interval=1e-3)),
        (LaplaceCurve(0.5), pld.from_laplace_mechanism(2.0, value_discretization_interval=1e-3)),
    ],
    ids=["gaussian", "laplace"],
)
def test_oracle_curves_of_dp_accounting(curve, theirs, times):
    grid = 0.05 * np.arange(-100, 101)
    ours = tradeoff.outer_polygon(curve.delta, grid) ** times
    for epsilon in (0.0, 0.3, 1.0):
        upper = theirs.self_compose(times).get_delta_for_epsilon(epsilon)
        assert ours.delta(epsilon) == pytest.approx(upper, rel=5e-3)


@pytest.mark.parametrize(
    "curve",
    [GaussianCurve(1.0), GaussianCurve(0.05), LaplaceCurve(1.0), LaplaceCurve(0.01), LaplaceCurve(6.0)],
)
def test_definition_each_answer_determines_the_other(curve):
    # δ(ε) = max over FPR of TPR − e^ε·FPR, and TPR(FPR) = min over ε of e^ε·FPR + δ(ε).
    dense = np.concatenate([[0.0], np.geomspace(1e-12, 1, 40_001), 1 - np.geomspace(1e-12, 1, 40_001)])
    for epsilon in (-2.0, -0.5, 0.0, 0.5, 2.0):
        slow = (curve.tpr(dense) - math.exp(epsilon) * dense).max()
        assert curve.delta(epsilon) == pytest.approx(slow, abs=1e-7)
    losses = np.linspace(-60, 60, 60_001)
    for rate in (0.001, 0.1, 0.5, 0.9):
        slow = (np.exp(losses) * rate + curve.delta(losses)).min()
        assert curve.tpr(rate) == pytest.approx(slow, abs=1e-5)


@pytest.mark.parametrize("curve", [GaussianCurve(0.7), LaplaceCurve(0.3), LaplaceCurve(3.0)])
def test_definition_auc_is_an_area(curve):
    area = quad(curve.tpr, 0, 1, points=[0.001, 0.1, 0.5], limit=500)[0]
    assert curve.auc == pytest.approx(area, abs=1e-7)


def test_definition_laplace_is_what_its_densities_say():
    epsilon = 1.3
    for threshold in (-1.0, 0.2, 1.3, 2.0):  # accuse above it: the likelihood ratio grows with the output
        above = [
            quad(
                lambda x, c=c: math.exp(-abs(x - c)) / 2, threshold, 40, points=[c] if c > threshold else None
            )[0]
            for c in (0, epsilon)
        ]
        assert LaplaceCurve(epsilon).tpr(above[0]) == pytest.approx(above[1], abs=1e-9)


def test_limit_nothing_to_tell_apart():
    for curve in (
        tradeoff.pure(0.0),
        GaussianCurve(0.0),
        LaplaceCurve(0.0),
        tradeoff.randomized_response(0.0, 5),
    ):
        np.testing.assert_allclose(curve.tpr(RATES), RATES, atol=1e-15)
        assert (tradeoff.advantage(curve), curve.largest_loss) == (0, 0)
        assert (tradeoff.accuracy(curve), curve.auc) == (0.5, 0.5)
        assert tradeoff.epsilon_at(curve, 0.0) == tradeoff.epsilon_at(curve, 1e-9) == 0


@pytest.mark.parametrize("epsilon", [1e-14, 1e-13, 1e-12, 1e-9])
def test_limit_little_to_tell_apart_is_not_nothing(epsilon):
    for curve in (tradeoff.pure(epsilon), tradeoff.randomized_response(epsilon, 5), LaplaceCurve(epsilon)):
        assert curve.largest_loss == pytest.approx(epsilon, abs=4e-16)
        assert tradeoff.epsilon_at(curve, 0.0) == curve.largest_loss
        assert 0 < tradeoff.advantage(curve) < epsilon
    assert (tradeoff.pure(epsilon) ** 8).largest_loss == pytest.approx(8 * epsilon, abs=4e-15)
    assert len((tradeoff.pure(epsilon) ** 8).member) <= 20


def test_limit_everything_is_given_away():
    sure = DominatingPair(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert (sure.auc, tradeoff.advantage(sure), float(sure.tpr(0.0))) == (1, 1, 1)
    assert tradeoff.epsilon_at(sure, 0.5) == sure.largest_loss == np.inf
    assert tradeoff.epsilon_at(sure, 1.0) == 0


def test_limit_many_gaussians_are_one():
    assert (GaussianCurve(0.3) ** 9).mu == pytest.approx(0.9)
    grid = 0.05 * np.arange(-60, 61)
    nine = tradeoff.outer_polygon(GaussianCurve(0.3).delta, grid) ** 9
    np.testing.assert_allclose(nine.tpr(RATES), GaussianCurve(0.9).tpr(RATES), atol=2e-3)


def chords(curve, fpr):
    """Return the polygon through points of a curve: what it allows, the curve allows too."""
    return DominatingPair(np.diff(curve.tpr(fpr), prepend=0.0), np.diff(fpr, prepend=0.0))


@pytest.mark.parametrize("times", [1, 3, 10])
@pytest.mark.parametrize("mu", [0.1, 0.5])
def test_definition_the_polygons_bracket_the_curve_and_its_powers(mu, times):
    curve, exact = GaussianCurve(mu), GaussianCurve(mu) ** times
    outside = tradeoff.outer_polygon(curve.delta, 0.05 * np.arange(-100, 101)) ** times
    inside = chords(curve, np.linspace(0, 1, 11)) ** min(times, 3)
    assert (outside.tpr(RATES) >= exact.tpr(RATES) - 1e-12).all()
    assert ((GaussianCurve(mu) ** min(times, 3)).tpr(RATES) >= inside.tpr(RATES) - 1e-12).all()
    assert np.max(outside.tpr(RATES) - exact.tpr(RATES)) < 0.02


def test_limit_a_grid_that_ends_too_early_costs_delta_and_not_the_truth():
    curve = GaussianCurve(2.0)
    short = tradeoff.outer_polygon(curve.delta, np.array([-0.5, 0.0, 0.5]))
    assert (short.tpr(RATES) >= curve.tpr(RATES) - 1e-15).all()
    assert short.largest_loss == np.inf
    assert short.delta(9.0) == pytest.approx(curve.delta(0.5))


# --- numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", [0.5, 0.1, 0.9])
def test_definition_accuracy_is_the_best_share_of_right_verdicts(rng, prior):
    for curve in (a_pair(rng), GaussianCurve(1.0), LaplaceCurve(0.7)):
        dense = np.linspace(0, 1, 20_001)
        slow = (prior * curve.tpr(dense) + (1 - prior) * (1 - dense)).max()
        assert tradeoff.accuracy(curve, prior=prior) == pytest.approx(slow, abs=1e-4)
        assert tradeoff.accuracy(curve, prior=prior) >= slow - 1e-12


@pytest.mark.parametrize("delta", [1e-12, 1e-5, 0.1])
def test_definition_epsilon_is_on_the_safe_side_and_tight(delta):
    for curve in (GaussianCurve(1.0), LaplaceCurve(2.0), tradeoff.pure(0.3) ** 20):
        epsilon = tradeoff.epsilon_at(curve, delta)
        assert curve.delta(epsilon) <= delta
        assert epsilon == 0 or curve.delta(epsilon * (1 - 1e-9)) > delta


def test_limit_epsilon_at_no_delta_is_the_largest_loss():
    assert tradeoff.epsilon_at(LaplaceCurve(2.0), 0.0) == 2.0
    assert tradeoff.epsilon_at(GaussianCurve(0.01), 0.0) == np.inf  # though δ(ε) underflows
    assert tradeoff.epsilon_at(tradeoff.approximate(1.0, 0.01), 0.005) == np.inf


@pytest.mark.parametrize("delta", [0.0, 0.02])
@pytest.mark.parametrize("epsilon", [0.2, 1.0, 3.0])
def test_definition_back_from_numbers(epsilon, delta):
    curve = tradeoff.approximate(epsilon, delta)
    right = tradeoff.accuracy(curve)
    assert tradeoff.epsilon_from_rates(1 - right, right, delta=delta) == pytest.approx(epsilon)
    for rate in (0.001, 0.2, 0.9):
        again = tradeoff.epsilon_from_rates(rate, float(curve.tpr(rate)), delta=delta)
        assert again == pytest.approx(epsilon)


def test_limit_rates_that_need_no_epsilon_or_more_than_any():
    assert tradeoff.epsilon_from_rates(0.3, 0.3) == tradeoff.epsilon_from_rates(0.3, 0.2) == 0
    assert tradeoff.epsilon_from_rates(0.0, 0.0) == tradeoff.epsilon_from_rates(1.0, 1.0) == 0
    assert tradeoff.epsilon_from_rates(0.0, 0.1) == tradeoff.epsilon_from_rates(0.5, 1.0) == np.inf
    assert tradeoff.epsilon_from_rates(0.0, 0.1, delta=0.1) == 0
    assert tradeoff.epsilon_from_rates(0.4, 0.6) == pytest.approx(math.log(1.5))


# --- by experiment -------------------------------------------------------------------------------------


def test_coverage_the_best_attack_stands_on_the_curve(rng):
    pair, n = tradeoff.randomized_response(1.0, 4) ** 3, 40_000
    losses = pair.loss
    inside = rng.choice(losses, size=n, p=pair.member / pair.member.sum())
    outside = rng.choice(losses, size=n, p=pair.non_member / pair.non_member.sum())
    errors = []
    for cut in losses[:-1]:
        false, true = (outside >= cut).mean(), (inside >= cut).mean()
        rate, best = pair.non_member[losses >= cut].sum(), pair.tpr(pair.non_member[losses >= cut].sum())
        errors += [
            (false - rate) / math.sqrt(rate * (1 - rate) / n),
            (true - best) / math.sqrt(best * (1 - best) / n),
        ]
    assert len(errors) >= 10
    assert np.abs(errors).max() < 4
    # The same experiment would notice a curve that is 3 % too high.
    wrong = [(true_z - 0.03 / 0.0025) for true_z in errors[1::2]]
    assert np.abs(wrong).max() > 4


ONE = np.array([0.5, 0.5])


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: DominatingPair(ONE, ONE[:1]),
            "member and non_member must have the same number of outputs, got 2 and 1",
        ),
        (
            lambda: DominatingPair(ONE[None], ONE[None]),
            r"member must have shape \(outputs\), got shape \(1, 2\)",
        ),
        (
            lambda: DominatingPair(np.array([1.5, -0.5]), ONE),
            "member must have no negative probability, got -0.5",
        ),
        (lambda: DominatingPair(ONE, ONE * 0.9), "non_member must sum to 1, got 0.9"),
        (lambda: DominatingPair(ONE * np.nan, ONE), "member must hold no NaN, got 2 of 2 values"),
        (lambda: DominatingPair(ONE, ONE).tpr(1.1), r"fpr must be in \[0, 1\], got 1.1"),
        (lambda: DominatingPair(ONE, ONE).tpr(np.nan), r"fpr must be a number, got nan"),
        (lambda: DominatingPair(ONE, ONE) ** 0, "times must be at least 1, got 0"),
        (lambda: tradeoff.pure(-1.0), "epsilon must be a finite number of at least 0, got -1.0"),
        (lambda: tradeoff.approximate(1.0, 1.5), r"delta must be in \[0, 1\], got 1.5"),
        (lambda: tradeoff.randomized_response(1.0, 1), "answers must be at least 2, got 1"),
        (lambda: GaussianCurve(np.inf), "mu must be a finite number of at least 0, got inf"),
        (lambda: GaussianCurve(1.0).tpr(-0.1), r"fpr must be in \[0, 1\], got -0.1"),
        (lambda: LaplaceCurve(-1.0), "epsilon must be a finite number of at least 0, got -1.0"),
        (lambda: tradeoff.epsilon_at(GaussianCurve(1.0), -0.1), r"delta must be in \[0, 1\], got -0.1"),
        (lambda: tradeoff.accuracy(GaussianCurve(1.0), prior=1.0), r"prior must be in \(0, 1\), got 1.0"),
        (lambda: tradeoff.epsilon_from_rates(0.1, 1.2), r"tpr must be in \[0, 1\], got 1.2"),
        (lambda: tradeoff.outer_polygon(GaussianCurve(1.0).delta, np.array([1.0, 0.0])), "epsilon must rise"),
        (
            lambda: tradeoff.outer_polygon(GaussianCurve(1.0).delta, np.array([-99.0])),
            "largest epsilon must have a delta below 1",
        ),
    ],
)
def test_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_curves_of_different_kinds_are_not_multiplied_silently():
    with pytest.raises(TypeError, match="unsupported operand"):
        tradeoff.pure(1.0) * GaussianCurve(1.0)  # type: ignore[operator]
