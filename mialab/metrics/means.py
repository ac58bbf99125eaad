"""A mean over models and records, such as the accuracy of a kind of model on a kind of record."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.metrics.estimate import Estimate
from mialab.metrics.pooled import METHOD, draws, percentile, read_off


@door
def pooled_mean(
    value: Float[ndarray, "models records"] | Bool[ndarray, "models records"],
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """Return the mean of a table of models and records, with an interval that resamples both.

    The pigeonhole bootstrap of `bootstrap`, for a mean. A difference of two means whose models share their
    coins, or whose records are the same, is the mean of the difference of the tables: pass that.

    Parameters
    ----------
    value
        (models, records), at least five of each; finite. Booleans count as 0 and 1.
    rng
        Where the resamples come from.
    resamples
        How many; at least 100, and enough for the percentile that has to be read off.
    confidence
        In (0, 1).

    Raises
    ------
    ValueError
        If the table is too small or not finite, or all its entries are equal, so that there is nothing to
        make an interval of.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> print(pooled_mean(rng.random((16, 200)) < 0.9, rng=rng))
    0.904 [0.879, 0.926]
    """
    table = value.astype(float)
    _check.finite("value", table)
    models, records = table.shape
    _check.hold("value", table, 5, "models")
    _check.hold("value", table.T, 5, "records")
    tail = percentile(models, records, resamples, confidence)
    if np.ptp(table) == 0:
        _check.refuse("value", "vary to have an interval", f"{table[0, 0]} everywhere")
    means = [draws(models, rng) @ table @ draws(records, rng) / table.size for _ in range(resamples)]
    mean = float(table.mean())
    low, high = read_off(np.array(means), tail)
    return Estimate(mean, min(low, mean), max(high, mean), confidence, METHOD)
