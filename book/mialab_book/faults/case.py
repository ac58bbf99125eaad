"""What a fault is made of: something that claims to be private, an attack, and what is wrong with it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._validation import door
from mialab.accounting import Guarantee, privacy_loss
from mialab.accounting.steps import Steps
from mialab.mechanisms.discrete import DiscreteLaplace
from mialab.mechanisms.discrete_gaussian import DiscreteGaussian
from mialab.mechanisms.noise import Gaussian, Laplace
from mialab.mechanisms.randomized_response import RandomizedResponse
from mialab.tradeoff import Curve, randomized_response

DELTA = 1e-5
"""The δ of every claim about training and Gaussian noise."""

OneAnswer = RandomizedResponse | Laplace | Gaussian | DiscreteLaplace | DiscreteGaussian
Mechanism = OneAnswer | Steps
"""What a claim can be computed from."""


@door
@dataclass(frozen=True, eq=False)
class Claim:
    """What is promised: a guarantee, and the trade-off curve that goes with it.

    Examples
    --------
    >>> from mialab.tradeoff import pure
    >>> print(Claim(Guarantee(1.0, 0.0, "replace-one"), pure(1.0)).guarantee)
    ε ≤ 1 at δ = 0 (proved, replace-one)
    """

    guarantee: Guarantee
    curve: Curve


@door
@dataclass(frozen=True, eq=False)
class Case:
    """Something that claims to be private, with the best attack known on it: correct, or with one flaw.

    Attributes
    ----------
    name
        A few words.
    sees
        The threat model: what the attacker sees besides the code.
    claimed
        The mechanism that the code claims to be, from which the accountants compute the claim; or a `Claim`.
    experiment
        ``experiment(record_in, runs, rng=rng)`` runs the code many times with or without the record, and
        returns the attacker's score of each run: the logarithm of the likelihood ratio, or what rises with
        it.
    flaw
        What is wrong, in one sentence; empty where nothing is.
    truth
        What code with a flaw really gives, where that is known in closed form, over all pairs of neighbours:
        the mechanism that it is; or the smallest ε at the claim's δ, `numpy.inf` where none is finite; None
        where nobody knows.

    Examples
    --------
    >>> from mialab.accounting import Neighbours
    >>> def without_noise(record_in, runs, *, rng):
    ...     return np.full(runs, float(record_in))
    >>> count = Laplace(1.0, 1.0, Neighbours.ADD_REMOVE)
    >>> bare = Case("no noise", "the count", count, without_noise, "The count itself.", np.inf)
    >>> print(bare.claim.guarantee)
    ε ≤ 1 at δ = 0 (proved, add-remove)
    >>> bare.run(True, 3, rng=np.random.default_rng(0)), bare.true_epsilon
    (array([1., 1., 1.]), inf)
    """

    name: str
    sees: str
    claimed: Claim | Mechanism
    experiment: Callable[..., Float[ndarray, "runs"]]
    flaw: str = ""
    truth: Mechanism | float | None = None

    @property
    def claim(self) -> Claim:
        """What is promised; ε at `DELTA` where no ε is promised at δ = 0."""
        return self.claimed if isinstance(self.claimed, Claim) else claim_of(self.claimed)

    @property
    def true_epsilon(self) -> float | None:
        """The smallest ε at the δ of the claim; may be infinite; None where it is not known.

        For correct code it is the claim: the accountants are exact up to a grid, and the two data sets the
        worst.
        """
        if not self.flaw:
            return self.claim.guarantee.epsilon
        if self.truth is None or isinstance(self.truth, (int, float)):
            return self.truth
        return claim_of(self.truth).guarantee.epsilon

    @door
    def run(self, record_in: bool, runs: int, *, rng: np.random.Generator) -> Float[ndarray, "runs"]:
        """Run it ``runs`` times with or without the record, and return the attacker's score of each run.

        Raises
        ------
        ValueError
            If ``runs`` is below 1.
        """
        _check.at_least("runs", runs, 1)
        return np.asarray(self.experiment(record_in, runs, rng=rng), dtype=float)


@lru_cache(maxsize=256)  # the accountant takes some milliseconds
def claim_of(mechanism: Mechanism) -> Claim:
    """Return what a mechanism promises, for adding or removing a record where it is training."""
    if isinstance(mechanism, Steps):
        return Claim(privacy_loss.guarantee(mechanism, delta=DELTA), privacy_loss.curve(mechanism))
    if isinstance(mechanism, Gaussian | DiscreteGaussian):
        return Claim(mechanism.guarantee(DELTA), mechanism.curve)
    pure = isinstance(mechanism, DiscreteLaplace)  # its curve is that of randomized response
    return Claim(mechanism.guarantee, randomized_response(mechanism.epsilon) if pure else mechanism.curve)
