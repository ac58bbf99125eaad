"""The only place where NumPy's randomness becomes torch's.

On a CPU torch's generator keeps 32 bits of any seed: a search finds them, and with them all of the noise.
So no seed is handed over, but the whole state, 624 words. A GPU's generator has a seed of 64 bits.

Torch's global generators are one for all threads: who sets them, or draws from them, does so behind a lock.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from mialab.secure import SystemGenerator

_WORDS = 624  # of the Mersenne Twister's state
_BYTES = 5056  # of torch's state: seed, place, the words, and what is left of a pair of normal numbers
_ONE_AT_A_TIME = threading.RLock()
_CHUNK = 2**15  # normal numbers made at once: they stay in the processor's cache
_FIRST = 3  # the words' place in it, in units of eight bytes


@contextmanager
def torch_undisturbed() -> Iterator[None]:
    """Run a block whose draws from torch's global generators don't matter, and leave no trace of them."""
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=_gpus()):
        yield


@contextmanager
def torch_stream(rng: np.random.Generator) -> Iterator[None]:
    """Run a block with torch's own generators set from ``rng``, and put theirs back after it.

    Used for what can only draw from torch's global generators, such as a module's initial weights.
    """
    with torch_undisturbed():
        torch.set_rng_state(_state(_words(rng)))
        for gpu in _gpus():
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(_seed(rng))
        yield


def torch_generator(rng: np.random.Generator, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a generator for torch's draws on ``device``, with all the entropy that it can hold."""
    generator = torch.Generator(device)
    if generator.device.type == "cpu":
        return generator.set_state(_state(_words(rng)))
    return generator.manual_seed(_seed(rng))


class Noise:
    """Where the noise on a tensor comes from: torch's generator, set from ``rng``; or the system.

    Normal numbers are made by Box & Muller's formula (1958) and come in double precision, whatever they are
    for. Torch's own in single precision end at 5.8 standard deviations, too soon for a small δ; and numbers
    in single precision, scaled, are a lattice with holes: a sum that is 0 stays on it, another does not,
    and that gives a record away (Mironov 2012). Of the system's numbers each is a sum of four.

    Parameters
    ----------
    rng
        With a `SystemGenerator` every number is the system's. Without any, torch's global generator decides.
    device
        Where the numbers are drawn, if they are torch's.
    """

    def __init__(self, rng: np.random.Generator | None = None, device: str | torch.device = "cpu"):
        self.system = rng if isinstance(rng, SystemGenerator) else None
        if rng is None:
            words = torch.randint(2**32, (_WORDS,), device="cpu").numpy()
            self.generator = torch.Generator().set_state(_state(words))
        elif self.system is None:
            self.generator = torch_generator(rng, device)

    def normal(self, like: Tensor) -> Tensor:
        """Return normal numbers of a tensor's shape, on its device, in double precision."""
        count, half = like.numel(), -(-like.numel() // 2)
        made = torch.empty(2, half, dtype=torch.float64, device=like.device)
        for start in range(0, half, _CHUNK):
            self._fill(made[:, start : start + _CHUNK])
        return made.view(-1)[:count].view(like.shape)

    def laplace(self, like: Tensor) -> Tensor:
        """Return Laplace numbers of scale 1, in double precision: the difference of two exponential ones."""
        if self.system is not None:
            return torch.from_numpy(np.asarray(self.system.laplace(size=tuple(like.shape)))).to(like.device)
        two = torch.empty(2, *like.shape, dtype=torch.float64, device=self.generator.device)
        one, other = two.exponential_(generator=self.generator)
        return (one - other).to(like.device)

    def _fill(self, made: Tensor) -> None:
        """Write normal numbers into two rows, each a sum of some over the root of how many.

        31 bits say how far out a pair is, and 31 more where they are few; as many say in which direction.
        """
        summed = 1 if self.system is None else 4
        far, where = self._bits(2, summed, made.shape[1])
        uniform = far.to(torch.float32).add_(0.5)
        if far.numel() and far.min() < 2**12:
            small = far < 2**12
            more = self._bits(1, 1, int(small.sum())).flatten()
            uniform[small] = (far[small] + (more + 0.5).double() * 2.0**-31).to(torch.float32)
        length = uniform.mul_(2.0**-31).log_().mul_(-2 / summed).sqrt_().double()
        angle = where.to(torch.float32).mul_(2 * math.pi * 2.0**-31)
        across, along = angle.cos().double().mul_(length), angle.sin_().double().mul_(length)
        made[0], made[1] = (one[0] if summed == 1 else one.sum(0) for one in (across, along))

    def _bits(self, *shape: int) -> Tensor:
        """Return whole numbers of 31 random bits."""
        if self.system is None:
            drawn = torch.empty(shape, dtype=torch.int32, device=self.generator.device)
            return drawn.random_(generator=self.generator)
        words = torch.frombuffer(bytearray(self.system.bytes(4 * math.prod(shape))), dtype=torch.int32)
        return words.view(shape).bitwise_and_(2**31 - 1)


def fresh(make_model: Callable[[], nn.Module], rng: np.random.Generator) -> nn.Module:
    """Return a new module whose initial weights come from ``rng`` alone."""
    with torch_stream(rng):
        return make_model()


def _gpus() -> list[int]:
    return list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []


def _words(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(2**32, size=_WORDS, dtype=np.uint32)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**64, dtype=np.uint64))


def _state(words: np.ndarray) -> Tensor:
    """Return a state of torch's generator for the CPU that starts with these words."""
    state = torch.Generator().get_state()
    if state.numel() != _BYTES:
        raise RuntimeError(f"torch must keep its generator in {_BYTES} bytes, got {state.numel()}")
    state.numpy().view(np.uint64)[_FIRST : _FIRST + _WORDS] = words
    return state
