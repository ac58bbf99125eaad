"""What a fault is made of: something that claims to be private, and what is wrong with it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from mialab import _check
from mialab._validation import door
from mialab.accounting import Guarantee, privacy_loss
from mialab.accounting.steps import Steps
from mialab.faults.scores import Score, Scores
from mialab.faults.trainer import Recipe, Records, Trainer
from mialab.tradeoff import Curve

DELTA = 1e-5
"""The δ of every claim about training."""


@door
@dataclass(frozen=True, eq=False)
class Stage:
    """Two data sets that differ in one record, the canary: the last one of ``records``.

    Attributes
    ----------
    records
        All of them.
    direction
        Float (weights,), of length 1: where the canary pulls.

    Examples
    --------
    >>> stage = Stage(Records(np.eye(3), np.array([1.0, 1.0, 1000.0])), np.array([0.0, 0.0, 1.0]))
    >>> stage(True).y, stage(False).y
    (array([   1.,    1., 1000.]), array([1., 1.]))
    """

    records: Records
    direction: Float[np.ndarray, "weights"]

    @door
    def __call__(self, record_in: bool) -> Records:
        """Return the records with the canary, or without."""
        end = len(self.records.y) - (not record_in)
        return Records(self.records.x[:end], self.records.y[:end])


@door
@dataclass(frozen=True, eq=False)
class Training:
    """A trainer, its recipe, the data sets to tell apart, and how they are told apart.

    What it claims is computed from the recipe, as if the trainer followed it.

    Examples
    --------
    >>> from mialab.faults import HONEST
    >>> from mialab.faults.scores import last_model
    >>> recipe = Recipe(clip=1.0, noise_multiplier=2.0, sampling_rate=0.5, steps=3, nominal_batch=2)
    >>> stage = Stage(Records(np.eye(3), np.array([1.0, 1.0, 1000.0])), np.array([0.0, 0.0, 1.0]))
    >>> training = Training(HONEST, recipe, stage, last_model)
    >>> print(round(training.claims.epsilon, 2))
    2.21
    >>> print(training.run(True, 10_000, rng=np.random.default_rng(0)).mean().round(1))  # half of the steps
    1.5
    """

    trainer: Trainer
    recipe: Recipe
    stage: Stage
    score: Score

    @property
    def claims(self) -> Guarantee:
        """ε at `DELTA` by the privacy loss accountant, for adding or removing a record."""
        return promise(self.recipe)

    @property
    def curve(self) -> Curve:
        """The trade-off curve of the recipe."""
        return promised_curve(self.recipe)

    @door
    def run(self, record_in: bool, runs: int, *, rng: np.random.Generator) -> Scores:
        """Train ``runs`` models, and score each."""
        _check.at_least("runs", runs, 1)
        trace = self.trainer(self.stage(record_in), self.recipe, runs=runs, rng=rng)
        return self.score(trace, self.recipe, self.stage.direction)


@door
@dataclass(frozen=True, eq=False)
class Release:
    """A mechanism that answers once: what it claims, and the score of many answers.

    ``scores(record_in, runs, rng)`` returns the logarithm of the likelihood ratio, or what rises with it.

    Examples
    --------
    >>> from mialab.accounting import Neighbours
    >>> from mialab.tradeoff import pure
    >>> def noisy_count(record_in, runs, rng):
    ...     return record_in + rng.laplace(size=runs)
    >>> release = Release(Guarantee(1.0, 0.0, Neighbours.ADD_REMOVE), pure(1.0), noisy_count)
    >>> print(release.run(True, 10_000, rng=np.random.default_rng(0)).mean().round(1))
    1.0
    """

    claims: Guarantee
    curve: Curve
    scores: Callable[[bool, int, np.random.Generator], Scores]

    @door
    def run(self, record_in: bool, runs: int, *, rng: np.random.Generator) -> Scores:
        """Ask ``runs`` times, and score each answer."""
        _check.at_least("runs", runs, 1)
        return np.asarray(self.scores(record_in, runs, rng), dtype=float)


@door
@dataclass(frozen=True, eq=False)
class Fault:
    """Something private-looking with exactly one flaw.

    Attributes
    ----------
    name
        A few words.
    flaw
        One sentence.
    source
        Where it was published or seen; or why it is realistic.
    sees
        The threat model: what the attacker sees besides the code.
    subject
        The flawed thing.
    truth
        What it really gives, where that is known in closed form, over all pairs of neighbours: steps for
        the accountant; or the smallest ε at the claim's δ, `numpy.inf` where none is finite; None where
        nobody knows.
    why
        Where ``truth`` comes from, or why there is none.

    Examples
    --------
    >>> from mialab.accounting import Neighbours
    >>> from mialab.tradeoff import pure
    >>> bare = Release(
    ...     claims=Guarantee(1.0, 0.0, Neighbours.ADD_REMOVE),
    ...     curve=pure(1.0),
    ...     scores=lambda record_in, runs, rng: np.full(runs, float(record_in)),
    ... )
    >>> fault = Fault("no noise", "The count itself.", "realistic", "the count", bare, np.inf, "no noise")
    >>> fault.run(True, 3, rng=np.random.default_rng(0)), fault.true_epsilon
    (array([1., 1., 1.]), inf)
    """

    name: str
    flaw: str
    source: str
    sees: str
    subject: Training | Release
    truth: Steps | float | None
    why: str

    @property
    def claims(self) -> Guarantee:
        """What is promised."""
        return self.subject.claims

    @property
    def curve(self) -> Curve:
        """The promise at every false-positive rate."""
        return self.subject.curve

    @property
    def true_epsilon(self) -> float | None:
        """The smallest ε at the δ of the claim; may be infinite; None where it is not known."""
        if self.truth is None or isinstance(self.truth, (int, float)):
            return self.truth
        return promise(self.truth, self.claims.delta).epsilon

    @door
    def run(self, record_in: bool, runs: int, *, rng: np.random.Generator) -> Scores:
        """Run it ``runs`` times with or without the record, and return the attacker's score of each run."""
        return self.subject.run(record_in, runs, rng=rng)


@door
@dataclass(frozen=True, eq=False)
class Correct:
    """Something that keeps its promise, to be put through the same audits.

    ``sees`` is the threat model, as in `Fault`.

    Examples
    --------
    >>> from mialab.accounting import Neighbours
    >>> from mialab.tradeoff import pure
    >>> claims = Guarantee(0.0, 0.0, Neighbours.ADD_REMOVE)
    >>> silent = Release(claims, pure(0.0), lambda record_in, runs, rng: np.zeros(runs))
    >>> Correct("silence", "nothing", silent).run(True, 3, rng=np.random.default_rng(0))
    array([0., 0., 0.])
    """

    name: str
    sees: str
    subject: Training | Release

    @property
    def claims(self) -> Guarantee:
        """What is promised, and kept."""
        return self.subject.claims

    @property
    def curve(self) -> Curve:
        """The promise at every false-positive rate."""
        return self.subject.curve

    @property
    def true_epsilon(self) -> float:
        """The claim: the accountants are exact up to a grid, and the two data sets the worst."""
        return self.claims.epsilon

    @door
    def run(self, record_in: bool, runs: int, *, rng: np.random.Generator) -> Scores:
        """Run it ``runs`` times with or without the record, and return the attacker's score of each run."""
        return self.subject.run(record_in, runs, rng=rng)


@lru_cache(maxsize=256)
def promise(steps: Steps, delta: float = DELTA) -> Guarantee:
    """Return what the accountant makes of the steps; once, for it takes some milliseconds."""
    return privacy_loss.guarantee(steps, delta=delta)


@lru_cache(maxsize=256)
def promised_curve(steps: Steps) -> Curve:
    """Return the curve of the steps, computed once."""
    return privacy_loss.curve(steps)
