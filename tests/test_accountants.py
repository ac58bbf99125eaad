"""Accountants for the sampled Gaussian: against quadrature, closed forms and dp-accounting."""

import math
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from dp_accounting import dp_event, rdp
from dp_accounting.pld import privacy_loss_distribution as pld
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import norm

from mialab import tradeoff
from mialab.accounting import (
    Guarantee,
    Neighbours,
    SampledGaussian,
    _discretize,
    gdp_approximation,
    privacy_loss,
    renyi,
    smallest_noise,
)

ADD = Neighbours.ADD_REMOVE

# σ, q, steps, δ; then ε of dp-accounting at grids 1e-4 and 2e-5, by Rényi, and by the central limit.
RUNS = [
    (1.5, 0.04, 2250, 1e-5, 6.7687874, 6.7687807, 7.329335, 6.601567),
    (1.3, 0.0025, 6000, 1e-5, 0.6401109, 0.6400080, 0.724223, 0.622997),
    (1.0, 0.001, 30000, 1e-7, 1.0981998, 1.0976965, 1.415499, 1.066419),
    (4.0, 0.01, 10000, 1e-5, 0.9469993, 0.9468721, 1.035490, 0.942440),
    (1.0, 0.01, 1000, 1e-5, 1.8282436, 1.8282369, 2.101367, 1.617712),
    (1.0, 0.1, 100, 1e-3, 4.7843502, 4.7843500, 5.655053, 4.401181),
    (1.1, 256 / 60000, 14062, 1e-5, 2.3816860, 2.3816005, 2.5970, 2.3243),
]
FINEST = {30000: 1.0976777}  # dp-accounting at grid 5e-6, where 2e-5 is not yet the truth


@cache
def curve(noise, rate, steps):
    return privacy_loss.curve(SampledGaussian(noise, rate, steps))


def likelihoods(output, noise, rate):
    """Return the densities with the record and without it."""
    absent = norm.pdf(output, 0, noise)
    return (1 - rate) * absent + rate * norm.pdf(output, 1, noise), absent


def exact_delta(epsilon, noise, rate, removed=True):
    """Return δ of one step, from the one output at which the likelihood ratio is e^ε."""
    sign = 1 if removed else -1
    rest = math.exp(sign * epsilon) - (1 - rate)
    cut = noise**2 * math.log(rest / rate) + 0.5 if rest > 0 else -math.inf
    absent, shifted = ndtr(-sign * cut / noise), ndtr(-sign * (cut - 1) / noise)
    present = (1 - rate) * absent + rate * shifted
    gap = present - math.exp(epsilon) * absent if removed else absent - math.exp(epsilon) * present
    return max(gap, 0.0)


def slow_delta(epsilon, first, second, removed=True):
    """Return δ of two steps by quadrature: what the first one's output leaves of ε is for the second."""

    def left_over(output):
        present, absent = likelihoods(output, first.noise_multiplier, first.sampling_rate)
        here, there = (present, absent) if removed else (absent, present)
        left = epsilon - math.log(here / there)
        return here * exact_delta(left, second.noise_multiplier, second.sampling_rate, removed)

    far = 9 * first.noise_multiplier
    return quad(left_over, -far, 1 + far, epsabs=1e-13, epsrel=1e-10, limit=400)[0]


# --- the privacy loss accountant -----------------------------------------------------------------------


@pytest.mark.parametrize(("noise", "rate"), [(1.0, 0.1), (4.0, 0.01), (0.5, 0.5), (0.8, 1e-3), (2.0, 0.99)])
@pytest.mark.parametrize("epsilon", [0.0, 0.003, 0.05, 0.5, 1.5])
def test_definition_one_step_has_the_closed_form_in_both_directions(noise, rate, epsilon):
    both = curve(noise, rate, 1)
    removed, added = exact_delta(epsilon, noise, rate), exact_delta(epsilon, noise, rate, removed=False)
    assert removed - 1e-14 <= both.delta(epsilon) <= removed * (1 + 2e-3) + 1e-14
    assert added - 1e-14 <= both.swapped().delta(epsilon) <= added * (1 + 2e-3) + 1e-6


@pytest.mark.parametrize("epsilon", [0.0, 0.2, 1.0, 3.0])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (SampledGaussian(1.0, 0.1, 1), SampledGaussian(1.0, 0.1, 1)),
        (SampledGaussian(0.8, 0.3, 1), SampledGaussian(2.0, 0.9, 1)),
    ],
)
def test_definition_two_different_steps_by_quadrature(first, second, epsilon):
    both = privacy_loss.curve(first, second)
    grid = 2e-8  # what it adds to δ = 1.4e-7 at ε = 0.2, just below the largest loss of adding, 2·ln(1/0.9)
    for removed, mine in ((True, both), (False, both.swapped())):
        slow = slow_delta(epsilon, first, second, removed)
        assert slow * (1 - 1e-9) - 1e-15 <= mine.delta(epsilon) <= slow * (1 + 1e-4) + grid


def test_definition_a_step_on_the_grid_is_never_less_telling():
    step = SampledGaussian(0.7, 0.2, 1)
    for spacing in (1.0, 0.3, 0.01):
        one = _discretize.discretize(step, spacing, (-1.0, 3.0))
        assert one.chance.sum() + one.sure == pytest.approx(1, abs=1e-14)
        assert (one.chance * np.exp(-one.loss)).sum() + one.sure_not == pytest.approx(1, abs=1e-14)
        for epsilon in np.linspace(0, 5, 26):
            coarse = one.sure + (one.chance * np.maximum(-np.expm1(epsilon - one.loss), 0)).sum()
            assert coarse >= exact_delta(epsilon, 0.7, 0.2) - 1e-15
        assert one.sure > 0


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"T={run[2]}")
def test_oracle_dp_accounting(run):
    noise, rate, steps, delta, coarse, fine, _, _ = run
    epsilon = privacy_loss.guarantee(SampledGaussian(noise, rate, steps), delta=delta).epsilon
    assert FINEST.get(steps, fine) - 1e-5 <= epsilon <= coarse + 1e-3
    assert epsilon == pytest.approx(FINEST.get(steps, fine), abs=3e-5)


def test_oracle_dp_accounting_runs_here_too():
    theirs = pld.from_gaussian_mechanism(4.0, value_discretization_interval=2e-5, sampling_prob=0.01)
    theirs = theirs.self_compose(10_000)
    ours = curve(4.0, 0.01, 10_000)
    for delta in (1e-3, 1e-7, 1e-9):
        assert tradeoff.epsilon_at(ours, delta) == pytest.approx(
            theirs.get_epsilon_for_delta(delta), abs=3e-5
        )


def test_oracle_advantage_and_tpr_at_a_low_fpr():
    assert tradeoff.advantage(curve(1.5, 0.04, 2250)) == pytest.approx(0.514138, abs=5e-6)
    assert curve(1.5, 0.04, 2250).tpr(0.001) == pytest.approx(0.0476, abs=5e-5)
    assert tradeoff.advantage(curve(4.0, 0.01, 10_000)) == pytest.approx(0.1009935, abs=1e-6)
    assert curve(4.0, 0.01, 10_000).tpr(0.001) == pytest.approx(0.00229, abs=5e-6)


@pytest.mark.parametrize(("noise", "steps"), [(1.0, 1), (5.0, 1), (10.0, 400), (0.05, 1), (30.0, 10_000)])
def test_limit_without_sampling_it_is_the_gaussian_curve(noise, steps):
    exact, ours = tradeoff.GaussianCurve(math.sqrt(steps) / noise), curve(noise, 1.0, steps)
    for mine in (ours, ours.swapped()):
        for fpr in (1e-8, 1e-4, 0.01, 0.3, 0.9):
            assert exact.tpr(fpr) * (1 - 1e-8) <= mine.tpr(fpr) <= exact.tpr(fpr) * (1 + 3e-5)
        for epsilon in (0.0, 0.5, 2.0, 4.0):
            assert exact.delta(epsilon) * (1 - 1e-8) <= mine.delta(epsilon)
            assert mine.delta(epsilon) <= exact.delta(epsilon) * (1 + 1e-3) + 1e-18


def errors_in_the_tail():
    """Return how far off ε is, for tiny δ, in 10,000 steps without sampling."""
    exact, ours = tradeoff.GaussianCurve(0.5), privacy_loss.curve(SampledGaussian(200.0, 1.0, 10_000))
    return [
        tradeoff.epsilon_at(ours, delta) - tradeoff.epsilon_at(exact, delta)
        for delta in (1e-7, 1e-10, 1e-13, 1e-16)
    ]


def test_limit_tiny_deltas_and_a_plain_transform_does_not_see_them(monkeypatch):
    assert all(-1e-6 <= error <= 2e-4 for error in errors_in_the_tail())
    tilted = privacy_loss.plan
    monkeypatch.setattr(privacy_loss, "plan", lambda phases: replace(tilted(phases), tilts=np.zeros(1)))
    assert max(np.abs(errors_in_the_tail())) > 0.1


def test_coverage_what_lies_beyond_a_grid_is_counted(monkeypatch):
    whole = privacy_loss.plan

    def narrow(phases):
        full = whole(phases)
        return replace(full, ends=(full.ends[0] / 3, full.ends[1] / 3), slopes=(5.0, 5.0))

    monkeypatch.setattr(privacy_loss, "plan", narrow)
    with pytest.raises(
        ValueError, match=r"member must sum to 1, got 1\.0"
    ):  # refused: never too small a promise
        privacy_loss.curve(SampledGaussian(4.0, 0.01, 10_000))


def test_limit_many_phases_are_one_and_rare_steps_tell_nothing():
    parts = privacy_loss.guarantee(*[SampledGaussian(1.0, 0.01, 250)] * 4, delta=1e-5)
    assert parts.epsilon == pytest.approx(1.8282369, abs=3e-5)
    assert tradeoff.advantage(curve(1.0, 1e-7, 1)) < 1e-7
    assert privacy_loss.guarantee(SampledGaussian(1.0, 1e-7, 10), delta=1e-5).epsilon == 0


def test_oracle_phases_that_differ():
    parts = [SampledGaussian(2.0, 0.05, 200), SampledGaussian(1.0, 0.01, 300)]
    theirs = None
    for part in parts:
        one = pld.from_gaussian_mechanism(
            part.noise_multiplier, value_discretization_interval=1e-4, sampling_prob=part.sampling_rate
        ).self_compose(part.steps)
        theirs = one if theirs is None else theirs.compose(one)
    assert theirs is not None
    ours = privacy_loss.guarantee(*parts, delta=1e-6).epsilon
    assert ours == pytest.approx(theirs.get_epsilon_for_delta(1e-6), abs=1e-4)
    delta = privacy_loss.delta(*parts, epsilon=1.0)
    assert delta == pytest.approx(theirs.get_delta_for_epsilon(1.0), rel=1e-3)


SOME = st.builds(
    SampledGaussian,
    noise_multiplier=st.floats(0.4, 20),
    sampling_rate=st.floats(1e-4, 1).map(lambda q: round(q, 4)),
    steps=st.integers(1, 300),
)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(SOME)
def test_definition_less_noise_more_sampling_or_more_steps_promise_less(run):
    delta = 1e-5
    here = privacy_loss.guarantee(run, delta=delta).epsilon
    worse = [
        SampledGaussian(run.noise_multiplier * 0.9, run.sampling_rate, run.steps),
        SampledGaussian(run.noise_multiplier, min(1.0, run.sampling_rate * 1.1), run.steps),
        SampledGaussian(run.noise_multiplier, run.sampling_rate, run.steps + 1 + run.steps // 5),
    ]
    for other in worse:
        assert privacy_loss.guarantee(other, delta=delta).epsilon >= here * (1 - 1e-6)
    assert renyi.guarantee(run, delta=delta).epsilon >= here * (1 - 1e-6) - 1e-9


@settings(max_examples=12, deadline=None, derandomize=True)
@given(SOME)
def test_definition_delta_falls_and_is_convex_in_the_power_of_epsilon(run):
    both = privacy_loss.curve(run)
    power = np.linspace(1, 20, 60)
    for delta in (both.delta(np.log(power)), both.swapped().delta(np.log(power))):
        assert (np.diff(delta) <= 1e-15).all()
        assert (np.diff(delta, 2) >= -1e-14).all()


@pytest.mark.parametrize("turned", [False, True])
def test_definition_a_promise_holds_for_removing_and_for_adding(turned, monkeypatch):
    """Of a lopsided pair the worse direction counts: at ε ≥ ln 2, δ is 0.3 − 0.1·e^ε or 0.5 − 0.1·e^ε."""
    lopsided = tradeoff.DominatingPair(np.array([0.3, 0.6, 0.1]), np.array([0.1, 0.4, 0.5]))
    pair = lopsided.swapped() if turned else lopsided
    monkeypatch.setattr(privacy_loss, "_curve", lambda *_: pair)
    run = SampledGaussian(1.0, 1.0, 1)
    assert tradeoff.epsilon_at(lopsided, 0.1) == pytest.approx(math.log(2), rel=1e-9)
    assert privacy_loss.guarantee(run, delta=0.1).epsilon == pytest.approx(math.log(4), rel=1e-9)
    assert privacy_loss.least_epsilon(run, delta=0.1) == pytest.approx(math.log(4), rel=1e-9)
    assert privacy_loss.delta(run, epsilon=1.0) == pytest.approx(0.5 - 0.1 * math.e, rel=1e-9)


# --- the Rényi accountant ------------------------------------------------------------------------------


@pytest.mark.parametrize(("noise", "rate"), [(2.5, 0.01), (1.0, 0.3), (0.6, 0.001), (3.0, 1.0)])
@pytest.mark.parametrize("order", [1.1, 1.5, 2.0, 2.5, 5.0, 17.3])
def test_definition_the_divergence_is_the_integral(noise, rate, order):
    def moment(output):
        exponent = (output - 0.5) / noise**2
        with np.errstate(divide="ignore"):
            loss = np.logaddexp(np.log1p(-rate), np.log(rate) + exponent)
        return np.exp(order * loss + norm.logpdf(output, 0, noise))

    far = 12 * noise
    slow = sum(
        quad(moment, a, b, epsabs=0, epsrel=1e-12, limit=300)[0]
        for a, b in ((-far, 0), (0, order), (order, order + far))
    )
    ours = renyi.divergence(SampledGaussian(noise, rate, 7), orders=np.array([order]))
    assert ours[0] == pytest.approx(7 * math.log(slow) / (order - 1), rel=1e-7, abs=1e-12)


def test_oracle_orders_of_dp_accounting():
    run, orders = SampledGaussian(2.5, 0.01, 50), [1.5, 2.5, 5.0, 50.0, 100.0]
    theirs = [6.70579741e-4, 1.08548710e-3, 2.18075656e-3, 2.38460375e-2, 167.416308]
    ours = renyi.divergence(run, orders=np.array(orders))
    np.testing.assert_allclose(ours[2:], theirs[2:], rtol=1e-8)
    assert (ours[:2] <= theirs[:2]).all()  # at fractions theirs are chords between whole orders: above
    accountant = rdp.RdpAccountant(orders[2:])
    step = dp_event.PoissonSampledDpEvent(0.01, dp_event.GaussianDpEvent(2.5))
    accountant.compose(dp_event.SelfComposedDpEvent(step, 50))
    epsilon = renyi.guarantee(run, delta=1e-5, orders=np.array(orders[2:])).epsilon
    assert epsilon == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-6)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"T={run[2]}")
def test_oracle_promises_by_renyi(run):
    noise, rate, steps, delta, _, fine, theirs, _ = run
    epsilon = renyi.guarantee(SampledGaussian(noise, rate, steps), delta=delta).epsilon
    assert fine < epsilon <= theirs * (1 + 1e-4)


def test_oracle_the_same_run_has_had_four_epsilons():
    run = SampledGaussian(1.1, 256 / 60000, 14_062)
    four = [
        renyi.guarantee_mironov2017(run, delta=1e-5).epsilon,
        renyi.guarantee(run, delta=1e-5).epsilon,
        privacy_loss.guarantee(run, delta=1e-5).epsilon,
        tradeoff.epsilon_at(gdp_approximation(run), 1e-5),
    ]
    np.testing.assert_allclose(four, [3.0091, 2.5970, 2.3817, 2.3243], atol=1e-3)
    assert renyi.guarantee_mironov2017(SampledGaussian(4.0, 0.01, 10_000), delta=1e-5).epsilon == (
        pytest.approx(1.2586, abs=1e-4)
    )


def test_limit_steps_that_differ_add_up():
    one, other = SampledGaussian(1.0, 0.01, 30), SampledGaussian(2.0, 0.1, 7)
    both = renyi.divergence(one, other)
    np.testing.assert_allclose(both, renyi.divergence(one) + renyi.divergence(other), rtol=1e-13)


@pytest.mark.parametrize("noise", [0.5, 0.0])
def test_limit_no_steps_release_nothing_and_epsilon_is_0(noise):
    class Recipe:
        noise_multiplier, sampling_rate, steps = noise, 0.1, 0

    for accountant in (privacy_loss.guarantee, renyi.guarantee, renyi.guarantee_mironov2017):
        assert accountant(Recipe(), delta=1e-5) == Guarantee(0.0, 1e-5, ADD)
    assert privacy_loss.least_epsilon(Recipe(), delta=1e-5) == 0
    assert privacy_loss.delta(Recipe(), epsilon=0.0) == 0
    assert not renyi.divergence(Recipe()).any()
    assert gdp_approximation(Recipe()).mu == 0
    np.testing.assert_array_equal(privacy_loss.curve(Recipe()).tpr(np.array([0.0, 0.3, 1.0])), [0, 0.3, 1])
    some = SampledGaussian(1.0, 0.01, 100)
    assert privacy_loss.guarantee(Recipe(), some, delta=1e-5) == privacy_loss.guarantee(some, delta=1e-5)


def test_a_guarantee_says_whose_part_of_the_data_the_recipe_protects():
    class Federation:
        noise_multiplier, sampling_rate, steps, unit = 1.0, 0.1, 10, "client"

    for accountant in (privacy_loss.guarantee, renyi.guarantee, renyi.guarantee_mironov2017):
        assert accountant(Federation(), Federation(), delta=1e-5).unit == "client"
        with pytest.raises(ValueError, match="phases must protect the same unit, got client and record"):
            accountant(Federation(), FINE, delta=1e-5)


# --- the central limit, and the search -----------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"T={run[2]}")
def test_oracle_the_central_limit_is_below_the_truth(run):
    noise, rate, steps, delta, _, fine, _, near = run
    described = tradeoff.epsilon_at(gdp_approximation(SampledGaussian(noise, rate, steps)), delta)
    assert described == pytest.approx(near, abs=5e-5)
    assert described < fine


@pytest.mark.parametrize(
    ("epsilon", "delta", "rate", "steps"),
    [(1.0, 1e-5, 0.01, 1000), (8.0, 1e-5, 0.5, 20), (0.1, 1e-6, 0.01, 9)],
)
def test_definition_the_noise_keeps_the_promise_and_a_little_less_does_not(epsilon, delta, rate, steps):
    noise = smallest_noise(Guarantee(epsilon, delta, ADD), sampling_rate=rate, steps=steps)
    assert privacy_loss.guarantee(SampledGaussian(noise, rate, steps), delta=delta).epsilon <= epsilon
    less = SampledGaussian(noise * (1 - 2e-3), rate, steps)
    assert privacy_loss.guarantee(less, delta=delta).epsilon > epsilon


@pytest.mark.parametrize(("epsilon", "noise"), [(0.5, 7.031827), (1.0, 3.730632), (8.0, 0.600229)])
def test_oracle_the_noise_of_balle_and_wang(epsilon, noise):
    found = smallest_noise(Guarantee(epsilon, 1e-5, ADD), sampling_rate=1.0, steps=1, precision=1e-4)
    assert noise * (1 - 1e-6) <= found <= noise * (1 + 2e-4)


@pytest.mark.parametrize(
    ("epsilon", "delta", "rate", "steps", "noise"),
    [
        (0.003, 1e-5, 1.0, 1, 692.005),
        (0.01, 1e-8, 1.0, 1, 412.357),
        (0.003, 1e-5, 1.0, 100, 6920.05),
        (0.0, 1e-5, 1.0, 1, 39894.228),  # 1/(2Φ⁻¹((1 + δ)/2))
        (65.0, 1e-5, 0.02, 5000, 0.4905),
        (1.0, 1e-18, 1.0, 1, 8.333),
    ],
)
def test_limit_the_search_answers_at_both_ends(epsilon, delta, rate, steps, noise):
    found = smallest_noise(Guarantee(epsilon, delta, ADD), sampling_rate=rate, steps=steps)
    assert noise * (1 - 1e-3) <= found <= noise * (1 + 2e-3)
    run = SampledGaussian(found, rate, steps)
    assert privacy_loss.guarantee(run, delta=delta).epsilon <= epsilon
    if rate == 1:
        exact = tradeoff.GaussianCurve(math.sqrt(steps) / found)
        assert exact.delta(epsilon) <= delta


def test_limit_an_epsilon_beyond_what_the_accountant_follows_gets_enough_noise():
    found = smallest_noise(Guarantee(1e5, 1e-5, ADD), sampling_rate=1.0, steps=1)
    assert privacy_loss.guarantee(SampledGaussian(found, 1.0, 1), delta=1e-5).epsilon < 1e5
    assert privacy_loss.least_epsilon(SampledGaussian(found * 0.998, 1.0, 1), delta=1e-5) == math.inf


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.longdouble])
def test_definition_numbers_of_any_kind_mean_the_same(kind):
    typed = SampledGaussian(kind(1.5), kind(0.25), np.uint8(200))
    plain = SampledGaussian(1.5, 0.25, 200)
    delta = kind(2.0**-10)
    for accountant in (privacy_loss, renyi):
        ours, theirs = (accountant.guarantee(run, delta=delta) for run in (plain, typed))
        assert ours == theirs
        assert type(theirs.epsilon) is type(theirs.delta) is float
    assert np.array_equal(renyi.divergence(plain), renyi.divergence(typed))
    assert renyi.guarantee_mironov2017(plain, delta=delta) == renyi.guarantee_mironov2017(typed, delta=delta)
    assert gdp_approximation(plain) == gdp_approximation(typed)
    assert privacy_loss.delta(plain, epsilon=1.0) == privacy_loss.delta(typed, epsilon=kind(1.0))
    target = Guarantee(kind(1), kind(2.0**-10), ADD)
    found = smallest_noise(target, sampling_rate=kind(0.25), steps=np.int8(10), precision=kind(0.25))
    assert found == smallest_noise(
        Guarantee(1.0, 2.0**-10, ADD), sampling_rate=0.25, steps=10, precision=0.25
    )


@pytest.mark.parametrize("steps", [10**7, 10**8, 10**9])
def test_limit_many_steps_are_a_gaussian(steps):
    mu, rate = 0.5, 1e-3
    run = SampledGaussian(rate * math.sqrt(steps) / mu, rate, steps)
    epsilon = privacy_loss.guarantee(run, delta=1e-5).epsilon
    near = tradeoff.epsilon_at(tradeoff.GaussianCurve(mu), 1e-5)
    assert near * (1 - 1e-4) <= epsilon <= near * 1.04  # the grid is coarse for so many
    assert renyi.guarantee(run, delta=1e-5).epsilon > epsilon


@pytest.mark.parametrize("delta", [1e-12, 1e-18, 1e-19])
def test_limit_a_tiny_delta_is_answered_on_the_safe_side_or_refused_by_name(delta):
    run, exact = SampledGaussian(2.0, 1.0, 4), tradeoff.GaussianCurve(1.0)
    epsilon = privacy_loss.guarantee(run, delta=delta).epsilon
    assert tradeoff.epsilon_at(exact, delta) <= epsilon <= tradeoff.epsilon_at(exact, delta) * 1.1
    for tiny in (1e-21, 1e-30, 1e-300, 5e-324):
        with pytest.raises(ValueError, match=r"delta must be above what lies beyond the grid, .*, got"):
            privacy_loss.guarantee(run, delta=tiny)
        assert privacy_loss.least_epsilon(run, delta=tiny) == math.inf
        with pytest.raises(ValueError, match=r"target.delta must be at least 1e-18, .*, got"):
            smallest_noise(Guarantee(1.0, tiny, ADD), sampling_rate=0.1, steps=10)


EXTREME = [1e-144, 1e-20, 1e-3, 0.02, 0.3, 1e4, 1e9, 1e12, 1e100, 1e144]


def unless_refused(ask, rule):
    """Return the answer, or None if it was refused in these words."""
    try:
        return ask()
    except ValueError as refused:
        if not re.match(rule, str(refused)):
            raise
        return None


@pytest.mark.parametrize("noise", EXTREME)
@pytest.mark.parametrize("rate", [5e-324, 1e-100, 1e-16, 1e-9, 0.01, 1 - 1e-16, 1.0])
def test_limit_every_accountant_answers_or_says_why_not(noise, rate):
    run = SampledGaussian(noise, rate, 1000)
    too_little = "privacy losses must be at most 700, got .*: there is too little noise"
    found = unless_refused(lambda: privacy_loss.guarantee(run, delta=1e-5), too_little)
    if found:
        assert 0 <= privacy_loss.delta(run, epsilon=found.epsilon) <= 1.01e-5
        surely = tradeoff.epsilon_at(tradeoff.GaussianCurve(math.sqrt(1000) / noise), 1e-5)
        assert found.epsilon <= surely * (1 + 1e-3) + 1e-6
    assert found or noise < 2
    assert renyi.guarantee(run, delta=1e-5).epsilon >= 0
    unless_refused(
        lambda: gdp_approximation(run),
        "noise_multiplier must be large enough for a finite μ, got μ = inf",
    )


def test_definition_moments_are_never_below_the_truth():
    rare = SampledGaussian(1.0, 1e-9, 10**7)
    exact = 10**7 * 1e-18 * math.expm1(1)  # ln(1 + q²(e^(1/σ²) − 1)), at order 2
    assert renyi.divergence(rare, orders=np.array([2.0]))[0] >= exact


# --- the door ------------------------------------------------------------------------------------------

FINE = SampledGaussian(1.0, 0.1, 10)
GOAL = Guarantee(1.0, 1e-5, ADD)


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SampledGaussian(0.0, 0.1, 10), "noise_multiplier must be a finite number above 0, got 0.0"),
        (
            lambda: SampledGaussian(-1.0, 0.1, 10),
            "noise_multiplier must be a finite number above 0, got -1.0",
        ),
        (
            lambda: SampledGaussian(math.nan, 0.1, 10),
            "noise_multiplier must be a number, got nan",
        ),
        (lambda: SampledGaussian(1e-200, 0.1, 10), r"noise_multiplier must be between 3e-145 and 3e\+144"),
        (lambda: SampledGaussian(1.0, 0.1, math.nan), "steps must be a whole number, got nan"),
        (
            lambda: privacy_loss.guarantee(SampledGaussian(1e6, 0.1, 10**10), delta=0.1),
            r"steps must sum to at most 1e\+09, beyond which rounding counts, got 10000000000",
        ),
        (lambda: smallest_noise(GOAL, sampling_rate=0.1, steps=2.5), "steps must be a whole number, got 2.5"),
        (
            lambda: smallest_noise(GOAL, sampling_rate="1", steps=2),
            r"sampling_rate must be a number, got '1'",
        ),
        (lambda: privacy_loss.guarantee(FINE, delta=math.nan), r"delta must be a number, got nan"),
        (lambda: SampledGaussian(1.0, 0.0, 10), r"sampling_rate must be in \(0, 1\], got 0.0"),
        (lambda: SampledGaussian(1.0, 1.1, 10), r"sampling_rate must be in \(0, 1\], got 1.1"),
        (lambda: SampledGaussian(1.0, 0.1, -1), "steps must be at least 0, got -1"),
        (lambda: smallest_noise(GOAL, sampling_rate=0.1, steps=0), "steps must be at least 1, got 0"),
        (lambda: SampledGaussian(1.0, 0.1, 1.5), "steps must be a whole number, got 1.5"),
        (lambda: privacy_loss.curve(), "number of phases must be at least 1, got 0"),
        (
            lambda: privacy_loss.curve(SampledGaussian(0.02, 1.0, 1)),
            r"privacy losses must be at most 700, got \d+: there is too little noise",
        ),
        (lambda: privacy_loss.guarantee(FINE, delta=0.0), r"delta must be in \(0, 1\), got 0.0"),
        (lambda: privacy_loss.guarantee(FINE, delta=1.0), r"delta must be in \(0, 1\), got 1.0"),
        (
            lambda: privacy_loss.delta(FINE, epsilon=-1.0),
            "epsilon must be a finite number of at least 0, got -1.0",
        ),
        (lambda: renyi.guarantee(FINE, delta=1.2), r"delta must be in \(0, 1\), got 1.2"),
        (lambda: renyi.guarantee_mironov2017(FINE, delta=0.0), r"delta must be in \(0, 1\), got 0.0"),
        (lambda: renyi.divergence(FINE, orders=np.array([1.0, 2.0])), "orders must be above 1, got 1.0"),
        (lambda: renyi.divergence(), "number of phases must be at least 1, got 0"),
        (lambda: gdp_approximation(), "number of phases must be at least 1, got 0"),
        (
            lambda: smallest_noise(Guarantee(1.0, 0.0, ADD), sampling_rate=0.1, steps=1),
            r"target.delta must be in \(0, 0.1\), below the chance of ever taking part, got 0.0",
        ),
        (
            lambda: smallest_noise(Guarantee(1.0, 0.2, ADD), sampling_rate=0.1, steps=1),
            r"target.delta must be in \(0, 0.1\), below the chance of ever taking part, got 0.2",
        ),
        (
            lambda: smallest_noise(Guarantee(1.0, 1e-5, Neighbours.REPLACE), sampling_rate=0.1, steps=1),
            "target must be for add-remove, got ε ≤ 1",
        ),
        (
            lambda: smallest_noise(Guarantee(1.0, 1e-5, ADD), sampling_rate=0.1, steps=1, precision=0.0),
            "precision must be a finite number above 0, got 0.0",
        ),
    ],
)
def test_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.usefixtures("at_the_door")
def test_no_promise_without_noise_even_for_a_recipe_that_a_trainer_accepts():
    class Recipe:
        noise_multiplier, sampling_rate, steps = 0.0, 0.1, 10

    for ask in (privacy_loss.curve, renyi.divergence, gdp_approximation):
        with pytest.raises(ValueError, match=r"noise_multiplier must be a finite number above 0, got 0\.0"):
            ask(Recipe())


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", 2.7, r"steps must be a whole number, got 2\.7"),
        ("steps", True, "steps must be a whole number, got True"),
        ("steps", "10", "steps must be a whole number, got '10'"),
        ("noise_multiplier", "1", "noise_multiplier must be a number, got '1'"),
        ("sampling_rate", True, "sampling_rate must be a number, got True"),
    ],
)
def test_definition_a_recipe_from_elsewhere_is_read_as_it_is_or_refused(field, value, message):
    """2.7 steps once counted as 2, and promised too much."""

    class Recipe:
        noise_multiplier, sampling_rate, steps = 1.0, 0.1, 10

    recipe = Recipe()
    setattr(recipe, field, value)
    for ask in (privacy_loss.curve, renyi.divergence, gdp_approximation):
        with pytest.raises(ValueError, match=message):
            ask(recipe)
