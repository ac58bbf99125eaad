"""What was promised: guarantees, and what becomes of them when they meet.

    guarantee.py      Guarantee, Neighbours       epsilon never travels alone
    composition.py    basic, advanced, group, …   many releases, many records
    steps.py          SampledGaussian             what DP-SGD did
    renyi.py          guarantee                   its promise, from moments: simple
    privacy_loss.py   guarantee, delta, curve     its promise, from the whole distribution: exact up to a grid

Post-processing has no function, because there is nothing to compute: whatever anybody does with the output
of a private mechanism, with dice of their own but without the data, keeps its guarantee.
"""

from mialab.accounting import privacy_loss, renyi
from mialab.accounting.composition import advanced, basic, group, parallel, replace_one
from mialab.accounting.guarantee import Guarantee, Neighbours
from mialab.accounting.steps import SampledGaussian, Steps

__all__ = [
    "Guarantee",
    "Neighbours",
    "SampledGaussian",
    "Steps",
    "advanced",
    "basic",
    "group",
    "parallel",
    "privacy_loss",
    "renyi",
    "replace_one",
]
