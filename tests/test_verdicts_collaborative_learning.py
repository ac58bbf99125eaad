"""Every verdict of "Collaborative learning" can say "no"."""

import numpy as np
import pytest

from verdicts import between, claims_on

CHAPTER = "4_world/collaborative_learning"


def stand_ins(**changes):
    good = {
        "Markdown": str,
        "RECORDS": {"patients": None, "digits": None},
        "gain": {
            ("patients", "outsider", "server"): between(0.01, 0.05),
            ("digits", "outsider", "server"): between(0.03, 0.06),
            ("digits", "other clinic", "server"): between(0.03, 0.06),
            ("patients", "outsider", "other clinic"): between(-0.01, 0.01),
            ("digits", "outsider", "other clinic"): between(-0.01, 0.02),
        },
        "power": {(name, "stranger"): between(0.48, 0.52) for name in ("patients", "digits")},
        "curves": {
            "a record": [(1.0, np.array([0.9])), (0.5, np.array([0.8]))],
            "a client": [(1.0, np.array([0.9])), (0.5, np.array([0.4]))],
        },
        "per_phone": {
            "nobody": [between(0.65, 0.75), between(0.88, 0.98)],
            "a client": [None, between(0.45, 0.65)],
        },
        "louder": {
            ("pooled", 1): between(0.14, 0.3),
            ("federation", 8): between(0.02, 0.15),
            ("federation", 1): between(-0.02, 0.1),
        },
    }
    for name, change in changes.items():
        good[name] = good[name] | change
    return good


BAD = {
    "the server's seat is better than the outsider's, on patients and on digits": stand_ins(
        gain={("patients", "outsider", "server"): between(-0.01, 0.05)}
    ),
    "and than another clinic's on digits": stand_ins(
        gain={("digits", "other clinic", "server"): between(-0.01, 0.05)}
    ),
    "to watch the rounds as another clinic adds less than .03 to the outsider's AUC": stand_ins(
        gain={("digits", "outsider", "other clinic"): between(0.0, 0.05)}
    ),
    "the model before training tells nothing": stand_ins(power={("digits", "stranger"): between(0.51, 0.53)}),
    "at the largest noise a promise to a client leaves less accuracy than one to a record": stand_ins(
        curves={"a client": [(1.0, np.array([0.9])), (0.5, np.array([0.9]))]}
    ),
    "without a promise a phone is easier to find than one record": stand_ins(
        per_phone={"nobody": [between(0.65, 0.9), between(0.88, 0.98)]}
    ),
    "a promise to the client hides phones better than none": stand_ins(
        per_phone={"a client": [None, between(0.45, 0.9)]}
    ),
    "one wrong copy in a pool makes the victims louder": stand_ins(louder={("pooled", 1): between(0.0, 0.3)}),
    "in a federation of two, eight do": stand_ins(louder={("federation", 8): between(-0.02, 0.15)}),
    "one copy of each gains less there than in a pool": stand_ins(
        louder={("federation", 1): between(-0.02, 0.2)}
    ),
}


def test_all_claims_hold_on_good_results():
    assert all(claims_on(CHAPTER, stand_ins()).values())


@pytest.mark.parametrize("claim", BAD)
def test_a_claim_can_say_no(claim):
    assert not claims_on(CHAPTER, BAD[claim])[claim]


def test_no_claim_is_forgotten():
    assert set(claims_on(CHAPTER, stand_ins())) == set(BAD)
