"""Which records a model sees at which step.

A model goes through its records in a fresh random order, then in another, and so on; a batch is the
next ``batch_size`` of that endless stream. So all of its records are seen equally often (give or take
one pass), no other record is ever seen, and models with few records simply come round sooner.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int
from numpy import ndarray


def record_stream(records: int, *, rng: np.random.Generator) -> Iterator[Int[ndarray, "records"]]:
    """Yield one random order of 0 … records - 1 after another, for ever."""
    while True:
        yield rng.permutation(records)


def batches(
    records: int, steps: int, batch_size: int, *, rng: np.random.Generator
) -> Iterator[Int[ndarray, "batch_size"]]:
    """Cut the record stream of one model into ``steps`` batches.

    Examples
    --------
    >>> seen = np.concatenate(list(batches(5, steps=4, batch_size=3, rng=np.random.default_rng(0))))
    >>> np.bincount(seen)  # twelve draws from five records: twice each, and two of them a third time
    array([3, 2, 3, 2, 2])
    """
    stream = record_stream(records, rng=rng)
    waiting = np.empty(0, dtype=np.int64)
    for _ in range(steps):
        pieces = [waiting]
        held = waiting.size
        while held < batch_size:
            pieces.append(next(stream))
            held += records
        waiting = np.concatenate(pieces)
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
