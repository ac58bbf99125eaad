"""What was promised: guarantees, and what becomes of them when they meet.

    guarantee.py      Guarantee, Neighbours       epsilon never travels alone
    composition.py    basic, advanced, group, …   many releases, many records
    steps.py          SampledGaussian             what DP-SGD did
                      gdp_approximation           a Gaussian that is near, and no bound
    renyi.py          guarantee                   its promise, from moments: simple
    privacy_loss.py   guarantee, delta, curve     its promise, from the whole distribution: exact up to a grid
    noise_search.py   smallest_noise              the other way: from a promise to the noise it needs

Post-processing has no function, because there is nothing to compute: whatever anybody does with the output
of a private mechanism, with dice of their own but without the data, keeps its guarantee.
"""

from mialab.accounting import privacy_loss, renyi
from mialab.accounting.composition import advanced, basic, group, parallel, replace_one
from mialab.accounting.guarantee import Guarantee, Neighbours
from mialab.accounting.noise_search import smallest_noise
from mialab.accounting.steps import SampledGaussian, Steps, gdp_approximation

__all__ = [
    "Guarantee",
    "Neighbours",
    "SampledGaussian",
    "Steps",
    "advanced",
    "basic",
    "gdp_approximation",
    "group",
    "parallel",
    "privacy_loss",
    "renyi",
    "replace_one",
    "smallest_noise",
]
