"""What belongs to the book alone, and imports `mialab`.

data                 records, real ones by default
faults               private-looking code with one flaw each, and the correct code beside it
gallery              all of it against every audit
exercises            checkers, one file a chapter
small_batches        the exact likelihood ratio of a probe in a small batch
train_mode_queries   models asked in training mode
coalescent           simulated genomes (optional: msprime)
association          the allelic test, on frequencies with noise
"""
