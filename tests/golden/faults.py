"""Faulty and correct mechanisms: what they claim, what is true, and the attack's scores."""

import numpy as np

from golden.cases import Area, generator
from mialab import accounting, audit, tradeoff
from mialab_book import faults, gallery
from mialab_book.faults import attackers, faulty_components, trainer

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


def subject(name: str) -> faults.Case:
    every = (*faults.FAULTS, *faults.CORRECT)
    (found,) = [case for case in every if (case.name, case.sees) == SUBJECTS[name]]
    return found


def attack(name, record_in):
    return subject(name).run(record_in, 60, rng=generator())


def claimed(name):
    guarantee = subject(name).claim.guarantee
    return guarantee.epsilon, guarantee.delta


def promised_curve(name):
    return subject(name).claim.curve.tpr(np.array([0.001, 0.1, 0.5]))


def truth(name):
    return subject(name).true_epsilon


for name in SUBJECTS:
    for record_in in (True, False):
        add(f"attack on {name!r}, record {'in' if record_in else 'out'}", "exact", attack, name, record_in)
    add(f"claim of {name!r}", "upper", claimed, name)
    add(f"curve promised by {name!r}", "upper", promised_curve, name)
    add(f"true epsilon of {name!r}", "exact", truth, name)


# The trainer, piece by piece.


X, Y = np.eye(3), np.array([1.0, 1.0, 1000.0])


def recipe(**others) -> faults.Recipe:
    usual = {"clip": 1.0, "noise_multiplier": 2.0, "sampling_rate": 0.5, "steps": 4, "nominal_batch": 2}
    return faults.Recipe(**{**usual, **others})


PIECES = {
    "honest": {},
    "no clip": {"clip": faulty_components.clip_nothing},
    "clip of the mean": {"clip": faulty_components.clip_the_mean},
    "clip of each layer": {"clip": faulty_components.clip_each_layer},
    "clip of microbatches": {"clip": faulty_components.clip_microbatches(2)},
    "clip by a rounded ghost norm": {"clip": faulty_components.clip_by_ghost(2.0**24)},
    "divided by the batch": {"divide": faulty_components.divide_by_what_came},
    "noise once an epoch": {"noise": faulty_components.noise_once_an_epoch},
    "noise of the mean": {"noise": faulty_components.noise_of_the_mean},
    "noise from a fixed seed": {"noise": faulty_components.noise_from_a_fixed_seed},
    "shuffled": {"sample": faulty_components.shuffle},
    "batch statistics": {"preprocess": faulty_components.normalise_over_the_batch},
    "stopped early": {"stop": faulty_components.stop_when_good_enough(0.1)},
}


def trained(piece, record_in):
    end = 3 if record_in else 2
    made = faults.Trainer(**PIECES[piece])(X[:end], Y[:end], recipe(), runs=5, rng=generator())
    return made.updates, made.steps_taken


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
    batches = trainer.poisson_batches(setting, 3, 5, rng)
    seen = trainer.each_by_itself(3 * np.eye(3), batches[0])
    total = trainer.clip_each(seen, batches[0], setting)
    noise = trainer.noise_each_step(setting, 5, 3, rng)
    divided = trainer.by_nominal_batch(total, batches[0], setting)
    return [batches, seen, total, noise, divided, setting.epoch]


add("pieces of the honest trainer", "exact", honest_pieces)

SCORES = {
    "every update": attackers.likelihood_ratio(),
    "every update, shift 2, noise 0.5": attackers.likelihood_ratio(shift=2.0, noise=0.5),
    "the last model": attackers.last_model,
    "shuffled": attackers.shuffled_ratio,
    "quiet steps": attackers.steps_without_noise,
    "known noise": attackers.without_known_noise,
    "quietness": attackers.size_of_updates,
    "steps taken": attackers.number_of_steps,
}


def score(name):
    made = faults.HONEST(X, Y, recipe(), runs=20, rng=generator())
    seen = faults.Transcript(made.updates, made.steps_taken)
    return SCORES[name](seen, recipe(), X[-1])


for name in SCORES:
    add(f"attacker's score, {name}", "exact", score, name)


def training(record_in):
    made = faults.Training(faults.HONEST, recipe(), attackers.last_model, X, Y)
    claim = faults.Case("training", "the last model", recipe(), made).claim
    return made(record_in, 20, rng=generator()), claim.guarantee.epsilon, claim.curve.tpr(0.1)


def noisy_count(record_in, runs, *, rng):
    return record_in + rng.laplace(size=runs)


def release(record_in):
    guarantee = accounting.Guarantee(1.0, 0.0, accounting.Neighbours.ADD_REMOVE)
    claim = faults.Claim(guarantee, tradeoff.pure(1.0))
    fault = faults.Case("count", "the count", claim, noisy_count, "none", 1.0)
    correct = faults.Case("count", "the count", claim, noisy_count)
    runs = [case.run(record_in, 20, rng=generator()) for case in (fault, correct)]
    return [noisy_count(record_in, 20, rng=generator()), *runs]


for record_in in (True, False):
    said = "in" if record_in else "out"
    add(f"training put together by hand, record {said}", "exact", training, record_in)
    add(f"noisy count put together by hand, record {said}", "exact", release, record_in)


# The gallery.

GALLERY = ["no clipping", "one coin for two", "biased coin", "randomized response"]


def simulated(name):
    made = gallery.simulate(subject(name), runs=40, rng=generator())
    return made.calibration.score, made.runs.score, made.coins.score, made.coins.member


def one_of_each_pair(name):
    made = gallery.simulate(subject(name), runs=40, rng=generator())
    coins = gallery.one_of_each_pair(made.runs, rng=generator(1))
    return coins.score, coins.member


def row(name):
    (made,) = gallery.run_gallery([subject(name)], gallery.AUDITS, runs=200, rng=generator())
    found = [(outcome.finding, outcome.trials) for outcome in made.outcomes.values()]
    return made.trials, len(made.caught_by), found


def row_bound(name):
    (made,) = gallery.run_gallery([subject(name)], gallery.AUDITS, runs=200, rng=generator())
    return made.lower


for name in GALLERY:
    add(f"runs of the gallery, {name!r}", "exact", simulated, name)
    add(f"one of each pair of runs, {name!r}", "exact", one_of_each_pair, name)
    add(f"findings of all audits, {name!r}", "exact", row, name)
    add(f"largest bound of all audits, {name!r}", "lower", row_bound, name)


def trusting(simulation, claim, confidence, rng):
    return gallery.AuditOutcome(audit.Finding.CONSISTENT, simulation.runs.score.size)


def audit_by_hand():
    case = subject("one coin for two")
    made = gallery.simulate(case, runs=40, rng=generator())
    simulation = gallery.Simulation(made.calibration, made.runs, made.coins)
    outcome = trusting(simulation, case.claim, 0.95, generator())
    row = gallery.Row(case, {"trust": outcome}, {"trust": 0.1})
    return [row.trials, row.lower, len(row.caught_by), row.why_not("trust") != ""]


add("look and row of the gallery put together by hand", "exact", audit_by_hand)
