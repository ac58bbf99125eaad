"""Full-scale results of the chapter "Calibrated attacks", each with its provenance.

    python book/results/calibrated_attacks.py location30       257 perceptrons; about six minutes
    python book/results/calibrated_attacks.py fashion_mnist    17 perceptrons; about ten minutes
    python book/results/calibrated_attacks.py few_shadows      digits and Location-30; about six minutes

on two cores. Every run writes one JSON file beside this one. The seed is fixed; on another machine or
with another version of a library, sums are rounded differently and the last digits may differ.
"""

import json
import platform
import resource
import subprocess
import sys
import time
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from mialab import metrics, models, signals, train
from mialab.attacks import few_shadows, lira, rmia, threshold
from mialab.attacks.shadow_stats import leave_one_out
from mialab.game import Observations, Outcome, flip_coins
from mialab_book import data

SEED = 20261124
SETTINGS = {
    # name: (loader, width of the one hidden layer, models, recipe)
    "digits": (data.digits, 64, 256, train.Sgd(steps=300)),
    "location30": (data.location30, 128, 257, train.Sgd(steps=600)),
    "fashion_mnist": (data.fashion_mnist, 128, 17, train.Sgd(steps=5000, batch_size=128, learning_rate=0.05)),
}
PAIRED = {  # the comparison with few shadows: does the third lose to the better of the first two?
    "per record": lira.online,
    "pooled": partial(lira.online, spread="pooled"),
    "student": few_shadows.shrunken_t,
}
SCALE = {
    "digits": "every record",
    "location30": "every record, 256 shadows",
    "fashion_mnist": "every record, but a perceptron and 16 shadows: what two cores do in ten minutes",
}
NUMBERS = {
    "auc": lambda roc: roc.auc,
    "tpr_at_fpr_0.01": lambda roc: roc.tpr_at(0.01),
    "tpr_at_fpr_0.001": lambda roc: roc.tpr_at(0.001),
}


def fleet_of(name):
    """Train a fleet; return its logit gaps, its log-probabilities, and how often it is right."""
    load, hidden, number, recipe = SETTINGS[name]
    records, rng = load(), np.random.default_rng(SEED)
    member = flip_coins(number, len(records), rng=rng)
    inputs = records.x[0].size
    fleet = train.fit_many(
        lambda: models.mlp(inputs, (hidden,), records.classes),
        records.x,
        records.y,
        member,
        recipe,
        rng=rng,
        checkpoint_folder=Path("_build/results") / name,
    )
    logits = train.predict(fleet, records.x)
    right = signals.correctness(logits, records.y) == 1
    accuracy = {"members": float(right[member].mean()), "non-members": float(right[~member].mean())}
    gap, log = (Observations(of(logits, records.y), member) for of in (signals.logit_gap, signals.loss))
    setting = {
        "records": repr(records),
        "scale": SCALE[name],
        "model": f"perceptron {inputs}-{hidden}-{records.classes}",
        "models": number,
        "membership": "independent fair coins; every model is the target once, with all others as shadows",
        "recipe": asdict(recipe),
    }
    return setting, accuracy, gap, log


def scores_of(gap, log):
    """Let every attack score every model as target; ``a`` of RMIA is chosen on shadows alone, each time."""
    pick = partial(rmia.choose_a, candidates=(0, 0.2, 0.4, 0.6, 0.8, 1))
    sample = Observations(log.signal[:8, ::8], log.member[:8, ::8])
    return {
        "threshold on the loss": log,
        "difficulty calibration": leave_one_out(threshold.calibrated, gap),
        "RMIA, offline": leave_one_out(partial(rmia.offline, a=pick(sample)), log),
        "RMIA, online": leave_one_out(rmia.online, log),
        "LiRA, offline, per record": leave_one_out(lira.offline, gap),
        "LiRA, offline, pooled": leave_one_out(partial(lira.offline, spread="pooled"), gap),
        "LiRA, online, per record": leave_one_out(lira.online, gap),
        "LiRA, online, pooled": leave_one_out(partial(lira.online, spread="pooled"), gap),
        "few shadows (Student's t)": leave_one_out(few_shadows.shrunken_t, gap),
    }


def attack_study(name):
    """Attack every model of a fleet in turn, in all ways."""
    setting, accuracy, gap, log = fleet_of(name)
    table = {}
    for attack, scores in scores_of(gap, log).items():
        rng = np.random.default_rng(SEED)
        table[attack] = {
            number: rounded(metrics.bootstrap(scores, of, rng=rng, resamples=200))
            for number, of in NUMBERS.items()
        }
        print(attack, {number: estimate["value"] for number, estimate in table[attack].items()}, flush=True)
    return {"setting": setting, "accuracy": accuracy, "attacks": table}


def rounded(estimate):
    """Keep four decimals of an estimate."""
    return {key: round(getattr(estimate, key), 4) for key in ("value", "low", "high")}


def few_shadows_study():
    """Compare, with K shadows, the shrunk attack with the better of the two plain ones.

    A fleet is cut into groups of K + 1 models that share no model, and within a group every model is the
    target once. A group's mean over its targets is one trial, so the standard error is over groups. All
    groups share the records.
    """
    results = {}
    for name in ("digits", "location30"):
        setting, accuracy, gap, _ = fleet_of(name)
        tables = {str(shadows): paired(gap, shadows) for shadows in (4, 8, 16, 32, 64)}
        results[name] = {"setting": setting, "accuracy": accuracy, "shadows": tables}
    return results


def paired(gap, shadows):
    """Return each attack's mean over groups, and what the shrunk one gains over the better plain one."""
    groups = len(gap) // (shadows + 1)
    values = {attack: {number: [] for number in NUMBERS} for attack in PAIRED}
    for group in range(groups):
        rows = slice(group * (shadows + 1), (group + 1) * (shadows + 1))
        one = Observations(gap.signal[rows], gap.member[rows])
        for attack, function in PAIRED.items():
            scores = leave_one_out(function, one)
            rocs = [metrics.roc_curve(Outcome(*pair)) for pair in zip(scores.signal, one.member, strict=True)]
            for number, of in NUMBERS.items():
                values[attack][number].append(np.mean([of(roc) for roc in rocs]))
    table = {"groups": groups}
    for number in NUMBERS:
        mean = {attack: float(np.mean(values[attack][number])) for attack in PAIRED}
        better = max(("per record", "pooled"), key=lambda attack: mean[attack])
        gain = np.subtract(values["student"][number], values[better][number])
        error = gain.std(ddof=1) / np.sqrt(groups)
        table[number] = {
            **{attack: round(value, 4) for attack, value in mean.items()},
            "gain of student over the better": round(float(gain.mean()), 4),
            "standard error": round(float(error), 5),
            "worse by more than two standard errors": bool(gain.mean() < -2 * error),
        }
    print(
        shadows, {number: table[number]["gain of student over the better"] for number in NUMBERS}, flush=True
    )
    return table


def provenance(start):
    """Say where, when and from what a result comes."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    changed = subprocess.run(["git", "diff", "HEAD", "--quiet", "--", "mialab"], check=False).returncode
    names = ("torch", "numpy", "scipy", "scikit-learn")
    return {
        "commit": commit.strip() + (" and changes" if changed else ""),
        "seed": SEED,
        "device": f"CPU ({platform.machine()}), {torch.get_num_threads()} threads, shared with others",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
        "wall_seconds": round(time.time() - start),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def main(name):
    """Run one study and write it down."""
    start = time.time()
    result = few_shadows_study() if name == "few_shadows" else attack_study(name)
    path = Path(__file__).with_name(f"{name}.json")
    path.write_text(json.dumps({"provenance": provenance(start), **result}, indent=1) + "\n")
    print(path)


if __name__ == "__main__":
    if sys.argv[1:] not in (["location30"], ["fashion_mnist"], ["few_shadows"]):
        sys.exit(__doc__)
    main(sys.argv[1])
