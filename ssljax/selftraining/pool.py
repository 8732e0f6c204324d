"""Examples whose labels are hidden, and the few that are given."""

import numpy as np

from ssljax.data import Arrays
from ssljax.pseudolabels.labels import Labels


def truth_of(data: Arrays) -> np.ndarray | None:
    """True targets of all examples: labels, else a leaf "value", else None."""
    if data.labelled:
        return data.labels()
    return data.take(np.arange(len(data)))["value"] if "value" in data.spec else None


def without_labels(data: Arrays) -> Arrays:
    """The same examples, of which nothing but the inputs is known."""
    rows = data.take(np.arange(len(data)))
    kept = {k: v for k, v in rows.items() if k not in ("label", "value", "index")}
    return Arrays(kept, classes=data.classes, readable=data.readable)


def part_of(data: Arrays, index: np.ndarray) -> Arrays:
    rows = data.take(index)
    rows.pop("index")
    return Arrays(rows, classes=data.classes, readable=data.readable)


def split_off(given: Labels, holdout: float, seed: int) -> tuple[Labels, Labels | None]:
    """(labels to train on, labels to estimate quality with): at least one of a class stays."""
    if not 0 <= holdout < 1:
        raise ValueError(f"holdout {holdout} must be at least 0 and below 1")
    if not holdout:
        return given, None
    rng, away = np.random.default_rng([seed, 29]), []
    whole = given.target.ndim == 1 and np.issubdtype(given.target.dtype, np.integer)
    hard = given.target if whole else np.zeros(len(given), np.int64)
    for c in np.unique(hard):
        rows = rng.permutation(np.flatnonzero(hard == c))
        away.extend(rows[: min(round(holdout * len(rows)), len(rows) - 1)])
    mask = np.zeros(len(given), bool)
    mask[away] = True
    return given.take(~mask), given.take(mask) if mask.any() else None
