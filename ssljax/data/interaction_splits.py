"""Which interactions are for training, for validation and for the test."""

import logging

import numpy as np

from ssljax.data.interaction_files import Log
from ssljax.data.split_names import SPLITS, normal

log = logging.getLogger("ssljax")


def places(
    split: str, found: Log, kept: np.ndarray, user: np.ndarray, item: np.ndarray, *, seed: int
) -> np.ndarray:
    """The split of each row that is kept, int [N]: its place in SPLITS.

    Args:
      split: as `Interactions.split`. kept: which rows of the file these are [N].
      user, item: by number, int [N].
    Raises: ValueError where the file does not say what the split is made by.
    """
    if split == "given":
        return _given(found, kept)
    rng = np.random.default_rng([seed, 71])
    if split == "items":
        count = int(item.max()) + 1
        place, size = rng.permutation(count)[item], np.full(len(item), count)
    else:
        by = rng.random(len(user)) if split == "random" else -times(found)[kept]
        # Place 0 is what goes to the test first; of one time, what lies later in the file.
        order = np.lexsort((-np.arange(len(user)), by, user))
        size = np.bincount(user)[user]
        start = np.searchsorted(user[order], user)
        place = np.argsort(order) - start
    held = np.ones_like(size) if split == "last" else np.maximum(size // 10, 1)
    held = np.where(size < 3, 0, held)
    return np.where(place < held, 2, np.where(place < 2 * held, 1, 0))


def times(found: Log) -> np.ndarray:
    """Seconds, float64 [N]. Raises: ValueError where the file does not have them."""
    if found.time is None:
        raise ValueError(
            f"{found.file} has no column {found.names.time!r}, so that nobody knows what came "
            "last: name it with --reader.time, or learn something else, held out at random with "
            "--reader.split random"
        )
    return found.time


def given_splits(found: Log) -> tuple[str, ...]:
    """The splits that a file names. Raises: ValueError where it names none, or something else."""
    return tuple(SPLITS[i] for i in np.unique(_given(found, np.arange(len(found.user)))))


def _given(found: Log, kept: np.ndarray) -> np.ndarray:
    if found.part is None:
        raise ValueError(
            f"{found.file} has no column {found.names.part!r} that says what is for training and "
            "what for the test: choose --reader.split random, last or items"
        )
    words, number = np.unique(found.part, return_inverse=True)
    known = [SPLITS.index(normal(word)) if normal(word) in SPLITS else -1 for word in words]
    which = np.array(known)[number]
    if (which < 0).any():
        row = int(np.argmax(which < 0))
        raise ValueError(
            f"{found.file}, row {row + 1}: {found.names.part} {str(found.part[row])!r} is none of "
            f"{', '.join(SPLITS)}"
        )
    return which[kept]


def earlier(found: Log, whole: np.ndarray) -> np.ndarray:
    """Which whole rows have a later one of the same user and item, bool [N]."""
    at = np.flatnonzero(whole)
    time = np.zeros(len(at)) if found.time is None else found.time[at]
    order = at[np.lexsort((at, time, found.item[at], found.user[at]))]
    same = (found.user[order][1:] == found.user[order][:-1]) & (
        found.item[order][1:] == found.item[order][:-1]
    )
    rows = np.zeros(len(whole), bool)
    rows[order[:-1][same]] = True
    return rows


def say_who_is_left_out(found: Log, kept: np.ndarray, trained: np.ndarray, *, items: bool) -> None:
    """Names users and items of which nothing is learned.

    Args:
      kept: which rows of the file are whole. trained: which of all rows are for training, bool [N].
      items: whether there may be items that no row is for training of, as in a split by items.
    """
    for what, ids in (("user", found.user), ("item", found.item)):
        there, learned = set(ids[kept].tolist()), set(ids[trained].tolist())
        gone = sorted(set(ids[ids != ""].tolist()) - there)
        if gone:
            log.warning(
                "%s: %ss without a row that can be used, left out: %d, such as %s",
                *(found.file, what, len(gone), ", ".join(gone[:3])),
            )
        without = [] if what == "item" and items else sorted(there - learned)
        if without:
            log.warning(
                "%s: %d of %d %ss have no row for training, such as %s: what is said of them "
                "follows from nothing but their side features",
                *(found.file, len(without), len(there), what, ", ".join(without[:3])),
            )
