"""Was this record in that update? NumPy only.

An update of one step is a mean of n gradients: a released mean. If d = g − μ is how far the candidate's
gradient is from the population's mean, u = r − μ the same for the update, and gradients had covariance Σ,
the best test would be the likelihood ratio of `mialab.leaks.aggregates`,

    dᵀ Σ⁻¹ u − dᵀ Σ⁻¹ d / 2n.

But there are more parameters than reference records, and Σ cannot be known where no reference has ever
gone. Two ways out: keep the directions that the references can estimate (``Population.of(…, directions=k)``),
or put Σ̂ + λ in the place of Σ. With the references' own directions vₖ and variances s²ₖ,

    dᵀ(Σ̂ + λ)⁻¹u = Σₖ (vₖ·d)(vₖ·u)/(s²ₖ + λ) + (d⊥·u⊥)/λ,

where ⊥ is what is left after all vₖ have been taken out: there, whatever is seen is the candidate's own.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.leaks.aggregates import Candidates, Features, Release

_RELATIVE_ROUNDING = 1e-9  # of the largest: below it, directions are rounding


@door
def alignment(update: Release, gradients: Candidates) -> Float[ndarray, "candidates"]:
    """Return the cosine of the angle between the update and each candidate's gradient.

    A candidate without gradient pushes nowhere; its alignment, and that with an update of zero, is 0.

    Raises
    ------
    ValueError
        If shapes differ or a number is not finite.

    Examples
    --------
    >>> alignment(np.array([1.0, 1.0]), np.array([[3.0, 3.0], [1.0, -1.0], [0.0, 0.0]])).round(6)
    array([1., 0., 0.])
    """
    _check_update(update, gradients)
    update, gradients = np.asarray(update, dtype=float), np.asarray(gradients, dtype=float)
    lengths = np.linalg.norm(gradients, axis=1) * np.linalg.norm(update)
    return np.divide(gradients @ update, lengths, out=np.zeros(len(gradients)), where=lengths > 0)


@door
@dataclass(frozen=True, eq=False)
class Ridge:
    """What an attacker knows of gradients from fewer reference records than there are parameters.

    Attributes
    ----------
    mean
        Float (features,).
    directions
        Float (features, rank), orthonormal: where the references vary.
    variances
        Float (rank,): by how much.
    ridge
        λ, a variance: supposed in every direction on top of what was seen.

    Examples
    --------
    >>> reference = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> population = Ridge.of(reference, 0.01)
    >>> population.log_ratio(np.array([0.5, 0.5, 0.0]), np.array([[1.0, 1.0, 0.0]]), n=2).round(2)
    array([25.25])
    """

    mean: Release
    directions: Float[ndarray, "features rank"]
    variances: Float[ndarray, "rank"]
    ridge: float

    @classmethod
    @door
    def of(cls, reference: Features, relative: float) -> "Ridge":
        """Estimate it from two reference records or more, none of them in the update.

        ``relative`` is λ as a multiple of the largest variance.

        Raises
        ------
        ValueError
            If there are fewer than two references, a number is not finite, nothing varies, or
            ``relative`` is not above 0.
        """
        _check.hold("reference", reference, 2, "records")
        _check.hold("reference", reference.T, 1, "features")
        _check.squares("reference", reference)
        _check.positive("relative", relative)
        reference = np.asarray(reference, dtype=float)
        mean = reference.mean(axis=0)
        variances, directions = _principal(reference - mean)
        if not len(variances):
            _check.refuse("reference", "vary in at least one direction", "no variance at all")
        return cls(mean, directions, variances, relative * float(variances.max()))

    @door
    def log_ratio(
        self, update: Float[ndarray, "*candidates features"], gradients: Candidates, n: float
    ) -> Float[ndarray, "candidates"]:
        """Return the log-likelihood ratio of "in" against "out" for each candidate, for a mean of n records.

        For Gaussian gradients with the covariance Σ̂ + λ, up to terms of order 1/n. Either one update for
        all candidates, or one for each of them.

        Raises
        ------
        ValueError
            If shapes differ, a number is not finite, or n is below 1.
        """
        for name, array in (("update", update), ("gradients", gradients)):
            _check.squares(name, array)
            if array.shape[-1:] != self.mean.shape:
                _check.refuse(name, f"have {len(self.mean)} features", array.shape)
        if not n >= 1:
            _check.refuse("n", "be at least 1", n)
        _check.positive("n", n)
        u, d = update - self.mean, gradients - self.mean
        pull = self._solve(d)
        return np.sum(pull * u, axis=1) - np.sum(pull * d, axis=1) / (2 * n)

    def _solve(self, d: Candidates) -> Candidates:
        """Return (Σ̂ + λ)⁻¹ d, row by row."""
        shrink = self.variances / (self.variances + self.ridge)
        return (d - (d @ self.directions * shrink) @ self.directions.T) / self.ridge


@door
def weights(update: Release, gradients: Candidates) -> Float[ndarray, "candidates"]:
    """Return the weights with which the candidates' gradients add up to the update, by least squares.

    If all records of an update are among the candidates, and the gradients are linearly independent (so no
    more candidates than parameters seen), the weights are 1/n for its n records and 0 for all others.

    Raises
    ------
    ValueError
        If shapes differ, a number is not finite, or the gradients are not linearly independent.

    Examples
    --------
    >>> gradients = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    >>> weights(gradients[:2].mean(axis=0), gradients).round(6) + 0.0
    array([0.5, 0.5, 0. ])
    """
    _check_update(update, gradients)
    scale = np.linalg.norm(gradients, axis=1)
    if not scale.all():
        _check.refuse("gradients", "be linearly independent", f"a gradient of zero in row {scale.argmin()}")
    unit = np.asarray(gradients, dtype=float) / scale[:, None]
    solution, _, rank, _ = np.linalg.lstsq(unit.T, np.asarray(update, dtype=float), rcond=_RELATIVE_ROUNDING)
    if rank < len(gradients):
        _check.refuse("gradients", "be linearly independent", f"rank {rank} for {len(gradients)} candidates")
    return solution / scale


@door
def participation_ratio(gradients: Features) -> float:
    """Return (tr Σ)²/tr Σ² of the records' covariance Σ: how many equally noisy directions it is worth.

    The plain inner product weighs each direction by its variance, so its power on a mean of n records is
    about Φ(Φ⁻¹(fpr) + √(ratio/n)), where the likelihood ratio has the rank of Σ in place of the ratio.

    Raises
    ------
    ValueError
        If there are fewer than two records, a number is not finite, or nothing varies.

    Examples
    --------
    >>> participation_ratio(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    2.0
    """
    _check.hold("gradients", gradients, 2, "records")
    _check.hold("gradients", gradients.T, 1, "features")
    _check.squares("gradients", gradients)
    centred = np.asarray(gradients, dtype=float) - gradients.mean(axis=0)
    centred /= max(np.abs(centred).max(), np.finfo(float).tiny)  # a fourth power is taken
    gram = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    trace = np.trace(gram)
    if trace <= 0:
        _check.refuse("gradients", "vary in at least one direction", "no variance at all")
    return float(trace**2 / np.sum(gram**2))


def _principal(centred: Features) -> tuple[Float[ndarray, "rank"], Float[ndarray, "features rank"]]:
    """Return the variances and the directions in which centred records vary."""
    _, spread, directions = np.linalg.svd(centred, full_matrices=False)
    variances = spread**2 / (len(centred) - 1)
    varies = variances > _RELATIVE_ROUNDING * variances.max()
    return variances[varies], directions[varies].T


def _check_update(update: Release, gradients: Candidates) -> None:
    """Refuse an update and gradients that are not of one model."""
    for name, array in (("update", update), ("gradients", gradients)):
        _check.squares(name, array)
    if gradients.shape[1] != len(update):
        rule = "be of one model (as many parameters)"
        _check.refuse("update and gradients", rule, f"{len(update)} and {gradients.shape[1]}")
