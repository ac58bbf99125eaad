"""Full-scale result of the chapter "Nobody is a percentage": real genomes, with its provenance.

    python book/results/genomics.py FOLDER

FOLDER, or else the folder ``genotypes`` in the one that MIALAB_DATA names, holds HapMap 3 and 1000 Genomes
phase 1 as PLINK files, from https://github.com/gabraham/flashpca (folder HapMap3). Two minutes on two
cores; writes genomics.json beside this file.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.special import ndtr

from mialab import metrics
from mialab.game import Outcome
from mialab.leaks import genomics
from mialab.leaks.genomics import polymorphic
from mialab_book.data import aligned, read_plink

SEED, SPLITS, N, REFERENCE = 20261124, 200, 40, 40
HAPMAP = "HM3_thinned_autosomal_overlap"
THOUSAND = "1kg.ref.phase1_release_v3.20101123_thinned_autosomal_overlap"


def load(folder):
    """Read both sets, and count the same alleles in both."""
    lines = (folder / "relationships_w_pops_121708.txt").read_text(encoding="utf-8").splitlines()[1:]
    populations = {line.split()[1]: line.split()[6] for line in lines}
    return aligned(*(read_plink(folder / name, populations=populations) for name in (HAPMAP, THOUSAND)))


def people_of(genotypes, population):
    """Return the rows of one population."""
    return np.flatnonzero(np.array(genotypes.populations) == population)


def scored(test, pool, candidates, reference, columns):
    """Score candidates against the pool's frequencies, at variants that vary in the reference."""
    columns = columns[polymorphic(reference[:, columns])]
    known = genomics.Reference.of(reference[:, columns])
    return test(genomics.allele_frequencies(pool[:, columns]), candidates[:, columns], known)


def z(released, candidates, known):
    """Score with the number of people."""
    return genomics.z_score(released, candidates, known, N)


def first_order(released, candidates, known):
    """Score as `z`, but take only m/N off: what the next order is worth."""
    people, spread = known.people, np.sqrt(1 + N / known.people)
    plain = genomics.z_score(released, candidates, genomics.Reference(known.frequency), N)
    away = np.where(candidates < 0, 0, candidates - 2 * known.frequency)
    distance = np.sqrt((away**2 / known.variance).sum(axis=1))
    lift = np.count_nonzero(candidates >= 0, axis=1) / people
    return plain / spread - lift / (distance * np.sqrt(1 / N + 1 / people))


def summary(values):
    """Return the mean over splits, and between which values nine of ten splits lie: a description."""
    low, high = np.quantile(values, [0.05, 0.95])
    return {key: round(float(v), 4) for key, v in (("mean", np.mean(values)), ("p05", low), ("p95", high))}


def judged(splits):
    """Summarise AUC, and the rates at the threshold 1.6449 that would be 5 % for N(0, 1)."""
    table = {"auc": [], "tpr": [], "fpr": []}
    for members, strangers in splits:
        score = np.concatenate([members, strangers])
        table["auc"].append(metrics.roc_curve(Outcome(score, np.arange(len(score)) < len(members))).auc)
        table["tpr"].append(np.mean(members >= 1.6449))
        table["fpr"].append(np.mean(strangers >= 1.6449))
    return {key: summary(values) for key, values in table.items()}


def expected_auc(variants):
    """Return what the law says for so many independent variants."""
    return round(float(ndtr(np.sqrt(variants / (N * (1 + N / REFERENCE))) / np.sqrt(2))), 4)


def one_population(hapmap, population, rng):
    """Split a population into pool, reference and strangers, many times, with more and more variants."""
    x = hapmap.count[people_of(hapmap, population)]
    table = {}
    for variants in (50, 200, 1000, 5000, x.shape[1]):
        splits = {"z_score": [], "first order": [], "homer": []}
        for _ in range(SPLITS):
            order, columns = rng.permutation(len(x)), rng.permutation(x.shape[1])[:variants]
            pool, reference, strangers = np.split(order, [N, N + REFERENCE])
            for name, test in (("z_score", z), ("first order", first_order), ("homer", genomics.homer)):
                candidates = np.concatenate([x[pool], x[strangers]])
                score = scored(test, x[pool], candidates, x[reference], columns)
                splits[name].append((score[:N], score[N:]))
        table[str(variants)] = {
            "expected_auc": expected_auc(variants),
            **{name: judged(pairs) for name, pairs in splits.items()},
        }
    return {"people": len(x), "by variants": table}


def another_reference(hapmap, rng):
    """Trace Europeans of Utah with a reference from elsewhere."""
    x, table = hapmap.count[people_of(hapmap, "CEU")], {}
    for population in ("CEU", "TSI", "GIH", "JPT", "YRI"):
        splits, other = [], hapmap.count[people_of(hapmap, population)]
        for _ in range(SPLITS):
            order = rng.permutation(len(x))
            pool, same, strangers = np.split(order, [N, N + REFERENCE])
            elsewhere = x[same] if population == "CEU" else other[rng.permutation(len(other))[:REFERENCE]]
            columns = rng.permutation(x.shape[1])[:1000]
            candidates = np.concatenate([x[pool], x[strangers]])
            score = scored(z, x[pool], candidates, elsewhere, columns)
            splits.append((score[:N], score[N:]))
        table[population] = judged(splits)
    return table


def another_laboratory(hapmap, thousand, rng):
    """Take the pool from 1000 Genomes, and the genomes of the same people from HapMap 3."""
    place = {name: i for i, name in enumerate(thousand.people)}
    both = [i for i in people_of(hapmap, "YRI") if hapmap.people[i] in place]
    rest = [i for i in people_of(hapmap, "YRI") if hapmap.people[i] not in place]
    here, there = hapmap.count[both], thousand.count[[place[hapmap.people[i]] for i in both]]
    read = here >= 0
    splits = {"the same laboratory": [], "another laboratory": []}
    for _ in range(SPLITS):
        order, columns = rng.permutation(len(both)), rng.permutation(here.shape[1])[:1000]
        pool, strangers = order[:N], order[N:]
        reference = hapmap.count[rest]
        for name, genomes in (("the same laboratory", there), ("another laboratory", here)):
            score = scored(z, there[pool], genomes[np.concatenate([pool, strangers])], reference, columns)
            splits[name].append((score[:N], score[N:]))
    return {
        "people in both": len(both),
        "people in the reference": len(rest),
        "genotypes that agree": round(float((here == there)[read].mean()), 5),
        **{name: judged(pairs) for name, pairs in splits.items()},
    }


def study(folder):
    """Run everything."""
    rng = np.random.default_rng(SEED)
    hapmap, thousand = load(folder)
    shared = set(hapmap.people) & set(thousand.people)
    return {
        "setting": {
            "sets": [repr(hapmap), repr(thousand)],
            "people in both sets": len(shared),
            "populations of HapMap 3": dict(Counter(hapmap.populations)),
            "variants": "common, thinned; joined by rs id, alleles turned to agree, A/T and C/G dropped",
            "design": f"pool of {N}, reference of {REFERENCE}, the others strangers; {SPLITS} random splits",
            "interval": "between which values nine of ten splits lie; splits share people: a description",
        },
        "one population": {name: one_population(hapmap, name, rng) for name in ("CEU", "YRI")},
        "reference from elsewhere, pool CEU, 1000 variants": another_reference(hapmap, rng),
        "read twice, YRI, 1000 variants": another_laboratory(hapmap, thousand, rng),
    }


def main(folder):
    """Write the result with its provenance."""
    start = time.perf_counter()
    result = study(folder)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    result["provenance"] = {
        "script": "book/results/genomics.py",
        "data": "https://github.com/gabraham/flashpca, folder HapMap3",
        "commit": commit.strip(),
        "seed": SEED,
        "device": f"CPU, {os.cpu_count()} cores, {platform.machine()}",
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("numpy", "scipy")},
        "seconds": round(time.perf_counter() - start),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    target = Path(__file__).with_suffix(".json")
    target.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{target.name}: {result['provenance']['seconds']} s")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    elif "MIALAB_DATA" in os.environ:
        main(Path(os.environ["MIALAB_DATA"]) / "genotypes")
    else:
        sys.exit(__doc__)
