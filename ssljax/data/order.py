"""Which examples make up which batch: a function of (seed, step) and of nothing else.

An epoch is a permutation drawn from (seed, epoch), cut into whole batches; what remains is dropped,
so that no example appears twice in a batch (for a contrastive loss it would be its own negative).
All plans here are sequences of (indices [B / hosts], mask or None), which is what Grain asks for.
"""

from typing import Protocol

import numpy as np


class Plan(Protocol):
    """A batch by its number: the positions of its examples [B] and, where not all count, a mask."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray | None]: ...


class Shuffled:
    """Batches number `start`, `start + 1`, ... without end."""

    def __init__(
        self, size: int, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> None:
        self._rows = rows_of(batch, host)
        if batch > size:
            raise ValueError(
                f"a batch of {batch} is larger than the {size} examples of the data: choose a "
                "smaller batch"
            )
        if seed < 0 or start < 0:
            raise ValueError(f"seed {seed} and start {start} must not be negative")
        self._size, self._batch, self._seed, self._start = size, batch, seed, start
        self._last = (-1, np.empty(0, np.int64))  # epoch and its permutation

    def __len__(self) -> int:
        return 2**40

    def __getitem__(self, index: int) -> tuple[np.ndarray, None]:
        epoch, position = divmod(self._start + index, self._size // self._batch)
        last = self._last  # one read and one write: threads of two epochs may be in here at once
        if last[0] != epoch:
            seeds = np.random.SeedSequence([self._seed, epoch])
            generator = np.random.Generator(np.random.Philox(seeds))
            self._last = last = (epoch, generator.permutation(self._size))
        batch = last[1][position * self._batch : (position + 1) * self._batch]
        return batch[self._rows], None


class Cycled:
    """Batches number `start`, `start + 1`, ... of few examples: one permutation follows another
    without a gap, so that a batch may be larger than the data and hold an example several times.
    """

    def __init__(
        self, size: int, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> None:
        self._rows = rows_of(batch, host)
        if size < 1 or seed < 0 or start < 0:
            raise ValueError(f"size {size} must be positive, seed {seed} and start {start} not < 0")
        self._size, self._batch, self._seed, self._start = size, batch, seed, start

    def __len__(self) -> int:
        return 2**40

    def __getitem__(self, index: int) -> tuple[np.ndarray, None]:
        first = (self._start + index) * self._batch
        epochs, places = np.divmod(np.arange(first, first + self._batch)[self._rows], self._size)
        found = np.empty(len(epochs), np.int64)
        for epoch in np.unique(epochs):
            seeds = np.random.SeedSequence([self._seed, int(epoch), 2])
            order = np.random.Generator(np.random.Philox(seeds)).permutation(self._size)
            found[epochs == epoch] = order[places[epochs == epoch]]
        return found, None


class Once:
    """One pass in order. The mask is False where the last batch is filled up with copies."""

    def __init__(self, size: int, batch: int, *, host: tuple[int, int] = (0, 1)) -> None:
        self._rows = rows_of(batch, host)
        self._size, self._batch = size, batch

    def __len__(self) -> int:
        return -(-self._size // self._batch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        first = index * self._batch
        rows = np.arange(first, first + self._batch)[self._rows]
        mask = rows < self._size
        return np.where(mask, rows, first), mask


def rows_of(batch: int, host: tuple[int, int]) -> slice:
    """The rows of a global batch that host number `host[0]` of `host[1]` holds."""
    index, count = host
    if not 0 <= index < count:
        raise ValueError(f"host {host}: write (which, of how many), counted from 0")
    if batch < 1 or batch % count:
        raise ValueError(f"batch {batch} cannot be divided over {count} host(s)")
    return slice(index * batch // count, (index + 1) * batch // count)
