"""How long tracing takes: 100,000 variants × 1,000 candidates. The aim: the likelihood ratio below 5 s."""

import time

import numpy as np

from mialab.leaks import genomics


def main():
    """Time each test, and the pool's frequencies."""
    rng, variants, people = np.random.default_rng(0), 100_000, 1000
    frequency = rng.uniform(0.05, 0.5, variants)
    pool, candidates = (
        rng.binomial(2, frequency, size=(number, variants)).astype(np.int8) for number in (200, people)
    )
    released = genomics.allele_frequencies(pool)
    reference = genomics.Reference(frequency)
    tests = {
        "likelihood_ratio": lambda: genomics.likelihood_ratio(released, candidates, reference),
        "exact_likelihood_ratio": lambda: genomics.exact_likelihood_ratio(
            released, candidates, reference, n=200
        ),
        "z_score": lambda: genomics.z_score(released, candidates, reference, n=200),
        "homer": lambda: genomics.homer(released, candidates, reference),
        "allele_frequencies": lambda: genomics.allele_frequencies(candidates),
    }
    for name, test in tests.items():
        start = time.perf_counter()
        test()
        print(f"{name:26}{time.perf_counter() - start:8.2f} s")


if __name__ == "__main__":
    main()
