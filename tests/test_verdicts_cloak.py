"""Every verdict of the two chapters can say "no": each is shown a run in which its claim does not hold."""

from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

from mialab import plots
from mialab.game import Counts

BOOK = Path(__file__).parents[1] / "book" / "2_cloak"


def code_of(chapter):
    cells = nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    return [source for source in sources[1:] if "plt." not in source]  # neither set-up nor figures


def run(chapter):
    """Run a chapter up to its claims, and return all of its names and the cell of the claims."""
    names = {"np": np, "plt": plt, "plots": plots, "Markdown": str, "rng": np.random.default_rng(2026)}
    for source in code_of(chapter):
        exec(source, names)
        if "claims = {" in source:
            return names, source
    raise AssertionError(f"{chapter} makes no claims")


@pytest.fixture(scope="module")
def survey():
    return run("randomized_response")


@pytest.fixture(scope="module")
def definition():
    return run("definition")


def interval(low, high):
    return SimpleNamespace(low=low, high=high, value=(low + high) / 2)


def changed(table, key, value):
    return table | {key: value}


FILE, PEOPLE = "these people are the file", "people drawn at random"
LIED_TO = {
    "95 % intervals hold at least 95 %": lambda n: {
        "coverage": changed(n["coverage"], FILE, interval(0.9, 0.94))
    },
    "and the people being drawn": lambda n: {"coverage": changed(n["coverage"], PEOPLE, interval(0.9, 0.94))},
    "they are not much longer": lambda n: {"coverage": changed(n["coverage"], FILE, interval(0.99, 1.0))},
    "a fixed file is known better": lambda n: {"width": changed(n["width"], FILE, 1.0)},
    "all 15 standard errors": lambda n: {"measured": changed(n["measured"], ("ε = 3", 300), 0.1)},
    "all 21 measured accuracies": lambda n: {
        "attacked": changed(n["attacked"], ("tenth", 2.0), interval(0.9, 1.0))
    },
    "with two answers": lambda n: {"predicted": changed(n["predicted"], ("diagnosis", 1.0), 0.7)},
    "with four or ten": lambda n: {"attacked": changed(n["attacked"], ("quarter", 1.0), interval(0.7, 0.74))},
    "asked again": lambda n: {"exact": changed(n["exact"], 9, 0.9)},
    "with remembered answers": lambda n: {
        "share_right": changed(n["share_right"], ("remembered", 81), interval(0.7, 0.8))
    },
}


@pytest.mark.parametrize("claim", LIED_TO)
def test_coverage_the_survey_can_say_no(survey, claim):
    can_say_no(*survey, claim, LIED_TO[claim])


BROKEN = {
    "the strong attacker": lambda n: {"reached": changed(n["reached"], 0.1, interval(0.3, 0.4))},
    "who does not know the others": lambda n: {"unknowing": interval(0.1, 0.2)},
    "one (ε, δ) at": lambda n: {"one_epsilon": 0.9},
    "publishing a random record": lambda n: {"lottery": n["tradeoff"].pure(1.0)},
    "the attacker who counts": lambda n: {
        "counted": changed(n["counted"], 1, SimpleNamespace(at=lambda _: Counts(5000, 10_000, 5000, 10_000)))
    },
    "the exact total": lambda n: {"totals": changed(n["totals"], (0.1, 100), (10.0, 6.0, 7.0))},
    "advanced composition": lambda n: {"totals": changed(n["totals"], (0.1, 1000), (100.0, 127.0, 19.0))},
    "at ε = 1 a trusted clinic": lambda n: {"error": changed(n["error"], ("trusted clinic", 1.0), 0.03)},
    "noise for add/remove": lambda n: {"hits": changed(n["hits"], "add/remove", interval(0.05, 0.06))},
    "and accuracy does not": lambda n: {"two_cells": n["tradeoff"].pure(2.0)},
    "the same rule": lambda n: {"hits": changed(n["hits"], "replace one", interval(0.4, 0.5))},
    "the short composition formula": lambda n: {
        "lines": changed(n["lines"], "short formula", n["lines"]["added up"])
    },
    "textbook Laplace noise": lambda n: {"certain": changed(n["certain"], 1.0, interval(0.0, 0.01))},
    "whole-number noise": lambda n: {"only_once": {3.0}},
    "the study teaches": lambda n: {"without_me": n["without_me"] - 0.1},
}


@pytest.mark.parametrize("claim", BROKEN)
def test_coverage_the_definition_can_say_no(definition, claim):
    can_say_no(*definition, claim, BROKEN[claim])


def can_say_no(names, source, beginning, change):
    (claim,) = [claim for claim in names["claims"] if claim.startswith(beginning)]
    assert names["claims"][claim]
    planted = names | change(names)
    exec(source, planted)
    assert not planted["claims"][claim]


def test_definition_every_claim_is_shown_to_be_able_to_fail(survey, definition):
    for (names, _), shown in ((survey, LIED_TO), (definition, BROKEN)):
        assert len(names["claims"]) == len(shown)
