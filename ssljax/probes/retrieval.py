"""Retrieval: does the neighbourhood of an image hold the other images of its class?

Every example asks once and is left out of its own answer; the rest is ranked by cosine similarity,
and what has the same label is relevant. With r_1 < r_2 < ... the ranks of the R relevant ones:

    AP = mean_i (i / r_i)      recall@k = 1 where r_1 <= k, else 0      averaged over queries

recall@k is that of metric learning (Oh Song et al. 2016, arXiv:1511.06452), where one hit is
enough; AP looks at the whole ranking.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssljax.probes.evaluator import Evaluator, Part, Subject, measured
from ssljax.probes.splits import check, compared, how_many_compared

# Similarities held at a time.
_ENTRIES = 2**22


@dataclass(frozen=True)
class Retrieval(Evaluator):
    """Each scored example asks for the others of its class: retrieval_map, retrieval_recall@k."""

    def run(self, subject: Subject) -> dict[str, float]:
        def ranked(part: Part, seed: int) -> dict[str, float]:
            x, y = compared(part.test_x, part.test_y, count=subject.data.compared, seed=seed)
            found = retrieval(x, y, classes=subject.data.classes)
            return {f"retrieval_{name}": value for name, value in found.items()}

        return subject.over_parts(ranked)

    def describe(self, results: dict[str, Any]) -> list[str]:
        if not measured(results, "retrieval_"):
            return []
        return [
            f"retrieval: each of {how_many_compared(results['protocol']):,} scored examples ranks "
            "the others by cosine; those of its class are right: mean average precision, and how "
            "often one of them is among the first k"
        ]


def retrieval(
    x: np.ndarray, y: np.ndarray, *, classes: int, at: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """{"map": mean average precision, "recall@1": ...} in [0, 1], over queries that can succeed.

    Args:
      x: features [N, D]; their length does not matter. y: labels [N] in 0 to classes-1.
      at: the k of recall@k.
    Returns: {} where no class has two examples. Raises: ValueError for shapes that do not fit.
    """
    check(x, y, classes, "examples")
    counts = np.bincount(y, minlength=classes)
    queries = np.flatnonzero(counts[y] > 1)
    if not len(queries):
        return {}
    x = np.asarray(x, np.float32)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    precision: list[np.ndarray] = []
    first: list[np.ndarray] = []
    ranks = np.arange(1, len(x), dtype=np.float64)
    for rows in np.array_split(queries, max(1, -(-len(queries) * len(x) // _ENTRIES))):
        similarity = x[rows] @ x.T
        similarity[np.arange(len(rows)), rows] = -np.inf
        # Stable, so that ties are broken by the order of the data and not by the machine.
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :-1]
        hits = y[order] == y[rows, None]
        share = np.cumsum(hits, axis=1) / ranks
        precision.append((share * hits).sum(axis=1) / (counts[y[rows]] - 1))
        first.append(hits.argmax(axis=1) + 1)
    rank = np.concatenate(first)
    found = {"map": float(np.concatenate(precision).mean())}
    return found | {f"recall@{k}": float((rank <= k).mean()) for k in at}
