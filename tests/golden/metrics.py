"""Rates, curves and areas, each with its interval."""

import numpy as np

from golden.cases import Area, generator
from mialab import game, metrics

AREA = Area()
add = AREA.add

TABLES = [
    (80, 100, 10, 100),
    (0, 10, 0, 10),
    (10, 10, 10, 10),
    (1, 1, 0, 1),
    (500, 1000, 5, 1000),
    (2, 5, 30, 600),
]


def named(table) -> str:
    return "{}/{} and {}/{}".format(*table)


def numbers(estimate: metrics.Estimate):
    return estimate.value, estimate.low, estimate.high, estimate.resolved


def rate(name, table, confidence):
    return numbers(getattr(metrics, name)(game.Counts(*table), confidence=confidence))


def precision(table, prior):
    return numbers(metrics.precision(game.Counts(*table), prior=prior))


RATES = {
    "TPR": "tpr",
    "FPR": "fpr",
    "advantage": "advantage",
    "balanced accuracy": "balanced_accuracy",
}
for table in TABLES:
    for name, function in RATES.items():
        add(f"{name} and interval, {named(table)}", "exact", rate, function, table, 0.95)
    for prior in (0.5, 0.01):
        add(f"precision and interval, {named(table)}, prior {prior}", "exact", precision, table, prior)
add("advantage and interval, 80/100 and 10/100, confidence 0.5", "exact", rate, "advantage", TABLES[0], 0.5)


def binomial(successes, trials, confidence):
    return numbers(metrics.clopper_pearson(successes, trials, confidence=confidence))


for successes, trials in [(10, 1000), (0, 10), (10, 10), (1, 1), (333, 1000)]:
    for confidence in (0.95, 0.999):
        name = f"Clopper-Pearson interval, {successes} of {trials}, confidence {confidence}"
        add(name, "exact", binomial, successes, trials, confidence)


KINDS = ["shift 1", "no shift", "tied", "all equal", "separated", "3 members of 200", "2 and 2"]


def outcome(kind: str) -> game.Outcome:
    rng = generator(2)
    size, members, shift = {
        "shift 1": (300, 150, 1.0),
        "no shift": (300, 150, 0.0),
        "tied": (300, 150, 1.0),
        "all equal": (40, 20, 0.0),
        "separated": (60, 30, 50.0),
        "3 members of 200": (200, 3, 2.0),
        "2 and 2": (4, 2, 1.0),
    }[kind]
    member = np.arange(size) < members
    score = rng.normal(size=size) + shift * member
    if kind == "tied":
        score = np.round(score)
    if kind == "all equal":
        score = np.zeros(size)
    return game.Outcome(score, member)


def roc(kind):
    made = metrics.roc_curve(outcome(kind))
    return [made.threshold[1:], made.fpr, made.tpr]


def roc_numbers(kind):
    made = metrics.roc_curve(outcome(kind))
    at = made.point_at(0.1), made.tpr_at(0.1), made.tpr_at(0.0), made.advantage_at(0.5), made.resolves(0.01)
    return made.auc, made.largest_advantage, made.members, made.non_members, *at


def area(kind, confidence):
    return numbers(metrics.auc(outcome(kind), confidence=confidence))


def tpr_at(kind, fpr, confidence):
    return numbers(metrics.tpr_at(outcome(kind), fpr, confidence=confidence))


def band(kind, confidence):
    made = metrics.band(outcome(kind), np.array([0.0, 0.01, 0.1, 0.5, 1.0]), confidence=confidence)
    return made.low, made.high


for kind in KINDS:
    add(f"ROC curve, {kind}", "exact", roc, kind)
    add(f"numbers of the ROC curve, {kind}", "exact", roc_numbers, kind)
    add(f"area under the curve and interval, {kind}", "exact", area, kind, 0.95)
    for fpr in (0.0, 0.001, 0.1, 1.0):
        add(f"TPR at FPR {fpr} and interval, {kind}", "exact", tpr_at, kind, fpr, 0.95)
    add(f"band of the ROC curve, {kind}", "exact", band, kind, 0.95)
add("area under the curve and interval, shift 1, confidence 0.8", "exact", area, "shift 1", 0.8)
add("band of the ROC curve, shift 1, confidence 0.8", "exact", band, "shift 1", 0.8)


# Many models.


def pool(kind: str) -> tuple[np.ndarray, np.ndarray]:
    rng = generator(4)
    member = game.flip_coins(8, 60, rng=rng)
    score = rng.normal(size=(8, 60)) + member
    return (np.round(score) if kind == "tied" else score), member


def auc_of(curve):
    return curve.auc


def bootstrap(kind):
    return numbers(metrics.bootstrap(*pool(kind), auc_of, rng=generator(), resamples=200))


def paired_bootstrap(kind):
    score, member = pool(kind)
    other = score + 0.3 * member
    return numbers(metrics.paired_bootstrap(score, other, member, auc_of, rng=generator(), resamples=200))


def pooled_band(kind):
    made = metrics.pooled_band(*pool(kind), np.array([0.01, 0.1, 0.5]), rng=generator(), resamples=200)
    return made.low, made.high


def pooled_roc(kind):
    made = metrics.pooled_roc(*pool(kind))
    return made.auc, made.fpr, made.tpr


def pooled_tpr(kind, fpr):
    return numbers(metrics.pooled_tpr_at(*pool(kind), fpr, rng=generator(), resamples=200))


def pooled_mean(kind):
    return numbers(metrics.pooled_mean(pool(kind)[0], rng=generator(), resamples=200))


def pooled_share(kind):
    return numbers(metrics.pooled_mean(pool(kind)[0] > 0.5, rng=generator(), resamples=200))


def memorised(least):
    score, member = pool("shift 1")
    return metrics.memorisation(score > 0.5, member, least=least)


for kind in ("shift 1", "tied"):
    add(f"pooled ROC curve, {kind}", "exact", pooled_roc, kind)
    add(f"bootstrapped area, {kind}", "exact", bootstrap, kind)
    add(f"paired bootstrap of areas, {kind}", "exact", paired_bootstrap, kind)
    add(f"pooled band, {kind}", "exact", pooled_band, kind)
    for fpr in (0.0, 0.01, 0.2):
        add(f"pooled TPR at FPR {fpr}, {kind}", "exact", pooled_tpr, kind, fpr)
    add(f"pooled mean, {kind}", "exact", pooled_mean, kind)
    add(f"pooled share, {kind}", "exact", pooled_share, kind)
for least in (1, 3):
    add(f"memorisation, at least {least} models on either side", "exact", memorised, least)


def blind(shift):
    rng = generator()
    x, y, member = rng.normal(size=(120, 3)), rng.integers(2, size=120), rng.random(120) < 0.5
    made = metrics.blind_baseline(x + shift * member[:, None], y, member, rng=rng)
    return numbers(made.auc), made.copies, made.about_the_data


for shift in (0.0, 1.0):
    add(f"blind baseline, members shifted by {shift}", "exact", blind, shift)


def by_hand():
    estimate = metrics.Estimate(0.81, 0.74, 0.86, 0.95, "DeLong")
    made = metrics.BlindBaseline(estimate, copies=7)
    points = np.array([0.0, 1.0])
    roc = metrics.Roc(np.array([np.inf, 0.0]), points, points, 1.0, 1.0)
    band = metrics.Band(points, points, points, 0.95, "by hand")
    return made.about_the_data, roc.auc, band.low, numbers(estimate)


add("estimate, baseline, curve and band put together by hand", "exact", by_hand)
