"""Features of data sets: what a frozen encoder says of every example, or of a random part."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ssljax.data.dataset import Dataset, Rows
from ssljax.probes.splits import some

Embed = Callable[[dict[str, np.ndarray]], Any]
"""Batch of NumPy arrays -> features [B, D]."""
EmbedViews = Callable[[dict[str, np.ndarray], int], Any]
"""Batch of NumPy arrays and q -> features of q random views of each example, [B, q, D]."""


def features(
    embed: Embed, dataset: Dataset, *, batch: int, limit: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Features of a data set in its own order, padding dropped.

    Args:
      embed: batch -> features [B, D].
      dataset: as in `ssljax.data`: `once(batch)` yields padded batches with a boolean "mask".
      limit: stop after the first so many examples.
    Returns: (x float32 [N, D], y int32 [N], or None for data without labels).
    Raises: ValueError where features are not [B, D] or not finite.
    """
    return _collect(embed, dataset.once(batch), limit or len(dataset), labelled=dataset.labelled)


def sampled(
    embed: Embed, dataset: Dataset, *, batch: int, limit: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """The same of all examples, or of a random `limit` of them: data on disk is often sorted."""
    full = len(dataset) if len(dataset) <= limit else len(dataset) // batch * batch
    rows = some(dataset, batch, limit)
    return _collect(embed, rows, min(limit, full), labelled=dataset.labelled)


def _collect(
    embed: Embed, batches: Iterable[Rows], limit: int, *, labelled: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    xs: list[np.ndarray] = []
    ys: list[np.ndarray] = []
    for rows in batches:
        x = np.asarray(embed(rows), np.float32)
        if x.ndim != 2 or len(x) != len(rows["index"]):
            raise ValueError(f"features must be [B, D], one row an example, not {x.shape}")
        mask = rows.get("mask", np.ones(len(x), bool))
        if not np.isfinite(x[mask]).all():
            bad = int((~np.isfinite(x[mask]).all(axis=1)).sum())
            raise ValueError(
                f"the encoder gives NaN or infinite features for {bad} of {mask.sum()} examples, "
                f"first index {rows['index'][mask][~np.isfinite(x[mask]).all(axis=1)][0]}"
            )
        xs.append(x[mask])
        if labelled:
            ys.append(rows["label"][mask])
        if sum(map(len, xs)) >= limit:
            break
    return np.concatenate(xs)[:limit], np.concatenate(ys)[:limit] if labelled else None
