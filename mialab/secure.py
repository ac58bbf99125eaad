"""Random numbers that nobody can draw again: the operating system's, behind NumPy's methods.

A generator with a seed is for experiments: the same seed gives the same noise, and whoever knows the seed, or
finds it, takes the noise off. What is to be given away wants `SystemGenerator`.
"""

# NumPy types its methods by overloads, which an override need not repeat.
# pyright: reportIncompatibleMethodOverride=false

try:
    from ssl import RAND_bytes as _system_bytes  # a tenth of the time that os.urandom takes
except ImportError:
    from os import urandom as _system_bytes

from collections.abc import Callable
from typing import Any

import numpy as np

from mialab import _check

_CHUNK = 2**14  # numbers made at once: they stay in the processor's cache
_FINE = 2**12  # of 2³² : a uniform number below this gets 32 more bits


class SystemGenerator(np.random.Generator):
    """A `numpy.random.Generator` without a seed: every number comes from the operating system.

    For ``rng`` wherever this package takes one. It draws from OpenSSL's source of random bytes (from
    `os.urandom` where Python was built without it) and cannot be repeated. It has the methods ``bytes``,
    ``random``, ``integers``, ``permutation``, ``normal``, ``standard_normal``, ``laplace`` and ``spawn``; all
    others of NumPy's refuse, so that nothing is drawn from elsewhere by accident.

    **Normal and Laplace numbers are sums**, of four normal numbers over 2, and of two products, so that the
    last bits of a result do not tell from which uniform numbers it was made (Holohan & Braghin 2021; the
    attack on single draws is Mironov's of 2012). A uniform number that decides how far out a normal one lies
    has 32 bits, and 64 where it is small: 32 alone would end the noise too early, at about eight standard
    deviations. The proof of a promise is still about real numbers; `mialab.mechanisms.discrete` has none
    to round.

    Examples
    --------
    >>> from mialab.secure import SystemGenerator
    >>> rng = SystemGenerator()
    >>> rng.normal(size=3).shape, bool(0 <= rng.random() < 1), isinstance(rng, np.random.Generator)
    ((3,), True, True)
    >>> rng.poisson(3.0)
    Traceback (most recent call last):
    NotImplementedError: SystemGenerator has no poisson: it would not come from the system
    """

    def __init__(self):
        super().__init__(np.random.PCG64())  # NumPy wants one; nothing is drawn from it

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Copy as a generator of its own: there is no state to copy."""
        return SystemGenerator, ()

    def __repr__(self) -> str:
        """Name the source."""
        return "SystemGenerator()"

    __str__ = __repr__

    def bytes(self, length: int) -> bytes:
        """Return random bytes."""
        return _system_bytes(length)

    def spawn(self, n_children: int) -> list[np.random.Generator]:
        """Return more of the same."""
        return [SystemGenerator() for _ in range(n_children)]

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Return multiples of 2⁻⁵³ in [0, 1)."""
        _refuse_out(out)
        return _shaped((self._words(size, np.uint64) >> np.uint64(11)) * 2.0**-53, size, dtype)

    def integers(
        self, low: Any, high: Any = None, size: Any = None, dtype: Any = np.int64, endpoint: bool = False
    ) -> Any:
        """Return whole numbers from ``low`` (0 if given alone) to below ``high``, all equally likely."""
        start, end = (0, int(low)) if high is None else (int(low), int(high))
        span = end + bool(endpoint) - start
        if not 0 < span <= 2**64:
            _check.refuse("high - low", "be in 1 … 2⁶⁴", span)
        words = self._words(size, np.uint64).copy()
        most = 2**64 - 2**64 % span  # larger words are thrown away: they would favour the small numbers
        while most < 2**64 and (large := words >= np.uint64(most)).any():
            words[large] = self._words(int(large.sum()), np.uint64)
        drawn = words % np.uint64(span) if span < 2**64 else words
        return _shaped(drawn.astype(dtype) + np.asarray(start).astype(dtype), size, dtype)

    def permutation(self, x: Any, axis: int = 0) -> Any:
        """Return 0 … x − 1, or the rows of an array, in a random order."""
        rows = np.arange(x) if isinstance(x, int | np.integer) else np.asarray(x)
        order = np.argsort(self._words(rows.shape[axis], np.uint64), kind="stable")
        return rows.take(order, axis)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Return normal numbers of mean 0 and standard deviation 1, in float32 or float64."""
        _refuse_out(out)
        made = np.empty(_count(size), dtype)
        for start in range(0, made.size, _CHUNK):
            part = made[start : start + _CHUNK]
            part[:] = self._normal(part.size, np.dtype(dtype).type)
        return _shaped(made, size, dtype)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """Return normal numbers."""
        return loc + scale * self.standard_normal(_broadcast(size, loc, scale))

    def laplace(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """Return Laplace numbers: N₁N₂ + N₃N₄ = −ln(U)·cos(πV) − ln(U′)·cos(πV′)."""
        shape = _broadcast(size, loc, scale)
        count = _count(shape)
        far, angle = -np.log(self._uniform((2, count))), self._uniform((2, count))
        return loc + scale * _shaped((far * np.cos(np.pi * angle)).sum(axis=0), shape, np.float64)

    def _normal(self, count: int, dtype: type) -> np.ndarray:
        """Add up four normal numbers each (Box & Muller 1958), and halve the sum."""
        half = -(-count // 2)
        uniform = self._uniform((4, half))
        length = np.log(uniform, out=uniform).astype(dtype, copy=False)
        length *= dtype(-0.5)
        np.sqrt(length, out=length)
        angle = self._words((4, half), np.uint32).astype(dtype)
        angle *= dtype(2 * np.pi * 2.0**-32)
        across, along = np.cos(angle), np.sin(angle, out=angle)
        across *= length
        along *= length
        return np.concatenate([across.sum(axis=0), along.sum(axis=0)])[:count]

    def _uniform(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return numbers in (0, 1), as fine as 2⁻⁶⁴ near 0."""
        words = self._words(shape, np.uint32)
        uniform = words.astype(np.float64)
        uniform += 0.5
        if words.size and words.min() < _FINE:
            small = np.nonzero(words < _FINE)
            uniform[small] += (self._words(small[0].size, np.uint32) + 0.5) * 2.0**-32 - 0.5
        uniform *= 2.0**-32
        return uniform

    def _words(self, size: Any, kind: type) -> np.ndarray:
        shape = 1 if size is None else size
        return np.frombuffer(self.bytes(_count(size) * np.dtype(kind).itemsize), kind).reshape(shape)


def _count(size: Any) -> int:
    return 1 if size is None else int(np.prod(size, dtype=np.int64))


def _shaped(numbers: np.ndarray, size: Any, dtype: Any) -> Any:
    """Give an array its shape; without a size, one number is no array."""
    numbers = numbers.astype(dtype, copy=False)
    return numbers.reshape(-1)[0] if size is None else numbers.reshape(size)


def _broadcast(size: Any, *parameters: Any) -> Any:
    shape = np.broadcast_shapes(*(np.shape(one) for one in parameters))
    return size if size is not None else shape or None


def _refuse_out(out: Any) -> None:
    if out is not None:
        _check.refuse("out", "be None", type(out).__name__)


def _missing(name: str) -> Callable[..., None]:
    def refuse(self: SystemGenerator, *_: Any, **__: Any) -> None:
        raise NotImplementedError(f"SystemGenerator has no {name}: it would not come from the system")

    return refuse


for _name in dir(np.random.Generator):
    if not (_name.startswith("_") or _name == "bit_generator" or _name in vars(SystemGenerator)):
        setattr(SystemGenerator, _name, _missing(_name))
