"""Lower bounds on ε, tests of curves, ceilings, numbers of trials."""

import numpy as np

from golden.cases import Area, generator
from mialab import accounting, audit, game, tradeoff
from mialab.audit import read_scores

AREA = Area()
add = AREA.add

TABLES = [
    (60, 100, 40, 100),
    (60, 100, 5, 100),
    (8, 10, 1, 10),
    (3, 5, 0, 60),
    (50, 50, 0, 50),
    (50, 100, 50, 100),
    (10, 100, 90, 100),
    (1, 1, 0, 1),
    (75, 100, 0, 100),
]
LARGE = [(500, 500, 0, 500), (330, 500, 170, 500), (375, 500, 125, 500), (90, 1000, 3, 1000)]


def named(table: tuple[int, int, int, int]) -> str:
    return "{}/{} and {}/{}".format(*table)


def counts(table: tuple[int, int, int, int], design: str = "runs") -> game.Counts:
    return game.Counts(*table, design=game.Design(design))


def terms(**others) -> dict:
    return {"neighbours": accounting.Neighbours.REPLACE, **others}


def scores(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and membership."""
    rng = generator(1)
    size, members, shift = {
        "shift 1": (400, 200, 1.0),
        "shift 3": (600, 300, 3.0),
        "no shift": (400, 200, 0.0),
        "shift -1": (400, 200, -1.0),
        "5 members of 300": (300, 5, 2.0),
        "tied": (400, 200, 1.0),
        "all equal": (100, 50, 0.0),
        "separated": (200, 100, 100.0),
    }[kind]
    member = np.arange(size) < members
    score = rng.normal(size=size) + shift * member
    if kind == "tied":
        score = np.round(score)
    if kind == "all equal":
        score = np.zeros(size)
    return score, member


KINDS = ["shift 1", "shift 3", "no shift", "shift -1", "5 members of 300", "tied", "all equal", "separated"]


def outcome(kind: str, design: str = "runs") -> game.Outcome:
    score, member = scores(kind)
    return game.Outcome(score, member, design=game.Design(design))


def curve(name: str) -> tradeoff.Curve:
    return {
        "Gaussian, mu 0.5": lambda: tradeoff.GaussianCurve(0.5),
        "Gaussian, mu 1": lambda: tradeoff.GaussianCurve(1.0),
        "pure, epsilon 2": lambda: tradeoff.pure(2.0),
        "Laplace, epsilon 1": lambda: tradeoff.LaplaceCurve(1.0),
        "approximate, epsilon 1, delta 0.1": lambda: tradeoff.approximate(1.0, 0.1),
    }[name]()


CURVES = [
    "Gaussian, mu 0.5",
    "Gaussian, mu 1",
    "pure, epsilon 2",
    "Laplace, epsilon 1",
    "approximate, epsilon 1, delta 0.1",
]


# Two rates of a rule fixed in advance.


def clopper_pearson(table, delta, confidence):
    return audit.fixed_threshold(counts(table), **terms(delta=delta, confidence=confidence))


def clopper_pearson_bound(table, delta, confidence=0.95):
    return clopper_pearson(table, delta, confidence).epsilon_lower


def clopper_pearson_reach(table):
    result = clopper_pearson(table, 0.0, 0.95)
    assert result.evidence
    rank = result.evidence.rank
    return result.ceiling, result.reach, rank.value, rank.low, rank.high


for table in TABLES + LARGE:
    for delta in (0.0, 1e-5, 0.05):
        add(
            f"Clopper-Pearson bound, {named(table)}, delta {delta}",
            "lower",
            clopper_pearson_bound,
            table,
            delta,
        )
    add(f"Clopper-Pearson ceiling, reach, rank, {named(table)}", "exact", clopper_pearson_reach, table)
for confidence in (0.5, 0.9, 0.999):
    add(
        f"Clopper-Pearson bound, 60/100 and 5/100, delta 0, confidence {confidence}",
        "lower",
        clopper_pearson_bound,
        (60, 100, 5, 100),
        0.0,
        confidence,
    )


def joint_bound(table, delta, confidence=0.95):
    return audit.joint(counts(table), **terms(delta=delta, confidence=confidence)).epsilon_lower


for table in TABLES:
    for delta in (0.0, 0.01):
        add(f"joint bound, {named(table)}, delta {delta}", "lower", joint_bound, table, delta)
add(
    "joint bound, 60/100 and 5/100, delta 0, confidence 0.99",
    "lower",
    joint_bound,
    (60, 100, 5, 100),
    0.0,
    0.99,
)


# How often the attacker was right.


def accuracy_bound(table, design, delta, p_in=0.5, confidence=0.95):
    result = audit.accuracy(counts(table, design), **terms(delta=delta, confidence=confidence, p_in=p_in))
    return result.epsilon_lower


def accuracy_ceiling(table):
    result = audit.accuracy(counts(table), **terms())
    return result.ceiling, result.reach, result.trials


for table in [
    (60, 100, 40, 100),
    (60, 100, 5, 100),
    (50, 50, 0, 50),
    (10, 100, 90, 100),
    (375, 500, 125, 500),
]:
    for delta in (0.0, 1e-5, 0.05):
        add(
            f"accuracy bound, runs, {named(table)}, delta {delta}",
            "lower",
            accuracy_bound,
            table,
            "runs",
            delta,
        )
    add(f"accuracy ceiling, reach, trials, {named(table)}", "exact", accuracy_ceiling, table)
for design in ("coins", "one-run"):
    for table in [(60, 95, 20, 105), (3, 5, 0, 60)]:
        add(
            f"accuracy bound, {design}, {named(table)}, delta 0.001",
            "lower",
            accuracy_bound,
            table,
            design,
            0.001,
        )
for p_in in (0.45, 0.5, 0.6):
    add(
        f"accuracy bound, coins with chance {p_in}, 110/120 and 10/80, delta 0",
        "lower",
        accuracy_bound,
        (110, 120, 10, 80),
        "coins",
        0.0,
        p_in,
    )


def right_by_luck(right, trials, allowed):
    return audit.luck(right, trials, allowed=allowed)


for right, trials, allowed in [(65, 100, 0.6), (650, 1000, 0.6), (0, 10, 0.5), (10, 10, 0.5), (1, 1, 0.9)]:
    name = f"chance of {right} of {trials} right where {allowed} are allowed"
    add(name, "upper", right_by_luck, right, trials, allowed)


# No threshold fixed in advance.


def any_threshold(kind, design, delta, p_in):
    return audit.any_threshold(outcome(kind, design), **terms(delta=delta, p_in=p_in))


def any_threshold_bound(kind, design="runs", delta=0.0, p_in=0.5):
    return any_threshold(kind, design, delta, p_in).epsilon_lower


def any_threshold_reach(kind):
    result = any_threshold(kind, "runs", 0.0, 0.5)
    assert result.evidence
    rank = result.evidence.rank
    return result.ceiling, result.reach, result.trials, rank.value, rank.low, rank.high


for kind in KINDS:
    for delta in (0.0, 1e-5):
        add(f"any threshold bound, {kind}, delta {delta}", "lower", any_threshold_bound, kind, "runs", delta)
    add(f"any threshold ceiling, reach, trials, rank, {kind}", "exact", any_threshold_reach, kind)
add("any threshold bound, one run, shift 3, delta 0", "lower", any_threshold_bound, "shift 3", "one-run")
add("any threshold bound, coins, shift 1, delta 0.01", "lower", any_threshold_bound, "shift 1", "coins", 0.01)
add("any threshold bound, coins 0.4, shift 3", "lower", any_threshold_bound, "shift 3", "coins", 0.0, 0.4)


def split_bound(kind, test, share, design="runs"):
    calls = {"accuracy": "accuracy", "Clopper-Pearson": "fixed_threshold", "joint": "joint"}
    test = getattr(audit, calls[test])
    return audit.split(outcome(kind, design), test, **terms(rng=generator(), share=share)).epsilon_lower


for test in ("accuracy", "Clopper-Pearson"):
    for kind in ("shift 1", "shift 3", "tied", "all equal"):
        add(f"split, then {test}, {kind}, share 0.3", "lower", split_bound, kind, test, 0.3)
add("split, then joint, shift 1, share 0.5", "lower", split_bound, "shift 1", "joint", 0.5)
add("split, then accuracy, one run, shift 3", "lower", split_bound, "shift 3", "accuracy", 0.3, "one-run")


# Many canaries in one run.

GUESSES = [
    (95, 100, 1000),
    (760, 1000, 1000),
    (65, 100, 100),
    (0, 10, 100),
    (10, 10, 10),
    (500, 1000, 1000),
    (1, 1, 1),
]


def guesses(right, number, canaries, **others) -> audit.Guesses:
    return audit.Guesses(right, number, canaries, game.Design.ONE_RUN, **others)


def one_run_bound(seen, delta, others=()):
    return audit.one_run(guesses(*seen, **dict(others)), **terms(delta=delta)).epsilon_lower


def one_run_ceiling(seen):
    result = audit.one_run(guesses(*seen), **terms())
    return result.ceiling, result.reach, result.trials


def one_run_p_value(seen, epsilon, delta):
    return audit.p_value(guesses(*seen), epsilon, delta)


for seen in GUESSES:
    said = "{} of {} guesses right, {} canaries".format(*seen)
    for delta in (0.0, 1e-5, 0.01):
        add(f"one run bound, {said}, delta {delta}", "lower", one_run_bound, seen, delta)
    add(f"one run ceiling, reach, trials, {said}", "exact", one_run_ceiling, seen)
    for epsilon, delta in ((0.0, 0.0), (0.5, 0.0), (2.0, 1e-3)):
        name = f"one run p-value, {said}, epsilon {epsilon}, delta {delta}"
        add(name, "upper", one_run_p_value, seen, epsilon, delta)
add(
    "one run bound, 95 of 100 guesses right, 3 by lot, 2 lost",
    "lower",
    one_run_bound,
    (95, 100, 1000),
    0.0,
    (("by_lot", 3), ("lost", 2)),
)


def guesses_from_scores(kind, ins, outs):
    made = audit.guess(outcome(kind, "one-run"), ins=ins, outs=outs)
    return made.right, made.guesses, made.canaries, made.by_lot, made.lost, made.coins


for kind in ("shift 1", "tied", "5 members of 300", "all equal"):
    add(f"guesses from scores, {kind}, 20 in, 20 out", "exact", guesses_from_scores, kind, 20, 20)
add("guesses from scores, shift 3, 0 in, 30 out", "exact", guesses_from_scores, "shift 3", 0, 30)


# Curves on trial.


def curve_p_value(tables, name):
    test = audit.curve_at([counts(table) for table in tables], curve(name), **terms())
    return test.p_value


def curve_finding(table, name):
    test = audit.curve_at(counts(table), curve(name), **terms())
    return test.finding, test.least, test.reach, test.upside_down


for table in [(60, 100, 5, 100), (50, 100, 50, 100), (10, 100, 90, 100), (3, 5, 0, 60)]:
    for name in CURVES:
        add(f"p-value of a curve ({name}), {named(table)}", "upper", curve_p_value, [table], name)
    add(
        f"finding, least p-value, reach of a Gaussian curve, {named(table)}",
        "exact",
        curve_finding,
        table,
        CURVES[1],
    )
add(
    "p-value of a curve (Gaussian, mu 1), at two thresholds",
    "upper",
    curve_p_value,
    [(60, 100, 5, 100), (80, 100, 30, 100)],
    CURVES[1],
)


def curve_by_ranks(kind, name):
    return audit.curve_anywhere(outcome(kind), curve(name), **terms())


def curve_by_ranks_p_value(kind, name):
    return curve_by_ranks(kind, name).p_value


def curve_by_ranks_finding(kind, name):
    test = curve_by_ranks(kind, name)
    return test.finding, test.least, test.reach, test.upside_down


for kind in KINDS:
    for name in CURVES[:3]:
        add(f"p-value of a curve by ranks ({name}), {kind}", "upper", curve_by_ranks_p_value, kind, name)
    add(f"finding by ranks (Gaussian, mu 0.5), {kind}", "exact", curve_by_ranks_finding, kind, CURVES[0])


def one_run_curve_p_value(seen, name):
    return audit.p_value_of_curve(guesses(*seen), curve(name))


def one_run_curve_finding(seen, name):
    test = audit.curve_in_one_run(guesses(*seen), curve(name), **terms())
    return test.finding, test.p_value, test.least, test.reach


for seen in GUESSES[:5]:
    said = "{} of {} guesses right, {} canaries".format(*seen)
    for name in (CURVES[0], CURVES[2]):
        add(f"one run p-value of a curve ({name}), {said}", "upper", one_run_curve_p_value, seen, name)
    add(
        f"one run finding on a curve (Gaussian, mu 1), {said}",
        "exact",
        one_run_curve_finding,
        seen,
        CURVES[1],
    )


# The one number of Gaussian DP.


def gaussian_rates_bound(table):
    return audit.gaussian_rates(counts(table), **terms()).mu_lower


def gaussian_joint_bound(table):
    return audit.gaussian_joint(counts(table), **terms()).mu_lower


def gaussian_epsilon(table, delta):
    return audit.gaussian_rates(counts(table), **terms()).epsilon(delta)


def gaussian_ceiling(table):
    result = audit.gaussian_rates(counts(table), **terms())
    return result.ceiling, result.trials, result.relative(1e-5) != ""


def gaussian_anywhere_bound(kind):
    return audit.gaussian_anywhere(outcome(kind), **terms()).mu_lower


def gaussian_one_run_bound(seen):
    return audit.gaussian_in_one_run(guesses(*seen), **terms()).mu_lower


for table in TABLES:
    add(f"Gaussian mu from two rates, {named(table)}", "lower", gaussian_rates_bound, table)
    add(f"Gaussian ceiling, trials, {named(table)}", "exact", gaussian_ceiling, table)
for table in TABLES[:5]:
    add(f"Gaussian mu from both rates at once, {named(table)}", "lower", gaussian_joint_bound, table)
for delta in (1e-5, 0.01):
    name = f"epsilon of the Gaussian curve, 60/100 and 5/100, delta {delta}"
    add(name, "lower", gaussian_epsilon, (60, 100, 5, 100), delta)
for kind in ("shift 1", "shift -1", "tied", "all equal", "separated"):
    add(f"Gaussian mu by ranks, {kind}", "lower", gaussian_anywhere_bound, kind)
for seen in GUESSES[:5]:
    said = "{} of {} guesses right, {} canaries".format(*seen)
    add(f"Gaussian mu from one run, {said}", "lower", gaussian_one_run_bound, seen)


# What an audit could have seen.


def rates_ceiling(members, non_members, delta):
    return audit.ceiling_of_rates(members, non_members, delta=delta)


def any_ceiling(members, non_members, delta):
    return audit.ceiling_of_any(members, non_members, delta=delta)


def one_run_most(canaries, made, delta):
    return audit.ceiling_of_one_run(canaries, guesses=made, delta=delta)


for members, non_members in [(1, 1), (10, 10), (500, 500), (500, 5), (5, 500)]:
    for delta in (0.0, 1e-5):
        said = f"{members} members, {non_members} non-members, delta {delta}"
        add(f"ceiling of Clopper-Pearson, {said}", "exact", rates_ceiling, members, non_members, delta)
        add(f"ceiling of any test, {said}", "exact", any_ceiling, members, non_members, delta)
for canaries, made, delta in [(1000, None, 0.0), (1000, 100, 0.0), (1000, 100, 1e-3), (1, 1, 0.0)]:
    name = f"ceiling of one run, {canaries} canaries, {made} guesses, delta {delta}"
    add(name, "exact", one_run_most, canaries, made, delta)


def evidence_trials(share, allowed):
    return audit.trials_for_evidence(share, allowed=allowed)


def power_trials(share, allowed, power):
    return audit.trials_for_power(share, allowed=allowed, power=power)


for share, allowed in [(0.65, 0.6), (0.9, 0.5), (0.52, 0.5), (0.999, 0.01)]:
    add(f"trials for evidence, {share} where {allowed} is allowed", "exact", evidence_trials, share, allowed)
    for power in (0.5, 0.8):
        name = f"trials for power {power}, {share} where {allowed} is allowed"
        add(name, "exact", power_trials, share, allowed, power)


# Bets, beliefs, verdicts, files.


def verdicts_of_coin(chance, number):
    return np.where(generator(3).random(number) < chance, 1, -1)


def betting_bound(chance, number, delta, design):
    bets = audit.Betting(game.Design(design), accounting.Neighbours.REPLACE, delta=delta)
    return bets.after(verdicts_of_coin(chance, number)).result().epsilon_lower


def betting_one_by_one(chance, number):
    bets = audit.Betting(game.Design.RUNS, accounting.Neighbours.REPLACE)
    for verdict in verdicts_of_coin(chance, number):
        bets = bets.after(int(verdict))
    return bets.result().epsilon_lower


for chance, number in [(0.75, 300), (0.5, 300), (1.0, 50), (0.2, 100), (0.9, 1)]:
    name = f"betting bound, right with chance {chance}, {number} runs, delta 0"
    add(name, "lower", betting_bound, chance, number, 0.0, "runs")
add(
    "betting bound, right with chance 0.9, 400 runs, delta 0.01",
    "lower",
    betting_bound,
    0.9,
    400,
    0.01,
    "runs",
)
add("betting bound, right with chance 0.75, 300 canaries", "lower", betting_bound, 0.75, 300, 0.0, "one-run")
add("betting bound, one verdict after another", "lower", betting_one_by_one, 0.8, 60)


def credible_interval(table, delta, probability):
    made = audit.credible(counts(table), **terms(delta=delta, probability=probability))
    return made.low, made.high


for table in [(375, 500, 125, 500), (60, 100, 5, 100), (1, 1, 0, 1), (50, 50, 0, 50)]:
    for delta, probability in ((0.0, 0.95), (0.01, 0.9)):
        name = f"Bayesian epsilon, {named(table)}, delta {delta}, probability {probability}"
        add(name, "exact", credible_interval, table, delta, probability)


def verdict(table, epsilon):
    seen = audit.accuracy(counts(table), **terms())
    claim = accounting.Guarantee(epsilon, 0.0, accounting.Neighbours.REPLACE)
    made = audit.Verdict(seen, claim)
    return made.finding, made.upside_down


for epsilon in (0.405, 1.0, 6.0):
    for table in [(330, 500, 170, 500), (170, 500, 330, 500)]:
        add(f"verdict on epsilon {epsilon}, accuracy, {named(table)}", "exact", verdict, table, epsilon)


def evidence_and_result():
    from mialab.metrics import Estimate

    rank = Estimate(0.5, 0.4, 0.6, 0.95, "exact")
    evidence = audit.Evidence("AUC", rank, reach=2.0, turned=0.5)
    method = audit.Method("accuracy", (game.Design.RUNS,))
    method.admit(game.Design.RUNS)
    replace, runs = accounting.Neighbours.REPLACE, game.Design.RUNS
    result = audit.AuditResult(0.9, 0.0, 0.95, method, replace, runs, 1000, 4.9, evidence)
    test = audit.CurveTest(0.01, 1e-9, 0.95, method, replace, runs, 1000, evidence)
    bound = audit.GaussianBound(1.0, 0.95, method, replace, runs, 1000, 4.7)
    credible = audit.CredibleInterval(0.5, 1.5, 0.0, 0.95, replace, 100)
    below = evidence.below_chance
    return below, result.reach, test.finding, bound.epsilon(1e-5), credible.low, credible.high


add("evidence, result, curve test, Gaussian bound put together by hand", "exact", evidence_and_result)


def scores_from(content):
    read = read_scores.read_scores(content, design=game.Design.COINS)
    return read.score, read.member


add(
    "scores and membership read from a CSV file",
    "exact",
    scores_from,
    b"score,member\n0.5,1\n-1e-3,0\n2.25,1\n",
)
