"""k-means: ssljax.clustering.kmeans beside scikit-learn, in speed and in inertia.

    python experiments/benchmarks/kmeans.py                          # a few minutes on two cores
    python experiments/benchmarks/kmeans.py --rows 5000 --rounds 1

Features float32 [rows, dimensions] in overlapping groups, clustered by both in one process, in turn
A B A B; both begin with NumPy arrays, and a first call, which compiles, is not timed.

    lloyd    the same 10 iterations from the same centroids: time, and inertia that must agree
    whole    k-means++ and Lloyd's iterations until they stop, a seed a round: time, and inertia

Speed is a ratio: above 1, ssljax is faster. So is inertia: below 1, ssljax found better clusters.
scikit-learn uses all cores, and for each kind the precision in which it is faster: its k-means++ is
twenty times slower on float32, which it turns into float64 piece by piece, than on float64.
"""

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import machine
import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from ssljax.clustering import kmeans

_ITERATIONS = 10


def features(rows: int, dimensions: int, groups: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(groups, dimensions)).astype(np.float32)
    noise = rng.normal(size=(rows, dimensions)).astype(np.float32)
    return centres[rng.integers(0, groups, rows)] + 2 * noise


def compare(x: np.ndarray, k: int, rounds: int) -> list[dict[str, Any]]:
    """One entry a kind: what, seconds of both, inertias of both."""
    start = x[np.random.default_rng(1).choice(len(x), k, replace=False)]

    def ours(seed: int, **options: Any) -> float:
        return float(kmeans(x, k, key=jax.random.key(seed), **options).inertia)

    wide = x.astype(np.float64)

    def theirs(seed: int, **options: Any) -> float:
        rows = x if "init" in options else wide
        return float(KMeans(k, n_init=1, random_state=seed, **options).fit(rows).inertia_)

    same = {"tol": 0, "start": start, "iterations": _ITERATIONS}
    peer = {"tol": 0, "init": start, "max_iter": _ITERATIONS}
    kinds = {"lloyd": (same, peer), "whole": ({"iterations": 100}, {"max_iter": 100})}
    found = []
    for kind, (mine, other) in kinds.items():
        ours(0, **mine)  # compiles
        sides = {"ssljax": (ours, mine), "scikit-learn": (theirs, other)}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        inertia: dict[str, list[float]] = {name: [] for name in sides}
        for seed in range(rounds):
            for name, (run, options) in sides.items():
                began = time.perf_counter()
                inertia[name].append(run(seed, **options))
                seconds[name].append(time.perf_counter() - began)
        what = f"k-means {kind} {len(x):,} x {x.shape[1]}, {k} clusters"
        found.append({"what": what, "seconds": seconds, "inertia": inertia})
        off = abs(inertia["ssljax"][0] / inertia["scikit-learn"][0] - 1)
        if kind == "lloyd" and off > 1e-4:
            raise RuntimeError(f"from one start the inertias differ by {off:.1e}: do not time it")
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--clusters", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)  # the iterations are counted out
    where = machine.environment() | {"device": jax.devices()[0].device_kind}
    print("\n".join(f"{key}: {value}" for key, value in where.items()))
    found, ratios = [], []
    for k in options.clusters:
        found += compare(features(options.rows, options.dimensions, k), k, options.rounds)
    header = ["k-means", "ssljax s", "scikit-learn s", "speed", "lowest", "highest", "inertia"]
    rows = [header]
    for entry in found:
        rates = [[1 / s for s in entry["seconds"][name]] for name in ("ssljax", "scikit-learn")]
        row = machine.ratio(entry["what"], "runs/s", *rates, against="scikit-learn KMeans")
        ratios.append(row)
        pairs = zip(entry["inertia"]["ssljax"], entry["inertia"]["scikit-learn"], strict=True)
        speeds = [f"{row[name]:.2f}" for name in ("ratio", "lowest", "highest")]
        times = [f"{1 / row[name]:.2f}" for name in ("ssljax", "peer")]
        share = statistics.median(a / b for a, b in pairs)
        rows.append([entry["what"], *times, *speeds, f"{share:.5f}"])
    print(f"\n{machine.table(rows)}")
    result = {"environment": where, "results": found, "ratios": ratios}
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return result


if __name__ == "__main__":
    main()
