"""Probes: what features know, frozen or as a start, as functions of features and labels, and the
evaluators that ask them of a run.
"""

from ssljax.probes.answers import Answers
from ssljax.probes.classifiers import Classifiers, accuracies
from ssljax.probes.clustering import Clustering, clustering
from ssljax.probes.evaluation import Evaluation, evaluate, quick
from ssljax.probes.evaluator import Encoder, Evaluator, Material, Pair, Part, Score, Subject
from ssljax.probes.features import Embed, EmbedViews, features
from ssljax.probes.few_shot import FewShot
from ssljax.probes.finetune import Shown, describe_finetune, finetune
from ssljax.probes.heldout import HeldOut, heldout
from ssljax.probes.knn import KNN, PROTOCOLS, knn
from ssljax.probes.least_squares import least_squares
from ssljax.probes.linear import Linear, few_shot, linear
from ssljax.probes.links import Links, links
from ssljax.probes.online import online_predict, with_online_probe
from ssljax.probes.paired import Paired, paired
from ssljax.probes.rank import Lidar, Spectrum, feature_std, lidar, rankme
from ssljax.probes.responses import Responses, responses
from ssljax.probes.retrieval import Retrieval, retrieval
from ssljax.probes.splits import same_classes, stratified
from ssljax.probes.table import aligned, cell, table
from ssljax.probes.tune import FineTune
from ssljax.probes.verification import Verification, equal_error_rate, verification

__all__ = [
    "KNN",
    "PROTOCOLS",
    "Answers",
    "Classifiers",
    "Clustering",
    "Embed",
    "EmbedViews",
    "Encoder",
    "Evaluation",
    "Evaluator",
    "FewShot",
    "FineTune",
    "HeldOut",
    "Lidar",
    "Linear",
    "Links",
    "Material",
    "Pair",
    "Paired",
    "Part",
    "Responses",
    "Retrieval",
    "Score",
    "Shown",
    "Spectrum",
    "Subject",
    "Verification",
    "accuracies",
    "aligned",
    "cell",
    "clustering",
    "describe_finetune",
    "equal_error_rate",
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
    "links",
    "online_predict",
    "paired",
    "quick",
    "rankme",
    "responses",
    "retrieval",
    "same_classes",
    "stratified",
    "table",
    "verification",
    "with_online_probe",
]
