"""Canaries: what is planted, and what an update shows of it."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import norm

from mialab import canaries, metrics, models, signals
from mialab.accounting import Neighbours, privacy_loss
from mialab.audit import guess, lower_bound
from mialab.dp_sgd import DpSgd

BORDER = 24  # weights on pixels that are always 0: no record has a gradient there


def recipe(noise=1.0, rate=0.2, steps=20):
    return DpSgd(0.5, noise, rate, steps, nominal_batch=10, learning_rate=0.3)


def some_records(rng, records=40):
    x = rng.random((records, 6)).astype(np.float32)
    x[:, :3] = 0
    return x, rng.integers(3, size=records)


def make_model():
    return models.mlp(6, (8,), 3)


def border():
    """Return canaries on the weights of the three dead inputs."""
    return canaries.dirac(np.arange(48).reshape(8, 6)[:, :3].flatten(), 0.5)


def weights_of(model):
    return torch.cat([one.detach().flatten() for one in model.parameters()]).numpy().copy()


def watched(rng, planted=None, **changes):
    x, y = some_records(rng)
    return canaries.train_with_canaries(make_model, x, y, recipe(**changes), planted or border(), rng=rng)


def watched_wide(rng, noise=1.0):
    """Watch 2,400 canaries on weights of dead inputs: as many independent runs of the sampled Gaussian."""
    x = np.zeros((5, 62), dtype=np.float32)
    x[:, 60:] = rng.random((5, 2))
    where = np.arange(40 * 62).reshape(40, 62)[:, :60].flatten()
    planted = canaries.dirac(where, 0.5)
    return canaries.train_with_canaries(
        lambda: models.mlp(62, (40,), 2), x, np.array([0, 1, 0, 1, 0]), recipe(noise), planted, rng=rng
    )


# --- what is planted -----------------------------------------------------------------------------------


def test_definition_a_mislabelled_record_is_real_and_has_a_wrong_label(rng):
    x, y = some_records(rng)
    inputs, labels = canaries.mislabelled(x, y, 30, classes=3, rng=rng)
    found = [np.flatnonzero((x == one).all(axis=1)) for one in inputs]
    assert all(len(one) == 1 for one in found)
    origin = np.concatenate(found)
    assert len(np.unique(origin)) == 30
    assert (labels != y[origin]).all()
    assert set(labels) == {0, 1, 2}


def test_coverage_wrong_labels_are_even(rng):
    x, y = np.zeros((3000, 1), dtype=np.float32), np.zeros(3000, dtype=int)
    _, labels = canaries.mislabelled(x, y, 3000, classes=4, rng=rng)
    counts = np.bincount(labels, minlength=4)
    assert counts[0] == 0
    assert (np.abs(counts[1:] - 1000) < 4 * np.sqrt(3000 * 2 / 9)).all()


def test_definition_an_input_like_no_other_is_bits(rng):
    inputs, labels = canaries.out_of_distribution((1, 4, 4), 500, classes=3, rng=rng)
    assert inputs.dtype == np.float32
    assert set(np.unique(inputs)) == {0.0, 1.0}
    assert abs(inputs.mean() - 0.5) < 4 * 0.5 / np.sqrt(inputs.size)
    assert set(labels) == {0, 1, 2}


def test_definition_a_record_as_a_gradient_is_that_of_autograd(rng):
    x, y = some_records(rng, 5)
    model = make_model()
    planted = canaries.as_gradients(x, y, 0.5)(model)
    for row, inputs, label in zip(planted, torch.from_numpy(x), torch.from_numpy(y), strict=True):
        loss = torch.nn.functional.cross_entropy(model(inputs[None]), label[None])
        own = torch.cat([one.flatten() for one in torch.autograd.grad(loss, list(model.parameters()))])
        torch.testing.assert_close(row, own * min(1.0, 0.5 / float(own.norm())))


def test_definition_a_dirac_canary_is_one_weight_in_the_order_of_the_parameters():
    planted = canaries.dirac(np.array([50, 2]), 0.5)(make_model())
    assert planted.shape == (2, 48 + 8 + 24 + 3)
    assert planted.nonzero().tolist() == [[0, 50], [1, 2]]
    assert planted.sum() == 1.0


# --- what is seen --------------------------------------------------------------------------------------


def test_limit_without_noise_every_canary_is_seen_at_once(rng):
    run = watched(rng, noise=0.0, rate=1.0, steps=1)
    np.testing.assert_allclose(run.dot_product[0], run.member, atol=1e-6)


def test_limit_without_noise_the_sampling_is_all_that_hides(rng):
    run = watched(rng, noise=0.0, rate=0.5, steps=30)
    took_part = run.dot_product.round(5)
    assert set(np.unique(took_part)) == {0.0, 1.0}
    assert not took_part[:, ~run.member].any()
    assert (took_part[:, run.member].any(axis=0)).all()


@pytest.mark.parametrize("score", [canaries.last_step, canaries.every_step])
def test_limit_huge_noise_leaves_chance(rng, score):
    run = watched_wide(rng, noise=1000.0)
    area = metrics.auc(run.outcome(score(run)), confidence=0.999)
    assert area.low < 0.5 < area.high


def test_definition_the_last_step_is_the_way_that_the_weights_went(rng):
    x, y = some_records(rng)
    model, where = make_model(), np.array([48, 9, 82])
    start = weights_of(model)[where]
    run = canaries.train_with_canaries(
        lambda: copy.deepcopy(model), x, y, recipe(), canaries.dirac(where, 0.5), rng=rng, pretrained=True
    )
    went = (start - weights_of(run.model)[where]) * 10 / (0.3 * 0.5)
    np.testing.assert_allclose(canaries.last_step(run), went, atol=1e-4)


def test_definition_every_step_is_the_sum_of_log_likelihood_ratios(rng):
    run = watched(rng, noise=1.3)
    q, sigma, ones = 0.2, 1.3, np.zeros(BORDER)
    for step in run.dot_product:
        with_it = q * norm.pdf(step, 1, sigma) + (1 - q) * norm.pdf(step, 0, sigma)
        ones += np.log(with_it / norm.pdf(step, 0, sigma))
    np.testing.assert_allclose(canaries.every_step(run), ones, atol=1e-9)


def test_definition_a_shorter_gradient_tells_less(rng):
    """A canary of length v that is seen at s has the likelihood ratio of N(v², (σv)²) against N(0, (σv)²)."""
    run = watched(rng, noise=0.7, rate=1.0, steps=3)
    shorter = canaries.CanaryRun(
        0.3 * run.dot_product, np.full_like(run.norm, 0.3), run.member, run.model, run.recipe
    )
    seen = shorter.dot_product
    by_density = norm.logpdf(seen, 0.09, 0.7 * 0.3) - norm.logpdf(seen, 0, 0.7 * 0.3)
    np.testing.assert_allclose(canaries.every_step(shorter), by_density.sum(axis=0), atol=1e-9)


def test_coverage_on_unused_weights_the_watcher_reaches_the_accountants_curve(rng):
    run = watched_wide(rng)
    last, every = (
        metrics.auc(run.outcome(score(run)), confidence=0.999)
        for score in (canaries.last_step, canaries.every_step)
    )
    assert every.low < privacy_loss.curve(recipe()).auc < every.high
    assert last.value < every.value


def test_coverage_the_bound_of_one_run_stays_below_the_promise_and_sees_too_little_noise(rng):
    promised = privacy_loss.guarantee(recipe(2.0), delta=1e-5)
    found = {}
    for noise in (2.0, 0.1):
        run = watched_wide(rng, noise=noise)
        guesses = guess(run.outcome(canaries.last_step(run)), ins=900, outs=900)
        found[noise] = lower_bound(guesses, neighbours=Neighbours.ADD_REMOVE, delta=1e-5)
    assert 0.2 < found[2.0].value < promised.epsilon < found[0.1].value


def test_definition_the_model_is_trained_and_left_whole(rng):
    x, y = np.eye(6, dtype=np.float32).repeat(20, axis=0), np.arange(6).repeat(20) % 3
    calm = DpSgd(1.0, 0.1, 0.5, 100, nominal_batch=60, learning_rate=2.0)
    planted = canaries.dirac(np.array([82]), 1.0)
    run = canaries.train_with_canaries(make_model, x, y, calm, planted, rng=rng)
    assert (signals.observe(run.model, x, y, signals.correctness)).all()
    storages = {one.untyped_storage().data_ptr() for one in run.model.parameters()}
    assert len(storages) == 4


class Forgetful(torch.nn.Sequential):
    """Drop out without a layer."""

    def forward(self, input):
        return super().forward(torch.nn.functional.dropout(input, 0.5, self.training))


def test_definition_what_the_model_draws_follows_the_generator():
    x, y = some_records(np.random.default_rng(3))
    found = []
    for seed, own in ((1, 0), (2, 0), (1, 7)):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        run = canaries.train_with_canaries(
            lambda: Forgetful(torch.nn.Linear(6, 3)),
            x,
            y,
            recipe(),
            canaries.dirac(np.arange(5), 0.5),
            rng=np.random.default_rng(own),
        )
        assert torch.equal(torch.get_rng_state(), before)
        found.append(run.dot_product)
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@pytest.mark.parametrize("power", [-70, 0, 70])
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_limit_a_very_small_or_large_clip_changes_units_alone(power, precision):
    """Canaries are on dead inputs: what is seen of them is no record's."""
    rng, clip = np.random.default_rng(5), 2.0**power
    x, y = some_records(rng)
    x = x.astype(np.float64 if precision is torch.float64 else np.float32)
    calm = DpSgd(clip, 0.0, 1.0, 3, nominal_batch=10, learning_rate=0.1 / max(clip, 1.0))
    where = np.arange(48).reshape(8, 6)[:, :3].flatten()
    run = canaries.train_with_canaries(
        lambda: make_model().to(precision), x, y, calm, canaries.dirac(where, clip), rng=rng
    )
    np.testing.assert_allclose(run.dot_product, np.broadcast_to(run.member, run.dot_product.shape), atol=1e-6)
    np.testing.assert_allclose(run.norm, 1.0, atol=1e-6)


# --- the door ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("at_the_door")
def test_bad_input_is_refused(rng):
    x, y = some_records(rng)
    with pytest.raises(ValueError, match="number of records must be at least 41, got 40"):
        canaries.mislabelled(x, y, 41, classes=3, rng=rng)
    with pytest.raises(ValueError, match="classes must be at least 2, got 1"):
        canaries.mislabelled(x, np.zeros(40, dtype=int), 3, classes=1, rng=rng)
    with pytest.raises(ValueError, match="number must be at least 1, got 0"):
        canaries.out_of_distribution((3,), 0, classes=3, rng=rng)
    with pytest.raises(ValueError, match=r"coordinates must be distinct and at least 0, got \[1, 1\]"):
        canaries.dirac(np.array([1, 1]), 0.5)
    with pytest.raises(ValueError, match="coordinates must be below the number of weights, 83, got 83"):
        canaries.dirac(np.array([83]), 0.5)(make_model())
    with pytest.raises(ValueError, match="noise_multiplier must be a finite number above 0, got 0"):
        canaries.every_step(watched(rng, noise=0.0))
    endless = DpSgd(np.inf, 0.0, 0.5, 2, nominal_batch=10)
    with pytest.raises(ValueError, match="clip must be a finite number above 0, got inf"):
        canaries.train_with_canaries(make_model, x, y, endless, border(), rng=rng)
    with pytest.raises(ValueError, match="canaries must have gradients of at most the clip"):
        watched(rng, canaries.dirac(np.arange(3), 0.7))
