"""A fingerprint in the clay: what a shared update gives away.

Every record pushes the parameters in a direction of its own, the gradient of its loss:

    per_record.py     per_record                    one gradient for each record, exactly
    fingerprint.py    part, by_token,               how large a push is, by head, projection, token
                      attention_maps
    tokens.py         tokens_in,                    what a gradient shows without any statistics
                      first_input
    local_updates.py  local_updates                 what a client sends after some steps
    trace.py          alignment, Ridge, weights,    was this record in that update?
                      participation_ratio           (NumPy only)
    privatize.py      clip, private_sum             what DP-SGD sends instead (NumPy only)

An update that is a mean of gradients is a released mean, so `mialab.leaks.aggregates` applies as it is.
"""

from mialab.leaks.gradients.fingerprint import attention_maps, by_token, part
from mialab.leaks.gradients.local_updates import local_updates
from mialab.leaks.gradients.per_record import per_record
from mialab.leaks.gradients.privatize import clip, private_sum
from mialab.leaks.gradients.tokens import first_input, tokens_in
from mialab.leaks.gradients.trace import Ridge, alignment, participation_ratio, weights

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
