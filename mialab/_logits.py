"""Logits, and what is taken for them by mistake."""

import numpy as np
from numpy import ndarray

from mialab import _check

_BITS = (8, 11)  # of a number's mantissa, in the two kinds of 16 bits
_DIGITS = range(2, 7)
_ROUNDING = 1e-5  # of a sum in single precision, or of seven digits


def are_probabilities(rows: ndarray) -> bool:
    """Return whether every row lies in [0, 1] and sums to 1, as nearly as its numbers are rounded.

    One row may do so by accident, but then to five digits, unless its numbers have fewer.

    Examples
    --------
    >>> are_probabilities(np.array([[0.333, 0.333, 0.333], [0.5, 0.25, 0.25]]))
    True
    >>> are_probabilities(np.array([[0.333, 0.333, 0.333], [2.5, 0.25, 0.25]]))
    False
    """
    if rows.shape[-1] < 2 or not rows.size or not (rows.min() >= 0 and rows.max() <= 1 + _ROUNDING):
        return False
    wide = np.asarray(rows, dtype=float)
    off = float(np.abs(wide.sum(axis=-1) - 1).max())
    return off <= _ROUNDING or off <= _resolution(wide)


def refuse_probabilities(name: str, rows: ndarray, advice: str) -> None:
    """Refuse probabilities where logits are meant; the message ends with the advice."""
    if are_probabilities(rows):
        _check.refuse(name, "be logits", f"probabilities (in [0, 1], with sum 1): {advice}")
    if rows.size and 1 < rows.max() <= 101 and are_probabilities(np.asarray(rows, dtype=float) / 100):
        _check.refuse(name, "be logits", f"probabilities in per cent (with sum 100), divide by 100: {advice}")


def _resolution(p: ndarray) -> float:
    """Return how far sums may be off for the rounding of their terms: to few bits, or to few digits."""
    mantissa, _ = np.frexp(p)
    for bits in _BITS:
        if not (mantissa * 2**bits % 1).any():
            return 2.0 ** (3 - bits)
    tens = np.ceil(np.log10(np.where(p > 1e-30, p, 1)))
    for digits in _DIGITS:
        whole = p * 10.0 ** (digits - tens)
        if np.abs(whole - whole.round()).max() < 1e-7 * 10.0**digits:
            return 0.5 * max(p.shape[-1], 10) * 10.0**-digits
    return 0.0
