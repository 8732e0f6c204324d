"""How well a method does its own task on data that it was not trained on: all of it, once."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Score = Callable[[dict[str, np.ndarray]], dict[str, tuple[np.ndarray, np.ndarray]]]
"""Batch of NumPy arrays -> {name: (sums [B], weights [B])}, as `Method.score`."""


def heldout(
    score: Score, dataset: Any, *, batch: int, limit: int | None = None
) -> dict[str, float]:
    """{"heldout_NAME": sum of sums / sum of weights} over one pass, in float64.

    Where there is a "loss", in nats, heldout_perplexity is its exponential.

    Args:
      score: see `Score`. dataset: as in `ssljax.data`. batch: examples in a batch.
      limit: stop after the first so many examples.
    """
    totals: dict[str, np.ndarray] = {}
    seen = 0
    for rows in dataset.once(batch):
        mask = rows["mask"]
        for name, (sums, weights) in score(rows).items():
            part = [np.asarray(x, np.float64)[mask].sum() for x in (sums, weights)]
            totals[name] = totals.get(name, np.zeros(2)) + part
        seen += len(mask)
        if limit is not None and seen >= limit:
            break
    found = {f"heldout_{name}": float(a / max(b, 1e-30)) for name, (a, b) in totals.items()}
    if "heldout_loss" in found:
        found["heldout_perplexity"] = math.exp(min(found["heldout_loss"], 700.0))
    return found
