"""Faulty and correct mechanisms: what they claim, what is true, and the attack's scores."""

import numpy as np

from golden.cases import Area, generator
from mialab import accounting, audit, faults, gallery, tradeoff
from mialab.faults import pieces, scores, trainer
from mialab.gallery import looks

AREA = Area()
add = AREA.add

SUBJECTS = {
    "no clipping": ("no clipping", "the last model"),
    "clip the batch mean": ("clip the batch mean", "every update"),
    "clip each layer": ("clip each layer", "every update"),
    "length from float32 inner products": ("length from float32 inner products", "the last model"),
    "divisor from the data": ("divisor from the data", "every update"),
    "noise once an epoch": ("noise once an epoch", "every update"),
    "noise for the wrong batch size": ("noise for the wrong batch size", "every update"),
    "shuffled, counted as Poisson": ("shuffled, counted as Poisson", "every update"),
    "fixed seed": ("fixed seed", "every update"),
    "batch-norm left on": ("batch-norm left on", "every update"),
    "microbatches counted as records": ("microbatches counted as records", "every update"),
    "early exit on private records": ("early exit on private records", "the number of steps"),
    "one coin for two": ("one coin for two", "one released answer"),
    "biased coin": ("biased coin", "one released answer"),
    "asked every day, counted once": ("asked every day, counted once", "five released answers"),
    "half the sensitivity": ("half the sensitivity", "one released answer"),
    "scale read as variance": ("scale read as variance", "one released answer"),
    "deviation read as variance": ("deviation read as variance", "one released answer"),
    "10e-5 for 10⁻⁵": ("10e-5 for 10⁻⁵", "one released answer"),
    "one noise for two answers": ("one noise for two answers", "two released answers"),
    "floating point": ("floating point", "one released answer"),
    "floating point, by accident": ("floating point, by accident", "one released answer"),
    "rounding to even": ("rounding to even", "one released answer"),
    "DP-SGD": ("DP-SGD", "every update"),
    "DP-SGD, the last model": ("DP-SGD", "the last model"),
    "DP-SGD, full batch": ("DP-SGD, full batch", "every update"),
    "randomized response": ("randomized response", "one released answer"),
    "randomized response, 4 answers": ("randomized response, 4 answers", "one released answer"),
    "Laplace": ("Laplace", "one released answer without its last bits"),
    "Gaussian": ("Gaussian", "one released answer without its last bits"),
    "discrete Laplace": ("discrete Laplace", "one released answer"),
    "discrete Gaussian": ("discrete Gaussian", "one released answer"),
}
"""By the name of the case: what the package calls it, and what the attacker sees."""


def subject(name: str) -> faults.Fault | faults.Correct:
    every = (*faults.FAULTS, *faults.CORRECT)
    (found,) = [case for case in every if (case.name, case.sees) == SUBJECTS[name]]
    return found


def attack(name, record_in):
    return subject(name).run(record_in, 60, rng=generator())


def claimed(name):
    case = subject(name)
    return case.claims.epsilon, case.claims.delta


def promised_curve(name):
    return subject(name).curve.tpr(np.array([0.001, 0.1, 0.5]))


def truth(name):
    return subject(name).true_epsilon


for name in SUBJECTS:
    for record_in in (True, False):
        add(f"attack on {name!r}, record {'in' if record_in else 'out'}", "exact", attack, name, record_in)
    add(f"claim of {name!r}", "upper", claimed, name)
    add(f"curve promised by {name!r}", "upper", promised_curve, name)
    add(f"true epsilon of {name!r}", "exact", truth, name)


# The trainer, piece by piece.


def stage() -> faults.Stage:
    records = faults.Records(np.eye(3), np.array([1.0, 1.0, 1000.0]))
    return faults.Stage(records, np.array([0.0, 0.0, 1.0]))


def recipe(**others) -> faults.Recipe:
    usual = {"clip": 1.0, "noise_multiplier": 2.0, "sampling_rate": 0.5, "steps": 4, "nominal_batch": 2}
    return faults.Recipe(**{**usual, **others})


PIECES = {
    "honest": {},
    "no clip": {"clip": pieces.clip_nothing},
    "clip of the mean": {"clip": pieces.clip_the_mean},
    "clip of each layer": {"clip": pieces.clip_each_layer},
    "clip of microbatches": {"clip": pieces.clip_microbatches(2)},
    "clip by a rounded ghost norm": {"clip": pieces.clip_by_ghost(2.0**24)},
    "divided by the batch": {"divide": pieces.divide_by_what_came},
    "noise once an epoch": {"noise": pieces.noise_once_an_epoch},
    "noise of the mean": {"noise": pieces.noise_of_the_mean},
    "noise from a fixed seed": {"noise": pieces.noise_from_a_fixed_seed},
    "shuffled": {"sample": pieces.shuffle},
    "batch statistics": {"look": pieces.look_at_the_batch},
    "stopped early": {"stop": pieces.stop_when_good_enough(0.1)},
}


def trained(piece, record_in):
    made = faults.Trainer(**PIECES[piece])(stage()(record_in), recipe(), runs=5, rng=generator())
    return made.updates, made.lasted


for piece in PIECES:
    for record_in in (True, False):
        add(
            f"updates of a trainer, {piece}, record {'in' if record_in else 'out'}",
            "exact",
            trained,
            piece,
            record_in,
        )


def honest_pieces():
    setting, rng = recipe(), generator()
    batches = trainer.poisson(setting, 3, 5, rng)
    seen = trainer.each_by_itself(3 * np.eye(3), batches[0])
    total = trainer.clip_each(seen, batches[0], setting)
    noise = trainer.noise_each_step(setting, 5, 3, rng)
    divided = trainer.by_nominal_batch(total, batches[0], setting)
    return [batches, seen, total, noise, divided, setting.epoch]


add("pieces of the honest trainer", "exact", honest_pieces)

SCORES = {
    "every update": scores.every_step(),
    "every update, shift 2, noise 0.5": scores.every_step(shift=2.0, noise=0.5),
    "the last model": scores.last_model,
    "shuffled": scores.shuffled,
    "quiet steps": scores.quiet_steps,
    "known noise": scores.without_known_noise,
    "quietness": scores.quietness,
    "steps taken": scores.steps_taken,
}


def score(name):
    made = faults.HONEST(stage()(True), recipe(), runs=20, rng=generator())
    trace = faults.Trace(made.updates, made.lasted)
    return SCORES[name](trace, recipe(), stage().direction)


for name in SCORES:
    add(f"attacker's score, {name}", "exact", score, name)


def training(record_in):
    made = faults.Training(faults.HONEST, recipe(), stage(), scores.last_model)
    return made.run(record_in, 20, rng=generator()), made.claims.epsilon, made.curve.tpr(0.1)


def noisy_count(record_in, runs, rng):
    return record_in + rng.laplace(size=runs)


def release(record_in):
    claims = accounting.Guarantee(1.0, 0.0, accounting.Neighbours.ADD_REMOVE)
    made = faults.Release(claims, tradeoff.pure(1.0), noisy_count)
    fault = faults.Fault("count", "none", "here", "the count", made, 1.0, "no reason")
    correct = faults.Correct("count", "the count", made)
    return [one.run(record_in, 20, rng=generator()) for one in (made, fault, correct)]


for record_in in (True, False):
    said = "in" if record_in else "out"
    add(f"training put together by hand, record {said}", "exact", training, record_in)
    add(f"noisy count put together by hand, record {said}", "exact", release, record_in)


# The gallery.

GALLERY = ["no clipping", "one coin for two", "biased coin", "randomized response"]


def played(name):
    made = gallery.play(subject(name), runs=40, rng=generator())
    return made.rehearsal.score, made.runs.score, made.coins.score, made.coins.member


def tossed(name):
    made = gallery.play(subject(name), runs=40, rng=generator())
    coins = looks.tossed(made.runs, rng=generator(1))
    return coins.score, coins.member


def row(name):
    (made,) = gallery.hang([subject(name)], gallery.LOOKS, runs=200, rng=generator())
    return made.trials, len(made.caught_by), [(seen.finding, seen.trials) for seen in made.seen.values()]


def row_bound(name):
    (made,) = gallery.hang([subject(name)], gallery.LOOKS, runs=200, rng=generator())
    return made.lower


for name in GALLERY:
    add(f"runs of the gallery, {name!r}", "exact", played, name)
    add(f"one of each pair of runs, {name!r}", "exact", tossed, name)
    add(f"findings of all audits, {name!r}", "exact", row, name)
    add(f"largest bound of all audits, {name!r}", "lower", row_bound, name)


def trusting(runs, promise, confidence, rng):
    return gallery.Seen(audit.Finding.CONSISTENT, runs.runs.score.size)


def look_by_hand():
    case = subject("one coin for two")
    made = gallery.play(case, runs=40, rng=generator())
    runs = gallery.Runs(made.rehearsal, made.runs, made.coins)
    promise = gallery.Promise(case.claims, case.curve)
    look = gallery.Look("trust", trusting)
    seen = look.audit(runs, promise, 0.95, generator())
    row = gallery.Row(case, {"trust": seen}, {"trust": 0.1})
    return [row.trials, row.lower, len(row.caught_by), row.why_not("trust") != ""]


add("look and row of the gallery put together by hand", "exact", look_by_hand)
