"""Batches of a data set on disk, read while training: the interface and the order of `Arrays`.

One element of the Grain pipeline is one batch, because Grain deals elements out to its processes:
dealing out single examples would change which of them make up a batch.
"""

import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from ssljax.data.corrupt import CorruptExample
from ssljax.data.dataset import Arrays, Dataset, Rows, Spec
from ssljax.data.decode import Decode, check_corrupt, first_good, read, spec_of
from ssljax.data.order import Once, Plan, Shuffled
from ssljax.data.sources import Source

log = logging.getLogger("ssljax")
_alone = ContextVar("alone", default=False)


@contextmanager
def without_workers() -> Iterator[None]:
    """Streams that are read inside decode in threads of this process: for a look at a few examples,
    which starting processes would make slow.
    """
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


class Stream:
    """A data set on disk. A corrupt example is replaced by the next good one in order of index, so
    that shapes and batches stay the same from run to run; `skipped` names those met so far.
    """

    smallest_batch = 1
    prompts: Dataset | None = None
    held_out = None

    def __init__(self, source: Source, decode: Decode, *, workers: int) -> None:
        """workers: processes that decode; 0 decodes in threads of this process.

        Worker processes import the script that was started once more, so a script of one's own
        that asks for workers must begin its work below `if __name__ == "__main__":`.
        """
        self._source, self._decode, self._workers = source, decode, workers
        self.classes = source.classes
        self.skipped: list[str] = []
        self.spec: Spec = spec_of(first_good(source, decode))
        self._labels = None if "label" in self.spec else source.labels()
        self.labelled = "label" in self.spec or self._labels is not None
        if self.labelled:
            self.spec["label"] = ((), np.dtype(np.int32))
        self.spec["index"] = ((), np.dtype(np.int32))
        self.origin = np.arange(len(source))

    def __len__(self) -> int:
        return len(self._source)

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """As `Arrays.batches`."""
        return self._read(Shuffled(len(self), batch, seed=seed, start=start, host=host))

    def once(self, batch: int, *, host: tuple[int, int] = (0, 1)) -> Iterator[Rows]:
        """As `Arrays.once`; the mask is False for corrupt examples too, so that each good one
        counts once.
        """
        return self._read(Once(len(self), batch, host=host))

    def labels(self) -> np.ndarray | None:
        """As `Arrays.labels`."""
        if self._labels is None and self.labelled:
            self._labels = self._source.labels()
        return self._labels

    @property
    def labelled_count(self) -> int:
        """How many examples have a label."""
        labels = self.labels()
        return 0 if labels is None else int((labels >= 0).sum())

    @property
    def names(self) -> Sequence[str]:
        """As of `Arrays`."""
        return [self._source.key(i) for i in range(len(self))]

    def part(self, index: np.ndarray) -> "Stream":
        """As `Divisible.part`; the examples stay on disk."""
        index = np.asarray(index)
        found = Stream(_Part(self._source, index), self._decode, workers=self._workers)
        found.origin = self.origin[index]
        return found

    def _read(self, plan: Plan) -> Iterator[Rows]:
        import grain  # a second
        from absl import flags

        if not flags.FLAGS.is_parsed():  # Grain's processes ask for them; only absl.app parses
            flags.FLAGS(sys.argv[:1])
        batches = grain.MapDataset.source(plan).map(
            _Load(self._source, self._decode, self.spec, self._labels)
        )
        workers = 0 if _alone.get() else self._workers
        threads = 2 if workers else 4
        stream = batches.to_iter_dataset(
            grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
        )
        if workers:
            options = grain.MultiprocessingOptions(num_workers=workers)
            stream = stream.mp_prefetch(options, worker_init_fn=_end_with_parent)
        iterator = iter(stream)
        try:
            for rows, corrupt in iterator:
                for reason in corrupt:
                    if reason not in self.skipped:
                        log.warning("replaced a corrupt example: %s", reason)
                        self.skipped.append(reason)
                        check_corrupt(self.skipped, len(self))
                yield rows
        except RuntimeError as error:
            if "process was terminated" not in str(error):
                raise
            raise RuntimeError(
                "a process that decodes images ended; its own last words are above. Two usual "
                'reasons: the script that was started lacks `if __name__ == "__main__":` around '
                "its work, which each of these processes then does again; or memory ran out. "
                "workers=0 decodes without processes"
            ) from error
        finally:
            iterator.close()  # ends the worker processes


def loaded(data: Any, most: int) -> Any:  # any data set, and Arrays in place of a Stream
    """A data set that streams, read into memory where it takes at most `most` bytes; itself where
    it takes more or lies in memory already. Corrupt examples are left out.
    """
    if not isinstance(data, Stream):
        return data
    leaves = {k: v for k, v in data.spec.items() if k != "index"}
    each = sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in leaves.values())
    if len(data) * each > most:
        return data
    batches = [(rows, rows["mask"]) for rows in data.once(min(256, len(data)))]
    kept = np.concatenate([rows["index"][good] for rows, good in batches])
    names = data.names
    return Arrays(
        {name: np.concatenate([rows[name][good] for rows, good in batches]) for name in leaves},
        classes=data.classes,
        names=[names[int(i)] for i in kept],
        origin=data.origin[kept],
        skipped=data.skipped,
    )


class _Part:
    """Some examples of a source, as a source."""

    def __init__(self, source: Source, index: np.ndarray) -> None:
        self._source, self._index, self.classes = source, index, source.classes

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return self._source[int(self._index[i])]

    def labels(self) -> np.ndarray | None:
        labels = self._source.labels()
        if labels is None or (labels[self._index] < 0).all():
            return None
        return labels[self._index]

    def name(self, i: int) -> str:
        return self._source.name(int(self._index[i]))

    def key(self, i: int) -> str:
        return self._source.key(int(self._index[i]))


def _end_with_parent(worker: int, workers: int) -> None:
    """Runs in each worker process, which ends when the process that started it does, in whatever
    way: nobody cleans up behind a kill -9.
    """
    del worker, workers

    def watch(parent: BaseProcess) -> None:
        parent.join()  # waits at a pipe that the kernel closes
        os._exit(1)

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=watch, args=(parent,), daemon=True).start()


class _Load:
    """(indices, mask) to (batch, what was corrupt): runs in the worker processes."""

    def __init__(
        self, source: Source, decode: Decode, spec: Spec, labels: np.ndarray | None
    ) -> None:
        self._source, self._decode, self._spec, self._labels = source, decode, spec, labels

    def __call__(self, element: tuple[np.ndarray, np.ndarray | None]) -> tuple[Rows, list[str]]:
        index, mask = element
        corrupt: list[str] = []
        rows = [self._good(int(i), corrupt) for i in index]
        batch = {
            key: np.stack([np.asarray(row[key], dtype) for row in rows])
            for key, (_, dtype) in self._spec.items()
        }
        if mask is not None:
            batch["mask"] = mask & (batch["index"] == index)
        return batch, corrupt

    def _good(self, i: int, corrupt: list[str]) -> Rows:
        size = len(self._source)
        for offset in range(min(size, 100)):
            k = (i + offset) % size
            try:
                row = read(self._source, self._decode, k, self._spec)
            except CorruptExample as error:
                corrupt.append(str(error))
                continue
            label = {} if self._labels is None else {"label": self._labels[k]}
            return row | label | {"index": np.array(k, np.int32)}
        raise ValueError(
            f"{len(corrupt)} examples in a row are corrupt:\n  " + "\n  ".join(corrupt[:20])
        )
