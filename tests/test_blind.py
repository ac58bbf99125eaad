"""The guard: it finds a planted shift, keeps still where there is none, and says which."""

import numpy as np
import pytest

from mialab import metrics
from mialab_book import data


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
    assert sum(guard.about_the_data for guard in guards) <= 3  # at most 1.25 expected
    assert str(guards[0]).startswith("no sign")
    assert all(guard.copies == 0 for guard in guards)


def test_below_one_half_is_a_finding_and_is_said(rng):
    """Pairs of records that are nearly the same, one a member and the other not."""
    one = rng.normal(size=(300, 4))
    x, member = np.concatenate([one, one + 1e-6]), np.arange(600) < 300
    guard = metrics.blind_baseline(x, np.zeros(600, dtype=int), member, rng=rng)
    assert guard.auc.high < 0.5
    assert guard.about_the_data
    assert "no sign" not in str(guard)
    assert "below ½" in str(guard)


def test_non_members_that_are_copies_of_members_are_counted_and_said(rng):
    one, y = rng.normal(size=(300, 2, 2)), rng.integers(3, size=300)
    x, labels, member = np.concatenate([one, one]), np.concatenate([y, y]), np.arange(600) < 300
    guard = metrics.blind_baseline(x, labels, member, rng=rng)
    assert guard.copies == 300
    assert str(guard).endswith("; but 300 non-members are exact copies of members")
    x[300:450] += 1e-6
    labels[450:500] = (labels[450:500] + 1) % 3  # the same features with another label are another record
    assert metrics.blind_baseline(x, labels, member, rng=rng).copies == 100
    zero = np.where(np.arange(8)[:, None] % 4 < 2, 0.0, -0.0) + np.arange(8)[:, None] // 4
    assert metrics.blind_baseline(zero, np.arange(8) % 2, np.arange(8) % 4 < 2, rng=rng).copies == 4


def test_copies_stay_in_one_half_so_nothing_is_asked_that_was_told(rng):
    """Every record three times, all in or all out by one coin: nothing but memory could tell."""
    guards = []
    for _ in range(6):
        x, member = rng.normal(size=(100, 5)), rng.random(100) < 0.5
        three = [np.repeat(one, 3, axis=0) for one in (x, np.zeros(100, dtype=int), member)]
        guards.append(metrics.blind_baseline(*three, rng=rng, confidence=0.999))
    assert not any(guard.about_the_data for guard in guards)
    assert all(guard.copies == 0 for guard in guards)


@pytest.mark.usefixtures("at_the_door")
def test_the_door(rng):
    x, y, member = np.ones((10, 2)), np.zeros(10, dtype=int), np.arange(10) % 2 == 0
    cases = [
        ((x[:5], y, member), "x and y must have the same number of records, got 5 and 10"),
        ((x, y[:5], member), "x and y must have the same number of records, got 10 and 5"),
        ((x, y, y), "member must be an array of bool"),
        ((x * np.nan, y, member), "x must hold no NaN, got 20 of 20 values"),
        ((x, y, np.ones(10, dtype=bool)), "member, in each half, must hold members and non-members"),
    ]
    with pytest.raises(ValueError, match=r"confidence must be in \(0, 1\)"):
        metrics.blind_baseline(x, y, member, rng=rng, confidence=1.0)
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            metrics.blind_baseline(*arguments, rng=rng)
