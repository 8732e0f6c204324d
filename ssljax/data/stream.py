"""Batches of a data set on disk, read while training: the interface and the order of `Arrays`.

One element of the Grain pipeline is one batch, because Grain deals elements out to its processes:
dealing out single examples would change which of them make up a batch.
"""

import logging
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from ssljax.data.corrupt import CorruptExample
from ssljax.data.dataset import Decode, Rows, Spec, check_corrupt, first_good, numbered, read
from ssljax.data.order import Once, Shuffled
from ssljax.data.sources import Source

log = logging.getLogger("ssljax")


class Stream:
    """A data set on disk. A corrupt example is replaced by the next good one in order of index, so
    that shapes and batches stay the same from run to run; `skipped` names those met so far.
    """

    def __init__(self, source: Source, images: Decode, *, workers: int) -> None:
        """workers: processes that decode; 0 decodes in threads of this process.

        Worker processes import the script that was started once more, so a script of one's own
        that asks for workers must begin its work below `if __name__ == "__main__":`.
        """
        first = first_good(source, images)
        self._source, self._images, self._workers = source, images, workers
        self.labelled = "label" in first
        self.classes = source.classes
        if self.labelled and self.classes is None:
            self.classes = numbered(source.labels())
        self.skipped: list[str] = []
        self.spec: Spec = {"image": (first["image"].shape, np.dtype(np.uint8))}
        if self.labelled:
            self.spec["label"] = ((), np.dtype(np.int32))
        self.spec["index"] = ((), np.dtype(np.int32))

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
        """All labels, int32 [N], by "index"; None without labels."""
        return self._source.labels()

    def _read(self, plan: Shuffled | Once) -> Iterator[Rows]:
        import grain  # a second
        from absl import flags

        if not flags.FLAGS.is_parsed():  # Grain's processes ask for them; only absl.app parses
            flags.FLAGS(sys.argv[:1])
        batches = grain.MapDataset.source(plan).map(_Load(self._source, self._images, self.spec))
        threads = 2 if self._workers else 4
        stream = batches.to_iter_dataset(
            grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
        )
        if self._workers:
            stream = stream.mp_prefetch(grain.MultiprocessingOptions(num_workers=self._workers))
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


class _Load:
    """(indices, mask) to (batch, what was corrupt): runs in the worker processes."""

    def __init__(self, source: Source, images: Decode, spec: Spec) -> None:
        self._source, self._images, self._spec = source, images, spec

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

    def _good(self, i: int, corrupt: list[str]) -> dict[str, Any]:
        size = len(self._source)
        for offset in range(min(size, 100)):
            k = (i + offset) % size
            try:
                return read(self._source, self._images, k, self._spec["image"][0]) | {"index": k}
            except CorruptExample as error:
                corrupt.append(str(error))
        raise ValueError(
            f"{len(corrupt)} examples in a row are corrupt:\n  " + "\n  ".join(corrupt[:20])
        )
