"""How much faster a fleet of 64 trains than a plain loop over its models.

Digits, 300 steps, batch 64, against the better of a one-thread and a two-thread loop that does the same
work, with the same batches already drawn. Interleaved, minimum of five. The loop is run on eight of the
64 models and its time multiplied by eight. Small models and few steps: the slow ones take 30 steps, and
both times are multiplied by ten.
"""

import time

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from mialab import models
from mialab.game import flip_coins
from mialab.train import Sgd, fit_many
from mialab.train.batching import batches

MODELS, LOOPED, ROUNDS = 64, 8, 5
CASES = {
    # name: (maker, steps measured out of 300, the ratio we aim at)
    "perceptron 64-64-10": (lambda: models.mlp(64, (64,), 10), 300, 10),
    "perceptron 64-256-10": (lambda: models.mlp(64, (256,), 10), 300, 4.5),
    "small CNN": (lambda: models.small_cnn(1, 8, 10), 30, 2),
    "small transformer": (lambda: models.tiny_transformer(1, 8, 10), 30, 2),
}


def plain_loop(maker, x, y, drawn, threads):
    """Train ``LOOPED`` models one after the other, as everybody does; return seconds."""
    torch.set_num_threads(threads)
    start = time.perf_counter()
    for order in drawn:
        model = maker()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        for batch in order:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    return time.perf_counter() - start


def fleet(maker, x, y, member, steps):
    """Train all models at once; return seconds, drawing the batches included."""
    torch.set_num_threads(2)
    start = time.perf_counter()
    fit_many(maker, x, y, member, Sgd(steps, learning_rate=0.05), rng=np.random.default_rng(0))
    return time.perf_counter() - start


def main():
    digits = load_digits()
    x, y = (digits.images[:, None] / 16).astype(np.float32), digits.target
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    rng = np.random.default_rng(0)
    member = flip_coins(MODELS, len(x), rng=rng)
    heads = f"{'loop, 1 thread':>16}{'2 threads':>12}{'fleet':>9}{'ratio':>8}{'aim':>6}"
    print(f"{'fleet of 64 on digits, 300 steps':34}{heads}")
    for name, (maker, steps, aim) in CASES.items():
        rows = [np.flatnonzero(row) for row in member[:LOOPED]]
        drawn = [[r[b] for b in batches(r.size, steps, 64, rng=rng)] for r in rows]
        times = np.array(
            [
                (
                    plain_loop(maker, *tensors, drawn, threads=1) * MODELS / LOOPED,
                    plain_loop(maker, *tensors, drawn, threads=2) * MODELS / LOOPED,
                    fleet(maker, x, y, member, steps),
                )
                for _ in range(ROUNDS)
            ]
        )
        one, two, ours = times.min(axis=0) * 300 / steps
        print(f"{name:34}{one:14.2f} s{two:10.2f} s{ours:7.2f} s{min(one, two) / ours:7.1f}x{aim:5.1f}x")


if __name__ == "__main__":
    main()
