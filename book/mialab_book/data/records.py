"""Records with their labels."""

from dataclasses import dataclass

from jaxtyping import Float32, Int64
from numpy import ndarray

from mialab import _check
from mialab._validation import door


@door
@dataclass(frozen=True, eq=False, repr=False)
class Records:
    """Records, their labels, and what the labels are called.

    Attributes
    ----------
    x
        Float32 (records, *features): rows of a table, or images of shape (channels, side, side).
    y
        Int64 (records,), labels 0 … classes - 1.
    classes
        Number of classes, at least 2.
    name
        What the set is called.
    class_names, feature_names
        One name per class, one per column of a table; empty where there are none.

    Raises
    ------
    ValueError
        If shapes, types or numbers of names do not fit, there is no record, a value is not finite, or a
        label is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> Records(np.zeros((4, 2), dtype=np.float32), np.array([0, 1, 1, 0]), classes=2, name="zeros")
    zeros: 4 records of 2 numbers, 2 classes
    """

    x: Float32[ndarray, "records *features"]
    y: Int64[ndarray, "records"]
    classes: int
    name: str
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()

    def __post_init__(self):
        _check.hold("x", self.x, 1, "records")
        if self.x.ndim < 2:
            _check.refuse("x", "have shape (records, *features)", f"shape {self.x.shape}")
        _check.finite("x", self.x)
        _check.at_least("classes", self.classes, 2)
        _check.labels("y", self.y, self.classes)
        for name, size in (("class_names", self.classes), ("feature_names", self.x.shape[1])):
            names = getattr(self, name)
            if names and len(names) != size:
                _check.refuse(name, f"be empty or have {size} names", len(names))

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.y)

    def __repr__(self) -> str:
        """Say in one line what is held."""
        shape = " × ".join(str(size) for size in self.x.shape[1:])
        return f"{self.name}: {len(self):,} records of {shape} numbers, {self.classes} classes"
