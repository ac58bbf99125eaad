"""Summary statistics are a model too: who was in the study whose frequencies were published? NumPy only.

A study of n people publishes, for each of m variants, how frequent an allele is among them. The attacker
has a genome and knows how frequent it is elsewhere. Genotypes count alleles, 0, 1 or 2, and −1 where the
laboratory could not tell; a missing genotype says nothing, and is left out of the candidate's score.

    frequencies.py   Reference, allele_frequencies,   what was published, and what is known of elsewhere
                     polymorphic,
                     gaussian_release             the same with differential privacy
    tracing.py       homer, likelihood_ratio,         the tests, from a distance to the exact ratio
                     z_score, exact_likelihood_ratio
    linkage.py       effective_variants,              variants that are inherited together
                     whitened_z_score
    beacon.py        answers, likelihood_ratio,       from a beacon's yes and no
                     expected_tpr, budgeted_answers

Every score is a sum over variants of a score for the candidate's genotype there: a table of four numbers a
variant.

The law. A genome is a record of m numbers, and twice the frequency is the mean of n records; so `aggregates`
applies, with variance 2p(1 − p) for a variant of frequency p in Hardy-Weinberg proportions. For independent
variants D² = Σ (x − 2p)²/2p(1 − p), on average m, and at a false-positive rate α

    TPR = Φ(Φ⁻¹(α) + √(m/n)):          aggregates.expected_tpr(α, √m, n)

With frequencies from a reference of N people, n becomes n(1 + n/N). But there is more to it than in a
batch, since here m is larger than N. Reference r and release f are compared *at* r, and r's own error
is in both factors of (x − 2r)·(2f − 2r): a stranger's sum is about m/N, not 0. `z_score` takes it
off, and who forgets accuses everybody.
"""

from mialab.leaks.genomics import beacon
from mialab.leaks.genomics.frequencies import Reference, allele_frequencies, gaussian_release, polymorphic
from mialab.leaks.genomics.linkage import effective_variants, whitened_z_score
from mialab.leaks.genomics.tracing import exact_likelihood_ratio, homer, likelihood_ratio, z_score

__all__ = [
    "Reference",
    "allele_frequencies",
    "beacon",
    "effective_variants",
    "exact_likelihood_ratio",
    "gaussian_release",
    "homer",
    "likelihood_ratio",
    "polymorphic",
    "whitened_z_score",
    "z_score",
]
