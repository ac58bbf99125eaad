"""What is out of range is refused with the name, the rule and the value: no NaN, no hang, no other error."""

import numpy as np
import pytest

from mialab import signals, tradeoff
from mialab.accounting import Guarantee, Neighbours, SampledGaussian, group, renyi, smallest_noise
from mialab.attacks import rmia
from mialab.attacks.few_shadows import inverse_trigamma
from mialab.game import Observations, flip_coins
from mialab.leaks import aggregates
from mialab.leaks import batch_norm as bn
from mialab.leaks.aggregates import Population
from mialab.leaks.genomics import beacon, gaussian_release
from mialab.leaks.gradients.trace import Ridge, alignment, participation_ratio
from mialab.mechanisms.discrete import DiscreteLaplace
from mialab.mechanisms.discrete_gaussian import DiscreteGaussian
from mialab.mechanisms.noise import gaussian_curve
from mialab.mechanisms.randomized_response import RandomizedResponse
from mialab.mechanisms.shares import shares_of_people, shares_on_file

pytestmark = pytest.mark.usefixtures("at_the_door")

HUGE = 10**400  # an integer that no float holds
ONE, TWO = np.ones(1), np.array([2.0, 3.5])
FEW = np.array([[0.0, 1.0], [2.0, 1.0], [1.0, 3.0]])
KNOWN = Population.known(np.zeros(2), np.eye(2))
LOG_P = Observations(np.log([[0.5, 0.4], [0.6, 0.1]]), np.array([[True, False], [False, True]]))
ADD = Neighbours.ADD_REMOVE


CASES = [
    (lambda: tradeoff.GaussianCurve(1.0) ** HUGE, "times must be at most 2..53"),
    (lambda: tradeoff.pure(1.0) ** 10**300, "times must be at most 2..53"),
    (
        lambda: tradeoff.outer_polygon(tradeoff.pure(1.0).delta, np.linspace(-1, 1, 9)) ** 10**12,
        "two pairs must have at most",
    ),
    (
        lambda: group(Guarantee(0.1, 0.0, ADD), HUGE),
        "size must be a whole number of at most 64 bits, got one of 1329 bits",
    ),
    (lambda: renyi.divergence(SampledGaussian(1.0, 0.1, 1), orders=TWO * 1e30), "orders must be at most"),
    (lambda: renyi.divergence(SampledGaussian(1.0, 0.1, 1), orders=TWO[:0]), "the number of orders must be"),
    (lambda: renyi.least_epsilon(TWO, delta=-1.0, orders=TWO), r"delta must be in \(0, 1\), got -1.0"),
    (lambda: renyi.least_epsilon(TWO, delta=np.nan, orders=TWO), r"delta must be a number, got nan"),
    (lambda: renyi.least_epsilon(TWO, delta=0.1, orders=TWO / 4), "orders must be above 1, got 0.5"),
    (lambda: renyi.least_epsilon(TWO, delta=0.1, orders=np.full(2, np.inf)), "orders must be finite"),
    (
        lambda: renyi.least_epsilon(TWO * np.nan, delta=0.1, orders=TWO),
        "moments must hold no NaN, got 2 of 2 values",
    ),
    (lambda: renyi.least_epsilon(TWO, delta=0.1), "moments and orders must have the same shape"),
    (lambda: rmia.choose_a(LOG_P, candidates=()), "the number of candidates must be at least 1, got 0"),
    (lambda: rmia.choose_a(LOG_P.leave_out(0)[1]), "the number of shadows must be at least 2, got 1"),
    (
        lambda: rmia.online(LOG_P.signal[0], LOG_P, gamma=np.inf),
        "gamma must be a (finite number|number that)",
    ),
    (lambda: rmia.online(LOG_P.signal[0], LOG_P, gamma=HUGE), "gamma must be a (finite number|number that)"),
    (
        lambda: flip_coins(HUGE, 1, rng=np.random.default_rng(0)),
        "models must be a whole number of at most 64 bits, got one of 1329 bits",
    ),
    (lambda: aggregates.inner_product(FEW[0] * 1e200, FEW, FEW[1]), "released must be within"),
    (
        lambda: aggregates.z_score(FEW[0] * 1e200, FEW, KNOWN, 5),
        r"released must be within ±3e\+144, for its squares to be floats, got 1e\+200",
    ),
    (lambda: aggregates.z_score(FEW[0], FEW[1:], KNOWN, np.inf), "n must be a finite number"),
    (lambda: aggregates.expected_tpr(0.1, 1.0, np.inf), "n must be a finite number"),
    (lambda: aggregates.expected_tpr(0.0, np.inf, 5), "distance must be finite, got inf"),
    (lambda: aggregates.expected_tpr(0.1, -1, 5), "distance must be a finite number of at least 0, got -1"),
    (lambda: aggregates.expected_tpr(0.1, 1.0, 5, weight=1e300), "weight must be within"),
    (lambda: Population.of(FEW * 1e200), "reference must be within"),
    (lambda: bn.probe_output(ONE, FEW[:, :1] * 1e200), "mates must be within"),
    (lambda: bn.known_mates_score(ONE, ONE, FEW[:, :1], FEW[:, 1:] * 1e300), "candidates must be within"),
    (lambda: bn.LinearizedProbe.of(ONE * np.inf, ONE, ONE, 5), "probe must be finite"),
    (lambda: bn.LinearizedProbe.of(ONE, ONE, ONE, 5, eps=1e300), "eps must be within"),
    (lambda: bn.RunningStats(ONE, -ONE, 1), "variance must be at least 0 in every feature, got -1.0"),
    (lambda: bn.RunningStats(ONE, ONE, -1), "batches must be at least 0, got -1"),
    (lambda: bn.ema_weights(0.1, 10**15), "batches must be at most"),
    (
        lambda: beacon.log_absent(ONE / 2, HUGE),
        "people must be a whole number of at most 64 bits, got one of 1329 bits",
    ),
    (
        lambda: gaussian_release(HUGE, 10, 1.0, 0.1),
        "variants must be a whole number of at most 64 bits, got one of 1329 bits",
    ),
    (
        lambda: gaussian_release(5, HUGE, 1.0, 0.1),
        "n must be (at most 2..53|a whole number of at most)",
    ),
    (lambda: alignment(FEW[0] * 1e200, FEW), "update must be within"),
    (lambda: participation_ratio(FEW * 1e200), "gradients must be within"),
    (lambda: Ridge.of(FEW, 0.1).log_ratio(FEW[0], FEW, np.inf), "n must be a finite number"),
    (lambda: shares_of_people(3, 10**200, 0.8, 0.2), "people must be (at most|a whole number of at most)"),
    (lambda: shares_on_file(3, 10**200, 0.8, 0.2), "people must be (at most|a whole number of at most)"),
    (lambda: gaussian_curve(np.nan), "noise_multiplier must be a number, got nan"),
    (lambda: gaussian_curve(5e-324), "noise_multiplier must be at least 2.2"),
    (lambda: DiscreteLaplace(1.0, np.nan, 1.0, ADD), "sensitivity must be a number, got nan"),
    (lambda: DiscreteLaplace(1.0, 1.0, 0.0, ADD), "grid must be a finite number above 0, got 0.0"),
    (lambda: DiscreteGaussian(1.0, 1.0, np.inf, ADD), "grid must be a finite number above 0, got inf"),
    (lambda: DiscreteGaussian(np.nan, 1.0, 1.0, ADD), "noise_multiplier must be a number, got nan"),
]


@pytest.mark.parametrize(("call", "message"), CASES)
def test_out_of_range(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_limit_small_trigammas_have_a_large_root():
    value = np.array([0.0, 5e-324, 1e-308, 1e-200, 1e-8])
    x = inverse_trigamma(value)
    assert np.isinf(x[:2]).all()
    np.testing.assert_allclose(x[2:], 1 / value[2:] + 0.5, rtol=1e-9)


def test_limit_the_participation_ratio_has_no_unit():
    for scale in (1e-140, 1.0, 1e140):
        assert participation_ratio(FEW * scale) == pytest.approx(participation_ratio(FEW))


def test_limit_the_price_of_a_share_that_is_hardly_there():
    assert RandomizedResponse(0.7).price(5e-324) == np.inf
    assert RandomizedResponse(0.7).price(1e-300) > 1e299


@pytest.mark.parametrize(("epsilon", "delta"), [(1e-9, 1e-15), (1e-9, 1e-18)])
def test_limit_so_little_is_allowed_that_the_grid_is_in_the_way(epsilon, delta):
    """Noise is found in seconds, be it what was proved without a grid; and it is enough, and near."""
    found = smallest_noise(Guarantee(epsilon, delta, ADD), sampling_rate=1.0, steps=1000)
    assert gaussian_curve(found / np.sqrt(1000)).delta(epsilon) <= delta
    assert gaussian_curve(found / np.sqrt(1000) / 4).delta(epsilon) > delta


def test_limit_tiny_logits_are_logits():
    y = np.zeros(1, dtype=int)
    assert signals.logit_gap(np.array([[1e-308, 1e-308]]), y) == 0
    assert signals.margin(np.array([[0.0, 5e-324]]), y) <= 0
