"""A graph that does not fit one step: batches a second of sampled neighbourhoods, and memory.

    python experiments/benchmarks/graph_loader.py              # about two minutes on two cores
    python experiments/benchmarks/graph_loader.py --nodes 10000 --edges 100000 --steps 3

A random graph of a million nodes with 32 features and ten million edges; a batch has 256 nodes, 10
neighbours of each, and 5 of each of those (`--fanout`). Timed are `GraphData.batches` alone, and
DGI with a GCN of 64 numbers trained on them for as many steps. The peer is NeighborLoader of
PyTorch Geometric with the same fanout, in turn A B A B; it needs pyg-lib or torch-sparse beside
it, and without them its column is empty. The peak of memory is that of the whole process.

Measured on 2026-11-30, two shared CPU cores at a load of 8: 22 batches a second (median of three
rounds), the graph made in 14 s, 50 steps of training in 21 s with compiling, peak 1.25 GiB. The
peer could not be run: neither of the two packages comes as a wheel from the index of Python.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import machine
import numpy as np

from ssljax import Cadence, Optimizer, fit
from ssljax.data import GraphData
from ssljax.methods import DGI
from ssljax.nets import GCN


def peak_gib() -> float:
    """The most memory that this process had so far, GiB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size * (1 if sys.platform == "darwin" else 1024) / 2**30


def theirs(data: GraphData, seeds: int) -> Iterator[Any] | None:
    """Batches of NeighborLoader on the same graph; None where it cannot run here."""
    try:
        import torch
        from torch_geometric.data import Data
        from torch_geometric.loader import NeighborLoader

        graph = Data(
            x=torch.from_numpy(data.features), edge_index=torch.from_numpy(data.edges.T).long()
        )
        loader = NeighborLoader(graph, list(data.fanout), batch_size=seeds, shuffle=True)
        found = iter(loader)
        next(found)
    except ImportError as error:
        print(f"no peer: {error}")
        return None
    return found


def rate(batches: Iterator[Any], steps: int) -> float:
    """Batches a second."""
    start = time.perf_counter()
    for _ in range(steps):
        next(batches)
    return steps / (time.perf_counter() - start)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--fanout", type=int, nargs="+", default=[10, 5])
    parser.add_argument("--seeds", type=int, default=256, help="nodes of a batch that count")
    parser.add_argument("--steps", type=int, default=50, help="batches of a round, and steps")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args(arguments)
    rng, start = np.random.default_rng(0), time.perf_counter()
    data = GraphData(
        rng.normal(size=(options.nodes, options.features)).astype(np.float32),
        rng.integers(0, options.nodes, (options.edges, 2), np.int32),
        fanout=tuple(options.fanout),
    )
    found: dict[str, Any] = {"build_seconds": time.perf_counter() - start}
    batch = options.seeds * data.smallest_batch
    ours = data.batches(batch, seed=0)
    next(ours)
    peer = theirs(data, options.seeds)
    rates: dict[str, list[float]] = {"ssljax": [], "torch_geometric": []}
    for _ in range(options.rounds):
        rates["ssljax"].append(rate(ours, options.steps))
        if peer is not None:
            rates["torch_geometric"].append(rate(peer, options.steps))
    found |= {"batches_a_second": rates, "sampling_peak_gib": peak_gib()}
    start = time.perf_counter()
    method = DGI(encoder=GCN(widths=(64,), activation="prelu")).build(
        Optimizer(name="adam", learning_rate=1e-3, per_batch=None).build(
            steps=options.steps, batch=batch
        ),
        updates=options.steps,
    )
    cadence = Cadence(log=options.steps, save=0, monitor=0)
    fit(method, data, steps=options.steps, batch=batch, seed=0, cadence=cadence)
    found |= {"training_seconds": time.perf_counter() - start, "training_peak_gib": peak_gib()}
    found |= {"hardware": machine.environment(), "rows_of_a_batch": batch}
    table = [["", "batches a second"]]
    table += [[k, f"{statistics.median(v):.1f}"] for k, v in rates.items() if v]
    print(machine.table(table))
    print(
        f"{options.nodes:,} nodes, {options.edges:,} edges: made in "
        f"{found['build_seconds']:.1f} s; peak {found['sampling_peak_gib']:.2f} GiB sampling, "
        f"{found['training_peak_gib']:.2f} GiB after {options.steps} steps in "
        f"{found['training_seconds']:.1f} s, compiling included"
    )
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))
    return found


if __name__ == "__main__":
    main()
