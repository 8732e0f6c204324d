"""Some examples of a data set with targets and weights: what a student learns from."""

import itertools
from collections.abc import Iterator

import numpy as np

from ssljax.data.dataset import Arrays, Rows
from ssljax.data.order import Cycled


class Chosen:
    """Batches of chosen examples with what is learnt of each; they bring no label of the data.

    The order depends on (seed, step) alone. A batch may be larger than the number of examples.
    """

    labelled, labelled_count = False, 0

    def __init__(
        self,
        data: Arrays,
        index: np.ndarray,
        learnt: Rows,
        *,
        given: np.ndarray | None = None,
        share: float | None = None,
    ) -> None:
        """index: int [n], examples of `data`. learnt: what is learnt of each, leaves [n, ...] such
        as "target" and "weight".

        Args:
          given: bool [n], which targets are true. share: part of every batch that is drawn from
            those; None: as many as there are.
        Raises: ValueError where the data is not in memory, there is nothing to learn from, or a
          share is asked of none.
        """
        if not hasattr(data, "take"):
            raise ValueError(
                "self-training keeps its pool in memory, and this data streams from disk: raise "
                "in_memory_gb, or make the examples smaller with the reader"
            )
        if not len(index):
            raise ValueError("there is no labelled example to learn from")
        self._data, self._index = data, np.asarray(index)
        self._learnt = {name: np.asarray(x) for name, x in learnt.items()}
        everyone = np.arange(len(index))
        self._parts = [(everyone, 1.0)]
        if share is not None and given is not None and not given.all():
            if not 0 < share < 1 or not given.any():
                raise ValueError(f"a share of {share} needs true labels, and must lie in (0, 1)")
            self._parts = [(everyone[given], share), (everyone[~given], 1 - share)]
        self.classes, self.skipped = data.classes, data.skipped
        self.names = None if data.names is None else [data.names[i] for i in self._index]
        self.origin = data.origin[self._index]
        own = {name: (x.shape[1:], x.dtype) for name, x in self._learnt.items()}
        self.spec = {k: v for k, v in data.spec.items() if k != "label"} | own

    def __len__(self) -> int:
        return len(self._index)

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """Batches number start, start + 1, ... without end; leaves [batch / hosts, ...]."""
        for at in self._drawn(batch, seed=seed, start=start, host=host):
            found = self._data.take(self._index[at])
            found.pop("label", None)
            yield found | {name: x[at] for name, x in self._learnt.items()}

    def _drawn(
        self, batch: int, *, seed: int, start: int, host: tuple[int, int] = (0, 1)
    ) -> Iterator[np.ndarray]:
        """Which of the chosen examples each batch has, int [batch / hosts]."""
        first = max(1, round(self._parts[0][1] * batch)) if len(self._parts) > 1 else batch
        sizes = [first, batch - first]
        plans = [
            (rows, Cycled(len(rows), size, seed=seed, start=start, host=host))
            for (rows, _), size in zip(self._parts, sizes, strict=False)
            if size
        ]
        return (
            np.concatenate([rows[plan[i][0]] for rows, plan in plans]) for i in itertools.count()
        )

    def labels(self) -> None:
        """None: what is learnt has other names."""


class ChosenAndPool(Chosen):
    """Chosen examples, and beside each of them `ratio` pictures of all of the data without anything
    learnt of them: "pool", uint8 [B, ratio, H, W, C]. They come round in an order of their own.
    """

    def __init__(self, data: Arrays, index: np.ndarray, learnt: Rows, *, ratio: int) -> None:
        """As `Chosen`. Raises: ValueError too for a ratio below 1, or data without pictures."""
        super().__init__(data, index, learnt)
        if ratio < 1:
            raise ValueError(f"ratio {ratio} must be at least 1 picture of the pool for each label")
        if "image" not in data.spec:
            raise ValueError(f"a pool of pictures: this data has only {', '.join(data.spec)}")
        self._ratio = ratio
        shape, dtype = data.spec["image"]
        self.spec |= {"pool": ((ratio, *shape), dtype)}

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """As `Chosen.batches`."""
        many = batch * self._ratio
        pool = Cycled(len(self._data), many, seed=seed + 1, start=start, host=host)
        for i, rows in enumerate(super().batches(batch, seed=seed, start=start, host=host)):
            image = self._data.take(pool[i][0])["image"]
            yield rows | {"pool": image.reshape(-1, self._ratio, *image.shape[1:])}
