"""Every verdict of "Overfitting" can say "no": each is shown a result for which it does not hold.

The cell of the claims is run on stand-ins for what the chapter computes; nbval runs it on the real results.
"""

import pytest

from verdicts import between, claims_on

CHAPTER = "1_leaks/overfitting"


GOOD = {
    "Markdown": str,
    "advantage": 0.06,
    "generalisation_gap": 0.06,
    "more_than_gap": {"digits": between(0.1, 0.2), "patients": between(0.02, 0.07)},
    "small": (None, between(0.5, 0.7)),
    "large": (None, between(0.04, 0.08)),
    "gap_by_width": between(-0.16, -0.07),
    "leak_by_width": between(-0.01, 0.1),
    "leak_grows": between(0.1, 0.15),
    "gap_grows": between(-0.02, 0.01),
    "first_memory": between(0.9, 1.0),
    "share": 0.8,
    "better": between(0.01, 0.03),
    "smoothing": (between(0.06, 0.13), between(0.01, 0.06)),
    "stopping": (between(-0.14, -0.06), between(-0.07, -0.01)),
    "cures": {"nothing": (0.93, between(0.1, 0.2), between(0.05, 0.12))},
    "noise": {285: (0.051, 0.001, 0.051)},
    "control_aucs": {
        "knows its members by heart": [1.0, 1.0],
        "the same, order lost": [0.5, 0.5],
        "shuffled membership": [0.5, 0.5],
    },
}


def control(name, areas):
    return {"control_aucs": GOOD["control_aucs"] | {name: areas}}


LIED_TO = {
    "TPR − FPR of the gap attack": {"advantage": 0.061},
    "a threshold on the loss beats the gap attack on digits": {
        "more_than_gap": GOOD["more_than_gap"] | {"digits": between(-0.01, 0.2)}
    },
    "a threshold on the loss beats the gap attack on patients": {
        "more_than_gap": GOOD["more_than_gap"] | {"patients": between(-0.01, 0.07)}
    },
    "more records": {"large": (None, between(0.4, 0.6))},
    "a wider network": {"gap_by_width": between(-0.1, 0.02)},
    "and not a smaller leak": {"leak_by_width": between(-0.1, 0.0)},
    "training on widens": {"leak_grows": between(-0.01, 0.1)},
    "and by more than the gap": {"gap_grows": between(0.0, 0.12)},
    "the most memorised digit": {"first_memory": between(0.1, 0.6)},
    "one record in twenty": {"share": 0.2},
    "asking how hard": {"better": between(-0.01, 0.03)},
    "label smoothing": {"smoothing": (between(-0.02, 0.1), between(0.01, 0.06))},
    "no cure brings": {"cures": {"a cure": (0.9, between(0.0, 0.1), between(0.005, 0.02))}},
    "stopping early": {"stopping": (between(-0.14, -0.06), between(-0.04, 0.01))},
    "the largest advantage": {"noise": {285: (0.01, 0.001, 0.051)}},
    "a fixed threshold": {"noise": {285: (0.051, 0.02, 0.051)}},
    "a planted leak": control("knows its members by heart", [1.0, 0.7]),
    "and missed when": control("the same, order lost", [0.5, 0.6]),
    "shuffled membership": control("shuffled membership", [0.45, 0.5]),
}


def test_definition_good_results_give_yes_and_every_claim_is_lied_to():
    claims = claims_on(CHAPTER, GOOD)
    assert [claim for claim, holds in claims.items() if not holds] == []
    assert len(claims) == len(LIED_TO)


@pytest.mark.parametrize("beginning", LIED_TO)
def test_coverage_the_verdict_can_say_no(beginning):
    claims = claims_on(CHAPTER, GOOD | LIED_TO[beginning])
    (claim,) = [claim for claim in claims if claim.startswith(beginning)]
    assert not claims[claim]
