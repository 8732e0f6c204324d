"""How good labels of examples are, against the truth: classes, sets of classes, and values.

Over N examples of which some are labelled, with class-wise counts

    precision_k = right_k / labelled_k      recall_k = right_k / true_k      F1 = harmonic mean

an example without a label lowers recall and not precision. macro: the mean over classes; micro: of
the summed counts. Ratios of nothing are 0. The numbers are equal to scikit-learn's.
"""

from typing import Any

import numpy as np


def confusion(truth: np.ndarray, target: np.ndarray, *, classes: int) -> np.ndarray:
    """int64 [K, K]: row the true class, column the label. truth, target: int [n]."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (truth, target), 1)
    return table


def classes_quality(
    truth: np.ndarray, target: np.ndarray, chosen: np.ndarray, *, classes: int
) -> dict[str, Any]:
    """Numbers of labels that are classes.

    Args:
      truth: int [N]. target: int [N]; read only where chosen, bool [N].
    Returns: accuracy (of the chosen), coverage (their share), precision, recall and f1 (macro),
      micro_precision, micro_recall, micro_f1, and lists [K]: per_class_precision, _recall, _f1,
      selected and prior (numbers of examples); confusion [K][K] of the chosen.
    """
    table = confusion(truth[chosen], target[chosen], classes=classes)
    right, labelled = table.diagonal(), table.sum(0)
    true = np.bincount(truth, minlength=classes)
    precision, recall = ratio(right, labelled), ratio(right, true)
    f1 = ratio(2 * right, labelled + true)
    total, n = right.sum(), len(truth)
    # As scikit-learn has it: a class that neither occurs nor is given counts for nothing.
    known = (labelled + true) > 0
    return {
        "accuracy": float(ratio(total, chosen.sum())),
        "coverage": float(ratio(chosen.sum(), n)),
        "precision": float(precision[known].mean()),
        "recall": float(recall[known].mean()),
        "f1": float(f1[known].mean()),
        "micro_precision": float(ratio(total, labelled.sum())),
        "micro_recall": float(ratio(total, n)),
        "micro_f1": float(ratio(2 * total, labelled.sum() + n)),
        "per_class_precision": precision.tolist(),
        "per_class_recall": recall.tolist(),
        "per_class_f1": f1.tolist(),
        "selected": labelled.tolist(),
        "prior": true.tolist(),
        "confusion": table.tolist(),
    }


def values_quality(
    truth: np.ndarray, target: np.ndarray, chosen: np.ndarray, *, at_least: float | None = None
) -> dict[str, float]:
    """Numbers of labels that are values: truth, target float [N, ...], chosen bool [N].

    Returns: coverage; mae, rmse and r2 of the chosen (r2 against the mean of their truth); with
      `at_least` also precision, recall and f1 of the values that are as high: truth [N].
    """
    t, y = np.asarray(truth, np.float64)[chosen], np.asarray(target, np.float64)[chosen]
    found = {"coverage": 0.0, "mae": 0.0, "rmse": 0.0, "r2": 0.0}
    if len(t):
        error, spread = np.sum((t - y) ** 2), np.sum((t - t.mean(0)) ** 2)
        found = {
            "coverage": float(np.mean(chosen)),
            "mae": float(np.mean(np.abs(t - y))),
            "rmse": float(np.sqrt(np.mean((t - y) ** 2))),
            "r2": float(1 - error / spread) if spread > 0 else 0.0,
        }
    if at_least is None:
        return found
    right = np.sum((t >= at_least) & (y >= at_least))
    labelled, true = np.sum(y >= at_least), np.sum(np.asarray(truth) >= at_least)
    return found | {
        "precision": float(ratio(right, labelled)),
        "recall": float(ratio(right, true)),
        "f1": float(ratio(2 * right, labelled + true)),
    }


def sets_quality(truth: np.ndarray, target: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    """Numbers of labels that are sets of classes: truth, target [N, K], in if at least a half.

    Returns: coverage, accuracy (whole sets that are right, of the chosen), precision, recall and f1
      (macro) and micro_precision, micro_recall, micro_f1, all over the chosen.
    """
    t, y = np.asarray(truth)[chosen] >= 0.5, np.asarray(target)[chosen] >= 0.5
    right, labelled, true = (t & y).sum(0), y.sum(0), t.sum(0)
    return {
        "coverage": float(np.mean(chosen)),
        "accuracy": float((t == y).all(1).mean()) if len(t) else 0.0,
        "precision": float(ratio(right, labelled).mean()),
        "recall": float(ratio(right, true).mean()),
        "f1": float(ratio(2 * right, labelled + true).mean()),
        "micro_precision": float(ratio(right.sum(), labelled.sum())),
        "micro_recall": float(ratio(right.sum(), true.sum())),
        "micro_f1": float(ratio(2 * right.sum(), (labelled + true).sum())),
    }


def ratio(a: Any, b: Any) -> Any:
    """a / b, float64, 0 where b is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0)
