"""NaN, strings, masks and numbers out of range stop at the door, wherever the door is."""

import math

import numpy as np
import pytest

from audits import accuracy, joint, rates
from mialab import canaries
from mialab.accounting import Neighbours
from mialab.attacks import few_shadows, lira
from mialab.audit import Guesses, binomial_p_value, ceiling, lower_bound
from mialab.game import Counts, Design, Observations
from mialab.leaks import batch_norm
from mialab.leaks.genomics import beacon

pytestmark = pytest.mark.usefixtures("at_the_door")

ADD = Neighbours.ADD_REMOVE
ZERO, ONE, TWO = np.zeros(2), np.ones(2), np.full(2, 2.0)
NAN, MASKED = np.array([1.0, np.nan]), np.ma.array([1.0, 2.0], mask=[False, True])
BATCH = np.array([[0.0, 1.0], [1.0, 3.0], [5.0, 4.0]])
RIGHT = Guesses(right=9, guesses=10, canaries=10, design=Design.ONE_RUN)
COUNTS = Counts(true_positives=9, false_positives=1, members=10, non_members=10, design=Design.RUNS)
HALF = np.array([[True, False], [False, True], [True, True], [False, False]])
SHADOWS = Observations(np.arange(8.0).reshape(4, 2), HALF)
HUGE = Observations(np.full((4, 2), 1e308) * [[1], [-1], [1], [-1]], HALF)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda: binomial_p_value(2**31, 2**31, allowed=0.5),
            "canaries must be at most 2147483647, got 2147483648",
        ),
        (lambda: binomial_p_value(1, math.nan, allowed=0.5), "trials must be a whole number, got nan"),
        (lambda: binomial_p_value(math.nan, 9, allowed=0.5), "right must be a whole number, got nan"),
        (lambda: binomial_p_value(1, 2, allowed=math.nan), r"allowed must be a number, got nan"),
        (lambda: Guesses(0, 0, 2**40), "canaries must be at most 2147483647"),
        (lambda: lower_bound(RIGHT, neighbours=ADD, delta=math.nan), r"delta must be a number, got nan"),
        (lambda: lower_bound(RIGHT, neighbours=ADD, delta="0"), r"delta must be a number, got '0'"),
        (lambda: lira.online(ZERO, HUGE), r"shadows.signal must be within ±3e\+144, for its squares"),
        (lambda: lira.online(ONE * 1e308, SHADOWS), r"target must be within ±3e\+144, for its squares"),
        (lambda: lira.offline(ZERO, HUGE), r"shadows.signal must be within"),
        (lambda: few_shadows.shrunken_t(ZERO, HUGE), r"shadows.signal must be within"),
        (lambda: batch_norm.moments(BATCH * 1e200, ZERO), r"x must be within ±3e\+144"),
        (
            lambda: canaries.dirac(np.array([0, 1]), clip=-1.0),
            "clip must be a finite number above 0, got -1.0",
        ),
        (
            lambda: canaries.dirac(np.array([0, 1]), clip=math.nan),
            "clip must be a number, got nan",
        ),
        (
            lambda: canaries.dirac(np.array([0.5]), clip=1.0),
            "coordinates must be integers, got dtype float64",
        ),
        (lambda: canaries.as_gradients(BATCH, np.arange(3), -1.0), "clip must be a finite number above 0"),
        (lambda: beacon.log_absent(ONE / 2, -1), "people must be at least 1, got -1"),
        (lambda: beacon.log_absent(TWO, 5), r"frequency must be in \[0, 1\]"),
        (
            lambda: beacon.expected_tpr(0.05, np.array([2**31]), ONE / 9, n=9, mismatch=0.1),
            "queries must be in 0 … 2147483647",
        ),
    ],
)
def test_definition_what_is_no_number_stops_at_the_door(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()


@pytest.mark.parametrize("confidence", [5e-324, 1e-300, 1e-17, 1e-9, 1e-6])
@pytest.mark.parametrize(
    "bound",
    [
        lambda **asked: joint(COUNTS, **asked),
        lambda **asked: lower_bound(RIGHT, **asked),
        lambda **asked: rates(COUNTS, **asked),
        lambda **asked: accuracy(COUNTS, **asked),
    ],
)
def test_limit_a_bound_of_next_to_no_confidence_ends(bound, confidence):
    found, sure = bound(neighbours=ADD, confidence=confidence), bound(neighbours=ADD, confidence=0.01)
    assert sure.value <= found.value <= found.ceiling < math.inf
    assert 0 < ceiling(5, 5, confidence=confidence) < math.inf
