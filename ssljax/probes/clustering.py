"""Clustering: do the classes appear by themselves? Spherical k-means; labels only score."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ssljax.clustering import kmeans, scores
from ssljax.probes.evaluator import Evaluator, Part, Subject, measured
from ssljax.probes.splits import check, compared, how_many_compared


@dataclass(frozen=True)
class Clustering(Evaluator):
    """k-means of the scored part with as many clusters as classes: kmeans_accuracy, _nmi, _ari."""

    def run(self, subject: Subject) -> dict[str, float]:
        def grouped(part: Part, seed: int) -> dict[str, float]:
            x, y = compared(part.test_x, part.test_y, count=subject.data.compared, seed=seed)
            found = clustering(x, y, classes=subject.data.classes, seed=seed)
            return {f"kmeans_{name}": value for name, value in found.items()}

        return subject.over_parts(grouped)

    def describe(self, results: dict[str, Any]) -> list[str]:
        if not measured(results, "kmeans_"):
            return []
        p = results["protocol"]
        return [
            f"kmeans: {p['classes']} spherical clusters of {how_many_compared(p):,} scored "
            "examples: accuracy under the best map of clusters to classes, normalised mutual "
            "information, adjusted Rand index"
        ]


def clustering(x: np.ndarray, y: np.ndarray, *, classes: int, seed: int = 0) -> dict[str, float]:
    """{"accuracy", "nmi", "ari"} of the best of ten k-means with as many clusters as classes.

    Args:
      x: features [N, D]; their length does not matter. y: labels [N] in 0 to classes-1.
    Raises: ValueError for shapes or labels that do not fit.
    """
    check(x, y, classes, "examples")
    x = np.asarray(x, np.float32)
    found = kmeans(x, min(classes, len(x)), key=jax.random.key(seed), tries=10, spherical=True)
    return scores(np.asarray(found.assignments), y)
