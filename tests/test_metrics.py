"""Metrics: every number against its slow definition, every interval by how often it holds the truth."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from mialab import metrics
from mialab.game import Counts, Observations, Outcome

KINDS = {
    "smooth": lambda rng, n: rng.normal(size=n),
    "tied": lambda rng, n: rng.integers(4, size=n).astype(float),
    "all equal": lambda rng, n: np.ones(n),
}


def an_outcome(rng, n=200, kind="smooth", shift=0.5):
    member = rng.random(n) < 0.5
    member[:2] = True, False
    return Outcome(KINDS[kind](rng, n) + shift * member * (kind == "smooth"), member)


@pytest.mark.parametrize("kind", KINDS)
def test_definition_roc_is_every_threshold_counted(rng, kind):
    outcome = an_outcome(rng, kind=kind)
    roc = metrics.roc_curve(outcome)
    assert roc.threshold[0] == np.inf
    assert set(roc.threshold[1:]) == set(outcome.score)
    for threshold, fpr, tpr in zip(roc.threshold, roc.fpr, roc.tpr, strict=True):
        counts = outcome.at(threshold)
        assert tpr == counts.true_positives / counts.members
        assert fpr == counts.false_positives / counts.non_members


@pytest.mark.parametrize("kind", KINDS)
def test_definition_auc_is_the_mann_whitney_count_of_pairs(rng, kind):
    outcome = an_outcome(rng, kind=kind)
    inside, outside = outcome.score[outcome.member], outcome.score[~outcome.member]
    pairs = [(a > b) + (a == b) / 2 for a in inside for b in outside]
    assert metrics.roc_curve(outcome).auc == pytest.approx(np.mean(pairs), abs=1e-12)
    assert metrics.auc(outcome).value == pytest.approx(np.mean(pairs), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_oracle_scikit_learn_draws_the_same_curve(rng, kind):
    outcome = an_outcome(rng, kind=kind)
    fpr, tpr, _ = sklearn_roc_curve(outcome.member, outcome.score, drop_intermediate=False)
    roc = metrics.roc_curve(outcome)
    np.testing.assert_allclose(roc.fpr, fpr, atol=1e-15)
    np.testing.assert_allclose(roc.tpr, tpr, atol=1e-15)
    assert roc.auc == pytest.approx(roc_auc_score(outcome.member, outcome.score), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_definition_tpr_at_is_the_best_of_the_rules_that_are_allowed(rng, kind):
    outcome = an_outcome(rng, kind=kind)
    roc = metrics.roc_curve(outcome)
    for fpr in (0.0, 0.01, 0.1, 0.29, 0.5, 1.0):
        allowed = [t for f, t in zip(roc.fpr, roc.tpr, strict=True) if f <= fpr]
        assert roc.tpr_at(fpr) == max(allowed)


def test_definition_a_rate_that_floats_cannot_write_is_still_allowed():
    member = np.arange(200) < 100
    score = np.where(member, 0.5, np.arange(200) - 100.0)
    assert 0.29 * 100 < 29  # in floating point
    assert metrics.roc_curve(Outcome(score, member)).point_at(0.29) == 29


def test_definition_rates_from_counts():
    counts = Counts(true_positives=30, members=40, false_positives=15, non_members=60)
    assert metrics.tpr(counts).value == 0.75
    assert metrics.fpr(counts).value == 0.25
    assert metrics.advantage(counts).value == 0.5
    assert metrics.balanced_accuracy(counts).value == 0.75
    assert metrics.precision(counts, prior=0.1).value == pytest.approx(0.1 * 0.75 / (0.1 * 0.75 + 0.9 * 0.25))


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (3, 10), (10, 10), (95, 100), (10, 1000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_oracle_clopper_pearson_is_scipys(hits, trials, confidence):
    theirs = binomtest(hits, trials).proportion_ci(confidence, method="exact")
    ours = metrics.clopper_pearson(hits, trials, confidence=confidence)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_oracle_published_clopper_pearson_values():
    assert metrics.clopper_pearson(0, 500, confidence=0.99).high == pytest.approx(0.01054069, abs=1e-8)
    assert metrics.clopper_pearson(0, 1000).high == pytest.approx(0.00368208, abs=1e-8)
    assert metrics.clopper_pearson(95, 100).low == pytest.approx(0.88716509, abs=1e-8)


@pytest.mark.parametrize("n", [1, 5, 12, 40])
@pytest.mark.parametrize("truth", [0.0, 0.01, 0.2, 0.5, 0.97, 1.0])
def test_coverage_clopper_pearson_by_enumeration(n, truth):
    held = [
        binom.pmf(k, n, truth)
        for k in range(n + 1)
        if metrics.clopper_pearson(k, n).low <= truth <= metrics.clopper_pearson(k, n).high
    ]
    assert sum(held) >= 0.95


def test_coverage_of_numbers_made_of_both_rates_by_enumeration():
    n, tp, fp = 12, 0.7, 0.2
    held = dict.fromkeys(("advantage", "accuracy", "precision"), 0.0)
    truth = {
        "advantage": tp - fp,
        "accuracy": (1 + tp - fp) / 2,
        "precision": 0.1 * tp / (0.1 * tp + 0.9 * fp),
    }
    for hits in range(n + 1):
        for false in range(n + 1):
            weight = binom.pmf(hits, n, tp) * binom.pmf(false, n, fp)
            counts = Counts(hits, n, false, n)
            estimates = {
                "advantage": metrics.advantage(counts),
                "accuracy": metrics.balanced_accuracy(counts),
            }
            if hits + false:
                estimates["precision"] = metrics.precision(counts, prior=0.1)
            for name, estimate in estimates.items():
                held[name] += weight * (estimate.low <= truth[name] <= estimate.high)
    assert min(held.values()) >= 0.95


def share_held(make, estimate, truth, repetitions):
    estimates = [estimate(make()) for _ in range(repetitions)]
    return np.mean([e.low <= truth <= e.high for e in estimates])


AUC_WORLDS = {
    # name: (members' scores, non-members' scores, the true AUC)
    "equal": (lambda r, n: r.normal(size=n), lambda r, n: r.normal(size=n), 0.5),
    "some": (lambda r, n: r.normal(0.5, size=n), lambda r, n: r.normal(size=n), norm.cdf(0.5 / np.sqrt(2))),
    "almost apart": (
        lambda r, n: r.normal(3.3, size=n),
        lambda r, n: r.normal(size=n),
        norm.cdf(3.3 / np.sqrt(2)),
    ),
    "correctness": (lambda r, n: 1.0 * (r.random(n) < 1), lambda r, n: 1.0 * (r.random(n) < 0.9), 0.55),
    "few memorised": (
        lambda r, n: r.normal(size=n) + 9 * (r.random(n) < 0.1),
        lambda r, n: r.normal(size=n),
        0.9 * 0.5 + 0.1 * norm.cdf(9 / np.sqrt(2)),
    ),
    "both ends": (
        lambda r, n: r.choice([-5.0, 5.0], n) + r.normal(size=n),
        lambda r, n: r.normal(size=n),
        0.5,
    ),
}


@pytest.mark.parametrize("n", [15, 60, 250])
@pytest.mark.parametrize("world", AUC_WORLDS)
def test_coverage_auc(rng, world, n):
    inside, outside, truth = AUC_WORLDS[world]
    held = share_held(
        lambda: Outcome.from_train_test(inside(rng, n), outside(rng, n)), metrics.auc, truth, 400
    )
    assert held >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400)


@pytest.mark.parametrize(
    ("members", "non_members", "below"), [(5, 500, 0.2), (20, 1000, 0.05), (100, 100, 0.022)]
)
def test_coverage_auc_where_a_few_records_decide(rng, members, non_members, below):
    """Members lie above everything, but for a few far below: the worst case for a small side."""

    def make():
        inside = np.where(rng.random(members) < below, -9.0, 9.0)
        return Outcome.from_train_test(inside, rng.normal(size=non_members))

    assert share_held(make, metrics.auc, 1 - below, 400) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400)


def test_definition_the_variance_of_the_auc_is_at_most_that_of_the_smaller_side(rng):
    """Van Dantzig's bound, on the world where it is reached."""
    areas = [
        metrics.roc_curve(
            Outcome.from_train_test(np.where(rng.random(20) < 0.3, -9.0, 9.0), rng.normal(size=400))
        ).auc
        for _ in range(2000)
    ]
    assert np.var(areas) == pytest.approx(0.3 * 0.7 / 20, rel=0.12)


def test_coverage_of_auc_can_fail(rng):
    """The same test turns away DeLong's interval."""

    def plain_delong(outcome):
        good = metrics.auc(outcome)
        inside, outside = outcome.score[outcome.member], outcome.score[~outcome.member]
        wins = np.array([np.mean(a > outside) for a in inside])
        losses = np.array([np.mean(b < inside) for b in outside])
        half = 1.96 * np.sqrt(wins.var(ddof=1) / len(wins) + losses.var(ddof=1) / len(losses))
        return metrics.Estimate(good.value, good.value - half, good.value + half, 0.95, "plain DeLong")

    inside, outside, truth = AUC_WORLDS["almost apart"]
    held = share_held(
        lambda: Outcome.from_train_test(inside(rng, 60), outside(rng, 60)), plain_delong, truth, 400
    )
    assert held < 0.9


@pytest.mark.parametrize("n", [30, 300])
@pytest.mark.parametrize("fpr", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("ties", [False, True])
def test_coverage_tpr_at(rng, n, fpr, ties):
    def score(shift):
        smooth = rng.normal(shift, size=n)
        return np.floor(2 * smooth) / 2 if ties else smooth

    cut = -norm.ppf(fpr)  # with ties, the lowest allowed cut is the next half above it
    truth = norm.sf((np.ceil(2 * cut) / 2 if ties else cut) - 1)
    held = share_held(
        lambda: Outcome.from_train_test(score(1), score(0)),
        lambda outcome: metrics.tpr_at(outcome, fpr),
        truth,
        400,
    )
    assert held >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400)


def test_coverage_of_tpr_at_can_fail(rng):
    """Clopper-Pearson at the threshold that was found forgets that the threshold was found."""

    def naive(outcome):
        roc = metrics.roc_curve(outcome)
        counts = outcome.at(roc.threshold[roc.point_at(0.1)])
        return metrics.tpr(counts)

    truth = norm.sf(-norm.ppf(0.1) - 1)
    held = share_held(
        lambda: Outcome.from_train_test(rng.normal(1, size=300), rng.normal(size=300)), naive, truth, 400
    )
    assert held < 0.9


def test_a_rate_behind_fewer_than_ten_false_positives_is_marked(rng):
    outcome = an_outcome(rng, n=1800)
    assert metrics.tpr_at(outcome, 0.1).resolved
    rare = metrics.tpr_at(outcome, 0.001)
    assert not rare.resolved
    assert "not resolved" in str(rare)
    assert f"{rare.value:.3f}" not in str(rare).split("[")[0]


def test_definition_the_pooled_curve_is_one_threshold_for_all(rng):
    score, member = rng.normal(size=(3, 40)), rng.random((3, 40)) < 0.5
    pooled, flat = (
        metrics.pooled_roc(Observations(score, member)),
        metrics.roc_curve(Outcome(score.ravel(), member.ravel())),
    )
    np.testing.assert_array_equal(pooled.tpr, flat.tpr)
    np.testing.assert_array_equal(pooled.fpr, flat.fpr)


def test_definition_the_bootstrap_is_a_roc_of_repeated_cells(rng):
    """Weights give the same curve as writing every model and record out as often as it was drawn."""
    score, member = rng.normal(size=(6, 20)).round(1), rng.random((6, 20)) < 0.5
    seen = []
    metrics.bootstrap(
        Observations(score, member),
        lambda roc: seen.append(roc) or roc.auc,
        rng=np.random.default_rng(1),
        resamples=400,
        confidence=0.8,
    )
    draw = np.random.default_rng(1)
    models, records = draw.integers(6, size=6), draw.integers(20, size=20)
    written_out = metrics.pooled_roc(
        Observations(score[np.ix_(models, records)], member[np.ix_(models, records)])
    )
    assert seen[0].auc == pytest.approx(written_out.auc, abs=1e-12)


def one_study(rng, spread, models=16, records=250):
    """Accuse by a fixed rule; models differ by ``spread`` on the probit scale, and records too."""
    ease = rng.normal(scale=spread, size=(models, 1)) + rng.normal(scale=0.3, size=(1, records))
    member = rng.random((models, records)) < 0.5
    return Observations((rng.normal(size=member.shape) + ease + 0.5 * member > 1).astype(float), member)


def true_rate(spread, shift):
    return norm.sf((1 - shift) / np.sqrt(1 + spread**2 + 0.3**2))


@pytest.mark.parametrize("spread", [0.15, 0.3])
def test_coverage_of_the_bootstrap_and_failure_of_pooled_exact_intervals(rng, spread):
    truth = true_rate(spread, 0.5)
    boot = exact = 0
    for _ in range(150):
        study = one_study(rng, spread)
        estimate = metrics.bootstrap(study, lambda roc: roc.tpr_at(1.0 - 1e-12), rng=rng, resamples=200)
        boot += estimate.low <= truth <= estimate.high
        accused = study.signal[study.member]
        pooled = metrics.clopper_pearson(int(accused.sum()), accused.size)
        exact += pooled.low <= truth <= pooled.high
    assert boot / 150 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 150)
    assert exact / 150 < 0.85


def test_limit_equal_luck_everywhere_has_no_interval():
    scores = Observations(np.array([[1.0, 0.0] * 3] * 6), np.array([[True, False] * 3] * 6))
    message = r"must vary between resamples to have an interval, got 1\.0 every time"
    with pytest.raises(ValueError, match=message):
        metrics.bootstrap(scores, lambda roc: roc.auc, rng=np.random.default_rng(0), resamples=500)


def test_a_pooled_rate_behind_few_records_is_marked(rng):
    member = rng.random((16, 300)) < 0.5
    score = rng.normal(size=member.shape)
    odd = score.copy()
    odd[:, :3] += 100  # three odd records lead every model's list
    assert metrics.pooled_tpr_at(Observations(score, member), 0.01, rng=rng, resamples=150).resolved
    assert not metrics.pooled_tpr_at(Observations(odd, member), 0.01, rng=rng, resamples=150).resolved


def test_importing_metrics_is_quick_to_the_eye():
    """Neither torch nor matplotlib come along, nor SciPy's slow corners."""
    heavy = "('torch', 'matplotlib', 'scipy.stats')"
    code = f"import sys, mialab.metrics; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda o, c: metrics.clopper_pearson(3, 2), r"successes must be in 0 … 2 \(trials\), got 3"),
        (lambda o, c: metrics.clopper_pearson(2.5, 10), "successes must be a whole number, got 2.5"),
        (lambda o, c: Counts(1.5, 2, 1, 2), "true_positives must be a whole number, got 1.5"),
        (lambda o, c: metrics.band(o, np.array([])), "fpr must hold rates, got none"),
        (lambda o, c: metrics.roc_curve(o).advantage_at(np.nan), "threshold must be a number, got nan"),
        (lambda o, c: Outcome(o.member, o.member), "score must be an array of numbers, got dtype bool"),
        (lambda o, c: metrics.clopper_pearson(0, 0), "trials must be at least 1, got 0"),
        (lambda o, c: metrics.clopper_pearson(1, 2, confidence=1), r"confidence must be in \(0, 1\), got 1"),
        (lambda o, c: metrics.auc(o, confidence=95), r"confidence must be in \(0, 1\), got 95"),
        (lambda o, c: metrics.tpr_at(o, 1.5), r"fpr must be in \[0, 1\], got 1.5"),
        (lambda o, c: metrics.tpr_at(o, np.nan), r"fpr must be a number, got nan"),
        (lambda o, c: metrics.precision(c, prior=0.0), r"prior must be in \(0, 1\), got 0.0"),
        (
            lambda o, c: metrics.precision(Counts(0, 1, 0, 1), prior=0.5),
            "counts must have somebody accused, got nobody",
        ),
        (lambda o, c: metrics.pooled_roc(o), "scores must be an Observations"),
        (
            lambda o, c: metrics.pooled_roc(Observations(o.score[None], ~o.member[None] | True)),
            "hold members and non-members",
        ),
        (
            lambda o, c: metrics.bootstrap(
                Observations(o.score[None], o.member[None]), len, rng=np.random.default_rng(0)
            ),
            "scores must hold at least 5 models, got 1",
        ),
        (
            lambda o, c: metrics.Estimate(0.5, 0.6, 0.7, 0.95, "m"),
            r"value must lie in its interval \[0.6, 0.7\], got 0.5",
        ),
    ],
)
def test_the_door(rng, call, message):
    with pytest.raises(ValueError, match=message):
        call(an_outcome(rng), Counts(1, 2, 1, 2))


def test_definition_a_band_is_the_interval_at_every_rate(rng):
    outcome = an_outcome(rng)
    band = metrics.band(outcome, np.array([0.1, 0.5]))
    single = metrics.tpr_at(outcome, 0.5)
    assert (band.low[1], band.high[1]) == (single.low, single.high)

    scores = Observations(rng.normal(size=(6, 60)), rng.random((6, 60)) < 0.5)
    how = {"resamples": 200, "confidence": 0.8}
    pooled = metrics.pooled_band(scores, np.array([0.2]), rng=np.random.default_rng(3), **how)
    one = metrics.pooled_tpr_at(scores, 0.2, rng=np.random.default_rng(3), **how)
    assert (pooled.low[0], pooled.high[0]) == (one.low, one.high)


def test_definition_memorisation_is_the_gain_counted_by_hand(rng):
    member, correct = rng.random((40, 12)) < 0.5, rng.random((40, 12)) < 0.7
    member[:, 3] = True  # no model without it
    gain = metrics.memorisation(correct, member, min_count=5)
    assert np.isnan(gain[3])
    for i in (0, 1, 2, 11):
        assert gain[i] == correct[member[:, i], i].mean() - correct[~member[:, i], i].mean()


def test_oracle_memorisation_finds_what_was_planted(rng):
    member = rng.random((4000, 3)) < 0.5
    correct = rng.random((4000, 3)) < np.where(member, [1.0, 0.9, 0.5], [0.2, 0.9, 0.4])
    np.testing.assert_allclose(metrics.memorisation(correct, member), [0.8, 0.0, 0.1], atol=0.05)


def test_definition_advantage_at_a_threshold(rng):
    outcome = an_outcome(rng, kind="tied")
    roc = metrics.roc_curve(outcome)
    for threshold in (-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 9.0):
        assert roc.advantage_at(threshold) == pytest.approx(metrics.advantage(outcome.at(threshold)).value)


def test_coverage_of_a_paired_difference(rng):
    """Two rules on the same cells: what they share cancels, and the difference is still held."""
    truth = true_rate(0.3, 0.5) - true_rate(0.3, 0.5 - 0.2)
    held, widths = 0, []
    for _ in range(100):
        ease = rng.normal(scale=0.3, size=(16, 1)) + rng.normal(scale=0.3, size=(1, 150))
        member = rng.random((16, 150)) < 0.5
        luck = rng.normal(size=member.shape) + ease + 0.5 * member
        first, second = (luck > 1.2).astype(float), (luck > 1.0).astype(float)
        paired = metrics.paired_bootstrap(
            Observations(first, member),
            Observations(second, member),
            lambda roc: roc.tpr_at(1.0 - 1e-12),
            rng=rng,
            resamples=150,
        )
        alone = metrics.bootstrap(
            Observations(second, member), lambda roc: roc.tpr_at(1.0 - 1e-12), rng=rng, resamples=150
        )
        held += paired.low <= truth <= paired.high
        widths.append((paired.high - paired.low) / (alone.high - alone.low))
    assert held / 100 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 100)
    assert np.mean(widths) < 0.6


def test_limit_an_attack_is_no_better_than_itself(rng):
    scores = Observations(rng.normal(size=(9, 30)), rng.random((9, 30)) < 0.5)
    with pytest.raises(ValueError, match="must vary between resamples"):
        metrics.paired_bootstrap(scores, scores, lambda roc: roc.auc, rng=rng, resamples=300)
    other = Observations(scores.signal, ~scores.member)
    with pytest.raises(ValueError, match="first and second must have the same membership"):
        metrics.paired_bootstrap(scores, other, lambda roc: roc.auc, rng=rng, resamples=300)


@pytest.mark.usefixtures("at_the_door")
def test_scores_of_any_number_type_rank_the_same():
    member = np.array([False, False, True, True, True])
    for kind in (np.uint8, np.int64, np.float32):
        score = np.array([0, 0, 1, 1, 1], dtype=kind)
        outcome = Outcome(score, member)
        assert metrics.roc_curve(outcome).auc == metrics.auc(outcome).value == 1
        assert metrics.pooled_roc(Observations(score[None], member[None])).auc == 1


def test_a_perfect_attack_has_a_band_with_width():
    member = np.tile([True, False], (8, 5))
    band = metrics.pooled_band(
        Observations(member * 1.0, member), np.array([0.1]), rng=np.random.default_rng(0), resamples=300
    )
    assert band.high[0] == 1
    assert band.low[0] == pytest.approx(0.025 ** (1 / 8))


def test_too_few_resamples_for_the_percentile_are_refused(rng):
    score, member = rng.normal(size=(8, 30)), rng.random((8, 30)) < 0.5
    with pytest.raises(ValueError, match="resamples must be at least 10916, got 1000"):
        metrics.bootstrap(Observations(score, member), lambda roc: roc.auc, rng=rng, confidence=0.99)


def test_a_tie_that_leaves_no_false_positives_is_not_resolved():
    score = np.append(np.ones(1000), np.arange(1000) < 900).astype(float)
    assert not metrics.tpr_at(Outcome(score, np.arange(2000) < 1000), 0.05).resolved
