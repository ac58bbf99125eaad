"""Scores from a file: CSV, Parquet or .npz, with the columns score and member. Nothing is ever unpickled."""

import numpy as np

from mialab import _check
from mialab.audit._csv import read_csv
from mialab.audit._npz import read_npz
from mialab.audit._parquet import read_parquet
from mialab.game import Design, Outcome


def read_scores(content: bytes, *, design: Design) -> Outcome:
    r"""Return the outcome that a file holds.

    What kind of file it is, its first bytes tell: .npz, Parquet (read with pyarrow), else CSV in UTF-8 with a
    header and one record a line, each with as many cells as the header. Other columns are left alone; empty
    lines are skipped. Membership is 0 or 1 (also 1.0, or 1.000e+00), true or false, t or f, yes or no, in any
    case. Scores become 64-bit floats: an integer that such a float does not hold is refused.

    Memory is bounded by the file's size: packed, it may hold 2 million records, and one more for every two
    bytes; a line of a CSV has at most 128 KiB.

    Parameters
    ----------
    content
        The whole file.
    design
        How membership was decided: the file cannot know.

    Raises
    ------
    ValueError
        If the file is empty or damaged, expands to more than it may, a column is missing or occurs twice, a
        line has more or fewer cells than the header, a score is no finite number or not exactly a float, a
        membership is no truth value (all with their row, the first record being row 1, or their line), or one
        kind of record is missing.

    Examples
    --------
    >>> read_scores(b"member,score\n1,0.9\n0,0.2\n", design=Design.RUNS).at(0.5).true_positives
    1
    """
    if not content.strip():
        _check.refuse("the file", "hold a header and records", "an empty file")
    read = {b"PK\x03\x04": read_npz, b"PAR1": read_parquet}.get(content[:4], read_csv)
    parts = [(np.zeros(0), np.zeros(0, dtype=bool)), *read(content)]
    score, member = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not len(score):
        _check.refuse("the file", "hold records", "a header alone")
    _check.both_kinds("the column member", member)
    return Outcome(score, member, design=design)
