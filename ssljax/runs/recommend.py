"""What a run recommends to a user, and why: what she liked before that is most like it."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ssljax.data import Catalogue
from ssljax.runs.load import load_run

_REASONS = 2


class Recommended(NamedTuple):
    """An item for a user."""

    title: str
    score: float
    """The rating that is expected; of clicks the logit, of rankings the product of vectors."""
    because: tuple[str, ...]
    """Titles of what she liked in the training data and is nearest to it, nearest first; () where
    she liked nothing."""


def recommend(
    folder: Path, user: str, *, top: int = 10, file: str | None = None
) -> list[Recommended]:
    """The items with the highest scores for a user, without those of her in the training data.

    user: the id in the data. file: the experiment file, where the run uses a class of it.
    Raises: ValueError for a user that the data does not have, or a run that recommends nothing.
    """
    experiment, _, state, train, _ = load_run(folder, file=file)
    offer = experiment.method.offer
    if offer is None:
        raise ValueError(f"{folder} learned nothing of users and items: train DeepFM or BPR first")
    here: Catalogue = train.catalogue
    if user not in here.users:
        few = ", ".join(here.users[:3])
        raise ValueError(f"the data of {folder} has no user {user!r}; its users are {few}, ...")
    if top < 1:
        raise ValueError(f"--top {top} must be at least 1")
    number, items = here.users.index(user), np.arange(len(here.items), dtype=np.int32)
    who = np.full_like(items, number)
    batch = {"user": who, "item": items} | here.fields(who, items)
    if train.history is not None:
        batch |= train.history.rows(who)
    scores, vectors = jax.device_get(jax.jit(offer)(state, batch))
    mine, liked = _of(train, number)
    scores = np.asarray(scores, np.float64)
    scores[mine] = -np.inf
    best = [i for i in np.argsort(-scores, kind="stable")[:top] if np.isfinite(scores[i])]
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    near = unit[best] @ unit[liked].T
    return [
        Recommended(
            here.titles[i],
            float(scores[i]),
            tuple(here.titles[liked[j]] for j in np.argsort(-row, kind="stable")[:_REASONS]),
        )
        for i, row in zip(best, near, strict=True)
    ]


def _of(train: Any, user: int) -> tuple[np.ndarray, np.ndarray]:
    """(items of a user in the training data, those of them that she liked), by number."""
    users, items = train.pairs
    mine = np.flatnonzero(users == user)
    return items[mine], items[mine][train.liked(mine)]
