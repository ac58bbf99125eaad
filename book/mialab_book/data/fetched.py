"""What lives elsewhere: fetched once, checked, kept."""

from typing import Literal

import numpy as np

from mialab._validation import door
from mialab_book.data import formats, sources
from mialab_book.data.cache import fetch
from mialab_book.data.records import Records

Part = Literal["train", "test"]


@door
def fashion_mnist(part: Part = "train") -> Records:
    """Return pictures of clothes: shape (1, 28, 28), grey from 0 to 1, 10 classes.

    60,000 records for ``"train"`` and 10,000 for ``"test"``. Source: Xiao, Rasul & Vollgraf 2017,
    arXiv:1708.07747 (MIT licence). About 31 MB are fetched for both parts.

    Raises
    ------
    ValueError
        If ``part`` is neither.
    DataError
        If the files cannot be had.

    Examples
    --------
    >>> fashion_mnist()  # doctest: +SKIP
    fashion_mnist: 60,000 records of 1 × 28 × 28 numbers, 10 classes
    >>> fashion_mnist("validation")
    Traceback (most recent call last):
    ValueError: part must be one of 'train', 'test', got 'validation'
    """
    images, labels = (formats.read_idx(fetch(remote)) for remote in sources.FASHION_MNIST[part])
    return Records(
        x=images[:, None] / np.float32(255),
        y=labels,
        classes=10,
        name="fashion_mnist",
        class_names=(
            *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
            *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
        ),
    )


@door
def cifar10(part: Part = "train") -> Records:
    """Return small photographs: shape (3, 32, 32), red, green and blue from 0 to 1, 10 classes.

    50,000 records for ``"train"`` and 10,000 for ``"test"``. Source: Krizhevsky 2009, "Learning Multiple
    Layers of Features from Tiny Images", in its binary version: the other one consists of pickles, which
    run whatever their author wrote into them. 170 MB are fetched; the training part takes 614 MB of memory.

    Raises
    ------
    ValueError
        If ``part`` is neither.
    DataError
        If the archive cannot be had.

    Examples
    --------
    >>> cifar10()  # doctest: +SKIP
    cifar10: 50,000 records of 3 × 32 × 32 numbers, 10 classes
    >>> cifar10("validation")
    Traceback (most recent call last):
    ValueError: part must be one of 'train', 'test', got 'validation'
    """
    images, labels = formats.read_cifar(fetch(sources.CIFAR10), sources.CIFAR10_BATCHES[part])
    return Records(
        x=images / np.float32(255),
        y=labels,
        classes=10,
        name="cifar10",
        class_names=(
            *("airplane", "automobile", "bird", "cat", "deer"),
            *("dog", "frog", "horse", "ship", "truck"),
        ),
    )


def location30() -> Records:
    """Return where 5,010 people went: 446 columns of 0 and 1, 30 classes.

    A column says whether a person checked in at a region or a kind of place in Bangkok; a class is a
    cluster of similar people. Source: Shokri et al. 2017, arXiv:1610.05820, whose authors made the
    table from check-ins at Foursquare. 0.3 MB are fetched.

    Raises
    ------
    DataError
        If the archive cannot be had.

    Examples
    --------
    >>> location30()  # doctest: +SKIP
    location30: 5,010 records of 446 numbers, 30 classes
    """
    bits, labels = formats.read_binary_table(fetch(sources.LOCATION30), "bangkok", features=446, classes=30)
    return Records(x=bits, y=labels, classes=30, name="location30")
