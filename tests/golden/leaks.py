"""Statistics of aggregates, batch norm, genomes and gradients."""

import numpy as np
import torch
from torch import nn

from golden.cases import Area, generator
from mialab import models
from mialab.leaks import aggregates, batch_norm, genomics, gradients
from mialab.leaks.aggregates import Population
from mialab.leaks.genomics import beacon
from mialab_book import train_mode_queries
from mialab_book.association import allelic_z_score
from mialab_book.small_batches import exact_log_likelihood_ratio

AREA = Area()
add = AREA.add


# Aggregates.


def people(size: int = 40, features: int = 5, seed: int = 0) -> np.ndarray:
    rng = generator(seed)
    return rng.normal(size=(size, features)) @ rng.normal(size=(features, features)) + 1


def population_of(kind: str) -> Population:
    reference = people(60, seed=0)
    return {
        "known": lambda: Population.known(reference.mean(axis=0), np.cov(reference.T)),
        "independent": lambda: Population.independent(np.zeros(5), np.arange(1.0, 6.0)),
        "from a reference": lambda: Population.of(reference),
        "three directions of a reference": lambda: Population.of(reference, directions=3),
    }[kind]()


POPULATIONS = ["known", "independent", "from a reference", "three directions of a reference"]
RELEASED = people(60, seed=0)[:8].mean(axis=0)


def whitened(kind):
    made = population_of(kind)
    return [made.rank, made.whiten(RELEASED), made.whiten(people()), made.distance(people())]


def population_by_hand():
    made = Population(np.zeros(3), np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), 10.0)
    return made.rank, made.whiten(np.arange(3.0))


add("whitened record, population by hand", "exact", population_by_hand)


def z_score(kind, n):
    return aggregates.z_score(RELEASED, people(), population_of(kind), n)


def log_ratio(kind, n, absent):
    population = population_of(kind)
    u, d = population.whiten(RELEASED), population.whiten(people())
    var_in, var_out = (n - 1) / n**2, 1 / (n if absent == "replaced" else n - 1)
    squares = np.sum(u**2) / var_out - np.sum((u - d / n) ** 2, axis=-1) / var_in
    return (squares + population.rank * np.log(var_out / var_in)) / 2


def inner_product():
    return aggregates.inner_product(RELEASED, people(), np.ones(5))


def aggregate_power(fpr, distance, n, references, weight):
    return aggregates.expected_tpr(fpr, distance, n, references=references, weight=weight)


def simulated():
    x = people(200)
    pool = np.arange(100, 200)
    arguments = (x[:8].mean(axis=0), lambda rows: x[rows].mean(axis=1), np.arange(30), pool, 8)
    return aggregates.simulated_z_score(*arguments, rng=generator(), simulations=60, swaps=5)


for kind in POPULATIONS:
    add(f"whitened records and distances, population {kind}", "exact", whitened, kind)
    for n in (2, 8):
        add(f"z score of a mean of {n}, population {kind}", "exact", z_score, kind, n)
        for absent in ("replaced", "removed"):
            name = f"log likelihood ratio of a mean of {n}, absent {absent}, population {kind}"
            add(name, "exact", log_ratio, kind, n, absent)
add("inner product with a mean", "exact", inner_product)
add("simulated z score of a mean of 8", "exact", simulated)
FPRS = np.array([0.5, 0.05, 0.001])
for distance, n, references, weight in [(25.0, 64, np.inf, 1.0), (8.0, 64, 64, 1.0), (8.0, 64, np.inf, 0.5)]:
    name = f"power against a mean, distance {distance}, {n} records, {references} references, weight {weight}"
    add(name, "exact", aggregate_power, FPRS, distance, n, references, weight)


# Batch norm.

BATCH = people(9, 4, seed=3)
PROBE = np.full(4, 0.5)


def batch_between(momentum, n, batches):
    before = batch_norm.RunningStats(np.zeros(2), np.ones(2), 0)
    after = batch_norm.RunningStats(np.array([0.5, -0.25]), np.array([1.1, 1.5]), batches)
    return batch_norm.batch_stats_between(before, after, momentum, n)


def batch_weights(momentum, batches):
    return batch_norm.ema_weights(momentum, batches)


def effective_batches(momentum):
    return batch_norm.effective_batches(momentum)


def snapshot():
    made = batch_norm.RunningStats.of(nn.BatchNorm1d(3))
    return made.mean, made.variance, made.batches


def normalised(epsilon):
    both = np.stack([BATCH, 2 * BATCH])
    return batch_norm.probe_output(PROBE, BATCH, eps=epsilon), batch_norm.probe_output(
        PROBE, both, eps=epsilon
    )


def exact_log_ratio(n):
    output = batch_norm.probe_output(PROBE, BATCH[: n - 1])
    arguments = (output, PROBE, BATCH[0], BATCH.mean(axis=0), BATCH.var(axis=0), n)
    return exact_log_likelihood_ratio(*arguments)


def known_company():
    output = batch_norm.probe_output(PROBE, BATCH)
    return batch_norm.known_mates_score(
        output, PROBE, BATCH[:8], np.concatenate([BATCH[8:], people(9, 4, seed=4)])
    )


def moments():
    return batch_norm.moments(BATCH, PROBE)


def others_moments():
    return batch_norm.mates_moments(BATCH.mean(axis=0), BATCH.var(axis=0), BATCH[:3], 9, PROBE)


def probe_score(n):
    output = batch_norm.probe_output(PROBE, BATCH[: n - 1])
    return batch_norm.probe_z_score(output, PROBE, BATCH, people(50, 4, seed=5), n)


def probe_features():
    probe = batch_norm.LinearizedProbe.of(PROBE, BATCH.mean(axis=0), BATCH.var(axis=0), 10)
    return [
        probe.mean,
        probe.variance,
        probe.baseline,
        probe.by_mean,
        probe.by_square,
        probe.influence(BATCH),
    ]


def probe_by_hand():
    rows = np.arange(15.0).reshape(5, 3) + 1
    return batch_norm.LinearizedProbe(*rows).influence(people(4, 3))


add("a probe's features, by hand", "exact", probe_by_hand)


def read_statistics():
    outputs = (BATCH[:2] - BATCH.mean(axis=0)) / np.sqrt(BATCH.var(axis=0) + 1e-5)
    return batch_norm.batch_stats_from_probes(BATCH[:2], outputs)


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return models.small_cnn(1, 8, 3, width=4, norm="batch")


IMAGES = generator(6).normal(size=(12, 1, 8, 8)).astype(np.float32)


def predict_batches():
    return train_mode_queries.predict_batches(network(), IMAGES, np.array([[0, 1, 2], [3, 4, 5]]))


def predict_in_company():
    return train_mode_queries.predict_with_mates(
        network(), IMAGES, np.array([0, 1]), np.array([[2, 3], [4, 5]])
    )


def draw_mates(mates):
    return np.sort(
        train_mode_queries.draw_mates(np.arange(12) < 9, np.array([0, 3, 10]), mates, rng=generator()), axis=1
    )


def without_running_stats():
    return train_mode_queries.without_running_stats(network())(torch.from_numpy(IMAGES))


for momentum, n, batches in [(0.1, 4, 1), (0.5, 16, 1), (1.0, 2, 1)]:
    add(
        f"a batch's statistics from two snapshots, momentum {momentum}, {n} records",
        "exact",
        batch_between,
        momentum,
        n,
        batches,
    )
for momentum in (0.01, 0.1, 0.5, 1.0):
    add(f"weights of the last batches, momentum {momentum}", "exact", batch_weights, momentum, 10)
    add(f"effective batches, momentum {momentum}", "exact", effective_batches, momentum)
add("snapshot of a fresh layer", "exact", snapshot)
for epsilon in (0.0, 1e-5):
    add(f"a probe normalised among 9 records, epsilon {epsilon}", "exact", normalised, epsilon)
for n in (5, 10):
    add(f"exact log ratio of a normalised probe, batch of {n}", "exact", exact_log_ratio, n)
    add(f"probe score, batch of {n}", "exact", probe_score, n)
add("probe score with known company", "exact", known_company)
add("first and second moments of records", "exact", moments)
add("moments of the unknown others", "exact", others_moments)
add("a probe's features", "exact", probe_features)
add("mean and variance read from two outputs", "exact", read_statistics)
add("logits in training mode, two batches", "exact", predict_batches)
add("logits of queries with their batch-mates", "exact", predict_in_company)
for mates in (1, 4):
    add(f"{mates} batch-mates drawn for three queries", "exact", draw_mates, mates)
add("logits without running statistics", "exact", without_running_stats)


# Genomes.

VARIANTS = 30
FREQUENCY = generator(8).uniform(0.05, 0.5, size=VARIANTS)
STUDY = generator(9).binomial(2, FREQUENCY, size=(40, VARIANTS))
OTHERS = generator(10).binomial(2, FREQUENCY, size=(60, VARIANTS))
OF_STUDY = STUDY[:10].mean(axis=0) / 2


def reference(kind: str) -> genomics.Reference:
    return genomics.Reference.of(OTHERS) if kind == "60 people" else genomics.Reference(FREQUENCY)


def frequencies():
    missing = STUDY.copy()
    missing[0, :5] = -1
    return (
        genomics.allele_frequencies(STUDY),
        genomics.allele_frequencies(missing),
        genomics.polymorphic(missing, 0.1),
    )


def reference_numbers(kind):
    made = reference(kind)
    return made.frequency, made.variance, made.people


def tracing(statistic, kind, extra):
    return getattr(genomics, statistic)(OF_STUDY, STUDY, reference(kind), **extra)


TRACING = {
    "Homer's distance": ("homer", {}),
    "likelihood ratio": ("likelihood_ratio", {}),
    "likelihood ratio, error 0.01": ("likelihood_ratio", {"error": 0.01}),
    "exact likelihood ratio of 10": ("exact_likelihood_ratio", {"n": 10}),
    "exact likelihood ratio of 10, error 0.01": ("exact_likelihood_ratio", {"n": 10, "error": 0.01}),
    "z score of 10": ("z_score", {"n": 10}),
}
for kind in ("60 people", "known"):
    add(f"reference, {kind}", "exact", reference_numbers, kind)
    for name, (statistic, extra) in TRACING.items():
        add(
            f"tracing a person in frequencies, {name}, reference {kind}",
            "exact",
            tracing,
            statistic,
            kind,
            extra,
        )
add("allele frequencies, and which variants vary", "exact", frequencies)


def effective_variants():
    return genomics.effective_variants(OTHERS), genomics.effective_variants(np.repeat(OTHERS, 2, axis=1))


def whitened_score(directions):
    return genomics.whitened_z_score(OF_STUDY, STUDY, OTHERS, 10, directions=directions)


def tracing_power(variants, n, number):
    return aggregates.expected_tpr(FPRS, np.sqrt(variants), n, references=number)


def noisy_release(variants, n, epsilon, delta):
    return genomics.gaussian_release(variants, n, epsilon, delta).standard_deviation


def trend_z(noise_sd):
    cases, controls = STUDY[:20].mean(axis=0) / 2, STUDY[20:].mean(axis=0) / 2
    return allelic_z_score(cases, controls, FREQUENCY, (20, 20), noise_sd=noise_sd)


add("effective variants, free and doubled", "exact", effective_variants)
for directions in (3, 20):
    add(f"whitened tracing score, {directions} directions", "exact", whitened_score, directions)
for variants, n, number in [(1000, 1000, np.inf), (1000, 1000, 1000), (10, 5, 40)]:
    add(
        f"power of tracing, {variants} variants, {n} in the study, reference {number}",
        "exact",
        tracing_power,
        variants,
        n,
        number,
    )
for variants, n, epsilon, delta in [(10, 1000, 1.0, 1e-6), (100_000, 1000, 1.0, 1e-6), (1, 50, 0.1, 1e-3)]:
    name = f"noise on frequencies of {variants} variants, {n} people, epsilon {epsilon}, delta {delta}"
    add(name, "upper", noisy_release, variants, n, epsilon, delta)
for noise_sd in ((0.0, 0.0), (0.1, 0.05)):
    add(f"trend statistic, noise {noise_sd}", "exact", trend_z, noise_sd)


RARE = np.array([0.001, 0.01, 0.02, 0.2])
CARRIES = generator(12).binomial(2, [0.3, 0.3, 0.3, 0.5], size=(8, 4))


def beacon_answers():
    return beacon.answers(CARRIES[:3])


def beacon_absent(number):
    return beacon.log_absent(RARE, number)


def beacon_ratio(n, mismatch):
    return beacon.likelihood_ratio(beacon.answers(CARRIES[:3]), CARRIES, RARE, n, mismatch=mismatch)


def beacon_power(queries, mismatch):
    return beacon.expected_tpr(0.05, np.array(queries), np.array([0.001, 0.01]), 1000, mismatch=mismatch)


def beacon_budget(budget):
    return beacon.budgeted_answers(CARRIES[:3], np.array([0, 0, 1, 1, 2, 3, 3, 3]), RARE, budget)


add("beacon's answers", "exact", beacon_answers)
for n in (2, 50):
    add(f"beacon, log chance that {n} people lack a variant", "exact", beacon_absent, n)
    for mismatch in (1e-6, 0.01):
        add(f"beacon, likelihood ratio, {n} people, mismatch {mismatch}", "exact", beacon_ratio, n, mismatch)
for mismatch in (1e-6, 0.01):
    add(
        f"beacon, power of 1, 10 and 1000 queries, mismatch {mismatch}",
        "exact",
        beacon_power,
        [1, 10, 1000],
        mismatch,
    )
for budget in (0.5, 5.0):
    add(f"beacon's answers with a budget of {budget}", "exact", beacon_budget, budget)


# Gradients.

GRADIENTS = people(10, 6, seed=13)
UPDATE = GRADIENTS[:4].mean(axis=0)


def model_and_records(kind: str):
    rng = generator(14)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        made = {
            "perceptron": lambda: models.mlp(16, (5,), 3),
            "transformer": lambda: models.tiny_transformer(1, 4, 3, width=8, blocks=1),
            "token transformer": lambda: models.token_transformer(5, 4, 3, width=8),
        }[kind]()
    x = rng.normal(size=(6, 1, 4, 4)).astype(np.float32)
    if kind == "token transformer":
        x = rng.integers(5, size=(6, 4)).astype(np.float32)
    return made, x, rng.integers(3, size=6)


def per_record(kind, some):
    model, x, y = model_and_records(kind)
    columns = np.arange(sum(weight.numel() for weight in model.parameters())) % 3 == 0 if some else None
    return gradients.per_record(model, x, y, columns=columns)


def local_updates(steps):
    batches = np.array([[0, 2], [1, 3]])
    return gradients.local_updates(*model_and_records("perceptron"), batches, steps=steps, learning_rate=0.5)


def attention_maps():
    model, x, _ = model_and_records("transformer")
    return gradients.attention_maps(model, x)


def by_token(layer, head):
    return gradients.by_token(*model_and_records("token transformer"), layer, head=head)


def part(name, head):
    return gradients.part(model_and_records("transformer")[0], name, head=head)


for kind in ("perceptron", "transformer", "token transformer"):
    for some in (False, True):
        add(
            f"gradients per record, {kind}, {'some' if some else 'all'} columns",
            "exact",
            per_record,
            kind,
            some,
        )
for steps in (1, 3):
    add(f"updates of two clients after {steps} local steps", "exact", local_updates, steps)
add("attention maps", "exact", attention_maps)
for layer, head in [("blocks.0.attention.value", None), ("blocks.0.attention.value", 1), ("embed", None)]:
    add(f"gradient by token, {layer}, head {head}", "exact", by_token, layer, head)
for layer, head in [("", None), ("blocks.0.attention.value", 0), ("blocks.0", None)]:
    add(f"which parameters belong to {layer or 'the model'}, head {head}", "exact", part, layer, head)


def alignment():
    return gradients.alignment(UPDATE, GRADIENTS)


def solved_weights():
    return gradients.weights(UPDATE, GRADIENTS[:5])


def ridge(relative, n):
    made = gradients.Ridge.of(people(20, 6, seed=15), relative)
    return made.ridge, made.variances, made.log_ratio(UPDATE, GRADIENTS, n)


def ridge_by_hand():
    made = gradients.Ridge(np.zeros(3), np.eye(3)[:, :2], np.array([2.0, 1.0]), 0.1)
    return made.log_ratio(np.array([0.5, 0.5, 0.0]), np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), 2)


add("ridge log ratio, by hand", "exact", ridge_by_hand)


def participation_ratio():
    return gradients.participation_ratio(GRADIENTS - GRADIENTS.mean(axis=0))


def clipped_rows(bound):
    return gradients.clip(GRADIENTS, bound)


def private_sum(bound, noise):
    return gradients.private_sum(GRADIENTS, bound, noise, rng=generator())


def first_input():
    delta = np.array([2.0, 0.0, -3.0])
    return gradients.first_input(np.outer(delta, UPDATE), delta)


def tokens_in():
    return gradients.tokens_in(np.array([[0.1, 0.0], [0.0, 0.0], [0.0, -2.0]]))


add("alignment of an update with gradients", "exact", alignment)
add("weights of gradients in an update", "exact", solved_weights)
for relative, n in [(0.01, 4), (0.5, 4), (0.01, 64)]:
    add(f"ridge log ratio, relative {relative}, {n} records", "exact", ridge, relative, n)
add("participation ratio", "exact", participation_ratio)
for bound in (1.0, 1e6):
    add(f"gradients clipped to {bound}", "exact", clipped_rows, bound)
    for noise in (0.01, 0.5):
        add(f"noisy sum of gradients, bound {bound}, noise {noise}", "exact", private_sum, bound, noise)
add("input read from the first layer's gradient", "exact", first_input)
add("words read from an embedding's gradient", "exact", tokens_in)
