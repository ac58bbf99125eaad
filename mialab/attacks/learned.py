"""Let a classifier learn, from shadow models, how members look."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._types import Label, Score
from mialab._validation import door
from mialab.game import Observations

Answers = Float[ndarray, "signals records"]


@door
def logistic(target: Answers, shadows: Sequence[Observations], label: Label) -> Score:
    """Score each record by an attack model for its class, trained on the shadows' answers.

    Shokri et al. 2017: one binary classifier for each class, which sees what a shadow model answers
    on a record and learns whether it is a member. Theirs is a neural network on all probabilities; this
    is a logistic regression on any signals. What the shadows' share of members adds to the odds is taken
    out again: pooled over targets that are each other's shadows, it would point the wrong way (whoever
    has many members leaves few to the others).

    Parameters
    ----------
    target
        Several signals of the target, one row each.
    shadows
        The same signals of the attacker's own models, one `Observations` each, all of one membership.
    label
        The records' classes.

    Returns
    -------
    Scores (records,): the log-odds of membership, if as many members as non-members were expected.

    Raises
    ------
    ValueError
        If shapes or memberships differ, or the shadows have no members or no non-members of a class.

    Examples
    --------
    >>> shadows = Observations(np.array([[5.0, 4.0, 0.0, 1.0]]), np.array([[True, True, False, False]]))
    >>> logistic(np.array([[6.0, -1.0, 6.0, -1.0]]), [shadows], np.zeros(4, dtype=int)) > 0
    array([ True, False,  True, False])
    """
    from sklearn.linear_model import LogisticRegression  # as slow to import as all the rest

    features, member = stack(target, shadows)
    score = np.empty(len(label))
    for one in np.unique(label):
        there = label == one
        seen, truth = features[:, :, there].reshape(len(features), -1).T, member[:, there].ravel()
        _check.both_kinds(f"shadows.member of class {one}", truth)
        centre, scale = seen.mean(axis=0), seen.std(axis=0)
        scale[scale == 0] = 1  # a signal that never varies stays at 0
        model = LogisticRegression(max_iter=1000).fit((seen - centre) / scale, truth)
        odds = model.decision_function((target[:, there].T - centre) / scale)
        score[there] = odds - np.log(truth.sum() / (~truth).sum())
    return score


@door
def stack(
    target: Answers, shadows: Sequence[Observations]
) -> tuple[Float[ndarray, "signals models records"], ndarray]:
    """Put the shadows' signals on top of each other, and refuse what does not fit.

    Returns
    -------
    The signals, and the one membership (models, records) that they share.
    """
    if len(target) != len(shadows) or not len(shadows):
        _check.refuse("target and shadows", "have the same signals", f"{len(target)} and {len(shadows)}")
    _check.finite("target", target)
    for one in shadows:
        if one.signal.shape[1] != target.shape[1]:
            sizes = f"{target.shape[1]} and {one.signal.shape[1]}"
            _check.refuse("target and shadows", "have the same number of records", sizes)
        if not np.array_equal(one.member, shadows[0].member):
            _check.refuse("shadows", "have the same membership for every signal", "another one")
    return np.stack([one.signal for one in shadows]), shadows[0].member
