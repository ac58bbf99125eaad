"""The door itself: what is no number passes no check of a range."""

import math
from fractions import Fraction

import numpy as np
import pytest

from mialab import _check
from mialab.accounting import SampledGaussian
from mialab.dp_sgd.recipe import DpSgd
from mialab.federated.recipe import FedAvg
from mialab.train import Sgd

pytestmark = pytest.mark.usefixtures("at_the_door")

RANGES = {
    "probability": _check.probability,
    "open": lambda name, value: _check.probability(name, value, open_ends=True),
    "rate": _check.rate,
    "share": _check.share,
    "above_0": _check.above_0,
    "positive": _check.positive,
    "not_negative": _check.not_negative,
    "magnitude": _check.magnitude,
    "at_least": lambda name, value: _check.at_least(name, value, 0),
}


@pytest.mark.parametrize("one", [1, Fraction(1, 2), 0.5])
def test_limit_every_kind_of_real_number_is_one(one):
    for name in ("probability", "rate", "above_0", "positive", "not_negative", "magnitude"):
        RANGES[name]("x", one)
    RANGES["at_least"]("x", one) if one == 1 else RANGES["share"]("x", one)


@pytest.mark.parametrize("value", [10**400, math.inf, 1e-320, 1e200])
def test_limit_a_magnitude_has_a_square(value):
    with pytest.raises(ValueError, match="x must be "):
        _check.magnitude("x", value)


@pytest.mark.parametrize("count", [math.nan, math.inf, 2.5, "3", True, None])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda n: Sgd(steps=n), "steps"),
        (lambda n: Sgd(steps=1, batch_size=n), "batch_size"),
        (lambda n: DpSgd(1.0, 1.0, 0.1, n, 1.0), "steps"),
        (lambda n: FedAvg(rounds=n, nominal_clients=1), "rounds"),
        (lambda n: FedAvg(rounds=1, nominal_clients=1, local_steps=n), "local_steps"),
        (lambda n: FedAvg(rounds=1, nominal_clients=1, batch_size=n), "batch_size"),
        (lambda n: SampledGaussian(1.0, 0.1, n), "steps"),
    ],
)
def test_definition_a_recipe_counts_in_whole_numbers(make, name, count):
    with pytest.raises(ValueError, match=f"{name} must be a whole number, got"):
        make(count)


@pytest.mark.parametrize("value", [math.nan, "0.1", True, None, 0.1j])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda x: Sgd(1, learning_rate=x), "learning_rate"),
        (lambda x: Sgd(1, momentum=x), "momentum"),
        (lambda x: Sgd(1, weight_decay=x), "weight_decay"),
        (lambda x: Sgd(1, label_smoothing=x), "label_smoothing"),
        (lambda x: DpSgd(x, 1.0, 0.1, 1, 1.0), "clip"),
        (lambda x: DpSgd(1.0, x, 0.1, 1, 1.0), "noise_multiplier"),
        (lambda x: DpSgd(1.0, 1.0, x, 1, 1.0), "sampling_rate"),
        (lambda x: DpSgd(1.0, 1.0, 0.1, 1, x), "nominal_batch"),
        (lambda x: DpSgd(1.0, 1.0, 0.1, 1, 1.0, momentum=x), "momentum"),
        (lambda x: FedAvg(1, x), "nominal_clients"),
        (lambda x: FedAvg(1, 1, clip=x), "clip"),
        (lambda x: FedAvg(1, 1, sampling_rate=x), "sampling_rate"),
    ],
)
def test_definition_a_recipe_measures_in_numbers(make, name, value):
    with pytest.raises(ValueError, match=f"{name} must be .*, got"):
        make(value)


@pytest.mark.parametrize("array", [np.array([math.inf]), np.array([2**53 + 1])])
def test_definition_noise_hides_only_what_a_float_holds(array):
    with pytest.raises(ValueError, match="x must be"):
        _check.secret("x", array)


def test_an_error_does_not_tell_the_secret():
    for wrong in ([777.0, math.nan], [777.0, math.inf], [7770000000000000000, 1]):
        with pytest.raises(ValueError, match="x must be") as refused:
            _check.secret("x", np.array(wrong))
        assert "777" not in str(refused.value)
        assert "nan" not in str(refused.value)
