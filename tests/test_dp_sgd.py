"""Private training: the recipe, the sampling, the clip, the noise and the descent."""

import dataclasses
import math
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from opacus.optimizers import optimizer as opacus_optimizer
from scipy.stats import binom, chi2, kstest
from torch import nn

from mialab import _rng, models
from mialab.accounting import Steps, privacy_loss, renyi
from mialab.dp_sgd import DpSgd, clipped_sum, fit_many_private, fit_private
from mialab.dp_sgd.sampling import poisson_batches
from mialab.dp_sgd.update import noisy_mean
from mialab.train import predict

MAKERS = {
    "perceptron": lambda: models.mlp(64, (16, 12), 5),
    "logistic regression": lambda: models.mlp(64, (), 5),
    "cnn": lambda: models.small_cnn(1, 8, 5, width=4),
    "cnn with group norm": lambda: models.small_cnn(1, 8, 5, width=4, norm="group"),
    "cnn with instance norm": lambda: models.small_cnn(1, 8, 5, width=4, norm="instance"),
    "transformer": lambda: models.tiny_transformer(1, 8, 5, patch=4, width=8, blocks=1),
}
RECIPE = DpSgd(
    clip=0.8,
    noise_multiplier=0.5,
    sampling_rate=0.2,
    steps=12,
    nominal_batch=20,
    learning_rate=0.3,
    momentum=0.7,
)


def some_records(rng, records=90):
    y = rng.integers(5, size=records)
    x = rng.normal(size=(records, 1, 8, 8)) + 0.3 * y[:, None, None, None]
    return x.astype(np.float32), y


def some_tensors(records=12):
    x, y = some_records(np.random.default_rng(1), records)
    return torch.from_numpy(x), torch.from_numpy(y)


def seeded():
    return np.random.default_rng(7)


def weights_of(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def one_by_one(model, inputs, labels):
    """Return every record's own gradient, as one vector each: a loop over the records, autograd on each."""
    rows = []
    for record, label in zip(inputs, labels, strict=True):
        loss = nn.functional.cross_entropy(model(record[None]), label[None])
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        rows.append(torch.cat([one.flatten() for one in torch.autograd.grad(loss, weights)]))
    return torch.stack(rows)


def slow_clipped_sum(model, inputs, labels, clip):
    """Read Algorithm 1 aloud: g / max(1, ‖g‖/C), record by record, then the sum."""
    gradients = one_by_one(model, inputs, labels)
    return sum(row / max(1.0, row.norm().item() / clip) for row in gradients), gradients.norm(dim=1)


def as_vector(total):
    return torch.cat([one.flatten() for one in total.values()])


# The recipe


def test_definition_recipe_and_receipt_are_one_object():
    assert isinstance(RECIPE, Steps)
    assert privacy_loss.guarantee(RECIPE, delta=1e-3).epsilon < renyi.guarantee(RECIPE, delta=1e-3).epsilon
    assert RECIPE.noise_std == 0.5 * 0.8 * (1 + 2**-10)


def test_limit_without_noise_it_trains_and_nothing_is_promised():
    for clip in (1.0, math.inf):
        recipe = dataclasses.replace(RECIPE, noise_multiplier=0.0, clip=clip)
        assert recipe.noise_std == 0
        with pytest.raises(ValueError, match="noise_multiplier must be a finite number above 0, got 0"):
            privacy_loss.guarantee(recipe, delta=1e-5)
        with pytest.raises(ValueError, match="noise_multiplier must be a finite number above 0, got 0"):
            renyi.guarantee(recipe, delta=1e-5)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("clip", 0.0, "clip must be above 0, got 0.0"),
        ("clip", math.nan, "clip must be a number, got nan"),
        ("clip", math.inf, "noise_multiplier must be 0 where clip is infinite, got 0.5"),
        ("noise_multiplier", -1.0, "noise_multiplier must be a finite number of at least 0, got -1.0"),
        ("noise_multiplier", math.inf, "noise_multiplier must be a finite number of at least 0, got inf"),
        ("sampling_rate", 0.0, r"sampling_rate must be in \(0, 1\], got 0.0"),
        ("sampling_rate", 1.1, r"sampling_rate must be in \(0, 1\], got 1.1"),
        ("sampling_rate", math.nan, r"sampling_rate must be a number, got nan"),
        ("steps", -1, "steps must be at least 0, got -1"),
        ("steps", 2.5, "steps must be a whole number, got 2.5"),
        ("nominal_batch", 0, "nominal_batch must be a finite number above 0, got 0"),
        ("learning_rate", 0.0, "learning_rate must be a finite number above 0, got 0.0"),
        ("momentum", 1.0, r"momentum must be in \[0, 1\), got 1.0"),
        ("optimizer", "lion", "optimizer must be one of 'sgd', 'adam', got 'lion'"),
        ("optimizer", "adam", "momentum must be 0 with Adam, which has its own, got 0.7"),
    ],
)
def test_the_recipe_refuses(at_the_door, field, value, says):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(RECIPE, **{field: value})


# The sampling


def sampling_p_values(batches, records, rate):
    """Test three things that Poisson sampling is: sizes, shares of single records, shares of pairs."""
    chosen = np.zeros((len(batches), records), dtype=bool)
    for row, batch in zip(chosen, batches, strict=True):
        row[batch] = True
    steps = len(batches)
    sizes = np.bincount(chosen.sum(axis=1), minlength=records + 1)
    expected = steps * binom.pmf(np.arange(records + 1), records, rate)
    common = expected > 5
    observed = np.append(sizes[common], sizes[~common].sum())
    wanted = np.append(expected[common], expected[~common].sum())
    size = chi2.sf(((observed - wanted) ** 2 / wanted).sum(), common.sum())
    counts = chosen.sum(axis=0)
    single = chi2.sf(((counts - steps * rate) ** 2).sum() / (steps * rate * (1 - rate)), records)
    again = chosen[1:] & chosen[:-1]
    twice = (steps - 1) * records * rate**2
    repeat = 2 * min(
        binom.cdf(again.sum(), (steps - 1) * records, rate**2),
        binom.sf(again.sum() - 1, (steps - 1) * records, rate**2),
    )
    assert twice > 50
    return size, single, repeat


def test_coverage_batches_are_poisson(rng):
    batches = list(poisson_batches(40, 0.15, 4000, rng=rng))
    assert all(np.unique(batch).size == batch.size for batch in batches)
    assert any(batch.size == 0 for batch in batches)
    assert min(sampling_p_values(batches, 40, 0.15)) > 1e-3


@pytest.mark.parametrize(("flaw", "seen_by"), [("fixed size", 0), ("a favourite", 1), ("shuffled", 2)])
def test_coverage_other_sampling_is_seen(rng, flaw, seen_by):
    fixed = [rng.choice(40, 6, replace=False) for _ in range(4000)]
    shuffled = [piece for _ in range(667) for piece in np.split(rng.permutation(40)[:36], 6)][:4000]
    favourite = [np.union1d(batch, [3]) for batch in poisson_batches(40, 0.15, 4000, rng=rng)]
    batches = {"fixed size": fixed, "shuffled": shuffled, "a favourite": favourite}[flaw]
    assert sampling_p_values(batches, 40, 0.15)[seen_by] < 1e-6


# The clip


@pytest.mark.parametrize("clip", [0.5, 3.0, math.inf])
@pytest.mark.parametrize("maker", MAKERS)
def test_definition_the_sum_is_that_of_a_loop_over_the_records(maker, clip):
    torch.manual_seed(0)
    model, (inputs, labels) = MAKERS[maker](), some_tensors()
    total, norms = clipped_sum(model, inputs, labels, clip)
    expected, lengths = slow_clipped_sum(model, inputs, labels, clip)
    torch.testing.assert_close(as_vector(total), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(norms, lengths, atol=1e-5, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-3, 1e3), clip=st.floats(1e-3, 1e3), seed=st.integers(0, 10**6))
def test_definition_one_record_more_moves_the_sum_by_no_more_than_the_clip(scale, clip, seed):
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = models.mlp(6, (5,), 3)
    inputs = scale * torch.randn(7, 6, generator=generator)
    labels = torch.randint(3, (7,), generator=generator)
    more, norms = clipped_sum(model, inputs, labels, clip)
    less, _ = clipped_sum(model, inputs[:-1], labels[:-1], clip)
    moved = (as_vector(more) - as_vector(less)).norm().item()
    rounding = 1e-6 * 7 * min(clip, norms.max().item())
    assert moved <= clip + rounding
    assert moved == pytest.approx(min(clip, norms[-1].item()), abs=rounding)


def test_limit_an_empty_batch_has_an_empty_sum():
    model, (inputs, labels) = MAKERS["cnn"](), some_tensors()
    total, norms = clipped_sum(model, inputs[:0], labels[:0], 1.0)
    assert norms.shape == (0,)
    assert not as_vector(total).any()
    assert as_vector(total).shape == weights_of(model).shape


def test_limit_a_record_without_a_gradient_is_no_trouble():
    model = models.mlp(2, (), 1)  # one class: the loss is 0 whatever the weights
    total, norms = clipped_sum(model, torch.ones(3, 2), torch.zeros(3, dtype=torch.long), 1.0)
    assert not as_vector(total).any()
    assert (norms < 1e-15).all()  # the length that squares too small for a float might have


@pytest.mark.parametrize(
    ("inputs", "labels", "clip", "says"),
    [
        ((3, 4), (3,), 0.0, "clip must be above 0, got 0.0"),
        (
            (3, 4),
            (2,),
            1.0,
            r"inputs and labels must have the same number of records, got 3 and 2",
        ),
        ((4,), (4,), 1.0, r"must have shapes .* got \(4,\) and \(4,\)"),
        ((4,), (), 1.0, r"labels must have shape \(records\), got shape \(\)"),
    ],
)
def test_clipped_sum_refuses(at_the_door, inputs, labels, clip, says):
    with pytest.raises(ValueError, match=says):
        clipped_sum(models.mlp(4, (), 2), torch.zeros(inputs), torch.zeros(labels, dtype=torch.long), clip)


def test_clipped_sum_refuses_gradients_that_are_not_finite():
    model = models.mlp(4, (), 2)
    inputs = torch.zeros(3, 4)
    inputs[1] = math.inf
    with pytest.raises(ValueError, match="gradients must be finite, got nan as norm of 1 of 3 gradients"):
        clipped_sum(model, inputs, torch.zeros(3, dtype=torch.long), 1.0)


# The whole of a run


def slow_private(maker, x, y, recipe, rng):
    """Algorithm 1, spelled out; only the order of the draws is ours."""
    with _rng.torch_stream(rng):
        model = maker().train()
    noise = _rng.Noise(rng)
    weights = weights_of(model)
    speed = torch.zeros_like(weights)
    for batch in poisson_batches(len(x), recipe.sampling_rate, recipe.steps, rng=rng):
        nn.utils.vector_to_parameters(weights, model.parameters())
        total = torch.zeros_like(weights)
        if batch.size:
            total += slow_clipped_sum(
                model, torch.from_numpy(x[batch]), torch.from_numpy(y[batch]), recipe.clip
            )[0]
        if recipe.noise_multiplier:
            total += recipe.noise_std * noise.normal(total)
        speed = recipe.momentum * speed + total / recipe.nominal_batch
        weights = weights - recipe.learning_rate * speed
    return weights


@pytest.mark.parametrize("rate", [0.05, 1.0])
@pytest.mark.parametrize("maker", MAKERS)
def test_definition_training_is_algorithm_1(rng, maker, rate):
    x, y = some_records(rng, 30)
    recipe = dataclasses.replace(RECIPE, sampling_rate=rate, steps=4)
    model = fit_private(MAKERS[maker], x, y, recipe, rng=seeded())
    assert not model.training
    expected = slow_private(MAKERS[maker], x, y, recipe, seeded())
    torch.testing.assert_close(weights_of(model), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_limit_without_noise_and_clip_it_is_plain_sgd_on_the_same_batches(rng, momentum):
    x, y = some_records(rng)
    recipe = dataclasses.replace(RECIPE, clip=math.inf, noise_multiplier=0.0, momentum=momentum)
    ours = fit_private(MAKERS["cnn"], x, y, recipe, rng=seeded())
    own = seeded()
    with _rng.torch_stream(own):
        plain = MAKERS["cnn"]()
    _rng.Noise(own)
    optimizer = torch.optim.SGD(plain.parameters(), lr=recipe.learning_rate, momentum=momentum)
    for batch in poisson_batches(len(x), recipe.sampling_rate, recipe.steps, rng=own):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(
            plain(torch.from_numpy(x[batch])), torch.from_numpy(y[batch]), reduction="sum"
        )
        (loss / recipe.nominal_batch).backward()
        optimizer.step()
    torch.testing.assert_close(weights_of(ours), weights_of(plain), atol=1e-6, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("maker", ["perceptron", "cnn with group norm"])
def test_oracle_opacus_takes_the_same_steps(rng, maker, optimizer):
    """The same batches and the same noise; Opacus adds 1e-6 to each length before it divides."""
    x, y = some_records(rng)
    momentum = 0.7 if optimizer == "sgd" else 0.0
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer, momentum=momentum, learning_rate=0.05, steps=6)
    ours = fit_private(MAKERS[maker], x, y, recipe, rng=seeded())
    own = seeded()
    with _rng.torch_stream(own):
        model = MAKERS[maker]()
    noise = _rng.Noise(own)
    theirs = GradSampleModule(model, loss_reduction="sum")
    plain = {
        "sgd": lambda: torch.optim.SGD(model.parameters(), lr=0.05, momentum=momentum),
        "adam": lambda: torch.optim.Adam(model.parameters(), lr=0.05),
    }[optimizer]()
    private = DPOptimizer(
        plain,
        noise_multiplier=recipe.noise_std / 0.8,
        max_grad_norm=0.8,
        expected_batch_size=20,
        loss_reduction="mean",
    )
    for batch in poisson_batches(len(x), recipe.sampling_rate, recipe.steps, rng=own):
        draw = noise.normal(weights_of(model)).float()
        pieces = iter(draw.split([weight.numel() for weight in model.parameters()]))
        private.zero_grad()
        logits = theirs(torch.from_numpy(x[batch]))
        nn.functional.cross_entropy(logits, torch.from_numpy(y[batch]), reduction="sum").backward()

        def ready(std, reference, pieces=pieces, **_):
            return std * next(pieces).view(reference.shape)

        with mock.patch.object(opacus_optimizer, "_generate_noise", ready):
            private.step()
    torch.testing.assert_close(weights_of(ours), weights_of(model), atol=1e-5, rtol=1e-5)


def noise_of(recipe, x, y, seed, **how):
    """Return what the noise did to the weights in one step, in units of its supposed deviation."""
    one = dataclasses.replace(recipe, steps=1, learning_rate=1.0, momentum=0.0)
    quiet = dataclasses.replace(one, noise_multiplier=0.0)
    moved = [
        weights_of(fit_private(MAKERS["perceptron"], x, y, each, rng=np.random.default_rng(seed), **how))
        for each in (one, quiet)
    ]
    return (moved[1] - moved[0]) * recipe.nominal_batch / (recipe.noise_multiplier * recipe.clip)


@pytest.mark.parametrize("how", [{}, {"physical_batch": 4}])
def test_coverage_the_noise_has_the_promised_size_in_however_many_parts_the_batch_was_summed(rng, how):
    x, y = some_records(rng)
    draws = torch.stack([noise_of(RECIPE, x, y, seed, **how) for seed in range(6)]).double()
    assert kstest(draws.flatten(), "norm").pvalue > 1e-3
    assert draws.square().mean().item() == pytest.approx(1, abs=4 * (2 / draws.numel()) ** 0.5)


def test_coverage_the_noise_of_different_weights_is_independent():
    """Off its diagonal a Wishart matrix has a spread of 1/√draws: any common part would widen it."""
    noise, draws = _rng.Noise(seeded()), 400
    moves = torch.stack([noisy_mean(torch.zeros(200), RECIPE, noise) for _ in range(draws)]) * 20 / 0.4
    covariance = moves.T @ moves / draws
    off = covariance[~torch.eye(200, dtype=bool)] * draws**0.5
    assert off.std().item() == pytest.approx(1, abs=0.03)
    assert abs(off.mean().item()) < 0.05
    assert covariance.diagonal().mean().item() == pytest.approx(1, abs=4 * (2 / moves.numel()) ** 0.5)


def test_coverage_every_step_has_noise_of_its_own(rng):
    x, y = some_records(rng)
    still = dataclasses.replace(RECIPE, sampling_rate=1e-12, learning_rate=1.0, momentum=0.0)
    weights = [
        weights_of(
            fit_private(MAKERS["perceptron"], x, y, dataclasses.replace(still, steps=steps), rng=seeded())
        )
        for steps in range(4)
    ]
    moves = [(after - before) * 20 / 0.4 for before, after in pairwise(weights)]
    for move in moves:  # every batch was empty: noise, and nothing else
        assert kstest(move, "norm").pvalue > 1e-3
    correlation = np.corrcoef(np.stack(moves))[~np.eye(3, dtype=bool)]
    assert np.abs(correlation).max() < 4 / len(moves[0]) ** 0.5


@pytest.mark.parametrize("physical", [1, 7, 1000])
def test_definition_a_batch_in_parts_is_the_whole_batch(rng, physical):
    x, y = some_records(rng)
    whole = fit_private(MAKERS["cnn"], x, y, RECIPE, rng=seeded())
    parts = fit_private(MAKERS["cnn"], x, y, RECIPE, rng=seeded(), physical_batch=physical)
    torch.testing.assert_close(weights_of(parts), weights_of(whole), atol=1e-6, rtol=1e-5)


def test_limit_no_steps_leaves_the_initial_weights(rng):
    x, y = some_records(rng)
    with _rng.torch_stream(seeded()):
        fresh = MAKERS["cnn"]()
    ours = fit_private(MAKERS["cnn"], x, y, dataclasses.replace(RECIPE, steps=0), rng=seeded())
    assert torch.equal(weights_of(ours), weights_of(fresh))


def with_dropout():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Dropout(0.5), nn.Linear(32, 5))


def test_the_result_depends_on_rng_alone(rng):
    x, y = some_records(rng)
    torch.manual_seed(1)
    first = fit_private(with_dropout, x, y, RECIPE, rng=seeded())
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    second = fit_private(with_dropout, x, y, RECIPE, rng=seeded())
    assert torch.equal(before, torch.random.get_rng_state()), "training moved torch's global generator"
    other = fit_private(with_dropout, x, y, RECIPE, rng=np.random.default_rng(8))
    assert torch.equal(weights_of(first), weights_of(second))
    assert not torch.allclose(weights_of(first), weights_of(other))


def test_definition_dropout_has_a_mask_for_every_record():
    """Twelve copies of one record, one gradient each: with one mask for all they would be the same."""
    torch.manual_seed(0)
    model, inputs = with_dropout(), torch.ones(12, 64)
    labels = torch.zeros(12, dtype=torch.long)
    assert clipped_sum(model.train(), inputs, labels, 1.0)[1].unique().numel() == 12
    in_evaluation = clipped_sum(model.eval(), inputs, labels, 1.0)[1]
    torch.testing.assert_close(in_evaluation, in_evaluation[:1].expand(12))


def frozen_features():
    model = models.small_cnn(1, 8, 5, width=4)
    for layer in list(model)[:-1]:
        layer.requires_grad_(False)
    return model


def test_definition_frozen_parameters_stay_and_the_rest_is_logistic_regression(rng):
    x, y = some_records(rng)
    ours = fit_private(frozen_features, x, y, RECIPE, rng=seeded())
    with _rng.torch_stream(seeded()):
        fresh = frozen_features()
    assert torch.equal(ours[0].weight, fresh[0].weight)
    assert torch.equal(ours[3].bias, fresh[3].bias)
    features = fresh[:-1](torch.from_numpy(x)).numpy()
    head = fit_private(lambda: frozen_features()[-1], features, y, RECIPE, rng=seeded())
    assert head.weight.shape == ours[-1].weight.shape
    expected = slow_private_head(features, y, seeded())
    torch.testing.assert_close(ours[-1].weight.detach().flatten(), expected[: 5 * 32], atol=1e-5, rtol=1e-5)


def slow_private_head(features, y, rng):
    """Train the last layer of the frozen model alone, from the same draws."""
    return slow_private(lambda: frozen_features()[-1], features, y, RECIPE, rng)


def test_gradients_that_are_not_finite_stop_the_run_and_nothing_is_half_done(rng):
    x, y = some_records(rng)
    made = []

    def maker():
        made.append(models.mlp(64, (), 5))
        return made[-1]

    explode = dataclasses.replace(
        RECIPE, clip=math.inf, noise_multiplier=0.0, learning_rate=3e37, sampling_rate=1.0
    )
    with pytest.raises(ValueError, match=r"gradients must be finite, got nan .* at step (\d+)") as error:
        fit_private(maker, x, y, explode, rng=seeded())
    step = int(str(error.value).split("at step ")[1].split()[0])
    assert step > 1
    before = fit_private(
        lambda: models.mlp(64, (), 5), x, y, dataclasses.replace(explode, steps=step - 1), rng=seeded()
    )
    torch.testing.assert_close(weights_of(made[-1]), weights_of(before), rtol=0, atol=0, equal_nan=True)


# The door


class Centre(nn.Module):
    def forward(self, x):
        return x - x.mean(dim=0)


class Remembers(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(64))

    def forward(self, x):
        if self.training:
            self.seen.add_(x.flatten(1).sum(0))
        return x


REFUSED = {
    "batch norm": (
        lambda: models.small_cnn(1, 8, 5, norm="batch"),
        "shows every record the whole batch, so no clip bounds what one changes), got BatchNorm2d(16",
    ),
    "one-dimensional batch norm": (
        lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 5)),
        "got BatchNorm1d(64",
    ),
    "running averages": (
        lambda: nn.Sequential(nn.InstanceNorm2d(1, track_running_stats=True), models.mlp(64, (), 5)),
        "(running averages of the records go into the model without noise), got InstanceNorm2d",
    ),
    "own mixture": (
        lambda: nn.Sequential(nn.Flatten(), Centre(), nn.Linear(64, 5)),
        "depends on that record alone, got logits that changed with another record of the batch",
    ),
    "own memory": (
        lambda: nn.Sequential(Remembers(), models.mlp(64, (), 5)),
        "and no buffer, weight or attribute that its forward pass changes, got '0.seen'",
    ),
    "nothing to train": (
        lambda: models.mlp(64, (), 5).requires_grad_(False),
        "with at least one parameter to train, got none",
    ),
}


@pytest.mark.parametrize("model", REFUSED)
def test_models_that_mix_records_are_refused(rng, at_the_door, model):
    maker, says = REFUSED[model]
    x, y = some_records(rng)
    for train in (
        lambda: fit_private(maker, x, y, RECIPE, rng=rng),
        lambda: fit_many_private(maker, x, y, np.ones((2, 90), dtype=bool), RECIPE, rng=rng),
    ):
        with pytest.raises(ValueError, match="make_model must return a module") as error:
            train()
        assert says in str(error.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"x": np.zeros(90, dtype=np.float32)},
            r"x must have shape \(records, features …\), got shape \(90,\)",
        ),
        ({"x": np.full((90, 64), np.nan, dtype=np.float32)}, "x must hold no NaN, got 5760 of 5760 values"),
        (
            {"x": np.zeros((89, 64), dtype=np.float32)},
            "x and y must have the same number of records, got 89 and 90",
        ),
        (
            {"x": np.zeros((0, 64), dtype=np.float32)},
            "x and y must have the same number of records, got 0 and 90",
        ),
        ({"y": np.full(90, 5)}, "y must be in 0 … 4, got values from 5 to 5"),
        ({"device": "abacus"}, "device must be available"),
        ({"physical_batch": 0}, "physical_batch must be at least 1, got 0"),
        ({"make_model": models.mlp(64, (), 5)}, "make_model must be a function that returns a fresh module"),
    ],
)
def test_training_refuses(rng, at_the_door, change, says):
    x, y = some_records(rng)
    asked = {"make_model": lambda: models.mlp(64, (), 5), "x": x, "y": y, "recipe": RECIPE} | change
    with pytest.raises(ValueError, match=says):
        fit_private(**asked, rng=rng)


# Fleets


def some_members(rng, count=3, records=90):
    return rng.random((count, records)) < np.linspace(0.1, 0.9, count)[:, None]


@pytest.mark.parametrize("maker", MAKERS)
def test_definition_each_member_of_a_fleet_is_the_model_trained_alone(rng, maker):
    """The smallest has nine records, and so batches with nobody in them."""
    x, y = some_records(rng)
    member = some_members(rng)
    recipe = dataclasses.replace(RECIPE, sampling_rate=0.1, steps=6)
    fleet = fit_many_private(MAKERS[maker], x, y, member, recipe, rng=seeded())
    for i, child in enumerate(seeded().spawn(3)):
        alone = fit_private(MAKERS[maker], x[member[i]], y[member[i]], recipe, rng=child)
        torch.testing.assert_close(weights_of(fleet[i]), weights_of(alone), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("maker", ["perceptron", "cnn"])
def test_shards_adam_and_frozen_features_change_nothing_of_that(rng, maker):
    x, y = some_records(rng)
    member = some_members(rng)
    recipe = dataclasses.replace(RECIPE, optimizer="adam", momentum=0.0, learning_rate=0.01, steps=6)
    make = frozen_features if maker == "cnn" else MAKERS[maker]
    whole = fit_many_private(make, x, y, member, recipe, rng=seeded())
    sharded = fit_many_private(make, x, y, member, recipe, rng=seeded(), memory_bytes=1)
    for i, child in enumerate(seeded().spawn(3)):
        alone = fit_private(make, x[member[i]], y[member[i]], recipe, rng=child)
        torch.testing.assert_close(weights_of(whole[i]), weights_of(alone), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(weights_of(sharded[i]), weights_of(alone), atol=1e-5, rtol=1e-5)


def test_fleets_never_see_records_that_are_not_theirs(rng):
    x, y = some_records(rng)
    member = some_members(rng)
    member[:, 4] = False
    changed_x, changed_y = x.copy(), y.copy()
    changed_x[4], changed_y[4] = 1e3, (y[4] + 1) % 5
    first = fit_many_private(MAKERS["perceptron"], x, y, member, RECIPE, rng=seeded())
    second = fit_many_private(MAKERS["perceptron"], changed_x, changed_y, member, RECIPE, rng=seeded())
    assert np.array_equal(predict(first, x), predict(second, x))


def test_definition_with_dropout_models_are_trained_one_by_one(rng):
    x, y = some_records(rng)
    member = some_members(rng)
    with pytest.warns(UserWarning, match="trained one by one, which takes longer: .* draws random numbers"):
        fleet = fit_many_private(with_dropout, x, y, member, RECIPE, rng=seeded())
    for i, child in enumerate(seeded().spawn(3)):
        alone = fit_private(with_dropout, x[member[i]], y[member[i]], RECIPE, rng=child)
        assert torch.equal(weights_of(fleet[i]), weights_of(alone))


def test_definition_a_gradient_that_is_not_finite_counts_as_0_in_a_fleet_too(rng):
    x, y = some_records(rng)
    x[5] = 1e38
    member = np.ones((2, 90), dtype=bool)
    fleet = fit_many_private(MAKERS["perceptron"], x, y, member, RECIPE, rng=seeded())  # and not a word
    for i, child in enumerate(seeded().spawn(2)):
        alone = fit_private(MAKERS["perceptron"], x, y, RECIPE, rng=child)
        assert torch.equal(weights_of(fleet[i]), weights_of(alone))


def test_fleets_refuse_what_they_cannot_do(rng, at_the_door):
    x, y = some_records(rng)
    member = some_members(rng)
    for maker, table, says in (
        (MAKERS["perceptron"], member & False, "at least one record in every row"),
        (
            MAKERS["perceptron"],
            member[:, 1:],
            "x and member must have the same number of records, got 90 and 89",
        ),
    ):
        with pytest.raises(ValueError, match=says):
            fit_many_private(maker, x, y, table, RECIPE, rng=rng)
    explode = dataclasses.replace(RECIPE, clip=math.inf, noise_multiplier=0.0, learning_rate=3e37)
    with pytest.raises(ValueError, match=r"gradients must be finite, got nan .* at step \d+"):
        fit_many_private(MAKERS["perceptron"], x, y, member, explode, rng=rng)


def test_a_whole_number_may_come_as_a_float(at_the_door):
    """What counts is kept as an integer, or refused."""
    recipe = dataclasses.replace(RECIPE, steps=2.0)
    assert type(recipe.steps) is int
    x, y = some_records(np.random.default_rng(0))
    two = fit_private(MAKERS["perceptron"], x, y, dataclasses.replace(RECIPE, steps=2), rng=seeded())
    assert torch.equal(
        weights_of(fit_private(MAKERS["perceptron"], x, y, recipe, rng=seeded())), weights_of(two)
    )


def test_weights_that_diverge_are_refused_at_the_end(rng):
    """With noise nothing is raised on the way. The weights are released; that they are none is no secret."""
    x, y = some_records(rng)
    far, both = dataclasses.replace(RECIPE, clip=1e10, learning_rate=1e36), np.ones((2, 90), dtype=bool)
    says = "weights must stay finite: is the learning rate too large"
    with pytest.raises(ValueError, match=says):
        fit_private(MAKERS["perceptron"], x, y, far, rng=rng)
    with pytest.raises(ValueError, match=says):
        fit_many_private(MAKERS["perceptron"], x, y, both, far, rng=rng)
