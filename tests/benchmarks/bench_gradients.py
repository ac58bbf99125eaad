"""Per-record gradients of the small transformer, batch 128: with books, with vmap, and what training pays.

Against `vmap` of `grad`, and against one plain forward and backward pass that returns only their mean. On one
thread, since on two the ratios are those of whoever else is at work; interleaved, minimum of 15.
"""

import time

import numpy as np
import torch
from torch import nn

from mialab import models
from mialab.leaks.gradients import per_record
from mialab.leaks.gradients.books import by_books
from mialab.leaks.gradients.per_record import by_vmap

BATCH, ROUNDS, REPEATS = 128, 15, 5


def plain(model, inputs, labels):
    """One forward and one backward pass of the whole batch."""
    loss = nn.functional.cross_entropy(model(inputs), labels)
    return torch.autograd.grad(loss, list(model.parameters()))


def seconds(call):
    start = time.perf_counter()
    for _ in range(REPEATS):
        call()
    return (time.perf_counter() - start) / REPEATS


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(BATCH, 1, 8, 8)).astype(np.float32), rng.integers(10, size=BATCH)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    print(f"{'per-record gradients, batch 128':34}{'plain':>10}{'vmap':>10}{'books':>10}{'door':>10}", end="")
    print(f"{'books/vmap (≤ 1)':>20}{'books/plain (≤ 1.8)':>22}")
    for blocks in (1, 2):
        model = models.tiny_transformer(1, 8, 10, blocks=blocks)
        ways = {
            "plain": lambda model=model: plain(model, inputs, labels),
            "vmap": lambda model=model: by_vmap(model, inputs, labels),
            "books": lambda model=model: by_books(model, inputs, labels),
            "door": lambda model=model: per_record(
                model, x, y
            ),  # the public function, checks and copies included
        }
        times = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                times[name].append(seconds(way))
        best = {name: min(taken) for name, taken in times.items()}
        columns = "".join(f"{1e3 * best[name]:8.2f} ms"[-10:].rjust(11) for name in ways)
        ratios = f"{best['books'] / best['vmap']:20.2f}{best['books'] / best['plain']:22.2f}"
        print(f"{f'transformer of {blocks} block(s)':34}{columns}{ratios}")


if __name__ == "__main__":
    main()
