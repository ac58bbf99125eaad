"""Every verdict of "The company you keep" can say "no": each is shown a result for which it does not hold.

The cell of the claims is run on stand-ins for what the chapter computes; nbval runs it on the real results.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from mialab import norms
from mialab.leaks import aggregates
from verdicts import between, claims_on

CHAPTER = "1_leaks/batch_norm"
KINDS = ("batch", "none", "instance", "layer", "group", "virtual")
FRESH = ("anyone", "members", "non-members", "strangers")


def good_results():
    """Return results for which every claim holds, under the chapter's names."""
    chance = between(0.4, 0.6)
    return {
        "np": np,
        "norms": norms,
        "aggregates": aggregates,
        "metrics": SimpleNamespace(fpr=lambda counts, confidence: counts),
        "Markdown": str,
        "KINDS": KINDS,
        "B": 32,
        "F": 8,
        "C": 3.0,
        "threshold": 1.6449,
        "always_found": True,
        "independent": {1: (between(0.04, 0.1), 0.06), 64: (between(0.2, 0.35), 0.26)},
        "mean_1024": between(0.18, 0.36),
        "centred_1024": between(0.18, 0.36),
        "other_1024": between(0.85, 0.98),
        "by_two": between(0.05, 0.1),
        "small": {5: (None, SimpleNamespace(at=lambda _: between(0.07, 0.16)))},
        "mean_error": 1e-6,
        "variance_error": 1e-6,
        "secret_error": 1e-5,
        "formula_error": 0.045,
        "sharper": {0.3: between(0.7, 0.85), 0.1: between(0.8, 0.9)},
        "virtual_auc": between(0.75, 0.9),
        "by_norm": dict.fromkeys(KINDS, chance) | {"batch": between(0.7, 0.85)},
        "unmoved": dict.fromkeys(KINDS, 1.0) | {"batch": 0.0},
        "attacked": {"gaussian": {0.1: between(0.03, 0.09)}},
        "worst": {0.1: between(0.5, 0.6), 0.3: between(0.1, 0.2)},
        "accuracy": {"gaussian": {0.3: (0.15, 0.1, 0.2)}},
        "changed": {"batch": 1.0, "group": 0.0},
        "moved": {"batch": {"a": 1.7, "b": 2.4}, "group": {"a": 1.5, "b": 1.6}},
        "auc_change": dict.fromkeys(FRESH, between(-0.03, -0.01))
        | {"anyone × 4": between(-0.01, -0.002), "reference code": between(-0.006, 0.001)},
        "tpr_change": {"reference code": between(-0.2, 0.12)},
    }


def changed(table, key, value):
    return table | {key: value}


LIED_TO = {
    "with all others known": lambda n: {"always_found": False},
    "the formula lies in every": lambda n: {
        "independent": changed(n["independent"], 64, (between(0.3, 0.4), 0.26))
    },
    "a released mean obeys": lambda n: {"mean_1024": between(0.9, 1.0)},
    "a probe away from": lambda n: {"other_1024": between(0.2, 0.35)},
    "real digits": lambda n: {"by_two": between(-0.01, 0.04)},
    "in a batch of five": lambda n: {"small": {5: (None, SimpleNamespace(at=lambda _: between(0.03, 0.08)))}},
    "two snapshots": lambda n: {"secret_error": 0.1},
    "running means": lambda n: {"formula_error": 0.09},
    "the last batch is sharpest": lambda n: {"sharper": changed(n["sharper"], 0.3, between(0.45, 0.7))},
    "members of a virtual batch": lambda n: {"virtual_auc": between(0.45, 0.7)},
    "batch normalisation tells": lambda n: {"by_norm": changed(n["by_norm"], "batch", between(0.45, 0.6))},
    "all other normalisations": lambda n: {"unmoved": changed(n["unmoved"], "layer", 0.99)},
    "noise that blinds": lambda n: {"worst": changed(n["worst"], 0.1, between(0.05, 0.1))},
    "the worst case keeps": lambda n: {"worst": changed(n["worst"], 0.3, between(0.2, 0.3))},
    "and at the largest noise": lambda n: {"accuracy": {"gaussian": {0.3: (0.9, 0.9, 0.9)}}},
    "batch normalisation: replacing": lambda n: {"changed": changed(n["changed"], "batch", 0.97)},
    "and moves the clipped sum": lambda n: {"moved": changed(n["moved"], "batch", {"a": 1.7, "b": 1.9})},
    "group normalisation": lambda n: {"moved": changed(n["moved"], "group", {"a": 1.7, "b": 2.1})},
    "training mode with 15": lambda n: {
        "auc_change": changed(n["auc_change"], "members", between(-0.02, 0.01))
    },
    "four draws averaged": lambda n: {
        "auc_change": changed(n["auc_change"], "anyone × 4", between(-0.03, -0.01))
    },
    "the reference code's recipe": lambda n: {
        "auc_change": changed(n["auc_change"], "reference code", between(0.0, 0.02))
    },
    "and does not raise": lambda n: {"tpr_change": {"reference code": between(0.1, 0.6)}},
}


def test_definition_good_results_give_yes_and_every_claim_is_lied_to():
    claims = claims_on(CHAPTER, good_results())
    assert [claim for claim, holds in claims.items() if not holds] == []
    assert len(claims) == len(LIED_TO)


@pytest.mark.parametrize("beginning", LIED_TO)
def test_coverage_the_verdict_can_say_no(beginning):
    results = good_results()
    claims = claims_on(CHAPTER, results | LIED_TO[beginning](results))
    (claim,) = [claim for claim in claims if claim.startswith(beginning)]
    assert not claims[claim]
