"""How long it takes to attack every model of a fleet in turn, and how much memory.

First a whole study, as small as the chapter's: 129 perceptrons on digits, trained, asked and attacked. Then
scoring alone at the size of a published study, 256 models × 50,000 records of made-up signals; every attack
runs in a process of its own, so that its peak of memory is its own. The aims: the study below 20 s, of
which scoring below 1 s; each attack below 10 s and 4 GB.
"""

import resource
import subprocess
import sys
import time
from functools import partial

import numpy as np

from mialab import models, signals, train
from mialab.attacks import few_shadows, lira, rmia, threshold
from mialab.attacks.shadow_stats import leave_one_out
from mialab.game import Observations, flip_coins
from mialab_book import data

ATTACKS = {
    "threshold.calibrated": threshold.calibrated,
    "lira.online": lira.online,
    "lira.online, pooled": partial(lira.online, spread="pooled"),
    "lira.offline": lira.offline,
    "few_shadows.shrunken_t": few_shadows.shrunken_t,
    "rmia.online": rmia.online,
    "rmia.offline": partial(rmia.offline, a=0.5),
}


def study():
    """Train 129 perceptrons on digits, and let each be the target once."""
    records, rng = data.digits(), np.random.default_rng(0)
    start = time.perf_counter()
    member = flip_coins(129, len(records), rng=rng)
    fleet = train.fit_many(
        lambda: models.mlp(64, (64,), 10), records.x, records.y, member, train.Sgd(steps=300), rng=rng
    )
    trained = time.perf_counter()
    seen = Observations(signals.observe(fleet, records.x, records.y), member)
    asked = time.perf_counter()
    leave_one_out(lira.online, seen)
    scored = time.perf_counter()
    print(f"{'129 perceptrons on digits':28}{scored - start:8.2f} s in all, of which", end=" ")
    print(f"training {trained - start:.2f}, asking {asked - trained:.2f}, scoring {scored - asked:.2f} s")


def one(name):
    """Score 256 models × 50,000 records, and print the time and this process's peak of memory."""
    rng = np.random.default_rng(0)
    member = flip_coins(256, 50_000, rng=rng)
    signal = rng.normal(size=member.shape)
    signal -= np.exp(rng.normal(size=50_000)) + 8  # below 0, so that all attacks take it
    fleet = Observations(np.minimum(signal + member, 0), member)
    del signal, member
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    leave_one_out(ATTACKS[name], fleet)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{name:28}{seconds:8.2f} s, peak {peak / 2**20:.2f} GiB ({before / 2**20:.2f} before)")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one(sys.argv[1])
    else:
        study()
        for name in ATTACKS:
            subprocess.run([sys.executable, __file__, name], check=True)
