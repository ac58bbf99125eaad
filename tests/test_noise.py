"""Noise: calibration against published numbers, exact sampling, and the attack on the last bit."""

import itertools
import math
import time
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_mechanism
from scipy.special import ndtr

from mialab.accounting import Neighbours
from mialab.mechanisms import discrete, discrete_gaussian, floating_point, noise
from mialab.mechanisms.discrete import DiscreteLaplace
from mialab.mechanisms.discrete_gaussian import DiscreteGaussian
from mialab.mechanisms.noise import Gaussian, Laplace, calibrate
from mialab.tradeoff import GaussianCurve, epsilon_at

ADD = Neighbours.ADD_REMOVE


# --- real-valued ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epsilon", "delta", "sigma"),
    [(0.5, 1e-5, 7.031827), (1, 1e-5, 3.730632), (8, 1e-5, 0.600229), (1, 1e-6, 4.224679)],
)
def test_oracle_analytic_calibration(epsilon, delta, sigma):
    assert calibrate(epsilon, delta) == pytest.approx(sigma, abs=5e-7)


@pytest.mark.parametrize("epsilon", [0.0, 0.01, 1.0, 20.0])
@pytest.mark.parametrize("delta", [1e-12, 1e-5, 0.3])
def test_definition_calibration_is_private_and_no_larger_than_it_must_be(epsilon, delta):
    sigma = calibrate(epsilon, delta)
    assert GaussianCurve(1 / sigma).delta(epsilon) <= delta
    assert GaussianCurve(1 / (sigma * (1 - 1e-9))).delta(epsilon) > delta


@pytest.mark.parametrize("delta", [1e-300, 1e-100, 1e-30, 1e-18, 1e-15, 1e-5, 0.3, 0.99])
def test_oracle_calibration_at_epsilon_zero_is_a_quantile(delta):
    sigma = mpmath.mpf(calibrate(0.0, delta))
    with mpmath.workdps(400):
        reached = mpmath.erf(1 / (2 * mpmath.sqrt(2) * sigma))  # σ = 1/(2Φ⁻¹((1 + δ)/2)), the other way
        assert mpmath.mpf(delta) * (1 - mpmath.mpf(10) ** -11) < reached <= mpmath.mpf(delta)


@pytest.mark.parametrize("epsilon", [1e-10, 0.01, 1.0, 700.0, 1e4, 1e8])
@pytest.mark.parametrize("delta", [1e-300, 1e-30, 1e-18, 0.5])
def test_oracle_calibration_is_private_to_sixty_digits(epsilon, delta):
    sigma = calibrate(epsilon, delta)

    def reached(sigma):
        with mpmath.workdps(420):
            m, e = 1 / mpmath.mpf(sigma), mpmath.mpf(epsilon)
            tail = [mpmath.erfc((e / m + side * m / 2) / mpmath.sqrt(2)) / 2 for side in (-1, 1)]
            return tail[0] - mpmath.exp(e) * tail[1]

    assert reached(sigma) <= mpmath.mpf(delta) < reached(sigma * (1 - 1e-9))


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 0.99])
def test_oracle_calibration_of_dp_accounting_and_the_older_formula(epsilon):
    theirs = privacy_loss_mechanism.GaussianPrivacyLoss.from_privacy_guarantee
    from dp_accounting.pld.common import DifferentialPrivacyParameters

    exact = theirs(DifferentialPrivacyParameters(epsilon, 1e-5)).standard_deviation
    assert calibrate(epsilon, 1e-5) == pytest.approx(exact, rel=1e-5)
    assert calibrate(epsilon, 1e-5) < math.sqrt(2 * math.log(1.25 / 1e-5)) / epsilon


def test_limit_the_older_formula_breaks_its_promise_at_a_large_epsilon():
    sigma = math.sqrt(2 * math.log(1.25 / 1e-5)) / 20
    assert GaussianCurve(1 / sigma).delta(20.0) > 1e-5


@pytest.mark.parametrize(
    ("mechanism", "below"),
    [
        (
            Laplace(0.5, 3.0, ADD),
            lambda x: np.where(x < 0, np.exp(x / 6) / 2, 1 - np.exp(-np.abs(x) / 6) / 2),
        ),
        (Gaussian(2.0, 3.0, ADD), lambda x: ndtr(x / 6)),
    ],
    ids=["laplace", "gaussian"],
)
def test_definition_the_noise_has_its_distribution(mechanism, below, rng):
    n = 20_000
    drawn = np.sort(mechanism(np.full(n, 7.0), rng=rng) - 7.0)
    assert np.abs(below(drawn) - np.arange(n) / n).max() < 1.95 / math.sqrt(n)  # Kolmogorov, 1 in 1,000
    assert np.abs(below(drawn / 1.1) - np.arange(n) / n).max() > 1.95 / math.sqrt(n)  # it would notice 10 %


@pytest.mark.parametrize("mechanism", [Laplace(0.5, 3.0, ADD), Gaussian(2.0, 3.0, ADD)])
def test_definition_every_number_has_noise_of_its_own(mechanism, rng):
    value = np.arange(4000.0).reshape(2000, 2)
    kept = value.copy()
    drawn = mechanism(value, rng=rng) - value
    assert np.array_equal(value, kept)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 4 / math.sqrt(2000)


def test_definition_receipts():
    laplace, gaussian = Laplace(0.5, 3.0, ADD), Gaussian(2.0, 3.0, ADD)
    assert (laplace.guarantee.epsilon, laplace.guarantee.delta, laplace.curve.epsilon) == (0.5, 0, 0.5)
    assert gaussian.curve.mu == 0.5
    assert gaussian.guarantee(1e-5).epsilon == pytest.approx(1.993091, abs=5e-7)
    assert gaussian.curve.delta(gaussian.guarantee(1e-5).epsilon) <= 1e-5


# --- exact ---------------------------------------------------------------------------------------------


class AllBytes(np.random.Generator):
    """Give every byte once, in order."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))
        self.left = iter(range(256))

    def bytes(self, length):
        assert length == 1
        return bytes([next(self.left)])


@pytest.mark.parametrize("end", [2, 3, 5, 7, 8])
def test_definition_below_is_exactly_uniform(end):
    bits = (end - 1).bit_length()
    given, kept = AllBytes(), 256 * end // 2**bits  # of all bytes, so many are not thrown away
    counts = np.bincount([discrete.below(end, rng=given) for _ in range(kept)], minlength=end)
    assert (counts == 256 // 2**bits).all()


def test_limit_below_one_there_is_only_zero(rng):
    assert discrete.below(1, rng=rng) == 0


def test_definition_below_goes_beyond_64_bits(rng):
    end = 3 * 2**100
    drawn = [discrete.below(end, rng=rng) for _ in range(3000)]
    assert max(drawn) < end
    thirds = np.bincount([number // 2**100 for number in drawn], minlength=3)
    assert np.abs(thirds - 1000).max() < 4 * math.sqrt(3000 * 2 / 9)


@pytest.mark.parametrize("rate", [Fraction(0), Fraction(1, 3), Fraction(1), Fraction(9, 4)])
def test_definition_the_coin_shows_heads_with_its_probability(rate, rng):
    n = 5000
    heads = sum(discrete.exp_coin(rate, rng=rng) for _ in range(n))
    chance = math.exp(-rate)
    assert abs(heads - n * chance) <= 4 * math.sqrt(n * chance * (1 - chance))


@pytest.mark.parametrize("rate", [Fraction(1, 2), Fraction(0.3), Fraction(7, 5)])
def test_definition_the_integers_have_their_probabilities(rate, rng):
    n, reach = 5000, 12
    drawn = np.array([discrete.discrete_laplace(rate, rng=rng) for _ in range(n)])
    chance = math.tanh(rate / 2) * np.exp(-float(rate) * np.abs(np.arange(-reach, reach + 1)))
    expected = n * chance
    seen = np.array([(drawn == k).sum() for k in range(-reach, reach + 1)])
    enough = expected >= 5
    chi2 = np.sum((seen - expected)[enough] ** 2 / expected[enough])
    assert chi2 < enough.sum() + 4 * math.sqrt(2 * enough.sum())
    assert abs(drawn.mean()) < 4 * drawn.std() / math.sqrt(n)


@pytest.mark.parametrize(
    ("sensitivity", "grid"), [(1.0, 1.0), (1.0, 0.25), (1.0, 0.3), (0.1, 1.0), (2.5, 1.0)]
)
def test_definition_rounding_never_moves_neighbours_further_than_the_steps(sensitivity, grid):
    steps = DiscreteLaplace(1.0, sensitivity, grid, ADD).steps
    apart = [Fraction(sensitivity) * share for share in (Fraction(1), Fraction(1, 2), Fraction(99, 100))]
    starts = [Fraction(number, 16) for number in range(-40, 41)] + [
        Fraction(grid) / 2,
        Fraction(grid) * 3 / 2,
    ]

    def rounded(x):
        return math.floor(x / Fraction(grid) + Fraction(1, 2))

    widest = max(abs(rounded(x + d) - rounded(x)) for x, d in itertools.product(starts, apart))
    assert widest == steps  # reached, and not passed
    # The float's own rounding, halves to the even neighbour, passes it.
    if (sensitivity, grid) == (1.0, 1.0):
        assert round(1.5) - round(0.5) == 2 > steps


@pytest.mark.parametrize("grid", [1.0, 0.25, 0.3])
def test_definition_the_nearest_grid_point_and_halves_go_up_always(grid):
    """With halves to the even neighbour, values a step apart would lie on points two steps apart."""
    mechanism = DiscreteLaplace(1e4, grid, grid, ADD)  # noise that is never seen
    for number in range(-9, 10):
        half = float(Fraction(grid) * (number + Fraction(1, 2)))
        assert discrete.nearest(number * grid, grid) == number
        assert discrete.nearest(math.nextafter(half, -math.inf), grid) == number
        assert discrete.nearest(math.nextafter(half, math.inf), grid) == number + 1
        if Fraction(half) == Fraction(grid) * (number + Fraction(1, 2)):
            assert discrete.nearest(half, grid) == number + 1
            assert mechanism(half, rng=np.random.default_rng(0)) == float(Fraction(grid) * (number + 1))


def test_definition_its_promise_on_the_grid_is_pure_epsilon():
    mechanism = DiscreteLaplace(0.7, 1.0, 0.3, ADD)
    rate, reach = 0.7 / mechanism.steps, np.arange(-60, 61)
    for shift in range(mechanism.steps + 1):
        losses = rate * (np.abs(reach - shift) - np.abs(reach))
        assert np.abs(losses).max() <= 0.7 * (1 + 1e-15)
    theirs = privacy_loss_mechanism.DiscreteLaplacePrivacyLoss(rate, sensitivity=mechanism.steps)
    assert theirs.get_delta_for_epsilon(0.7) == pytest.approx(0, abs=1e-15)
    assert theirs.get_delta_for_epsilon(0.69) > 0


def test_definition_what_is_released_lies_on_the_grid(rng):
    mechanism = DiscreteLaplace(0.5, 1.0, 0.25, ADD)
    released = np.array([mechanism(math.pi, rng=rng) for _ in range(200)])
    assert np.array_equal(released, np.round(released / 0.25) * 0.25)
    assert abs(np.median(released) - math.pi) < 1.5


@pytest.mark.parametrize("variance", [Fraction(1, 4), Fraction(2), Fraction(9)])
def test_definition_the_gaussian_integers_have_their_probabilities(variance, rng):
    n, reach = 3000, np.arange(-40, 41)
    drawn = np.array([discrete_gaussian.discrete_gaussian(variance, rng=rng) for _ in range(n)])
    chance = np.exp(-(reach**2) / (2 * float(variance)))
    expected = n * chance / chance.sum()
    seen = np.array([(drawn == k).sum() for k in reach])
    enough = expected >= 5
    chi2 = np.sum((seen - expected)[enough] ** 2 / expected[enough])
    assert chi2 < enough.sum() + 4 * math.sqrt(2 * enough.sum())


@pytest.mark.parametrize(("sigma", "grid", "steps"), [(1.0, 1.0, 1), (3.0, 1.0, 1), (2.0, 0.3, 4)])
def test_oracle_the_discrete_gaussian_of_dp_accounting(sigma, grid, steps):
    mechanism = DiscreteGaussian(sigma, 1.0, grid, ADD)
    assert mechanism.steps == steps
    theirs = privacy_loss_mechanism.DiscreteGaussianPrivacyLoss(sigma * steps, sensitivity=steps)
    for epsilon in (0.1, 0.5, 1.0, 2.0):
        assert mechanism.curve.delta(epsilon) == pytest.approx(
            theirs.get_delta_for_epsilon(epsilon), rel=1e-6
        )
    guarantee = mechanism.guarantee(1e-5)
    assert theirs.get_delta_for_epsilon(guarantee.epsilon) <= 1e-5 * (1 + 1e-9)


def test_definition_fewer_steps_are_harder_to_tell_apart():
    noise_of_three = DiscreteGaussian(1.0, 1.0, 0.4, ADD)  # three steps, spread 3
    assert noise_of_three.steps == 3
    for shift in (1, 2):
        fewer = privacy_loss_mechanism.DiscreteGaussianPrivacyLoss(3.0, sensitivity=shift)
        for epsilon in (0.0, 0.3, 1.0):
            assert fewer.get_delta_for_epsilon(epsilon) < noise_of_three.curve.delta(epsilon)


def test_limit_on_a_fine_grid_it_is_a_gaussian():
    smooth = float(GaussianCurve(0.5).delta(0.5))
    off = [
        abs(DiscreteGaussian(2.0, 1.0, grid, ADD).curve.delta(0.5) / smooth - 1) for grid in (1.0, 0.1, 0.01)
    ]
    assert off[1] < off[0] / 5
    assert off[2] < off[1] / 5
    assert off[2] < 0.01


def theorem_7(sigma, steps, epsilon):
    """Return δ from the two tails of Canonne, Kamath & Steinke 2020, summed up in fifty digits."""
    with mpmath.workdps(50):
        variance, e = (mpmath.mpf(sigma) * steps) ** 2, mpmath.mpf(float(epsilon))
        reach = int(40 * sigma * steps) + 2 * steps
        height = {k: mpmath.exp(-(mpmath.mpf(k) ** 2) / (2 * variance)) for k in range(-reach, reach + 1)}
        first, second = (e * variance / steps + side * mpmath.mpf(steps) / 2 for side in (-1, 1))
        above = [mpmath.fsum(h for k, h in height.items() if k > cut) for cut in (first, second)]
        return (above[0] - mpmath.exp(e) * above[1]) / mpmath.fsum(height.values())


@pytest.mark.parametrize(("sigma", "steps"), [(1.0, 1), (3.0, 2), (0.4, 7), (2.0, 40), (0.7, 60)])
@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0, 5.0])
def test_definition_the_bell_and_its_bound_are_not_below_theorem_7(sigma, steps, epsilon):
    exact = float(theorem_7(sigma, steps, epsilon))
    listed = DiscreteGaussian(sigma, float(steps), 1.0, ADD).curve.delta(epsilon)
    assert listed == pytest.approx(exact, rel=1e-9, abs=1e-30)
    wide = discrete_gaussian.WideBell(sigma, sigma * steps)
    real = float(GaussianCurve(1 / sigma).delta(epsilon))
    assert exact <= wide.delta(epsilon) <= real + 4 / (sigma * steps) ** 2
    assert wide.delta(-epsilon) == pytest.approx(
        1 - math.exp(-epsilon) + math.exp(-epsilon) * wide.delta(epsilon)
    )


@pytest.mark.parametrize(("sigma", "steps"), [(1.0, 1000), (10.0, 100), (0.2, 1000), (3.0, 1500)])
def test_definition_the_bound_is_near_and_on_the_safe_side_where_both_can_be_had(sigma, steps, monkeypatch):
    mechanism = DiscreteGaussian(sigma, float(steps), 1.0, ADD)
    losses = np.linspace(0, 0.5 / sigma**2 + 7 / sigma, 40)
    listed, here = mechanism.curve, [mechanism.guarantee(delta).epsilon for delta in (1e-3, 1e-9)]
    monkeypatch.setattr(discrete_gaussian, "_MOST", 0)
    bound, there = mechanism.curve, [mechanism.guarantee(delta).epsilon for delta in (1e-3, 1e-9)]
    assert (bound.delta(losses) >= listed.delta(losses) * (1 - 1e-12)).all()
    assert (bound.swapped().delta(losses) >= listed.swapped().delta(losses) * (1 - 1e-12)).all()
    rates = np.linspace(0, 1, 101)
    assert (bound.tpr(rates) >= listed.tpr(rates) - 1e-14).all()
    np.testing.assert_allclose(bound.tpr(rates), listed.tpr(rates), atol=2e-3)
    for sharp, safe in zip(here, there, strict=True):
        assert sharp <= safe <= sharp * (1 + 1e-4)


@pytest.mark.parametrize("sensitivity", [1e5, 1e6, 1e9])
@pytest.mark.parametrize("sigma", [0.3, 2.0, 50.0])
def test_limit_incomes_in_cents_have_a_promise_at_once(sensitivity, sigma):
    cents, start = DiscreteGaussian(sigma, sensitivity, 0.01, ADD), time.perf_counter()
    epsilon = cents.guarantee(1e-5).epsilon
    curve = cents.curve
    assert time.perf_counter() - start < 1
    real = epsilon_at(GaussianCurve(1 / sigma), 1e-5)
    assert real <= epsilon <= real * (1 + 1e-9)
    assert curve.delta(epsilon) <= 1.1e-5
    assert cents(12_345.67, rng=np.random.default_rng(1)) == pytest.approx(
        12_345.67, abs=9 * sigma * sensitivity
    )


# --- the last bit --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "scale"), [(0.0, 1.0), (1.0, 1.0), (1.0, 2.0), (-3.3, 0.1), (212.0, 2.0), (1e6, 10.0)]
)
def test_definition_what_comes_from_a_value_could_come_from_it(value, scale, rng):
    seen = np.array([floating_point.textbook_laplace(value, scale, rng=rng) for _ in range(1000)])
    assert floating_point.could_come_from(seen, value, scale).all()


def test_coverage_impossible_outputs_give_the_neighbour_away(rng):
    scale = 2.0  # ε = ½ for a count
    for value, other in ((0.0, 1.0), (1.0, 0.0)):
        seen = np.array([floating_point.textbook_laplace(value, scale, rng=rng) for _ in range(1000)])
        impossible = ~floating_point.could_come_from(seen, other, scale)
        assert impossible.mean() > 0.1  # a pure promise allows none


def test_limit_all_outputs_of_the_grid_could_come_from_both(rng):
    mechanism = DiscreteLaplace(0.5, 1.0, 1.0, ADD)
    from_0, from_1 = ({mechanism(value, rng=rng) for _ in range(2000)} for value in (0.0, 1.0))
    common = set(range(-5, 7))
    assert common <= from_0
    assert common <= from_1


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Laplace(0.0, 1.0, ADD), "epsilon must be a finite number above 0, got 0.0"),
        (lambda: Laplace(1.0, -1.0, ADD), "sensitivity must be a finite number above 0, got -1.0"),
        (lambda: Laplace(1.0, np.inf, ADD), "sensitivity must be a finite number above 0, got inf"),
        (
            lambda: Laplace(1.0, 1.0, ADD)(np.array([1.0, np.nan]), rng=np.random.default_rng()),
            "value must (be finite|be a number|hold no NaN)",
        ),
        (lambda: Gaussian(0.0, 1.0, ADD), "noise_multiplier must be a finite number above 0, got 0.0"),
        (lambda: Gaussian(1.0, np.nan, ADD), "sensitivity must be a number, got nan"),
        (lambda: Gaussian(1.0, 1.0, ADD).guarantee(0.0), r"delta must be in \(0, 1\], got 0.0"),
        (lambda: calibrate(1.0, 0.0), r"delta must be in \(0, 1\), got 0.0"),
        (lambda: calibrate(1.0, 1.2), r"delta must be in \(0, 1\), got 1.2"),
        (lambda: calibrate(1.0, 1e-301), "delta must be at least 1e-300, below which floats lose digits"),
        (lambda: calibrate(-1.0, 0.1), "epsilon must be a finite number of at least 0, got -1.0"),
        (lambda: DiscreteLaplace(1.0, 1.0, 0.0, ADD), "grid must be a finite number above 0, got 0.0"),
        (
            lambda: DiscreteLaplace(1.0, 1.0, 1.0, ADD)(np.nan, rng=np.random.default_rng()),
            "value must (be finite|be a number|hold no NaN)",
        ),
        (lambda: DiscreteGaussian(0.0, 1.0, 1.0, ADD), "noise_multiplier must be a finite number above 0"),
        (lambda: DiscreteGaussian(1.0, 1.0, 1.0, ADD).guarantee(0.0), r"delta must be in \(0, 1\], got 0.0"),
        (
            lambda: DiscreteGaussian(1.0, 1.0, 1.0, ADD).guarantee(1e-40),
            "delta must be above what the far tails weigh, got 1e-40",
        ),
        (
            lambda: floating_point.could_come_from(np.zeros(1), 0.0, 0.0),
            "scale must be a finite number above 0",
        ),
        (lambda: noise.Laplace(np.nan, 1.0, ADD), "epsilon must be a number, got nan"),
    ],
)
def test_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()
