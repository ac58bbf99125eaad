"""Faults: each is really there, nothing else differs, and it truly gives what is written beside it."""

from dataclasses import fields, replace

import numpy as np
import pytest

from mialab.accounting import SampledGaussian, privacy_loss
from mialab.game import Outcome
from mialab.mechanisms.noise import calibrate
from mialab.mechanisms.randomized_response import RandomizedResponse
from mialab.metrics import roc_curve
from mialab.tradeoff import GaussianCurve, LaplaceCurve, epsilon_at
from mialab_book.faults import (
    CORRECT,
    DELTA,
    FAULTS,
    HONEST,
    HONEST_TRAINERS,
    RELEASES,
    TRAINERS,
    Recipe,
    attackers,
    faulty_components,
)
from mialab_book.faults.answers import BELL, COIN, FOUR, WHOLE
from mialab_book.faults.training import FULL_BATCH, ONE_EPOCH, RECIPE, records

RUNS = 20_000
BY_NAME = {fault.name: fault for fault in FAULTS}
FREE = Recipe(clip=1.0, noise_multiplier=2.0, sampling_rate=0.5, steps=6, nominal_batch=3)


def test_definition_the_honest_trainer_step_by_step(rng):
    """One run, read aloud: draw, look, clip, sum, add noise, divide, step."""
    inputs, targets = rng.normal(size=(5, 3)), rng.normal(size=5)
    seen = HONEST(inputs, targets, FREE, runs=4, rng=np.random.default_rng(7))
    coins, noise = np.random.default_rng(7).spawn(2)
    taken = coins.random((6, 4, 5)) < 0.5
    drawn = noise.normal(scale=2.0, size=(6, 4, 3))
    for run in range(4):
        weights = np.zeros(3)
        for step in range(6):
            total = np.zeros(3)
            for x, y, here in zip(inputs, targets, taken[step, run], strict=True):
                gradient = (weights @ x - y) * x
                total += here * gradient * min(1, 1 / np.linalg.norm(gradient))
            update = (total + drawn[step, run]) / 3
            np.testing.assert_allclose(seen.updates[step, run], update, atol=1e-12)
            weights -= 0.1 * update
    assert (seen.steps_taken == 6).all()


def transcript_of(data, recipe: Recipe, **component):
    return replace(HONEST, **component)(*data, recipe, runs=50, rng=np.random.default_rng(3))


SIGNS = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]), np.array([3.0, 1.0, -2.0, 0.5])
ONE_WEIGHT = np.array([[2.0], [-1.0], [0.5]]), np.array([3.0, 1.0, -2.0])
LONELY = np.array([[2.0, 1.0]]), np.array([3.0])
EVERYBODY = replace(FREE, sampling_rate=1.0)


@pytest.mark.parametrize(
    ("component", "data", "recipe"),
    [
        ({"clip": faulty_components.clip_nothing}, SIGNS, replace(FREE, clip=1e9, noise_multiplier=1e-9)),
        ({"clip": faulty_components.clip_the_mean}, LONELY, replace(FREE, nominal_batch=1)),
        ({"clip": faulty_components.clip_each_layer}, ONE_WEIGHT, FREE),
        ({"clip": faulty_components.clip_by_ghost(0.0)}, SIGNS, FREE),
        ({"clip": faulty_components.clip_microbatches(1)}, SIGNS, FREE),
        ({"divide": faulty_components.divide_by_what_came}, SIGNS, replace(FREE, nominal_batch=2)),
        ({"noise": faulty_components.noise_once_an_epoch}, SIGNS, EVERYBODY),
        ({"noise": faulty_components.noise_of_the_mean}, SIGNS, replace(FREE, nominal_batch=1)),
        ({"sample": faulty_components.shuffle}, SIGNS, EVERYBODY),
        (
            {"preprocess": faulty_components.normalise_over_the_batch},
            SIGNS,
            EVERYBODY,
        ),  # they are normalised already
        ({"stop": faulty_components.stop_when_good_enough(0.0)}, SIGNS, FREE),
    ],
    ids=lambda value: next(iter(value.values())).__qualname__ if isinstance(value, dict) else "",
)
def test_limit_where_its_condition_is_absent_a_fault_changes_nothing(component, data, recipe):
    wrong, right = transcript_of(data, recipe, **component), transcript_of(data, recipe)
    np.testing.assert_array_equal(wrong.updates, right.updates)
    np.testing.assert_array_equal(wrong.steps_taken, right.steps_taken)


def test_limit_one_run_with_the_fixed_seed_is_an_honest_run(rng):
    fixed = faulty_components.noise_from_a_fixed_seed(FREE, 5, 3, rng)
    honest = HONEST.noise(FREE, 1, 3, np.random.default_rng(faulty_components.SEED))
    np.testing.assert_array_equal(fixed, np.repeat(honest, 5, axis=1))


@pytest.mark.parametrize("fault", TRAINERS, ids=lambda fault: fault.name)
def test_definition_a_trainer_differs_in_one_component(fault):
    trainer, recipe = fault.experiment.trainer, fault.experiment.recipe
    changed = [field.name for field in fields(HONEST) if getattr(trainer, field.name) != field.default]
    assert len(changed) == 1
    told = SampledGaussian(recipe.noise_multiplier, recipe.sampling_rate, recipe.steps)
    assert fault.claimed == recipe
    assert fault.claim.guarantee == privacy_loss.guarantee(told, delta=DELTA)


def moved(clip, gradients, recipe, whose=0) -> float:
    """Return how far the clipped sum moves when a record leaves a full batch."""
    everybody = np.ones(gradients.shape[:2], dtype=bool)
    without = everybody.copy()
    without[:, whose] = False
    return float(
        np.linalg.norm(clip(gradients, everybody, recipe) - clip(gradients, without, recipe), axis=1).max()
    )


@pytest.mark.parametrize(
    ("clip", "most"),
    [
        (HONEST.clip, 1),
        (faulty_components.clip_each_layer, 3**0.5),
        (faulty_components.clip_microbatches(2), 2),
        (faulty_components.clip_the_mean, 2 * FREE.nominal_batch),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_definition_how_far_one_record_moves_the_sum(clip, most, rng):
    """The stated sensitivity is never exceeded, and reached by a record that outweighs its neighbours."""
    usual = rng.normal(size=(2000, 4, 3)) * np.exp(rng.normal(size=(2000, 4, 1)) * 2)
    assert moved(clip, usual, FREE) <= most + 1e-12
    against = np.array([[[1e6] * 3, [-1e3] * 3, [-1e3] * 3, [-1e3] * 3]])
    assert moved(clip, against, FREE) == pytest.approx(most, rel=1e-6)


def test_definition_without_a_clip_there_is_no_limit():
    gradients = np.array([[[1e6, 0.0], [0.0, 1.0]]])
    assert moved(faulty_components.clip_nothing, gradients, FREE) == 1e6


def test_limit_tokens_that_do_not_cancel_have_their_length():
    for base in (1e-3, 1.0, 10.0):
        wrong, right = (
            transcript_of(SIGNS, FREE, clip=faulty_components.clip_by_ghost(base)),
            transcript_of(SIGNS, FREE),
        )
        np.testing.assert_allclose(wrong.updates, right.updates, atol=1e-5)


@pytest.mark.parametrize("length", [10.0, 1000.0, 2000.0])
def test_definition_tokens_that_cancel_have_no_length(length, rng):
    """In any order of summation: what is left is less than half the last digit of each product."""
    gradients = rng.normal(size=(500, 1, 3))
    gradients *= length / np.linalg.norm(gradients, axis=2, keepdims=True)
    base = 2.0**24
    in_float32 = (gradients + base).astype(np.float32) - base
    np.testing.assert_allclose(in_float32, gradients, atol=1.0)  # the tokens themselves still differ
    assert moved(faulty_components.clip_by_ghost(base), gradients, FREE) == pytest.approx(length, rel=1e-12)
    assert moved(HONEST.clip, gradients, FREE) == pytest.approx(1.0, rel=1e-12)


def test_definition_shuffled_batches_hold_everybody_once_an_epoch(rng):
    batches = faulty_components.shuffle(replace(FREE, sampling_rate=0.25, steps=8), 16, 50, rng)
    assert batches.shape == (8, 50, 16)
    for epoch in (batches[:4], batches[4:]):
        assert (epoch.sum(axis=0) == 1).all()
        assert (epoch.sum(axis=2) == 4).all()
    assert (batches[:4] != batches[4:]).any()


def test_definition_batch_norm_lets_a_record_move_the_gradients_of_others(rng):
    x = rng.normal(size=(5, 2))
    alone = np.array([[True, True, True, True, False]])
    together = np.ones((1, 5), dtype=bool)
    honest = HONEST.preprocess(x, alone)[0, :4], HONEST.preprocess(x, together)[0, :4]
    np.testing.assert_array_equal(*honest)
    seen = faulty_components.normalise_over_the_batch(x, together)[0]
    np.testing.assert_allclose(seen, (x - x.mean(0)) / x.std(0), atol=1e-12)
    assert np.abs(faulty_components.normalise_over_the_batch(x, alone)[0, :4] - seen[:4]).max() > 0.01


def off_the_curve(ratio_in, ratio_out, curve, losses=(-1.0, -0.3, 0.0, 0.3, 1.0)) -> float:
    """Return by how many standard errors log-likelihood ratios miss a curve, at worst.

    Accusing where the ratio is above ε is the attack that reaches δ(ε): P[L > ε] − e^ε · Q[L > ε] = δ(ε), for
    each ε exactly, so it is tested at thresholds that were fixed in advance.
    """
    missed = []
    for loss in losses:
        true, false = np.mean(ratio_in > loss), np.mean(ratio_out > loss)
        spread = true * (1 - true) / len(ratio_in) + np.exp(2 * loss) * false * (1 - false) / len(ratio_out)
        gap = true - np.exp(loss) * false - curve.delta(loss)
        missed.append(abs(gap) / max(np.sqrt(spread), 1e-4))
    return max(missed)


def both(case, rng, runs=RUNS):
    return case.run(True, runs, rng=rng), case.run(False, runs, rng=rng)


def steps(recipe: Recipe, less: float = 1.0):
    return privacy_loss.curve(
        SampledGaussian(recipe.noise_multiplier / less, recipe.sampling_rate, recipe.steps)
    )


EXACT = [
    (HONEST_TRAINERS[0], steps(RECIPE)),
    (BY_NAME["clip each layer"], steps(RECIPE, 3)),  # the canary fills nine layers
    (BY_NAME["noise for the wrong batch size"], steps(RECIPE, 4)),
    (BY_NAME["clip the batch mean"], steps(RECIPE, 4)),  # 2 · 4 where the others pull against it
]


@pytest.mark.parametrize(("case", "curve"), EXACT, ids=lambda value: getattr(value, "name", ""))
def test_oracle_scores_of_training_follow_the_accountants_curve(case, curve, rng):
    assert off_the_curve(*both(case, rng), curve) < 4


def test_coverage_scores_off_the_curve_are_seen(rng):
    fault = BY_NAME["clip each layer"]
    assert off_the_curve(*both(fault, rng), fault.claim.curve) > 20
    assert off_the_curve(*both(HONEST_TRAINERS[0], rng), steps(RECIPE, 1.3)) > 4


@pytest.mark.parametrize("shift", [1.0, 2.0])
def test_oracle_a_full_batch_is_one_gaussian(shift, rng):
    """Microbatches: N(−1, σ²) against N(1, σ²) in every step, that is twice the claimed distance."""
    recipe = FULL_BATCH
    case = BY_NAME["microbatches counted as records"] if shift == 2 else HONEST_TRAINERS[2]
    training = replace(case.experiment, attacker=attackers.last_model)
    inside, outside = (training(record_in, RUNS, rng=rng) for record_in in (True, False))
    mu, spread = (
        shift * recipe.steps**0.5 / recipe.noise_multiplier,
        recipe.noise_multiplier * recipe.steps**0.5,
    )
    start = (1 - shift) * recipe.steps
    ratios = [mu * (score - start) / spread - mu**2 / 2 for score in (inside, outside)]
    assert off_the_curve(*ratios, GaussianCurve(mu)) < 4
    assert case.true_epsilon == pytest.approx(epsilon_at(GaussianCurve(mu), DELTA), abs=2e-3)


def mixture_of_shuffled(outputs: np.ndarray, sigma: float) -> np.ndarray:
    """Return ln of the mean over positions of the likelihood ratio of one shifted output, slowly."""
    ratios = [np.mean([np.exp((x - 0.5) / sigma**2) for x in output]) for output in outputs]
    return np.log(ratios)


def test_oracle_shuffled_scores_are_those_of_a_random_position(rng):
    """The pair of Chua et al. 2024: one of the epoch's steps, equally likely, is shifted by 1."""
    fault, sigma = BY_NAME["shuffled, counted as Poisson"], ONE_EPOCH.noise_multiplier
    outputs = sigma * rng.normal(size=(2 * RUNS, 4))
    outputs[np.arange(RUNS), rng.integers(4, size=RUNS)] += 1
    slow = mixture_of_shuffled(outputs, sigma)
    fast = np.concatenate(both(fault, rng))
    for side in (slice(RUNS), slice(RUNS, None)):
        for loss in (-1.0, 0.0, 1.0, 3.0):
            share = np.mean(slow[side] > loss), np.mean(fast[side] > loss)
            assert abs(share[0] - share[1]) < 4 * np.sqrt(0.5 / RUNS)
    inside, outside = both(fault, rng)
    advantage = np.mean(inside > 0) - np.mean(outside > 0)
    assert advantage > fault.claim.curve.delta(0.0) + 0.1  # what Poisson batches would allow


def gaussian_ratio(score, sigma):
    return (score - 0.5) / sigma**2


SMALL = calibrate(1.0, 10e-5)
RELEASED = [
    ("randomized response", lambda s: s * COIN.epsilon, COIN.curve),
    ("randomized response, 4 answers", lambda s: s * FOUR.epsilon, FOUR.curve),
    ("Laplace", lambda s: s, LaplaceCurve(1.0)),
    ("Gaussian", lambda s: gaussian_ratio(s, 4.0), BELL.curve),
    ("biased coin", lambda s: s * np.log(4), RandomizedResponse(0.8).curve),
    ("asked every day, counted once", lambda s: (2 * s - 5) * COIN.epsilon, COIN.curve**5),
    ("half the sensitivity", lambda s: s, LaplaceCurve(2.0)),
    ("scale read as variance", lambda s: s, LaplaceCurve(1.0)),
    ("deviation read as variance", lambda s: gaussian_ratio(s, 2.0), GaussianCurve(0.5)),
    ("10e-5 for 10⁻⁵", lambda s: gaussian_ratio(s, SMALL), GaussianCurve(1 / SMALL)),
]


@pytest.mark.parametrize(("name", "ratio", "curve"), RELEASED, ids=[name for name, *_ in RELEASED])
def test_oracle_scores_of_answers_follow_their_true_curve(name, ratio, curve, rng):
    case = next(case for case in (*CORRECT, *FAULTS) if case.name == name)
    inside, outside = (ratio(score) for score in both(case, rng))
    assert off_the_curve(inside, outside, curve, losses=(-0.9, -0.31, 0.0, 0.31, 0.9)) < 4
    assert case.true_epsilon == pytest.approx(epsilon_at(curve, case.claim.guarantee.delta), rel=1e-9)


def test_oracle_rounding_to_even_doubles_the_loss(rng):
    inside, outside = both(BY_NAME["rounding to even"], rng, 400_000)
    assert np.log(np.mean(inside == 2) / np.mean(outside == 2)) == pytest.approx(2.0, abs=0.02)
    assert BY_NAME["rounding to even"].claim.guarantee == WHOLE.guarantee


@pytest.mark.parametrize(
    "name",
    [
        "noise once an epoch",
        "fixed seed",
        "early exit on private records",
        "one coin for two",
        "one noise for two answers",
    ],
)
def test_definition_an_infinite_truth_is_an_output_that_one_world_never_gives(name, rng):
    fault = BY_NAME[name]
    inside, outside = both(fault, rng, 2000)
    assert fault.true_epsilon == np.inf
    assert len(set(outside)) == 1
    assert np.mean(inside > outside[0]) > 0.4


@pytest.mark.parametrize("name", ["no clipping", "length from float32 inner products"])
def test_limit_no_clip_and_a_wilder_record_leave_no_doubt(name, rng):
    fault = BY_NAME[name]
    inside, outside = both(fault, rng)
    ever = 1 - (1 - RECIPE.sampling_rate) ** RECIPE.steps
    assert np.mean(inside > outside.max()) == pytest.approx(ever, abs=0.01)


def test_limit_more_weights_show_the_divisor_more_clearly():
    auc = []
    for weights in (1, 30, 300):
        trainer = replace(HONEST, divide=faulty_components.divide_by_what_came)
        sides = []
        for n in (16, 15):
            x, y, rng = np.eye(16, weights)[:n], np.ones(n), np.random.default_rng(n)
            seen = trainer(x, y, RECIPE, runs=300, rng=rng)
            sides.append(attackers.size_of_updates(seen, RECIPE, np.eye(weights)[0]))
        auc.append(roc_curve(Outcome(np.concatenate(sides), np.arange(600) < 300)).auc)
    assert auc[0] < auc[1] < auc[2] == 1.0


def test_definition_an_answer_of_floats_that_only_one_value_can_give(rng):
    """Below 0, 1 + noise is a multiple of 2⁻⁵²; the noise itself seldom is."""
    noise = rng.laplace(size=20_000)
    outside, inside = noise[noise < 0], (1 + noise)[1 + noise < 0]
    assert (inside * 2.0**52 % 1 == 0).all()
    assert np.mean(outside * 2.0**52 % 1 == 0) < 0.9
    fault = BY_NAME["floating point"]
    seen_in, seen_out = both(fault, rng, 500)
    assert np.mean(seen_in > 5) > 0.1
    assert (seen_out < 5).all()


@pytest.mark.parametrize("case", FAULTS + CORRECT, ids=lambda case: f"{case.name}-{case.sees}")
def test_limit_scores_are_finite_and_repeat_with_the_seed(case):
    first, again = (case.run(True, 20, rng=np.random.default_rng(5)) for _ in range(2))
    assert first.shape == (20,)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)


def test_definition_what_is_given_is_more_than_what_is_claimed():
    """Also for the records where only a bound is known: nothing here is called a fault for nothing."""
    for fault in FAULTS:
        assert fault.true_epsilon is None or fault.true_epsilon > 1.01 * fault.claim.guarantee.epsilon, (
            fault.name
        )
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 10


def test_definition_the_canary_is_clipped_and_at_a_right_angle_to_the_others():
    for x, _ in (records(), records(target=-2.0)):
        np.testing.assert_array_equal(x[:-1] @ x[-1], 0.0)
        assert np.linalg.norm(x[-1]) == pytest.approx(1.0)


def test_definition_without_the_record_the_trainer_gets_all_but_the_last():
    sizes = []

    def noting(x, batch):
        sizes.append(len(x))
        return HONEST.preprocess(x, batch)

    training = replace(HONEST_TRAINERS[2].experiment, trainer=replace(HONEST, preprocess=noting))
    for record_in in (True, False):
        training(record_in, 1, rng=np.random.default_rng(0))
    assert sizes == [16] * FULL_BATCH.steps + [15] * FULL_BATCH.steps


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("clip", 0.0, "clip must be a finite number above 0, got 0.0"),
        ("clip", np.inf, "clip must be a finite number above 0, got inf"),
        ("noise_multiplier", 0.0, "noise_multiplier must be a finite number above 0, got 0.0"),
        ("sampling_rate", 1.5, r"sampling_rate must be in \(0, 1\], got 1.5"),
        ("steps", -1, "steps must be at least 0, got -1"),
        ("nominal_batch", 0, "nominal_batch must be at least 1, got 0"),
    ],
)
def test_limit_a_recipe_that_cannot_be_is_refused(field, value, says):
    with pytest.raises(ValueError, match=says):
        replace(RECIPE, **{field: value})


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize("case", [TRAINERS[0], RELEASES[0]], ids=lambda case: case.name)
def test_limit_no_runs_are_refused(case, rng):
    with pytest.raises(ValueError, match="runs must be at least 1, got 0"):
        case.run(True, 0, rng=rng)


@pytest.mark.usefixtures("at_the_door")
def test_limit_a_trainer_refuses_no_runs(rng):
    with pytest.raises(ValueError, match="runs must be at least 1, got -1"):
        HONEST(*records(), RECIPE, runs=-1, rng=rng)
