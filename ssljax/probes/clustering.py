"""Clustering: do the classes appear by themselves? Spherical k-means; labels only score."""

import jax
import numpy as np

from ssljax.clustering import kmeans, scores
from ssljax.probes.splits import check


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
