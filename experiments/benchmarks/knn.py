"""Weighted k-NN on frozen features: ssljax.probes.knn beside scikit-learn, the same votes.

    python experiments/benchmarks/knn.py                       # a minute or two on two cores
    python experiments/benchmarks/knn.py --bank 2000 --queries 200 --rounds 1

10,000 queries against a bank of 50,000 features of 512 dimensions in ten overlapping classes (the
size of CIFAR-10 with a ResNet-18), k = 200, T = 0.1. The peer is KNeighborsClassifier with cosine
distance by brute force and weights exp(cos / T), all cores. Both begin with NumPy arrays and end
with class ids; a first call, which compiles, is not timed. They run in one process in turn A B A B,
and must agree in all votes but near-ties (1 in 1,000).
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import jax
import machine
import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from ssljax.probes.knn import nearest, vote

CLASSES, TEMPERATURE = 10, 0.1


def features(n: int, dimensions: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 [n, dimensions] around ten centres, and the class of each."""
    centres = np.random.default_rng(0).normal(size=(CLASSES, dimensions))
    rng = np.random.default_rng(1 + seed)
    label = rng.integers(0, CLASSES, n)
    x = centres[label] + 6.0 * rng.normal(size=(n, dimensions))
    return x.astype(np.float32), label


def ours(bank: np.ndarray, labels: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    similarity, index = nearest(bank, queries, k=k)
    return vote(similarity, labels[index], k=k, temperature=TEMPERATURE, classes=CLASSES)


def theirs(bank: np.ndarray, labels: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    def weigh(distance: np.ndarray) -> np.ndarray:
        return np.exp((1.0 - distance) / TEMPERATURE)

    peer = KNeighborsClassifier(k, weights=weigh, algorithm="brute", metric="cosine", n_jobs=-1)
    return peer.fit(bank, labels).predict(queries)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--k", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args(arguments)
    where = machine.environment() | {"device": jax.devices()[0].device_kind}
    bank, labels = features(options.bank, options.dimensions, seed=0)
    queries, truth = features(options.queries, options.dimensions, seed=1)
    sides = {"ssljax": ours, "scikit-learn": theirs}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    votes = {}
    ours(bank, labels, queries, options.k)  # compiles for these shapes
    for _ in range(options.rounds):
        for name, run in sides.items():
            start = time.perf_counter()
            votes[name] = run(bank, labels, queries, options.k)
            seconds[name].append(time.perf_counter() - start)
    agreement = float(np.mean(votes["ssljax"] == votes["scikit-learn"]))
    if agreement < 0.999:
        raise RuntimeError(f"only {agreement:.2%} of the votes agree: do not time it")
    what = (
        f"k-NN {options.queries:,} against {options.bank:,} x {options.dimensions}, k={options.k}"
    )
    rates = [[options.queries / s for s in seconds[name]] for name in sides]
    ratio = machine.ratio(what, "queries/s", *rates, against="scikit-learn brute cosine")
    print("\n".join(f"{key}: {value}" for key, value in where.items()))
    rows = [[what, "seconds", "lowest", "highest", "accuracy"]]
    for name, taken in seconds.items():
        times = (statistics.median(taken), min(taken), max(taken))
        accuracy = float(np.mean(votes[name] == truth))
        rows.append([name, *(f"{t:.2f}" for t in times), f"{accuracy:.4f}"])
    print(f"\n{machine.table(rows)}\n\nvotes that agree: {agreement:.4%}")
    result = {"environment": where, "seconds": seconds, "agreement": agreement, "ratios": [ratio]}
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return result


if __name__ == "__main__":
    main()
