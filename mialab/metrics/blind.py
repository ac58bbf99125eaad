"""The attack that never looks at the model: if it works, the experiment is about the data."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mialab import _check
from mialab._types import Member
from mialab._validation import door
from mialab.game import Outcome
from mialab.metrics.area import auc
from mialab.metrics.estimate import Estimate


@door
@dataclass(frozen=True)
class BlindBaseline:
    """How well members are told from non-members by the records alone.

    Attributes
    ----------
    auc
        The area under the ROC of a classifier on records that it was not trained on.

    Examples
    --------
    >>> print(BlindBaseline(Estimate(0.81, 0.74, 0.86, 0.95, "DeLong")))
    about the data: without the model, members are told from non-members with an AUC of 0.810 [0.740, 0.860]
    """

    auc: Estimate

    @property
    def about_the_data(self) -> bool:
        """Whether the records alone give membership away: the whole interval lies above ½."""
        return self.auc.low > 0.5

    def __str__(self) -> str:
        """Say what an attack on this experiment would be about."""
        if self.about_the_data:
            told = f"with an AUC of {self.auc}"
            return f"about the data: without the model, members are told from non-members {told}"
        return f"no sign of a difference between members and non-members without the model: AUC {self.auc}"


@door
def blind_baseline(
    x: Float[ndarray, "records *features"],
    y: Int[ndarray, "records"],
    member: Member,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
) -> BlindBaseline:
    """Try to tell members from non-members without any model.

    Das, Zhang & Tramèr 2024 found that such attacks beat the published ones on eight sets of data, whose
    members and non-members came from different sources. Here a random forest learns membership from
    one half of the records, drawn at random, and is judged on the other. Where every record was given
    its own fair coin there is nothing to learn, and the forest is fooled as often as the interval is
    wrong: one time in forty at a confidence of 95 %. That it learns nothing proves nothing: another
    classifier, or more records, may find a difference.

    Parameters
    ----------
    x, y
        Records and their labels.
    member
        Bool (records,): membership as the experiment has it.
    rng
        Draws the halves and grows the forest.
    confidence
        Of the interval, in (0, 1).

    Returns
    -------
    The area under the ROC on the second half, with its interval.

    Raises
    ------
    ValueError
        If numbers of records differ, a record is not finite, or a half has no members or no
        non-members.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y, member = rng.normal(size=(400, 5)), np.zeros(400, dtype=int), rng.random(400) < 0.5
    >>> blind_baseline(x, y, member, rng=rng).about_the_data
    False
    >>> blind_baseline(x + member[:, None], y, member, rng=rng).about_the_data
    True
    """
    from sklearn.ensemble import RandomForestClassifier  # as slow to import as all the rest

    _check.same_shape("y", y, "member", member)
    _check.boolean("member", member)
    if len(x) != len(member):
        _check.refuse("x and member", "have the same number of records", f"{len(x)} and {len(member)}")
    _check.finite("x", x)
    rows = np.column_stack([x.reshape(len(x), -1), y])
    learn, judge = np.array_split(rng.permutation(len(x)), 2)
    for half in (learn, judge):
        _check.both_kinds("member, in each half,", member[half])
    forest = RandomForestClassifier(200, min_samples_leaf=5, random_state=int(rng.integers(2**31)))
    score = forest.fit(rows[learn], member[learn]).predict_proba(rows[judge])[:, 1]
    return BlindBaseline(auc(Outcome(score, member[judge]), confidence=confidence))
