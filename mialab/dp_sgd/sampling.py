"""Who takes part in a step: each record by its own coin."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from mialab.secure import SystemGenerator

Batch = Int[ndarray, "batch"]


def poisson_batches(records: int, rate: float, steps: int, *, rng: np.random.Generator) -> Iterator[Batch]:
    """Yield the record numbers of ``steps`` batches; in each, every record is with chance ``rate``.

    The records are independent of each other and of earlier steps, so a batch has no fixed size, and may be
    empty. It is drawn by its size, which is binomial, and then any subset of that size: the same law as one
    coin a record, at the cost of the batch alone. A `SystemGenerator` has a coin for every record.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> [batch.size for batch in poisson_batches(1000, 0.01, 6, rng=rng)]
    [11, 12, 12, 6, 9, 11]
    """
    for _ in range(steps):
        if isinstance(rng, SystemGenerator):
            yield np.flatnonzero(rng.random(records) < rate)
            continue
        yield rng.choice(records, rng.binomial(records, rate), replace=False, shuffle=False)
