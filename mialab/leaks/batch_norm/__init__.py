"""The company you keep: what batch statistics give away.

Batch normalisation grades on a curve, and the curve depends on everybody in the room:

    y = (x − m)/√(v + ϵ),    m, v: mean and variance over the n records of the batch, feature by feature.

    probe.py      one record's output tells about the others; see its docstring for the derivation
    exact.py      the same without a Gaussian limit, for small batches
    running.py    running averages: a blurred photograph of the class, and how to sharpen it
    company.py    asking a model in training mode: the answer depends on who else is asked
"""

from mialab.leaks.batch_norm.company import (
    draw_mates,
    predict_batches,
    predict_in_company,
    without_running_stats,
)
from mialab.leaks.batch_norm.exact import exact_log_ratio
from mialab.leaks.batch_norm.probe import (
    Probe,
    known_company,
    moments,
    normalised,
    others_moments,
    probe_score,
    read_statistics,
)
from mialab.leaks.batch_norm.running import (
    Snapshot,
    batch_between,
    batch_weights,
    effective_batches,
)

__all__ = [
    "Probe",
    "Snapshot",
    "batch_between",
    "batch_weights",
    "draw_mates",
    "effective_batches",
    "exact_log_ratio",
    "known_company",
    "moments",
    "normalised",
    "others_moments",
    "predict_batches",
    "predict_in_company",
    "probe_score",
    "read_statistics",
    "without_running_stats",
]
