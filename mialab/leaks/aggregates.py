"""Tracing: was this record among those whose mean was released? NumPy only.

A mean is published: of the features of a batch, of gradients, of allele counts. The attacker has a
candidate record x and knows the population it would come from (mean μ and covariance Σ, or reference
records that say as much). In both worlds n records are averaged; in one of them x is among them, in the
other an unknown record is there in its place. For n records with covariance Σ the release r is then

    out:  r ~ N(μ, Σ/n)                    in:  r ~ N(μ + (x − μ)/n, Σ(n − 1)/n²),

exactly for Gaussian records and nearly so for others, by the central limit theorem. Whiten, so that
u = Σ^(−½)(r − μ) and d = Σ^(−½)(x − μ). The log-likelihood ratio is, but for terms that are smaller by
1/√n, linear in u, so the best test projects the release on the candidate:

    z = √n · (d·u)/D,   D = |d|,     z ~ N(0, 1) out,     z ~ N(D/√n, (n − 1)/n) in.

D is the Mahalanobis distance of the candidate, and D/√n is all that matters. Over candidates from the
population the mean of D² is trace(Σ^(−½) Σ Σ^(−½)) = the *rank* r of Σ, whatever the number of features.
With r of them worth as much as r independent ones, the typical power at a false-positive rate α is

    TPR = Φ(Φ⁻¹(α) + √(r/n)).          (`expected_tpr`)

Sankararaman et al. 2009 derive it for allele frequencies, Dwork et al. 2015 for any released mean, Azize &
Basu 2024 for each record by its own D. With moments estimated from n_ref records the release is compared
with a mean that has a variance of its own, and n becomes n(1 + n/n_ref). That leaves out the error of
the covariance, which is small where n_ref is many times the rank.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import ndtr, ndtri

from mialab import _check
from mialab._validation import door

Release = Float[ndarray, "features"]
Features = Float[ndarray, "records features"]
Candidates = Float[ndarray, "candidates features"]
Scores = Float[ndarray, "candidates"]
Numbers = float | Float[ndarray, "..."]

_RELATIVE_ROUNDING = 1e-9  # of the largest variance: directions below it are rounding, not spread


@door
@dataclass(frozen=True, eq=False)
class Population:
    """What the attacker knows of the records' distribution.

    Attributes
    ----------
    mean
        Float (features,).
    whitener
        Float (features, rank): (x − mean) @ whitener has the unit matrix as its covariance. Directions
        in which the records do not vary have no column.
    references
        How many records mean and covariance were estimated from; infinite if they are known.

    Examples
    --------
    >>> two_copies = Population.known(np.zeros(2), np.ones((2, 2)))
    >>> two_copies.rank
    1
    >>> Population.independent(np.zeros(2), np.array([1.0, 4.0])).distance(np.array([[3.0, 8.0]]))
    array([5.])
    """

    mean: Release
    whitener: Float[ndarray, "features rank"]
    references: float = np.inf

    def __post_init__(self):
        _check.squares("mean", self.mean)
        _check.finite("whitener", self.whitener)
        _check.at_least("references", self.references, 2)

    @classmethod
    @door
    def known(cls, mean: Release, covariance: Float[ndarray, "features features"]) -> "Population":
        """Make a population from its mean and covariance.

        Raises
        ------
        ValueError
            If a number is not finite, the covariance is not symmetric with non-negative eigenvalues, or
            there is no variance at all.
        """
        _check.finite("covariance", covariance)
        if not np.allclose(covariance, covariance.T):
            _check.refuse("covariance", "be symmetric", "a matrix that is not")
        return cls(mean, _whitener("covariance", *np.linalg.eigh(covariance)))

    @classmethod
    @door
    def independent(cls, mean: Release, variance: Release) -> "Population":
        """Make a population of uncorrelated features; those without variance are left out."""
        return cls(mean, _whitener("variance", variance, np.eye(len(mean))))

    @classmethod
    @door
    def of(cls, reference: Features, *, directions: int | None = None) -> "Population":
        """Estimate a population from reference records, none of which was averaged in the release.

        With ``directions``, only so many are kept, those in which the reference varies most: each needs
        several records before its variance means anything.

        Raises
        ------
        ValueError
            If there are fewer than two records, a number is not finite, nothing varies, or
            ``directions`` is below 1.
        """
        _check.at_least("directions", 1 if directions is None else directions, 1)
        _check.hold("reference", reference, 2, "records")
        _check.squares("reference", reference)
        mean = reference.mean(axis=0)
        _, spread, axes = np.linalg.svd(reference - mean, full_matrices=False)
        whitener = _whitener("reference", spread**2 / (len(reference) - 1), axes.T)
        return cls(mean, whitener[:, :directions], float(len(reference)))

    @property
    def rank(self) -> int:
        """In how many directions the records vary."""
        return self.whitener.shape[1]

    @door
    def whiten(self, x: Float[ndarray, "*records features"]) -> Float[ndarray, "*records rank"]:
        """Return x in units in which the population has mean 0 and the unit matrix as its covariance.

        Examples
        --------
        >>> Population.known(np.ones(2), np.diag([1.0, 4.0])).whiten(np.array([2.0, 5.0]))
        array([1., 2.])
        """
        return self._whitened("x", x)

    def _whitened(self, name: str, x: ndarray) -> Float[ndarray, "*records rank"]:
        _check.squares(name, x)
        if x.shape[-1] != len(self.mean):
            _check.refuse(name, f"have {len(self.mean)} features", x.shape[-1])
        return (x - self.mean) @ self.whitener

    @door
    def distance(self, candidates: Candidates) -> Scores:
        """Return the Mahalanobis distance D of each candidate from the mean."""
        return np.linalg.norm(self._whitened("candidates", candidates), axis=-1)


def _whitener(name: str, variances: ndarray, directions: ndarray) -> Float[ndarray, "features rank"]:
    """Divide each direction by its standard deviation, and leave out those that do not vary."""
    _check.hold(name, variances, 1, "features")
    _check.finite(name, variances)
    smallest = _RELATIVE_ROUNDING * variances.max()
    if variances.min() < -smallest:
        what = "number" if name == "variance" else "eigenvalue"
        _check.refuse(name, f"have no negative {what}", variances.min())
    if variances.max() <= 0:
        _check.refuse(name, "vary in at least one direction", "no variance at all")
    varies = variances > smallest
    return directions[:, varies] / np.sqrt(variances[varies])


@door
def inner_product(released: Release, candidates: Candidates, centre: Release) -> Scores:
    """Return (x − centre)·(released − centre) for each candidate x: the test that knows only a centre.

    Dwork et al. 2015. It needs no covariance, and it is the likelihood ratio where the covariance is
    a multiple of the unit matrix; elsewhere the noisiest features have the loudest voice.

    Parameters
    ----------
    released
        The released mean (features,).
    candidates
        Records (records, features), on the scale of the release.
    centre
        The population's mean.

    Raises
    ------
    ValueError
        If a number is not finite, or has no square that is.

    Examples
    --------
    >>> inner_product(np.array([0.5, 0.0]), np.array([[2.0, 0.0], [0.0, 3.0]]), np.zeros(2))
    array([1., 0.])
    """
    _check.all_squares(released=released, candidates=candidates, centre=centre)
    return (candidates - centre) @ (released - centre)


@door
def z_score(released: Release, candidates: Candidates, population: Population, n: float) -> Scores:
    """Return how many standard deviations the release leans towards each candidate.

    The likelihood-ratio test of the module's docstring, scaled so that a non-member's score is
    N(0, 1): accusing from −Φ⁻¹(fpr) on has that false-positive rate for every candidate.

    Parameters
    ----------
    released
        The released mean (features,).
    candidates
        Records (records, features), on the scale of the release.
    population
        What the attacker knows of the records.
    n
        How many records were averaged; 1/Σwᵢ² if the mean was weighted.

    Raises
    ------
    ValueError
        If shapes differ, a number is not finite, n is below 1, or a candidate lies exactly at the
        population's mean, where no release can tell anything about it.

    Examples
    --------
    >>> independent = Population.known(np.zeros(2), np.eye(2))
    >>> z_score(np.array([0.5, 0.0]), np.array([[2.0, 0.0], [0.0, 3.0]]), independent, n=16)
    array([2., 0.])
    """
    effective = _effective(n, population.references)
    direction = population._whitened("candidates", candidates)
    distance = np.linalg.norm(direction, axis=-1)
    if not distance.all():
        _check.refuse("candidates", "differ from the population's mean", f"none in row {distance.argmin()}")
    lean = direction @ population._whitened("released", released) / distance
    return lean * np.sqrt(effective)


@door
def simulated_z_score(
    released: Release,
    release_of: Callable[[Int[ndarray, "batches n"]], Float[ndarray, "batches features"]],
    candidates: Int[ndarray, "candidates"],
    pool: Int[ndarray, "pool"],
    n: int,
    *,
    rng: np.random.Generator,
    simulations: int = 600,
    swaps: int = 20,
) -> Scores:
    """Return the `z_score` for a release that is no mean at all, if the attacker can simulate it.

    To first order every smooth function of a batch's distribution is a mean over its records, of a function
    that nobody may be able to write down. So the attacker releases batches of records of their own, for
    the release's mean and covariance, and swaps the candidate into some of them, for the shift. As many
    directions are kept as a tenth of the simulations.

    Parameters
    ----------
    released
        What was seen (features,).
    release_of
        Rows of batches (batches, n) in, what would be seen (batches, features) out.
    candidates
        Rows of the candidates.
    pool
        Rows of the attacker's own records, n or more.
    n
        Records in the batch.
    rng
        Draws the batches.
    simulations, swaps
        How many batches are released for mean and covariance, and for each candidate's shift.

    Raises
    ------
    ValueError
        If the pool is smaller than a batch, there are fewer than 10 simulations or 1 swap, or nothing
        that is released varies.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(500, 3))
    >>> seen = x[:8].mean(axis=0)
    >>> pool = np.arange(100, 500)
    >>> score = simulated_z_score(seen, lambda b: x[b].mean(axis=1), np.arange(100), pool, 8, rng=rng)
    >>> bool(score[:8].mean() > score[8:].mean())
    True
    """
    _check.at_least("simulations", simulations, 10)
    _check.at_least("swaps", swaps, 1)
    _check.at_least("n", n, 1)
    for name, rows, least in (("pool", pool, n), ("candidates", candidates, 1)):
        _check.hold(name, rows, least, "records")
        if rows.min() < 0:
            _check.refuse(name, "be numbers of records", rows.min())
    batches = np.stack([rng.choice(pool, n, replace=False) for _ in range(simulations + swaps)])
    draws, before = batches[:simulations], batches[simulations:]
    population = Population.of(release_of(draws), directions=simulations // 10)
    unmoved, shift = release_of(before).mean(axis=0), []
    for candidate in candidates:
        after = before.copy()
        after[:, 0] = candidate
        shift.append(release_of(after).mean(axis=0) - unmoved)
    return z_score(released, population.mean + np.array(shift), population, 1)


@door
def expected_tpr(
    fpr: Numbers, distance: Numbers, n: float, *, references: float = np.inf, weight: float = 1.0
) -> Float[ndarray, "..."]:
    """Return the true-positive rate Φ(Φ⁻¹(fpr) + D/√n) of tracing in the Gaussian limit.

    Parameters
    ----------
    fpr
        In [0, 1].
    distance
        The candidate's D; √rank for a typical one.
    n
        How many records were averaged; 1/Σwᵢ² if the mean was weighted.
    references
        From how many records the moments were estimated.
    weight
        The candidate's weight in a weighted mean, as a multiple of 1/n.

    Raises
    ------
    ValueError
        If a number is outside its range.

    Examples
    --------
    >>> expected_tpr(np.array([0.05, 0.001]), np.sqrt(640), n=64).round(4)
    array([0.9354, 0.5287])
    >>> expected_tpr(0.05, np.sqrt(64), n=64, references=64).round(4).item()
    0.1742
    """
    if np.size(fpr) == 0:
        _check.refuse("fpr", "hold at least 1 rate", "none")
    for extreme in (np.min(fpr), np.max(fpr)):
        _check.probability("fpr", float(extreme))
    for name, value in (("distance", np.asarray(distance)), ("weight", np.asarray(weight))):
        _check.squares(name, value)
        _check.not_negative(name, float(value.min(initial=0)))
    # The candidate moves the mean by weight · D/n; the yardstick is √(1/n + 1/references).
    yardstick = np.sqrt(_effective(n, references))
    shift = weight * np.asarray(distance) / n * yardstick
    return np.asarray(ndtr(ndtri(fpr) + shift))


def _effective(n: float, references: float) -> float:
    """Return the n whose 1/n is the variance of the release less the estimated mean: 1/n + 1/references."""
    if not 1 <= n < np.inf:
        _check.refuse("n", "be a finite number of at least 1", n)
    _check.at_least("references", references, 2)
    return n / (1 + n / references)
