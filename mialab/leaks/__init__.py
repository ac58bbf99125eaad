"""What models, their updates and published aggregates give away. Arrays in, one score per record out.

    aggregates   tracing from a released mean
    batch_norm   probes in a batch, and running statistics: means that were not meant to be released
    gradients    updates of shared models
    genomics     allele frequencies and beacons: means that were released for research

A higher score means "member".
"""

# No names are gathered here: `from mialab.leaks import batch_norm` keeps the name of the idea in view.
