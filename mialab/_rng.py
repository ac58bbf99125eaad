"""The only place where NumPy's randomness becomes torch's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def torch_undisturbed() -> Iterator[None]:
    """Run a block whose draws from torch's global generator don't matter, and leave no trace of them."""
    with torch.random.fork_rng(devices=[]):
        yield


@contextmanager
def torch_stream(rng: np.random.Generator) -> Iterator[None]:
    """Run a block with torch's own generators seeded from ``rng``, and put theirs back after it.

    Used for what can only draw from torch's global generator, such as a module's initial weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        yield


def torch_generator(rng: np.random.Generator, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a generator of its own for torch's draws on ``device``, seeded from ``rng``."""
    return torch.Generator(device).manual_seed(int(rng.integers(2**63)))


def fresh(make_model: Callable[[], nn.Module], rng: np.random.Generator) -> nn.Module:
    """Return a new module whose initial weights come from ``rng`` alone."""
    with torch_stream(rng):
        return make_model()
