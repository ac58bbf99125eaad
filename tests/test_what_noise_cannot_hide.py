"""What no noise protects is refused at the door, and whatever the numbers, a length is a length."""

import datetime
import math
from fractions import Fraction

import numpy as np
import pytest

from mialab.accounting import Neighbours
from mialab.leaks import gradients as gr
from mialab.mechanisms.discrete import DiscreteLaplace
from mialab.mechanisms.discrete_gaussian import DiscreteGaussian
from mialab.mechanisms.floating_point import could_come_from, textbook_laplace
from mialab.mechanisms.noise import Gaussian, Laplace
from mialab.mechanisms.randomized_response import RandomizedResponse
from mialab.mechanisms.shares import shares_of_people, shares_on_file

pytestmark = pytest.mark.usefixtures("at_the_door")

ADD = Neighbours.ADD_REMOVE
RNG = np.random.default_rng(0)


def textbook(value, *, rng):
    return textbook_laplace(value, 1.0, rng=rng)


def a_private_sum(value, *, rng):
    return gr.private_sum(np.reshape(value, (1, -1)), 1.0, 1.0, rng=rng)


REAL = [Laplace(1.0, 1.0, ADD), Gaussian(1.0, 1.0, ADD)]
EXACT = [DiscreteLaplace(1.0, 1.0, 1.0, ADD), DiscreteGaussian(1.0, 1.0, 1.0, ADD)]
NO_SECRETS = {
    "complex": 3 + 41j,
    "bool": True,
    "string": "3",
    "none": None,
    "date": np.datetime64("2020-01-01"),
    "timedelta": np.timedelta64(3, "s"),
    "nan": math.nan,
    "infinite": -math.inf,
    "integer that no float holds": 2**53 + 1,
    "integer beyond 64 bits": 2**70,
    "more bits than the noise": np.longdouble(1) / 3,
}


@pytest.mark.parametrize("value", NO_SECRETS.values(), ids=NO_SECRETS)
@pytest.mark.parametrize("mechanism", [*REAL, *EXACT, textbook, gr.clip], ids=repr)
def test_definition_noise_is_for_finite_real_numbers(mechanism, value):
    is_clip = mechanism is gr.clip
    for shaped in [value] if mechanism in EXACT or mechanism is textbook else [np.array([[value]])]:
        with pytest.raises(ValueError, match=r"(value|gradients) must (be|have|hold)"):
            gr.clip(shaped, 1.0) if is_clip else mechanism(shaped, rng=RNG)


BAD = {"nan": math.nan, "infinite": math.inf, "large": 1.25e300, "integer": 2**53 + 711}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("mechanism", [*REAL, RandomizedResponse(0.75), a_private_sum], ids=repr)
def test_definition_a_refusal_says_neither_which_nor_what(mechanism, bad):
    """The same words, whichever of a thousand values it is, and whatever the others are."""
    said = []
    for place, others in ((17, 0), (640, 1)):
        value = np.full(1000, others, dtype=type(bad))
        value[place] = bad
        try:
            mechanism(value, rng=RNG)
        except ValueError as error:
            said.append(str(error))
    assert len(set(said)) <= 1
    assert not any(figure in one for one in said for figure in ("17", "640", "1.25", "711"))


@pytest.mark.parametrize("mechanism", [*REAL, *EXACT, textbook, a_private_sum], ids=repr)
def test_definition_what_a_mask_hides_does_not_come_out(mechanism):
    hidden = np.ma.array([1.0, 777.0], mask=[False, True])
    hidden = hidden[1:] if mechanism in EXACT or mechanism is textbook else hidden
    with pytest.raises(
        ValueError,
        match=r"(value|gradients) must (have no mask|be a number), got (a masked array|MaskedArray)",
    ):
        mechanism(hidden, rng=RNG)
    coins = RandomizedResponse(0.75)
    masked = np.ma.array([0, 1], mask=[False, True])
    for ask in (lambda: coins(masked, rng=RNG), lambda: coins.estimate(masked)):
        with pytest.raises(ValueError, match=r"(truth|reported) must have no mask"):
            ask()


@pytest.mark.parametrize("value", [1e300, -1e300, 1e16, 2.0**34])
@pytest.mark.parametrize("mechanism", [*REAL, textbook], ids=repr)
def test_definition_a_value_that_swallows_its_noise_is_refused(mechanism, value):
    several = value if mechanism is textbook else np.array([0.0, value])
    with pytest.raises(ValueError, match="value must be small enough for floats to tell 1 apart") as refused:
        mechanism(several, rng=RNG)
    assert str(value)[:4] not in str(refused.value)


def test_limit_a_value_just_small_enough_keeps_its_noise():
    for mechanism in REAL:
        value = np.full(200, np.nextafter(2.0**33, 0))
        noise = mechanism(value, rng=RNG) - value
        assert len(np.unique(noise)) == 200
    with pytest.raises(ValueError, match="small enough for floats to tell 1e-08 apart"):
        Laplace(1e8, 1.0, ADD)(np.array([1e3]), rng=RNG)  # the noise is short
    with pytest.raises(ValueError, match="small enough for floats to tell 1 apart"):
        Laplace(1e-9, 1.0, ADD)(np.array([1e12]), rng=RNG)  # neighbours are near


@pytest.mark.parametrize("value", [1e300, 2.0**52 + 2])
@pytest.mark.parametrize("mechanism", EXACT, ids=repr)
def test_definition_exact_noise_stays_where_floats_hold_every_grid_point(mechanism, value):
    with pytest.raises(ValueError, match=r"value must lie within 2\*\*52 grid points of 0, got a larger one"):
        mechanism(value, rng=RNG)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Laplace(1e-320, 1.0, ADD),
        lambda: Laplace(1e300, 1e-300, ADD),
        lambda: Laplace(1.0, 1e308, ADD),
        lambda: Gaussian(1e200, 1e200, ADD),
        lambda: Gaussian(1e-200, 1e-200, ADD),
        lambda: DiscreteLaplace(1.0, 1.0, 5e-324, ADD),
        lambda: DiscreteLaplace(1.0, 1.0, 1e-20, ADD),
        lambda: DiscreteLaplace(1e-20, 1.0, 1.0, ADD),
        lambda: DiscreteLaplace(1.0, 1.0, 1e308, ADD),
        lambda: DiscreteGaussian(1.0, 1.0, 5e-324, ADD),
        lambda: DiscreteGaussian(1.0, 1.0, 1e-20, ADD),
        lambda: DiscreteGaussian(1e-300, 1.0, 1.0, ADD),
        lambda: DiscreteGaussian(1e300, 1.0, 1.0, ADD),
        lambda: textbook_laplace(0.0, 1e-320, rng=RNG),
        lambda: could_come_from(np.zeros(1), 0.0, 1e308),
        lambda: gr.clip(np.ones((1, 1)), 5e-324),
        lambda: gr.private_sum(np.ones((1, 1)), 1e200, 1e200, rng=RNG),
    ],
)
def test_definition_a_scale_that_is_no_float_is_refused(make):
    rule = r"(epsilon|sensitivity|grid|noise_multiplier|scale|bound) must be (between|at least) .*, got"
    with pytest.raises(ValueError, match=rule):
        make()


def test_limit_scales_at_both_ends_are_floats():
    for epsilon, sensitivity in ((1e-144, 1e144), (1e144, 1e-144)):
        assert Laplace(epsilon, sensitivity, ADD).scale == pytest.approx(sensitivity / epsilon)
        assert np.isfinite(Laplace(epsilon, sensitivity, ADD)(np.zeros(99), rng=RNG)).all()
        assert (Laplace(epsilon, sensitivity, ADD)(np.zeros(99), rng=RNG) != 0).all()
        assert (Gaussian(sensitivity, sensitivity, ADD)(np.zeros(99), rng=RNG) != 0).all()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, np.uint64, int])
def test_definition_numbers_of_any_kind_are_taken_as_they_are(kind):
    plain = [Laplace(2.0, 3.0, ADD), Gaussian(2.0, 3.0, ADD)]
    typed = [Laplace(kind(2), kind(3), ADD), Gaussian(kind(2), kind(3), ADD)]
    for one, other in zip(plain, typed, strict=True):
        seen = [m(v, rng=np.random.default_rng(1)) for m, v in ((one, np.ones(3)), (other, np.ones(3, kind)))]
        assert np.array_equal(*seen)
        assert all(array.dtype == np.float64 for array in seen)
    for mechanism in (DiscreteLaplace, DiscreteGaussian):
        one, other = mechanism(2.0, 3.0, 1.0, ADD), mechanism(kind(2), kind(3), kind(1), ADD)
        seen = [m(v, rng=np.random.default_rng(1)) for m, v in ((one, 5.0), (other, kind(5)))]
        assert seen[0] == seen[1]
    one = RandomizedResponse(0.75, 3)
    other = RandomizedResponse(np.float32(0.75), np.int8(3))
    truth = np.array([0, 1, 2, 2])
    if kind in (np.int8, np.uint64, int):
        seen = [m(t, rng=np.random.default_rng(1)) for m, t in ((one, truth), (other, truth.astype(kind)))]
        assert np.array_equal(*seen)
        assert seen[1].dtype == np.int64


def test_limit_a_sensitivity_does_not_shrink_to_a_float():
    third = Fraction(1, 3)
    assert float(third) < third
    for mechanism in (Laplace(1.0, third, ADD), DiscreteLaplace(1.0, third, 1e-3, ADD)):
        assert third < mechanism.sensitivity < third + Fraction(1, 2**53)


@pytest.mark.parametrize("mechanism", [*REAL, *EXACT], ids=repr)
def test_definition_what_is_refused_costs_no_random_numbers(mechanism):
    rng, other = np.random.default_rng(5), np.random.default_rng(5)
    with pytest.raises(ValueError, match="value must"):
        mechanism(np.array(1e300), rng=rng)
    assert rng.bytes(8) == other.bytes(8)


def test_limit_a_small_float_does_not_overflow_a_scale():
    assert Laplace(np.float16(1e-4), np.float16(60000), ADD).scale == pytest.approx(6e8, rel=1e-2)
    assert Gaussian(np.float16(300), np.float16(300), ADD).standard_deviation == 90000


@pytest.mark.parametrize("value", [[1.0, 2.0], np.zeros(1), np.zeros((1, 1))])
@pytest.mark.parametrize("mechanism", [*EXACT, textbook], ids=repr)
def test_definition_one_number_is_no_array(mechanism, value):
    with pytest.raises(ValueError, match="value must be a number, got ndarray of shape"):
        mechanism(np.array(value), rng=RNG)


# --- coins and shares ----------------------------------------------------------------------------------


@pytest.mark.parametrize("truth", [[0.5], [True], [1j], ["1"], [None], [datetime.timedelta(1)], [np.nan]])
def test_definition_an_answer_is_an_integer(truth):
    with pytest.raises(ValueError, match="truth must be integers, got dtype"):
        RandomizedResponse(0.75)(np.array(truth), rng=RNG)
    with pytest.raises(ValueError, match="truth must be integers, got dtype"):
        RandomizedResponse(0.75)(np.array([1], dtype="timedelta64[s]"), rng=RNG)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomizedResponse(0.75, math.nan), "answers must be a whole number, got nan"),
        (lambda: RandomizedResponse(0.75, 2.5), "answers must be a whole number, got 2.5"),
        (lambda: RandomizedResponse(0.75, True), "answers must be a whole number, got True"),
        (lambda: RandomizedResponse(0.75, 2**62), "answers must be at most 2147483648, got"),
        (
            lambda: RandomizedResponse.from_epsilon(1.0, 10**400),
            "answers must be a whole number of at most 64 bits",
        ),
        (lambda: RandomizedResponse("0.75"), r"truth_probability must be a number, got '0\.75'"),
        (lambda: RandomizedResponse(1j), r"truth_probability must be a number, got complex"),
    ],
)
def test_definition_coins_are_probabilities(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("shares", [shares_of_people, shares_on_file])
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ((4, 9, 0.25, 0.75), "truth must be above lie = 0.75, got 0.25"),
        ((4, 9, 0.5, 0.5), "truth must be above lie = 0.5, got 0.5"),
        ((4, 9, 1.5, 0.5), r"truth must be in \[0, 1\], got 1.5"),
        ((4, 9, math.nan, 0.5), r"truth must be a number, got nan"),
        ((4, 9, 0.5, -0.5), r"lie must be in \[0, 1\], got -0.5"),
        ((4, 9, 0.5, math.nan), r"lie must be a number, got nan"),
        ((2.5, 9, 0.75, 0.25), "count must be a whole number, got 2.5"),
        ((math.nan, 9, 0.75, 0.25), "count must be a whole number, got nan"),
        ((4, 9.5, 0.75, 0.25), "people must be a whole number, got 9.5"),
        ((4, math.inf, 0.75, 0.25), "people must be a whole number, got inf"),
        ((10, 9, 0.75, 0.25), r"count must be in 0 … 9 \(people\), got 10"),
    ],
)
def test_definition_shares_are_asked_of_counts_and_probabilities(shares, asked, message):
    with pytest.raises(ValueError, match=message):
        shares(*asked)


@pytest.mark.parametrize("shares", [shares_of_people, shares_on_file])
def test_limit_a_survey_without_lies_counts(shares):
    for count in range(8):
        got = shares(count, 7, 1.0, 0.0)
        assert got.low <= got.value == count / 7 <= got.high
        assert got.standard_error >= 0
    assert shares_on_file(3, 7, 1.0, 0.0).standard_error == 0
    assert (shares_on_file(3, 7, 1.0, 0.0).low, shares_on_file(3, 7, 1.0, 0.0).high) == (3 / 7, 3 / 7)


# --- the length of a gradient --------------------------------------------------------------------------


def length(row):
    """Return a row's Euclidean length, without a float in between but the last."""
    square = sum(Fraction(float(number)) ** 2 for number in row)
    return Fraction(math.isqrt(int(square * 2**4000)), 2**2000)


@pytest.mark.parametrize("bound", [1e-140, 1e-3, 1.0, 3e4, 1e140])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64])
def test_definition_no_row_is_longer_than_the_bound(kind, bound, rng):
    shapes = rng.normal(size=(40, 7)) * 10.0 ** rng.integers(-8, 9, size=(40, 7))
    largest = np.finfo(kind).max if kind != np.int64 else 2.0**53
    for scale in (1e-308, 1e-200, 1e-44, 1e-7, 1.0, 1e5, 1e20, 1e155, 1e300):
        with np.errstate(over="ignore", under="ignore"):
            rows = np.clip(shapes * scale, -float(largest), float(largest)).astype(kind)
        kept = rows.copy()
        clipped = gr.clip(rows, bound)
        assert np.array_equal(rows, kept)
        for row, got in zip(rows, clipped, strict=True):
            before, after = length(row), length(got)
            assert after <= Fraction(bound) * Fraction(1_000_001, 1_000_000)
            if before <= Fraction(bound) * Fraction(999_999, 1_000_000):
                assert np.array_equal(got, row.astype(float))
            else:
                assert after >= Fraction(bound) * Fraction(999_998, 1_000_000)


def test_limit_a_float16_row_is_summed_up_in_64_bits():
    assert length(gr.clip(np.full((1, 4), 60000, dtype=np.float16), 1.0)[0]) == pytest.approx(1)
    assert np.array_equal(gr.clip(np.full((1, 4), 6e-8, dtype=np.float16), 1.0), np.full((1, 4), 2.0**-24))
