"""How good pseudo-labels are: against the truth where it is known, else on a labelled hold-out.

Over a pool of N examples of which some are labelled, with class-wise counts

    precision_k = right_k / labelled_k      recall_k = right_k / true_k      F1 = harmonic mean

an example without a label lowers recall and not precision. macro: the mean over classes; micro: of
the summed counts. ECE = sum_b n_b / n |accuracy_b - confidence_b| over equal bins (a, b] of the
confidence (Guo et al. 2017, arXiv:1706.04599, eq. 3). Ratios of nothing are 0.

The numbers are equal to scikit-learn's where it has them. None of them is ever used in training.
"""

from typing import Any

import numpy as np

_BINS = 10
_LARGEST = 0.9  # share of one class that is called a collapse
_IMBALANCE = 5  # times as many examples as the rarest class
_DRIFT = 0.2  # total variation between rounds that is called a drift


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
    precision, recall = _ratio(right, labelled), _ratio(right, true)
    f1 = _ratio(2 * right, labelled + true)
    total, n = right.sum(), len(truth)
    # As scikit-learn has it: a class that neither occurs nor is given counts for nothing.
    known = (labelled + true) > 0
    return {
        "accuracy": float(_ratio(total, chosen.sum())),
        "coverage": float(_ratio(chosen.sum(), n)),
        "precision": float(precision[known].mean()),
        "recall": float(recall[known].mean()),
        "f1": float(f1[known].mean()),
        "micro_precision": float(_ratio(total, labelled.sum())),
        "micro_recall": float(_ratio(total, n)),
        "micro_f1": float(_ratio(2 * total, labelled.sum() + n)),
        "per_class_precision": precision.tolist(),
        "per_class_recall": recall.tolist(),
        "per_class_f1": f1.tolist(),
        "selected": labelled.tolist(),
        "prior": true.tolist(),
        "confusion": table.tolist(),
    }


def values_quality(truth: np.ndarray, target: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    """Numbers of labels that are values: truth, target float [N, ...], chosen bool [N].

    Returns: coverage; mae, rmse and r2 of the chosen (r2 against the mean of their truth).
    """
    t, y = np.asarray(truth, np.float64)[chosen], np.asarray(target, np.float64)[chosen]
    if not len(t):
        return {"coverage": 0.0, "mae": 0.0, "rmse": 0.0, "r2": 0.0}
    error, spread = np.sum((t - y) ** 2), np.sum((t - t.mean(0)) ** 2)
    return {
        "coverage": float(np.mean(chosen)),
        "mae": float(np.mean(np.abs(t - y))),
        "rmse": float(np.sqrt(np.mean((t - y) ** 2))),
        "r2": float(1 - error / spread) if spread > 0 else 0.0,
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
        "precision": float(_ratio(right, labelled).mean()),
        "recall": float(_ratio(right, true).mean()),
        "f1": float(_ratio(2 * right, labelled + true).mean()),
        "micro_precision": float(_ratio(right.sum(), labelled.sum())),
        "micro_recall": float(_ratio(right.sum(), true.sum())),
        "micro_f1": float(_ratio(2 * right.sum(), (labelled + true).sum())),
    }


def reliability(
    right: np.ndarray, confidence: np.ndarray, *, bins: int = _BINS
) -> dict[str, list[float]]:
    """The reliability diagram: {"confidence", "accuracy", "count"}, a list over non-empty bins.

    Args: right: bool [n]. confidence: float [n] in [0, 1].
    """
    which = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    count = np.bincount(which, minlength=bins)
    mean = _ratio(np.bincount(which, confidence, minlength=bins), count)
    share = _ratio(np.bincount(which, right, minlength=bins), count)
    full = count > 0
    return {
        "confidence": mean[full].tolist(),
        "accuracy": share[full].tolist(),
        "count": count[full].tolist(),
    }


def ece(right: np.ndarray, confidence: np.ndarray, *, bins: int = _BINS) -> float:
    """Expected calibration error in [0, 1] of right, bool [n], and confidence [n]; 0 of nothing."""
    found = reliability(right, confidence, bins=bins)
    count = np.asarray(found["count"], np.float64)
    gap = np.abs(np.asarray(found["accuracy"]) - np.asarray(found["confidence"]))
    return float(_ratio(np.sum(count * gap), count.sum()))


def stability(before: np.ndarray, now: np.ndarray, *, classes: int) -> dict[str, Any]:
    """How labels moved between two rounds: int [N] each, -1 for no label.

    Returns: unchanged (share among those labelled both times), gained, lost (numbers), flips (list
      [K], those that left each class for another) and drift, the total variation between the
      shares of the classes, in [0, 1].
    """
    both = (before >= 0) & (now >= 0)
    moved = both & (before != now)
    shares = [
        _ratio(h, h.sum())
        for h in (np.bincount(x[x >= 0], minlength=classes) for x in (before, now))
    ]
    return {
        "unchanged": float(1 - _ratio(moved.sum(), both.sum())),
        "gained": int(((before < 0) & (now >= 0)).sum()),
        "lost": int(((before >= 0) & (now < 0)).sum()),
        "flips": np.bincount(before[moved], minlength=classes).tolist(),
        "drift": float(0.5 * np.abs(shares[0] - shares[1]).sum()),
    }


def warnings(
    selected: np.ndarray,
    before: np.ndarray | None,
    *,
    names: tuple[str, ...] | None = None,
) -> list[str]:
    """What should worry somebody about the numbers of examples of each class.

    Args:
      selected: int [K], of this round. before: int [K], of the round before, or None.
    """
    selected, said = np.asarray(selected), []
    total, k = selected.sum(), len(selected)

    def name(c: int) -> str:
        return names[c] if names else str(c)

    empty = np.flatnonzero(selected == 0)
    if total and len(empty):
        died = empty if before is None else [c for c in empty if before[c] > 0]
        what = "died out" if before is not None else "got no label"
        if len(died):
            said.append(
                f"{len(died)} of {k} classes {what}: {', '.join(map(name, died[:5]))}. Choose by "
                "class (a number for each) or lower the threshold"
            )
    if total and k > 2 and selected.max() > _LARGEST * total:
        said.append(
            f"{selected.max() / total:.0%} of the labels are {name(int(selected.argmax()))}"
        )
    if before is not None and total and np.sum(before):
        drift = 0.5 * np.abs(selected / total - np.asarray(before) / np.sum(before)).sum()
        if drift > _DRIFT:
            said.append(f"the shares of the classes moved by {drift:.0%} since the last round")
    return said


def imbalance(shares: np.ndarray) -> str | None:
    """What to say of classes with so many examples each [K], where they are far from equal."""
    if shares.max() <= _IMBALANCE * max(1, shares.min()):
        return None
    return f"the classes seem to hold from {shares.min():,} to {shares.max():,} examples"


def gap_closed(supervised: float, trained: float, full: float) -> float | None:
    """(error of supervised - error of self-trained) / (error of supervised - error of full), from
    accuracies in [0, 1]; None where all labels are no better than the few.
    """
    return None if full <= supervised else (trained - supervised) / (full - supervised)


def _ratio(a: Any, b: Any) -> Any:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0)
