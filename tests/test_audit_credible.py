"""What a Bayesian believes about ε."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from audits import rates
from mialab.accounting import Guarantee, Neighbours
from mialab.audit import AuditResult, CredibleInterval, Verdict, credible
from mialab.audit.credible import posterior
from mialab.game import Counts, Design

SAME = {"neighbours": Neighbours.REPLACE}


def runs(true: int, members: int, false: int, non_members: int) -> Counts:
    return Counts(true, members, false, non_members, design=Design.RUNS)


SOME = (
    runs(5, 10, 2, 10),
    runs(0, 10, 0, 10),
    runs(30, 30, 0, 20),
    runs(50, 800, 10, 500),
    runs(1, 1, 0, 90),
    runs(50, 100, 52, 100),
    runs(2, 30, 19, 40),
)


@pytest.mark.parametrize("counts", SOME)
@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 0.0), (1.0, 0.0), (3.0, 0.02)])
def test_definition_the_share_of_the_posterior_in_the_region(counts, epsilon, delta):
    """Draw both rates from Jeffreys' posteriors, and read all four inequalities."""
    rng, draws, grows = np.random.default_rng(8), 200_000, np.exp(epsilon)
    tpr, fpr = (
        rng.beta(hits + 0.5, size - hits + 0.5, draws)
        for hits, size in (
            (counts.true_positives, counts.members),
            (counts.false_positives, counts.non_members),
        )
    )
    fnr, tnr = 1 - tpr, 1 - fpr
    test = (tpr <= grows * fpr + delta) & (tnr <= grows * fnr + delta)
    share = np.mean(test & (fpr <= grows * tpr + delta) & (fnr <= grows * tnr + delta))
    exact = posterior(counts, epsilon, delta)
    assert abs(share - exact) <= 4 * np.sqrt(exact * (1 - exact) / draws) + 1e-9


@pytest.mark.parametrize("counts", SOME)
def test_oracle_quad(counts):
    tp, fp = counts.true_positives, counts.false_positives
    member = beta(tp + 0.5, counts.members - tp + 0.5)
    non_member = beta(fp + 0.5, counts.non_members - fp + 0.5)
    for epsilon, delta in ((0.5, 0.0), (2.0, 0.01)):
        grows = np.exp(epsilon)

        def over(place):  # by the quantile of the FPR
            fpr = non_member.ppf(place)
            most = min(grows * fpr + delta, 1 - (1 - fpr - delta) / grows)  # noqa: B023
            least = max((fpr - delta) / grows, 1 - delta - (1 - fpr) * grows)  # noqa: B023
            return member.cdf(min(most, 1)) - member.cdf(max(least, 0))

        turns = [(1 - delta) / (1 + grows), (grows + delta) / (1 + grows), delta, 1 - delta]
        pieces = np.unique([0, *non_member.cdf(turns).round(12), 1])
        slow = sum(quad(over, a, b, epsabs=1e-10, limit=200)[0] for a, b in itertools.pairwise(pieces))
        assert posterior(counts, epsilon, delta) == pytest.approx(slow, abs=1e-7)


def test_limit_symmetry_and_certainty():
    for n in (1, 7, 400):
        for hits in (0, n // 2, n):
            assert posterior(runs(hits, n, hits, n), 0.0) == pytest.approx(0, abs=1e-12)
    assert posterior(runs(9, 10, 1, 10), 30.0) == pytest.approx(1, abs=1e-9)
    there, back = posterior(runs(40, 100, 2, 90), 1.0, 0.01), posterior(runs(88, 90, 60, 100), 1.0, 0.01)
    assert there == pytest.approx(back, rel=1e-11)


@pytest.mark.parametrize("counts", SOME)
@pytest.mark.parametrize("delta", [0.0, 0.02])
def test_limit_a_test_shows_what_its_reverse_shows(counts, delta):
    true, false = counts.true_positives, counts.false_positives
    reverse = runs(counts.members - true, counts.members, counts.non_members - false, counts.non_members)
    one, other = (credible(each, delta=delta, **SAME) for each in (counts, reverse))
    assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-9)


@pytest.mark.parametrize("counts", SOME)
@pytest.mark.parametrize("probability", [1e-300, 1 - 1e-10, 1 - 1e-16])
def test_limit_hardly_anything_and_nearly_everything(counts, probability):
    one, usual = credible(counts, probability=probability, **SAME), credible(counts, **SAME)
    if probability < 0.95:
        assert usual.low < one.low <= one.high < usual.high
        assert one.high == pytest.approx(one.low, abs=1e-6)
    else:
        assert one.low < usual.low < usual.high < one.high < np.inf


def test_definition_near_chance_the_ends_are_quantiles_of_epsilon():
    """The smallest ε that allows both rates is the larger of four logarithms: draw it."""
    rng = np.random.default_rng(8)
    counts = runs(52, 100, 50, 100)
    tpr, fpr = rng.beta(52.5, 48.5, 400_000), rng.beta(50.5, 50.5, 400_000)
    epsilon = np.maximum(np.abs(np.log(tpr / fpr)), np.abs(np.log((1 - tpr) / (1 - fpr))))
    one = credible(counts, **SAME)
    np.testing.assert_allclose([one.low, one.high], np.quantile(epsilon, [0.025, 0.975]), rtol=0.02)


@pytest.mark.parametrize("delta", [0.0, 0.01])
def test_definition_the_ends_cut_off_equal_tails(delta):
    counts = runs(60, 100, 10, 100)
    one = credible(counts, delta=delta, probability=0.9, **SAME)
    assert posterior(counts, one.low, delta) == pytest.approx(0.05, abs=1e-9)
    assert posterior(counts, one.high, delta) == pytest.approx(0.95, abs=1e-9)
    assert 0 < one.low < np.log(6) < one.high
    chance = credible(runs(50, 100, 50, 100), delta=0.3, **SAME)
    assert (chance.low, chance.high) == (0.0, 0.0)


@pytest.mark.usefixtures("at_the_door")
def test_definition_it_is_no_bound_and_its_type_says_so():
    counts = runs(375, 500, 125, 500)
    belief, claim = credible(counts, **SAME), Guarantee(0.5, 0.0, Neighbours.REPLACE)
    assert not isinstance(belief, AuditResult)
    assert str(belief) == "ε from 0.977 to 1.284 at δ = 0 (95 % credible: Bayesian, no bound)"
    with pytest.raises(ValueError, match=r"result must be an AuditResult.*got CredibleInterval"):
        Verdict(belief, claim)  # pyright: ignore[reportArgumentType]
    assert Verdict(rates(counts, **SAME), claim)


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: credible(Counts(1, 2, 0, 2), **SAME), "design must be runs .*got unknown"),
        (lambda: credible(runs(1, 2, 0, 2), delta=-0.1, **SAME), r"delta must be in \[0, 1\), got -0.1"),
        (
            lambda: posterior(runs(1, 2, 0, 2), -1.0),
            "epsilon must be a finite number of at least 0, got -1.0",
        ),
        (lambda: posterior(runs(1, 2, 0, 2), 1.0, 1.5), r"delta must be in \[0, 1\), got 1.5"),
        (lambda: credible(runs(1, 2, 0, 2), probability=1.0, **SAME), r"probability must be in \(0, 1\)"),
        (lambda: credible(runs(1, 2, 0, 2), neighbours="both"), "neighbours must be one of"),
        (
            lambda: CredibleInterval(2.0, 1.0, 0.0, 0.95, Neighbours.REPLACE, 10),
            "high must be at least low, 2.0, got 1.0",
        ),
    ],
)
def test_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()
