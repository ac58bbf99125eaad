"""The whole gallery: every fault and everything correct against every audit. The aim: below three minutes.

Prints the table, the seconds of each audit and of running the things themselves.
"""

import time

import numpy as np

from mialab.gallery import hang, markdown


def main():
    """Hang it once, with what users get by default."""
    start = time.perf_counter()
    rows = hang(rng=np.random.default_rng(0))
    seconds = time.perf_counter() - start
    print(markdown(rows), end="\n\n")
    for name in rows[0].seconds:
        print(f"{name:12}{sum(row.seconds[name] for row in rows):8.2f} s")
    print(f"{'all':12}{seconds:8.2f} s, {len(rows)} rows")


if __name__ == "__main__":
    main()
