"""Every verdict of "DP-SGD" can say "no": each is shown a result for which it does not hold.

The cell of the claims is run on stand-ins for what the chapter computes; nbval runs it on the real results.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from verdicts import between, claims_on

CHAPTER = "2_cloak/dp_sgd"

LOW, MIDDLE, HIGH = between(0.01, 0.03), between(0.1, 0.2), between(0.7, 0.9)

GOOD = {
    "Markdown": str,
    "ordered": [3.01, 2.6, 2.38, 2.32],
    "run_advantages": [0.38, 0.39, 0.385],
    "alone": 0.998,
    "exactly": 0.74,
    "caps": [True] * 20,
    "hidden_by_average": {"digits": (HIGH, LOW), "patients": (HIGH, LOW)},
    "less": {"digits": between(-0.9, -0.7), "patients": between(-0.9, -0.4)},
    "useless": {"digits": (MIDDLE, HIGH), "patients": (MIDDLE, HIGH)},
    "lost": {"digits": 0.17, "patients": 0.1},
    "accuracies": {("patients", 0.5): np.array([0.96, 0.98]), ("patients", 0.0): np.array([0.88, 0.92])},
    "sound": {0.0: np.array([0.88, 0.92]), "no clip": np.array([0.95, 0.96]), 0.5: np.array([0.96, 0.98])},
    "judged": {"DP-SGD": (0.944,), "stop at 100": (0.934,)},
    "tighter": "DP-SGD",
    "better": between(-0.5, -0.1),
    "smoothed": between(0.2, 0.6),
    "coarse": between(0.1, 0.5),
    "clip_alone": between(-0.6, -0.3),
    "noise_too": between(-0.4, -0.1),
    "flat": [0.915, 0.918, 0.921],
    "by_rate": {1.0: np.array([0.9, 0.91]), 0.02: np.array([0.7, 0.6])},
    "gains": {"half of all digits": np.array([0.2, 0.3]), "only 5 to 9": np.array([-0.2, -0.1])},
    "trials": {1: 2.7, 16: 13.5},
    "broken": 1.2,
    "claimed": SimpleNamespace(epsilon=0.61),
    "shuffled": (between(0.064, 0.087), between(0.009, 0.019)),
    "most_allowed": 0.024,
    "divisor": (between(0.99, 1.0), between(0.0, 0.01)),
    "refused": "… (batch normalisation shows every record the whole batch …)",
    "recognised": [True, False],
}

LIED_TO = {
    "one run has had four": {"ordered": [3.01, 2.6, 2.3, 2.32]},
    "runs with the same": {"run_advantages": [0.3, 0.39]},
    "at σ = 2": {"exactly": 0.9},
    "no measured attack": {"caps": [True] * 19 + [False]},
    "without privacy, planted": {"hidden_by_average": {"digits": (HIGH, LOW), "patients": (MIDDLE, MIDDLE)}},
    "noise alone takes the leak of planted digits": {
        "less": GOOD["less"] | {"digits": between(-0.9, 0.1)},
    },
    "noise alone takes the leak of planted patients": {
        "less": GOOD["less"] | {"patients": between(-0.9, 0.1)},
    },
    "more than half of the planted": {
        "useless": {"digits": (MIDDLE, HIGH), "patients": (between(0.3, 0.6), HIGH)}
    },
    "much noise": {"lost": {"digits": 0.17, "patients": 0.01}},
    "at σ = 0.5": {
        "accuracies": GOOD["accuracies"] | {("patients", 0.0): np.array([0.97, 0.98])},
    },
    "and more than half of that gain": {"sound": GOOD["sound"] | {"no clip": np.array([0.9, 0.92])}},
    "DP-SGD at a useless": {"judged": {"DP-SGD": (0.92,), "stop at 100": (0.934,)}},
    "and leaks less": {"better": between(-0.5, 0.1)},
    "moderate label smoothing": {"smoothed": between(-0.1, 0.6)},
    "rounding": {"coarse": between(-0.1, 0.5)},
    "at the same steps and sampling": {"clip_alone": between(-0.6, 0.1)},
    "noise takes more": {"noise_too": between(-0.4, 0.1)},
    "with learning rate times clip": {"flat": [0.8, 0.918]},
    "at the same ε": {"by_rate": {1.0: np.array([0.9, 0.65]), 0.02: np.array([0.7, 0.7])}},
    "public features": {"gains": GOOD["gains"] | {"half of all digits": np.array([0.2, -0.1])}},
    "features made for other": {"gains": GOOD["gains"] | {"only 5 to 9": np.array([-0.2, 0.1])}},
    "sixteen trials": {"trials": {1: 2.7, 16: 5.0}},
    "shuffled batches": {"shuffled": (between(0.02, 0.05), between(0.009, 0.019))},
    "a divisor": {"divisor": (between(0.4, 0.6), between(0.4, 0.6))},
    "batch normalisation": {"refused": ""},
    "who knows the seed": {"recognised": [True, True]},
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
