"""How well clusters agree with classes, whatever their numbers.

accuracy = max over one-to-one maps of clusters to classes of the share that fits (Kuhn 1955)
NMI      = I(clusters; classes) / mean of both entropies, the arithmetic mean
ARI      = share of pairs that agree, corrected for chance (Hubert, Arabie 1985)
"""

import numpy as np
from scipy.optimize import linear_sum_assignment


def matching(found: np.ndarray, classes: np.ndarray) -> dict[int, int]:
    """The best one-to-one map of clusters to classes, both [N] of integers from 0.

    Where there are more clusters than classes, those left over are not in it.
    Raises: ValueError for arrays that are empty, differ in shape or hold negative numbers.
    """
    table = _table(found, classes)
    rows, columns = linear_sum_assignment(-table)
    return {int(r): int(c) for r, c in zip(rows, columns)}


def accuracy(found: np.ndarray, classes: np.ndarray) -> float:
    """The share of rows whose cluster is matched to their class; see `matching`."""
    table = _table(found, classes)
    return float(sum(table[r, c] for r, c in matching(found, classes).items()) / table.sum())


def nmi(found: np.ndarray, classes: np.ndarray) -> float:
    """Normalised mutual information in [0, 1], by the arithmetic mean of the entropies."""
    from sklearn.metrics import (
        normalized_mutual_info_score,
    )  # takes seconds

    return float(normalized_mutual_info_score(classes, found, average_method="arithmetic"))


def ari(found: np.ndarray, classes: np.ndarray) -> float:
    """Adjusted Rand index, 0 for chance and 1 for equal partitions."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(classes, found))


def scores(found: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """{"accuracy", "nmi", "ari"} of clusters [N] against classes [N]."""
    return {
        "accuracy": accuracy(found, classes),
        "nmi": nmi(found, classes),
        "ari": ari(found, classes),
    }


def _table(found: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """How many rows each pair of cluster and class has."""
    found, classes = np.asarray(found), np.asarray(classes)
    if found.shape != classes.shape or found.ndim != 1 or not found.size:
        raise ValueError(f"clusters {found.shape} and classes {classes.shape}: need two of [N]")
    if found.min() < 0 or classes.min() < 0:
        raise ValueError("clusters and classes must be numbered from 0")
    table = np.zeros((found.max() + 1, classes.max() + 1), np.int64)
    np.add.at(table, (found, classes), 1)
    return table
