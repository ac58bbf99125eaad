"""Many canaries in one training run: an audit without a thousand models, and what each view is worth.

Every canary is in or out by its own coin, and one model is trained. Then each canary gets one score by what
the attacker sees: every update, only the last update, or only the loss of the model that comes out.

A canary with a feature of its own is the worst case in every view: one weight of a linear model is its
own, and the loss shows that weight, so that the black box shows as much as all updates. Among features that
are everybody's a wrong target shows next to nothing, in any view. A real model lies between.
"""

from enum import StrEnum

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mialab import _check
from mialab._types import Score
from mialab.faults.trainer import HONEST, Recipe, Records, Trace, Trainer
from mialab.game import Design, Outcome, flip_coins

_FEATURES = 20  # of mislabelled canaries, shared by all of them


class Kind(StrEnum):
    """What the canaries are."""

    GRADIENT = "a feature of its own"
    """A wild target and a feature that nobody else has: a gradient of full length in a direction of its own
    (a Dirac canary), and so an input from outside of the distribution too."""
    MISLABELLED = "the wrong target"
    """Features like everybody's, and the target with the wrong sign."""


class View(StrEnum):
    """What the attacker sees, from the most to the least."""

    EVERY_UPDATE = "every update"
    LAST_UPDATE = "the last update"
    BLACK_BOX = "the loss of the last model"


def canaries(kind: Kind, how_many: int, *, rng: np.random.Generator) -> Records:
    """Return canaries for a linear model.

    Raises
    ------
    ValueError
        If there is none, or the kind is not known.

    Examples
    --------
    >>> canaries(Kind.GRADIENT, 3, rng=np.random.default_rng(0)).x
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    _check.at_least("how_many", how_many, 1)
    _check.one_of("kind", kind, [str(one) for one in Kind])
    if kind == Kind.GRADIENT:
        return Records(np.eye(how_many), np.full(how_many, 1000.0))
    x = rng.normal(size=(how_many, _FEATURES))
    return Records(x, -x @ np.full(_FEATURES, _FEATURES**-0.5))


def one_training(
    records: Records, recipe: Recipe, *, rng: np.random.Generator, trainer: Trainer = HONEST
) -> dict[View, Outcome]:
    """Flip a coin for each canary, train once, and score all canaries in every view.

    Steinke, Nasr & Jagielski 2023: the white-box score is the product of an update with the canary's own
    clipped gradient at the weights before it, over the steps that are seen; the black-box score is by how
    much training has reduced the loss.

    Parameters
    ----------
    records
        The canaries. Nothing else is trained on: what is public may be subtracted.
    recipe, trainer
        Who trains.
    rng
        Of the coins and of the training.

    Returns
    -------
    For every view the same coins, with ``design=Design.ONE_RUN``, ready for `audit.guess`.

    Examples
    --------
    >>> recipe = Recipe(clip=1.0, noise_multiplier=0.5, sampling_rate=1.0, steps=4, nominal_batch=100)
    >>> rng = np.random.default_rng(0)
    >>> seen = one_training(canaries(Kind.GRADIENT, 200, rng=rng), recipe, rng=rng)
    >>> for view, outcome in seen.items():
    ...     print(view, "|", outcome.at(0.5).true_positives, outcome.at(0.5).false_positives)
    every update | 87 27
    the last update | 78 18
    the loss of the last model | 88 40
    """
    member = flip_coins(1, len(records.y), rng=rng)[0]
    trace = trainer(Records(records.x[member], records.y[member]), recipe, runs=1, rng=rng)
    products = _products(records, trace, recipe)
    scores = {
        View.EVERY_UPDATE: products.sum(axis=0),
        View.LAST_UPDATE: products[-1],
        View.BLACK_BOX: _learned(records, trace, recipe),
    }
    return {view: Outcome(score, member, design=Design.ONE_RUN) for view, score in scores.items()}


def _products(records: Records, trace: Trace, recipe: Recipe) -> Float[ndarray, "steps records"]:
    """Return how far each update went towards each canary's clipped gradient, in units of the clip.

    For a gradient at a right angle to all others: N(0, σ²) without the canary, N(1, σ²) with it.
    """
    updates = trace.updates[:, 0]
    before = -recipe.learning_rate * (np.cumsum(updates, axis=0) - updates)
    error = before @ records.x.T - records.y
    length = np.abs(error) * np.linalg.norm(records.x, axis=1)
    pull = error / np.maximum(length, recipe.clip)
    return recipe.nominal_batch / recipe.clip * pull * (updates @ records.x.T)


def _learned(records: Records, trace: Trace, recipe: Recipe) -> Score:
    """Return by how much the squared loss of each canary has fallen."""
    weights = -recipe.learning_rate * trace.updates[:, 0].sum(axis=0)
    return records.y**2 - (records.x @ weights - records.y) ** 2
