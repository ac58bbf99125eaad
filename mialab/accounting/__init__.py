"""What was promised: guarantees, and what becomes of them when they meet.

    guarantee.py      Guarantee, Neighbours       epsilon never travels alone
    composition.py    basic, advanced, group, …   many releases, many records

Post-processing has no function, because there is nothing to compute: whatever anybody does with the output
of a private mechanism, with dice of their own but without the data, keeps its guarantee.
"""

from mialab.accounting.composition import advanced, basic, group, parallel, replace_one
from mialab.accounting.guarantee import Guarantee, Neighbours

__all__ = ["Guarantee", "Neighbours", "advanced", "basic", "group", "parallel", "replace_one"]
