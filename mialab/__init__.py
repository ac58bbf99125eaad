"""Membership inference, differential privacy and privacy auditing: the companion of the book.

A coin decides who is in the training set. A model gives something away. An attacker turns that into a
score. The score is judged, and the judgement becomes a lower bound on epsilon::

    data ─► train ─► signals ─► attacks ─► metrics ─► audit

In the order of the story:

    secure     SystemGenerator                                random numbers that nobody can draw again
    game       flip_coins; Observations, Outcome, Counts      who was in, who was accused
    data       digits, patients, …                            records, real ones by default
    norms      batch, group, virtual, noisy, …                who is asked for mean and variance
    models     mlp, small_cnn, tiny_transformer               fresh torch modules
    train      Sgd, fit, fit_many, predict                    one model, or a fleet as one tensor program
    dp_sgd     DpSgd, fit_private, fit_many_private           clip every record, add noise, keep the promise
    federated  FedAvg, federate                               clients send updates, a server averages them
    signals    loss, confidence, logit_gap, …; observe        torch in, NumPy out
    leaks      aggregates, batch_norm, gradients, genomics    what insides and aggregates give away
    canaries   dirac, as_gradients, …; train_with_canaries    planted to be found, and who looks for them
    attacks    threshold, lira, few_shadows, rmia, …          arrays in, one score per record out
    metrics    roc_curve, rates; an interval on every number  how good the accusations were
    tradeoff   DominatingPair, GaussianCurve, pure, …         the best that any attacker can do
    accounting Guarantee; basic, …; privacy_loss, renyi       what was promised, and what becomes of it
    mechanisms randomized_response, noise, discrete           noise with a promise
    audit      lower_bound, refute, Verdict, …               lower bounds on ε that hold
    faults     FAULTS, CORRECT, HONEST                        private-looking code with one flaw each
    gallery    run_gallery, AUDITS                            all of it against every audit
    plots                                                     draws what the others return
    command    mialab audit scores.csv …                      the audit in a build pipeline

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
    canary       a record that was planted so that somebody can look for it
    client       who holds records of its own and sends updates of a shared model
    ===========  ====================================================================================
"""

from importlib import import_module
from importlib.metadata import version
from pkgutil import iter_modules
from typing import Any

BOOK = "mialab-book"
"""Tells this package from an unrelated one that is imported by the same name."""

_PACKAGES = sorted(found.name for found in iter_modules(__path__) if not found.name.startswith("_"))


def __getattr__(name: str) -> Any:
    """Import ``mialab.audit`` and the others when they are first used; look the version up when asked."""
    if name == "__version__":
        return version(BOOK)
    if name not in _PACKAGES:
        raise AttributeError(f"module 'mialab' has no attribute {name!r}")
    return import_module(f"mialab.{name}")


def __dir__() -> list[str]:
    return [*_PACKAGES, "BOOK", "__doc__", "__file__", "__version__"]
