"""Better labels out of the same ones: smoothing, cleaning and weighting, each a pure function, and
the frozen dataclasses that use them in a round.

    temporal ensembling   Z <- d Z + (1 - d) p,  p' = Z / (1 - d^t)      Laine, Aila 2017,
                                                                         arXiv:1610.02242, alg. 1
    confident learning    t_j = mean of p_j over the examples given j; an example given i counts as
                          truly j where p_j >= t_j (the largest such p_j)
                          Northcutt, Jiang, Chuang 2021, arXiv:1911.00068, eq. 1 and 2
    entropy weight        1 - H(p) / log K
    truncated Gaussian    exp(-min(m - mean, 0)^2 / (2 var / n^2))       SoftMatch

Confident learning needs probabilities from models that have not seen the example (`out_of_fold`): a
model that fitted a label finds nothing wrong with it. It prunes and does not flip: predictions are
wrong in a systematic way.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ssljax.pseudolabels import alignment, graph
from ssljax.pseudolabels.adaptive import gaussian
from ssljax.pseudolabels.generate import Known, Whose
from ssljax.pseudolabels.labels import Guess, Labels

Prune = Literal["prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "argmax"]


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


def confident_joint(
    labels: np.ndarray, p: np.ndarray, *, calibrate: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """(C [K, K], thresholds [K]): how many examples given class i are confidently of class j.

    Args:
      labels: int [n], given. p: out-of-sample probabilities [n, K].
      calibrate: scale each row to the number of examples given that class.
    A class that nobody is given has the threshold infinity.
    """
    n, k = p.shape
    thresholds = np.full(k, np.inf)
    for j in np.unique(labels):
        thresholds[j] = p[labels == j, j].mean()
    above = p >= thresholds - 1e-6
    best = np.where(above, p, -1.0).argmax(1)
    joint = np.zeros((k, k))
    np.add.at(joint, (labels[above.any(1)], best[above.any(1)]), 1)
    if calibrate:
        given = np.bincount(labels, minlength=k)
        total = joint.sum(1)
        joint[total == 0, total == 0] = 1  # nobody confident: taken to be right
        joint *= (given / np.maximum(joint.sum(1), 1e-12))[:, None]
    del n
    return joint, thresholds


def label_issues(
    labels: np.ndarray,
    p: np.ndarray,
    *,
    by: Prune = "prune_by_noise_rate",
    min_per_class: int = 1,
) -> np.ndarray:
    """bool [n]: labels that are likely wrong, by the rules of cleanlab's `find_label_issues`.

    Args:
      labels: int [n], given. p: out-of-sample probabilities [n, K].
      by: prune_by_noise_rate (for each pair i, j as many as the joint says, of largest p_j - p_i),
        prune_by_class (for each i as many as the joint says, of smallest p_i), both (found by
        both), confident_learning (off the diagonal of the joint), argmax (any other prediction).
      min_per_class: as many of each class as are kept in any case.
    Raises: ValueError for labels and probabilities that do not fit.
    """
    labels, p = np.asarray(labels), np.asarray(p, np.float64)
    if p.ndim != 2 or labels.shape != (len(p),) or not len(p):
        raise ValueError(f"labels {labels.shape} and probabilities {p.shape} do not fit")
    predicted = p.argmax(1)
    if by == "argmax":
        return predicted != labels
    raw, thresholds = confident_joint(labels, p, calibrate=False)
    if by == "confident_learning":
        above = p >= thresholds - 1e-6
        best = np.where(above, p, -1.0).argmax(1)
        return above.any(1) & (best != labels)
    joint, _ = confident_joint(labels, p)
    del raw
    counts = _kept(joint, np.bincount(labels, minlength=p.shape[1]), min_per_class)
    found = []
    if by in ("prune_by_class", "both"):
        found.append(_lowest(labels, p, counts))
    if by in ("prune_by_noise_rate", "both"):
        found.append(_margins(labels, p, counts))
    if not found:
        raise ValueError(f"there is no way to prune {by!r}")
    # A label that the model predicts is no issue, whatever the counts.
    return np.all(found, axis=0) & (predicted != labels)


def _kept(joint: np.ndarray, given: np.ndarray, least: int) -> np.ndarray:
    """Whole numbers [K, K] of the joint, off-diagonals cut down so that `least` of a class stay."""
    counts = np.round(joint).astype(np.int64)
    for i, n in enumerate(given):
        room, row = max(0, n - least), counts[i].copy()
        row[i] = 0
        if row.sum() > room:
            row = np.floor(row * (room / row.sum())).astype(np.int64)
        counts[i] = row
    return counts


def _lowest(labels: np.ndarray, p: np.ndarray, counts: np.ndarray) -> np.ndarray:
    out = np.zeros(len(labels), bool)
    for i in np.unique(labels):
        rows = np.flatnonzero(labels == i)
        out[rows[np.argsort(p[rows, i], kind="stable")[: counts[i].sum()]]] = True
    return out


def _margins(labels: np.ndarray, p: np.ndarray, counts: np.ndarray) -> np.ndarray:
    out = np.zeros(len(labels), bool)
    for i, j in np.argwhere(counts > 0):
        rows = np.flatnonzero(labels == i)
        margin = p[rows, j] - p[rows, i]
        cut = np.sort(margin)[-min(counts[i, j], len(rows))]
        out[rows[margin >= cut]] = True
    return out


def folds(labels: np.ndarray, *, count: int, seed: int) -> np.ndarray:
    """The fold of each example, int [n] in 0 to count-1, of every class alike.

    Raises: ValueError for fewer than two folds, or more than there are examples of some class.
    """
    values, sizes = np.unique(labels, return_counts=True)
    if count < 2 or sizes.min() < 2:
        raise ValueError(
            f"{count} folds of classes with {sizes.min()} examples and more: need two folds and "
            "two examples of each class, so that each is judged by a model that has seen its class"
        )
    rng, fold = np.random.default_rng(seed), np.zeros(len(labels), np.int64)
    for value in values:
        rows = rng.permutation(np.flatnonzero(labels == value))
        fold[rows] = np.arange(len(rows)) % count
    return fold


def out_of_fold(
    labels: np.ndarray,
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    count: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """Probabilities [n, K] of each example by a model that was fitted without it.

    Args:
      labels: int [n]. predict: (rows to fit on, rows to predict) -> probabilities of the latter.
    """
    fold = folds(labels, count=count, seed=seed)
    parts = [
        (held, predict(np.flatnonzero(fold != f), held))
        for f in range(count)
        if len(held := np.flatnonzero(fold == f))
    ]
    p = np.zeros((len(labels), parts[0][1].shape[1]))
    for rows, found in parts:
        p[rows] = found
    return p


@dataclass(frozen=True, kw_only=True)
class Temporal:
    """Before the choice: the moving average of the predictions of all rounds so far."""

    decay: float = 0.6

    def guess(self, guess: Guess, known: Known) -> Guess:
        p = _probabilities(guess, "temporal ensembling")
        return Guess.of(temporal([*known.earlier, p], decay=self.decay))


@dataclass(frozen=True, kw_only=True)
class OverGraph:
    """Before the choice: predictions drawn towards those of the nearest neighbours by features."""

    k: int = 10
    alpha: float = 0.5
    temperature: float = 0.1
    features: Whose = "teacher"

    def guess(self, guess: Guess, known: Known) -> Guess:
        p = _probabilities(guess, "smoothing over a graph")
        x = known.features(self.features)
        w = graph.neighbour_graph(x, k=self.k, temperature=self.temperature)
        return Guess.of(graph.smoothed(p, w, alpha=self.alpha))


@dataclass(frozen=True, kw_only=True)
class Align:
    """Before the choice: predictions moved until their mean is nearer to the shares of the classes
    (distribution alignment, `alignment.py`). Equal shares are a bias where the classes are not.
    """

    prior: tuple[float, ...] | None = None
    """Shares of the classes; None: equal."""

    def guess(self, guess: Guess, known: Known) -> Guess:
        classes = known.need_classes("distribution alignment")
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

    def guess(self, guess: Guess, known: Known) -> Guess:
        classes = known.need_classes("agreement with neighbours")
        x = known.features(self.features)
        similarity, at = graph.nearest(x[known.index], x, k=self.k)
        p = graph.vote(similarity, known.target[at], classes=classes, temperature=0.1)
        same = agreement(np.asarray(guess.target), p.argmax(1))
        return guess._replace(confidence=np.where(same, guess.confidence, 0.0))


@dataclass(frozen=True, kw_only=True)
class Soft:
    """Targets are distributions: the predictions, sharpened, or smoothed classes."""

    temperature: float | None = 0.5
    """Of the prediction; None: the class."""
    epsilon: float = 0.0
    """Label smoothing of the class, where temperature is None."""

    def labels(self, labels: Labels, guess: Guess, known: Known) -> Labels:
        classes = known.need_classes("soft targets")
        if self.temperature is None:
            target = smooth(labels.hard(), classes=classes, epsilon=self.epsilon)
        else:
            p = _probabilities(guess, "soft targets")[labels.index]
            target = soften(p, temperature=self.temperature)
        return dataclasses.replace(labels, target=target)


@dataclass(frozen=True, kw_only=True)
class Weigh:
    """Weights between 0 and 1 in place of 1."""

    by: Literal["confidence", "entropy", "gaussian"] = "confidence"
    sigmas: float = 2.0
    """Of the truncated Gaussian."""

    def labels(self, labels: Labels, guess: Guess, known: Known) -> Labels:
        m = np.asarray(labels.confidence)
        if self.by == "entropy":
            m = entropy_weight(_probabilities(guess, "weights by entropy")[labels.index])
        elif self.by == "gaussian":
            m = gaussian_weight(m, np.asarray(guess.confidence), sigmas=self.sigmas)
        elif self.by != "confidence":
            raise ValueError(f"there are no weights by {self.by!r}")
        return dataclasses.replace(labels, weight=(labels.weight * m).astype(np.float32))


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

    def labels(self, labels: Labels, guess: Guess, known: Known) -> Labels:
        known.need_classes("pruning by loss")
        p = _probabilities(known.teacher.guess(known.pool), "pruning by loss")
        hard = labels.hard()
        loss = -np.log(np.maximum(p[labels.index, hard], 1e-12))
        kept = np.zeros(len(labels), bool)
        for c in np.unique(hard):
            rows = np.flatnonzero(hard == c)
            kept[rows] = small_loss(loss[rows], keep=self.keep)
        return dataclasses.replace(labels, weight=np.where(kept, labels.weight, 0))


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

    def labels(self, labels: Labels, guess: Guess, known: Known) -> Labels:
        classes = known.need_classes("confident learning")
        hard, x = labels.hard(), graph.unit(known.features(self.features))
        counts = np.bincount(hard, minlength=classes)
        judged = counts[hard] >= 2
        if not judged.any():
            return labels

        rows = np.flatnonzero(judged)

        def predict(fit: np.ndarray, held: np.ndarray) -> np.ndarray:
            bank = np.concatenate([labels.index[rows[fit]], known.index])
            classes_of = np.concatenate([hard[rows[fit]], known.target])
            similarity, at = graph.nearest(x[bank], x[labels.index[rows[held]]], k=self.k)
            return graph.vote(similarity, classes_of[at], classes=classes, temperature=0.1)

        p = out_of_fold(hard[rows], predict, count=self.folds, seed=known.seed)
        bad = label_issues(hard[rows], p, by=self.by, min_per_class=self.min_per_class)
        weight = labels.weight.copy()
        weight[rows[bad]] = 0
        return dataclasses.replace(labels, weight=weight)


def _probabilities(guess: Guess, what: str) -> np.ndarray:
    if guess.p is None:
        raise ValueError(f"{what} needs probabilities of classes, and this source has none")
    return np.asarray(guess.p)
