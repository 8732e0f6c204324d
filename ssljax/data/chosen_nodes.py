"""Some nodes of a graph with targets and weights: what a student learns from, among all the others.

A batch is the whole graph, or a piece of it around some of the chosen nodes. Rows of other nodes
are there for what they say to their neighbours: their weight is 0. The weights of the chosen nodes
are scaled so that a mean over all rows is one over the chosen nodes of the batch.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ssljax.data.chosen import Chosen
from ssljax.data.dataset import Rows
from ssljax.data.graph import GraphData, share


class ChosenNodes(Chosen):
    """Batches as those of `GraphData`, with what is learnt of the chosen nodes."""

    _data: GraphData

    # Any: a `GraphData`, which offers what `Chosen` asks of arrays.
    def __init__(self, data: Any, index: np.ndarray, learnt: Rows, **options: Any) -> None:
        """As `Chosen`. Raises: ValueError too for labels that are renewed between rounds."""
        if "given" in learnt:
            raise ValueError("renew is for examples on their own, not for nodes of a graph: set 0")
        super().__init__(data, index, learnt, **options)

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """Batches number start, start + 1, ... without end; leaves [batch / hosts, ...]."""
        if batch >= len(self._data.features):
            weight = np.zeros(len(self))
            for rows, part in self._parts:
                weight[rows] = part / len(rows)
            nodes = self._data.origin[self._index]
            whole = self._taught(self._data.whole(batch), nodes, np.arange(len(self)), weight)
            yield from itertools.repeat(share(whole, host))
        many = self._data.seeds(batch)
        for i, at in enumerate(self._drawn(many, seed=seed, start=start), start):
            at = np.unique(at)
            nodes = self._data.origin[self._index[at]]
            piece = self._data.piece(nodes, batch, np.random.default_rng([seed, 61, i]))
            weight = np.full(len(at), 1 / len(at))
            yield share(self._taught(piece, np.arange(len(at)), at, weight), host)

    def _taught(self, rows: Rows, place: np.ndarray, at: np.ndarray, weight: np.ndarray) -> Rows:
        """The rows with what is learnt of the chosen examples `at` at their place."""
        rows = {name: x for name, x in rows.items() if name != "label"}
        for name, x in self._learnt.items():
            rows[name] = np.zeros((len(rows["index"]), *x.shape[1:]), x.dtype)
            rows[name][place] = x[at]
        scale = (weight * len(rows["index"])).reshape(-1, *[1] * (rows["weight"].ndim - 1))
        rows["weight"][place] *= scale.astype(rows["weight"].dtype)
        return rows
