"""Every cell of `audit.TESTS`, each test, claim and design, on mechanisms that use up their promise.

A test whose row promises too much is found here, whoever adds it.
"""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from mialab.accounting import Guarantee
from mialab.audit import TESTS, ConfidenceSequence, guess, p_value
from mialab.game import Counts, Design, Outcome
from mialab.tradeoff import DominatingPair, GaussianCurve, LaplaceCurve, approximate, pure

N, ERROR = 40, 0.05
LOPSIDED = DominatingPair(np.array([0.3, 0.6, 0.1]), np.array([0.05, 0.65, 0.3]))


def from_pair(pair):
    """Draw from a finite mechanism; an output that tells more has a higher score."""
    score = -np.arange(float(len(pair.member)))

    def draw(member, rng):
        worlds = (rng.choice(score, size=member.size, p=world) for world in (pair.member, pair.non_member))
        return np.where(member, *worlds)

    return draw


def answer(member, rng):
    return np.where(rng.random(member.size) < expit(1.0), member, ~member) * 1.0


def with_laplace(member, rng):
    return rng.laplace(size=member.size) + member


WORLDS = {  # how it draws, its exact curve, its (ε, δ), and a good threshold
    "randomized response": (answer, pure(1.0), (1.0, 0.0), 0.5),
    "Gaussian": (lambda member, rng: rng.normal(size=member.size) + member, GaussianCurve(1.0), None, 0.5),
    "Laplace": (with_laplace, LaplaceCurve(1.0), (1.0, 0.0), 0.5),
    "lopsided": (from_pair(LOPSIDED), LOPSIDED, None, -0.5),
    "confessing": (from_pair(approximate(1.0, 0.05)), approximate(1.0, 0.05), (1.0, 0.05), -0.5),
}
CELLS = [
    (world, name, design, kind)
    for world, (_, _, pair, _) in WORLDS.items()
    for name, test in TESTS.items()
    for design in test.designs
    for kind in ("ε", "curve")
    if kind in test.claims and (kind == "curve" or pair is not None)
    if not (name == "betting" and design != Design.RUNS and pair and pair[1] > 0)
]


def evidence(name, score, member, design, threshold, delta):
    outcome = Outcome(score, member, design=design)
    if TESTS[name].reads is Outcome:
        return outcome
    if TESTS[name].reads is Counts:
        return outcome.at(threshold)
    if TESTS[name].reads is ConfidenceSequence:
        return ConfidenceSequence(design, delta=delta).update(np.where((score >= threshold) == member, 1, -1))
    return guess(outcome, ins=N // 2, outs=N // 2)


def p_values(world, name, design, kind, repeats, rng, claim=None):
    draw, curve, pair, threshold = WORLDS[world]
    claim = claim or (curve if kind == "curve" else Guarantee(*pair, "replace-one"))
    found = []
    for _ in range(repeats):
        of_runs = design == Design.RUNS and name != "betting"  # which wants a coin for each run
        member = np.arange(2 * N) < N if of_runs else rng.random(2 * N) < 0.5
        delta = pair[1] if pair else 0.0
        some = evidence(name, draw(member, rng), member, design, threshold, delta)
        found.append(p_value(some, claim, test=name))
    return np.array(found)


@pytest.mark.parametrize(("world", "name", "design", "kind"), CELLS)
def test_coverage_what_keeps_its_promise_is_seldom_accused(world, name, design, kind):
    repeats = 20 if name == "joint" else 120  # it is slow, and has its own exact tests
    p = p_values(world, name, design, kind, repeats, np.random.default_rng(7))
    assert (p <= ERROR).sum() <= binom.isf(0.01 / len(CELLS), repeats, ERROR)


@pytest.mark.parametrize("name", TESTS)
def test_coverage_what_breaks_its_promise_is_accused_more_often(name):
    """Against a claim that it does not keep, so that the test above is able to fail."""
    claim = Guarantee(0.1, 0.0, "replace-one")
    repeats = 20 if name == "joint" else 120
    design = TESTS[name].designs[-1]
    p = p_values("randomized response", name, design, "ε", repeats, np.random.default_rng(8), claim)
    allowed = binom.isf(0.01 / len(CELLS), repeats, ERROR)
    if name == "one-run":  # of equal scores no guess is sure
        p = p_values("Laplace", name, design, "ε", repeats, np.random.default_rng(8), claim)
    assert (p <= ERROR).sum() > allowed
