"""Which way the evidence ranks, and how far it reaches: no leak is green because it is upside down."""

import itertools

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import betabinom, binom, binomtest, hypergeom

from audits import accuracy, joint, mu, rates
from mialab.accounting import Guarantee, Neighbours
from mialab.audit import ConfidenceSequence, Finding, Verdict, guess, lower_bound, refute, split
from mialab.audit.evidence import Made, p_of_coins, ranks_of
from mialab.audit.one_run import p_value_of_biased
from mialab.game import Counts, Design, Outcome
from mialab.metrics import auc, balanced_accuracy
from mialab.metrics.roc import auc_of
from mialab.tradeoff import GaussianCurve, pure

SAME = {"neighbours": Neighbours.REPLACE}
BY_RUNS, BY_COINS = (Design.RUNS,), (Design.COINS, Design.ONE_RUN)


def bets(outcome: Outcome) -> ConfidenceSequence:
    return ConfidenceSequence(outcome.design).update(np.where((outcome.score >= 0) == outcome.member, 1, -1))


def called(right: int, wrong: int) -> ConfidenceSequence:
    """Return a state of so many calls, of which only the number counts."""
    before = ConfidenceSequence(Design.RUNS)
    return before._with(right, wrong, 0, before._wealth, before._most)


BOUNDS = {  # every way from scores to a bound: what it is called with is always fixed in advance
    "any": (lower_bound, BY_RUNS + BY_COINS),
    "rates": (lambda outcome, **terms: rates(outcome.at(0.0), **terms), BY_RUNS),
    "joint": (lambda outcome, **terms: joint(outcome.at(0.0), **terms), BY_RUNS),
    "accuracy": (lambda outcome, **terms: accuracy(outcome.at(0.0), **terms), BY_RUNS + BY_COINS),
    "one run": (lambda outcome, **terms: lower_bound(guess(outcome, ins=9, outs=9), **terms), BY_COINS),
    "split": (
        lambda outcome, **terms: split(outcome, test="accuracy", rng=np.random.default_rng(0), **terms),
        BY_COINS,
    ),
    "betting": (lambda outcome, **terms: lower_bound(bets(outcome), **terms), BY_RUNS + BY_COINS),
}
OF_CURVES = {
    "joint": (lambda outcome, curve: refute(outcome.at(0.0), curve, **SAME), BY_RUNS),
    "rates": (lambda outcome, curve: refute(outcome.at(0.0), curve, test="rates", **SAME), BY_RUNS),
    "accuracy": (
        lambda outcome, curve: refute(outcome.at(0.0), curve, test="accuracy", **SAME),
        BY_RUNS + BY_COINS,
    ),
    "order": (lambda outcome, curve: refute(outcome, curve, **SAME), BY_RUNS),
    "one run": (lambda outcome, curve: refute(guess(outcome, ins=9, outs=9), curve, **SAME), BY_COINS),
}
ALL = [(name, design) for name, (_, designs) in BOUNDS.items() for design in designs]
CURVES = [(name, design) for name, (_, designs) in OF_CURVES.items() for design in designs]


def turned(outcome: Outcome) -> Outcome:
    return Outcome(-outcome.score, outcome.member, design=outcome.design)


def verdict(name: str, outcome: Outcome, epsilon: float = 0.5) -> Verdict:
    return Verdict(BOUNDS[name][0](outcome, **SAME), Guarantee(epsilon, 0.0, Neighbours.REPLACE))


def drawn(leak: float, size: int, design: Design, rng: np.random.Generator, digits: int = 9) -> Outcome:
    member = rng.permutation(np.arange(size) < size // 2)
    return Outcome(np.round(rng.normal(size=size) + leak * (member - 0.5), digits), member, design=design)


@pytest.mark.parametrize(("name", "design"), ALL)
def test_definition_losses_for_scores_are_never_consistent(name, design, rng):
    leaking = drawn(4.0, 400, design, rng)
    assert verdict(name, leaking).finding == Finding.VIOLATED
    said = verdict(name, turned(leaking))
    assert said.upside_down
    assert said.finding == Finding.UNINFORMATIVE
    assert "a higher score must mean member, and these rank members lower: " in str(said)


@pytest.mark.parametrize(("name", "design"), CURVES)
def test_definition_losses_against_a_curve_are_never_consistent(name, design, rng):
    leaking = drawn(4.0, 100, design, rng)
    for curve in (pure(0.5), GaussianCurve(0.3)):
        there, back = (OF_CURVES[name][0](one, curve) for one in (leaking, turned(leaking)))
        assert (there.finding, back.finding) == (Finding.VIOLATED, Finding.UNINFORMATIVE)
        assert "a higher score must mean member, and these rank members lower: " in str(back)


@pytest.mark.parametrize(("name", "design"), [one for one in ALL if one[0] not in ("split", "betting")])
def test_definition_what_refutes_when_turned_round_is_not_consistent(name, design, rng):
    """At every claim, for large leaks and small ones, and where only few records leak."""
    refuted = 0
    for leak in (0.0, 0.3, 0.6, 1.0, 2.0):
        outcome = drawn(leak, 100, design, rng, digits=1)
        for epsilon in (0.0, 0.2, 1.0):
            if verdict(name, outcome, epsilon).finding == Finding.VIOLATED:
                refuted += 1
                assert verdict(name, turned(outcome), epsilon).finding != Finding.CONSISTENT
    assert refuted > 2


@pytest.mark.parametrize("design", [*BY_RUNS, *BY_COINS])
def test_definition_few_losses_that_leak_are_seen_although_the_area_is_a_half(design, rng):
    member = rng.permutation(np.arange(16_000) < 8000)
    score = rng.normal(size=16_000)
    score[np.flatnonzero(member)[:90]] -= 20
    said = verdict("any", Outcome(score, member, design=design), 0.01)
    assert said.result.rank.high >= 0.5
    assert said.finding == Finding.UNINFORMATIVE


@pytest.mark.parametrize(("name", "design"), ALL)
def test_limit_equal_scores_prove_nothing_and_say_why(name, design):
    member = np.arange(200) % 2 == 0
    said = verdict(name, Outcome(np.full(200, 3.0), member, design=design))
    assert said.finding == (Finding.CONSISTENT if name == "betting" else Finding.UNINFORMATIVE)
    assert said.result.reach < 0.1 or name == "betting"  # all are called in: the calls could have been right
    assert str(said).split("; ")[-1] in (
        "all scores are equal",
        "everybody is accused",
        "equal scores, or none, decide all guesses",
        "right calls 0.500 [0.381, 0.619]",
    )


@pytest.mark.parametrize(("name", "design"), [one for one in ALL if one[0] not in ("split", "betting")])
def test_definition_the_reach_is_the_most_of_all_ways_to_give_the_scores_out(name, design, rng):
    """Brute force: every choice of as many members, with equal scores and without."""
    apart = 0
    for members, values in ((3, 2), (4, 3), (5, 9), (2, 4)):
        score = rng.integers(values, size=8) - values // 2 + 0.0
        if name == "one run":
            score = np.append(score, np.arange(12.0) - 6)  # 18 guesses
        sizes = score.size, members + (score.size - 8) // 2
        if name == "accuracy" and design == Design.RUNS:
            sizes = score.size, score.size // 2
        if score.size == 8:
            some = list(itertools.combinations(range(sizes[0]), sizes[1]))
        else:  # too many for all of them
            some = [rng.choice(sizes[0], sizes[1], replace=False) for _ in range(200)]
        best = np.argsort(-score)[: sizes[1]]
        results = []
        for chosen in [tuple(best), *some]:
            member = np.isin(np.arange(score.size), chosen)
            results.append(BOUNDS[name][0](Outcome(score, member, design=design), confidence=0.6, **SAME))
        proved = [one.value for one in results]
        assert results[0].reach == pytest.approx(max(proved), abs=2e-5)  # as closely as `joint` searches
        assert len({one.reach for one in results}) == 1
        apart += results[0].reach < results[0].ceiling
    assert apart


@pytest.mark.parametrize("name", ["joint", "rates", "accuracy", "order"])
def test_definition_the_reach_of_a_curve(name, rng):
    for values in (2, 3, 9):
        score = rng.integers(values, size=6) - values // 2 + 0.0
        tests = []
        for chosen in itertools.combinations(range(6), 3):
            member = np.isin(np.arange(6), chosen)
            tests.append(OF_CURVES[name][0](Outcome(score, member, design=Design.RUNS), pure(0.3)).result)
        assert tests[0].reach == pytest.approx(min(one.value for one in tests), rel=1e-9)
        assert all(one.ceiling <= one.reach <= one.value for one in tests)


def test_definition_the_reach_of_a_bound_on_mu(rng):
    score = rng.integers(4, size=10) - 2.0
    members = [np.isin(np.arange(10), chosen) for chosen in itertools.combinations(range(10), 5)]
    outcomes = [Outcome(score, member, design=Design.RUNS) for member in members[::5]]
    best = Outcome(score, np.arange(10) >= 5, design=Design.RUNS)
    best = Outcome(np.sort(score), best.member, design=Design.RUNS)
    by_test = (
        lambda one, test=test, **terms: mu(one.at(0.0), test=test, **terms) for test in ("rates", "accuracy")
    )
    for audit in (mu, *by_test):
        reach = audit(best, confidence=0.3, **SAME).value
        bounds = [audit(one, confidence=0.3, **SAME) for one in outcomes]
        assert {one.reach for one in bounds} == {reach}
        assert max(one.value for one in bounds) <= reach


def test_limit_no_relabelling_of_many_scores_proves_more(rng):
    for design in (Design.RUNS, Design.ONE_RUN):
        for digits in (0, 1, 9):
            outcome = drawn(2.0, 300, design, rng, digits)
            reach = lower_bound(outcome, **SAME).reach
            for _ in range(40):
                order = np.argsort(-outcome.score + rng.exponential(0.3) * rng.normal(size=300))
                member = np.isin(np.arange(300), order[:150])
                other = lower_bound(Outcome(outcome.score, member, design=design), **SAME)
                assert other.value <= other.reach == reach


def test_definition_ranks_by_hand(rng):
    for _ in range(50):
        n = int(rng.integers(2, 30))
        member = rng.permutation(np.arange(n) < rng.integers(1, n))
        outcome = Outcome(rng.integers(6, size=n) + 0.0, member)
        ranks = ranks_of(outcome)
        order = np.lexsort((member, -outcome.score))
        assert ranks.auc == pytest.approx(auc(outcome).value, rel=1e-12)
        assert ranks.turned().auc == pytest.approx(1 - ranks.auc, abs=1e-12)
        np.testing.assert_array_equal(ranks.surely(np.arange(n + 1)), np.append(0, np.cumsum(member[order])))
        np.testing.assert_array_equal(ranks.non_member, np.sort(outcome.score[~member]))
        assert ranks.distinct == len(np.unique(outcome.score))


@pytest.mark.parametrize(("members", "others"), [(6, 6), (3, 9), (9, 3), (1, 11)])
def test_coverage_scores_that_know_nothing_are_seldom_below_chance(members, others):
    """Exactly: every choice of members is as likely as any, given how many fell; with equal scores too."""
    n, worst = members + others, 0.0
    for score in (np.arange(n), np.arange(n) // 2, np.minimum(np.arange(n), 4)):
        areas = []
        for chosen in itertools.combinations(range(n), members):
            member = np.isin(np.arange(n), chosen)
            areas.append(ranks_of(Outcome(score + 0.0, member)).auc)
        for confidence in (0.5, 0.8, 0.95, 0.99):
            low = [auc_of(one, min(members, others), confidence=confidence).high < 0.5 for one in areas]
            assert np.mean(low) <= (1 - confidence) / 2
            worst = max(worst, np.mean(low) / ((1 - confidence) / 2))
    assert worst > 0.1 or members == 1  # it can be low


def test_coverage_verdicts_that_know_nothing_are_seldom_below_chance():
    """Exactly: given how many are accused, the accused members are hypergeometric under every design."""
    worst = 0.0
    for members, others in ((10, 10), (30, 30), (5, 40), (40, 5)):
        for accused in range(members + others + 1):
            chance = hypergeom(members + others, members, accused)
            for confidence in (0.5, 0.8, 0.95):
                below = 0.0
                for true in range(max(0, accused - others), min(accused, members) + 1):
                    counts = Counts(true, members, accused - true, others)
                    if balanced_accuracy(counts, confidence=confidence).high < 0.5:
                        below += chance.pmf(true)
                assert below <= (1 - confidence) / 2
                worst = max(worst, below / ((1 - confidence) / 2))
    assert worst > 0.1


def test_coverage_calls_of_a_fair_coin_are_seldom_below_chance_at_any_time():
    rng, confidence = np.random.default_rng(5), 0.8
    below = np.zeros(500, dtype=bool)
    right = np.cumsum(rng.random((500, 200)) < 0.5, axis=1)
    for n in range(1, 201):
        high = {
            r: called(r, n - r).rank(confidence=confidence).high for r in np.unique(right[:, n - 1]).tolist()
        }
        below |= np.array([high[r] < 0.5 for r in right[:, n - 1]])
    assert 0.02 < below.mean() <= 0.2
    often = [binom.cdf(k, n, 0.5) for n in (50, 100, 150, 200) for k in (int(n * 0.44),)]
    assert max(often) > 0.1  # a fixed interval, looked at again and again, would be


def test_oracle_the_interval_at_any_time():
    """The wealth against q is the average chance of the sequence over the one that q gives it."""
    calls = np.where(np.arange(100) < 60, 1, -1)
    found = ConfidenceSequence(Design.RUNS).update(calls).rank()
    assert found == called(60, 40).rank(confidence=0.95)
    for end in (found.low, found.high):
        wealth = betabinom.pmf(60, 100, 0.5, 0.5) / binom.pmf(60, 100, end)
        assert wealth == pytest.approx(20, rel=1e-9)


@pytest.mark.parametrize("p_in", [0.5, 0.3, 0.45, 0.9])
def test_oracle_the_p_value_of_coins(p_in):
    for members in (0, 3, 10, 17, 20):
        two = min(1, 2 * min(binomtest(members, 20, p_in, side).pvalue for side in ("less", "greater")))
        assert p_of_coins(Design.ONE_RUN, members, 20, p_in) == pytest.approx(two, rel=1e-9)
    assert p_of_coins(Design.RUNS, 0, 20) is None


@pytest.mark.parametrize("design", BY_COINS)
def test_definition_unfair_coins_are_pointed_at_wherever_the_bound_is_printed(design, rng):
    member = np.arange(1000) < 450
    outcome = Outcome(rng.normal(size=1000), rng.permutation(member), design=design)
    looks = "the coins look unfair, p = 0.0018"
    guesses = guess(outcome, ins=100, outs=100)
    for result in (
        lower_bound(outcome, **SAME),
        accuracy(outcome.at(0.0), **SAME),
        lower_bound(guesses, **SAME),
        split(outcome, test="accuracy", rng=rng, **SAME),
    ):
        assert looks in str(result)
        assert looks in str(Verdict(result, Guarantee(1.0, 0.0, Neighbours.REPLACE)))
    assert looks in str(refute(guesses, pure(1.0), **SAME))
    fair = Outcome(outcome.score, np.arange(1000) < 480, design=design)
    assert "unfair" not in str(lower_bound(fair, **SAME))
    runs = Outcome(outcome.score, outcome.member, design=Design.RUNS)
    assert "unfair" not in str(lower_bound(runs, **SAME))


def right_by_brute_force(ins: int, outs: int, p_in: float, epsilon: float) -> np.ndarray:
    """Return the chances of 0, 1, … right guesses of the worst mechanism, over all coins and all answers.

    Each canary's coin, of bias p, is reported by randomised response with e^ε; given every report the
    auditor guesses. All reports say what is guessed, which is the luckiest output there is.
    """
    chance = np.zeros(ins + outs + 1)
    guesses = [True] * ins + [False] * outs
    for coins in itertools.product((True, False), repeat=ins + outs):
        prior = np.prod([p_in if coin else 1 - p_in for coin in coins])
        said = np.prod([expit(epsilon if c == g else -epsilon) for c, g in zip(coins, guesses, strict=True)])
        chance[sum(c == g for c, g in zip(coins, guesses, strict=True))] += prior * said
    return chance / chance.sum()


@pytest.mark.parametrize("p_in", [0.3, 0.45, 0.8])
def test_definition_guesses_of_biased_coins_by_enumeration(p_in):
    for ins, outs in ((3, 4), (5, 0), (0, 5), (1, 1)):
        for epsilon in (0.0, 0.7, 2.0):
            chance = right_by_brute_force(ins, outs, p_in, epsilon)
            for right in range(ins + outs + 1):
                p = p_value_of_biased(Made(right, ins, outs, ins + outs, p_in), epsilon)
                assert p == pytest.approx(chance[right:].sum(), rel=1e-9)


def test_limit_a_bias_of_a_half_is_a_fair_coin_and_no_number_is_left_out(rng):
    for ins, outs in ((500, 500), (20_000, 0), (30, 5000)):
        right = int(0.56 * (ins + outs))
        for epsilon in (0.0, 0.2):
            ours = p_value_of_biased(Made(right, ins, outs, ins + outs), epsilon)
            assert ours == pytest.approx(binom.sf(right - 1, ins + outs, expit(epsilon)), rel=1e-7)
            k = np.arange(ins + 1)
            odds = logit(0.3)
            slow = binom.pmf(k, ins, expit(epsilon + odds)) @ binom.sf(
                right - 1 - k, outs, expit(epsilon - odds)
            )
            assert p_value_of_biased(Made(right, ins, outs, ins + outs, 0.3), epsilon) == pytest.approx(
                slow, rel=1e-6, abs=1e-290
            )


@pytest.mark.parametrize(
    ("audit", "p_in", "repeats"), [("accuracy", 0.45, 300), ("accuracy", 0.3, 300), ("any", 0.3, 40)]
)
def test_coverage_noise_and_coins_of_a_known_bias(audit, p_in, repeats):
    """Scores that know nothing: the right bias accuses at most 1 in 20, a fair coin on the same draws not."""
    rng, above = np.random.default_rng(3), {0.5: 0, p_in: 0}
    for _ in range(repeats):
        member = rng.random(500) < p_in
        noise = Outcome(rng.normal(size=500), member, design=Design.ONE_RUN)
        for bias in above:
            if audit == "any":
                bound = lower_bound(noise, p_in=bias, **SAME)
            else:
                bound = accuracy(noise.at(1.0), p_in=bias, **SAME)
            above[bias] += bound.value > 0
    assert above[p_in] <= binom.isf(0.001, repeats, 0.05)
    assert above[0.5] > binom.isf(0.001, repeats, 0.05)  # the test can fail


@pytest.mark.parametrize("p_in", [0.3, 0.45])
@pytest.mark.parametrize("audit", ["any", "accuracy"])
def test_coverage_randomised_response_of_biased_coins(audit, p_in):
    """ε = 1 is kept, and tight: the bound is above it at most 1 time in 20, and near it."""
    rng, repeats, bounds = np.random.default_rng(4), 60, []
    for _ in range(repeats):
        member = rng.random(600) < p_in
        said = np.where(rng.random(600) < expit(1.0), member, ~member)
        outcome = Outcome(said + rng.random(600) / 2, member, design=Design.COINS)
        if audit == "any":
            bounds.append(lower_bound(outcome, p_in=p_in, **SAME).value)
        else:
            bounds.append(accuracy(outcome.at(0.9), p_in=p_in, **SAME).value)
    assert np.sum(np.array(bounds) > 1) <= binom.isf(0.001, repeats, 0.05)
    assert np.median(bounds) > 0.5


def test_limit_a_bias_and_its_mirror_prove_the_same(rng):
    member = rng.random(400) < 0.3
    score = rng.normal(size=400) + 2 * member
    there = accuracy(Outcome(score, member, design=Design.COINS).at(1.0), p_in=0.3, **SAME)
    mirror = Outcome(-score, ~member, design=Design.COINS).at(-1.0)
    assert there.value == pytest.approx(accuracy(mirror, p_in=0.7, **SAME).value, rel=1e-9)
    assert 0 < there.value <= there.reach <= there.ceiling


COUNTS = Counts(5, 10, 5, 10, design=Design.COINS)
FLIPS = Outcome(np.arange(8.0), np.arange(8) % 2 == 0, design=Design.RUNS)


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: accuracy(COUNTS, p_in=0.0, **SAME), r"p_in must be in \(0, 1\), got 0"),
        (
            lambda: accuracy(COUNTS, p_in=0.3, delta=1e-5, **SAME),
            "delta must be 0 with p_in = 0.3, got 1e-05",
        ),
        (lambda: lower_bound(FLIPS, p_in=0.3, **SAME), "p_in must be 0.5 for design runs, .*got 0.3"),
        (
            lambda: lower_bound(FLIPS.at(3.5), test="rates", p_in=0.3, **SAME),
            "p_in must be 0.5 but for accuracy and any-threshold, of ε, got 0.3",
        ),
        (lambda: mu(COUNTS, p_in=0.3, **SAME), "p_in must be 0.5 but for accuracy and any-threshold, of ε"),
        (lambda: refute(COUNTS, pure(1.0), p_in=0.3, **SAME), "p_in must be 0.5 but for accuracy"),
    ],
)
def test_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()
