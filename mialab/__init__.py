"""Membership inference, differential privacy and privacy auditing: the companion of the book.

A coin decides who is in the training set. A model gives something away. An attacker turns that into a
score. The score is judged, and the judgement becomes a lower bound on epsilon::

    data ─► train ─► signals ─► attacks ─► metrics ─► audit

In the order of the story:

    secure       SystemGenerator                               random numbers that nobody can draw again
    game         flip_coins, Observations, Outcome, Counts     who was in, who was accused
    norms        norm_layer, NoisyBatchNorm2d, …               who is asked for mean and variance
    models       mlp, small_cnn, tiny_transformer, …           fresh torch modules
    train        Sgd, fit, fit_many, predict                   one model, or a fleet as one tensor program
    per_example  capture, gradients, …                         what dp_sgd and leaks share; not for users
    dp_sgd       DpSgd, fit_private, fit_many_private          clip every record, add noise, keep the promise
    federated    FedAvg, federate                              clients send updates, a server averages them
    signals      observe, loss, confidence, logit_gap, …       torch in, NumPy out
    leaks        aggregates, batch_norm, gradients, genomics   what insides and aggregates give away
    canaries     dirac, as_gradients, train_with_canaries, …   planted to be found, and who looks for them
    attacks      threshold, lira, few_shadows, rmia, …         arrays in, one score per record out
    metrics      roc_curve, tpr_at, auc, …                     how good the accusations were, with intervals
    tradeoff     DominatingPair, GaussianCurve, pure, …        the best that any attacker can do
    accounting   Guarantee, basic, gdp_approximation, …        what was promised, and what becomes of it
    mechanisms   randomized_response, noise, discrete, …       noise with a promise
    audit        lower_bound, refute, TESTS, Verdict, …        lower bounds on ε that hold
    plots        plot_roc, plot_curve, …                       draws what the others return
    command      main                                          mialab audit scores.csv: for build pipelines

Records to play with, and private-looking code with one flaw each, are in `mialab_book`.

Words, the same everywhere:

    ===========  ====================================================================================
    record       one row of the data, with its label
    member       a record that was in the training set of the model at hand
    target       the model that is attacked; the shadows are the attacker's own models of its kind
    signal       what is observed of a model on a record; higher means "member"
    score        what the attacker makes of signals, one number per record; higher means "member"
    accuse       call a record a member
    FPR, TPR     share of the non-members, of the members, that is accused
    advantage    TPR − FPR of a rule fixed without the target's membership
    confidence   share of repetitions in which an interval holds the truth, as in 0.95
    canary       a record, or a gradient, that was planted to be looked for
    client       who holds records of its own and sends updates of a shared model
    unit         what one claim protects: a record, all records of a client, a day of a user
    claim        what was promised about neighbours that differ in a unit: (ε, δ), or a curve
    design       how membership was decided: independent runs, independent coins, another way
    evidence     what an experiment left for an audit, with its design
    test         gives the p-value of evidence under a claim
    ===========  ====================================================================================
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

BOOK = "mialab-book"
"""Tells this package from an unrelated one that is imported by the same name."""

_PACKAGES = sorted(found.name for found in iter_modules(__path__) if not found.name.startswith("_"))


def __getattr__(name: str) -> Any:
    """Import ``mialab.audit`` and the others when they are first used; look the version up when asked."""
    if name == "__version__":
        return import_module("importlib.metadata").version(BOOK)
    if name not in _PACKAGES:
        raise AttributeError(f"module 'mialab' has no attribute {name!r}")
    return import_module(f"mialab.{name}")


def __dir__() -> list[str]:
    return [*_PACKAGES, "BOOK", "__doc__", "__file__", "__version__"]
