"""Normalisation layers: torch's own as the oracle, limits of noise, sensitivity by brute force."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from mialab import metrics, norms, train
from mialab.accounting import Neighbours
from mialab.models import small_cnn
from mialab.norms import NoisyBatchNorm2d, VirtualBatchNorm2d


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_oracle_without_noise_and_with_a_wide_clip_it_is_batch_norm():
    x, theirs = torch.randn(6, 3, 4, 4), nn.BatchNorm2d(3)
    ours = NoisyBatchNorm2d(3, clip=100.0, noise=0.0)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean, atol=1e-5, rtol=1e-4)
    biased = 0.9 + 0.1 * x.var(dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(ours.running_var, biased, atol=1e-4, rtol=1e-4)


def test_in_evaluation_mode_it_uses_its_averages_and_draws_nothing():
    layer, x = NoisyBatchNorm2d(3, clip=3.0, noise=1.0), torch.randn(6, 3, 4, 4)
    layer(x)
    layer.eval()
    expected = (x - layer.running_mean[:, None, None]) / torch.sqrt(layer.running_var[:, None, None] + 1e-5)
    torch.testing.assert_close(layer(x), expected)
    assert torch.equal(layer(x), layer(x))


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
def test_definition_the_noise_has_the_spread_and_the_shape_it_says(kind):
    layer = NoisyBatchNorm2d(20000, clip=2.0, noise=0.5, kind=kind)
    noise = layer.release(torch.zeros(1, 20000, 1, 1))[0].numpy() / 2.0
    assert abs(noise.mean()) < 0.02
    assert noise.std() == pytest.approx(0.5, rel=0.05)
    fourth = np.mean(noise**4) / np.mean(noise**2) ** 2
    assert fourth == pytest.approx({"gaussian": 3, "laplace": 6}[kind], rel=0.15)


def test_noise_is_drawn_once_per_statistic_and_anew_for_every_batch():
    layer, x = NoisyBatchNorm2d(3, clip=2.0, noise=0.5), torch.randn(6, 3, 4, 4)
    (mean, _), (again, _) = layer.release(x), layer.release(x)
    assert not torch.equal(mean, again)
    noise = mean / 2 - (x.clamp(-2, 2) / 2).mean(dim=(0, 2, 3))
    assert len(set(noise.tolist())) == 3


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
def test_definition_the_mechanism_is_the_noise_that_is_drawn(kind):
    layer = NoisyBatchNorm2d(5, clip=3.0, noise=0.2, kind=kind)
    mechanism = layer.mechanism(32)
    assert mechanism.neighbours == Neighbours.REPLACE
    assert mechanism.sensitivity == layer.sensitivity(32)
    spread = mechanism.standard_deviation if kind == "gaussian" else mechanism.scale * 2**0.5
    assert spread == pytest.approx(0.2)


def test_coverage_the_worst_case_is_met_and_not_passed():
    """Everybody else known, all channels from one end of the clip to the other: TPR at 5 % FPR."""
    channels, batch = 8, 32
    layer = NoisyBatchNorm2d(channels, clip=3.0, noise=0.2)
    rest = torch.randn(batch - 1, channels, 1, 1)
    low, high = (torch.cat([torch.full((1, channels, 1, 1), end), rest]) for end in (-9.0, 9.0))
    cut = NoisyBatchNorm2d(channels, clip=3.0, noise=0.0).release(low)[0].sum() + 1.6449 * 0.6 * channels**0.5
    hits = sum(int(layer.release(high)[0].sum() >= cut) for _ in range(2000))
    band = metrics.clopper_pearson(hits, 2000, confidence=0.999)
    assert band.low <= layer.mechanism(batch).curve.tpr(0.05) <= band.high


def test_limit_with_endless_noise_the_release_tells_nothing():
    x = torch.randn(8, 3, 4, 4)
    other = torch.cat([torch.full((1, 3, 4, 4), 9.0), x[1:]])
    released = []
    for batch in (x, other):
        layer = NoisyBatchNorm2d(3, clip=2.0, noise=1e9, rng=np.random.default_rng(1))
        released.append(torch.cat(layer.release(batch)))
    torch.testing.assert_close(released[0], released[1], rtol=1e-6, atol=0)


@pytest.mark.parametrize(("kind", "power"), [("gaussian", 2), ("laplace", 1)])
def test_definition_no_replaced_record_moves_the_release_further_than_its_sensitivity(kind, power):
    """All pairs of records with two pixels on a grid; the bound is met, and met by somebody."""
    layer, grid = NoisyBatchNorm2d(1, clip=1.5, noise=0.0, kind=kind), torch.linspace(-2.25, 2.25, 13)
    pixels = torch.tensor(list(itertools.product(grid, grid)))
    inside = pixels.clamp(-1.5, 1.5) / 1.5
    told = torch.stack([inside.mean(dim=1), (inside**2).mean(dim=1)], dim=1)
    furthest = torch.cdist(told, told, p=power).max().item() / 10
    assert furthest == pytest.approx(layer.sensitivity(10), rel=1e-6)
    a, b, rest = torch.full((1, 1, 1, 2), 9.0), torch.full((1, 1, 1, 2), -9.0), torch.randn(9, 1, 1, 2)
    moved = layer.release(torch.cat([a, rest]))[0] - layer.release(torch.cat([b, rest]))[0]
    assert moved.item() / 1.5 == pytest.approx(2 / 10)  # and the layer clips before it averages


def test_definition_virtual_batch_norm_is_batch_norm_of_the_reference():
    reference, x, theirs = (
        torch.randn(8, 3, 4, 4),
        torch.randn(5, 3, 4, 4) + 1,
        nn.BatchNorm2d(3, momentum=1.0),
    )
    theirs(reference)
    variance = reference.var(dim=(0, 2, 3), correction=0)
    mean = reference.mean(dim=(0, 2, 3))
    out = VirtualBatchNorm2d(3, reference=8)(torch.cat([reference, x]))
    torch.testing.assert_close(out[:8], nn.BatchNorm2d(3)(reference), atol=1e-5, rtol=1e-4)
    expected = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + 1e-5)
    torch.testing.assert_close(out[8:], expected, atol=1e-5, rtol=1e-4)


def test_a_virtual_model_depends_on_its_reference_and_on_no_mate():
    reference, x = torch.rand(8, 1, 8, 8), torch.rand(4, 1, 8, 8)
    torch.manual_seed(1)
    model = small_cnn(1, 8, 10, norm="virtual", reference=reference)
    changed = model(torch.cat([x[:1], torch.rand(3, 1, 8, 8)]))
    assert torch.equal(model(x)[0], changed[0])
    torch.manual_seed(1)
    other = small_cnn(1, 8, 10, norm="virtual", reference=torch.cat([torch.rand(1, 1, 8, 8), reference[1:]]))
    assert not torch.equal(model(x)[0], other(x)[0])
    assert torch.equal(model.state_dict()["0.reference"], reference)  # the file holds the records


@pytest.mark.parametrize("norm", ["instance", "layer", "group", "virtual"])
def test_fleets_train_with_every_norm(rng, norm):
    x = rng.random((40, 1, 8, 8)).astype(np.float32)
    y = rng.integers(2, size=40)
    reference = torch.from_numpy(x[:4]) if norm == "virtual" else None
    fleet = train.fit_many(
        lambda: small_cnn(1, 8, 2, width=4, norm=norm, reference=reference),
        x,
        y,
        rng.random((2, 40)) < 0.5,
        train.Sgd(steps=3, batch_size=8),
        rng=rng,
    )
    assert np.isfinite(train.predict(fleet, x)).all()


def test_a_noisy_model_trains_and_the_same_seed_gives_the_same_model():
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 1, 8, 8)).astype(np.float32), rng.integers(2, size=40)

    def make():
        return small_cnn(1, 8, 2, width=4, norm=lambda c, _: NoisyBatchNorm2d(c, clip=3.0, noise=0.1))

    recipe = train.Sgd(steps=5, batch_size=8, learning_rate=0.01)
    one, two = (train.fit(make, x, y, recipe, rng=np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(train.predict(one, x), train.predict(two, x))
    assert np.isfinite(train.predict(one, x)).all()


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: norms.norm_layer("other", 4, 4), "norm must be one of 'none', .*'virtual', got 'other'"),
        (lambda: NoisyBatchNorm2d(3, clip=0.0, noise=1.0), "clip must be a finite number above 0, got 0.0"),
        (
            lambda: NoisyBatchNorm2d(3, clip=np.inf, noise=1.0),
            "clip must be a finite number above 0, got inf",
        ),
        (lambda: NoisyBatchNorm2d(3, clip=1.0, noise=-1.0), "noise must be a finite number of at least 0"),
        (lambda: NoisyBatchNorm2d(3, clip=1.0, noise=1.0, kind="pink"), "kind must be one of 'gaussian', 'l"),
        (
            lambda: NoisyBatchNorm2d(3, clip=1.0, noise=1.0, momentum=0.0),
            r"momentum must be in \(0, 1\], got 0.0",
        ),
        (
            lambda: NoisyBatchNorm2d(3, clip=1.0, noise=1.0).sensitivity(0),
            "records must be at least 1, got 0",
        ),
        (
            lambda: NoisyBatchNorm2d(3, clip=1.0, noise=0.0).mechanism(8),
            "noise must be a finite number above 0, got 0.0",
        ),
        (lambda: NoisyBatchNorm2d(0, clip=1.0, noise=1.0), "channels must be at least 1, got 0"),
        (
            lambda: NoisyBatchNorm2d(3, clip=1.0, noise=1.0)(torch.zeros(0, 3, 2, 2)),
            "the number of records must be at least 1, got 0",
        ),
        (lambda: VirtualBatchNorm2d(-3, 2), "channels must be at least 1, got -3"),
        (
            lambda: VirtualBatchNorm2d(3, 2, epsilon=-1.0),
            "epsilon must be a finite number of at least 0, got -1.0",
        ),
        (
            lambda: VirtualBatchNorm2d(3, 2)(torch.zeros(1, 3, 2, 2)),
            "the number of records must be at least 2, got 1",
        ),
        (lambda: norms.norm_layer("batch", 0, 4), "channels must be at least 1, got 0"),
        (lambda: norms.norm_layer("layer", 4, -1), "side must be at least 1, got -1"),
        (lambda: norms.norm_layer("group", 6, 4), "channels must be a multiple of 4, got 6"),
        (lambda: VirtualBatchNorm2d(3, 1), "the number of reference records must be at least 2, got 1"),
        (lambda: small_cnn(1, 8, 2, norm="virtual"), 'reference must be given for "virtual" normalisation'),
        (lambda: small_cnn(1, 8, 2, norm="batch", reference=torch.zeros(4, 1, 8, 8)), "and for no other"),
    ],
)
def test_the_door(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("norm", ["none", "batch", "instance", "layer", "group"])
def test_fleets_answer_whatever_the_strides_of_an_axis_of_length_1(norm):
    """Rows picked from a grey image set have a channel stride that torch takes for channels-last."""
    x = np.random.default_rng(0).random((40, 8, 8), dtype=np.float32)[:, None][np.arange(30)]
    fleet = train.Fleet.of([small_cnn(1, 8, 10, norm=norm) for _ in range(2)])
    np.testing.assert_allclose(train.predict(fleet, x), train.predict(fleet, x.copy(order="C")), atol=1e-5)
