"""Every verdict of "Nobody is a percentage" can say "no": each is shown a result for which it does not hold.

The cell of the claims is run on stand-ins for what the chapter computes; nbval runs it on the real results.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from mialab import audit
from mialab.leaks import aggregates
from verdicts import between, claims_on

CHAPTER = "4_world/genomics"
MOST = 900
SETTINGS = [(n, m) for n in (40, 160) for m in (40, 160, 640, MOST)]
REFERENCES = (80, 160, 320, 640)
RIGHT, ONE, ONCE, REAL = (
    "as it should be",
    "noise for one frequency, on all of them",
    "alleles counted once",
    "noise for one frequency, real canaries",
)


class Scores:
    """Stand in for scores (trials, 2): a column is already the interval of its rate."""

    def __init__(self, members, strangers=None):
        self.columns = members, strangers or between(0.02, 0.1)

    def __getitem__(self, place):
        return self.columns[place[1]]


def around(value):
    return between(value - 0.05, value + 0.05)


def law(n, m, people=400):
    return float(aggregates.expected_tpr(0.05, np.sqrt(m), n, references=people))


def verdict(finding, bound):
    return SimpleNamespace(finding=finding, result=SimpleNamespace(value=bound))


def good_results():
    """Return results for which every claim holds, under the chapter's names."""
    beacons = {
        (order, q, b): around(0.6) for order, b in (("random", np.inf), ("affordable", 1.0)) for q in (8, 32)
    }
    beacons |= {("rare first", q, np.inf): around(0.9) for q in (8, 32)}
    return {
        "np": np,
        "audit": audit,
        "aggregates": aggregates,
        "Markdown": str,
        "rate": lambda column: column,
        "most": MOST,
        "by_variants": {key: Scores(around(law(*key))) for key in SETTINGS},
        "law": {key: law(*key) for key in SETTINGS},
        "by_reference": {N: Scores(around(law(160, MOST, N))) for N in REFERENCES},
        "tiny": Scores(between(0.3, 0.4), between(0.1, 0.3)),
        "naive": between(0.8, 0.9),
        "false_at_5": {"linked": between(0.3, 0.5), "abroad": between(0.97, 1.0)},
        "auc_near": between(0.6, 0.75),
        "auc_as_counted": 0.999,
        "false_at_1": between(0.03, 0.07),
        "rare_auc": {"z": between(0.88, 0.93), "exact": between(0.95, 0.99)},
        "wrongly": {100: between(0.0, 0.02), 300: between(0.01, 0.06)},
        "gain_low": 0.02,
        "checked": {100: (between(0.0, 0.02), 0.0), 300: (between(0.98, 1.0), 0.999)},
        "aucs": beacons,
        "knows_low": 0.03,
        "traced": between(0.01, 0.14),
        "plain": between(0.5, 0.7),
        "allowed": 0.08,
        "studies": {
            (1000, 1.0): (between(0.0, 0.02), 0.001),
            (1000, np.inf): (between(0.98, 1.0), 0.999),
        },
        "verdicts": {
            RIGHT: verdict(audit.Finding.CONSISTENT, 0.1),
            ONE: verdict(audit.Finding.VIOLATED, 2.8),
            ONCE: verdict(audit.Finding.CONSISTENT, 0.2),
            REAL: verdict(audit.Finding.CONSISTENT, 0.9),
        },
        "right": SimpleNamespace(curve=SimpleNamespace(mu=0.237)),
        "sharper": {RIGHT: SimpleNamespace(value=0.15), ONCE: SimpleNamespace(value=0.35)},
        "homer_fpr": {
            "equal sizes, independent variants": between(0.02, 0.1),
            "reference a quarter of the study": between(0.1, 0.2),
            "one stretch of a million bases": between(0.3, 0.5),
            "reference from Africa": between(0.97, 1.0),
        },
    }


def changed(name, key, value):
    return lambda n: {name: n[name] | {key: value}}


def refound(name, finding, bound):
    return changed("verdicts", name, verdict(finding, bound))


LIED_TO = {
    "the law lies in every": changed("by_variants", (160, 640), Scores(around(0.9))),
    "and over the size": changed("by_reference", 80, Scores(around(0.7))),
    "strangers are accused": changed(
        "by_reference", 320, Scores(around(law(160, MOST, 320)), between(0.1, 0.2))
    ),
    "who forgets": lambda n: {"naive": between(0.04, 0.1)},
    "a reference of twenty": lambda n: {"tiny": Scores(between(0.3, 0.4), between(0.02, 0.1))},
    "linkage: more": changed("false_at_5", "linked", between(0.02, 0.1)),
    "linkage: the AUC": lambda n: {"auc_near": between(0.98, 1.0)},
    "linkage: whitening": lambda n: {"gain_low": -0.01},
    "rare variants: more": lambda n: {"false_at_1": between(0.002, 0.02)},
    "rare variants: the exact": changed("rare_auc", "exact", between(0.9, 0.95)),
    "a reference from elsewhere": changed("false_at_5", "abroad", between(0.02, 0.1)),
    "the beacon's formula": changed("checked", 300, (between(0.5, 0.6), 0.999)),
    "rare alleles first": changed("aucs", ("random", 8, np.inf), around(0.9)),
    "a budget lowers": changed("aucs", ("affordable", 32, 1.0), around(0.9)),
    "who knows": lambda n: {"knows_low": -0.01},
    "with noise": lambda n: {"traced": between(0.2, 0.4)},
    "the association study": changed("studies", (1000, np.inf), (between(0.95, 1.0), 0.9)),
    "at ε = 1": changed("studies", (1000, 1.0), (between(0.2, 0.3), 0.25)),
    "the audit does not": refound(RIGHT, audit.Finding.VIOLATED, 1.2),
    "the audit refutes": refound(ONE, audit.Finding.CONSISTENT, 2.8),
    "right verdicts": refound(ONCE, audit.Finding.VIOLATED, 1.2),
    "held against": changed("sharper", ONCE, SimpleNamespace(value=0.2)),
    "real people": refound(REAL, audit.Finding.VIOLATED, 2.7),
    "Homer's distance": changed("homer_fpr", "equal sizes, independent variants", between(0.2, 0.3)),
    "and loses it": changed("homer_fpr", "reference a quarter of the study", between(0.02, 0.1)),
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
