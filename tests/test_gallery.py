"""The gallery: who is caught, why not, and that what is correct is not accused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom

from mialab.accounting import Guarantee, Neighbours
from mialab.audit import Finding
from mialab.game import Design, Outcome
from mialab.metrics import roc_curve
from mialab.tradeoff import pure
from mialab_book.faults import (
    CORRECT,
    FAULTS,
    HONEST_RELEASES,
    HONEST_TRAINERS,
    RELEASES,
    TRAINERS,
    Case,
    Claim,
)
from mialab_book.gallery import AUDITS, AuditOutcome, Row, one_of_each_pair, run_gallery, simulate


def audits_but(*names):
    return {name: audit for name, audit in AUDITS.items() if name not in names}


QUICK = audits_but("joint")  # which takes a second a row
CHEAP = audits_but("joint", "any threshold")  # which has coverage tests of its own
TWO_RATES = {"two rates": AUDITS["two rates"]}
SLOW = ("discrete Laplace", "discrete Gaussian")  # drawn one by one
HONEST = tuple(case for case in CORRECT if case.name not in SLOW)


@pytest.fixture(scope="module")
def rows():
    return run_gallery(FAULTS + HONEST, QUICK, runs=3000, rng=np.random.default_rng(20261124))


def test_definition_every_fault_is_caught_but_the_one_that_is_too_small(rows):
    free = [row.case.name for row in rows if row.case in FAULTS and not row.caught_by]
    assert free == ["10e-5 for 10⁻⁵"]
    assert not [row.case.name for row in rows if row.case in CORRECT and row.caught_by]


def test_definition_no_bound_is_above_the_truth(rows):
    """All bounds of the table hold at once but in one of twenty tables, and the seed is fixed."""
    for row in rows:
        truth = row.case.true_epsilon
        assert truth is None or row.lower <= truth, row.case.name


def test_definition_a_claim_about_the_far_tail_is_refuted_by_its_curve_only(rows):
    by_name = {row.case.name: row for row in rows}
    for name in (
        "microbatches counted as records",
        "shuffled, counted as Poisson",
        "deviation read as variance",
    ):
        assert by_name[name].caught_by == ["curve", "curve anywhere"]
        assert by_name[name].lower < by_name[name].case.claim.guarantee.epsilon
    assert "could not have told" in by_name["shuffled, counted as Poisson"].why_not("two rates")
    assert by_name["microbatches counted as records"].why_not("accuracy") == (
        "less sharp here than curve, curve anywhere"
    )
    assert by_name["10e-5 for 10⁻⁵"].why_not("curve") == "the gap is small for so few runs: 1.19 against 1"
    assert by_name["no clipping"].why_not("curve") == ""
    assert by_name["Laplace"].why_not("accuracy") == "the promise is kept"


def test_definition_the_error_of_the_table_is_divided_by_its_cells():
    asked = []

    def ask(simulation, claim, confidence, rng):
        asked.append(confidence)
        return AuditOutcome(Finding.CONSISTENT, 1)

    run_gallery(RELEASES[:3], {"a": ask, "b": ask}, runs=30, rng=np.random.default_rng(0), confidence=0.94)
    assert asked == pytest.approx([0.99] * 6)


def test_definition_a_row_does_not_depend_on_the_rows_beside_it():
    alone, first = (
        run_gallery(cases, TWO_RATES, runs=300, rng=np.random.default_rng(1))[0]
        for cases in (RELEASES[:1], RELEASES[:2])
    )
    bounds = [row.outcomes["two rates"].bound for row in (alone, first)]
    same = {"value": 0.0, "reach": 0.0, "ceiling": 0.0, "turned": 0.0, "confidence": 0.95}
    counts = [replace(bound, **same, rank=bounds[0].rank) for bound in bounds]
    assert counts[0] == counts[1]
    assert bounds[0].rank.value == bounds[1].rank.value
    assert bounds[0].confidence < bounds[1].confidence


def test_definition_a_coin_chooses_one_of_each_pair(rng):
    outcome = Outcome(np.arange(4000.0), np.arange(4000) < 2000, design=Design.RUNS)
    coins = one_of_each_pair(outcome, rng=rng)
    assert coins.design == Design.COINS
    np.testing.assert_array_equal(coins.score, np.arange(2000) + 2000 * ~coins.member)
    assert abs(coins.member.mean() - 0.5) < 4 * 0.5 / np.sqrt(2000)
    assert abs(np.mean(coins.member[1:] == coins.member[:-1]) - 0.5) < 4 * 0.5 / np.sqrt(2000)


def test_definition_the_calibration_set_and_the_tested_runs_differ(rng):
    simulation = simulate(HONEST_TRAINERS[0], runs=50, rng=rng)
    assert simulation.runs.design == Design.RUNS
    assert not set(simulation.calibration.score) & set(simulation.runs.score)


def test_definition_a_weak_attack_is_not_called_a_small_gap():
    """Where no ε is true, or nobody knows which, an audit that saw nothing had a weak attack."""
    for case in FAULTS:
        row = Row(case, {"a": AuditOutcome(Finding.CONSISTENT, 10)}, {})
        known = case.true_epsilon is not None and np.isfinite(case.true_epsilon)
        assert row.why_not("a").startswith("the gap" if known else "this attack"), case.name
        assert (row.lower, row.trials) == (0.0, 10)


def test_limit_the_exact_joint_test_takes_part():
    (row,) = run_gallery(TRAINERS[:1], {"joint": AUDITS["joint"]}, runs=1000, rng=np.random.default_rng(0))
    assert row.caught_by == ["joint"]
    assert row.outcomes["joint"].trials == 1000  # the first 500 of either side


def mixture(record_in: bool, runs: int, *, rng) -> np.ndarray:
    """Answers of which every high threshold is tight at ε = ln 3."""
    uniform = rng.random(runs)
    top = rng.random(runs) < 0.75
    return np.where(top, 0.75 + uniform / 4, 0.75 * uniform) if record_in else uniform


CLAIM = Guarantee(float(np.log(3)), 0.0, Neighbours.REPLACE)
MIXTURE = Case("every high threshold is tight", "an answer", Claim(CLAIM, pure(CLAIM.epsilon)), mixture)


def best_of_all(simulation, claim, confidence, rng):
    """Do what must not be done: Katz's interval for a ratio, at the threshold where it looks best."""
    roc, size = roc_curve(simulation.runs), int(simulation.runs.member.sum())
    true, false = (np.rint(rate * size)[1:-1] for rate in (roc.tpr, roc.fpr))
    true, false = true[(true > 0) & (false > 0)], false[(true > 0) & (false > 0)]
    lower = np.log(true / false) - ndtri(confidence) * np.sqrt(1 / true + 1 / false - 2 / size)
    violated = lower.max() > claim.guarantee.epsilon
    return AuditOutcome(Finding.VIOLATED if violated else Finding.CONSISTENT, 2 * size)


def accusations(cases, audits, *, repeats, runs, rng):
    """Count for each correct thing and each audit how often it is accused, each cell at 95 %."""
    found = np.zeros((len(cases), len(audits)), dtype=int)
    for _ in range(repeats):
        for k, case in enumerate(cases):
            simulation = simulate(case, runs=runs, rng=rng)
            outcomes = [audit(simulation, case.claim, 0.95, rng) for audit in audits.values()]
            found[k] += [outcome.finding == Finding.VIOLATED for outcome in outcomes]
    return found


def most_allowed(repeats: int, cells: int) -> float:
    """Return a count that all cells keep to with 99.9 %, each at an error of 5 %."""
    return binom.isf(0.001 / cells, repeats, 0.05)


TIGHT = (MIXTURE, *HONEST_RELEASES[:4], HONEST_TRAINERS[2])


def test_coverage_what_is_correct_is_accused_no_more_often_than_announced():
    found = accusations(TIGHT, CHEAP, repeats=60, runs=100, rng=np.random.default_rng(1))
    assert found.max() <= most_allowed(60, found.size), found


@pytest.mark.slow
def test_coverage_what_is_correct_is_accused_no_more_often_than_announced_larger():
    cases = (*TIGHT, HONEST_TRAINERS[0], HONEST_TRAINERS[1])
    found = accusations(cases, QUICK, repeats=500, runs=200, rng=np.random.default_rng(2))
    assert found.max() <= most_allowed(500, found.size), found


def test_coverage_a_threshold_picked_on_the_same_runs_accuses_too_often():
    naive = {"best of all": best_of_all}
    found = accusations((MIXTURE,), naive, repeats=100, runs=100, rng=np.random.default_rng(3))
    assert found.max() > most_allowed(100, 1), found


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"runs": 0}, "runs must be at least 30, got 0"),
        ({"confidence": 1.0}, r"confidence must be in \(0, 1\), got 1.0"),
    ],
)
def test_limit_a_gallery_that_cannot_be_is_refused(wrong, says, rng):
    with pytest.raises(ValueError, match=says):
        run_gallery(RELEASES[:1], TWO_RATES, **{"runs": 10, "rng": rng} | wrong)


def test_definition_claims_about_other_neighbours_are_not_mixed(rows):
    for row in rows:
        for outcome in row.outcomes.values():
            assert outcome.bound is None or outcome.bound.neighbours == row.case.claim.guarantee.neighbours
    assert {row.case.claim.guarantee.neighbours for row in rows} == set(Neighbours)
