"""The full-scale row of the chapter "DP-SGD", with its provenance.

    python book/results/dp_sgd.py        Fashion-MNIST, every record; a quarter of an hour, one busy core

One model without privacy and two with, of the network and with the settings of a published MNIST tutorial,
but for the number of passes. It writes `dp_sgd.json` beside this file. The seed is fixed, and so public:
these models are for measuring, not for giving away. One run each: the interval of an accuracy is about the
10,000 test records alone.
"""

import json
import platform
import resource
import subprocess
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mialab import metrics, signals, tradeoff, train
from mialab.accounting import privacy_loss, renyi
from mialab.dp_sgd import DpSgd, fit_private
from mialab_book import data

SEED = 20261124
DELTA = 1e-5
STEPS = 3750  # 15 passes at a rate of 0.004
RECIPES = {
    "without privacy": train.Sgd(steps=STEPS, batch_size=240, learning_rate=0.1, momentum=0.0),
    "noise 0.7": DpSgd(1.5, 0.7, sampling_rate=0.004, steps=STEPS, nominal_batch=240, learning_rate=0.25),
    "noise 1.3": DpSgd(1.5, 1.3, sampling_rate=0.004, steps=STEPS, nominal_batch=240, learning_rate=0.25),
}


def tutorial_cnn():
    """Return the network of the tutorial."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 8, stride=2, padding=3), nn.ReLU(), nn.MaxPool2d(2, stride=1)),
        *(nn.Conv2d(16, 32, 4, stride=2), nn.ReLU(), nn.MaxPool2d(2, stride=1)),
        *(nn.Flatten(), nn.Linear(32 * 4 * 4, 32), nn.ReLU(), nn.Linear(32, 10)),
    )


def centred(records):
    """Move pixels to [-1, 1], by numbers that do not depend on any record."""
    return 2 * records.x - 1


def accuracy(model, records):
    """Return the share of right answers, with its interval."""
    right = signals.observe(model, centred(records), records.y, signals.correctness)
    return metrics.clopper_pearson(int(right.sum()), len(right))


def promise(recipe):
    """Return what the recipe promises: by both accountants, and as the best that any attack can do."""
    curve = privacy_loss.curve(recipe)
    return {
        "delta": DELTA,
        "epsilon": privacy_loss.guarantee(recipe, delta=DELTA).epsilon,
        "epsilon, Rényi": renyi.guarantee(recipe, delta=DELTA).epsilon,
        "epsilon, Rényi, conversion of 2017": renyi.guarantee_mironov2017(recipe, delta=DELTA).epsilon,
        "largest advantage": tradeoff.advantage(curve),
        "largest TPR at 0.1 % FPR": float(curve.tpr(0.001)),
    }


def train_one(recipe, records):
    """Train one model, with or without a promise."""
    rng = np.random.default_rng(SEED)
    fit = fit_private if isinstance(recipe, DpSgd) else train.fit
    return fit(tutorial_cnn, centred(records), records.y, recipe, rng=rng)


def one(recipe, records, held_out):
    """Train, and say how good the model is and what was promised."""
    start = time.time()
    model = train_one(recipe, records)
    seconds = round(time.time() - start)
    measured = {"training records": accuracy(model, records), "test records": accuracy(model, held_out)}
    shares = {
        name: {key: round(getattr(share, key), 4) for key in ("value", "low", "high")}
        for name, share in measured.items()
    }
    promised = promise(recipe) if isinstance(recipe, DpSgd) else None
    print(promised, shares, seconds, "s", flush=True)
    return {"recipe": asdict(recipe), "promise": promised, "accuracy": shares, "seconds": seconds}


def commit():
    """Name the commit; ask before training starts, since the tree may change meanwhile."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    changed = subprocess.run(["git", "diff", "HEAD", "--quiet", "--", "mialab"], check=False).returncode
    return head.strip() + (" and changes" if changed else "")


def provenance(start, origin):
    """Say where, when and from what a result comes."""
    return {
        "commit": origin,
        "seed": SEED,
        "device": f"CPU ({platform.machine()}), {torch.get_num_threads()} threads, shared with others",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn")},
        "wall_seconds": round(time.time() - start),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def main():
    """Train all three and write the results down."""
    start, origin = time.time(), commit()
    records, held_out = data.fashion_mnist(), data.fashion_mnist("test")
    results = {name: one(recipe, records, held_out) for name, recipe in RECIPES.items()}
    setting = {
        "records": repr(records),
        "scale": "every record, one run each",
        "model": str(tutorial_cnn()),
        "parameters": sum(weight.numel() for weight in tutorial_cnn().parameters()),
    }
    path = Path(__file__).with_name("dp_sgd.json")
    written = {"provenance": provenance(start, origin), "setting": setting, "models": results}
    path.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
