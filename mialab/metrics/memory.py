"""How much a record's own presence changes what the model says about it."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mialab import _check
from mialab._types import MemberMatrix
from mialab._validation import door


@door
def memorisation(
    correct: Bool[ndarray, "models records"], member: MemberMatrix, *, least: int = 20
) -> Float[ndarray, "records"]:
    """Return, for every record, how much more often models that hold it answer it correctly.

    Feldman & Zhang 2020, Eq. (1): P(correct | in) − P(correct | out), each estimated by the share among
    the fleet's models. Its mean over records is, in expectation, the generalisation
    gap.

    Parameters
    ----------
    correct, member
        (models, records): whether each model answers each record correctly, and whether it holds it.
    least
        How many models a record needs on each side.

    Returns
    -------
    Float (records,) in [−1, 1]; NaN for a record with fewer than ``least`` models on a side.

    Raises
    ------
    ValueError
        If shapes differ, an array is not bool, or ``least`` is below 1.

    Examples
    --------
    >>> member = np.array([[True, True], [True, False], [False, True], [False, False]])
    >>> correct = np.array([[True, True], [True, True], [False, True], [True, True]])
    >>> memorisation(correct, member, least=2)
    array([0.5, 0. ])
    """
    _check.at_least("least", least, 1)
    inside, outside = member.sum(axis=0), (~member).sum(axis=0)
    enough = np.minimum(inside, outside) >= least
    with np.errstate(invalid="ignore"):
        gain = (correct & member).sum(axis=0) / inside - (correct & ~member).sum(axis=0) / outside
    return np.where(enough, gain, np.nan)
