"""Every verdict of "Collaborative learning" can say "no"."""

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
        "dearer": between(0.02, 0.2),
        "per_phone": {
            "nobody": [None, between(0.88, 0.98), between(0.1, 0.3)],
            "a record": [None, None, between(0.05, 0.2)],
            "a client": [None, between(0.45, 0.65), None],
        },
        "louder": {
            ("one table", 1): between(0.14, 0.3),
            ("two clients", 8): between(0.02, 0.15),
        },
        "apart": between(0.05, 0.2),
    }
    for name, change in changes.items():
        good[name] = good[name] | change if isinstance(change, dict) else change
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
    "the model before training tells nothing: within .05 of chance": stand_ins(
        power={("digits", "stranger"): between(0.51, 0.56)}
    ),
    "at the smallest ε a promise to a client leaves less accuracy than the same to a record": stand_ins(
        dearer=between(-0.01, 0.2)
    ),
    "without a promise a phone is easier to find than one of its records": stand_ins(
        per_phone={"nobody": [None, between(0.88, 0.98), between(-0.01, 0.3)]}
    ),
    "and so it is under a promise to a record": stand_ins(
        per_phone={"a record": [None, None, between(-0.01, 0.2)]}
    ),
    "a promise to the client hides phones better than none": stand_ins(
        per_phone={"a client": [None, between(0.45, 0.9), None]}
    ),
    "one wrong copy in one table makes the victims louder, by more than .05": stand_ins(
        louder={("one table", 1): between(0.04, 0.3)}
    ),
    "between two clients, eight do": stand_ins(louder={("two clients", 8): between(-0.02, 0.15)}),
    "one copy leaves them less loud there than in one table": stand_ins(apart=between(-0.01, 0.2)),
}


def test_all_claims_hold_on_good_results():
    assert all(claims_on(CHAPTER, stand_ins()).values())


@pytest.mark.parametrize("claim", BAD)
def test_a_claim_can_say_no(claim):
    assert not claims_on(CHAPTER, BAD[claim])[claim]


def test_no_claim_is_forgotten():
    assert set(claims_on(CHAPTER, stand_ins())) == set(BAD)
