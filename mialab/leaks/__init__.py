"""What the insides give away. Arrays in, one score per record out; higher means "member".

aggregates.py    tracing from a released mean      one attack, many disguises
batch_norm.py    the probe, running averages,      a mean that was never meant to be released
                 querying in training mode
genomics/        allele frequencies, beacons       a mean that was released for the good of all
"""

# No names are gathered here: `from mialab.leaks import batch_norm` keeps the name of the idea in view.
