"""Confident learning: which given labels are likely wrong, by the probabilities of a model.

Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021,
arXiv:1911.00068, and the rules of cleanlab 2, the authors' library.

    t_j  = mean of p_j over the examples given j                                       (eq. 2)
    C_ij = number of examples given i that count as truly j: p_j >= t_j, and where that holds of
           several classes, the likeliest of all                                       (eq. 1)

Each class has at least one example that is right (C_ii >= 1). Then every row is scaled to the
number of examples given that class and made whole without changing its sum: the largest remainders
are rounded up. A label that the model predicts, within 1e-6, is never an issue. Equal probabilities
fall as NumPy's `argsort` lets them, as in cleanlab.

The probabilities must come from models that have not seen the example (`out_of_fold`): a model that
fitted a label finds nothing wrong with it. Labels are pruned, not flipped: predictions are wrong in
a systematic way.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

Prune = Literal["prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "argmax"]
_CLOSE = 1e-6


def thresholds(labels: np.ndarray, p: np.ndarray) -> np.ndarray:
    """t [K]: above any probability (2) for a class that nobody is given, and never quite zero."""
    t = [p[labels == j, j].mean() if np.any(labels == j) else 2.0 for j in range(p.shape[1])]
    return np.maximum(t, 2 * _CLOSE)


def confident_class(labels: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The class int [n] that each example counts as; -1 where p is above no threshold."""
    above = p >= thresholds(labels, p) - _CLOSE
    count = above.sum(1)
    return np.where(count == 0, -1, np.where(count == 1, above.argmax(1), p.argmax(1)))


def confident_joint(labels: np.ndarray, p: np.ndarray, *, calibrate: bool = True) -> np.ndarray:
    """C int [K, K]: how many examples given class i are truly of class j.

    Args:
      labels: int [n], given. p: out-of-sample probabilities [n, K].
      calibrate: scale each row to the number of examples given that class.
    """
    k, counted = p.shape[1], confident_class(labels, p)
    sure = counted >= 0
    by_given = np.zeros((k, k), np.int64)  # a column for each given class
    np.add.at(by_given, (counted[sure], labels[sure]), 1)
    np.fill_diagonal(by_given, np.maximum(by_given.diagonal(), 1))
    if not calibrate:
        return by_given.T
    share = by_given / by_given.sum(0) * np.bincount(labels, minlength=k)
    return _whole_rows((share / share.sum() * len(labels)).T)


def label_issues(
    labels: np.ndarray,
    p: np.ndarray,
    *,
    by: Prune = "prune_by_noise_rate",
    min_per_class: int = 1,
) -> np.ndarray:
    """bool [n]: labels that are likely wrong, those that cleanlab's `find_label_issues` finds.

    Args:
      labels: int [n], given. p: out-of-sample probabilities [n, K].
      by: prune_by_noise_rate (for each pair i, j as many as the joint says, of largest p_j - p_i),
        prune_by_class (for each i as many as the joint says, of smallest p_i), both (found by
        both), confident_learning (off the diagonal of the joint), argmax (any other prediction,
        cleanlab's predicted_neq_given).
      min_per_class: as many of each class as are kept in any case.
    Raises: ValueError for labels and probabilities that do not fit.
    """
    labels, p = np.asarray(labels), np.asarray(p, np.float64)
    if p.ndim != 2 or labels.shape != (len(p),) or not len(p):
        raise ValueError(f"labels {labels.shape} and probabilities {p.shape} do not fit")
    if labels.min() < 0 or labels.max() >= p.shape[1]:
        raise ValueError(f"labels {labels.min()} to {labels.max()} of {p.shape[1]} classes")
    if by in ("prune_by_noise_rate", "prune_by_class", "both"):
        keep = _kept(confident_joint(labels, p), min_per_class)
        found = np.zeros(len(labels), bool)
        for i in range(p.shape[1]):
            rows = np.flatnonzero(labels == i)
            if len(rows) > max(min_per_class, 1):
                found[rows] = _wrong(p[rows], i, keep[i], by)
    elif by == "confident_learning":
        counted = confident_class(labels, p)
        found = (counted >= 0) & (counted != labels)
    elif by == "argmax":
        found = np.ones(len(labels), bool)
    else:
        raise ValueError(f"there is no way to prune {by!r}")
    lifted = p.copy()
    lifted[np.arange(len(labels)), labels] += _CLOSE
    return found & (lifted.argmax(1) != labels)


def _wrong(p: np.ndarray, i: int, counts: np.ndarray, by: Prune) -> np.ndarray:
    """bool [n] of the examples given i: by the row of the joint that says how many are truly j."""
    low, far = np.zeros((2, len(p)), bool)
    low[np.argsort(p[:, i])[: max(0, len(p) - counts[i])]] = True
    for j in np.flatnonzero(counts > 0):
        if j != i:
            far[np.argsort(-(p[:, j] - p[:, i]))[: counts[j]]] = True
    return {"prune_by_class": low, "prune_by_noise_rate": far, "both": low & far}[by]


def _kept(joint: np.ndarray, least: int) -> np.ndarray:
    """The joint with at least `least` on its diagonal, taken evenly from the rest of the row."""
    right = np.maximum(joint.diagonal(), least)
    others = np.maximum(np.count_nonzero(joint, axis=1) - 1, 1)
    out = np.maximum(joint - ((right - joint.diagonal()) / others)[:, None], 0)
    np.fill_diagonal(out, right)
    return out.astype(np.int64)


def _whole_rows(x: np.ndarray) -> np.ndarray:
    """Whole numbers near x [K, K] whose rows sum to what those of x do, rounded."""
    whole = x.round()
    missing = (x.sum(1).round() - whole.sum(1)).astype(np.int64)
    for i in np.flatnonzero(missing):
        order, n = np.argsort(x[i] - whole[i]), abs(missing[i])
        whole[i, order[::-1][:n] if missing[i] > 0 else order[:n]] += np.sign(missing[i])
    return whole.astype(np.int64)


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
        (held_out, predict(np.flatnonzero(fold != f), held_out))
        for f in range(count)
        if len(held_out := np.flatnonzero(fold == f))
    ]
    p = np.zeros((len(labels), parts[0][1].shape[1]))
    for rows, found in parts:
        p[rows] = found
    return p
