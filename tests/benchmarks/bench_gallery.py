"""The whole gallery: every fault and everything correct against every audit. The aim: below three minutes.

Prints who was caught, and the seconds of each audit and of running the things themselves.
"""

import time

import numpy as np

from mialab_book.gallery import run_gallery


def main():
    """Run it once, with what users get by default."""
    start = time.perf_counter()
    rows = run_gallery(rng=np.random.default_rng(0))
    seconds = time.perf_counter() - start
    for row in rows:
        print(f"{row.case.name:35} ε ≥ {row.lower:.2f}, caught by: {', '.join(row.caught_by) or 'none'}")
    for name in rows[0].seconds:
        print(f"{name:14}{sum(row.seconds[name] for row in rows):8.2f} s")
    print(f"{'all':14}{seconds:8.2f} s, {len(rows)} rows")


if __name__ == "__main__":
    main()
