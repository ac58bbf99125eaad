"""When the model says nothing but its answer: ask about the record, and about altered copies of it."""

from collections.abc import Sequence

import numpy as np

from mialab import _check
from mialab._types import Score
from mialab._validation import door
from mialab.attacks.learned import Answers, stack
from mialab.game import Observations


@door
def by_count(target: Answers, shadows: Sequence[Observations]) -> Score:
    """Score each record by how many of its copies are answered rightly.

    Choquette-Choo et al. 2021: a member is more often answered rightly under the alterations that the
    model was, or was not, trained with. How much a number of right answers says for membership is
    counted on the shadows, by Laplace's rule of succession.

    Parameters
    ----------
    target
        For each query, a shifted copy for instance, 1 where the target is right about a record, else 0.
    shadows
        The same for the attacker's own models, one `Observations` for each query, all of one
        membership: `signals.correctness` of the altered records.

    Returns
    -------
    Scores (records,): log P(count | member) − log P(count | non-member), in nats.

    Raises
    ------
    ValueError
        If shapes or memberships differ, a signal is neither 0 nor 1, or the shadows have no members or
        no non-members.

    Examples
    --------
    >>> shadows = Observations(np.array([[1.0, 1.0, 0.0, 1.0]]), np.array([[True, True, False, False]]))
    >>> np.exp(by_count(np.array([[1.0, 0.0, 1.0, 0.0]]), [shadows])).round(2)
    array([1.5, 0.5, 1.5, 0.5])
    """
    answers, member = stack(target, shadows)
    for name, bits in (("target", target), ("shadows", answers)):
        wrong = bits[(bits != 0) & (bits != 1)]
        if wrong.size:
            _check.refuse(name, "be 1 for a right answer and 0 for a wrong one", wrong[0])
    _check.both_kinds("shadows.member", member)
    right, possible = answers.sum(axis=0).astype(int), len(target) + 1
    log_in, log_out = (
        np.log(np.bincount(right[side], minlength=possible) + 1) - np.log(side.sum() + possible)
        for side in (member, ~member)
    )
    return (log_in - log_out)[target.sum(axis=0).astype(int)]
