"""Evidence × test × claim, and bounds on ε. How often these are above the truth is in test_audit_coverage."""

import itertools

import numpy as np
import pytest
from scipy.special import gammaln, log_expit
from scipy.stats import binom, binomtest

from audits import accuracy, joint, rates, result
from mialab.accounting import Guarantee, Neighbours
from mialab.audit import (
    TESTS,
    ConfidenceSequence,
    Finding,
    Guesses,
    Verdict,
    binomial_p_value,
    ceiling,
    guess,
    lower_bound,
    p_value,
    refute,
    split,
    table,
    trials_for_evidence,
    trials_for_power,
)
from mialab.audit.bound import JOINT_UP_TO, default_test
from mialab.audit.claims import Epsilon, Mu, PValue
from mialab.audit.power import log_all_right
from mialab.audit.rates import rate_limits
from mialab.audit.result import largest_refuted
from mialab.audit.split import _proved
from mialab.game import Counts, Design, Outcome
from mialab.metrics import roc_curve
from mialab.tradeoff import GaussianCurve, approximate, pure
from refuting import accuracy_refutes, p_of_guesses, rates_refute

ERROR = 1 - 0.95  # a float above 0.05
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
    return min(1.0, p_of_guesses(v, r, m, epsilon) + 2 * m * delta * steepest)


def test_definition_the_numbers_left_out_change_no_digit(rng):
    compared = 0
    for r in (1, 7, 300, 5000, 40_000):
        for share in (0, 0.02, 0.3, 0.5, 0.52, 0.7, 0.99, 1):
            v, m, delta = round(share * r), r + 10, float(rng.choice([1e-9, 1e-5, 0.01]))
            for epsilon in (0.0, 0.01, 0.5, float(np.log(3)), 3.0, 8.0, rng.uniform(0, 12)):
                slow = p_value_of_all_numbers(m, r, v, epsilon, delta)
                assert p_of_guesses(v, r, m, epsilon, delta) == slow
                compared += 0 < slow < 1
    assert compared > 80


def test_definition_the_p_value_of_one_run(rng):
    for _ in range(200):
        m = int(rng.integers(1, 60))
        r = int(rng.integers(0, m + 1))
        v = int(rng.integers(0, r + 1))
        epsilon, delta = rng.uniform(0, 4), float(rng.choice([0, 1e-5, 1e-3, 0.1]))
        slow = p_value_slowly(m, r, v, epsilon, delta)
        assert p_of_guesses(v, r, m, epsilon, delta) == pytest.approx(slow, rel=1e-9, abs=1e-14)


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


def test_definition_closed_forms_are_what_a_search_finds(rng):
    """Two limits are inverted, and right verdicts compared, where the rates that are allowed end."""
    above = 0
    for _ in range(100):
        n1, n0 = (int(n) for n in rng.integers(1, 300, 2))
        true, false, delta = rng.integers(n1 + 1), rng.integers(n0 + 1), float(rng.choice([0, 0.01, 0.3]))
        limits = rate_limits(true, false, (n1, n0), ERROR)
        counts = runs(int(true), n1, int(false), n0)
        slow = largest_refuted(lambda e: bool(rates_refute(*limits, e, delta)))  # noqa: B023
        fast = rates(counts, delta=delta, **REPLACE).value
        assert fast <= slow == pytest.approx(fast, abs=1e-9)
        slow_mu = largest_refuted(lambda mu: bool(limits[0] > GaussianCurve(mu).tpr(1 - limits[1])))  # noqa: B023
        fast_mu = lower_bound(counts, family="mu", test="rates", **REPLACE).value
        assert fast_mu <= slow_mu == pytest.approx(fast_mu, abs=1e-9)
        false = min(int(false), n1)
        right = int(true) + n1 - false
        slow = largest_refuted(lambda e: bool(accuracy_refutes(right, 2 * n1, e, delta)))  # noqa: B023
        fast = accuracy(runs(int(true), n1, false, n1), delta=delta, **REPLACE).value
        assert slow == pytest.approx(fast, abs=1e-9)
        above += (fast > 0) + (fast_mu > 0)
    assert above > 60


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
    ("n", "by_rates", "any_test"),
    [
        (50, 2.569585, 3.492965),
        (200, 3.983758, 4.890529),
        (1000, 5.600588, 6.502965),
        (5000, 7.211502, 8.113002),
    ],
)
def test_oracle_ceilings(n, by_rates, any_test):
    assert rates(runs(n, n, 0, n), **REPLACE).value == pytest.approx(by_rates, abs=1e-6)
    assert ceiling(n, n) == pytest.approx(any_test, abs=1e-6)
    q = 0.05 ** (1 / n)
    assert lower_bound(one(n, n, n), **REPLACE).value == pytest.approx(np.log(q / (1 - q)), rel=1e-12)
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
    bound = lower_bound(one(80, 100, 100), **REPLACE).value
    assert p_of_guesses(80, 100, 100, bound) <= 1 - 0.95
    assert p_of_guesses(80, 100, 100, np.nextafter(bound, 9) + 1e-12) > 1 - 0.95
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
        bounds.append(split(noise, test="accuracy", rng=rng, **REPLACE).value)
    assert np.mean(np.array(bounds) > 0) <= 0.1
    clear = Outcome(rng.normal(size=400) + 6 * member, member, design=Design.RUNS)
    for test, most in (
        ("accuracy", ceiling(140, 140)),
        ("rates", rates(runs(140, 140, 0, 140), **REPLACE).value),
    ):
        bound = split(clear, test=test, rng=rng, **REPLACE)
        assert 0.8 * most < bound.value <= bound.ceiling == pytest.approx(most)
        assert bound.trials == 280


def test_definition_the_same_coins_are_spent_whoever_was_in():
    """Coins to choose on are drawn without looking: the rest stays a fair coin each."""
    score, kept = np.arange(40.0), []
    for member in (np.arange(40) % 2 == 0, np.arange(40) % 3 == 0):
        outcome = Outcome(score, member, design=Design.COINS)
        kept.append(split(outcome, test="accuracy", rng=np.random.default_rng(3), **REPLACE).trials)
    assert kept == [28, 28]


def test_definition_on_paper_a_bound_is_never_larger():
    assert str(result(0.9999999)) == "ε ≥ 0.999 at δ = 0 (95 % confident, some test)"
    almost = result(1.0, 1e-5, 1.0, confidence=0.9999999)
    assert str(almost) == "ε ≥ 1.000 at δ = 1e-05 (99.9999 % confident, some test)"
    assert str(result(1.9999999, of=Mu())) == "μ ≥ 1.999 (95 % confident, some test)"
    assert str(result(0.0200001, of=PValue(), ceiling=0.0)) == "p ≤ 0.0201 (95 % confident, some test)"


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
        (lambda: Guesses(0, 0, 0), "canaries must be at least 1, got 0"),
        (
            lambda: Guesses(3, 5, 9, by_lot=3),
            r"by_lot must be in 0 … 2 \(guesses that are not right\), got 3",
        ),
        (lambda: Guesses(3, 5, 9, lost=-1), r"lost must be in 0 … 2 \(guesses that are not right\), got -1"),
        (lambda: guess(SCORES, ins=5, outs=4), r"ins \+ outs must be in 1 … 8 \(records\), got 9"),
        (lambda: guess(SCORES, ins=-1, outs=4), "ins must be at least 0, got -1"),
        (lambda: accuracy(runs(1, 2, 0, 3), **REPLACE), "be as many on both sides for accuracy, got 2 and 3"),
        (lambda: rates(runs(1, 2, 0, 2), delta=1.0, **REPLACE), r"delta must be in \[0, 1\), got 1"),
        (lambda: joint(runs(1, 2, 0, 2), delta=-0.1, **REPLACE), r"delta must be in \[0, 1\), got -0.1"),
        (
            lambda: lower_bound(one(1, 2, 2), delta=1e-5, family="mu", **REPLACE),
            "delta must be 0 for μ, which speaks of every δ, got 1e-05",
        ),
        (
            lambda: accuracy(runs(1, 2, 0, 2), confidence=95, **REPLACE),
            r"confidence must be in \(0, 1\), got 95",
        ),
        (
            lambda: refute(runs(1, 2, 0, 2), pure(1.0), confidence=1.0, **REPLACE),
            r"confidence must be in \(0, 1\), got 1",
        ),
        (lambda: accuracy(runs(1, 2, 0, 2), neighbours="both"), "neighbours must be one of"),
        (lambda: refute(runs(1, 2, 0, 2), pure(1.0)), "neighbours must be given with a curve, got None"),
        (lambda: split(SCORES, test="max", rng=RNG, **REPLACE), "test must be one of accuracy, rates, joint"),
        (lambda: split(SCORES, test="order", rng=RNG, **REPLACE), "test must be one of .*got order"),
        (
            lambda: split(SCORES, test="accuracy", rng=RNG, share=1, **REPLACE),
            r"share must be in \(0, 1\), got 1",
        ),
        (
            lambda: split(SCORES, test="accuracy", rng=RNG, share=0.01, **REPLACE),
            "in each part, must hold members",
        ),
        (
            lambda: split(
                Outcome(SCORES.score, SCORES.member, design=Design.COINS), test="rates", rng=RNG, **REPLACE
            ),
            "design must be runs .*got coins",
        ),
        (lambda: binomial_p_value(3, 2, allowed=0.5), r"right must be in 0 … 2 \(trials\), got 3"),
        (lambda: binomial_p_value(1, 2, allowed=1.5), r"allowed must be in \[0, 1\], got 1.5"),
        (lambda: trials_for_evidence(0.6, allowed=0.6), "share must be above the allowed 0.6, got 0.6"),
        (lambda: trials_for_power(0.600001, allowed=0.6), "the gap must need at most ten million trials"),
        (lambda: ceiling(0, 5), "members must be at least 1, got 0"),
        (lambda: result(6.0), "value must be no more telling than the reach 5.0, got 6.0"),
        (lambda: result(1.0, reach=6.0), "reach must be no more telling than the ceiling 5.0, got 6.0"),
        (
            lambda: result(0.1, of=PValue(), reach=0.2, ceiling=0.0),
            "no more telling than the reach 0.2, got 0.1",
        ),
        (lambda: result(-1.0), "value must be a finite number of at least 0, got -1.0"),
        (lambda: result(trials=0), "trials must be at least 1, got 0"),
        (
            lambda: result(design=Design.COINS),
            r"design must be runs \(some test is proved for nothing else\)",
        ),
        (
            lambda: Verdict(result(), Guarantee(1.0, 0.0, Neighbours.ADD_REMOVE)),
            "neighbours of bound and claim must be the same, got replace-one and add-remove",
        ),
        (
            lambda: Verdict(result(), Guarantee(1.0, 1e-5, Neighbours.REPLACE)),
            "delta of bound and claim must be the same, got 0.0 and 1e-05",
        ),
        (
            lambda: Verdict(result(unit="person"), Guarantee(1.0, 0.0, Neighbours.REPLACE)),
            "unit of bound and claim must be the same, got person and record",
        ),
        (lambda: Verdict(result(), pure(1.0)), "be a bound on ε for a guarantee, a p-value for a curve"),
        (
            lambda: Verdict(result(of=Mu()), Guarantee(1.0, 0.0, Neighbours.REPLACE)),
            "be a bound on ε for a guarantee, a p-value for a curve",
        ),
        (lambda: result().epsilon(1e-5), "the result must be a bound on μ, got ε ≥ 1.000"),
        (lambda: result(of=Mu()).epsilon(0.0), r"delta must be in \(0, 1\), got 0"),
    ],
)
def test_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- the grammar ---------------------------------------------------------------------------------------


def evidence(reads: type, design: Design) -> Counts | Outcome | Guesses | ConfidenceSequence:
    """Return evidence of a kind that leaks, and not all: 100 trials on either side."""
    rng, member = np.random.default_rng(7), np.arange(200) < 100
    return {
        Counts: Counts(80, 100, 25, 100, design=design),
        Outcome: Outcome(rng.normal(size=200) + 1.6 * member, member, design=design),
        Guesses: Guesses(80, 100, 150, design),
        ConfidenceSequence: ConfidenceSequence(design).update(np.where(np.arange(200) % 5, 1, -1)),
    }[reads]


KINDS = (Counts, Outcome, Guesses, ConfidenceSequence)
LISTED = [(name, design) for name, test in TESTS.items() for design in test.designs]
NUMBERED = [(*one, claim) for one in LISTED for claim in TESTS[one[0]].claims if claim != "curve"]
OF_CURVES = [one for one in LISTED if "curve" in TESTS[one[0]].claims]
NEXT = {"order": 2e-3, "betting": 0.005}  # how closely a bound is searched for; 1e-6 for the others


def terms_of(name: str, claim: str) -> dict:
    return {"test": name, "family": "mu" if claim == "μ" else "epsilon", **REPLACE}


def claim_of(claim: str, number: float, delta: float = 0.0) -> Guarantee | GaussianCurve:
    return GaussianCurve(number) if claim == "μ" else Guarantee(number, delta, Neighbours.REPLACE)


@pytest.mark.parametrize("delta", [0.0, 1e-3])
@pytest.mark.parametrize(("name", "design", "claim"), NUMBERED)
def test_definition_a_bound_is_the_largest_number_that_its_p_value_refutes(name, design, claim, delta):
    some = evidence(TESTS[name].reads, design)
    if (claim == "μ" and delta) or (name == "betting" and delta and design != Design.RUNS):
        return  # μ speaks of every δ
    if name == "betting":
        some = ConfidenceSequence(design, delta=delta).update(np.where(np.arange(200) % 5, 1, -1))
    found = lower_bound(some, delta=delta, **terms_of(name, claim))
    assert 0.2 < found.value < found.reach <= found.ceiling
    if name == "joint":  # its p-value orders outcomes by the claim, its bound does not
        by_limits = lower_bound(some, delta=delta, **terms_of("rates", claim)).value
        assert by_limits - 2e-5 < found.value
        return
    held, open_ = (
        claim_of(claim, found.value, delta),
        claim_of(claim, found.value + NEXT.get(name, 1e-6), delta),
    )
    slack = (
        1e-9 if name == "rates" else 0.0
    )  # its p-value is searched for, and is a little above the true one
    assert p_value(some, held, test=name) <= ERROR * (1 + slack)
    assert p_value(some, open_, test=name) > ERROR


@pytest.mark.parametrize(("name", "design", "claim"), NUMBERED)
def test_definition_a_verdict_is_what_the_bound_or_the_p_value_says(name, design, claim):
    some = evidence(TESTS[name].reads, design)
    found = lower_bound(some, **terms_of(name, claim))
    for number in (found.value * 0.9, found.value + 0.05, 20.0):
        said = refute(some, claim_of(claim, number), test=name, **REPLACE)
        if claim == "ε":
            assert said.result == found
            refuted, possible = found.value > number, found.reach > number
        else:
            assert said.result.value == p_value(some, GaussianCurve(number), test=name)
            refuted, possible = said.result.value <= ERROR, said.result.reach <= ERROR
        otherwise = Finding.CONSISTENT if possible else Finding.UNINFORMATIVE
        assert said.finding == (Finding.VIOLATED if refuted else otherwise)
        assert refuted == (number < found.value)
        assert possible == (number < 20)


@pytest.mark.parametrize(("name", "design"), [one for one in OF_CURVES if one[0] != "joint"])
def test_definition_mu_is_searched_for_slowly_over_gaussian_curves(name, design):
    some, low, high = evidence(TESTS[name].reads, design), 0.0, 8.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        refuted = p_value(some, GaussianCurve(middle), test=name) <= ERROR
        low, high = (middle, high) if refuted else (low, middle)
    found = lower_bound(some, family="mu", test=name, **REPLACE).value
    assert low - NEXT.get(name, 1e-6) <= found <= high


@pytest.mark.parametrize(("name", "design"), OF_CURVES)
def test_definition_pure_privacy_is_a_guarantee_and_a_curve(name, design):
    """One claim in two grammars: one p-value, but for what the test of a curve in one run loses."""
    some = evidence(TESTS[name].reads, design)
    for epsilon in (0.0, 0.5, 1.5):
        guaranteed = p_value(some, Guarantee(epsilon, 0.0, Neighbours.REPLACE), test=name)
        by_curve = p_value(some, pure(epsilon), test=name)
        assert (
            guaranteed * (1 - 1e-9) <= by_curve or name == "joint"
        )  # which bounds a p-value as closely as 1 %
        if design == Design.RUNS:
            assert by_curve == pytest.approx(guaranteed, rel=0.011 if name == "joint" else 1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("claim", ["ε", "μ", "curve"])
def test_definition_what_is_not_listed_is_refused_and_what_would_do_is_named(name, kind, claim):
    test, others = TESTS[name], {design: design in TESTS[name].designs for design in Design}
    fitting = [some for some, one in TESTS.items() if one.reads is kind and claim in one.claims]
    for design, listed in others.items():
        if kind is ConfidenceSequence and design == Design.UNKNOWN:
            some = ConfidenceSequence(Design.UNKNOWN).update(np.ones(9, dtype=int))
        else:
            some = evidence(kind, design)

        def ask(some=some):
            if claim == "curve":
                return refute(some, GaussianCurve(0.1), test=name, **REPLACE)
            return lower_bound(some, **terms_of(name, claim))

        if name in fitting and listed:
            assert ask()
            continue
        with pytest.raises(ValueError, match="must be") as refused:
            ask()
        said = str(refused.value)
        if not fitting:
            assert said.startswith(f"the claim must be (ε, δ), which alone {kind.__name__} can refute")
        elif name not in fitting:
            assert said.startswith("test must be")
            assert f"got {name}" in said
            assert kind.__name__ in said
            assert all(one in said for one in fitting)
        elif design == Design.UNKNOWN:
            assert said.startswith("design must be known, or no bound is possible, got unknown")
        else:
            assert said.startswith("design must be " + " or ".join(test.designs))
            assert test.name in said


@pytest.mark.parametrize(
    "ask",
    [lambda bets: lower_bound(bets, family="mu", **REPLACE), lambda bets: refute(bets, pure(1.0), **REPLACE)],
)
def test_definition_where_no_test_would_do_it_says_what_the_evidence_can_refute(ask):
    with pytest.raises(ValueError, match=r"ε.* ConfidenceSequence") as refused:
        ask(evidence(ConfidenceSequence, Design.RUNS))
    assert "one of  for" not in str(refused.value)


def test_definition_the_test_by_default():
    for members, chosen in ((JOINT_UP_TO, "joint"), (JOINT_UP_TO + 1, "rates")):
        for claim in ("ε", "μ", "curve"):
            assert default_test(runs(700, members, 300, 1000), claim) == chosen
            assert default_test(runs(300, 1000, 700, members), claim) == chosen
    by_default = [
        (evidence(Counts, Design.RUNS), "joint", "joint"),
        (Counts(80, 100, 25, 90, design=Design.COINS), "accuracy", "accuracy"),
        (Counts(80, 100, 25, 90, design=Design.ONE_RUN), "accuracy", "accuracy"),
        (evidence(Outcome, Design.RUNS), "any-threshold", "order"),
        (evidence(Outcome, Design.ONE_RUN), "any-threshold", None),
        (evidence(Guesses, Design.ONE_RUN), "one-run", "one-run"),
        (evidence(ConfidenceSequence, Design.RUNS), "betting", None),
    ]
    for some, of_epsilon, of_curves in by_default:
        assert default_test(some, "ε") == of_epsilon
        assert lower_bound(some, **REPLACE) == lower_bound(some, test=of_epsilon, **REPLACE)
        assert lower_bound(some, **REPLACE).test is TESTS[of_epsilon]
        if of_curves is None:
            continue
        assert default_test(some, "μ") == default_test(some, "curve") == of_curves
        assert lower_bound(some, family="mu", **REPLACE).test is TESTS[of_curves]
        assert refute(some, GaussianCurve(0.5), **REPLACE).result.test is TESTS[of_curves]
        assert p_value(some, GaussianCurve(0.5)) == p_value(some, GaussianCurve(0.5), test=of_curves)


@pytest.mark.parametrize(("name", "design", "claim"), NUMBERED)
def test_definition_nothing_travels_alone(name, design, claim):
    some = evidence(TESTS[name].reads, design)
    terms = terms_of(name, claim) | {"neighbours": Neighbours.ADD_REMOVE}
    found = lower_bound(some, confidence=0.9, unit="person", **terms)
    assert (found.design, found.confidence, found.test) == (design, 0.9, TESTS[name])
    assert (found.neighbours, found.unit) == (Neighbours.ADD_REMOVE, "person")
    assert found.of == (Mu() if claim == "μ" else Epsilon(0.0))
    assert found.test.assumes
    assert found.trials == (150 if isinstance(some, Guesses) else 200)
    assert found.rank.low < found.rank.value < found.rank.high
    assert found.rank.confidence == 0.9
    assert 0 == found.turned < found.value < found.reach <= found.ceiling
    assert all(said in str(found) for said in (claim, "90 % confident", TESTS[name].name))


def test_definition_a_verdict_on_a_curve_carries_its_terms():
    some = evidence(Outcome, Design.RUNS)
    said = refute(some, pure(0.5), neighbours="add-remove", unit="person", confidence=0.9).result
    assert (said.neighbours, said.unit, said.confidence) == (Neighbours.ADD_REMOVE, "person", 0.9)
    assert (said.design, said.test, said.of) == (Design.RUNS, TESTS["order"], PValue())
    assert 0 <= said.ceiling <= said.reach <= said.value < 1 == said.turned


@pytest.mark.usefixtures("at_the_door")
def test_definition_a_guarantee_of_something_else_is_refused():
    some, claim = evidence(Counts, Design.RUNS), Guarantee(1.0, 1e-5, Neighbours.REPLACE)
    assert refute(some, claim).result.neighbours == Neighbours.REPLACE
    assert refute(some, claim).result.delta == 1e-5
    with pytest.raises(ValueError, match="neighbours must be replace-one, as in the claim, got add-remove"):
        refute(some, claim, neighbours="add-remove")
    with pytest.raises(ValueError, match=r"delta must be 0.0, which was bet with, got 1e-05"):
        refute(evidence(ConfidenceSequence, Design.RUNS), claim)
    with pytest.raises(ValueError, match="unit must be record, as in the claim, got person"):
        refute(some, claim, unit="person")
    assert refute(some, claim, neighbours="replace-one", unit="record").result.unit == "record"
    of_people = Guarantee(1.0, 1e-5, Neighbours.REPLACE, unit="person")
    assert refute(some, of_people).result.unit == "person"
    with pytest.raises(ValueError, match="unit of bound and claim must be the same, got record and person"):
        Verdict(refute(some, claim).result, of_people)


def test_definition_the_table_says_what_the_tests_say():
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table().splitlines()]
    assert len(rows) == 2 + len(TESTS)
    for row, (name, test) in zip(rows[2:], TESTS.items(), strict=True):
        assert row[:2] == [name, test.reads.__name__]
        assert row[2].split(", ") == list(test.claims)
        assert row[3].split(", ") == list(test.designs)
        assert row[4] == test.assumes


def test_definition_a_unit_that_is_no_record_is_printed():
    some = runs(60, 100, 5, 100)
    bound = lower_bound(some, unit="client", **REPLACE)
    assert str(bound).endswith("exact joint test, fixed threshold; one client)")
    verdict = refute(some, Guarantee(1.0, 0.0, Neighbours.REPLACE, unit="client"))
    assert str(verdict).startswith("violated: ε ≤ 1 for one client was claimed, ε ≥ 1.628 is proved")
    assert "record" not in str(lower_bound(some, **REPLACE))


@pytest.mark.parametrize("unit", ["", " client", "a\nb", "x" * 31])
def test_the_door_of_units(unit):
    with pytest.raises(ValueError, match="unit must be a word of 1 to 30 characters"):
        lower_bound(runs(60, 100, 5, 100), unit=unit, **REPLACE)


@pytest.mark.parametrize(("name", "amounts"), [("value", (1.5, 0.0)), ("ceiling", (0.5, -0.1))])
def test_the_door_a_p_value_is_a_probability(name, amounts):
    value, ceiling = amounts
    with pytest.raises(ValueError, match=rf"{name} must be in \[0, 1\]"):
        result(value=value, ceiling=ceiling, reach=ceiling, of=PValue())
