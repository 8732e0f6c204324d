"""Clustering: which rows belong together, and whether that agrees with classes."""

from ssljax.clustering.agglomerative import agglomerative
from ssljax.clustering.kmeans import Clusters, assign, kmeans, plus_plus
from ssljax.clustering.metrics import accuracy, ari, matching, nmi, scores
from ssljax.clustering.mixture import Fit, Mixture, gaussian_mixture, log_joint

__all__ = [
    "Clusters",
    "Fit",
    "Mixture",
    "accuracy",
    "agglomerative",
    "ari",
    "assign",
    "gaussian_mixture",
    "kmeans",
    "log_joint",
    "matching",
    "nmi",
    "plus_plus",
    "scores",
]
