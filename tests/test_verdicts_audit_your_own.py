"""Every verdict of "Audit your own model" can say "no": each is shown a result for which it does not hold.

The cell of the claims is run on stand-ins for what the page computes; nbval runs it on the real results.
"""

import pytest

from audits import result
from mialab.audit import TESTS
from mialab.metrics import Estimate
from mialab.metrics.blind import BlindBaseline
from verdicts import between, claims_on

CHAPTER = "3_proof/audit_your_own"


def blind(low, high):
    return BlindBaseline(Estimate((low + high) / 2, low, high, 0.999, "DeLong"))


def bound(low):
    return result(low, ceiling=5.5, test=TESTS["any-threshold"], design="one-run", trials=1000)


CODES = {
    "forest": 10,
    "clinic": 0,
    "old release": 0,
    "new release": 10,
    "new release, one run": 0,
    "twenty records": 11,
    "no coins": 11,
    "bad file": 2,
    "unfair coins": 2,
    "no model at all, honest label": 11,
    "no model at all, false label": 10,
}
WRONG = {
    "the best of all thresholds": between(0.2, 0.4),
    "the command's rule": between(0.01, 0.07),
    "records counted as trials": between(0.2, 0.4),
    "people counted as trials": between(0.0, 0.03),
}
BLIND = {"first half of the file": blind(0.72, 0.85), "coins": blind(0.42, 0.58)}
GOOD = {
    "Markdown": str,
    "codes": CODES,
    "wrong": WRONG,
    "blind": BLIND,
    "bound": 3.3,
    "said": {"bound": {"epsilon_lower": 3.3}},
    "no_bound": {"bound": None},
    "nonsense": bound(1.8),
    "old": {"epsilon_lower": 0.0},
    "new": {"epsilon_lower": 3.9},
    "truth": {"old": 0.5, "new": 270.0},
    "moved": 0.014,
    "C": 0.03,
    "accused": between(0.0, 0.16),
}


def codes(name, other):
    return {"codes": CODES | {name: other}}


LIED_TO = {
    "the forest breaks": [codes("forest", 0), codes("forest", 11)],
    "a few lines by hand": [{"bound": 3.4}],
    "noise as the proof asks": [codes("clinic", 10), codes("clinic", 11), codes("old release", 10)],
    "noise divided by n is not": [codes("new release", 0), codes("new release", 11)],
    "seen in one run": [codes("new release, one run", 10), codes("new release, one run", 11)],
    "no bound is above": [{"old": {"epsilon_lower": 0.6}}, {"truth": {"old": 0.5, "new": 3.0}}],
    "one record moves": [{"moved": 0.031}],
    "repaired": [{"accused": between(0.06, 0.3)}],
    "twenty records": [codes("twenty records", 0)],
    "without coins": [codes("no coins", 0), {"no_bound": {"bound": {"epsilon_lower": 0.0}}}],
    "a bad file": [codes("bad file", 0), codes("bad file", 10), codes("bad file", 1)],
    "the best of all thresholds": [
        {"wrong": WRONG | {"the best of all thresholds": between(0.04, 0.2)}},
    ],
    "the command's rule": [{"wrong": WRONG | {"the command's rule": between(0.06, 0.1)}}],
    "ten records of one person": [{"wrong": WRONG | {"records counted as trials": between(0.04, 0.2)}}],
    "people, counted": [{"wrong": WRONG | {"people counted as trials": between(0.06, 0.1)}}],
    "coins that were not fair": [
        {"nonsense": bound(0.9)},
        codes("unfair coins", 0),
        codes("unfair coins", 10),
    ],
    "the file's order": [
        {"blind": BLIND | {"first half of the file": blind(0.48, 0.6)}},
        {"blind": BLIND | {"coins": blind(0.51, 0.6)}},
    ],
    "with a false design": [
        codes("no model at all, false label", 0),
        codes("no model at all, honest label", 10),
    ],
}


def test_definition_good_results_give_yes_and_every_claim_is_lied_to():
    claims = claims_on(CHAPTER, GOOD)
    assert [claim for claim, holds in claims.items() if not holds] == []
    assert len(claims) == len(LIED_TO)


@pytest.mark.parametrize(
    ("beginning", "lie"), [(beginning, lie) for beginning, lies in LIED_TO.items() for lie in lies]
)
def test_coverage_the_verdict_can_say_no(beginning, lie):
    claims = claims_on(CHAPTER, GOOD | lie)
    (claim,) = [claim for claim in claims if claim.startswith(beginning)]
    assert not claims[claim]
