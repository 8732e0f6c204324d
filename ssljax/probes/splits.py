"""Random parts of labelled data: of every class the same share or number, decided by a seed."""

from collections.abc import Iterator
from typing import Any

import numpy as np


def stratified(labels: np.ndarray, *, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(kept, held out): sorted row numbers that together are all of 0 to N-1.

    Args:
      labels: int [N].
      fraction: share of each class that is held out, rounded, at most all but one of its rows.
      seed: decides which rows.
    Raises: ValueError where nothing would be held out, or fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"the held-out fraction must lie between 0 and 1, not {fraction}")
    rng = np.random.default_rng(seed)
    held_out = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held_out.append(rows[: min(round(fraction * len(rows)), len(rows) - 1)])
    out = np.sort(np.concatenate(held_out))
    if not len(out):
        raise ValueError(
            f"no class has enough examples to hold out {fraction:.0%}: {len(labels)} examples in "
            f"{len(np.unique(labels))} classes. Name test data of its own, or use more examples"
        )
    return np.setdiff1d(np.arange(len(labels)), out), out


def drawn(labels: np.ndarray, *, count: int, seed: int | tuple[int, ...]) -> np.ndarray:
    """Row numbers of at most `count` random examples of each class, class by class."""
    rng = np.random.default_rng(seed)
    members = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return np.concatenate([rng.permutation(m)[:count] for m in members])


def share(labels: np.ndarray, *, fraction: float, seed: int) -> np.ndarray:
    """Row numbers of a random share of each class, class by class: at least one of each, whatever
    the share, since a classifier has to know them all.
    """
    rng = np.random.default_rng(seed)
    members = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return np.concatenate([rng.permutation(m)[: max(1, round(fraction * len(m)))] for m in members])


def check(x: np.ndarray, y: np.ndarray, classes: int, name: str) -> None:
    """Raises ValueError where features [N, D] and labels [N] in 0 to classes-1 do not fit."""
    if x.ndim != 2 or y.shape != (len(x),) or not len(x):
        raise ValueError(f"{name}: features [N, D] and labels [N], not {x.shape} and {y.shape}")
    if y.min() < 0 or y.max() >= classes:
        raise ValueError(f"{name}: labels {y.min()} to {y.max()}, but there are {classes} classes")


def same_classes(train: tuple[str, ...], test: tuple[str, ...]) -> None:
    """Raises ValueError where names contradict each other: on one side they may be missing (0 to
    K-1 where the other has words), and in the test data stop earlier.
    """
    bare = [all(n.isdigit() for n in names) for names in (train, test)]
    plain = [names == tuple(map(str, range(len(names)))) for names in (train, test)]
    missing = (plain[0] and not bare[1]) or (plain[1] and not bare[0])
    pairs = zip(train, test, strict=False)
    bad = [] if missing else [f"{a} / {b}" for a, b in pairs if a != b]
    if bad or len(test) > len(train):
        raise ValueError(
            f"training data has {len(train)} classes and test data {len(test)}, with other names "
            f"({', '.join(bad[:3]) or 'more in the test data'}): both must number them alike"
        )


def compared(
    x: np.ndarray, y: np.ndarray, *, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of at most `count` random examples, for what compares all with all."""
    if len(x) <= count:
        return x, y
    rows = np.random.default_rng(seed).permutation(len(x))[:count]
    return x[rows], y[rows]


def how_many_compared(protocol: dict[str, Any]) -> int:
    """How many examples `compared` has left, by the facts of an evaluation."""
    scored = protocol["test_examples"]
    scored = scored or round(protocol["test_fraction"] * protocol["train_examples"])
    return min(scored, protocol["compared"])


def some(dataset: Any, batch: int, limit: int) -> Iterator[dict[str, np.ndarray]]:
    """All examples in order, where they are not more than `limit`, else endless random batches."""
    if len(dataset) <= limit:
        return dataset.once(batch)
    # The shuffled order repeats no example within an epoch, and only full batches are in it.
    if len(dataset) < batch:
        raise ValueError(f"the batch of {batch} is larger than the {len(dataset)} examples")
    return dataset.batches(batch, seed=0)
