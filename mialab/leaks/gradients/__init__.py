"""A fingerprint in the clay: what a shared update gives away.

Every record pushes the parameters in a direction of its own, the gradient of its loss:

    per_record.py     per_record                    one gradient for each record, exactly
                      local_updates                 what a client sends after some steps
    fingerprint.py    part, by_token,               how large a push is, by head, projection, token
                      attention_maps
    trace.py          tokens_in, first_input        what an update shows without any statistics
                      alignment, Ridge, weights,    was this record in that update?
                      participation_ratio           (NumPy only)
    privatize.py      clip, private_sum             what DP-SGD sends instead (NumPy only)

An update that is a mean of gradients is a released mean, so `mialab.leaks.aggregates` applies as it is.
"""

from mialab.leaks.gradients.fingerprint import attention_maps, by_token, part
from mialab.leaks.gradients.per_record import local_updates, per_record
from mialab.leaks.gradients.privatize import clip, private_sum
from mialab.leaks.gradients.trace import (
    Ridge,
    alignment,
    first_input,
    participation_ratio,
    tokens_in,
    weights,
)

__all__ = [
    "Ridge",
    "alignment",
    "attention_maps",
    "by_token",
    "clip",
    "first_input",
    "local_updates",
    "part",
    "participation_ratio",
    "per_record",
    "private_sum",
    "tokens_in",
    "weights",
]
