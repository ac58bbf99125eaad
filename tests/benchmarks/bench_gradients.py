"""Per-record gradients of the small transformer, batch 128: in one run, with vmap, and what training pays.

Against `vmap` of `grad`, and against one plain forward and backward pass that returns only their mean.
Every way runs on one thread and on two, interleaved; what one run is compared with is the *better* of the
other's one and two threads, so that nobody wins by the number of threads they were given; the last row is
the better of its own. Each time is the minimum of single calls: on a busy machine one call of a few
milliseconds can go by undisturbed, and five in a row cannot. Two threads there wait for each other, and their
ratios are those of whoever else is at work.
"""

import time

import numpy as np
import torch
from torch import nn

from mialab import models
from mialab.leaks.gradients import per_record
from mialab.per_example import capture
from mialab.per_example.gradients import by_record

BATCH, ROUNDS, REPEATS, THREADS = 128, 10, 5, (1, 2)


def plain(model, inputs, labels):
    """One forward and one backward pass of the whole batch."""
    loss = nn.functional.cross_entropy(model(inputs), labels)
    return torch.autograd.grad(loss, list(model.parameters()))


def seconds(call):
    """Return the seconds of the quickest of a few calls, after one that warms the threads up."""
    call()
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


def best_of(ways):
    """Return each way's best seconds on each number of threads."""
    times = {(name, threads): [] for name in ways for threads in THREADS}
    for _ in range(ROUNDS):
        for (name, threads), taken in times.items():
            torch.set_num_threads(threads)
            taken.append(seconds(ways[name]))
    return {key: min(taken) for key, taken in times.items()}


def main():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(BATCH, 1, 8, 8)).astype(np.float32), rng.integers(10, size=BATCH)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    print(
        f"{'per-record gradients, batch 128':32}{'threads':>9}{'plain':>10}{'vmap':>10}{'one run':>10}",
        end="",
    )
    print(f"{'door':>10}{'one run/vmap (≤ 1)':>20}{'one run/plain (≤ 1.8)':>22}")
    for blocks in (1, 2):
        model = models.tiny_transformer(1, 8, 10, blocks=blocks)
        ways = {
            "plain": lambda model=model: plain(model, inputs, labels),
            "vmap": lambda model=model: by_record(model, inputs, labels),
            "one run": lambda model=model: capture.gradients(model, inputs, labels),
            "door": lambda model=model: per_record(model, x, y),  # public: checks and copies included
        }
        best = best_of(ways)
        rival = {name: min(best[name, threads] for threads in THREADS) for name in ways}
        rows = {str(threads): {name: best[name, threads] for name in ways} for threads in THREADS}
        for threads, row in (rows | {"better": rival}).items():
            columns = "".join(f"{1e3 * row[name]:7.2f} ms" for name in ways)
            ratios = [row["one run"] / rival[name] for name in ("vmap", "plain")]
            name = f"transformer of {blocks} block(s)"
            print(f"{name:32}{threads:>9}{columns}{ratios[0]:20.2f}{ratios[1]:22.2f}")


if __name__ == "__main__":
    main()
