"""What scikit-learn brings along: real records without a network.

scikit-learn is imported when it is asked for, because that alone takes longer than reading the records.
"""

from typing import Any

import numpy as np

from mialab_book.data.records import Records


def digits() -> Records:
    """Return real handwritten digits, small enough to train hundreds of models on.

    1,797 images of shape (1, 8, 8), 10 classes. A pixel is the share of ink, in [0, 1], of a 4 × 4 block
    of the scan: counts from 0 to 16, divided by 16. Source: Alpaydin & Kaynak 1998, "Optical Recognition
    of Handwritten Digits", UCI Machine Learning Repository; the copy in `sklearn.datasets.load_digits`.

    Examples
    --------
    >>> digits()
    digits: 1,797 records of 1 × 8 × 8 numbers, 10 classes
    """
    from sklearn.datasets import load_digits

    table: Any = load_digits()
    return Records(
        x=(table.images / 16).astype(np.float32)[:, None],
        y=table.target.astype(np.int64),
        classes=10,
        name="digits",
        class_names=tuple(str(name) for name in table.target_names),
    )


def patients() -> Records:
    """Return the records of 569 real patients: 30 measurements of cells from a breast tumour.

    Label 0 is *malignant* (212 records), label 1 is *benign* (357 records), as scikit-learn has them.
    Source: Wolberg, Street & Mangasarian 1995, "Breast Cancer Wisconsin (Diagnostic)", UCI Machine
    Learning Repository; the copy in `sklearn.datasets.load_breast_cancer`.

    Every column is standardised by its mean and standard deviation over *all* 569 records, members and
    non-members alike. So an attack compares records that were treated alike; but whoever publishes
    such a table has told a little about everybody in it, because each record moves the mean. In a real
    release the two numbers come from public data, or are themselves protected.

    Examples
    --------
    >>> patients()
    patients: 569 records of 30 numbers, 2 classes
    """
    from sklearn.datasets import load_breast_cancer

    table: Any = load_breast_cancer()
    x = (table.data - table.data.mean(axis=0)) / table.data.std(axis=0)
    return Records(
        x=x.astype(np.float32),
        y=table.target.astype(np.int64),
        classes=2,
        name="patients",
        class_names=tuple(str(name) for name in table.target_names),
        feature_names=tuple(str(name) for name in table.feature_names),
    )
