"""Better labels out of the same ones: smoothing, cleaning and weighting, each a pure function, and
the frozen dataclasses that use them in a round.

    temporal ensembling   Z <- d Z + (1 - d) p,  p' = Z / (1 - d^t)      Laine, Aila 2017,
                                                                         arXiv:1610.02242, alg. 1
    confident learning    `confident_learning.py`
    entropy weight        1 - H(p) / log K
    truncated Gaussian    exp(-min(m - mean, 0)^2 / (2 var / n^2))       SoftMatch
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ssljax.pseudolabels import alignment, graph
from ssljax.pseudolabels.adaptive import gaussian
from ssljax.pseudolabels.confident_learning import Prune, label_issues, out_of_fold
from ssljax.pseudolabels.generate import LabelContext, Whose
from ssljax.pseudolabels.labels import Guess, Labels


def smooth(target: np.ndarray, *, classes: int, epsilon: float) -> np.ndarray:
    """Distributions float32 [n, K]: 1 - epsilon on the class, epsilon / (K - 1) on each other."""
    p = np.full((len(target), classes), epsilon / (classes - 1), np.float32)
    p[np.arange(len(target)), target] = 1 - epsilon
    return p


def soften(p: np.ndarray, *, temperature: float) -> np.ndarray:
    """norm(p^(1/T)), float32 [n, K]: sharper below T = 1, flatter above it."""
    log = np.log(np.maximum(np.asarray(p, np.float64), 1e-12)) / temperature
    q = np.exp(log - log.max(1, keepdims=True))
    return (q / q.sum(1, keepdims=True)).astype(np.float32)


def temporal(history: list[np.ndarray], *, decay: float) -> np.ndarray:
    """The corrected moving average of p over rounds, oldest first: list of [N, K] -> [N, K]."""
    z = np.zeros_like(history[0], np.float64)
    for p in history:
        z = decay * z + (1 - decay) * p
    return z / (1 - decay ** len(history))


def entropy_weight(p: np.ndarray) -> np.ndarray:
    """1 - H(p) / log K in [0, 1], [n]: 1 for a certain prediction, 0 for a uniform one."""
    p = np.asarray(p, np.float64)
    entropy = -np.sum(p * np.log(np.maximum(p, 1e-12)), axis=1)
    return np.clip(1 - entropy / np.log(p.shape[1]), 0, 1)


def gaussian_weight(confidence: np.ndarray, pool: np.ndarray, *, sigmas: float) -> np.ndarray:
    """SoftMatch's weight [n] from mean and variance of the confidence in the whole pool [N]."""
    return np.asarray(gaussian(confidence, pool.mean(), pool.var(ddof=1), sigmas=sigmas))


def agreement(*classes: np.ndarray) -> np.ndarray:
    """bool [n]: where all of several labellings [n] say the same."""
    return np.all([c == classes[0] for c in classes[1:]], axis=0)


def small_loss(loss: np.ndarray, *, keep: float) -> np.ndarray:
    """bool [n]: the share `keep` with the smallest loss [n] (Han et al. 2018, co-teaching)."""
    kept = np.zeros(len(loss), bool)
    kept[np.argsort(loss, kind="stable")[: round(keep * len(loss))]] = True
    return kept


@dataclass(frozen=True, kw_only=True)
class Temporal:
    """Before the choice: the moving average of the predictions of all rounds so far."""

    decay: float = 0.6

    def guess(self, guess: Guess, context: LabelContext) -> Guess:
        p = _probabilities(guess, "temporal ensembling")
        return Guess.of(temporal([*context.earlier, p], decay=self.decay))


@dataclass(frozen=True, kw_only=True)
class OverGraph:
    """Before the choice: predictions drawn towards those of the nearest neighbours by features."""

    k: int = 10
    alpha: float = 0.5
    temperature: float = 0.1
    features: Whose = "teacher"

    def guess(self, guess: Guess, context: LabelContext) -> Guess:
        p = _probabilities(guess, "smoothing over a graph")
        x = context.features(self.features)
        w = graph.neighbour_graph(x, k=self.k, temperature=self.temperature)
        return Guess.of(graph.smoothed(p, w, alpha=self.alpha))


@dataclass(frozen=True, kw_only=True)
class Align:
    """Before the choice: predictions moved until their mean is nearer to the shares of the classes
    (distribution alignment, `alignment.py`). Equal shares are a bias where the classes are not.
    """

    prior: tuple[float, ...] | None = None
    """Shares of the classes; None: equal."""

    def guess(self, guess: Guess, context: LabelContext) -> Guess:
        classes = context.target.require_classes("distribution alignment")
        p = np.array(_probabilities(guess, "distribution alignment"), np.float64)
        some = p.sum(1) > 0  # who abstains goes on abstaining
        prior = None if self.prior is None else np.asarray(self.prior)
        start = alignment.alignment_start(classes, prior=prior)
        p[some] = alignment.align(p[some], start, decay=0.0)[0]
        return Guess.of(np.minimum(p, 1))


@dataclass(frozen=True, kw_only=True)
class Agree:
    """Before the choice: abstain where the nearest neighbours' vote is another class."""

    k: int = 10
    features: Whose = "teacher"

    def guess(self, guess: Guess, context: LabelContext) -> Guess:
        classes = context.target.require_classes("agreement with neighbours")
        x = context.features(self.features)
        similarity, at = graph.nearest(x[context.index], x, k=self.k)
        p = graph.vote(similarity, context.classes[at], classes=classes, temperature=0.1)
        same = agreement(context.target.hard(guess.target), p.argmax(1))
        return guess._replace(confidence=np.where(same, guess.confidence, 0.0))


@dataclass(frozen=True, kw_only=True)
class Soft:
    """Targets are distributions: the predictions, sharpened, or smoothed classes."""

    temperature: float | None = 0.5
    """Of the prediction; None: the class."""
    epsilon: float = 0.0
    """Label smoothing of the class, where temperature is None."""

    def labels(self, labels: Labels, guess: Guess, context: LabelContext) -> Labels:
        classes = context.target.require_classes("soft targets")
        if self.temperature is None:
            target = smooth(
                context.target.hard(labels.target), classes=classes, epsilon=self.epsilon
            )
        else:
            p = _probabilities(guess, "soft targets")[labels.index]
            target = soften(p, temperature=self.temperature)
        return dataclasses.replace(labels, target=target)


@dataclass(frozen=True, kw_only=True)
class Weigh:
    """Weights between 0 and 1 in place of 1; by confidence those of the parts of a target, where
    it has confidences of parts."""

    by: Literal["confidence", "entropy", "gaussian"] = "confidence"
    sigmas: float = 2.0
    """Of the truncated Gaussian."""

    def labels(self, labels: Labels, guess: Guess, context: LabelContext) -> Labels:
        m = np.minimum(np.asarray(guess.confidence)[labels.index], 1)
        if self.by == "entropy":
            m = entropy_weight(_probabilities(guess, "weights by entropy")[labels.index])
        elif self.by == "gaussian":
            pool = guess.whole(context.target).confidence
            m = gaussian_weight(np.asarray(labels.confidence), pool, sigmas=self.sigmas)
        elif self.by != "confidence":
            raise ValueError(f"there are no weights by {self.by!r}")
        return dataclasses.replace(labels, weight=_times(labels.weight, m))


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Weight 0 for the parts of a target (pixels, tokens, boxes) that are not sure enough."""

    value: float = 0.9
    """The smallest confidence in a part that counts."""

    def labels(self, labels: Labels, guess: Guess, context: LabelContext) -> Labels:
        m = np.asarray(guess.confidence)[labels.index]
        if m.shape == labels.index.shape:
            raise ValueError(
                f"{type(context.target).__name__} has one confidence an example, none of parts: "
                "choose by a threshold in select"
            )
        return dataclasses.replace(labels, weight=_times(labels.weight, m >= self.value))


@dataclass(frozen=True, kw_only=True)
class SmallLoss:
    """Weight 0 for the labels that the teacher believes least: of each class all but a share of
    smallest loss. Among all labels at once, the classes that are hard would go first.

    A second opinion on labels of clusters, neighbours or rules; of the teacher's own labels these
    are the least confident.
    """

    keep: float = 0.8
    """Share of the labels of each class that keep their weight."""

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise ValueError(f"keep {self.keep} must be above 0 and at most 1")

    def labels(self, labels: Labels, guess: Guess, context: LabelContext) -> Labels:
        context.target.require_classes("pruning by loss")
        p = _probabilities(context.teacher.guess(context.pool), "pruning by loss")
        hard = context.target.hard(labels.target)
        loss = -np.log(np.maximum(p[labels.index, hard], 1e-12))
        kept = np.zeros(len(labels), bool)
        for c in np.unique(hard):
            rows = np.flatnonzero(hard == c)
            kept[rows] = small_loss(loss[rows], keep=self.keep)
        return dataclasses.replace(labels, weight=_times(labels.weight, kept))


@dataclass(frozen=True, kw_only=True)
class Confident:
    """Confident learning: weight 0 for labels that a model of the features, fitted on the other
    folds of these labels and on the true ones, finds wrong.
    """

    by: Prune = "prune_by_noise_rate"
    folds: int = 5
    k: int = 10
    """Neighbours that vote: the model of the features."""
    min_per_class: int = 1
    features: Whose = "teacher"

    def labels(self, labels: Labels, guess: Guess, context: LabelContext) -> Labels:
        classes = context.target.require_classes("confident learning")
        hard = context.target.hard(labels.target)
        x = graph.unit(context.features(self.features))
        counts = np.bincount(hard, minlength=classes)
        judged = counts[hard] >= 2
        if not judged.any():
            return labels
        rows = np.flatnonzero(judged)

        def predict(fit: np.ndarray, held_out: np.ndarray) -> np.ndarray:
            bank = np.concatenate([labels.index[rows[fit]], context.index])
            classes_of = np.concatenate([hard[rows[fit]], context.classes])
            similarity, at = graph.nearest(x[bank], x[labels.index[rows[held_out]]], k=self.k)
            return graph.vote(similarity, classes_of[at], classes=classes, temperature=0.1)

        p = out_of_fold(hard[rows], predict, count=self.folds, seed=context.seed)
        bad = label_issues(hard[rows], p, by=self.by, min_per_class=self.min_per_class)
        weight = labels.weight.copy()
        weight[rows[bad]] = 0
        return dataclasses.replace(labels, weight=weight)


def _times(weight: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Weights [n] or of parts [n, ...], times factors of either kind."""
    axes = max(len(weight.shape), len(factor.shape))
    a, b = (x.reshape(x.shape + (1,) * (axes - len(x.shape))) for x in (weight, factor))
    return (a * b).astype(np.float32)


def _probabilities(guess: Guess, what: str) -> np.ndarray:
    if guess.p is None:
        raise ValueError(f"{what} needs probabilities of classes, and this source has none")
    return np.asarray(guess.p)
