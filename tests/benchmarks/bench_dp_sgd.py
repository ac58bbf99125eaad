"""What one private step costs, against plain training and against Opacus.

Five models, two of them so wide that the lengths are ghosts; for each, one plain forward and backward, a
plain step of SGD, the clipped sum, a whole private step with noise and update, the same with the system's
noise, the clipped sum by `vmap` of `grad`, and Opacus's whole private step in each of its modes. Interleaved,
minima; ratios to the plain forward and backward. Memory is the most that tensors held at once beyond model
and batch, by torch's profiler. A last table shows how time and memory grow with batch and width.
"""

import argparse
import time
import warnings

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.grad_sample import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping
from torch import nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from mialab import models
from mialab._rng import Noise
from mialab.dp_sgd import DpSgd
from mialab.dp_sgd.clipping import make_clipper
from mialab.dp_sgd.update import gather, noisy_mean, optimizer
from mialab.secure import SystemGenerator


def tutorial_cnn(width=16):
    """Return the two-layer CNN of the Opacus MNIST tutorial, where width is 16."""
    return nn.Sequential(
        *(nn.Conv2d(1, width, 8, 2, padding=3), nn.ReLU(), nn.MaxPool2d(2, 1)),
        *(nn.Conv2d(width, 2 * width, 4, 2), nn.ReLU(), nn.MaxPool2d(2, 1)),
        *(nn.Flatten(), nn.Linear(2 * width * 16, 32), nn.ReLU(), nn.Linear(32, 10)),
    )


class Reader(nn.Module):
    """Words, their places, two transformer blocks, and a judgement."""

    def __init__(self, width=64):
        super().__init__()
        self.embed = nn.Embedding(1000, width)
        self.place = nn.Embedding(32, width)
        self.blocks = nn.Sequential(models.Block(width, 4), models.Block(width, 4))
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, 10)

    def forward(self, words):
        places = torch.arange(words.shape[1]).expand(words.shape)
        return self.classify(self.norm(self.blocks(self.embed(words) + self.place(places))).mean(1))


class Tokens(nn.Module):
    """Two linear layers on each of some tokens, and a judgement."""

    def __init__(self, width):
        super().__init__()
        self.one, self.two = nn.Linear(width, width), nn.Linear(width, width)
        self.classify = nn.Linear(width, 10)

    def forward(self, x):
        return self.classify(torch.relu(self.two(torch.relu(self.one(x)))).mean(1))


def pixels(records):
    return torch.randn(records, 1, 28, 28)


def words(records):
    return torch.randint(1000, (records, 32))


def sixteen(width):
    return lambda records: torch.randn(records, 16, width)


CASES = {
    # name: (maker of a width, width, records, batch, aim for the clipped sum, aim for the step)
    "perceptron 784-256-10": (lambda w: models.mlp(784, (w,), 10), 256, pixels, 256, 1.4, 2.1),
    "CNN of the tutorial": (tutorial_cnn, 16, pixels, 256, 1.6, 1.8),
    "transformer, 32 tokens": (Reader, 64, words, 128, 1.25, 1.3),
    "16 tokens, width 256": (Tokens, 256, sixteen(256), 64, 1.25, 1.5),
    "16 tokens, width 512": (Tokens, 512, sixteen(512), 64, 1.15, 1.4),
}
GROWING = list(CASES)[:3]
RECIPE = DpSgd(clip=1.0, noise_multiplier=1.0, sampling_rate=0.01, steps=1, nominal_batch=256, momentum=0.9)


def plain(model, inputs, labels):
    def run():
        model.zero_grad()
        functional.cross_entropy(model(inputs), labels).backward()

    return run


def plain_step(model, inputs, labels):
    once, descent = plain(model, inputs, labels), torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def run():
        once()
        descent.step()

    return run


def clipped(method):
    def make(model, inputs, labels):
        clipper = make_clipper(model, inputs, method)
        return lambda: clipper(inputs, labels, 1.0)

    return make


def private_step(rng):
    def make(model, inputs, labels):
        weights = gather(model)
        descent, clipper = optimizer(weights, RECIPE), make_clipper(model, inputs)
        noise = Noise(rng)

        def run():
            total, norms = clipper(inputs, labels, RECIPE.clip)
            assert torch.isfinite(norms).all()
            weights.grad = noisy_mean(
                torch.cat([one.double().flatten() for one in total.values()]), RECIPE, noise
            )
            descent.step()

        return run

    return make


def opacus(mode):
    """Return the maker of Opacus's whole private step in one of its modes."""

    def make(model, inputs, labels):
        plain = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        how = {"noise_multiplier": 1.0, "max_grad_norm": 1.0, "expected_batch_size": len(labels)}
        if mode == "ghost":
            module = GradSampleModuleFastGradientClipping(model, max_grad_norm=1.0, use_ghost_clipping=True)
            descent = DPOptimizerFastGradientClipping(plain, **how)
            loss = DPLossFastGradientClipping(module, descent, nn.CrossEntropyLoss(), "mean")
        else:
            module = GradSampleModule(model, force_functorch=mode == "functorch")
            descent, loss = DPOptimizer(plain, **how), functional.cross_entropy

        def run():
            descent.zero_grad()
            loss(module(inputs), labels).backward()
            descent.step()

        return run

    return make


RUNS = {
    "forward + backward": plain,
    "plain step": plain_step,
    "clipped sum": clipped("auto"),
    "private step": private_step(np.random.default_rng(0)),
    "private step, system's noise": private_step(SystemGenerator()),
    "vmap(grad)": clipped("per record"),
    "Opacus hooks": opacus("hooks"),
    "Opacus functorch": opacus("functorch"),
    "Opacus ghost": opacus("ghost"),
}


def held(run):
    """Return the most bytes that tensors held at once while it ran, beyond what was there before."""
    run()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    changes = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    changes.sort(key=lambda event: event.start_ns())
    return int(np.cumsum([0, *(event.nbytes() for event in changes)]).max())


def measure(name, runs, rounds, *, width=None, batch=None):
    """Return the least seconds and the bytes of every run, or the reason why it refuses."""
    maker, usual_width, draw, usual_batch, *_ = CASES[name]
    inputs = draw(batch or usual_batch)
    labels = torch.randint(10, (len(inputs),))
    ready, refused = {}, {}
    for run, make in runs.items():
        try:
            ready[run] = make(maker(width or usual_width), inputs, labels)
            ready[run]()
        except Exception as error:  # whatever it is, it is the reason
            refused[run] = f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
            ready.pop(run, None)
    least = dict.fromkeys(ready, np.inf)
    for number in range(rounds):
        for run, step in ready.items():
            if number < 3 or least[run] < 20 * min(least.values()):  # the very slow ones only three times
                start = time.perf_counter()
                step()
                least[run] = min(least[run], time.perf_counter() - start)
    return {run: (least[run], held(ready[run])) for run in ready}, refused


def report(rounds):
    for name, (*_, clip_aim, step_aim) in CASES.items():
        found, refused = measure(name, RUNS, rounds)
        base = found["forward + backward"][0]
        print(f"\n{name:30}{'time':>12}{'ratio':>9}{'aim':>7}{'memory':>12}")
        for run, (seconds, size) in found.items():
            aim = {"clipped sum": f"{clip_aim:.2f}x", "private step": f"{step_aim:.2f}x"}.get(run, "")
            print(f"{run:30}{1e3 * seconds:9.2f} ms{seconds / base:8.2f}x{aim:>7}{size / 2**20:8.1f} MiB")
        for run, reason in refused.items():
            print(f"{run:30}refuses: {reason}")
        theirs = min(found[run][0] for run in found if run.startswith("Opacus"))
        print(f"{'Opacus at its best, to ours':30}{theirs / found['private step'][0]:20.2f}x")


def growth(rounds):
    runs = {run: RUNS[run] for run in ("forward + backward", "clipped sum", "vmap(grad)")}
    print(f"\n{'how it grows':30}{'batch':>7}{'width':>7}{'clipped sum':>22}{'vmap(grad)':>22}")
    for name in GROWING:
        _, width, _, batch, *_ = CASES[name]
        for more_batch, more_width in ((0.5, 1), (1, 1), (2, 1), (1, 0.5), (1, 2)):
            found, _ = measure(
                name, runs, rounds, width=int(width * more_width), batch=int(batch * more_batch)
            )
            base = found["forward + backward"][0]
            cells = [f"{found[r][0] / base:8.2f}x{found[r][1] / 2**20:9.1f} MiB" for r in list(runs)[1:]]
            print(f"{name:30}{batch * more_batch:7.0f}{width * more_width:7.0f}{cells[0]:>22}{cells[1]:>22}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    torch.manual_seed(0)
    report(asked.rounds)
    growth(max(3, asked.rounds // 8))


if __name__ == "__main__":
    main()
