"""Examples whose labels are hidden, and the few that are given."""

import numpy as np

from ssljax.data import Arrays
from ssljax.pseudolabels.labels import Labels
from ssljax.tasks import Target, Targets


def truth_of(data: Arrays, target: Target) -> Targets | None:
    """True targets of all examples, or None where the data has none."""
    return target.truth(data.take(np.arange(len(data))))


def without_labels(data: Arrays, target: Target | None = None) -> Arrays:
    """The same examples, of which nothing but the inputs is known."""
    hidden = ("label", "value", "index", *(target.leaves if target else ()))
    rows = data.take(np.arange(len(data)))
    kept = {k: v for k, v in rows.items() if k not in hidden}
    told = {"names": data.names, "origin": data.origin, "readable": data.readable}
    return Arrays(kept, classes=data.classes, **told)


def split_off(
    given: Labels, holdout: float, seed: int, target: Target
) -> tuple[Labels, Labels | None]:
    """(labels to train on, labels to estimate quality with): at least one of a class stays."""
    if not 0 <= holdout < 1:
        raise ValueError(f"holdout {holdout} must be at least 0 and below 1")
    if not holdout:
        return given, None
    rng, away = np.random.default_rng([seed, 29]), []
    group = target.hard(given.target) if target.has_classes() else np.zeros(len(given), np.int64)
    for c in np.unique(group):
        rows = rng.permutation(np.flatnonzero(group == c))
        away.extend(rows[: min(round(holdout * len(rows)), len(rows) - 1)])
    mask = np.zeros(len(given), bool)
    mask[away] = True
    return given.take(~mask), given.take(mask) if mask.any() else None
