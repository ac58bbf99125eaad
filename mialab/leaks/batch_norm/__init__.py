"""What batch statistics give away of a batch.

Batch normalisation makes each output depend on all records of the batch, the record's batch-mates:

    y = (x − m)/√(v + ϵ),    m, v: mean and variance over the n records of the batch, feature by feature.

    probe.py           one record's output tells about its batch-mates; see its docstring for the derivation
    running_stats.py   the batch between two running averages, and how much each batch weighs in one
"""

from mialab.leaks.batch_norm.probe import (
    LinearizedProbe,
    batch_stats_from_probes,
    known_mates_score,
    mates_moments,
    moments,
    probe_output,
    probe_z_score,
)
from mialab.leaks.batch_norm.running_stats import (
    RunningStats,
    batch_stats_between,
    effective_batches,
    ema_weights,
)

__all__ = [
    "LinearizedProbe",
    "RunningStats",
    "batch_stats_between",
    "batch_stats_from_probes",
    "effective_batches",
    "ema_weights",
    "known_mates_score",
    "mates_moments",
    "moments",
    "probe_output",
    "probe_z_score",
]
