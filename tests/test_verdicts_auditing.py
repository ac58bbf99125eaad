"""Every verdict of "Trust, but verify" can say "no": each is shown results that break its claim."""

from types import SimpleNamespace

import numpy as np
import pytest

from mialab import audit
from mialab.audit import Finding
from mialab.game import Design
from mialab_book import faults
from verdicts import between, claims_on

VALID = ["fixed", "accuracy", "split", "any"]
BEST, LESS, MORE = "best of all thresholds", "with 80 % of the noise", "with 40 % of the noise"
WORST, OUTSIDER = ("a gradient, unused weights", "every update"), ("mislabelled", "the answers")
DPSGD, FLAWED = faults.CORRECT[0], faults.FAULTS[:20]


def found(finding):
    return SimpleNamespace(finding=Finding(finding))


def row(case, lower, *caught):
    return SimpleNamespace(case=case, lower=lower, caught_by=list(caught))


def results(**changes):
    """Stand in for what the chapter computes, all claims holding."""
    audited = [row(case, 0.5, "two rates") for case in FLAWED] + [row(DPSGD, 0.1)]
    return {
        "np": np,
        "Markdown": str,
        "audit": audit,
        "faults": faults,
        "Design": Design,
        "by_design": {Design.FIXED: 0.07, Design.COINS: 0.05},
        "verdicts": [found("violated"), found("consistent"), found("uninformative")],
        "largest": 0.99,
        "above": {"some": between(0.02, 0.1), "others": between(0.01, 0.05)},
        "wrong": {BEST: between(0.06, 0.1)} | {name: between(0.0, 0.08) for name in VALID},
        "exact": SimpleNamespace(auc=0.7),
        "areas": {WORST: between(0.65, 0.75), OUTSIDER: between(0.5, 0.65)},
        "at_length": between(0.68, 0.72),
        "epsilon_tests": {"as promised": found("consistent"), LESS: found("consistent")},
        "curve_tests": {"as promised": found("consistent"), LESS: found("violated")},
        "audited": audited,
        "false_alarms": between(0.0, 0.09),
        "by_curve": {"as promised": found("consistent"), MORE: found("violated")},
        "ever": [between(0.2, 0.3), between(0.01, 0.06)],
        "doors": {10: found("consistent"), 41: found("consistent"), 42: found("violated")},
    } | changes


GALLERY = results()["audited"]
LIED_TO = {
    "with 15 of 30 canaries": {"by_design": {Design.FIXED: 0.04, Design.COINS: 0.05}},
    "one attack is enough": {"verdicts": [found("violated"), found("consistent"), found("consistent")]},
    "65 against 60": {"audit": SimpleNamespace(binomial_p_value=lambda *_, allowed: 0.01, Finding=Finding)},
    "randomized response": {"largest": 1.02},
    "and its bounds": {"above": {"some": between(0.06, 0.1), "others": between(0.01, 0.05)}},
    "the best of all thresholds": {"wrong": results()["wrong"] | {BEST: between(0.04, 0.06)}},
    "the four recipes": {"wrong": results()["wrong"] | {"split": between(0.06, 0.08)}},
    "no canary does better": {"areas": results()["areas"] | {"some": between(0.71, 0.75)}},
    "who sees every update": {"at_length": between(0.64, 0.69)},
    "who asks the model": {"areas": results()["areas"] | {OUTSIDER: between(0.6, 0.75)}},
    "a fifth less noise": {"curve_tests": {"as promised": found("consistent"), LESS: found("consistent")}},
    "neither accuses": {"epsilon_tests": {"as promised": found("violated"), LESS: found("consistent")}},
    "at least 18": {"audited": [row(case, 0.5) for case in FLAWED[:5]] + GALLERY[5:]},
    "nothing that is correct": {"audited": [*GALLERY[:-1], row(DPSGD, 0.1, "curve")]},
    "no bound of the gallery": {"audited": [*GALLERY[:-1], row(DPSGD, 9.0)]},
    "honest tables": {"false_alarms": between(0.06, 0.2)},
    "one run with 40 %": {"by_curve": {"as promised": found("consistent"), MORE: found("consistent")}},
    "who peeks": {"ever": [between(0.04, 0.06), between(0.01, 0.06)]},
    "who bets": {"ever": [between(0.2, 0.3), between(0.06, 0.09)]},
    "an audit sees a back door": {"doors": {10: found("violated"), 41: found("consistent")}},
}


def claims(**changes):
    return claims_on("3_proof/auditing", results(**changes))


@pytest.mark.parametrize("beginning", LIED_TO)
def test_coverage_every_claim_can_say_no(beginning):
    (claim,) = [claim for claim in claims() if claim.startswith(beginning)]
    assert claims()[claim]
    assert not claims(**LIED_TO[beginning])[claim]


def test_definition_every_claim_is_shown_to_be_able_to_fail():
    assert len(claims()) == len(LIED_TO)
    assert all(claims().values())
