"""Guarantees, and what becomes of them."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from mialab import accounting, tradeoff
from mialab._round import digits_up, up
from mialab.accounting import Guarantee, Neighbours

ADD, REPLACE = Neighbours.ADD_REMOVE, Neighbours.REPLACE


def test_definition_rounding_up_is_the_next_float_and_never_below(rng):
    for top, bottom in rng.integers(1, 10**9, size=(200, 2)):
        exact = Fraction(int(top), int(bottom))
        assert Fraction(math.nextafter(up(exact), 0)) < exact <= Fraction(up(exact))


@pytest.mark.parametrize("value", [1.0986122886681098, 0.1 + 0.2, 1e-5, 123456.7891, 2.0, 0.0, 9.9999999])
def test_definition_printed_digits_are_not_below_the_number(value):
    assert float(digits_up(value)) >= value
    assert float(digits_up(value)) <= value * (1 + 1e-5)


def test_definition_basic_composition_adds_up_exactly():
    parts = [Guarantee(0.1, 1e-6, ADD)] * 3
    whole = accounting.basic(*parts)
    assert Fraction(whole.epsilon) >= 3 * Fraction(0.1)
    assert Fraction(math.nextafter(whole.epsilon, 0)) < 3 * Fraction(0.1)
    assert Fraction(whole.delta) >= 3 * Fraction(1e-6)
    assert whole.neighbours == ADD


def test_definition_what_adds_up_is_never_below_the_exact_sum(rng):
    """Added as floats, some sums come out too small: the least float that is not below them is the answer."""
    too_small = 0
    for epsilon, delta in zip(rng.random((200, 10)), rng.random((200, 10)) / 10, strict=True):
        whole = accounting.basic(*(Guarantee(*one, ADD) for one in zip(epsilon, delta, strict=True)))
        for bound, terms in ((whole.epsilon, epsilon), (whole.delta, delta)):
            exact = sum(map(Fraction, terms))
            assert Fraction(math.nextafter(bound, 0)) < exact <= Fraction(bound)
            too_small += Fraction(sum(terms)) < exact
    assert too_small > 50


@pytest.mark.parametrize(
    ("epsilon", "times", "slack"), [(0.1, 100, 1e-6), (1.0, 5, 1e-5), (0.01, 10_000, 0.1)]
)
def test_definition_advanced_composition_is_the_formula(epsilon, times, slack):
    whole = accounting.advanced(Guarantee(epsilon, 1e-9, ADD), times, slack=slack)
    slow = epsilon * math.sqrt(2 * times * math.log(1 / slack)) + times * epsilon * (math.exp(epsilon) - 1)
    assert whole.epsilon == pytest.approx(slow, rel=1e-13)
    assert whole.delta == pytest.approx(times * 1e-9 + slack)


@pytest.mark.parametrize(("epsilon", "times", "slack"), [(0.1, 100, 1e-6), (0.5, 30, 1e-3), (1.0, 4, 0.01)])
def test_oracle_both_bounds_hold_for_the_exact_curve(epsilon, times, slack):
    exact = tradeoff.pure(epsilon) ** times
    one = Guarantee(epsilon, 0.0, REPLACE)
    advanced, basic = accounting.advanced(one, times, slack=slack), accounting.basic(*[one] * times)
    assert tradeoff.epsilon_at(exact, slack) <= advanced.epsilon
    assert exact.largest_loss == pytest.approx(basic.epsilon)


def test_limit_advanced_beats_basic_for_many_and_not_for_few():
    one = Guarantee(0.1, 0.0, REPLACE)
    assert accounting.advanced(one, 1000, slack=1e-6).epsilon < accounting.basic(*[one] * 1000).epsilon
    assert accounting.advanced(one, 2, slack=1e-6).epsilon > accounting.basic(one, one).epsilon


@pytest.mark.parametrize(
    ("epsilon", "delta", "size"), [(1.0, 1e-6, 3), (0.0, 1e-3, 5), (0.3, 0.0, 7), (2.0, 0.1, 1)]
)
def test_definition_group_privacy_is_a_walk(epsilon, delta, size):
    whole = accounting.group(Guarantee(epsilon, delta, ADD), size)
    slow = 0.0
    for _ in range(size):  # P₀ ≤ e^ε·P₁ + δ, again and again
        slow = delta + math.exp(epsilon) * slow
    assert whole.epsilon == pytest.approx(size * epsilon)
    assert whole.delta == pytest.approx(slow, rel=1e-12)


def test_oracle_group_privacy_holds_for_gaussian_noise():
    # A group of three moves the value by three sensitivities: that is known exactly.
    one, three = tradeoff.GaussianCurve(0.5), tradeoff.GaussianCurve(1.5)
    for epsilon in (0.5, 1.0, 2.0):
        bound = accounting.group(Guarantee(epsilon, float(one.delta(epsilon)), ADD), 3)
        assert three.delta(bound.epsilon) <= bound.delta


def test_limit_a_group_so_large_that_nothing_is_left():
    assert accounting.group(Guarantee(1.0, 1e-300, ADD), 2000).delta == 1
    assert accounting.group(Guarantee(1.0, 0.5, ADD), 2).delta == 1


def test_definition_replacing_is_removing_and_adding():
    both = accounting.replace_one(Guarantee(0.7, 1e-5, ADD))
    twice = accounting.group(Guarantee(0.7, 1e-5, ADD), 2)
    assert (both.epsilon, both.delta, both.neighbours) == (twice.epsilon, twice.delta, REPLACE)


def noisy_counts(table):
    """Return the exact joint distribution of the parts' counts (0 … 3) with a small noise, by enumeration."""
    counts = [sum(1 for part in table if part == name) for name in range(2)]
    weights = [[math.exp(-0.8 * abs(out - count)) for out in range(4)] for count in counts]
    chances = [[w / sum(row) for w in row] for row in weights]
    return np.array([chances[0][a] * chances[1][b] for a, b in itertools.product(range(4), repeat=2)])


def test_definition_in_parallel_one_change_touches_one_part_unless_a_record_moves():
    def worst(pairs):
        return max(np.abs(np.log(noisy_counts(a) / noisy_counts(b))).max() for a, b in pairs)

    tables = [table for n in range(4) for table in itertools.product(range(2), repeat=n)]
    removed = [(table, table[:-1]) for table in tables if table]
    moved = [(table, (*table[:-1], 1 - table[-1])) for table in tables if table]
    part = max(
        np.abs(np.log(noisy_counts(a).reshape(4, 4).sum(1) / noisy_counts(b).reshape(4, 4).sum(1))).max()
        for a, b in removed
    )
    assert worst(removed) == pytest.approx(part)  # the guarantee of one part, not of two
    assert worst(moved) > 1.5 * part  # replaced across parts: both change


def test_limit_parallel_is_the_weakest():
    fine, weak = Guarantee(0.5, 1e-5, ADD), Guarantee(2.0, 0.0, ADD)
    assert accounting.parallel(fine, weak) == Guarantee(2.0, 1e-5, ADD)
    many = [Guarantee(1.0, 0.0, REPLACE)] * 1000
    assert accounting.parallel(*many, fixed_parts=True) == many[0]


def test_a_guarantee_says_everything():
    assert str(Guarantee(math.log(3), 1e-5, REPLACE)) == "ε ≤ 1.09862 at δ = 1e-05 (proved, replace-one)"


def test_a_guarantee_names_its_unit_unless_it_is_a_record():
    whole = Guarantee(1.0, 0.0, ADD, unit="client")
    assert str(whole) == "ε ≤ 1 at δ = 0 (proved, add-remove one client)"
    assert (
        str(Guarantee(1.0, 0.0, REPLACE, unit="user-day")) == "ε ≤ 1 at δ = 0 (proved, replace-one user-day)"
    )
    assert Guarantee(1.0, 0.0, ADD) != whole
    for composed in (
        accounting.basic(whole, whole),
        accounting.advanced(whole, 3, slack=1e-6),
        accounting.group(whole, 2),
        accounting.replace_one(whole),
        accounting.parallel(whole, whole),
    ):
        assert composed.unit == "client"


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("kind", [int, float, np.int8, np.float16, np.uint64])
def test_definition_counts_of_any_kind_are_counted_alike(kind):
    one = Guarantee(0.1, 1e-6, ADD)
    assert accounting.group(one, kind(3)) == accounting.group(one, 3)
    assert accounting.group(one, kind(3)).epsilon > 3 * Fraction(0.1)
    there, here = (
        accounting.advanced(one, n, slack=s) for n, s in ((kind(100), np.float32(0.5)), (100, 0.5))
    )
    assert there == here
    whole = Guarantee(kind(1), kind(0), ADD)
    assert (type(whole.epsilon), type(whole.delta)) == (float, float)
    assert whole == Guarantee(1.0, 0.0, ADD)
    assert Guarantee(Fraction(1, 3), Fraction(1, 3), ADD).epsilon > Fraction(1, 3)


def test_limit_beyond_all_floats_the_next_one_up_is_infinite():
    assert up(Fraction(10**400)) == math.inf
    assert up(Fraction(-(10**400))) == -np.finfo(float).max


GOOD = Guarantee(1.0, 0.0, ADD)


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Guarantee(-0.1, 0.0, ADD), "epsilon must be a finite number of at least 0, got -0.1"),
        (lambda: Guarantee(math.inf, 0.0, ADD), "epsilon must be a finite number of at least 0, got inf"),
        (lambda: Guarantee(math.nan, 0.0, ADD), "epsilon must be a number, got nan"),
        (lambda: Guarantee(1.0, 1.3, ADD), r"delta must be in \[0, 1\], got 1.3"),
        (lambda: Guarantee(1.0, math.nan, ADD), r"delta must be a number, got nan"),
        (lambda: Guarantee(1.0, 0.0, "swap"), "neighbours must be one of 'add-remove', 'repl"),
        (lambda: accounting.basic(), "number of guarantees must be at least 1, got 0"),
        (
            lambda: accounting.basic(GOOD, Guarantee(1.0, 0.0, REPLACE)),
            "guarantees must have the same neighbours, got add-remove and replace-one",
        ),
        (
            lambda: accounting.parallel(GOOD, Guarantee(1.0, 0.0, ADD, unit="client")),
            "guarantees must have the same unit, got client and record",
        ),
        (
            lambda: Guarantee(1.0, 0.0, ADD, unit=""),
            "unit must be a word of 1 to 30 characters, got ''",
        ),
        (
            lambda: Guarantee(1.0, 0.0, ADD, unit=" client\n"),
            "unit must be a word of 1 to 30 characters",
        ),
        (lambda: accounting.advanced(GOOD, 0, slack=0.1), "times must be at least 1, got 0"),
        (lambda: accounting.advanced(GOOD, 3, slack=0.0), r"slack must be in \(0, 1\), got 0.0"),
        (lambda: accounting.advanced(GOOD, math.nan, slack=0.1), "times must be a whole number, got nan"),
        (
            lambda: accounting.advanced(Guarantee(1e300, 0.0, ADD), 3, slack=0.1),
            "guarantee must have an ε of at most 700, got ε ≤ 1e\\+300",
        ),
        (
            lambda: accounting.basic(*[Guarantee(1e308, 0.0, ADD)] * 2),
            "epsilon must be a finite number of at least 0, got inf",
        ),
        (
            lambda: accounting.group(Guarantee(1e308, 0.0, ADD), 2),
            "epsilon must be a finite number of at least 0, got inf",
        ),
        (lambda: accounting.group(GOOD, math.inf), "size must be a whole number, got inf"),
        (lambda: accounting.group(GOOD, 0), "size must be at least 1, got 0"),
        (
            lambda: accounting.replace_one(Guarantee(1.0, 0.0, REPLACE)),
            "guarantee must be for add-remove, got ε ≤ 1 at",
        ),
        (
            lambda: accounting.parallel(Guarantee(1.0, 0.0, REPLACE)),
            "fixed_parts must be True for replace-one, got False",
        ),
    ],
)
def test_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()
