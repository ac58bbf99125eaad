"""Many canaries in one training run: three views, each worth what the closed form says."""

from dataclasses import replace

import numpy as np
import pytest

from mialab.accounting import Neighbours, privacy_loss
from mialab.audit import guess, one_run
from mialab.faults import HONEST, Recipe, Records, pieces
from mialab.faults.canaries import Kind, View, canaries, one_training
from mialab.game import Design, flip_coins
from mialab.metrics import roc_curve
from mialab.tradeoff import GaussianCurve

RECIPE = Recipe(clip=1.0, noise_multiplier=2.0, sampling_rate=1.0, steps=8, nominal_batch=500)


def slow_scores(records, recipe, seed):
    """Train and score one canary after the other, as it is said."""
    rng = np.random.default_rng(seed)
    member = flip_coins(1, len(records.y), rng=rng)[0]
    trace = HONEST(Records(records.x[member], records.y[member]), recipe, runs=1, rng=rng)
    scores = {view: np.zeros(len(member)) for view in View}
    for k, (x, y) in enumerate(zip(records.x, records.y, strict=True)):
        weights = np.zeros(records.x.shape[1])
        for update in trace.updates[:, 0]:
            gradient = (weights @ x - y) * x
            gradient *= min(1, recipe.clip / np.linalg.norm(gradient)) / recipe.clip
            product = recipe.nominal_batch / recipe.clip * (update @ gradient)
            scores[View.EVERY_UPDATE][k] += product
            scores[View.LAST_UPDATE][k] = product
            weights = weights - recipe.learning_rate * update
        scores[View.BLACK_BOX][k] = y**2 - (weights @ x - y) ** 2
    return member, scores


@pytest.mark.parametrize("kind", list(Kind))
def test_definition_the_three_views(kind):
    recipe = Recipe(clip=1.5, noise_multiplier=0.7, sampling_rate=0.5, steps=5, nominal_batch=8)
    records = canaries(kind, 30, rng=np.random.default_rng(1))
    member, slow = slow_scores(records, recipe, 2)
    seen = one_training(records, recipe, rng=np.random.default_rng(2))
    for view, outcome in seen.items():
        assert outcome.design == Design.ONE_RUN
        np.testing.assert_array_equal(outcome.member, member)
        np.testing.assert_allclose(outcome.score, slow[view], rtol=1e-9)


@pytest.mark.parametrize(
    ("view", "steps"), [(View.EVERY_UPDATE, 8), (View.LAST_UPDATE, 1), (View.BLACK_BOX, 8)]
)
def test_oracle_a_feature_of_its_own_is_one_gaussian(view, steps, rng):
    """Each canary is then a mechanism of its own: N(0, steps · σ²) against a mean of ``steps``."""
    outcome = one_training(canaries(Kind.GRADIENT, 2000, rng=rng), RECIPE, rng=rng)[view]
    curve = GaussianCurve(steps**0.5 / RECIPE.noise_multiplier)
    assert roc_curve(outcome).auc == pytest.approx(curve.auc, abs=4 * 0.013)  # 1/√(12 · 500) a side


def test_limit_a_wrong_target_among_many_shows_next_to_nothing(rng):
    for outcome in one_training(canaries(Kind.MISLABELLED, 2000, rng=rng), RECIPE, rng=rng).values():
        assert abs(roc_curve(outcome).auc - 0.5) < 4 * 0.013


QUIET = replace(RECIPE, noise_multiplier=8.0)
CLAIM = privacy_loss.guarantee(QUIET, delta=1e-5).epsilon


def bound(trainer, rng):
    outcome = one_training(canaries(Kind.GRADIENT, 1000, rng=rng), QUIET, rng=rng, trainer=trainer)
    guesses = guess(outcome[View.EVERY_UPDATE], ins=50, outs=50)
    return one_run(guesses, neighbours=Neighbours.ADD_REMOVE, delta=1e-5).epsilon_lower


def test_coverage_one_run_accuses_the_faulty_trainer_and_not_the_honest_one(rng):
    assert max(bound(HONEST, rng) for _ in range(20)) < CLAIM
    assert bound(replace(HONEST, noise=pieces.noise_of_the_mean), rng) > 2 * CLAIM


def test_definition_what_canaries_are(rng):
    own = canaries(Kind.GRADIENT, 7, rng=rng)
    np.testing.assert_array_equal(own.x, np.eye(7))
    wrong = canaries(Kind.MISLABELLED, 4000, rng=rng)
    assert wrong.y.std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(wrong.x.sum(axis=1), wrong.y)[0, 1] == pytest.approx(-1.0)


@pytest.mark.usefixtures("at_the_door")
def test_limit_canaries_that_cannot_be_are_refused(rng):
    with pytest.raises(ValueError, match="how_many must be at least 1, got 0"):
        canaries(Kind.GRADIENT, 0, rng=rng)
    with pytest.raises(
        ValueError, match="kind must be one of 'a feature of its own', 'the wrong target', got 'x'"
    ):
        canaries("x", 3, rng=rng)
