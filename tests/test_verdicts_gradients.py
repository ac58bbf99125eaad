"""Every verdict of "A fingerprint in the clay" can say "no": each is shown what it does not hold for.

The cell of the claims is run on stand-ins for what the chapter computes; nbval runs it on the real results.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from verdicts import between, claims_on

CHAPTER = "1_leaks/gradients"
ATTACKS = ("alignment", "inner product", "likelihood ratio")
PARTS = ("everything", "one head", "query", "key", "value", "output")


def good_results():
    """Return results for which every claim holds, under the chapter's names."""
    plain = {"alignment": between(0.55, 0.65), "inner product": between(0.55, 0.68)}
    ordinary = {"value": between(0.95, 0.97), "key": between(0.4, 0.5), "embedding": between(0.4, 0.5)}
    return {
        "np": np,
        "metrics": SimpleNamespace(auc=lambda end, confidence: end),
        "at_five": lambda end: between(end.low - 0.5, end.high - 0.4),
        "Markdown": str,
        "ATTACKS": ATTACKS,
        "QUERIES": (1, 16),
        "per_record_error": 1e-12,
        "head_error": 1e-12,
        "share_error": 1e-12,
        "together": {
            0: {"value": between(0.99, 1.0), "key": between(0.0, 0.1), "embedding": between(0.4, 0.5)},
            300: {"value": between(0.99, 1.0), "key": between(0.7, 0.8), "embedding": between(0.9, 0.97)},
        },
        "alone": {300: {"loss": between(0.8, 0.9), "whole": between(0.3, 0.5)}},
        "by_luck": [between(0.4, 0.6), between(-0.4, -0.2)],
        "saturated": [between(-0.97, -0.9), between(-0.9, -0.3)],
        "on_digits": {"start": ordinary, "late": ordinary},
        "untrained": [between(0.1, 0.2), between(-0.9, -0.8), between(-0.1, 0.1)],
        "promised": 1.0,
        "by_ratio": {"start": 0.12, "middle": 0.13, "late": 0.2},
        "plain": {
            "start": between(0.59, 0.545),
            "middle": between(0.6, 0.55),
            "late": between(0.6, 0.55),
        },
        "at_moment": {
            "start": plain | {"likelihood ratio": between(0.95, 0.99)},
            "late": plain | {"likelihood ratio": between(0.7, 0.8)},
        },
        "directions": {
            "start": {k: (between(0.1, 0.2), between(0.08, 0.15), 0.15, 0.1) for k in (4, 16, 64, 256)}
        },
        "late_fpr": between(0.2, 0.3),
        "by_size": {"likelihood ratio": [between(0.98, 1.0), between(0.7, 0.8)]},
        "aggregation_error": 1e-6,
        "by_part": {name: (100, between(0.6, 0.7)) for name in PARTS},
        "by_steps": {1: between(0.8, 0.9), 12: between(0.6, 0.8)},
        "gap": {4: between(-0.2, -0.1)},
        "averaged": {1: between(0.8, 0.9), 4: between(0.55, 0.75)},
        "by_record": {
            "start": {"typical": between(0.8, 1.0), "surprising": between(0.91, 1.0)},
            "late": {"typical": between(0.45, 0.6), "surprising": between(0.7, 0.85)},
        },
        "solved": {"everything": (2762, 0), "embedding": (80, 0)},
        "by_label": {"inner product": between(0.8, 0.9), "likelihood ratio": between(0.0, 0.2)},
        "sets_right": [True, True],
        "recovery_error": {1: 1e-7, 8: 0.6},
        "only_clipped": {"clipping": between(0.8, 0.9)},
        "keeps": {"knows all others": np.array([True, True]), "replaced": np.array([True])},
        "in_full": {"knows all others": between(0.2, 0.3)},
        "claimed": 0.26,
        "asking": {
            1: (between(0.5, 0.6), 18.0, between(0.5, 0.6), 18.0),
            16: (between(0.7, 0.9), 100.0, between(0.5, 0.6), 18.0),
        },
        "behind": {0.0: between(0.9, 1.0), 1.0: between(0.85, 0.95)},
        "clipped_mean": between(0.8, 1.0),
        "clipped_each": between(0.1, 0.4),
    }


def changed(table, key, value):
    return table | {key: value}


def at(moment, kind, estimate):
    return lambda n: {
        "at_moment": changed(n["at_moment"], moment, changed(n["at_moment"][moment], kind, estimate))
    }


def tokens(steps, kind, estimate):
    return lambda n: {
        "together": changed(n["together"], steps, changed(n["together"][steps], kind, estimate))
    }


def records(moment, kind, estimate):
    return lambda n: {
        "by_record": changed(n["by_record"], moment, changed(n["by_record"][moment], kind, estimate))
    }


def patches(moment, kind, estimate):
    return lambda n: {
        "on_digits": changed(n["on_digits"], moment, changed(n["on_digits"][moment], kind, estimate))
    }


LIED_TO = {
    "one pass gives": lambda n: {"per_record_error": 1e-3},
    "a head's value gradient": lambda n: {"share_error": 1e-3},
    "sentences: attention and value": tokens(300, "value", between(0.6, 0.8)),
    "attention and embedding print": tokens(300, "embedding", between(0.4, 0.6)),
    "attention and key print": tokens(0, "key", between(0.6, 0.8)),
    "saturated": lambda n: {"saturated": [between(-0.97, -0.9), between(-0.3, 0.1)]},
    "across sentences": lambda n: {"alone": {300: changed(n["alone"][300], "loss", between(0.1, 0.3))}},
    "and what attention has to do": lambda n: {"by_luck": [between(0.3, 0.5), between(0.4, 0.6)]},
    "digits: attention and value": patches("late", "value", between(0.1, 0.3)),
    "before training it goes": lambda n: {"untrained": [between(0.1, 0.2), between(-0.1, 0.1)]},
    "parameters over batch size": at("late", "inner product", between(0.9, 0.99)),
    "before and half-way": lambda n: {"by_ratio": changed(n["by_ratio"], "middle", 0.5)},
    "late it promises": lambda n: {"by_ratio": changed(n["by_ratio"], "late", 0.14)},
    "the likelihood ratio beats": at("start", "likelihood ratio", between(0.6, 0.75)),
    "and is worth less late": at("late", "likelihood ratio", between(0.9, 0.97)),
    "start: up to 64": lambda n: {
        "directions": {"start": changed(n["directions"]["start"], 64, (between(0.1, 0.2), None, 0.5, 0))}
    },
    "and with 256": lambda n: {
        "directions": {"start": changed(n["directions"]["start"], 256, (None, between(0.03, 0.09), 0.9, 0))}
    },
    "late it accuses": lambda n: {"late_fpr": between(0.1, 0.2)},
    "larger batches": lambda n: {"by_size": {"likelihood ratio": [between(0.8, 0.9), between(0.7, 0.85)]}},
    "secure aggregation": lambda n: {"aggregation_error": 0.1},
    "one head, or any": lambda n: {"by_part": changed(n["by_part"], "key", (100, between(0.45, 0.6)))},
    "a dozen local steps": lambda n: {"by_steps": {12: between(0.45, 0.6)}},
    "nor do four steps": lambda n: {"averaged": {4: between(0.45, 0.6)}},
    "but after four steps": lambda n: {"gap": {4: between(-0.1, 0.02)}},
    "late, surprising records": records("late", "typical", between(0.65, 0.95)),
    "but the surprising, too": records("late", "surprising", between(0.7, 0.95)),
    "fewer candidates": lambda n: {"solved": changed(n["solved"], "embedding", (80, 1))},
    "the inner product takes": lambda n: {
        "by_label": changed(n["by_label"], "likelihood ratio", between(0.7, 0.85))
    },
    "every batch's words": lambda n: {"sets_right": [True, False]},
    "one record through": lambda n: {"recovery_error": {1: 0.01, 8: 0.6}},
    "clipping alone": lambda n: {"only_clipped": {"clipping": between(0.5, 0.75)}},
    "clipping and noise": lambda n: {"keeps": changed(n["keeps"], "replaced", np.array([False]))},
    "who knows all others": lambda n: {"in_full": {"knows all others": between(0.1, 0.2)}},
    "one noisy answer": lambda n: {"asking": changed(n["asking"], 1, (between(0.6, 0.75), None, None, None))},
    "unless the budget": lambda n: {
        "asking": changed(n["asking"], 16, (between(0.7, 0.9), 100.0, between(0.6, 0.75), 18.0))
    },
    "noise on answers": lambda n: {"behind": changed(n["behind"], 1.0, between(0.5, 0.85))},
    "clipping the mean": lambda n: {"clipped_mean": between(0.2, 0.4)},
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


def test_coverage_clipping_each_record_must_keep_the_claim_too():
    claims = claims_on(CHAPTER, good_results() | {"clipped_each": between(0.3, 0.5)})
    assert not claims["clipping the mean breaks the claim, clipping each keeps it"]


def test_coverage_a_reader_whose_heads_never_listened_is_no_evidence():
    claims = claims_on(CHAPTER, good_results() | {"saturated": [between(-0.97, -0.9), None]})
    assert not claims["saturated: in all four readers, the more attention, the smaller the print on keys"]


def test_coverage_attention_that_follows_as_closely_in_the_other_direction_counts():
    alone = {300: {"loss": between(0.6, 0.8), "whole": between(-0.7, -0.5)}}
    claims = claims_on(CHAPTER, good_results() | {"alone": alone})
    assert not claims["across sentences, the fingerprint follows the loss more closely than attention"]
