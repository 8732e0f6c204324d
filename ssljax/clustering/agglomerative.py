"""Agglomerative clustering by scikit-learn: merge the two nearest clusters until K are left.

Ward, "Hierarchical grouping to optimize an objective function", 1963, JASA 58(301). It is
deterministic and needs no start, but its memory and time grow with the square of N: for some ten
thousand rows, not for a data set.
"""

from typing import Literal

import numpy as np

_LARGEST = 30_000  # rows; their distances take 3.6 GB


def agglomerative(
    x: np.ndarray,
    clusters: int,
    *,
    linkage: Literal["ward", "average", "complete", "single"] = "ward",
    metric: Literal["euclidean", "cosine"] = "euclidean",
) -> np.ndarray:
    """Clusters the rows of x [N, D]: int32 [N].

    Raises: ValueError for more clusters than rows, more than 30,000 rows, or Ward with cosines.
    """
    x = np.asarray(x, np.float32)
    if x.ndim != 2 or not 1 <= clusters <= len(x):
        raise ValueError(f"{clusters} clusters of an array of shape {x.shape}: need [N, D], N >= K")
    if len(x) > _LARGEST:
        raise ValueError(
            f"{len(x)} rows are too many for pairwise distances (at most {_LARGEST}): cluster a "
            "sample, or the centroids that kmeans finds"
        )
    from sklearn.cluster import (
        AgglomerativeClustering,
    )  # takes seconds

    found = AgglomerativeClustering(clusters, linkage=linkage, metric=metric).fit_predict(x)
    return found.astype(np.int32)
