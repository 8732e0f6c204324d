"""Few labels and a pool without: batches for methods that learn from both (FixMatch and its kin).

Each batch has B labelled examples, drawn from the few, and beside each of them `ratio` examples of
the pool, which is all of the data, the labelled ones included. What the pool's labels are is in
"pool_label" where the data knows; methods only measure with it.
"""

import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.labels import Column, classes_of
from ssljax.data.order import Cycled, Shuffled, rows_of


class Few:
    """A data set in memory of which few labels are known, for training.

    Leaves of a batch, global batch B leading: "image" [B, H, W, C], "label" [B] and "index" [B] of
    the few; "pool" [B, ratio, H, W, C], "pool_index" [B, ratio] and, where the data has labels,
    "pool_label" [B, ratio]. The few come round in permutations of their own; the order of the pool
    is that of `Arrays.batches`. Both depend on (seed, step) alone.
    """

    def __init__(
        self, data: Arrays, index: np.ndarray, *, labels: np.ndarray | None = None, ratio: int = 7
    ) -> None:
        """index: int [L], the labelled examples; labels: int [L], where not those of the data.

        Raises: ValueError where they do not fit the data, or a class has no labelled example.
        """
        index = np.asarray(index)
        if index.ndim != 1 or not index.size or not np.issubdtype(index.dtype, np.integer):
            raise ValueError(f"labelled examples must be integers [L], not {index.dtype} {index}")
        if index.min() < 0 or index.max() >= len(data):
            raise ValueError(f"labelled examples must be numbers from 0 to {len(data) - 1}")
        if len(np.unique(index)) != len(index):
            values, counts = np.unique(index, return_counts=True)
            raise ValueError(f"example {values[counts > 1][0]} is labelled more than once")
        if ratio < 1:
            raise ValueError(f"ratio {ratio} must be at least 1 example of the pool for each label")
        if not hasattr(data, "take"):
            raise ValueError(
                "few labels need data in memory, and this data streams from disk: raise "
                "in_memory_gb, or make the images smaller with reader.size"
            )
        known = data.labels() if labels is None else np.asarray(labels)
        if known is None:
            raise ValueError("this data has no labels: give them in a file (few.file)")
        found = known[index] if labels is None else known
        if found.shape != index.shape:
            raise ValueError(f"{len(index)} labelled examples need as many labels, not {known}")
        column = Column(found, lambda i: f"the few labels, example {index[i]}", missing=False)
        numbers, self.classes = classes_of(
            {"train": column}, "train", place="the few labels", names=data.classes
        )
        if numbers is None or (numbers < 0).any():
            without = index if numbers is None else index[numbers < 0]
            raise ValueError(f"example {without[0]} is to be labelled and has no label")
        self._labels = numbers
        missing = sorted(set(range(len(self.classes))) - set(self._labels.tolist()))
        if missing:
            names = ", ".join(self.classes[k] for k in missing[:5])
            raise ValueError(
                f"{len(missing)} of {len(self.classes)} classes have no labelled example (first "
                f"{names}): label at least one of each, or leave these classes out of the data"
            )
        self._data, self._index, self._ratio = data, index, ratio
        self.labelled, self.skipped = data.labelled, data.skipped
        self.names, self.origin, self.labelled_count = data.names, data.origin, data.labelled_count
        self.spec = few_spec(data.spec, ratio=ratio)

    def __len__(self) -> int:
        return len(self._data)

    @property
    def few(self) -> np.ndarray:
        """The labelled examples, int [L]."""
        return self._index

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """Batches number start, start + 1, ... without end; leaves [batch / hosts, ...].

        Raises: ValueError where batch x ratio is more than the data, or hosts do not divide batch.
        """
        rows_of(batch, host)  # batch x ratio may divide where the batch does not
        if batch * self._ratio > len(self):
            raise ValueError(
                f"a batch of {batch} with {self._ratio} examples of the pool each is more than the "
                f"{len(self)} examples of the data: choose a smaller batch or few.ratio"
            )
        few = Cycled(len(self._index), batch, seed=seed, start=start, host=host)
        pool = Shuffled(len(self), batch * self._ratio, seed=seed, start=start, host=host)
        return (self._join(few[i][0], pool[i][0]) for i in itertools.count())

    def once(self, batch: int, *, host: tuple[int, int] = (0, 1)) -> Iterator[Rows]:
        """As `Arrays.once`: all of the data in order, nothing of a pool."""
        return self._data.once(batch, host=host)

    def labels(self) -> np.ndarray | None:
        """All labels that the data knows, int32 [N], for evaluation; None without labels."""
        return self._data.labels()

    def _join(self, few: np.ndarray, pool: np.ndarray) -> Rows:
        rows, others = self._data.take(self._index[few]), self._data.take(pool)
        others = {k: v.reshape(-1, self._ratio, *v.shape[1:]) for k, v in others.items()}
        found = {"image": rows["image"], "label": self._labels[few], "index": rows["index"]}
        found |= {"pool": others["image"], "pool_index": others["index"]}
        return found | ({"pool_label": others["label"]} if self.labelled else {})


def few_spec(spec: Spec, *, ratio: int) -> Spec:
    """The leaves of one example of `Few` around data with the leaves `spec`."""
    integer = np.dtype(np.int32)
    shape, dtype = spec["image"]
    found = {"image": (shape, dtype), "label": ((), integer), "index": ((), integer)}
    found |= {"pool": ((ratio, *shape), dtype), "pool_index": ((ratio,), integer)}
    return found | ({"pool_label": ((ratio,), integer)} if "label" in spec else {})


@dataclass(frozen=True, kw_only=True)
class FewLabels:
    """Which labels a run may see; calling it with a data set in memory makes `Few` of it."""

    per_class: int = 4
    """Labelled examples of each class, chosen at random by `seed`."""
    ratio: int = 7
    """Examples of the pool in a batch for each labelled one."""
    seed: int = 0
    file: str | None = None
    """Lines "index" or "index,label" that say which examples are labelled, in place of a choice at
    random; the labels too, where the data has none."""

    def __call__(self, data: Arrays) -> Few:
        """Raises: ValueError or FileNotFoundError where the labels do not fit the data."""
        if self.file is not None:
            index, given = read_labels(self.file)
            return Few(data, index, labels=given, ratio=self.ratio)
        labels = data.labels()
        if labels is None:
            raise ValueError("this data has no labels to choose from: name a file with few.file")
        return Few(data, choose(labels, self.per_class, seed=self.seed), ratio=self.ratio)

    def spec(self, spec: Spec) -> Spec:
        """The leaves of one example of a batch, for data with the leaves `spec`."""
        return few_spec(spec, ratio=self.ratio)


def choose(labels: np.ndarray, per_class: int, *, seed: int) -> np.ndarray:
    """`per_class` random examples of each class, int [per_class K], sorted.

    labels: int [N] in 0 to K-1, or -1 for no label. Raises: ValueError where a class has fewer.
    """
    if per_class < 1:
        raise ValueError(f"per_class {per_class} must be at least 1")
    counts = np.bincount(labels[labels >= 0])
    if counts.min() < per_class:
        raise ValueError(
            f"class {counts.argmin()} has {counts.min()} examples, fewer than the {per_class} to "
            "be labelled: choose a smaller few.per_class"
        )
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(np.flatnonzero(labels == k))[:per_class] for k in range(len(counts))]
    return np.sort(np.concatenate(parts))


def read_labels(path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """(index [L], labels [L] or None) of a file with a line for each labelled example.

    Raises: ValueError that names the line, FileNotFoundError.
    """
    with open(path, newline="", encoding="utf-8") as file:
        lines = [line for line in csv.reader(file) if line]
    if lines and lines[0][0].strip() == "index":
        lines = lines[1:]
    try:
        found = np.array([[int(cell) for cell in line] for line in lines], np.int64)
    except ValueError as error:
        raise ValueError(f'{path}: every line must be "index" or "index,label" ({error})') from None
    if found.ndim != 2 or found.shape[1] > 2:
        raise ValueError(f'{path}: every line must be "index" or "index,label"')
    return found[:, 0], found[:, 1] if found.shape[1] == 2 else None
