"""Which records a model sees at which step.

A model goes through its records in a fresh random order, then in another, and so on; a batch is the
next ``batch_size`` of that endless stream. So all of its records are seen equally often (give or take
one pass), no other record is ever seen, and models with few records simply come round sooner.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor


def batches(
    records: int, steps: int, batch_size: int, *, rng: np.random.Generator
) -> Iterator[Int[ndarray, "batch_size"]]:
    """Yield ``steps`` batches of record numbers, cut from one random order after another.

    Examples
    --------
    >>> seen = np.concatenate(list(batches(5, steps=4, batch_size=3, rng=np.random.default_rng(0))))
    >>> np.bincount(seen)  # twelve draws from five records: twice each, and two of them a third time
    array([3, 2, 3, 2, 2])
    """
    waiting = np.empty(0, dtype=np.int64)
    for _ in range(steps):
        if (missing := batch_size - waiting.size) > 0:
            orders = (rng.permutation(records) for _ in range(-(-missing // records)))
            waiting = np.concatenate([waiting, *orders])
        yield waiting[:batch_size]
        waiting = waiting[batch_size:]


def fleet_batches(
    members: list[Int[ndarray, "_"]], steps: int, batch_size: int, *, rngs: list[np.random.Generator]
) -> Iterator[Int[ndarray, "models batch_size"]]:
    """Yield the batches of a whole fleet, step by step, as record numbers.

    ``members[i]`` lists the record numbers of model ``i``; ``rngs[i]`` is its own generator.
    """
    streams = [
        (rows, batches(rows.size, steps, batch_size, rng=rng))
        for rows, rng in zip(members, rngs, strict=True)
    ]
    for _ in range(steps):
        yield np.stack([rows[next(stream)] for rows, stream in streams])


def look_up(x: Tensor, y: Tensor, numbers: Int[ndarray, "models batch_size"]) -> tuple[Tensor, Tensor]:
    """Return the records (models, batch, …) and labels (models, batch) that have these numbers."""
    rows = torch.from_numpy(numbers).to(x.device)
    return x.index_select(0, rows.flatten()).view(*rows.shape, *x.shape[1:]), y[rows]
