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

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from mialab import _check

_CHUNK = 2**14  # numbers made at once: they stay in the processor's cache
_PIECE = 2**30  # bytes asked for at once: the source takes no number above 2³¹ − 1
_FINE = 2**12  # of 2³² : a uniform number below this gets 32 more bits


class SystemGenerator(np.random.Generator):
    """A `numpy.random.Generator` without a seed: every number comes from the operating system.

    For ``rng`` wherever noise is drawn that is to be released: the mechanisms, `dp_sgd.fit_private` and
    `dp_sgd.fit_many_private`, `federated.federate`, `canaries.train_with_canaries`, `norms.NoisyBatchNorm2d`.
    Simulations that need other laws refuse it. It draws from OpenSSL's source of random bytes (from
    `os.urandom` where Python was built without it) and cannot be repeated. It has the methods ``bytes``,
    ``random``, ``integers``, ``choice`` (all equally likely), ``permutation``, ``shuffle`` (of an array),
    ``normal``, ``standard_normal``, ``laplace`` and ``spawn``; all others of NumPy's refuse, so that nothing
    is drawn from elsewhere by accident.

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
        _check.at_least("length", length, 0)
        return b"".join([_system_bytes(min(_PIECE, length - start)) for start in range(0, length, _PIECE)])

    def spawn(self, n_children: int) -> list[np.random.Generator]:
        """Return more of the same."""
        return [SystemGenerator() for _ in range(n_children)]

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Return multiples of 2⁻⁵³ in [0, 1), or of 2⁻²⁴ in float32, which would round more bits up to 1."""
        _refuse_out(out)
        if _float_dtype(dtype) == np.float32:
            return _shaped((self._words(size, np.uint32) >> np.uint32(8)) * 2.0**-24, size, dtype)
        return _shaped((self._words(size, np.uint64) >> np.uint64(11)) * 2.0**-53, size, dtype)

    def integers(
        self, low: Any, high: Any = None, size: Any = None, dtype: Any = np.int64, endpoint: bool = False
    ) -> Any:
        """Return whole numbers from ``low`` (0 if given alone) to below ``high``, all equally likely."""
        start, end = (0, int(low)) if high is None else (int(low), int(high))
        span = end + bool(endpoint) - start
        if not 0 < span <= 2**64:
            _check.refuse("high - low", "be in 1 … 2⁶⁴", span)
        _check_fit(dtype, start, start + span - 1)
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

    def choice(
        self,
        a: Any,
        size: Any = None,
        replace: bool = True,
        p: Any = None,
        axis: int = 0,
        shuffle: bool = True,
    ) -> Any:
        """Return some of 0 … a − 1, or of an array's rows, all equally likely and in a random order."""
        if p is not None:
            _check.refuse("p", "be None", type(p).__name__)
        number, wanted = operator.index(a) if np.ndim(a) == 0 else np.shape(a)[axis], _count(size)
        if not (replace or 0 <= wanted <= number):
            _check.refuse("size", f"be in 0 … {number} without replacement", wanted)
        drawn = self.integers(number, size=wanted) if replace and wanted else self.permutation(number)
        which = _shaped(drawn[:wanted], size, np.int64)
        return which if np.ndim(a) == 0 else np.take(a, which, axis)

    def shuffle(self, x: Any, axis: int = 0) -> None:
        """Put the rows of an array in a random order, in place."""
        if not isinstance(x, np.ndarray):
            _check.refuse("x", "be an array", type(x).__name__)
        x[...] = self.permutation(x, axis)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Return normal numbers of mean 0 and standard deviation 1, in float32 or float64."""
        _refuse_out(out)
        made = np.empty(_count(size), _float_dtype(dtype))
        for start in range(0, made.size, _CHUNK):
            part = made[start : start + _CHUNK]
            part[:] = self._normal(part.size, made.dtype.type)
        return _shaped(made, size, dtype)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """Return normal numbers."""
        _check_scale(scale)
        return loc + scale * self.standard_normal(_broadcast(size, loc, scale))

    def laplace(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """Return Laplace numbers: N₁N₂ + N₃N₄ = −ln(U)·cos(πV) − ln(U′)·cos(πV′)."""
        _check_scale(scale)
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


def _float_dtype(dtype: Any) -> np.dtype:
    """Return the precision, which is single or double: elsewhere 0 and 1 would be drawn, or no number."""
    precision = np.dtype(dtype)
    if precision not in (np.float32, np.float64):
        _check.refuse("dtype", "be float32 or float64", precision)
    return precision


def _check_fit(dtype: Any, least: int, most: int) -> None:
    """Refuse whole numbers that would wrap around."""
    kind = np.dtype(dtype)
    if kind.kind not in "iub":
        _check.refuse("dtype", "be of integers or bool", kind)
    low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    if least < low or most > high:
        _check.refuse("low and high", f"fit dtype {kind}", f"{least} and {most + 1}")


def _check_scale(scale: Any) -> None:
    if not (np.asarray(scale) >= 0).all():
        _check.refuse("scale", "be at least 0", np.min(scale))


def _missing(name: str) -> Callable[..., None]:
    def refuse(self: SystemGenerator, *_: Any, **__: Any) -> None:
        raise NotImplementedError(f"SystemGenerator has no {name}: it would not come from the system")

    return refuse


for _name in dir(np.random.Generator):
    if not (_name.startswith("_") or _name == "bit_generator" or _name in vars(SystemGenerator)):
        setattr(SystemGenerator, _name, _missing(_name))
