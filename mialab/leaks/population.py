"""What an attacker knows of the records that an unknown record would come from. NumPy only."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door

Release = Float[ndarray, "features"]
Records = Float[ndarray, "records features"]
Candidates = Float[ndarray, "candidates features"]
Scores = Float[ndarray, "candidates"]

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
        if not self.references >= 2:
            _check.refuse("references", "be at least 2", self.references)

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
        _check.finite("mean", mean)
        _check.hold("mean", mean, 1, "features")
        _check.finite("covariance", covariance)
        if covariance.shape != (len(mean), len(mean)) or not np.allclose(covariance, covariance.T):
            _check.refuse("covariance", f"be a symmetric {len(mean)} × {len(mean)} matrix", covariance.shape)
        return cls(mean, _whitener("covariance", *np.linalg.eigh(covariance)))

    @classmethod
    @door
    def independent(cls, mean: Release, variance: Release) -> "Population":
        """Make a population of uncorrelated features; those without variance are left out."""
        _check.finite("mean", mean)
        _check.hold("mean", mean, 1, "features")
        _check.finite("variance", variance)
        return cls(mean, _whitener("variance", variance, np.eye(len(mean))))

    @classmethod
    @door
    def of(cls, reference: Records, *, most: int | None = None) -> "Population":
        """Estimate a population from reference records, none of which was averaged in the release.

        With ``most``, only that many directions are kept, those that vary most: a direction needs
        several reference records before its variance means anything.

        Raises
        ------
        ValueError
            If there are fewer than two records, a number is not finite, nothing varies, or ``most`` is
            below 1.
        """
        _check.at_least("most", 1 if most is None else most, 1)
        _check.hold("reference", reference, 2, "records")
        _check.hold("reference", reference.T, 1, "features")
        _check.squares("reference", reference)
        mean = reference.mean(axis=0)
        _, spread, directions = np.linalg.svd(reference - mean, full_matrices=False)
        whitener = _whitener("reference", spread**2 / (len(reference) - 1), directions.T)
        return cls(mean, whitener[:, : None if most is None else int(most)], float(len(reference)))

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
    smallest = _RELATIVE_ROUNDING * variances.max()
    if variances.min() < -smallest:
        what = "number" if name == "variance" else "eigenvalue"
        _check.refuse(name, f"have no negative {what}", variances.min())
    if variances.max() <= 0:
        _check.refuse(name, "vary in at least one direction", "no variance at all")
    varies = variances > smallest
    return directions[:, varies] / np.sqrt(variances[varies])
