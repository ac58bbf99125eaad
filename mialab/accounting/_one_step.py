"""One step of the sampled Gaussian, as losses on a grid: never less telling than the step itself.

Between two neighbouring grid points the output is made more telling: an output whose likelihood ratio lies
between theirs is replaced by one of the two, at random, such that it keeps its chance in both worlds. An
attacker can only gain from that, in either direction (Doroshenko et al. 2022 arrive at the same numbers
from the curve's side).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr, ndtri

from mialab.accounting._logs import scaled
from mialab.accounting.steps import Steps


@dataclass(frozen=True)
class Losses:
    """Losses ``(start + j) · spacing``, and their chances with the record.

    Without it the chances are e^−loss times as large; what is beyond the grid gives the record away
    (``sure``: outputs that never happen without it), or its absence (``sure_not``).
    """

    chance: Float[ndarray, "losses"]
    start: int
    spacing: float
    sure: float
    sure_not: float

    @property
    def loss(self) -> Float[ndarray, "losses"]:
        """The losses, rising."""
        return (self.start + np.arange(len(self.chance))) * self.spacing

    @property
    def without(self) -> Float[ndarray, "losses"]:
        """The chances of the same losses without the record."""
        return scaled(self.chance, -self.loss)


def losses(step: Steps, spacing: float, ends: tuple[float, float]) -> Losses:
    """Return the losses of one step on multiples of ``spacing``, that hold the two ends between them."""
    start, stop = int(np.floor(ends[0] / spacing)), int(np.ceil(ends[1] / spacing))
    loss = np.arange(start, stop + 1) * spacing
    cut = np.concatenate([[-np.inf], _where(step, loss), [np.inf]])
    absent = _between(cut, 0.0, step.noise_multiplier)
    shifted = _between(cut, 1.0, step.noise_multiplier)
    present = (1 - step.sampling_rate) * absent + step.sampling_rate * shifted
    chance, sure, sure_not = onto(loss, present, absent)
    return Losses(chance, start, spacing, sure, sure_not)


def onto(loss: ndarray, present: ndarray, absent: ndarray) -> tuple[ndarray, float, float]:
    """Move the chances of each cell to the two losses around it, such that both worlds' sums stay.

    The first cell lies before the first loss, the last after the last. There the other world's whole chance
    is moved to the loss, and the rest gives everything away.
    """
    grown = scaled(absent[1:], loss)  # the chance "present", were the loss that of the left point
    lower, upper = grown[:-1], min(grown[-1], present[-1])
    right = np.clip((present[1:-1] - lower) / -np.expm1(-np.diff(loss)), 0, present[1:-1])
    chance = np.append(present[1:-1] - right, upper)
    chance[1:] += right
    chance[0] += present[0]
    sure_not = absent[0] - scaled(present[:1], -loss[:1])[0]
    return chance, float(present[-1] - upper), max(float(sure_not), 0.0)


def loss_at(step: Steps, output: Float[ndarray, "outputs"]) -> Float[ndarray, "outputs"]:
    """Return ln((1 − q) + q·e^((2x − 1)/(2σ²))), which rises with the output x."""
    q, exponent = step.sampling_rate, (output - 0.5) / step.noise_multiplier**2
    with np.errstate(divide="ignore"):
        return np.logaddexp(np.log1p(-q), np.log(q) + exponent)


def reach(step: Steps, tail: float) -> tuple[float, float]:
    """Return outputs beyond which, on either side, less than ``tail`` lies in both worlds."""
    far = -ndtri(tail) * step.noise_multiplier
    return -far, 1 + far


def _where(step: Steps, loss: ndarray) -> ndarray:
    """Return the output with this loss, −∞ where every output has a larger one."""
    q = step.sampling_rate
    with np.errstate(divide="ignore"):  # the logarithm of e^loss − (1 − q)
        rest = loss + np.log(np.maximum(-np.expm1(np.log1p(-q) - loss), 0.0))
    return step.noise_multiplier**2 * (rest - np.log(q)) + 0.5


def _between(cut: ndarray, mean: float, deviation: float) -> ndarray:
    """Return the normal chance between neighbouring cuts, from whichever tail keeps the digits."""
    z = (cut - mean) / deviation
    below, above = np.diff(ndtr(z)), -np.diff(ndtr(-z))
    return np.where(z[:-1] < 0, below, above)
