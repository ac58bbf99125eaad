"""How much noise a promise needs."""

from mialab import _check
from mialab.accounting import privacy_loss, renyi
from mialab.accounting.guarantee import Guarantee, Neighbours
from mialab.accounting.steps import SampledGaussian


def smallest_noise(target: Guarantee, *, sampling_rate: float, steps: int, precision: float = 1e-3) -> float:
    """Return a noise multiplier that keeps the promise, at most a share ``precision`` above the smallest.

    Bisection, which keeps the end at which the privacy loss accountant proves the promise.

    Parameters
    ----------
    target
        The ε and δ that must not be exceeded, for adding or removing a record.
    sampling_rate, steps
        As in `SampledGaussian`.
    precision
        Above 0; relative.

    Raises
    ------
    ValueError
        If a number is out of its range, ``target`` is about replacing a record, its δ is 0 (no amount of
        Gaussian noise does that), or so large that no noise is needed.

    Examples
    --------
    >>> one = Guarantee(1.0, 1e-5, Neighbours.ADD_REMOVE)
    >>> f"{smallest_noise(one, sampling_rate=0.01, steps=1000):.3f}"
    '1.415'
    """
    _check_search(target, SampledGaussian(1.0, sampling_rate, steps), precision)

    def private(noise: float, accountant=privacy_loss) -> bool:
        run = SampledGaussian(noise, sampling_rate, steps)
        return accountant.guarantee(run, delta=target.delta).epsilon <= target.epsilon

    enough = 1.0
    while not private(enough, renyi):
        enough *= 2
    too_little = enough / 2
    while private(too_little):
        too_little, enough = too_little / 2, too_little
    while enough - too_little > precision * too_little:
        middle = (too_little + enough) / 2
        too_little, enough = (too_little, middle) if private(middle) else (middle, enough)
    return enough


def _check_search(target: Guarantee, run: SampledGaussian, precision: float) -> None:
    if target.neighbours != Neighbours.ADD_REMOVE:
        _check.refuse("target", f"be for {Neighbours.ADD_REMOVE}", target)
    _check.positive("precision", precision)
    ever = 1 - (1 - run.sampling_rate) ** run.steps
    if not 0 < target.delta < ever:
        _check.refuse(
            "target.delta", f"be in (0, {ever:g}), below the chance of ever taking part", target.delta
        )
