"""What an update shows: its tokens, its one record, whether a record is in it. NumPy only.

**Without any statistics.** The row of an embedding that nobody looked up gets no gradient at all, so the rows
that are not zero are the set of tokens in the batch (Melis et al. 2019). And for a first layer z = Wx + b and
one record,
∂L/∂W = δ xᵀ and ∂L/∂b = δ: dividing any row of the one by the same entry of the other gives the record.
Gradient *inversion* (Zhu, Liu & Han 2019) has to search where this divides.

**Was this record in that update?** An update of one step is a mean of n gradients: a released mean. If
d = g − μ is how far the candidate's gradient is from the population's mean, u = r − μ the same for the
update, and gradients had covariance Σ, the best test would be the likelihood ratio of
`mialab.leaks.aggregates`,

    dᵀ Σ⁻¹ u − dᵀ Σ⁻¹ d / 2n.

But there are more parameters than reference records, and Σ cannot be known where no reference has ever
gone. Two ways out: keep the directions that the references can estimate (``Population.of(…, directions=k)``),
or put Σ̂ + λ in the place of Σ. With the references' own directions vₖ and variances s²ₖ,

    dᵀ(Σ̂ + λ)⁻¹u = Σₖ (vₖ·d)(vₖ·u)/(s²ₖ + λ) + (d⊥·u⊥)/λ,

where ⊥ is what is left after all vₖ have been taken out: there, whatever is seen is the candidate's own.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.leaks.aggregates import Candidates, Features, Population, Release, Scores

_RELATIVE_ROUNDING = 1e-9  # of the largest: below it, directions are rounding


@door
def tokens_in(embedding: Float[ndarray, "vocabulary width"]) -> Bool[ndarray, "vocabulary"]:
    """Return which tokens were in the batch, from the update of the embedding's weight.

    Exact for updates by plain gradients, however many steps and clients; whatever touches rows that nobody
    looked up (weight decay, noise) hides it.

    Raises
    ------
    ValueError
        If a number is not finite.

    Examples
    --------
    >>> tokens_in(np.array([[0.1, 0.0], [0.0, 0.0], [0.0, -2.0]]))
    array([ True, False,  True])
    """
    _check.finite("embedding", embedding)
    return (embedding != 0).any(axis=1)


@door
def first_input(
    weight: Float[ndarray, "outputs inputs"], bias: Float[ndarray, "outputs"]
) -> Float[ndarray, "inputs"]:
    """Return the one record whose gradient this is, from the first layer's part of it.

    The least-squares solution of δ xᵀ = ∂L/∂W, which is a mean over the rows, weighted by δ². For a batch of
    several records what comes out is a mixture, weighted by their δ; nothing says so but the misfit.

    Parameters
    ----------
    weight, bias
        The gradients of a linear layer's weight and bias, at the input.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, or the bias has no gradient: then the record
        pushed nothing.

    Examples
    --------
    >>> x, delta = np.array([0.5, -1.0]), np.array([2.0, 0.0, -3.0])
    >>> first_input(np.outer(delta, x), delta)
    array([ 0.5, -1. ])
    """
    _check.finite("weight", weight)
    _check.finite("bias", bias)
    if not bias.any():
        _check.refuse("bias", "have a gradient that is not zero", "all zeros")
    scale = np.abs(bias).max()
    share = bias / scale
    return (share @ weight) / scale / (share @ share)


@door
def alignment(update: Release, gradients: Candidates) -> Scores:
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
    _check.all_squares(update=update, gradients=gradients)
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
        _check.positive("relative", relative)
        known = Population.of(reference)
        scale = np.linalg.norm(known.whitener, axis=0)  # of directions of length 1: 1/√variance
        variances = scale**-2
        return cls(known.mean, known.whitener / scale, variances, relative * float(variances.max()))

    @door
    def log_ratio(
        self, update: Float[ndarray, "*candidates features"], gradients: Candidates, n: float
    ) -> Scores:
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
        _check.at_least("n", n, 1)
        _check.positive("n", n)
        u, d = update - self.mean, gradients - self.mean
        pull = self._solve(d)
        return np.sum(pull * u, axis=1) - np.sum(pull * d, axis=1) / (2 * n)

    def _solve(self, d: Candidates) -> Candidates:
        """Return (Σ̂ + λ)⁻¹ d, row by row."""
        shrink = self.variances / (self.variances + self.ridge)
        return (d - (d @ self.directions * shrink) @ self.directions.T) / self.ridge


@door
def weights(update: Release, gradients: Candidates) -> Scores:
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
    _check.all_squares(update=update, gradients=gradients)
    scale = np.linalg.norm(gradients, axis=1)
    if not scale.all():
        _check.refuse("gradients", "be linearly independent", f"a gradient of zero in row {scale.argmin()}")
    unit = gradients / scale[:, None]
    solution, _, rank, _ = np.linalg.lstsq(unit.T, update, rcond=_RELATIVE_ROUNDING)
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
    centred = gradients - gradients.mean(axis=0)
    centred /= max(np.abs(centred).max(), np.finfo(float).tiny)  # a fourth power is taken
    gram = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    trace = np.trace(gram)
    if trace <= 0:
        _check.refuse("gradients", "vary in at least one direction", "no variance at all")
    return float(trace**2 / np.sum(gram**2))
