"""A data set whose batches bring a neighbour of each example: what SCAN learns from."""

from collections.abc import Iterator

import numpy as np

from ssljax.data.dataset import Arrays, Rows


class Neighbors:
    """A data set in memory with "neighbor" [B, ...] beside "image": the image of one of an
    example's neighbours, drawn from (seed, step, example) alone, so that a resumed run draws alike.

    All else is that of the data set inside.
    """

    smallest_batch, prompts, held_out = 1, None, None

    def __init__(self, data: Arrays, table: np.ndarray) -> None:
        """table: int [N, k], k neighbours of each example by "index".

        Raises: ValueError where the table does not fit the data.
        """
        table = np.asarray(table)
        if table.ndim != 2 or len(table) != len(data) or not np.issubdtype(table.dtype, np.integer):
            raise ValueError(
                f"a table of neighbours {table.dtype} {table.shape} does not fit {len(data)} "
                "examples: give integers [N, k]"
            )
        if table.size == 0 or table.min() < 0 or table.max() >= len(data):
            raise ValueError(f"neighbours must be numbers of examples, 0 to {len(data) - 1}")
        self._data, self._table = data, table
        self.spec = data.spec | {"neighbor": data.spec["image"]}
        self.labelled, self.classes, self.skipped = data.labelled, data.classes, data.skipped
        self.names, self.origin, self.labelled_count = data.names, data.origin, data.labelled_count

    def __len__(self) -> int:
        return len(self._data)

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """As `Arrays.batches`, with "neighbor"."""
        rows = self._data.batches(batch, seed=seed, start=start, host=host)
        return (self._add(row, seed, step) for step, row in enumerate(rows, start))

    def once(self, batch: int, *, host: tuple[int, int] = (0, 1)) -> Iterator[Rows]:
        """As `Arrays.once`, with the first neighbour of each."""
        for row in self._data.once(batch, host=host):
            yield row | {"neighbor": self._data.take(self._table[row["index"], 0])["image"]}

    def labels(self) -> np.ndarray | None:
        """All labels, int32 [N], by "index"; None without labels."""
        return self._data.labels()

    def part(self, index: np.ndarray) -> Arrays:
        """Some of the examples, without their neighbours."""
        return self._data.part(index)

    def _add(self, row: Rows, seed: int, step: int) -> Rows:
        # One number for each example of the data, so that hosts need not agree on an order.
        seeds = np.random.SeedSequence([seed, step, 1])
        draw = np.random.Generator(np.random.Philox(seeds)).random(len(self), np.float32)
        place = (draw[row["index"]] * self._table.shape[1]).astype(np.int64)
        place = np.minimum(place, self._table.shape[1] - 1)
        return row | {"neighbor": self._data.take(self._table[row["index"], place])["image"]}
