"""How good the accusations were, and how sure we are of that. NumPy and SciPy only.

    estimate.py    Estimate, clopper_pearson    a number never travels without its interval
    rates.py       tpr, fpr, advantage, …       of a rule fixed in advance, from counts
                   memorisation                 how much a record's own presence changes
    roc.py         roc_curve, auc, tpr_at, …    of every threshold at once
    pooled.py      pooled_roc, bootstrap, …     pooled over models: resample models and records
    blind.py       blind_baseline               what can be told without the model (asks scikit-learn)

Intervals of `rates`, `roc` and `auc` are for independent trials. Under independent coins the records of
*one* model are that, given the model: the interval speaks of this trained model, not of the next one.
Trials pooled over several models are not independent (their records and, in most experiments, their
shadows are shared): use `bootstrap`.
"""

from mialab.metrics.blind import BlindBaseline, blind_baseline
from mialab.metrics.estimate import Estimate, clopper_pearson
from mialab.metrics.pooled import (
    bootstrap,
    paired_bootstrap,
    pooled_band,
    pooled_mean,
    pooled_roc,
    pooled_tpr_at,
)
from mialab.metrics.rates import advantage, balanced_accuracy, fpr, memorisation, precision, tpr
from mialab.metrics.roc import Band, Roc, auc, band, roc_curve, tpr_at

__all__ = [
    "Band",
    "BlindBaseline",
    "Estimate",
    "Roc",
    "advantage",
    "auc",
    "balanced_accuracy",
    "band",
    "blind_baseline",
    "bootstrap",
    "clopper_pearson",
    "fpr",
    "memorisation",
    "paired_bootstrap",
    "pooled_band",
    "pooled_mean",
    "pooled_roc",
    "pooled_tpr_at",
    "precision",
    "roc_curve",
    "tpr",
    "tpr_at",
]
