"""How far from a given label are the mistakes? Of a self-training run on the nodes of a graph.

    python experiments/nodes_score.py RUN [--seed 0]

For each round, what its source said of all nodes whose truth is known and not given, by the number
of links between a node and the nearest given label: how many nodes lie there, and how many percent
of them are said right. Nodes that no path leads to are counted as "none".

Cora from 3 labels a class, seed 0, round 3 (2026-11-30, CPU), nodes one to six links away: 90.2,
86.9, 80.3, 72.2, 64.5 and 47.7% right where the network labels in each round (`selftrain_cora.py`),
90.2, 86.1, 78.8, 74.6, 73.8 and 77.3% where the first labels spread over links
(`selftrain_cora_links.py`): what is far is reached by links. 41 to 340 nodes each.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from ssljax.pseudolabels.rounds import read_guess
from ssljax.selftraining.pool import truth_of
from ssljax.selftraining.teachers import Opened


def hops(links: np.ndarray, count: int, start: np.ndarray) -> np.ndarray:
    """Links from each of `count` nodes to the nearest of `start`, int [count], -1 without a path.
    links: int [P, 2], which lead both ways."""
    w = sparse.csr_matrix((np.ones(len(links)), links.T), shape=(count, count))
    options = {"directed": False, "unweighted": True, "min_only": True}
    far = csgraph.dijkstra(w, indices=start, **options)
    return np.where(np.isfinite(far), far, -1).astype(np.int64)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--seed", type=int, help="of the run; the first one by default")
    args = parser.parse_args(arguments)
    run = Opened(args.run, seed=args.seed)
    seed = run.config.seeds[0] if args.seed is None else args.seed
    pool = run.config.load(args.run)[0]
    truth = truth_of(pool, run.target)
    if truth is None or pool.links is None:
        parser.error(f"{args.run} is no run on nodes of a graph whose classes are known")
    far = hops(pool.links, len(pool), run.given.index)
    asked = run.target.known(truth) & (far != 0)
    table: dict[str, Any] = {}
    for place in sorted((args.run / f"seed{seed}" / "rounds").glob("*/guess.npz")):
        right = run.target.hard(read_guess(place.parent).target) == run.target.hard(truth)
        table[f"round {int(place.parent.name)}"] = {
            "none" if d < 0 else str(d): {
                "nodes": int((asked & (far == d)).sum()),
                "right": round(100 * float(right[asked & (far == d)].mean()), 1),
            }
            for d in np.unique(far[asked])
        }
    print(json.dumps(table, indent=2))
    return table


if __name__ == "__main__":
    main()
