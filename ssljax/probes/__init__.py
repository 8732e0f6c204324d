"""Probes: what features know, frozen or as a start, as functions of features and labels."""

from ssljax.probes.clustering import clustering
from ssljax.probes.evaluate import (
    Embed,
    EmbedViews,
    Evaluation,
    accuracies,
    aligned,
    cell,
    describe,
    evaluate,
    features,
    quick,
    table,
)
from ssljax.probes.finetune import FineTune, describe_finetune, finetune
from ssljax.probes.heldout import Score, heldout
from ssljax.probes.knn import PROTOCOLS, knn
from ssljax.probes.least_squares import least_squares
from ssljax.probes.linear import few_shot, linear
from ssljax.probes.online import online_predict, with_online_probe
from ssljax.probes.paired import Pair, paired
from ssljax.probes.rank import feature_std, lidar, rankme
from ssljax.probes.retrieval import retrieval
from ssljax.probes.splits import same_classes, stratified, with_labels

__all__ = [
    "PROTOCOLS",
    "Embed",
    "EmbedViews",
    "Evaluation",
    "FineTune",
    "Pair",
    "Score",
    "accuracies",
    "aligned",
    "cell",
    "clustering",
    "describe",
    "describe_finetune",
    "evaluate",
    "feature_std",
    "features",
    "few_shot",
    "finetune",
    "heldout",
    "knn",
    "least_squares",
    "lidar",
    "linear",
    "online_predict",
    "paired",
    "quick",
    "rankme",
    "retrieval",
    "same_classes",
    "stratified",
    "table",
    "with_labels",
    "with_online_probe",
]
