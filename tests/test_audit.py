"""Lower bounds on ε. How often they are above the truth is in test_audit_coverage."""

import itertools

import numpy as np
import pytest
from mialab.audit.clopper_pearson import rate_limits
from scipy.special import gammaln, log_expit
from scipy.stats import binom, binomtest

from mialab.accounting import Guarantee, Neighbours
from mialab.audit import (
    AuditResult,
    Finding,
    Guesses,
    Method,
    Verdict,
    accuracy,
    ceiling_of_one_run,
    ceiling_of_rates,
    fixed_threshold,
    guess,
    joint,
    one_run,
    p_value,
    split,
    trials_for_evidence,
    trials_for_power,
)
from mialab.audit.power import log_all_right
from mialab.audit.result import largest_refuted
from mialab.audit.split import _proved
from mialab.game import Counts, Design, Outcome
from mialab.metrics import roc_curve
from mialab.tradeoff import approximate

REPLACE = {"neighbours": Neighbours.REPLACE}


def runs(true: int, members: int, false: int, non_members: int, design: Design = Design.RUNS) -> Counts:
    return Counts(true, members, false, non_members, design=design)


def one(right: int, guesses: int, canaries: int) -> Guesses:
    return Guesses(right, guesses, canaries, Design.ONE_RUN)


def p_value_slowly(m: int, r: int, v: int, epsilon: float, delta: float) -> float:
    """Read the theorem aloud: every i, and every sum from its beginning."""
    q = np.exp(epsilon) / (1 + np.exp(epsilon))
    right = [binom.pmf(k, r, q) for k in range(r + 1)]
    steepest = max((sum(right[v - i : v]) / i for i in range(1, v + 1)), default=0.0)
    return min(1.0, sum(right[v:]) + 2 * m * delta * steepest)


def p_value_of_all_numbers(m: int, r: int, v: int, epsilon: float, delta: float) -> float:
    """Leave no number out, however far from the expected one; in the same floats."""
    fewer = np.arange(v)[::-1]
    ways = gammaln(r + 1) - gammaln(fewer + 1) - gammaln(r - fewer + 1)
    chance = np.exp(ways + fewer * log_expit(epsilon) + (r - fewer) * log_expit(-epsilon))
    steepest = np.max(np.cumsum(chance) / np.arange(1, v + 1), initial=0.0)
    return min(1.0, p_value(one(v, r, m), epsilon) + 2 * m * delta * steepest)


def test_definition_the_numbers_left_out_change_no_digit(rng):
    compared = 0
    for r in (1, 7, 300, 5000, 40_000):
        for share in (0, 0.02, 0.3, 0.5, 0.52, 0.7, 0.99, 1):
            v, m, delta = round(share * r), r + 10, float(rng.choice([1e-9, 1e-5, 0.01]))
            for epsilon in (0.0, 0.01, 0.5, float(np.log(3)), 3.0, 8.0, rng.uniform(0, 12)):
                slow = p_value_of_all_numbers(m, r, v, epsilon, delta)
                assert p_value(one(v, r, m), epsilon, delta) == slow
                compared += 0 < slow < 1
    assert compared > 80


def test_definition_the_p_value_of_one_run(rng):
    for _ in range(200):
        m = int(rng.integers(1, 60))
        r = int(rng.integers(0, m + 1))
        v = int(rng.integers(0, r + 1))
        epsilon, delta = rng.uniform(0, 4), float(rng.choice([0, 1e-5, 1e-3, 0.1]))
        slow = p_value_slowly(m, r, v, epsilon, delta)
        assert p_value(one(v, r, m), epsilon, delta) == pytest.approx(slow, rel=1e-9, abs=1e-14)


def test_definition_two_rates_in_both_roles(rng):
    for _ in range(100):
        n1, n0 = (int(n) for n in rng.integers(1, 300, 2))
        true, false = int(rng.integers(n1 + 1)), int(rng.integers(n0 + 1))
        delta = float(rng.choice([0, 0.01]))
        tpr = binomtest(true, n1).proportion_ci(0.95).low  # two-sided: half of the error below
        fpr = binomtest(false, n0).proportion_ci(0.95).high
        with np.errstate(divide="ignore", invalid="ignore"):
            slow = np.log([max(tpr - delta, 0) / fpr, max(1 - fpr - delta, 0) / (1 - tpr)])
        bound = rates(runs(true, n1, false, n0), delta=delta, **REPLACE).value
        assert bound == pytest.approx(max(0, *slow), abs=1e-9)


@pytest.mark.parametrize(
    ("m", "r", "v", "delta", "epsilon"),
    [
        (1000, 100, 100, 0, 3.492965),
        (1000, 100, 100, 1e-5, 3.465376),
        (1000, 100, 95, 1e-5, 2.165176),
        (1000, 1000, 600, 0, 0.297468),
        (1000, 1000, 500, 0, 0),
        (1000, 1000, 1000, 0, 5.809068),
    ],
)
def test_oracle_the_program_printed_in_the_paper(m, r, v, delta, epsilon):
    """Steinke, Nasr & Jagielski 2023, Appendix D, run elsewhere."""
    assert lower_bound(one(v, r, m), delta=delta, **REPLACE).value == pytest.approx(epsilon, abs=1e-6)


def test_oracle_two_rates():
    """Jagielski, Ullman & Oprea 2020: all of 500 against none of 500, at 99 %."""
    bound = rates(runs(500, 500, 0, 500), confidence=0.99, **REPLACE)
    assert bound.value == pytest.approx(4.541915810, abs=1e-8)


@pytest.mark.parametrize(
    ("n", "rates", "any_test"),
    [
        (50, 2.569585, 3.492965),
        (200, 3.983758, 4.890529),
        (1000, 5.600588, 6.502965),
        (5000, 7.211502, 8.113002),
    ],
)
def test_oracle_ceilings(n, rates, any_test):
    assert ceiling_of_rates(n, n) == pytest.approx(rates, abs=1e-6)
    assert ceiling(n, n) == pytest.approx(any_test, abs=1e-6)
    q = 0.05 ** (1 / n)
    assert ceiling_of_one_run(n) == pytest.approx(np.log(q / (1 - q)), rel=1e-12)
    assert accuracy(runs(n, n, 0, n), **REPLACE).value == pytest.approx(any_test, abs=1e-6)


def test_oracle_65_per_cent_against_60():
    assert trials_for_evidence(0.65, allowed=0.6) == (248, 270)
    assert trials_for_power(0.65, allowed=0.6) == (585, 617)
    assert binomial_p_value(65, 100, allowed=0.6) == pytest.approx(
        binomtest(65, 100, 0.6, "greater").pvalue, rel=1e-12
    )


@pytest.mark.parametrize("confidence", [5e-324, 1e-17, 1 - 2**-53])
def test_limit_with_any_confidence_there_is_an_answer(confidence):
    terms = {"confidence": confidence, **REPLACE}
    for bound in (
        accuracy(runs(8, 10, 2, 10), **terms),
        rates(runs(8, 10, 2, 10), **terms),
        joint(runs(8, 10, 2, 10), **terms),
        lower_bound(one(16, 20, 20), **terms),
    ):
        assert 0 <= bound.value <= bound.reach <= bound.ceiling < 100
    first, always = trials_for_evidence(0.65, allowed=0.6, confidence=confidence)
    assert 1 <= first <= always


def test_definition_power_by_the_slow_loop():
    for share, allowed, power in ((0.8, 0.5, 0.8), (0.99, 0.9, 0.9), (0.3, 0.1, 0.5)):
        enough, evidence = [], []
        for n in range(1, 130):
            critical = next(c for c in range(n + 2) if binom.sf(c - 1, n, allowed) < 0.05)
            enough.append(binom.sf(critical - 1, n, share) >= power)
            evidence.append(binom.sf(np.ceil(share * n - 1e-9) - 1, n, allowed) < 0.05)
        for found, slow in (
            (trials_for_power(share, allowed=allowed, power=power), enough),
            (trials_for_evidence(share, allowed=allowed), evidence),
        ):
            assert found == (slow.index(True) + 1, len(slow) - slow[::-1].index(False) + 1)


@pytest.mark.parametrize(
    ("members", "non_members", "delta"), [(3, 7, 0.0), (7, 3, 0.1), (50, 2, 0.01), (5, 5, 0.05)]
)
def test_definition_the_likeliest_way_to_be_all_right(members, non_members, delta):
    fpr = np.linspace(0, 1, 200_001)[:-1]
    for epsilon in (0.0, 0.5, 2.0):
        tpr = np.minimum(approximate(epsilon, delta).tpr(fpr), 1)
        with np.errstate(divide="ignore"):
            grid = np.max(members * np.log(tpr) + non_members * np.log1p(-fpr))
        assert grid - 1e-12 <= log_all_right(members, non_members, epsilon, delta) <= grid + 1e-3


def test_limit_no_leak_no_bound():
    for bound in (
        accuracy(runs(50, 100, 50, 100), **REPLACE),
        rates(runs(50, 100, 50, 100), **REPLACE),
        lower_bound(one(50, 100, 100), **REPLACE),
        lower_bound(one(0, 0, 100), **REPLACE),
    ):
        assert bound.value == 0


@pytest.mark.parametrize("design", [Design.COINS, Design.ONE_RUN])
def test_definition_accuracy_of_coins_is_one_run_with_every_guess(design):
    counts = runs(45, 52, 5, 48, design)
    ours = accuracy(counts, delta=1e-4, **REPLACE)
    theirs = lower_bound(Guesses(88, 100, 100, design), delta=1e-4, **REPLACE)
    assert (ours.value, ours.ceiling) == (theirs.value, theirs.ceiling)
    assert 0 < ours.value < ours.ceiling


def test_limit_a_larger_delta_never_proves_more():
    deltas = (0.0, 1e-6, 1e-4, 1e-2, 0.5)
    for bounds in (
        [rates(runs(90, 100, 5, 100), delta=delta, **REPLACE) for delta in deltas],
        [accuracy(runs(90, 100, 5, 100), delta=delta, **REPLACE) for delta in deltas],
        [lower_bound(one(95, 100, 1000), delta=delta, **REPLACE) for delta in deltas],
    ):
        epsilons = [bound.value for bound in bounds]
        assert epsilons == sorted(epsilons, reverse=True)
        assert epsilons[0] > epsilons[2] > epsilons[-1]


def test_limit_roles_swapped_prove_the_same():
    there = rates(runs(40, 100, 2, 100), **REPLACE).value
    back = rates(runs(98, 100, 60, 100), **REPLACE).value
    assert there == pytest.approx(back, rel=1e-12)
    assert there > 1


def test_limit_equal_scores_everywhere_are_no_right_guesses():
    tied = Outcome(np.zeros(10), np.arange(10) < 5, design=Design.COINS)
    assert guess(tied, ins=3, outs=3) == Guesses(0, 6, 10, Design.COINS)
    assert guess(tied, ins=10, outs=0).right == 5
    assert guess(tied, ins=0, outs=10).right == 5


def right_under(lots, outcome, ins, outs):
    """Put the records in order of their scores, equal ones in the order of the lots, and guess."""
    ranked = outcome.member[np.lexsort((lots, -outcome.score))]
    return int(ranked[:ins].sum() + (~ranked[len(ranked) - outs :]).sum())


def test_definition_equal_scores_are_guessed_by_the_worst_lots(rng):
    differ = 0
    for _ in range(60):
        member = rng.permutation([True, False, *(rng.random(4) < 0.5)])
        outcome = Outcome(rng.integers(3, size=6).astype(float), member, design=Design.COINS)
        ins, outs = int(rng.integers(1, 4)), int(rng.integers(0, 4))
        of_all = [right_under(lots, outcome, ins, outs) for lots in itertools.permutations(range(6))]
        for_ins = [right_under(lots, outcome, ins, 0) for lots in itertools.permutations(range(6))]
        assert guess(outcome, ins=ins, outs=outs).right == min(of_all)  # the same lots are worst at both ends
        assert guess(outcome, ins=ins, outs=0).right == min(for_ins)
        differ += min(for_ins) < max(for_ins)
    assert differ > 20


def test_limit_two_scores_prove_nearly_what_their_threshold_proves(rng):
    """Right or wrong: most of the records have the same score, and the border lies among them."""
    member = rng.random(2000) < 0.5
    score = np.where(rng.random(2000) < 0.9, member, ~member) * 1.0
    outcome = Outcome(score, member, design=Design.ONE_RUN)
    fixed = accuracy(outcome.at(0.5), neighbours=Neighbours.REPLACE).value
    made = guess(outcome, ins=1000, outs=1000)
    assert fixed - 0.3 < lower_bound(made, neighbours=Neighbours.REPLACE).value <= fixed


def test_limit_a_bound_is_on_the_refuted_side():
    """The next float is not refuted any more."""
    guesses = one(80, 100, 100)
    bound = lower_bound(guesses, **REPLACE).value
    assert p_value(guesses, bound) <= 1 - 0.95 < p_value(guesses, np.nextafter(bound, 9) + 1e-12)
    assert largest_refuted(lambda epsilon: epsilon <= 700) == 700


def test_definition_a_split_looks_for_the_best_of_all_thresholds(rng):
    """Also of those that a neighbour outdoes, and with equal scores."""
    for _ in range(200):
        n, decimals = int(rng.integers(2, 60)), int(rng.integers(0, 3))
        member = rng.permutation(np.arange(n) < rng.integers(1, n))
        score = np.round(rng.normal(size=n) + rng.uniform(-1, 3) * member, decimals)
        roc = roc_curve(Outcome(score, member, design=Design.RUNS))
        sides = int(roc.members), int(roc.non_members)
        tpr, tnr = rate_limits(np.rint(roc.tpr * sides[0]), np.rint(roc.fpr * sides[1]), sides, 0.05)
        with np.errstate(divide="ignore"):
            of_all = np.maximum(np.log(tpr) - np.log1p(-tnr), np.log(tnr) - np.log1p(-tpr))
        proved = _proved(roc)
        assert np.argmax(proved) == np.argmax(of_all)
        assert proved.max() == of_all.max()
        assert (proved[proved > -np.inf] == of_all[proved > -np.inf]).all()


def test_definition_a_split_tests_what_it_did_not_choose_on():
    """On noise the best threshold looks good; tested on the rest it is worth nothing."""
    rng, member = np.random.default_rng(0), np.arange(400) < 200
    bounds = []
    for _ in range(50):
        noise = Outcome(rng.normal(size=400), member, design=Design.RUNS)
        bounds.append(split(noise, accuracy, rng=rng, **REPLACE).value)
    assert np.mean(np.array(bounds) > 0) <= 0.1
    clear = Outcome(rng.normal(size=400) + 6 * member, member, design=Design.RUNS)
    for audit, most in ((accuracy, ceiling(140, 140)), (fixed_threshold, ceiling_of_rates(140, 140))):
        bound = split(clear, audit, rng=rng, **REPLACE)
        assert 0.8 * most < bound.value <= bound.ceiling == pytest.approx(most)
        assert bound.trials == 280


def test_definition_the_same_coins_are_spent_whoever_was_in():
    """Coins to choose on are drawn without looking: the rest stays a fair coin each."""
    score, kept = np.arange(40.0), []
    for member in (np.arange(40) % 2 == 0, np.arange(40) % 3 == 0):
        outcome = Outcome(score, member, design=Design.COINS)
        kept.append(split(outcome, accuracy, rng=np.random.default_rng(3), **REPLACE).trials)
    assert kept == [28, 28]


METHOD = Method("some method", (Design.RUNS,))


def result(epsilon: float = 1.0, delta: float = 0.0, ceiling: float = 5.0) -> AuditResult:
    return AuditResult(epsilon, delta, 0.95, METHOD, Neighbours.REPLACE, Design.RUNS, 100, ceiling)


def test_definition_on_paper_a_bound_is_never_larger():
    assert str(result(0.9999999)) == "ε ≥ 0.999 at δ = 0 (95 % confident, some method)"
    almost = AuditResult(1.0, 1e-5, 0.9999999, METHOD, Neighbours.REPLACE, Design.RUNS, 1, 1.0)
    assert str(almost) == "ε ≥ 1.000 at δ = 1e-05 (99.9999 % confident, some method)"


@pytest.mark.parametrize(
    ("epsilon", "ceiling", "claimed", "finding"),
    [
        (1.0, 5.0, 0.9, Finding.VIOLATED),
        (1.0, 5.0, 1.0, Finding.CONSISTENT),
        (1.0, 5.0, 4.9, Finding.CONSISTENT),
        (1.0, 5.0, 5.0, Finding.UNINFORMATIVE),
        (0.0, 0.0, 0.0, Finding.UNINFORMATIVE),
    ],
)
def test_definition_the_three_findings(epsilon, ceiling, claimed, finding):
    verdict = Verdict(result(epsilon, ceiling=ceiling), Guarantee(claimed, 0.0, Neighbours.REPLACE))
    assert verdict.finding == finding
    assert str(verdict).startswith(finding)


SCORES = Outcome(np.arange(8.0), np.arange(8) % 2 == 0, design=Design.RUNS)
RNG = np.random.default_rng(0)


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Guesses(4, 3, 10), r"right must be in 0 … 3 \(guesses\), got 4"),
        (lambda: Guesses(4, 11, 10), r"guesses must be in 0 … 10 \(canaries\), got 11"),
        (lambda: Guesses(1, 2, 2.5), "canaries must be a whole number, got 2.5"),
        (lambda: Guesses(0, 0, 0), "canaries must be at least 1, got 0"),
        (lambda: guess(SCORES, ins=5, outs=4), r"ins \+ outs must be in 1 … 8 \(records\), got 9"),
        (lambda: guess(SCORES, ins=-1, outs=4), "ins must be at least 0, got -1"),
        (lambda: lower_bound(Guesses(1, 2, 3), **REPLACE), "design must be known, or no bound is possible"),
        (
            lambda: lower_bound(Guesses(1, 2, 3, Design.FIXED), **REPLACE),
            "design must be one-run or coins .*got fixed",
        ),
        (lambda: lower_bound(Guesses(1, 2, 3, Design.RUNS), **REPLACE), "got runs"),
        (lambda: accuracy(runs(1, 2, 0, 2, Design.UNKNOWN), **REPLACE), "design must be known"),
        (lambda: accuracy(runs(1, 2, 0, 2, Design.FIXED), **REPLACE), "got fixed"),
        (lambda: accuracy(runs(1, 2, 0, 3), **REPLACE), "be as many on both sides for accuracy, got 2 and 3"),
        (lambda: rates(runs(1, 2, 0, 2, Design.COINS), **REPLACE), "got coins"),
        (lambda: rates(runs(1, 2, 0, 2, Design.ONE_RUN), **REPLACE), "got one-run"),
        (
            lambda: rates(runs(1, 2, 0, 2), delta=1.0, **REPLACE),
            r"delta must be in \[0, 1\), got 1",
        ),
        (
            lambda: rates(runs(1, 2, 0, 2), delta=np.nan, **REPLACE),
            r"delta must be a number, got nan",
        ),
        (
            lambda: accuracy(runs(1, 2, 0, 2), confidence=95, **REPLACE),
            r"confidence must be in \(0, 1\), got 95",
        ),
        (lambda: accuracy(runs(1, 2, 0, 2), neighbours="both"), "neighbours must be one of"),
        (lambda: split(SCORES, max, rng=RNG, **REPLACE), "audit must be accuracy, fixed_threshold or joint"),
        (lambda: split(SCORES, accuracy, rng=RNG, share=1, **REPLACE), r"share must be in \(0, 1\), got 1"),
        (lambda: split(SCORES, accuracy, rng=RNG, share=0.01, **REPLACE), "in each part, must hold members"),
        (lambda: p_value(Guesses(1, 2, 3), -1.0), "epsilon must be a finite number of at least 0, got -1"),
        (lambda: binomial_p_value(3, 2, allowed=0.5), r"right must be in 0 … 2 \(trials\), got 3"),
        (lambda: binomial_p_value(1, 2, allowed=1.5), r"allowed must be in \[0, 1\], got 1.5"),
        (lambda: trials_for_evidence(0.6, allowed=0.6), "share must be above the allowed 0.6, got 0.6"),
        (lambda: trials_for_power(0.600001, allowed=0.6), "the gap must need at most ten million trials"),
        (lambda: ceiling(0, 5), "members must be at least 1, got 0"),
        (lambda: ceiling_of_rates(5, 5, confidence=0), r"confidence must be in \(0, 1\), got 0"),
        (lambda: ceiling_of_one_run(5, guesses=6), r"guesses must be in 0 … 5 \(canaries\), got 6"),
        (lambda: result(6.0), "epsilon_lower must be at most the ceiling 5.0, got 6.0"),
        (lambda: result(-1.0), "epsilon_lower must be a finite number of at least 0, got -1.0"),
        (
            lambda: Verdict(result(), Guarantee(1.0, 0.0, Neighbours.ADD_REMOVE)),
            "neighbours of bound and claim must be the same, got replace-one and add-remove",
        ),
        (
            lambda: Verdict(result(), Guarantee(1.0, 1e-5, Neighbours.REPLACE)),
            "delta of bound and claim must be the same, got 0.0 and 1e-05",
        ),
    ],
)
def test_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_door_has_no_way_from_scores_to_a_bound():
    """A threshold picked on the same data has no name here: none of these takes an Outcome."""
    for audit in (accuracy, fixed_threshold, one_run):
        with pytest.raises(ValueError, match=r"must be a (Counts|Guesses), got Outcome"):
            audit(SCORES, **REPLACE)
