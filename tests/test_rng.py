"""Randomness that becomes torch's, and randomness that nobody can draw again."""

import ast
import copy
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest

import mialab
from mialab import _rng, models
from mialab.canaries import dirac, mislabelled, train_with_canaries
from mialab.dp_sgd import DpSgd, fit_many_private, fit_private
from mialab.dp_sgd.update import noisy_mean
from mialab.federated import FedAvg, federate
from mialab.mechanisms.discrete import DiscreteLaplace
from mialab.mechanisms.noise import Gaussian, Laplace, Neighbours
from mialab.mechanisms.randomized_response import RandomizedResponse
from mialab.norms import NoisyBatchNorm2d
from mialab.secure import SystemGenerator
from mialab.train import Sgd, fit


def words_of(state):
    return state.numpy().view(np.uint64)[3:627].astype(np.uint32)


def grown_from_32_bits(words):
    """Tell whether each word follows from the one before, as where a seed of 32 bits was spread out."""
    before = words[:-1].astype(np.uint64)
    after = (
        np.uint64(1812433253) * (before ^ (before >> np.uint64(30))) + np.arange(1, 624, dtype=np.uint64)
    ) % np.uint64(2**32)
    return bool((after == words[1:]).mean() > 0.5)


def test_definition_the_whole_state_is_set_and_draws_are_the_mersenne_twister_s(rng):
    words = copy.deepcopy(rng).integers(2**32, size=624, dtype=np.uint32)
    generator = _rng.torch_generator(rng)
    assert np.array_equal(words_of(generator.get_state()), words)
    oracle = np.random.MT19937()
    oracle.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": 624}}
    drawn = torch.empty(2000, dtype=torch.int32).random_(generator=generator).numpy()
    assert np.array_equal(drawn, oracle.random_raw(2000) & 0x7FFFFFFF)


def test_a_seed_of_32_bits_would_be_seen():
    assert grown_from_32_bits(words_of(torch.Generator().manual_seed(2**40 + 5).get_state()))


def test_every_noise_of_torch_has_all_of_the_entropy(rng):
    states = [_rng.torch_generator(rng).get_state(), _rng.Noise(rng).generator.get_state()]
    with _rng.torch_stream(rng):
        states += [
            torch.get_rng_state(),
            NoisyBatchNorm2d(2, clip=1.0, noise=1.0).source.generator.get_state(),
        ]
    states.append(NoisyBatchNorm2d(2, clip=1.0, noise=1.0, rng=rng).source.generator.get_state())
    assert not any(grown_from_32_bits(words_of(state)) for state in states)
    assert len({bytes(words_of(state)) for state in states}) == len(states)


def test_nothing_else_seeds_torch():
    seeding = {"manual_seed", "manual_seed_all", "seed", "seed_all", "initial_seed"}
    found = [
        path.name
        for path in Path(mialab.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in seeding
        and ast.unparse(node.value) not in ("random", "np.random")  # Python's and NumPy's
    ]
    assert set(found) == {"_rng.py"}


@pytest.mark.parametrize(
    "block", [_rng.torch_undisturbed, lambda: _rng.torch_stream(np.random.default_rng(3))]
)
def test_torch_s_own_generators_are_put_back(monkeypatch, block):
    """On two GPUs as well, which are played here: their states are entries of a list."""
    gpus, here = [torch.tensor([1]), torch.tensor([2])], [0]

    class On:
        def __init__(self, gpu):
            self.gpu = gpu

        def __enter__(self):
            here[0] = self.gpu

        def __exit__(self, *_):
            here[0] = 0

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "device", On)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda gpu: gpus[gpu].clone())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, gpu: gpus.__setitem__(gpu, state))
    monkeypatch.setattr(
        torch.cuda, "manual_seed", lambda seed: gpus.__setitem__(here[0], torch.tensor([seed % 2**40]))
    )
    before = torch.get_rng_state()
    with block():
        inside = [int(one) for one in gpus]
        gpus[:] = [torch.tensor([7]), torch.tensor([8])]
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert [int(one) for one in gpus] == [1, 2]
    assert inside == [1, 2] or (set(inside).isdisjoint({1, 2}) and inside[0] != inside[1])


# The system's


def some(rng):
    return {
        "random": (rng.random(40_000), "uniform"),
        "normal": (rng.normal(size=(100, 400)).ravel(), "norm"),
        "normal in single precision": (rng.standard_normal(40_001, dtype=np.float32), "norm"),
        "laplace": (rng.laplace(size=40_000), "laplace"),
        "moved normal": ((rng.normal(3.0, np.full(40_000, 2.0)) - 3) / 2, "norm"),
    }


def test_coverage_the_system_s_numbers_follow_their_laws():
    for name, (numbers, law) in some(SystemGenerator()).items():
        assert kstest(numbers, law).pvalue > 1e-6, name
    rng = SystemGenerator()
    for low, high in ((0, 7), (-3, 4), (0, 2)):
        counts = np.unique(rng.integers(low, high, size=30_000), return_counts=True)
        assert counts[0].tolist() == list(range(low, high))
        assert chisquare(counts[1]).pvalue > 1e-6
    places = np.array([rng.permutation(4) for _ in range(4000)])
    assert all(chisquare(np.bincount(column)).pvalue > 1e-6 for column in places.T)
    pairs = rng.normal(size=40_000).reshape(2, -1)  # the two halves share their uniform numbers
    assert abs(np.corrcoef(pairs)[0, 1]) < 0.05
    assert abs(np.corrcoef(pairs**2)[0, 1]) < 0.05


def test_coverage_another_law_is_seen():
    assert kstest(1.1 * SystemGenerator().normal(size=40_000), "norm").pvalue < 1e-6


class Zeros(SystemGenerator):
    """All bits are 0."""

    def bytes(self, length):
        return bytes(length)


def test_limit_the_noise_ends_no_sooner_than_the_smallest_of_64_bits():
    assert Zeros()._uniform((3,)) == pytest.approx(2.0**-65, rel=1e-15)
    assert Zeros().standard_normal(2)[0] == pytest.approx(
        2 * (130 * np.log(2)) ** 0.5
    )  # four times 9.5, halved
    assert Zeros().integers(2**64, dtype=np.uint64) == 0


def test_the_largest_ranges_and_single_numbers():
    rng = SystemGenerator()
    assert {int(rng.integers(3, endpoint=True)) for _ in range(200)} == {0, 1, 2, 3}
    assert rng.integers(2**64, size=1000, dtype=np.uint64).max() > 2**63
    assert rng.integers(3 * 2**62, size=1000, dtype=np.uint64).max() < 3 * 2**62
    assert isinstance(rng.random(), float)
    assert rng.normal(np.zeros((2, 3))).shape == (2, 3)
    assert rng.permutation(np.arange(6).reshape(3, 2)).sum() == 15
    with pytest.raises(ValueError, match="high - low must be in 1 … 2⁶⁴, got 0"):
        rng.integers(3, 3)
    with pytest.raises(ValueError, match="out must be None, got ndarray"):
        rng.random(out=np.zeros(3))


class Ones(SystemGenerator):
    """All bits are 1."""

    def bytes(self, length):
        return b"\xff" * length


def test_limit_a_number_below_1_stays_below_1_in_single_precision():
    assert Ones().random(dtype=np.float32) == 1 - 2.0**-24
    assert Ones().random() == 1 - 2.0**-53
    numbers = SystemGenerator().random(40_000, dtype=np.float32)
    assert numbers.dtype == np.float32
    assert (numbers * 2**24 == np.floor(numbers * 2**24)).all()
    assert kstest(numbers, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, int, ">f4"])
def test_other_precisions_are_refused(dtype):
    rng = SystemGenerator()
    for draw in (rng.random, rng.standard_normal):
        with pytest.raises(ValueError, match=f"dtype must be float32 or float64, got {np.dtype(dtype)}"):
            draw(3, dtype=dtype)


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 300, "uint8"), (-5, 5, "uint8"), (0, 2**64, "int64"), (0, 3, "bool"), (-129, 0, "int8")],
)
def test_whole_numbers_do_not_wrap_around(low, high, dtype):
    with pytest.raises(ValueError, match=f"low and high must fit dtype {dtype}, got {low} and {high}"):
        SystemGenerator().integers(low, high, size=3, dtype=dtype)
    with pytest.raises(ValueError, match=r"high|low"):
        np.random.default_rng().integers(low, high, size=3, dtype=dtype)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "uint64", "bool"])
def test_limit_the_widest_range_of_every_dtype_fits(dtype):
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    drawn = SystemGenerator().integers(low, high, size=3000, dtype=dtype, endpoint=True)
    assert drawn.dtype == dtype
    assert int(drawn.min()) <= low + (int(high) - int(low)) // 10
    assert int(drawn.max()) >= high - (int(high) - int(low)) // 10
    with pytest.raises(ValueError, match="dtype must be of integers or bool, got float64"):
        SystemGenerator().integers(3, dtype=float)


@pytest.mark.parametrize("scale", [-1.0, np.nan, np.array([1.0, -1.0])])
def test_a_scale_that_is_none_is_refused(scale):
    rng = SystemGenerator()
    for draw in (rng.normal, rng.laplace):
        with pytest.raises(ValueError, match="scale must be at least 0, got"):
            draw(0.0, scale)
        assert draw(3.0, 0.0) == 3.0


def test_many_bytes_are_drawn_in_pieces(monkeypatch):
    asked = []
    monkeypatch.setattr("mialab.secure._PIECE", 8)
    monkeypatch.setattr("mialab.secure._system_bytes", lambda n: asked.append(n) or bytes([len(asked)]) * n)
    assert SystemGenerator().bytes(19) == b"\1" * 8 + b"\2" * 8 + b"\3" * 3
    assert asked == [8, 8, 3]
    assert SystemGenerator().bytes(0) == b""
    assert SystemGenerator().random(5).shape == (5,)
    with pytest.raises(ValueError, match="length must be at least 0, got -1"):
        SystemGenerator().bytes(-1)


def test_coverage_a_choice_is_even():
    rng = SystemGenerator()
    assert chisquare(np.bincount(rng.choice(7, 30_000))).pvalue > 1e-6
    pairs = np.array([rng.choice(5, 2, replace=False) for _ in range(10_000)])
    assert (pairs[:, 0] != pairs[:, 1]).all()
    counts = np.bincount(5 * pairs[:, 0] + pairs[:, 1], minlength=25).reshape(5, 5)
    assert chisquare(counts[~np.eye(5, dtype=bool)]).pvalue > 1e-6


def test_oracle_a_choice_has_numpy_s_shapes():
    numpy_s, rows = np.random.default_rng(0), np.arange(12).reshape(3, 4)
    cases = [
        (5,),
        (5, 3),
        (5, (2, 2)),
        (rows,),
        (rows, 2),
        (rows, (2, 1)),
        ([3, 4], 2),
        (0, 0),
        (np.array(5),),
    ]
    for case in cases:
        for how in ({}, {"replace": False}, {"replace": False, "shuffle": False}):
            got, right = SystemGenerator().choice(*case, **how), numpy_s.choice(*case, **how)
            assert np.shape(got) == np.shape(right)
            assert set(np.ravel(got)) <= set(np.ravel(case[0])) | set(range(5))
    assert SystemGenerator().choice(rows, 2, axis=1).shape == (3, 2)
    assert SystemGenerator().choice(2**62, 3).shape == (3,)


def test_what_cannot_be_chosen_is_refused():
    rng = SystemGenerator()
    with pytest.raises(ValueError, match="p must be None, got list"):
        rng.choice(2, p=[0.5, 0.5])
    with pytest.raises(ValueError, match="size must be in 0 … 3 without replacement, got 4"):
        rng.choice(3, 4, replace=False)
    with pytest.raises(ValueError, match="size must be in 0 … 3 without replacement, got -1"):
        rng.choice(3, -1, replace=False)
    with pytest.raises(ValueError, match="high - low must be in 1 … 2⁶⁴, got 0"):
        rng.choice(0, 1)


def test_an_array_is_shuffled_in_place():
    rows = np.arange(300).reshape(100, 3)
    before = rows.copy()
    SystemGenerator().shuffle(rows)
    assert not np.array_equal(rows, before)
    assert np.array_equal(rows[rows[:, 0].argsort()], before)
    SystemGenerator().shuffle(rows, axis=1)
    assert np.array_equal(np.sort(rows[rows[:, 0].argsort()].ravel()), before.ravel())
    with pytest.raises(ValueError, match="x must be an array, got list"):
        SystemGenerator().shuffle([1, 2])


def test_a_copy_or_a_child_is_the_system_s_too():
    rng = SystemGenerator()
    for other in (copy.deepcopy(rng), copy.copy(rng), *rng.spawn(2)):
        assert type(other) is SystemGenerator
        assert str(other) == "SystemGenerator()"
    known = set(dir(np.random.Generator)) - set(vars(SystemGenerator))
    assert all(name.startswith("_") or name == "bit_generator" for name in known), (
        "a method that draws elsewhere"
    )


X, Y = np.eye(4, dtype=np.float32).repeat(5, axis=0), np.arange(4).repeat(5)
TWO, OWNER = np.ones((2, 20), dtype=bool), np.arange(20) % 2
RECIPE = DpSgd(clip=1.0, noise_multiplier=1.0, sampling_rate=0.5, steps=3, nominal_batch=10)
SHARED = FedAvg(2, 2, clip=1.0, noise_multiplier=1.0)
WHOLE = DiscreteLaplace(0.1, 1.0, 1.0, Neighbours.REPLACE)


def make():
    return models.mlp(4, (), 4)


def noisy(**how):
    return NoisyBatchNorm2d(1, clip=1.0, noise=1.0, **how)(torch.zeros(2, 1, 2, 2))


DRAWERS = {
    "fit": lambda rng: fit(make, X, Y, Sgd(steps=2), rng=rng)[1].weight,
    "fit_private": lambda rng: fit_private(make, X, Y, RECIPE, rng=rng)[1].weight,
    "fit_many_private": lambda rng: fit_many_private(make, X, Y, TWO, RECIPE, rng=rng)[1][1].weight,
    "federate": lambda rng: federate(make, X, Y, OWNER, TWO, SHARED, rng=rng).weights,
    "train_with_canaries": lambda rng: (
        train_with_canaries(make, X, Y, RECIPE, dirac(np.arange(3), 1.0), rng=rng).dot_product
    ),
    "mislabelled": lambda rng: mislabelled(X, Y, 9, classes=4, rng=rng)[0],
    "noisy layer": lambda rng: noisy(rng=rng),
    "noisy layer, Laplace": lambda rng: noisy(rng=rng, kind="laplace"),
    "Laplace": lambda rng: Laplace(1.0, 1.0, Neighbours.REPLACE)(np.zeros(3), rng=rng),
    "Gaussian": lambda rng: Gaussian(1.0, 1.0, Neighbours.REPLACE)(np.zeros(3), rng=rng),
    "DiscreteLaplace": lambda rng: [WHOLE(0.0, rng=rng) for _ in range(9)],
    "RandomizedResponse": lambda rng: RandomizedResponse(0.6)(np.zeros(99, dtype=int), rng=rng),
}


@pytest.mark.parametrize("name", DRAWERS)
def test_noise_from_the_system_comes_from_nowhere_else(name, monkeypatch):
    """Where all of the system's bits are known the same comes twice, else never."""

    def draw():
        return np.asarray(torch.as_tensor(DRAWERS[name](SystemGenerator())).detach())

    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert not np.array_equal(draw(), draw())
    known = []
    for _ in range(2):
        monkeypatch.setattr("mialab.secure._system_bytes", np.random.default_rng(5).bytes)
        known.append(draw())
    assert np.array_equal(*known)
    assert torch.equal(before, torch.get_rng_state())


# What floats give away


def as_it_was(total, std, noise):
    """Add noise in single precision, as it was once added."""
    return total.clone().add_(torch.empty_like(total).normal_(generator=noise.generator), alpha=std)


def blurred(total, std, noise):
    recipe = DpSgd(clip=1.0, noise_multiplier=std / (1 + 2**-10), sampling_rate=1.0, steps=1, nominal_batch=1)
    return noisy_mean(total.clone(), recipe, noise)


def share_on_it(seen, std):
    """Return the share of outputs that a sum of 0 can have, if the noise was scaled in single precision."""
    guess = (seen.double() / std).float()
    up, down, found = guess, guess, torch.zeros_like(seen, dtype=torch.bool)
    for _ in range(5):
        for one in (up, down):
            found |= torch.zeros_like(seen).add_(one, alpha=std) == seen
        up, down = (torch.nextafter(one, torch.full_like(one, end)) for one, end in ((up, 9e9), (down, -9e9)))
    return float(found.float().mean())


@pytest.mark.parametrize("source", [np.random.default_rng(1), SystemGenerator()])
def test_coverage_no_sum_has_outputs_that_another_has_not(source):
    """An absent word has a sum of 0: nothing but its noise must be seen of it. Once, its last bits told."""
    std, noise = 1.3, _rng.Noise(source)
    absent, there = torch.zeros(4000), torch.full((4000,), 0.01)
    shares = [share_on_it(blurred(total, std, noise), std) for total in (absent, there)]
    assert abs(shares[0] - shares[1]) < 4 * (0.5 / 4000) ** 0.5
    old = _rng.Noise(np.random.default_rng(1))
    shares = [share_on_it(as_it_was(total, std, old), std) for total in (absent, there)]
    assert shares[0] == 1
    assert shares[1] < 0.9


def test_limit_torch_s_noise_does_not_end_at_six_standard_deviations(rng):
    """Torch's own normal numbers in single precision do, which a δ of 1e-8 would notice."""
    noise = _rng.Noise(rng)
    with mock.patch.object(noise, "_bits", lambda *shape: torch.zeros(shape, dtype=torch.int32)):
        farthest = float(noise.normal(torch.zeros(2))[0])
    assert farthest == pytest.approx((2 * 63 * np.log(2)) ** 0.5, rel=1e-6)
    for one in (noise, _rng.Noise(SystemGenerator())):
        drawn = one.normal(torch.zeros(400_001)).numpy()
        assert drawn.dtype == np.float64
        assert kstest(drawn, "norm").pvalue > 1e-6
        assert abs(np.corrcoef(drawn[:200_000], drawn[-200_000:])[0, 1]) < 0.02
        assert abs(np.corrcoef(drawn[:200_000] ** 2, drawn[-200_000:] ** 2)[0, 1]) < 0.02
        assert abs((np.abs(drawn) > 4).sum() - 400_001 * 6.334e-5) < 5 * 25.3**0.5
    assert torch.empty(10**7).normal_(generator=_rng.torch_generator(rng)).abs().max() < 5.78
