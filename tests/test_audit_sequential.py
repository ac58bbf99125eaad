"""A bound that may be looked at after every trial."""

from itertools import product

import numpy as np
import pytest
from mialab.audit.sequential import GRID
from scipy.special import expit

from mialab.accounting import Neighbours
from mialab.audit import Betting
from mialab.game import Design

LN3 = float(np.log(3))


def bets(design: Design = Design.RUNS, delta: float = 0.0, confidence: float = 0.95) -> Betting:
    return ConfidenceSequence(design, Neighbours.REPLACE, delta=delta, confidence=confidence)


def most_slowly(verdicts: np.ndarray, epsilon: float, delta: float) -> float:
    """Read the formula aloud: multiply, and remember the largest."""
    wealth = most = 1.0
    for t, verdict in enumerate(verdicts):
        right, wrong = (verdicts[:t] == 1).sum(), (verdicts[:t] == -1).sum()
        often = (right + 0.5) / (right + wrong + 1)
        share = max(0.0, often / (np.exp(epsilon) + delta) - (1 - often) / (1 - delta))
        assert share <= 1 / (np.exp(epsilon) + delta)
        wealth *= 1 + share * (float(verdict == 1) - np.exp(epsilon) * float(verdict == -1) - delta)
        most = max(most, wealth)
    return most


@pytest.mark.parametrize("delta", [0.0, 0.01])
@pytest.mark.parametrize("abstains", [0.0, 0.5])
def test_definition_the_product_of_all_bets(delta, abstains, rng):
    verdicts = np.where(rng.random(120) < 0.85, 1, -1) * (rng.random(120) >= abstains)
    state = bets(delta=delta).update(verdicts)
    bound = state.result().value
    assert bound > 0
    for place in (0, 1, 50, int(np.searchsorted(GRID, bound)), 400, 1000):
        slow = most_slowly(verdicts, float(GRID[place]), delta)
        assert np.exp(state._most[0, place]) == pytest.approx(slow, rel=1e-9)
        if GRID[place] <= bound:
            assert slow >= 20
    assert most_slowly(verdicts, bound + 0.005, delta) < 20


def test_definition_kelly_makes_wealth_grow_fastest():
    """Of all stakes, against right with probability p and wrong else."""
    for (right, wrong), epsilon, delta in product(((9, 1), (90, 30)), (0.0, 0.5, 1.0), (0.0, 0.02)):
        often, ours = (right + 0.5) / (right + wrong + 1), float(bet(right, wrong, epsilon, delta))

        shares = np.append(np.linspace(0, 0.9999, 5000) / (np.exp(epsilon) + delta), ours)
        won, lost = (np.log1p(shares * payoff(one, epsilon, delta)) for one in (1, -1))
        growth = often * won + (1 - often) * lost
        assert growth.max() <= growth[-1] + 1e-12


def test_definition_one_by_one_and_all_at_once(rng):
    verdicts = rng.integers(-1, 2, 60)
    once, one_by_one = bets().update(verdicts), bets()
    for verdict in verdicts:
        one_by_one = one_by_one.update(int(verdict))
    assert (once._most == one_by_one._most).all()
    assert (once._wealth == one_by_one._wealth).all()
    counts = [(verdicts == one).sum() for one in (1, -1, 0)]
    assert counts == [once.right, once.wrong, once.abstained]
    assert bets().update(np.array([], dtype=int)).right == 0


def test_limit_all_right_reaches_the_ceiling_and_looking_again_takes_nothing_back():
    state = bets().update(np.ones(200, dtype=int))
    assert state.result().value == state.result().ceiling > 3
    after = state.update(-np.ones(200, dtype=int))
    assert after.result().value == state.result().value
    assert bets().update(np.zeros(50, dtype=int)).result().value == 0
    assert bets().update(-np.ones(50, dtype=int)).result().value == 0


def test_limit_a_larger_delta_and_more_confidence_prove_less(rng):
    verdicts = np.where(rng.random(500) < 0.9, 1, -1)
    by_delta = [bets(delta=d).update(verdicts).result().value for d in (0, 1e-3, 0.05, 0.5)]
    assert by_delta[0] >= by_delta[1] > by_delta[2] > by_delta[3]
    by_confidence = [bets(confidence=c).update(verdicts).result().value for c in (0.5, 0.95, 0.999)]
    assert by_confidence[0] > by_confidence[1] > by_confidence[2]


def test_limit_in_the_end_it_finds_the_truth(rng):
    verdicts = rng.permutation(np.where(np.arange(20_000) < 20_000 * expit(LN3), 1, -1))
    assert 0.9 * LN3 < bets().update(verdicts).result().value < LN3


@pytest.mark.parametrize("confidence", [0.95, 0.5])
def test_coverage_every_course_of_twelve_trials(confidence):
    """Exact, at every ε of a few and whenever one stops: right with the largest probability allowed."""
    courses = np.where((np.arange(4096)[:, None] >> np.arange(12)) % 2 == 1, 1, -1)
    right, wrong = (np.cumsum(courses == one, axis=1) - (courses == one) for one in (1, -1))
    shares = []
    for epsilon, delta in product((0.0, 0.01, 0.5, LN3, 2.0, 4.0), (0.0, 0.05)):
        won = np.log1p(bet(right, wrong, epsilon, delta) * payoff(courses, epsilon, delta))
        reaches = np.cumsum(won, axis=1).max(axis=1) >= -np.log(1 - confidence)
        often = (np.exp(epsilon) + delta) / (1 + np.exp(epsilon))
        chance = np.where(courses == 1, often, 1 - often).prod(axis=1)
        shares.append(chance[reaches].sum())
    assert 0.2 * (1 - confidence) < max(shares) <= 1 - confidence


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bets(Design.UNKNOWN), "design must be known, or no bound is possible"),
        (lambda: bets(Design.FIXED), "got fixed"),
        (lambda: bets(Design.ONE_RUN, 1e-5), "delta must be 0 with one-run for betting, got 1e-05"),
        (lambda: bets(Design.COINS, 1e-5), "delta must be 0 with coins for betting"),
        (lambda: bets(delta=1.0), r"delta must be in \[0, 1\), got 1"),
        (lambda: bets(confidence=1.0), r"confidence must be in \(0, 1\), got 1"),
        (lambda: bets().update(2), r"verdicts must be 1 \(right\), −1 \(wrong\) or 0 \(abstained\), got 2"),
        (lambda: bets().update(np.array([0.5, np.nan])), "verdicts must be integers, got dtype float64"),
        (lambda: bets().result(), "trials must be at least 1, got 0"),
    ],
)
def test_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()
