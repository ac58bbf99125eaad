"""Scores of every attack, and the signals that they take."""

import numpy as np

from golden.cases import Area, generator
from mialab import game, signals
from mialab.attacks import difficulty, few_shadows, in_turn, label_only, learned, lira, rmia, sides, threshold

AREA = Area()
add = AREA.add


def fleet(models: int, records: int, kind: str = "logits", seed: int = 0) -> game.Observations:
    """Return signals that depend on membership, and on how hard a record is."""
    rng = generator(seed)
    member = game.flip_coins(models, records, rng=rng)
    if kind == "one side missing":
        member[:, 0], member[:, 1] = True, False
    signal = 2 * member + rng.normal(size=records) + rng.normal(size=(models, records))
    if kind == "log-probabilities":
        signal = -np.logaddexp(0, -signal)
    if kind == "tied":
        signal = np.round(signal)
    if kind == "all equal":
        signal = np.zeros((models, records))
    return game.Observations(signal, member)


KINDS = ["logits", "tied", "one side missing"]


def shape(models: int, kind: str) -> str:
    return f"{models} models, 30 records, {kind}"


def on_one_target(attack, models, kind, **others):
    target, shadows = fleet(models, 30, kind).leave_out(0)
    return attack(target, shadows, **others)


def calibrated(models, kind):
    return on_one_target(difficulty.calibrated, models, kind)


def student(models, kind):
    return on_one_target(few_shadows.student, models, kind)


def lira_online(models, kind, spread):
    return on_one_target(lira.online, models, kind, spread=spread)


def lira_offline(models, kind, spread):
    return on_one_target(lira.offline, models, kind, spread=spread)


def rmia_online(models, gamma, population):
    among = np.arange(30) >= 10 if population else None
    return on_one_target(rmia.online, models, "log-probabilities", gamma=gamma, population=among)


def rmia_offline(models, a, gamma, population):
    among = np.arange(30) >= 10 if population else None
    return on_one_target(rmia.offline, models, "log-probabilities", a=a, gamma=gamma, population=among)


def rmia_a(models):
    return rmia.choose_a(fleet(models, 200, "log-probabilities"))


for models in (6, 16):
    for kind in KINDS:
        said = shape(models, kind)
        add(f"difficulty calibration, {said}", "exact", calibrated, models, kind)
        add(f"likelihood ratio for few shadows, {said}", "exact", student, models, kind)
        for spread in ("per_record", "pooled"):
            add(f"LiRA online, {spread} variance, {said}", "exact", lira_online, models, kind, spread)
            add(f"LiRA offline, {spread} variance, {said}", "exact", lira_offline, models, kind, spread)
    for gamma, population in ((1.0, False), (2.0, False), (1.0, True)):
        said = f"{models} models, gamma {gamma}, population {population}"
        add(f"RMIA online, {said}", "exact", rmia_online, models, gamma, population)
        for a in (0.0, 0.5, 1.0):
            add(f"RMIA offline, a = {a}, {said}", "exact", rmia_offline, models, a, gamma, population)
    add(f"RMIA's a chosen from shadows, {models} models", "exact", rmia_a, models)


for said, function in (("difficulty calibration", calibrated), ("likelihood ratio for few shadows", student)):
    add(f"{said} of equal signals", "exact", function, 16, "all equal")
add("LiRA score of equal signals", "exact", lira_online, 16, "all equal", "per_record")
add("LiRA score with too few shadows", "exact", lira_online, 4, "logits", "per_record")


def everybody_in_turn(attack, kind):
    attacks = {
        "LiRA": lira.online,
        "LiRA offline": lira.offline,
        "difficulty": difficulty.calibrated,
        "few shadows": few_shadows.student,
        "RMIA": rmia.online,
    }
    return in_turn.in_turn(attacks[attack], fleet(8, 20, kind))


def one_after_the_other(kind):
    return fleet(8, 20, kind).in_turn(lira.online)


def two_fleets_in_turn():
    first = fleet(6, 20)
    second = game.Observations(first.signal + generator(9).normal(size=(6, 20)), first.member)
    return in_turn.in_turn(difficulty.calibrated, first, second)


for kind in ("logits", "tied"):
    for attack in ("LiRA", "LiRA offline", "difficulty", "few shadows"):
        add(f"{attack}, every model in turn, {kind}", "exact", everybody_in_turn, attack, kind)
add("RMIA, every model in turn", "exact", everybody_in_turn, "RMIA", "log-probabilities")
add("LiRA, every model in turn, one by one", "exact", one_after_the_other, "logits")
add("difficulty, two queries averaged, every model in turn", "exact", two_fleets_in_turn)


# Statistics of the shadows.


def shadow_statistics(models, kind):
    target, shadows = fleet(models, 30, kind).leave_out(0)
    inside, outside = sides.sides(target, shadows)
    return inside.mean, inside.scatter, inside.count, outside.mean, outside.scatter, outside.count


def shadow_variance(models, spread):
    target, shadows = fleet(models, 30).leave_out(0)
    return [lira.variance(side, spread) for side in sides.sides(target, shadows)]


def shadow_log_means(models):
    target, shadows = fleet(models, 30, "log-probabilities").leave_out(0)
    return sides.log_means(target, shadows)


def shadow_number(models):
    whole = fleet(models, 30)
    return sides.number_of_shadows(whole), sides.number_of_shadows(sides.Others(whole))


for models in (6, 16):
    for kind in ("logits", "one side missing"):
        add(
            f"mean, scatter, count of the shadows, {shape(models, kind)}",
            "exact",
            shadow_statistics,
            models,
            kind,
        )
    for spread in ("per_record", "pooled"):
        add(f"variance of the shadows, {spread}, {models} models", "exact", shadow_variance, models, spread)
    add(f"log mean probabilities of the shadows, {models} models", "exact", shadow_log_means, models)
    add(f"number of shadows, {models} models", "exact", shadow_number, models)


# Thresholds and classifiers.


def chosen_threshold(kind, fpr):
    return threshold.choose_threshold(fleet(3, 100, kind), fpr=fpr)


def class_threshold(kind, fpr):
    target, shadows = fleet(4, 60, kind).leave_out(0)
    return threshold.per_class(target, shadows, np.arange(60) % 3, fpr=fpr)


for kind in ("logits", "tied", "all equal"):
    for fpr in (None, 0.0, 0.1):
        add(f"threshold from shadows, {kind}, FPR {fpr}", "exact", chosen_threshold, kind, fpr)
        add(f"accusations with a threshold per class, {kind}, FPR {fpr}", "exact", class_threshold, kind, fpr)


def several_signals(kind):
    split = [fleet(4, 60, kind, seed).leave_out(0) for seed in (0, 1)]
    member = split[0][1].member
    return np.stack([target for target, _ in split]), [
        game.Observations(shadows.signal, member) for _, shadows in split
    ]


def logistic(kind):
    target, shadows = several_signals(kind)
    return learned.logistic(target, shadows, np.arange(60) % 3)


def stacked():
    return learned.stack(*several_signals("logits"))


def by_count(copies):
    rng = generator()
    member = game.flip_coins(3, 40, rng=rng)
    right = [(rng.random((3, 40)) < 0.5 + 0.3 * member).astype(float) for _ in range(copies)]
    target = (rng.random((copies, 40)) < 0.6).astype(float)
    return label_only.by_count(target, [game.Observations(one, member) for one in right])


for kind in ("logits", "tied"):
    add(f"logistic regression on two signals and the class, {kind}", "exact", logistic, kind)
add("two signals stacked", "exact", stacked)
for copies in (1, 5):
    add(f"label-only attack on {copies} copies", "exact", by_count, copies)


# Signals.


def logits(kind: str) -> tuple[np.ndarray, np.ndarray]:
    rng = generator(5)
    made = 3 * rng.normal(size=(2, 9, 4))
    if kind == "extreme":
        made = 300 * made
    if kind == "tied":
        made = np.round(made / 3)
    return made, rng.integers(4, size=9)


def signal(name, kind):
    return getattr(signals, name)(*logits(kind))


def from_probabilities(floor):
    probability = np.array([[0.75, 0.25, 0.0], [1.0, 0.0, 0.0], [0.2, 0.7, 0.1]])
    return signals.logits_from_probabilities(probability, floor=floor)


SIGNALS = {
    "loss": "loss",
    "confidence": "confidence",
    "logit gap": "logit_gap",
    "margin": "margin",
    "correctness": "correctness",
    "entropy": "entropy",
    "modified entropy": "modified_entropy",
}
for name, function in SIGNALS.items():
    for kind in ("ordinary", "extreme", "tied"):
        add(f"{name} of {kind} logits", "exact", signal, function, kind)
for floor in (None, 0.05):
    add(f"logits from probabilities, floor {floor}", "exact", from_probabilities, floor)


# The game.


def coins(models, records):
    return game.flip_coins(models, records, rng=generator())


def counted(cut):
    rng = generator()
    member = rng.random(50) < 0.4
    made = game.Outcome(np.round(rng.normal(size=50) + member, 1), member).at(cut)
    return made.true_positives, made.members, made.false_positives, made.non_members


for models, records in ((1, 1), (7, 50)):
    add(f"fair coins, {models} models, {records} records", "exact", coins, models, records)
for cut in (-10.0, 0.5, 10.0):
    add(f"counts at threshold {cut}", "exact", counted, cut)
