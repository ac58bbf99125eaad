"""Every verdict of "People" can say "no"."""

import numpy as np
import pytest

from mialab import metrics, tradeoff
from mialab.game import Observations
from verdicts import between, claims_on

CHAPTER = "4_world/people"
RARE, COMMON = "digits: twenty eights", "digits: common"
SAME = "all digits: the same eights"


def stand_ins(**changes):
    rng = np.random.default_rng(0)
    member = rng.random((12, 20)) < 0.5
    luck = rng.normal(size=(12, 20))
    scores = {"plain": Observations(luck + 2 * member, member), "private": Observations(luck, member)}
    good = {
        "Markdown": str,
        "metrics": metrics,
        "posterior": tradeoff.posterior,
        "posterior_bound": tradeoff.posterior_bound,
        "settings": {"rng": rng, "resamples": 500},
        "GROUPS": {RARE: (np.ones(20, dtype=bool), None)},
        "STUDIES": {"digits": (member, scores, None)},
        "rare": RARE,
        "common": COMMON,
        "same": SAME,
        "restored": between(0.1, 0.4),
        "exposure": {(RARE, "plain"): between(0.8, 0.95), (COMMON, "plain"): between(0.57, 0.6)},
        "cost": {
            (RARE, "private"): between(0.4, 0.6),
            (COMMON, "private"): between(0.03, 0.06),
            (SAME, "private"): between(0.05, 0.15),
            (RARE, "clipped"): between(0.4, 0.6),
            (COMMON, "clipped"): between(0.0, 0.03),
            (RARE, "clipped, faster"): between(-0.1, 0.05),
            (COMMON, "private, faster"): between(0.2, 0.3),
        },
        "overall": between(0.04, 0.08),
        "week": 0.999,
    }
    for name, change in changes.items():
        good[name] = good[name] | change if isinstance(change, dict) else change
    return good


def turned_round(value):
    member, scores, _ = value["STUDIES"]["digits"]
    turned = {"plain": scores["private"], "private": scores["plain"]}
    return value | {"STUDIES": {"digits": (member, turned, None)}}


BAD = {
    "with one member in a hundred, an accusation at 5 % FPR and 50 % TPR is more often wrong than right": (
        stand_ins(posterior=lambda prior, fpr, tpr: tpr)
    ),
    "one in a thousand becomes less than three in a thousand at ε = 1": stand_ins(
        posterior_bound=lambda prior, epsilon: prior * np.exp(2 * epsilon)
    ),
    "twenty eights are more exposed than the common digits": stand_ins(
        exposure={(RARE, "plain"): between(0.55, 0.95)}
    ),
    "the same twenty are less exposed where the other eights are there too": stand_ins(
        restored=between(-0.01, 0.4)
    ),
    "the promise takes exposure from them": turned_round(stand_ins()),
    "the eights pay more accuracy for it than the common digits": stand_ins(
        cost={(RARE, "private"): between(0.02, 0.3)}
    ),
    "and more than eights do where all the eights are there": stand_ins(
        cost={(SAME, "private"): between(0.3, 0.5)}
    ),
    "clipped at the same learning rate they pay without any noise": stand_ins(
        cost={(RARE, "clipped"): between(0.01, 0.6)}
    ),
    "clipped at ten times the rate they have most of it back": stand_ins(
        cost={(RARE, "clipped, faster"): between(-0.1, 0.3)}
    ),
    "with noise that rate costs the common digits more than the slow one": stand_ins(
        cost={(COMMON, "private, faster"): between(0.02, 0.1)}
    ),
    "an average in the proportions of training shows less than half of their loss": stand_ins(
        overall=between(0.1, 0.3)
    ),
    "seven days at ε = 2 a day allow near certainty from 1 %": stand_ins(week=0.5),
}


def test_all_claims_hold_on_good_results():
    assert all(claims_on(CHAPTER, stand_ins()).values())


@pytest.mark.parametrize("claim", BAD)
def test_a_claim_can_say_no(claim):
    claims = claims_on(CHAPTER, BAD[claim])
    assert not claims[claim]


def test_no_claim_is_forgotten():
    assert set(claims_on(CHAPTER, stand_ins())) == set(BAD)
