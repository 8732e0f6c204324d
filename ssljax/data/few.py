"""Few labels and a pool without: batches for methods that learn from both (FixMatch and its kin).

Each batch has B labelled examples, drawn from the few, and beside each of them `ratio` examples of
the pool, which is all of the data, the labelled ones included. What the pool's labels are is in
"pool_label" where the data knows; methods only measure with it.
"""

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssljax.data.cells import Lines, read_rows
from ssljax.data.dataset import Arrays, Dataset, Rows, Spec
from ssljax.data.labels import Column, classes_of
from ssljax.data.order import Cycled, Shuffled, rows_of

log = logging.getLogger("ssljax")
_WEIGHTS = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}


class Few:
    """A data set in memory of which few labels are known, for training.

    Leaves of a batch, global batch B leading: those of the data, with "label" [B] and "index" [B],
    of the few, such as "image" [B, H, W, C]; and of the pool each leaf NAME as "pool_NAME"
    [B, ratio, ...], that of pictures as "pool". "pool_label" is there where the data has labels,
    -1 for examples without one. The few come round in permutations of their own; the order of the
    pool is that of `Arrays.batches`. Both depend on (seed, step) alone.
    """

    smallest_batch = 1
    prompts: Dataset | None = None
    held_out = None

    def __init__(
        self,
        data: Arrays,
        index: np.ndarray,
        *,
        labels: np.ndarray | None = None,
        classes: tuple[str, ...] | None = None,
        ratio: int = 7,
    ) -> None:
        """index: int [L], the labelled examples; labels: int [L], where not those of the data;
        classes: their names, where the data has none.

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
                "in_memory_gb, or make the examples smaller with the reader"
            )
        known = data.labels() if labels is None else np.asarray(labels)
        if known is None:
            raise ValueError("this data has no labels: give them in a file (few.file)")
        found = known[index] if labels is None else known
        if found.shape != index.shape:
            raise ValueError(f"{len(index)} labelled examples need as many labels, not {known}")
        column = Column(found, lambda i: f"the few labels, example {index[i]}", missing=False)
        numbers, called = classes_of(
            {"train": column}, "train", place="the few labels", names=data.classes or classes
        )
        if numbers is None or called is None or (numbers < 0).any():
            without = index if numbers is None else index[numbers < 0]
            raise ValueError(f"example {without[0]} is to be labelled and has no label")
        self._labels, self.classes = numbers, called
        missing = sorted(set(range(len(called))) - set(numbers.tolist()))
        if missing:
            names = ", ".join(called[k] for k in missing[:5])
            raise ValueError(
                f"{len(missing)} of {len(called)} classes have no labelled example (first "
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

    @property
    def given(self) -> tuple[np.ndarray, np.ndarray]:
        """(the labelled examples, their labels), int [L] each."""
        return self._index, self._labels

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
        found = {k: v.reshape(-1, self._ratio, *v.shape[1:]) for k, v in others.items()}
        return rows | {"label": self._labels[few]} | {_pooled(k): v for k, v in found.items()}


def few_spec(spec: Spec, *, ratio: int) -> Spec:
    """The leaves of one example of `Few` around data with the leaves `spec`."""
    pool = {_pooled(name): ((ratio, *shape), dtype) for name, (shape, dtype) in spec.items()}
    return spec | {"label": ((), np.dtype(np.int32))} | pool


def _pooled(name: str) -> str:
    """What a leaf is called in the pool."""
    return "pool" if name == "image" else f"pool_{name}"


@dataclass(frozen=True, kw_only=True)
class FewLabels:
    """Which labels a run may see; calling it with a data set in memory makes `Few` of it."""

    per_class: int = 4
    """Labelled examples of each class, chosen at random by `seed`."""
    ratio: int = 7
    """Examples of the pool in a batch for each labelled one."""
    seed: int = 0
    file: str | None = None
    """A CSV file that says which examples are labelled, in place of a choice at random. Its columns
    are index, the row in the data as they lie on disk, or file, the name of an example; label (or
    class, or target), where the labels are not those of the data; and weight, where a 0 says that a
    line is no label. Without names they are index and label."""

    def __call__(self, data: Arrays) -> Few:
        """Raises: ValueError or FileNotFoundError where the labels do not fit the data."""
        if self.file is not None:
            index, given, classes = read_labels(Path(self.file), data)
            return Few(data, index, labels=given, classes=classes, ratio=self.ratio)
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


def read_labels(
    path: Path, data: Arrays
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...] | None]:
    """(examples of `data` int [L], labels int32 [L] or None, names of the classes or None) of a
    file with a line for each.

    A label is the name of a class, or its number where the names are no numbers.
    Raises: ValueError that names the line, FileNotFoundError.
    """
    rows = read_rows("csv", path)
    head = ["index", "label"]
    if rows and {cell.strip().lower() for cell in rows[0][1]} & {"index", "file"}:
        head = [cell.strip().lower() for cell in rows.pop(0)[1]]
    names = ["label" if name in ("class", "target") else name for name in head]
    if not rows or len(rows[0][1]) > len(names) or len(set(names)) < len(names):
        raise ValueError(f'{path}: every line must be "index" or "index,label"')
    if unread := sorted(set(names) - {"index", "file", "label", "weight"}):
        log.warning("%s: not read: %s", path, ", ".join(unread))
    rows = _weighed(path, rows, names)
    cells = {
        name: [row[i].strip() for _, row in rows] for i, name in enumerate(names[: len(rows[0][1])])
    }
    wheres = [f"{path}, line {line}" for line, _ in rows]
    index = _examples(path, cells, wheres, data)
    if "label" not in cells:
        return index, None, None
    # Classes that are called by numbers are meant by them, whatever their place is.
    called = data.classes is not None and all(name.isdecimal() for name in data.classes)
    column = Column(cells["label"], wheres.__getitem__, word=called)
    labels, classes = classes_of({"train": column}, "train", place=str(path), names=data.classes)
    if labels is None or (labels < 0).any():
        i = 0 if labels is None else int(np.argmax(labels < 0))
        raise ValueError(f"{wheres[i]}: this line has no label")
    return index, labels, classes


def _weighed(path: Path, rows: Lines, names: list[str]) -> Lines:
    """The rows that are labels: those whose weight is not 0."""
    if "weight" not in names:
        return rows
    at, kept = names.index("weight"), []
    for line, row in rows:
        if row[at].strip() not in _WEIGHTS:
            raise ValueError(
                f"{path}, line {line}: weight {row[at].strip()!r}: a few labels count fully, 1, or "
                "are none, 0"
            )
        kept += [(line, row)] if _WEIGHTS[row[at].strip()] else []
    if len(kept) < len(rows):
        log.info("%s: %d of %d lines have weight 0", path, len(rows) - len(kept), len(rows))
    if not kept:
        raise ValueError(f"{path}: every line has weight 0, which is no label")
    return kept


def _examples(
    path: Path, cells: dict[str, list[str]], wheres: list[str], data: Arrays
) -> np.ndarray:
    """The examples that lines name, int [L]. Raises: ValueError for none, or for two in a line."""
    found: dict[str, list[int | None]] = {}
    if "file" in cells:
        if data.names is None:
            raise ValueError(f"{path} names files, and the examples of this data have no names")
        known: dict[Any, int] = {name: i for i, name in enumerate(data.names)}
        found["file"] = [known.get(name) for name in cells["file"]]
    if "index" in cells:
        known = {int(row): i for i, row in enumerate(data.origin)}
        found["index"] = [known.get(int(x)) if x.isdecimal() else None for x in cells["index"]]
    for name, several in found.items():
        for where, one, said in zip(wheres, several, cells[name], strict=True):
            if one is None:
                raise ValueError(
                    f'{where}: there is no example {said!r}; every line must be "index" or '
                    f'"index,label", rows are numbers from 0 to {data.origin.max()}, and an '
                    "example that was left out or held out has no label"
                )
    one, *others = found.values()
    for other in others:
        for where, a, b in zip(wheres, one, other, strict=True):
            if a != b:
                raise ValueError(f"{where}: file and index are of two examples: correct one")
    return np.array(one)
