"""Average precision of boxes as COCO counts it, and precision, recall and F1 of boxes as labels.

Lin et al., "Microsoft COCO: Common Objects in Context", 2014, arXiv:1405.0312. Within a picture and
a class, boxes take true boxes one after the other, the surest first, each the free one that it
overlaps most, if by at least the threshold. AP is the mean over 101 recalls of the best precision
at that recall or a higher one, and the mean over the classes that occur. The numbers are those of
pycocotools for area "all" and at most 100 boxes of a class in a picture, without crowds.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ssljax.tasks.quality import ratio

THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10))
_RECALLS = np.linspace(0.0, 1.0, 101)
_MOST = 100
Boxes = dict[str, np.ndarray]
"""boxes [n, M, 4] (x1, y1, x2, y2), kinds int [n, M] and scores [n, M], 0 in padding."""


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of each with each, float64: [N, 4], [M, 4] -> [N, M]."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    both = np.maximum(high - low, 0).prod(-1)
    sizes = [(x[:, 2:] - x[:, :2]).prod(-1) for x in (a, b)]
    return ratio(both, sizes[0][:, None] + sizes[1] - both)


def taken(iou: np.ndarray, threshold: float) -> np.ndarray:
    """The true box that each box takes, int [N], -1 for none; iou [N, M], the surest box first."""
    free, found = np.ones(iou.shape[1], bool), np.full(len(iou), -1)
    for i, row in enumerate(iou):
        # Of equal overlaps the last, as pycocotools takes it.
        best = -1
        for j in np.flatnonzero(free & (row >= min(threshold, 1 - 1e-10))):
            best = j if best < 0 or row[j] >= row[best] else best
        if best >= 0:
            free[best], found[i] = False, best
    return found


def average_precision(
    truth: Boxes, guess: Boxes, *, classes: int, thresholds: Sequence[float] = THRESHOLDS
) -> np.ndarray:
    """AP float64 [T, K] for each threshold of overlap and each class, NaN where it never occurs."""
    found = np.full((len(thresholds), classes), np.nan)
    for k in range(classes):
        scores, rights, true = [], [[] for _ in thresholds], 0
        for t, g in zip(_of_class(truth, k), _of_class(guess, k), strict=True):
            order = np.argsort(-g[1], kind="stable")[:_MOST]
            iou = overlaps(g[0][order], t[0])
            true += len(t[0])
            scores.append(g[1][order])
            for right, threshold in zip(rights, thresholds, strict=True):
                right.append(taken(iou, threshold) >= 0)
        if true:
            order = np.argsort(-np.concatenate(scores), kind="stable")
            found[:, k] = [_area(np.concatenate(right)[order], true) for right in rights]
    return found


def _area(right: np.ndarray, true: int) -> float:
    """AP of boxes that are right or not, bool [n], the surest first; true: how many there are."""
    hits = np.cumsum(right)
    precision = ratio(hits, np.arange(1, len(right) + 1))
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(hits / true, _RECALLS, side="left")
    return float(np.append(precision, 0.0)[at].mean())


def boxes_quality(
    truth: Boxes, guess: Boxes, chosen: np.ndarray, *, classes: int, threshold: float = 0.5
) -> dict[str, Any]:
    """Numbers of boxes as labels, at an overlap of `threshold`.

    Args:
      truth: of all N pictures. guess: read only where chosen, bool [N].
    Returns: coverage (the share of pictures chosen), precision, recall and f1 (means over the
      classes that occur or are given), micro_precision, micro_recall and micro_f1 over all boxes,
      and lists [K]: per_class_precision, _recall, _f1, selected and prior (numbers of boxes).
    """
    right, said, true = np.zeros((3, classes), np.int64)
    for k in range(classes):
        for t, g, c in zip(_of_class(truth, k), _of_class(guess, k), chosen, strict=True):
            true[k] += len(t[0])
            if c:
                order = np.argsort(-g[1], kind="stable")
                right[k] += (taken(overlaps(g[0][order], t[0]), threshold) >= 0).sum()
                said[k] += len(order)
    per = {
        "precision": ratio(right, said),
        "recall": ratio(right, true),
        "f1": ratio(2 * right, said + true),
    }
    occurs = (said + true) > 0
    means = {k: float(x[occurs].mean()) if occurs.any() else 0.0 for k, x in per.items()}
    return {
        "coverage": float(np.mean(chosen)),
        **means,
        "micro_precision": float(ratio(right.sum(), said.sum())),
        "micro_recall": float(ratio(right.sum(), true.sum())),
        "micro_f1": float(ratio(2 * right.sum(), (said + true).sum())),
        **{f"per_class_{k}": x.tolist() for k, x in per.items()},
        "selected": said.tolist(),
        "prior": true.tolist(),
    }


def _of_class(x: Boxes, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(boxes [m, 4], scores [m]) of a class in each picture."""
    rows = (np.asarray(x["scores"]) > 0) & (np.asarray(x["kinds"]) == k)
    return [(b[r], s[r]) for b, s, r in zip(x["boxes"], x["scores"], rows, strict=True)]
