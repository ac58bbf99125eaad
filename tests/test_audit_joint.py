"""The exact joint test of two rates."""

from itertools import product

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from audits import accuracy, joint, rates
from mialab.accounting import Neighbours
from mialab.audit import ceiling, split
from mialab.audit.claims import Epsilon, EpsilonDelta
from mialab.audit.evidence import Rule
from mialab.audit.rates import _objection, _probability, as_telling
from mialab.game import Counts, Design, Outcome
from mialab.metrics import clopper_pearson
from mialab.tradeoff import approximate

ERROR = 0.05
SAME = {"neighbours": Neighbours.REPLACE}


def runs(true: int, members: int, false: int, non_members: int) -> Counts:
    return Counts(true, members, false, non_members, design=Design.RUNS)


def telling(true: int, false: int, n: int, delta: float) -> np.ndarray:
    return as_telling(Rule(true, n, false, n, Design.RUNS), Epsilon(delta), ERROR)


def all_bounds(sides: tuple[int, int], delta: float) -> np.ndarray:
    """Return the bound of every outcome, (true positives, false positives)."""
    members, non_members = sides
    rows = range(members + 1), range(non_members + 1)
    bounds = [joint(runs(t, members, f, non_members), delta=delta, **SAME) for t, f in product(*rows)]
    return np.array([one.value for one in bounds]).reshape(members + 1, non_members + 1)


def boundary(epsilon: float, delta: float, points: int = 2001) -> tuple[np.ndarray, np.ndarray]:
    """Return FPR and TPR of the worst rates that (ε, δ) allows, on a grid with the corner in it."""
    fpr = np.unique(np.append(np.linspace(0, 1, points), (1 - delta) * expit(-epsilon)))
    return fpr, np.minimum(approximate(epsilon, delta).tpr(fpr), 1.0)


def chances(telling: np.ndarray, fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Return the probability of a set of outcomes at many rates."""
    members, non_members = np.array(telling.shape) - 1
    hits = binom.pmf(np.arange(members + 1)[:, None], members, tpr)
    false = binom.pmf(np.arange(non_members + 1)[:, None], non_members, fpr)
    return np.einsum("tp,fp,tf->p", hits, false, telling)


def evidence_slowly(true: int, members: int, false: int, non_members: int, delta: float) -> float:
    tpr = clopper_pearson(true, members).low
    fpr = clopper_pearson(false, non_members).high
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.log(np.maximum([tpr - delta, 1 - fpr - delta], 0) / [fpr, 1 - tpr]).max())


@pytest.mark.parametrize(("sides", "delta"), [((9, 9), 0.0), ((6, 14), 0.0), ((10, 7), 0.05)])
def test_definition_the_slow_reading(sides, delta):
    """Order all outcomes, add up the chances of those at least as telling, take the worst rates."""
    members, non_members = sides
    rows = range(members + 1), range(non_members + 1)
    evidence = np.array([evidence_slowly(t, members, f, non_members, delta) for t, f in product(*rows)])
    evidence, bounds = evidence.reshape(members + 1, non_members + 1), all_bounds(sides, delta)
    tested = [(members, 0), (members - 1, 1), (members, 2), (members // 2, 0), (2, non_members)]
    assert sum(bounds[one] > 0 for one in tested) >= 3
    for true, false in tested:
        telling = evidence >= evidence[true, false] - 1e-9
        bound = bounds[true, false]
        if bound > 0:
            assert chances(telling, *boundary(bound, delta)).max() <= ERROR
        assert chances(telling, *boundary(bound + 1e-3, delta)).max() > ERROR


@pytest.mark.parametrize("sides", [(50, 50), (500, 500), (500, 5)])
def test_oracle_a_perfect_attack_proves_all_that_can_be_proved(sides):
    bound = joint(runs(sides[0], sides[0], 0, sides[1]), **SAME)
    assert bound.value == bound.ceiling
    assert 0 <= ceiling(*sides) - bound.ceiling < 1e-4


@pytest.mark.parametrize(("n", "most"), [(300, 0.0), (5000, 0.0), (60_000, 0.05)])
def test_definition_blocks_of_outcomes_are_never_too_unlikely(n, most, rng):
    """Nothing is rounded up to 5,000 trials on either side, and but little above."""
    for false_rate, true_rate in ((1e-4, 0.01), (0.02, 0.06), (0.25, 0.5), (0.5, 0.9)):
        least = telling(int(true_rate * n), int(false_rate * n), n, 0.0)
        fpr = false_rate * rng.uniform(1, 1.03, 3)
        tpr = true_rate * rng.uniform(0.97, 1.0, 3)
        false = np.arange(n + 1)[:, None]
        exact = (binom.pmf(false, n, fpr) * binom.sf(least[:, None] - 1, n, tpr)).sum(axis=0)
        ours = _probability(least, (n, n), tpr, fpr)
        assert (ours >= exact * (1 - 1e-9)).all()
        assert (ours <= exact * (1 + most + 1e-9) + 1e-15).all()


def test_limit_never_below_two_separate_limits(rng):
    for _ in range(40):
        n1, n0 = (int(n) for n in rng.integers(5, 80, 2))
        counts = runs(int(rng.binomial(n1, 0.8)), n1, int(rng.binomial(n0, 0.1)), n0)
        separate, both = rates(counts, **SAME), joint(counts, **SAME)
        assert both.value >= separate.value - 2e-5
        assert both.ceiling > separate.ceiling


@pytest.mark.parametrize(("sides", "delta"), [((6, 6), 0.0), ((5, 7), 0.0), ((2, 10), 0.0), ((6, 6), 0.05)])
def test_coverage_every_outcome_of_twelve_runs(sides, delta):
    bounds = all_bounds(sides, delta)
    for epsilon in (0.0, 0.01, 0.5, np.log(3), 2.0, 4.0, *(np.unique(bounds[bounds > 0]) - 1e-6)):
        assert chances(bounds > epsilon, *boundary(epsilon, delta)).max() <= ERROR
    assert (bounds > 0).any()


def first_to_refute(outcomes: list[tuple[int, int]], n: int, epsilon: float, delta: float) -> int:
    """Return the place of the first outcome that refutes ε, from the least telling one: bisection."""
    low, high = -1, len(outcomes)
    while high - low > 1:
        middle = (low + high) // 2
        least = telling(*outcomes[middle], n, delta)
        objection = _objection(least, (n, n), EpsilonDelta(epsilon, delta), ERROR)
        low, high = (low, middle) if objection is None else (middle, high)
    return high


def test_coverage_on_tight_rates():
    """Exact to the last digit: the share of bounds above the truth is a sum of probabilities."""
    shares = {}
    for epsilon, n, delta in product((0.01, 0.5, float(np.log(3)), 2.0, 4.0), (15, 50, 200), (0.0, 0.02)):
        corner = (1 - delta) * float(expit(-epsilon))
        for fpr in (corner, 0.3 * corner):
            tpr = float(approximate(epsilon, delta).tpr(fpr))
            least = np.full(n + 1, n + 1)
            drawn = np.unique(np.random.default_rng(n).binomial(n, [tpr, fpr], (4000, 2)), axis=0)
            told = [evidence_slowly(int(t), n, int(f), n, delta) for t, f in drawn]
            outcomes = [(int(t), int(f)) for t, f in drawn[np.argsort(told)]]
            first = first_to_refute(outcomes, n, epsilon, delta)
            if first < len(outcomes):
                least = telling(*outcomes[first], n, delta)
            false = binom.pmf(np.arange(n + 1), n, fpr)
            shares[epsilon, n, delta, fpr] = float(false @ binom.sf(least - 1, n, tpr))
    assert max(shares.values()) <= ERROR
    assert max(shares.values()) > 0.045  # and it is not by saying nothing that it is never wrong


def test_coverage_of_the_split():
    rng, above = np.random.default_rng(6), 0
    member = np.arange(60) < 30
    for _ in range(300):
        outcome = Outcome(rng.normal(size=60), member, design=Design.RUNS)
        above += split(outcome, test="joint", rng=rng, **SAME).value > 0
    assert above <= binom.isf(0.01, 300, ERROR)


def test_definition_it_is_sharp_where_the_others_are_blind():
    """All of the leak in a few records far out, and all of it in the middle."""
    far, middle = runs(50, 500, 10, 500), runs(375, 500, 125, 500)
    of = {audit: [audit(one, **SAME).value for one in (far, middle)] for audit in (accuracy, joint)}
    assert of[accuracy][0] < 0.1 < 0.7 < of[joint][0]
    assert of[joint][1] > 0.95 * of[accuracy][1]
