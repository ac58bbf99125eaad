"""Tracing genomes from published frequencies: slow readings, enumerated pools, limits, power in its band."""

from functools import partial
from itertools import product

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom, kstest

from mialab import metrics
from mialab.game import Outcome
from mialab.leaks import aggregates, genomics
from mialab.leaks.genomics import Reference, homer, polymorphic
from mialab.leaks.genomics.tracing import _lift, exact_likelihood_ratio, likelihood_ratio, z_score

TESTS = {
    "homer": homer,
    "likelihood_ratio": likelihood_ratio,
    "exact_likelihood_ratio": partial(exact_likelihood_ratio, n=20),
    "z_score": partial(z_score, n=20),
}
every_test = pytest.mark.parametrize("test", TESTS.values(), ids=TESTS)


def draw(rng, people, frequency):
    return rng.binomial(2, frequency, size=(people, len(frequency))).astype(np.int8)


@pytest.fixture
def world(rng):
    """Make a pool of 20, five candidates, and what is known of 30 variants."""
    frequency = rng.uniform(0.2, 0.8, 30)
    pool = draw(rng, 20, frequency)
    return genomics.allele_frequencies(pool), draw(rng, 5, frequency), Reference(frequency)


# One genome at a time, one variant at a time


def test_definition_homers_distances(world):
    released, candidates, reference = world
    for got, x in zip(homer(*world), candidates, strict=True):
        d = [
            abs(g / 2 - p) - abs(g / 2 - f) for g, p, f in zip(x, reference.frequency, released, strict=True)
        ]
        assert got == pytest.approx(np.mean(d) / (np.std(d, ddof=1) / np.sqrt(len(d))))


def test_definition_two_alleles_drawn_from_either(world):
    released, candidates, reference = world
    for got, x in zip(likelihood_ratio(*world), candidates, strict=True):
        ratio = [
            np.log(binom.pmf(g, 2, f) / binom.pmf(g, 2, p))
            for g, p, f in zip(x, reference.frequency, released, strict=True)
        ]
        assert got == pytest.approx(np.sum(ratio))


def test_oracle_the_z_score_is_that_of_a_released_mean(world):
    released, candidates, reference = world
    population = aggregates.Population.independent(2 * reference.frequency, reference.variance)
    theirs = aggregates.z_score(2 * released, candidates.astype(float), population, 20)
    np.testing.assert_allclose(z_score(*world, n=20), theirs)


def test_definition_frequencies_of_those_who_are_known():
    genotypes = np.array([[0, -1, 2], [1, 2, -1], [-1, 1, 2]], dtype=np.int8)
    np.testing.assert_allclose(genomics.allele_frequencies(genotypes), [1 / 4, 3 / 4, 1])
    assert polymorphic(genotypes).tolist() == [True, True, False]
    assert polymorphic(genotypes, 0.25).tolist() == [False, False, False]


# Every pool that there can be


def chances(frequency, people, fixed=()):
    """Return how likely each vector of allele counts is, by going through all genomes of all people."""
    variants, found = len(frequency), {}
    genome = {
        x: np.prod([binom.pmf(g, 2, p) for g, p in zip(x, frequency, strict=True)])
        for x in product(range(3), repeat=variants)
    }
    for pool in product(genome, repeat=people):
        count = tuple(np.sum([*pool, *fixed], axis=0))
        found[count] = found.get(count, 0.0) + np.prod([genome[x] for x in pool])
    return found


@pytest.mark.parametrize("n", [2, 3])
def test_oracle_the_exact_ratio_over_all_pools(n):
    frequency = np.array([0.3, 0.1])
    out = chances(frequency, n)
    assert sum(out.values()) == pytest.approx(1)
    for candidate in product(range(3), repeat=2):
        inside = chances(frequency, n - 1, [candidate])
        x = np.array([candidate], dtype=np.int8)
        for count, chance in out.items():
            released = np.array(count) / (2 * n)
            (got,) = exact_likelihood_ratio(released, x, Reference(frequency), n)
            assert np.exp(got) == pytest.approx(inside.get(count, 0.0) / chance)


def test_limit_in_a_crowd_putting_back_makes_no_difference(rng):
    frequency = rng.uniform(0.2, 0.8, 50)
    released = np.rint(frequency * 2e6 + rng.normal(size=50) * 1000) / 2e6
    inputs = released, draw(rng, 4, frequency), Reference(frequency)
    exact = exact_likelihood_ratio(*inputs, n=10**6)
    np.testing.assert_allclose(exact, likelihood_ratio(*inputs), atol=1e-4)


def test_no_test_beats_the_exact_ratio(rng):
    """By the lemma of Neyman and Pearson, and where it matters: small pools, rare variants."""
    frequency, n = rng.uniform(0.01, 0.05, 40), 10
    scores, member = {name: [] for name in ("z", "ratio", "exact")}, []
    for _ in range(60):
        pool = draw(rng, n, frequency)
        candidates, known = np.vstack([pool, draw(rng, n, frequency)]), Reference(frequency)
        released = genomics.allele_frequencies(pool)
        scores["z"].append(z_score(released, candidates, known, n))
        scores["ratio"].append(likelihood_ratio(released, candidates, known, error=1e-6))
        scores["exact"].append(exact_likelihood_ratio(released, candidates, known, n, error=1e-6))
        member.append(np.arange(2 * n) < n)
    auc = {name: metrics.roc_curve(metrics_outcome(score, member)).auc for name, score in scores.items()}
    assert auc["exact"] >= auc["ratio"] > auc["z"]
    assert auc["exact"] > auc["z"] + 0.005


def metrics_outcome(score, member):
    return Outcome(np.concatenate(score), np.concatenate(member))


# Limits


@every_test
def test_limit_a_missing_genotype_is_worth_nothing(world, test):
    released, candidates, reference = world
    fewer = Reference(reference.frequency[:-3], reference.people)
    candidates = candidates.copy()
    candidates[:, -3:] = -1
    np.testing.assert_allclose(
        test(released, candidates, reference), test(released[:-3], candidates[:, :-3], fewer)
    )


@every_test
def test_limit_turning_alleles_round_changes_nothing(world, test):
    released, candidates, reference = world
    turned = test(1 - released, 2 - candidates, Reference(1 - reference.frequency))
    np.testing.assert_allclose(test(*world), turned)


def test_limit_an_allele_that_nobody_has_is_proof_of_absence():
    known, carries = Reference(np.array([0.1, 0.5])), np.array([[1, 1], [0, 1]])
    for test in (likelihood_ratio, partial(exact_likelihood_ratio, n=5)):
        score = test(np.array([0.0, 0.5]), carries, known)
        assert score[0] == -np.inf
        assert score[1] > 0
        assert np.isfinite(test(np.array([0.0, 0.5]), carries, known, error=1e-3)).all()
        np.testing.assert_allclose(test(np.array([0.0, 0.5]), carries, known, error=1 - 1e-12), 0, atol=1e-6)


# How often it is right

SETTINGS = [
    (100, 200, np.inf),
    (400, 100, np.inf),
    (1000, 100, 100),
    (400, 50, 200),
    (1000, 200, 1000),
    (1000, 100, 40),
]


def counted(rng, people, frequency):
    """Return frequencies as they are counted in so many people, or are known."""
    return frequency if np.isinf(people) else rng.binomial(2 * int(people), frequency) / (2 * people)


def rounds(rng, variants, n, people, repetitions=600):
    """Score one member and one stranger of each of many studies."""
    inside, outside = [], []
    for _ in range(repetitions):
        frequency = rng.uniform(0.2, 0.8, variants)
        pair = draw(rng, 2, frequency)
        released = (pair[0] + rng.binomial(2 * n - 2, frequency)) / (2 * n)
        reference = Reference(counted(rng, people, frequency), people)
        score = z_score(released, pair, reference, n)
        inside.append(score[0])
        outside.append(score[1])
    return np.array(inside), np.array(outside)


@pytest.mark.parametrize(("variants", "n", "people"), SETTINGS)
def test_coverage_strangers_are_standard_normal_and_power_is_in_its_band(rng, variants, n, people):
    inside, outside = rounds(rng, variants, n, people)
    assert kstest(outside, "norm").pvalue > 0.001
    accused = int(np.sum(inside >= -ndtri(0.05)))
    band = metrics.clopper_pearson(accused, len(inside), confidence=0.999)
    assert band.low <= aggregates.expected_tpr(0.05, np.sqrt(variants), n, references=people) <= band.high


def test_oracle_the_lift_is_what_references_lift_on_average(rng):
    """The mean of a stranger's sum over many references, at one frequency, not too near the border."""
    for p, people in ((0.5, 20), (0.3, 40)):
        r = rng.binomial(2 * people, p, size=10**6) / (2 * people)
        exact = np.mean(2 * (p - r) ** 2 / (r * (1 - r)))
        second = _lift(Reference(np.array([p]), people))[0]
        assert abs(second - exact) < abs(1 / people - exact) / 4


def test_coverage_who_forgets_the_references_own_error_accuses_strangers(rng):
    variants, n, people = 1000, 100, 50
    _, outside = rounds(rng, variants, n, people, repetitions=200)
    forgotten = outside + np.sqrt(variants) / people / np.sqrt(1 / n + 1 / people)
    assert kstest(forgotten, "norm").pvalue < 1e-6
    assert np.mean(forgotten >= -ndtri(0.05)) > 0.9


def test_coverage_homers_distance_needs_two_samples_of_one_size(rng):
    frequency, n = rng.uniform(0.1, 0.9, 2000), 100
    errors = {}
    for people in (50, 100, 400):
        scores = np.concatenate(
            [
                homer(
                    counted(rng, n, frequency),
                    draw(rng, 1, frequency),
                    Reference(counted(rng, people, frequency), people),
                )
                for _ in range(300)
            ]
        )
        errors[people] = np.mean(scores) / (np.std(scores) / np.sqrt(len(scores)))
    assert abs(errors[100]) < 3.3
    assert errors[50] > 5
    assert errors[400] < -5


# Bad input

OUTSIDE = "be in \\[0, 1\\]"


@every_test
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f, x, r: (np.append(f[:-1], 1.2), x, r), f"released must {OUTSIDE}, got 1 of 30 values"),
        (lambda f, x, r: (f, x + 1, r), "candidates must be 0, 1, 2, or −1 for missing, got 1 … 3"),
        (lambda f, x, r: (f, 0 * x - 1, r), "at least one known genotype, got none in row 0"),
        (lambda f, x, r: (f, x, Reference(r.frequency[:-1])), "reference must have 30 variants, got 29"),
    ],
)
def test_bad_input_is_refused(world, test, change, says, at_the_door):
    with pytest.raises(ValueError, match=says):
        test(*change(*world))


def test_bad_numbers_are_refused(world, at_the_door):
    reference = world[2]
    for test in (z_score, exact_likelihood_ratio):
        with pytest.raises(ValueError, match="n must be at least 2, got 1"):
            test(*world, n=1)
    with pytest.raises(ValueError, match="released must be counts out of 2n = 38 alleles"):
        exact_likelihood_ratio(*world, n=19)
    for error in (-0.1, 1.0):
        with pytest.raises(ValueError, match="error must be in"):
            likelihood_ratio(*world, error=error)
    with pytest.raises(ValueError, match="people must be at least 2, got 1"):
        Reference(reference.frequency, 1)
    with pytest.raises(
        ValueError, match=r"be above 0 and below 1 \(drop fixed variants\), got 1 of 3 values"
    ):
        Reference.of(np.array([[0, 1, 2], [1, 1, 2]]))
    with pytest.raises(ValueError, match="nobody's at 1"):
        genomics.allele_frequencies(np.array([[0, -1], [1, -1]]))
    with pytest.raises(ValueError, match="distances that vary over the variants, got row 0"):
        homer(np.array([0.7, 0.7]), np.array([[2, 2]]), Reference(np.array([0.5, 0.5])))
