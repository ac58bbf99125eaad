"""Models, training, private and federated training, canaries, data."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from golden.cases import Area, generator
from mialab import canaries, dp_sgd, federated, models, norms, signals, train
from mialab.dp_sgd import clipping, fleet_clipping, sampling
from mialab.per_example import gradients as per_example_gradients
from mialab.per_example import rounding as floats
from mialab_book import data

AREA = Area()
add = AREA.add

CLASSES = 3


def perceptron():
    return models.mlp(64, (6,), CLASSES)


def linear():
    return models.mlp(64, (), CLASSES)


def convolutional():
    return models.small_cnn(1, 8, CLASSES, width=4, norm="group")


def plain_convolutional():
    return models.small_cnn(1, 8, CLASSES, width=4)


def batch_norm():
    return models.small_cnn(1, 8, CLASSES, width=4, norm="batch")


def transformer():
    return models.tiny_transformer(1, 8, CLASSES, width=8, blocks=1)


def tokens():
    return models.token_transformer(9, 6, CLASSES, width=8)


MODELS = {
    "perceptron": perceptron,
    "linear model": linear,
    "convolutional network": convolutional,
    "plain convolutional network": plain_convolutional,
    "network with batch norm": batch_norm,
    "image transformer": transformer,
    "token transformer": tokens,
}
PRIVATE = ["perceptron", "linear model", "convolutional network", "image transformer", "token transformer"]


def fresh(kind: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a model whose weights are the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return MODELS[kind]().to(dtype)


def records(kind: str, number: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = generator(11)
    if kind == "token transformer":
        x = rng.integers(9, size=(number, 6)).astype(np.float32)
    else:
        x = rng.normal(size=(number, 1, 8, 8)).astype(np.float32)
    return x, rng.integers(CLASSES, size=number)


# Models.


def logits(kind):
    return train.predict(fresh(kind).eval(), records(kind)[0])


def norm_output(norm):
    layer = norms.norm_layer(norm, 4, 8, 3 if norm == "virtual" else 0)
    x = torch.from_numpy(generator().normal(size=(5, 4, 8, 8)).astype(np.float32))
    return layer(x)


def virtual_batch_norm():
    x = torch.from_numpy(generator().normal(size=(5, 2, 3, 3)).astype(np.float32))
    return norms.VirtualBatchNorm2d(2, reference=2)(x)


def noisy_batch_norm(kind, clip, noise):
    layer = norms.NoisyBatchNorm2d(2, clip=clip, noise=noise, kind=kind, rng=generator())
    x = torch.from_numpy(3 * generator().normal(size=(6, 2, 3, 3)).astype(np.float32))
    return [layer.release(x), layer(x)]


def noisy_batch_norm_sensitivity(kind, clip, noise, size):
    layer = norms.NoisyBatchNorm2d(16, clip=clip, noise=noise, kind=kind)
    return layer.sensitivity(size), layer.mechanism(size).curve.delta(0.5)


for kind in MODELS:
    add(f"logits, {kind}", "exact", logits, kind)
for norm in ("none", "batch", "instance", "layer", "group", "virtual"):
    add(f"normalised by {norm}", "exact", norm_output, norm)
add("virtual batch norm with two reference records", "exact", virtual_batch_norm)
for kind in ("gaussian", "laplace"):
    add(f"noisy batch norm, {kind}, clip 3, noise 0.1", "exact", noisy_batch_norm, kind, 3.0, 0.1)
    for size in (2, 64):
        name = f"noisy batch norm sensitivity and delta, {kind}, {size} records"
        add(name, "upper", noisy_batch_norm_sensitivity, kind, 3.0, 0.1, size)


def attention():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        layer, block, position = (
            models.Attention(8, 2),
            models.Block(8, 2),
            models.Position(5, 8),
        )
    x = torch.from_numpy(generator().normal(size=(2, 5, 8)).astype(np.float32))
    return [layer.split(x), layer.weights(x), layer(x), block(x), position(x)]


def transformer_by_hand():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = models.TinyTransformer(nn.Linear(4, 8), 16, CLASSES, 8, 2, 1, patch=2)
    x = torch.from_numpy(generator().normal(size=(2, 1, 8, 8)).astype(np.float32))
    return [model.pieces(x), model.tokens(x), model(x)]


def momentum():
    norms.NoisyBatchNorm2d(2, clip=1.0, noise=0.1, momentum=0.1)


add("attention, block and position", "exact", attention)
add("transformer by hand", "exact", transformer_by_hand)
add("momentum that is allowed", "exact", momentum)


# Training.


def sgd(**others) -> train.Sgd:
    return train.Sgd(**{"steps": 6, "batch_size": 4, **others})


RECIPES = {
    "momentum 0.9": {},
    "no momentum": {"momentum": 0.0},
    "weight decay": {"weight_decay": 0.01},
    "label smoothing": {"label_smoothing": 0.1},
    "no steps": {"steps": 0},
    "batches larger than the data": {"batch_size": 50},
}


def fitted(kind, recipe):
    x, y = records(kind)
    model = train.fit(MODELS[kind], x, y, sgd(**RECIPES[recipe]), rng=generator())
    return train.predict(model, x)


def fleet_of(kind, recipe):
    x, y = records(kind)
    member = generator(1).random((3, len(x))) < 0.5
    return train.fit_many(MODELS[kind], x, y, member, sgd(**RECIPES[recipe]), rng=generator())


def fitted_fleet(kind, recipe):
    return train.predict(fleet_of(kind, recipe), records(kind)[0])


def fleet_by_hand():
    fleet = train.Fleet.of([fresh("perceptron"), fresh("perceptron")])
    x = records("perceptron")[0]
    again = train.Fleet(fleet.template, fleet.state)
    return [len(fleet), *(train.predict(one, x) for one in (train.Fleet.of([fleet[1]]), fleet[0], again))]


def checkpointed():
    x, y = records("perceptron")
    member = generator(1).random((3, len(x))) < 0.5
    with TemporaryDirectory() as folder:
        arguments = (perceptron, x, y, member, sgd())
        runs = [
            train.fit_many(*arguments, rng=generator(), checkpoint_folder=folder, memory_bytes=2e5)
            for _ in "ab"
        ]
    return [train.predict(run, x) for run in runs]


for recipe in RECIPES:
    add(f"logits after SGD, perceptron, {recipe}", "exact", fitted, "perceptron", recipe)
    add(f"logits after SGD, fleet of perceptrons, {recipe}", "exact", fitted_fleet, "perceptron", recipe)
for kind in MODELS:
    if kind != "perceptron":
        add(f"logits after SGD, {kind}", "exact", fitted, kind, "momentum 0.9")
        add(f"logits after SGD, fleet, {kind}", "exact", fitted_fleet, kind, "momentum 0.9")
add("parts of a fleet", "exact", fleet_by_hand)
add("logits after SGD, fleet in shards with checkpoints", "exact", checkpointed)


# Signals of models.


def observed(kind, signal):
    x, y = records(kind)
    return signals.observe(fresh(kind).eval(), x, y, getattr(signals, signal) if signal else None)


def observed_fleet():
    x, y = records("perceptron")
    return signals.observe(fleet_of("perceptron", "momentum 0.9"), x, y, signals.logit_gap)


for signal in (None, "loss", "margin"):
    add(f"signal of a perceptron, {signal or 'by default'}", "exact", observed, "perceptron", signal)
add("logit gap of a fleet of perceptrons", "exact", observed_fleet)


# Clipped sums.


def batch(kind: str, dtype: torch.dtype, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = records(kind, number)
    return torch.from_numpy(x).to(dtype), torch.from_numpy(y)


PRECISIONS = {"single": torch.float32, "double": torch.float64}


def clipped(kind, precision, clip, way, number):
    dtype = PRECISIONS[precision]
    return dp_sgd.clipped_sum(fresh(kind, dtype), *batch(kind, dtype, number), clip, way)


def clipped_total(kind, precision, clip, way, number=12):
    return clipped(kind, precision, clip, way, number)[0]


def clipped_norms(kind, precision, clip, way, number=12):
    return clipped(kind, precision, clip, way, number)[1]


for kind in PRIVATE:
    for precision in PRECISIONS:
        said = f"{kind}, {precision} precision"
        for way in ("auto", "per record"):
            name = f"clipped sum, {said}, clip 0.5, {way}"
            add(name, "exact", clipped_total, kind, precision, 0.5, way)
            add(f"gradient norms, {said}, {way}", "upper", clipped_norms, kind, precision, 0.5, way)
    for way in ("ghost", "materialise"):
        add(f"clipped sum, {kind}, double precision, {way}", "exact", clipped_total, kind, "double", 0.5, way)
        add(
            f"gradient norms, {kind}, double precision, {way}",
            "upper",
            clipped_norms,
            kind,
            "double",
            0.5,
            way,
        )
for clip in (1e-20, 1e-3, 1e3, np.inf):
    name = f"clipped sum, perceptron, double precision, clip {clip}"
    add(name, "exact", clipped_total, "perceptron", "double", clip, "auto")
for number in (0, 1, 300):
    name = f"clipped sum of {number} records, perceptron, double precision"
    add(name, "exact", clipped_total, "perceptron", "double", 0.5, "auto", number)


def vectors(dtype: torch.dtype) -> torch.Tensor:
    made = torch.from_numpy(generator().normal(size=(6, 3, 5))).to(dtype)
    made[1], made[2] = 0.0, made[2] * 1e-25
    return made


def lengths(precision):
    return per_example_gradients.norms({"weight": vectors(PRECISIONS[precision])})


def longest(precision):
    return floats.norm_bounds(vectors(PRECISIONS[precision]))


def factors(precision, clip):
    return clipping.clip_factors(lengths(precision), clip)


def each_clipped(precision, clip):
    return clipping.clipped({"weight": vectors(PRECISIONS[precision])}, clip)


def weighted_sum(number):
    rng = generator()
    return floats.weighted_sum(
        torch.from_numpy(rng.random(number)), torch.from_numpy(rng.normal(size=(number, 3)))
    )


def rounding(operations, precision):
    return floats.gamma(operations, PRECISIONS[precision])


for precision in PRECISIONS:
    add(f"lengths of vectors, rounded up, {precision} precision", "upper", lengths, precision)
    add(f"lengths of vectors of one layer, {precision} precision", "upper", longest, precision)
    for clip in (0.5, 1e6, np.inf):
        add(f"clip factors, clip {clip}, {precision} precision", "lower", factors, precision, clip)
    for clip in (0.5, 1e-30):
        add(
            f"vectors clipped one by one, clip {clip}, {precision} precision",
            "exact",
            each_clipped,
            precision,
            clip,
        )
    for operations in (1, 1000, 10**12):
        add(
            f"rounding of {operations} operations, {precision} precision",
            "upper",
            rounding,
            operations,
            precision,
        )
for number in (5, 300):
    add(f"weighted sum of {number} rows", "exact", weighted_sum, number)


def sums_of_fleet(way, kind):
    fleet = train.Fleet.of([fresh(kind, torch.float64) for _ in range(2)])
    made = {"general": fleet_clipping.general_clipper, "chosen": fleet_clipping.make_fleet_clipper}[way](
        fleet.template, fleet.state, 0.5
    )
    x, y = batch(kind, torch.float64, 10)
    there = torch.arange(10).view(2, 5) != 7
    return made(x.unflatten(0, (2, 5)), y.view(2, 5), there)


def fleet_total(way, kind):
    return sums_of_fleet(way, kind)[0]


def fleet_norms(way, kind):
    return sums_of_fleet(way, kind)[1]


for way in ("general", "chosen"):
    for kind in ("perceptron", "convolutional network"):
        add(f"clipped sums of a fleet, {kind}, {way} way", "exact", fleet_total, way, kind)
        add(f"gradient norms of a fleet, {kind}, {way} way", "upper", fleet_norms, way, kind)


# Private training.


def poisson(rate, number, steps):
    made = list(sampling.poisson_batches(number, rate, steps, rng=generator()))
    return [[len(one) for one in made], np.concatenate(made)]


for rate in (0.1, 1.0):
    add(f"Poisson batches of 20 records, rate {rate}, 5 steps", "exact", poisson, rate, 20, 5)


def recipe_of(**others) -> dp_sgd.DpSgd:
    usual = {"clip": 0.5, "noise_multiplier": 1.0, "sampling_rate": 0.5, "steps": 5, "nominal_batch": 6}
    return dp_sgd.DpSgd(**{**usual, **others})


PRIVATELY = {
    "SGD": {},
    "momentum": {"momentum": 0.9},
    "Adam": {"optimizer": "adam"},
    "no noise": {"noise_multiplier": 0.0},
    "everybody in every step": {"sampling_rate": 1.0},
    "one step": {"steps": 1},
}


def noise_std(**others):
    return recipe_of(**others).noise_std


def private_logits(kind, recipe):
    x, y = records(kind)
    model = dp_sgd.fit_private(MODELS[kind], x, y, recipe_of(**PRIVATELY[recipe]), rng=generator())
    return train.predict(model, x)


def private_fleet_logits(kind, recipe):
    x, y = records(kind)
    member = generator(1).random((3, len(x))) < 0.5
    arguments = (MODELS[kind], x, y, member, recipe_of(**PRIVATELY[recipe]))
    return train.predict(dp_sgd.fit_many_private(*arguments, rng=generator()), x)


add("standard deviation of the noise of DP-SGD, clip 0.5, noise 1", "upper", noise_std)
for recipe in PRIVATELY:
    add(f"logits after DP-SGD, perceptron, {recipe}", "exact", private_logits, "perceptron", recipe)
    add(
        f"logits after DP-SGD, fleet, perceptron, {recipe}",
        "exact",
        private_fleet_logits,
        "perceptron",
        recipe,
    )
for kind in PRIVATE[1:]:
    add(f"logits after DP-SGD, {kind}", "exact", private_logits, kind, "SGD")
    add(f"logits after DP-SGD, fleet, {kind}", "exact", private_fleet_logits, kind, "SGD")


# Federated training.

FEDERATED = {
    "plain": {},
    "clipped": {"clip": 0.05},
    "clipped, with noise": {"clip": 0.05, "noise_multiplier": 0.5},
    "half of the clients": {"sampling_rate": 0.5},
    "one round": {"rounds": 1},
    "extreme clip": {"clip": 1e-20},
}


def federation(recipe, kind) -> federated.Trace:
    x, y = records(kind)
    usual = {"rounds": 3, "nominal_clients": 4, "local_steps": 2, "batch_size": 2}
    member = np.ones((2, len(x)), dtype=bool)
    member[1, :3] = False
    owner = np.arange(len(x)) % 4
    made = federated.FedAvg(**{**usual, **FEDERATED[recipe]})
    return federated.federate(MODELS[kind], x, y, owner, member, made, rng=generator(), watch=[0])


def federated_logits(recipe, kind):
    trace = federation(recipe, kind)
    return [trace.rounds, train.predict(trace.shared(trace.rounds), records(kind)[0])]


def federated_updates(recipe, kind):
    trace = federation(recipe, kind)
    sent = train.predict(trace.sent(0, 1), records(kind)[0])
    return [trace.updates[0], trace.took_part, trace.weights, sent]


def federated_by_hand():
    weights = torch.tensor([[[1.0, 2.0]], [[1.5, 2.5]]])
    updates = {0: torch.tensor([[[0.0, 0.0], [1.0, 1.0]]])}
    there = torch.ones(1, 1, 2, dtype=torch.bool)
    trace = federated.Trace(nn.Linear(2, 1, bias=False), weights, updates, there)
    return [trace.shared(1)[0].weight, trace.sent(0, 1)[0].weight, federated.FedAvg(7, 2.0).steps]


for recipe in FEDERATED:
    add(
        f"logits after federated averaging, perceptron, {recipe}",
        "exact",
        federated_logits,
        recipe,
        "perceptron",
    )
    add(f"what clients sent, perceptron, {recipe}", "exact", federated_updates, recipe, "perceptron")
name = "logits after federated averaging, convolutional network, plain"
add(name, "exact", federated_logits, "plain", "convolutional network")
add("trace of a federation by hand", "exact", federated_by_hand)


# Canaries.


def canary_gradients(way, clip):
    model = fresh("perceptron")
    if way == "dirac":
        return canaries.dirac(np.array([0, 5, 9]), clip)(model)
    return canaries.as_gradients(*records("perceptron", 3), clip)(model)


def mislabelled():
    return canaries.mislabelled(*records("perceptron"), 5, classes=CLASSES, rng=generator())


def out_of_distribution():
    return canaries.out_of_distribution((1, 8, 8), 5, classes=CLASSES, rng=generator())


def watched(way, noise):
    x, y = records("perceptron")
    planted = canaries.dirac(np.arange(8), 0.5)
    if way != "dirac":
        planted = canaries.as_gradients(*records("perceptron", 8), 0.5)
    run = canaries.train_with_canaries(
        perceptron, x, y, recipe_of(noise_multiplier=noise), planted, rng=generator()
    )
    return [run.dot_product, run.norm, run.member, canaries.last_step(run), canaries.every_step(run)]


def watched_by_hand():
    seen = np.array([[1.0, 0.2, 0.5], [0.5, -0.4, 0.1]])
    member = np.array([True, False, True])
    recipe = recipe_of(steps=2)
    run = canaries.CanaryRun(
        seen, np.array([[1.0, 0.5, 0.2], [1.0, 0.0, 1.0]]), member, nn.Identity(), recipe
    )
    counts = run.outcome(canaries.last_step(run)).at(0.5)
    return [canaries.last_step(run), canaries.every_step(run), counts.true_positives, counts.false_positives]


for way in ("dirac", "clipped gradients"):
    for clip in (0.1, 1e3):
        add(f"canaries, {way}, clip {clip}", "exact", canary_gradients, way, clip)
    for noise in (0.5, 2.0):
        add(f"what updates show of canaries, {way}, noise {noise}", "exact", watched, way, noise)
add("mislabelled canaries", "exact", mislabelled)
add("canaries out of the distribution", "exact", out_of_distribution)
add("scores of canaries by hand", "exact", watched_by_hand)


# Data.


def shipped(name):
    made = getattr(data, name)()
    return [made.x, made.y, made.classes]


def one_person(count, alleles) -> data.Genotypes:
    dose = np.array([[count, 1]], dtype=np.int8)
    return data.Genotypes(dose, ("ann",), ("?",), ("rs1", "rs2"), (alleles, ("A", "G")), "one")


def aligned(alleles):
    return [one.count for one in data.aligned(one_person(2, ("A", "G")), one_person(0, alleles))]


def chosen_genotypes():
    count = np.array([[0, 2], [1, -1]], dtype=np.int8)
    two = (("A", "G"), ("C", "A"))
    pair = data.Genotypes(count, ("ann", "bob"), ("CEU", "YRI"), ("rs1", "rs2"), two, "two")
    return pair.count[[1]], pair.count[:, [False, True]]


def plink():
    with TemporaryDirectory() as folder:
        two = Path(folder) / "two"
        two.with_suffix(".fam").write_text("CEU ann 0 0 2 -9\nYRI bob 0 0 1 -9\n")
        two.with_suffix(".bim").write_text("1 rs1 0 1000 A G\n1 rs2 0 2000 C T\n")
        two.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 0x01, 0b10_00, 0b01_11]))
        return data.read_plink(two).count


def records_by_hand():
    return data.Records(np.zeros((4, 2), dtype=np.float32), np.array([0, 1, 1, 0]), classes=2, name="zeros").y


for name in ("digits", "patients"):
    add(f"shipped data, {name}", "exact", shipped, name)
for alleles in (("A", "G"), ("C", "T"), ("G", "A"), ("A", "C")):
    add(f"genotypes aligned, A/G with {'/'.join(alleles)}", "exact", aligned, alleles)
add("genotypes chosen by person and by variant", "exact", chosen_genotypes)
add("genotypes read from PLINK's files", "exact", plink)
add("records by hand", "exact", records_by_hand)
