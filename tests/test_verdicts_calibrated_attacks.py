"""Every verdict of "Calibrated attacks" can say "no": each is shown a result for which it does not hold.

The cell of the claims is run on stand-ins for what the chapter computes; nbval runs it on the real results.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from verdicts import between, claims_on

CHAPTER = "1_leaks/calibrated_attacks"
GAINS = {"calibration": 1.0, "Gaussian": 1.0, "both sides": 1.0, "queries": 1.0}
FROM_TO = {
    (("one threshold", "on the loss"), ("offline", "one threshold a record, loss")): "calibration",
    (("online", "+ log-odds"), ("online", "+ Gaussian")): "Gaussian",
    (("offline", "+ Gaussian"), ("online", "+ Gaussian")): "both sides",
    (("online", "+ Gaussian"), ("online", "+ queries")): "queries",
}
STEPS = {step for pair in FROM_TO for step in pair}


def metrics_saying(gains):
    """Stand in for the package: curves are what they are given, differences what is asked for."""

    def paired_bootstrap(before, after, *_, **__):
        return between(gains[FROM_TO[before, after]], 2.0)

    return SimpleNamespace(
        paired_bootstrap=paired_bootstrap, pooled_roc=lambda scores: SimpleNamespace(tpr=scores.signal)
    )


def guards(coins, light, digits):
    names = ("fair coins", "light", "digits")
    return {
        name: SimpleNamespace(about_the_data=one)
        for name, one in zip(names, (coins, light, digits), strict=True)
    }


GOOD = {
    "np": np,
    "Markdown": str,
    "metrics": metrics_saying(GAINS),
    "score": {step: step for step in STEPS},
    "steps": {
        ("one threshold", "on the loss"): (between(0.008, 0.013),),
        ("online", "+ queries"): (between(0.13, 0.2),),
    },
    "tpr_at": lambda fpr: None,
    "settings": {},
    "loss": SimpleNamespace(signal=np.array([0.0, 0.5, 1.0])),
    "gap": SimpleNamespace(signal=np.array([0.0, 0.5, 1.0])),
    "ties": between(0.04, 0.08),
    "false_rates": {"LiRA, online, five queries": 0.004},
    "precisions": {("LiRA, online, five queries", 0.01): between(0.1, 0.4)},
    "gains": {2: between(-0.01, 0.03), 4: between(0.01, 0.03), 8: between(0.01, 0.02)},
    "said": {
        "two decimals: LiRA, pooled": between(0.73, 0.78),
        "log-odds: LiRA": between(0.77, 0.81),
        "label: LiRA on the count, pooled": between(0.66, 0.7),
        "label: count right answers": between(0.57, 0.62),
    },
    "found": {"label: LiRA on the count, pooled": 0.11, "label: count right answers": 0.0},
    "sided": between(0.005, 0.02),
    "noise": {
        ("half of the models", "count_shadows", 16): 1.0,
        ("fair coins", "count_shadows", 16): 0.5,
        ("half of the models", "online", 6): 0.37,
        ("fair coins", "online", 6): 0.5,
    },
    "GUARDS": guards(False, True, True),
    "controls": {"an attack": (1.0, 0.5, 0.5)},
}


def with_gain(name):
    return {"metrics": metrics_saying(GAINS | {name: -0.1})}


def changed(table, key, value):
    return {table: GOOD[table] | {key: value}}


LIED_TO = {
    "one threshold for all records": changed(
        "steps", ("one threshold", "on the loss"), (between(0.02, 0.03),)
    ),
    "on the log-odds it is": {"gap": SimpleNamespace(signal=np.array([0.0, 0.6, 1.0]))},
    "one threshold a record": with_gain("calibration"),
    "the Gaussians find more": with_gain("Gaussian"),
    "online finds more": with_gain("both sides"),
    "queries find more": with_gain("queries"),
    "with queries, LiRA": changed("steps", ("online", "+ queries"), (between(0.05, 0.2),)),
    "a gamma of 2": {"ties": between(-0.01, 0.02)},
    "the threshold from the shadows": changed("false_rates", "LiRA, online, five queries", 0.01),
    "at one member in a hundred": changed(
        "precisions", ("LiRA, online, five queries", 0.01), between(0.4, 0.6)
    ),
    "at 4 and at 8": changed("gains", 8, between(-0.01, 0.02)),
    "at no number": changed("gains", 2, between(-0.03, -0.01)),
    "rounding to two": changed("said", "two decimals: LiRA, pooled", between(0.6, 0.65)),
    "from labels alone": changed("said", "label: count right answers", between(0.64, 0.68)),
    "and finds members": changed("found", "label: count right answers", 0.02),
    "a density in place": {"sided": between(-0.01, 0.02)},
    "counting shadows": changed("noise", ("fair coins", "count_shadows", 16), 0.9),
    "LiRA on noise": changed("noise", ("half of the models", "online", 6), 0.5),
    "the guard is quiet": {"GUARDS": guards(True, True, False)},
    "and speaks at both": {"GUARDS": guards(True, True, False)},
    "every attack passes": {"controls": {"an attack": (1.0, 0.5, 0.45)}},
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
