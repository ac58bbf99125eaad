"""The attack that never looks at the model: if it works, the experiment is about the data."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mialab import _check
from mialab._types import Member
from mialab._validation import door
from mialab.game import Outcome
from mialab.metrics.estimate import Estimate
from mialab.metrics.roc import auc


@door
@dataclass(frozen=True)
class BlindBaseline:
    """How well members are told from non-members by the records alone.

    Attributes
    ----------
    auc
        The area under the ROC of a classifier on records that it was not trained on.
    copies
        How many non-members are exact copies of a member, and so were trained on.

    Examples
    --------
    >>> print(BlindBaseline(Estimate(0.81, 0.74, 0.86, 0.95, "DeLong")))
    about the data: without the model, members are told from non-members with an AUC of 0.810 [0.740, 0.860]
    >>> print(BlindBaseline(Estimate(0.51, 0.43, 0.59, 0.95, "DeLong"), copies=7))
    no sign of a difference between members and non-members without the model: AUC 0.510 [0.430, 0.590]; \
but 7 non-members are exact copies of members
    """

    auc: Estimate
    copies: int = 0

    @property
    def about_the_data(self) -> bool:
        """Whether the records alone say something of membership: the whole interval lies off ½.

        Below ½, what one half of the records teaches is wrong in the other. Coins do not do that; pairs
        of similar records do, one of them a member and one not.
        """
        return self.auc.low > 0.5 or self.auc.high < 0.5

    def __str__(self) -> str:
        """Say what an attack on this experiment would be about."""
        said = f"no sign of a difference between members and non-members without the model: AUC {self.auc}"
        if self.about_the_data:
            told = f"with an AUC of {self.auc}"
            said = f"about the data: without the model, members are told from non-members {told}"
            said += "" if self.auc.value > 0.5 else ", below ½: the wrong way round, as no coins would"
        return said + (f"; but {self.copies} non-members are exact copies of members" if self.copies else "")


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
    wrong: one time in twenty at a confidence of 95 %, in either direction. That it learns nothing proves
    nothing: another classifier, or more records, may find a difference.

    Copies of a record (the same features, the same label) stay together in one half, or the forest would be
    asked what it was told; how many non-members are copies of members is counted apart. So where records
    take few different values, only what one value says of the others is found.

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
    The area under the ROC on the second half, with its interval; and the number of copies.

    Raises
    ------
    ValueError
        If numbers of records differ, a record is not finite, a half has no members or no non-members, or
        ``confidence`` is not in (0, 1).

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

    _check.finite("x", x)
    _check.confidence(confidence)
    rows = np.column_stack([x.reshape(len(x), -1), y])
    original = _first_copies(rows)
    learn, judge = _halves(original, rng)
    for half in (learn, judge):
        _check.both_kinds("member, in each half,", member[half])
    forest = RandomForestClassifier(200, min_samples_leaf=5, random_state=int(rng.integers(2**31)))
    score = forest.fit(rows[learn], member[learn]).predict_proba(rows[judge])[:, 1]
    found = auc(Outcome(score, member[judge]), confidence=confidence)
    return BlindBaseline(found, int(np.isin(original[~member], original[member]).sum()))


def _first_copies(rows: Float[ndarray, "records features"]) -> Int[ndarray, "records"]:
    """Return for each record the place of the first that is the same."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault((row + 0.0).tobytes(), place) for place, row in enumerate(rows)])


def _halves(original: Int[ndarray, "records"], rng: np.random.Generator) -> list[Int[ndarray, "half"]]:
    """Deal the different records out to two halves; copies follow them."""
    different = np.unique(original)
    turn = np.empty(len(original), dtype=int)
    turn[rng.permutation(different)] = np.arange(len(different))
    order = np.argsort(turn[original], kind="stable")
    return np.split(order, [int((turn[original] < (len(different) + 1) // 2).sum())])
