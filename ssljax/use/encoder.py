"""A trained encoder as one object that is called on arrays, on files or on a data set.

The training data of `ssljax train` is not needed: what the encoder must know of it lies in the run
folder. A run of `ssljax selftrain` is opened with its pool, which must be where it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssljax.data import Arrays
from ssljax.data.dataset import Rows
from ssljax.data.reader import reads_values
from ssljax.runs.evaluation import embedder
from ssljax.runs.load import reader_of
from ssljax.selftraining.teachers import load_any


class Encoder:
    """The frozen encoder of a run: `encoder(x)` gives features, float32 [N, D].

    experiment: that of the run. step: how long it was trained. spec: leaves of an example as the
    encoder read them in training, name -> (shape, dtype). classes: names of the classes of the
    training data, or None.
    """

    def __init__(self, run: Path | str, *, file: str | None = None) -> None:
        """run: a run folder, of `ssljax train` or `ssljax selftrain`. file: the experiment file,
        where the run uses a class of it.

        Raises: FileNotFoundError, or ValueError where the folder holds no network.
        """
        self.run = Path(run)
        self.experiment, method, state, train, _ = load_any(self.run, file=file)
        self.step = int(state.step)
        self.spec = {k: v for k, v in train.spec.items() if k not in ("label", "index")}
        self.classes = train.classes
        self._embed = embedder(self.experiment, method, state)

    def __call__(self, x: "str | np.ndarray | Mapping[str, np.ndarray] | Sequence[Any]") -> Any:
        """Features, float32 [N, D], of N examples, which may be

        - an array with the examples along its first axis, such as uint8 images [N, H, W, C], or a
          list of arrays, which may differ in size;
        - a list of files (`Path` or str) of pictures or recordings; for an encoder of texts, a list
          of texts;
        - a mapping of leaves, as `spec` names them, each with leading axis N;
        - the name of data, such as "folder:PATH" or "parquet:PATH", as every command takes it.

        Raises: ValueError or FileNotFoundError that say what does not fit.
        """
        if isinstance(x, str):
            return np.concatenate([found for _, found in self.pieces(self.dataset(x))])
        if isinstance(x, Path):
            raise ValueError(f"{x}: give a list of files, or the name of data, as folder:{x}")
        rows = dict(x) if isinstance(x, Mapping) else self._rows(x)
        return np.concatenate([found for _, found in self.pieces(Arrays(rows))])

    def dataset(self, spec: str, *, split: str | None = None, memory: int | None = None) -> Any:
        """The data that `spec` names, read as the training data was.

        split: train, validation or test; None: training, or whatever there is. memory: bytes of
        decoded data that may be held; None: as in the run.
        """
        offered = self.reader.splits(spec)
        split = split or ("train" if "train" in offered else offered[0])
        held = int(self.experiment.in_memory_gb * 2**30) if memory is None else memory
        workers = self.experiment.workers
        return self.reader.load(spec, split=split, in_memory_bytes=held, workers=workers)

    def pieces(self, dataset: Any) -> Iterator[tuple[Rows, np.ndarray]]:
        """(rows that count, their features [n, D]) of batch after batch, in order.

        Raises: ValueError where features are not finite.
        """
        for rows in dataset.once(self._batch(dataset)):
            x, mask = self._embed(rows), rows["mask"]
            if x.ndim != 2:
                raise ValueError(f"features must be [B, D], one row an example, not {x.shape}")
            if not (fine := np.isfinite(x).all(axis=1) | ~mask).all():
                raise ValueError(
                    f"the encoder gives NaN or infinite features for {(~fine).sum()} of "
                    f"{mask.sum()} examples, first index {rows['index'][~fine][0]}"
                )
            yield {k: v[mask] for k, v in rows.items() if k in ("index", "label")}, x[mask]

    @cached_property
    def reader(self) -> Any:
        """The reader of the run, with all that it has learned from the training data."""
        return reader_of(self.experiment, self.run)

    def _rows(self, x: Any) -> Rows:
        reader = self.reader
        if not reads_values(reader):
            raise ValueError(
                f"{type(reader).__name__} reads no examples from Python: name data, or give "
                f"a mapping of {', '.join(self.spec)}"
            )
        if not len(x):
            raise ValueError("there is no example to embed")
        return reader.rows(x, like=self.spec)

    def _batch(self, dataset: Any) -> int:
        """That of the run; of fewer examples as few as the devices can share. A piece of a graph
        holds more than its examples."""
        batch, devices = self.experiment.batch, jax.device_count()
        if hasattr(dataset, "smallest_batch"):
            return batch
        few = devices * (1 << max(0, -(-len(dataset) // devices) - 1).bit_length())
        return min(batch, few)


def load(run: Path | str, *, file: str | None = None) -> Encoder:
    """The trained encoder of a run folder, as one object: `ssljax.load("runs/mine")(images)`.

    Args and Raises: as `Encoder`.
    """
    return Encoder(run, file=file)
