"""The guard: it finds a planted shift, keeps still where there is none, and says which."""

import numpy as np
import pytest

from mialab import data, metrics


@pytest.fixture(scope="module")
def digits():
    return data.digits()


def test_it_catches_members_that_are_a_little_brighter(digits, rng):
    member = rng.random(len(digits)) < 0.5
    brighter = digits.x * np.where(member, 1.03, 1.0)[:, None, None, None]
    guard = metrics.blind_baseline(brighter.astype(np.float32), digits.y, member, rng=rng)
    assert guard.about_the_data
    assert str(guard).startswith("about the data")


def test_it_catches_members_of_other_classes(digits, rng):
    member = rng.random(len(digits)) < np.where(digits.y < 3, 0.7, 0.4)
    assert metrics.blind_baseline(digits.x, digits.y, member, rng=rng).about_the_data


def test_coverage_under_fair_coins_it_is_fooled_as_rarely_as_it_says(rng):
    x, y = rng.normal(size=(300, 4)), rng.integers(2, size=300)
    guards = [metrics.blind_baseline(x, y, rng.random(300) < 0.5, rng=rng) for _ in range(25)]
    assert sum(guard.about_the_data for guard in guards) <= 3  # 0.6 expected; 4 or more: once in 250
    assert str(guards[0]).startswith("no sign")


@pytest.mark.usefixtures("at_the_door")
def test_the_door(rng):
    x, y, member = np.ones((10, 2)), np.zeros(10, dtype=int), np.arange(10) % 2 == 0
    cases = [
        ((x[:5], y, member), "x and y must have the same number of records, got 5 and 10"),
        ((x, y[:5], member), "y and member must have the same shape"),
        ((x, y, y), "member must be an array of bool"),
        ((x * np.nan, y, member), "x must be finite"),
        ((x, y, np.ones(10, dtype=bool)), "member, in each half, must hold members and non-members"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            metrics.blind_baseline(*arguments, rng=rng)
