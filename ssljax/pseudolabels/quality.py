"""Whether confidences are right, how labels move between rounds, and what should worry somebody.

How good labels are says their target. ECE = sum_b n_b / n |accuracy_b - confidence_b| over equal
bins (a, b] of the confidence (Guo et al. 2017, arXiv:1706.04599, eq. 3). Ratios of nothing are 0.
None of these numbers is ever used in training.
"""

from typing import Any

import numpy as np

from ssljax.tasks.quality import ratio

_BINS = 10
_LARGEST = 0.9  # share of one class that is called a collapse
_IMBALANCE = 5  # times as many examples as the rarest class
_DRIFT = 0.2  # total variation between rounds that is called a drift


def reliability(
    right: np.ndarray, confidence: np.ndarray, *, bins: int = _BINS
) -> dict[str, list[float]]:
    """The reliability diagram: {"confidence", "accuracy", "count"}, a list over non-empty bins.

    Args: right: bool [n]. confidence: float [n] in [0, 1].
    """
    which = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    count = np.bincount(which, minlength=bins)
    mean = ratio(np.bincount(which, confidence, minlength=bins), count)
    share = ratio(np.bincount(which, right, minlength=bins), count)
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
    return float(ratio(np.sum(count * gap), count.sum()))


def stability(before: np.ndarray, now: np.ndarray, *, classes: int) -> dict[str, Any]:
    """How labels moved between two rounds: int [N] each, -1 for no label.

    Returns: unchanged (share among those labelled both times), gained, lost (numbers), flips (list
      [K], those that left each class for another) and drift, the total variation between the
      shares of the classes, in [0, 1].
    """
    both = (before >= 0) & (now >= 0)
    moved = both & (before != now)
    shares = [
        ratio(h, h.sum())
        for h in (np.bincount(x[x >= 0], minlength=classes) for x in (before, now))
    ]
    return {
        "unchanged": float(1 - ratio(moved.sum(), both.sum())),
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
        died = [c for c in empty.tolist() if before is None or before[c] > 0]
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
