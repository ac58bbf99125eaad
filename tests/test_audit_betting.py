"""A bound that may be looked at after every trial."""

from itertools import product

import numpy as np
import pytest
from scipy.special import expit

from mialab.accounting import Guarantee, Neighbours
from mialab.audit import AuditResult, ConfidenceSequence, lower_bound, p_value
from mialab.audit.betting import GRID, bet, payoff
from mialab.game import Design

LN3 = float(np.log(3))


def bets(
    calls: np.ndarray | int = (), delta: float = 0.0, design: Design = Design.RUNS
) -> ConfidenceSequence:
    return ConfidenceSequence(design, delta=delta).update(np.array(calls, dtype=int))


def found(state: ConfidenceSequence, confidence: float = 0.95) -> AuditResult:
    return lower_bound(state, neighbours="replace-one", delta=state.delta, confidence=confidence)


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
    state = bets(verdicts, delta)
    bound = found(state).value
    assert bound > 0
    for place in (0, 1, 50, int(np.searchsorted(GRID, bound)), 400, 1000):
        slow = most_slowly(verdicts, float(GRID[place]), delta)
        assert np.exp(state._most[0, place]) == pytest.approx(slow, rel=1e-9)
        claim = Guarantee(float(GRID[place]), delta, Neighbours.REPLACE)
        assert p_value(state, claim) == pytest.approx(1 / slow, rel=1e-9)
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
    once, one_by_one = bets(verdicts), bets()
    for verdict in verdicts:
        one_by_one = one_by_one.update(int(verdict))
    assert (once._most == one_by_one._most).all()
    assert (once._wealth == one_by_one._wealth).all()
    counts = [(verdicts == one).sum() for one in (1, -1, 0)]
    assert counts == [once.right, once.wrong, once.abstained]
    assert bets().right == 0


def test_limit_all_right_reaches_the_ceiling_and_looking_again_takes_nothing_back():
    state = bets(np.ones(200))
    assert found(state).value == found(state).ceiling > 3
    after = state.update(-np.ones(200, dtype=int))
    assert found(after).value == found(state).value
    assert found(bets(np.zeros(50))).value == 0
    assert found(bets(-np.ones(50))).value == 0


def test_limit_a_larger_delta_and_more_confidence_prove_less(rng):
    verdicts = np.where(rng.random(500) < 0.9, 1, -1)
    by_delta = [found(bets(verdicts, d)).value for d in (0, 1e-3, 0.05, 0.5)]
    assert by_delta[0] >= by_delta[1] > by_delta[2] > by_delta[3]
    by_confidence = [found(bets(verdicts), c).value for c in (0.5, 0.95, 0.999)]
    assert by_confidence[0] > by_confidence[1] > by_confidence[2]


def test_limit_in_the_end_it_finds_the_truth(rng):
    verdicts = rng.permutation(np.where(np.arange(20_000) < 20_000 * expit(LN3), 1, -1))
    assert 0.9 * LN3 < found(bets(verdicts)).value < LN3


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


def test_limit_of_a_claim_between_two_of_the_grid_the_larger_is_bet_against(rng):
    state = bets(np.where(rng.random(300) < 0.8, 1, -1))
    bound = found(state).value
    for epsilon, refuted in (
        (bound - 0.001, True),
        (bound, True),
        (bound + 0.001, False),
        (bound + 0.005, False),
    ):
        assert (p_value(state, Guarantee(epsilon, 0.0, Neighbours.REPLACE)) <= 0.05) == refuted
    assert p_value(state, Guarantee(20.0, 0.0, Neighbours.REPLACE)) == 1


@pytest.mark.parametrize("delta", [0.0, 0.02])
def test_definition_turned_round_and_at_its_best(delta, rng):
    """What the state would be, had the calls been others: the bets are made anew."""
    verdicts = rng.integers(-1, 2, 80)
    state = bets(verdicts, delta)
    turned = bets(-verdicts, delta)
    assert (state.turned()._most == turned._most).all()
    assert (state.turned().right, state.turned().wrong) == (turned.right, turned.wrong)
    assert (state.turned().turned()._most == state._most).all()
    result = found(state)
    assert result.turned == found(turned).value
    assert result.reach == found(bets(np.ones(np.count_nonzero(verdicts)), delta)).value
    assert result.ceiling == found(bets(np.ones(80), delta)).value


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: bets(delta=1e-5, design=Design.ONE_RUN),
            "delta must be 0 with one-run for betting, got 1e-05",
        ),
        (lambda: bets(delta=1e-5, design=Design.COINS), "delta must be 0 with coins for betting"),
        (lambda: bets(delta=1.0), r"delta must be in \[0, 1\), got 1"),
        (lambda: bets().update(2), r"calls must be 1 \(right\), −1 \(wrong\) or 0 \(abstained\), got 2"),
        (lambda: found(bets()), "trials must be at least 1, got 0"),
        (lambda: bets([1]).rank(confidence=1.0), r"confidence must be in \(0, 1\), got 1"),
        (
            lambda: lower_bound(bets([1], 0.1), neighbours="replace-one"),
            "delta must be 0.1, which was bet with, got 0",
        ),
    ],
)
def test_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()
