"""Summary statistics are a model too: who was in the study whose frequencies were published? NumPy only.

A study of n people publishes, for each of m variants, how frequent an allele is among them. The attacker
has a genome and knows how frequent it is elsewhere. Genotypes count alleles, 0, 1 or 2, and −1 where the
laboratory could not tell; a missing genotype says nothing, and is left out of the candidate's score.

    frequencies.py   Reference, allele_frequencies,   what was published, and what is known of elsewhere
    distance.py      homer                            the statistic with which it began
    tracing.py       likelihood_ratio, z_score,       tests with a law
                     exact_likelihood_ratio, power
    linkage.py       effective_variants, whitened     when neighbours on a chromosome travel together
    beacon.py        answers, likelihood_ratio,       from yes and no
                     power, budgeted_answers
    release.py       gaussian_release, trend_z        frequencies with a promise, and what it costs

Every score is a sum over variants of what the candidate's genotype is worth there: a table of four numbers a
variant. So one loop serves them all.

The law. A genome is a record of m numbers, and twice the frequency is the mean of n records; so `aggregates`
applies, with variance 2p(1 − p) for a variant of frequency p in Hardy-Weinberg proportions. For independent
variants D² = Σ (x − 2p)²/2p(1 − p), on average m, and at a false-positive rate α

    TPR = Φ(Φ⁻¹(α) + √(m/n)).

With frequencies from a reference of N people, n becomes n(1 + n/N): `power`. But there is more to it than
in a batch, since here m is larger than N. Reference r and release f are compared *at* r, and r's own error
is in both factors of (x − 2r)·(2f − 2r): a stranger's sum is about m/N, not 0. `z_score` takes it
off, and who forgets accuses everybody.
"""

from mialab.leaks.genomics import beacon
from mialab.leaks.genomics.distance import homer
from mialab.leaks.genomics.frequencies import Reference, allele_frequencies, varies
from mialab.leaks.genomics.linkage import effective_variants, whitened
from mialab.leaks.genomics.release import gaussian_release, trend_z
from mialab.leaks.genomics.tracing import (
    exact_likelihood_ratio,
    likelihood_ratio,
    power,
    z_score,
)

__all__ = [
    "Reference",
    "allele_frequencies",
    "beacon",
    "effective_variants",
    "exact_likelihood_ratio",
    "gaussian_release",
    "homer",
    "likelihood_ratio",
    "power",
    "trend_z",
    "varies",
    "whitened",
    "z_score",
]
