"""Examples in batches, addressed by step, from memory; and what every data set offers.

A resumed run needs to remember nothing but its step, and any number of hosts sees the same global
batch (`ssljax.data.order`). Data that fits in memory is one array that NumPy indexes; larger data
streams through Grain in the same order (`ssljax.data.stream`).
"""

import itertools
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np

from ssljax.data.labels import Column, classes_of
from ssljax.data.order import Once, Shuffled

log = logging.getLogger("ssljax")
Rows = dict[str, np.ndarray]
Spec = dict[str, tuple[tuple[int, ...], np.dtype]]


class Dataset(Protocol):
    """What the runner asks of data. `Arrays`, `Stream` and `Windows` keep it, and so may an object
    of one's own: a graph or another single large object yields what a step needs of it, each leaf
    with the batch as its leading axis.
    """

    spec: Spec
    """Of one example: leaf -> (shape, dtype), "index" int32 among them."""
    classes: tuple[str, ...] | None
    """Names of the classes; None where the data has none."""
    labelled: bool
    """Whether at least one example has a label; "label" is then in `spec`."""
    skipped: list[str]
    """What could not be read so far: name and reason."""
    origin: np.ndarray
    """The row of each example in the data as a person sees it, int64 [N]."""

    @property
    def names(self) -> Sequence[str] | None:
        """What a person calls each example, [N]; None where they have no names."""
        ...

    @property
    def smallest_batch(self) -> int:
        """Rows that a batch needs at least: 1, but for a graph, where a node brings neighbours."""
        ...

    @property
    def prompts(self) -> "Dataset | None":
        """Of pairs with classes: a data set of one side alone with labels, all that stands for a
        class in zero-shot classification. None for all others.
        """
        ...

    @property
    def held_out(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Of a graph some of whose links were taken out for a test: (those links, as many pairs of
        nodes that are not linked), int [P, 2] each. None for all others.
        """
        ...

    def __len__(self) -> int: ...

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """Batches number start, start + 1, ... without end, the same for the same seed."""
        ...

    def once(self, batch: int, *, host: tuple[int, int] = (0, 1)) -> Iterator[Rows]:
        """One pass in order, with "mask" bool for the rows that count."""
        ...

    def labels(self) -> np.ndarray | None:
        """All labels, int32 [N], by "index", -1 where an example has none; None without labels."""
        ...


class Vocabulary(Protocol):
    """Texts as token numbers and back."""

    def encode(self, text: str) -> np.ndarray:
        """Token numbers of a text, int32 [N], without special ones."""
        ...

    def decode(self, numbers: Any) -> str:
        """The text of token numbers, special ones left out."""
        ...


class Divisible(Dataset, Protocol):
    """Data of which some examples make a data set of their own. Data without `part` is of one
    piece, such as one long text whose windows overlap: it is not dealt out to machines, and none of
    its examples is left out or held out.
    """

    def part(self, index: np.ndarray) -> "Dataset":
        """The examples at these positions [n], in their order, called and numbered as here."""
        ...


def divisible(dataset: Any) -> TypeGuard[Divisible]:
    """Whether a data set has `part`."""
    return hasattr(dataset, "part")


class Arrays:
    """A data set in memory: a dict of arrays with equal leading axes.

    spec: of one example, name -> (shape, dtype); skipped: the examples that could not be decoded.
    names: what a person calls each example, such as a file below the folder of the data, [N] or
    None; origin: the row of each in the data as a person sees it, int64 [N].
    """

    smallest_batch = 1
    prompts: Dataset | None = None
    held_out = None
    links: np.ndarray | None = None
    """Of nodes of a graph which of them are linked (`GraphData.links`); None: they are no nodes."""

    def __init__(
        self,
        rows: Rows,
        *,
        classes: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
        origin: np.ndarray | None = None,
        skipped: Sequence[str] = (),
        readable: Callable[[Rows], list[str]] | None = None,
        vocabulary: "Vocabulary | None" = None,
    ) -> None:
        """rows: such as {"image": uint8 [N, H, W, C], "label": int [N]}; "index" is added.

        A label of -1 says that an example has none. Without `classes` they are counted through
        (`ssljax.data.labels`). origin: None for examples in their own order, of which none was
        left out. readable: rows -> what a person reads in each, for data that are text.
        vocabulary: what the token numbers mean, for data whose targets are texts.

        Raises: ValueError where lengths differ, there are no rows, or labels are no classes.
        """
        self._rows = {key: np.asarray(value) for key, value in rows.items()}
        sizes = {key: len(value) for key, value in self._rows.items()}
        if len(set(sizes.values())) != 1 or not min(sizes.values()):
            raise ValueError(f"all arrays need the same, non-zero number of rows: {sizes}")
        self._size = min(sizes.values())
        self._rows["index"] = np.arange(self._size, dtype=np.int32)
        self.classes = None if classes is None else tuple(classes)
        if "label" in rows:
            self._number(self._rows.pop("label"))
        self.labelled = "label" in self._rows
        self.names, self.readable, self.skipped = names, readable, list(skipped)
        self.vocabulary = vocabulary
        self.origin = np.arange(self._size) if origin is None else np.asarray(origin, np.int64)
        for what, value in (("names", names), ("origin", self.origin)):
            if value is not None and len(value) != self._size:
                raise ValueError(f"{len(value)} {what} for {self._size} examples")
        self.spec: Spec = {k: (v.shape[1:], v.dtype) for k, v in self._rows.items()}

    def _number(self, label: np.ndarray) -> None:
        if label.ndim != 1:
            raise ValueError(f"labels must be one a row, [N], not {label.dtype} {label.shape}")
        column = Column(label, lambda i: f"example {i}", missing=False)
        found, self.classes = classes_of(
            {"train": column},
            "train",
            place="these labels",
            names=self.classes,
            say=self.classes is None,  # else a reader has said it
        )
        if found is not None:
            self._rows = {"label": found} | self._rows

    def __len__(self) -> int:
        return self._size

    @property
    def labelled_count(self) -> int:
        """How many examples have a label."""
        labels = self.labels()
        return 0 if labels is None else int((labels >= 0).sum())

    def batches(
        self, batch: int, *, seed: int, start: int = 0, host: tuple[int, int] = (0, 1)
    ) -> Iterator[Rows]:
        """Batches number start, start + 1, ... without end; leaves [batch / hosts, ...].

        host: (which, of how many); each gets its own rows of the same global batch.
        Raises: ValueError where the batch is larger than the data or the hosts do not divide it.
        """
        plan = Shuffled(self._size, batch, seed=seed, start=start, host=host)
        return (self.take(plan[i][0]) for i in itertools.count())

    def once(self, batch: int, *, host: tuple[int, int] = (0, 1)) -> Iterator[Rows]:
        """One pass in order; the last batch is filled up with copies, and "mask" [batch / hosts]
        says which rows count.
        """
        plan = Once(self._size, batch, host=host)
        return (self.take(plan[i][0]) | {"mask": plan[i][1]} for i in range(len(plan)))

    def labels(self) -> np.ndarray | None:
        """All labels, int32 [N], by "index", -1 where an example has none; None without labels."""
        return self._rows.get("label")

    def take(self, index: np.ndarray) -> Rows:
        """The rows of the given examples [B]."""
        return {key: np.take(value, index, axis=0) for key, value in self._rows.items()}

    def part(self, index: np.ndarray) -> "Arrays":
        """As `Divisible.part`."""
        index = np.asarray(index)
        return Arrays(
            {key: value[index] for key, value in self._rows.items() if key != "index"},
            classes=self.classes,
            names=None if self.names is None else [self.names[int(i)] for i in index],
            origin=self.origin[index],
            skipped=self.skipped,
            readable=self.readable,
            vocabulary=self.vocabulary,
        )

    def without(self, leaves: Collection[str], *, classes: Sequence[str] | None) -> "Arrays":
        """The same examples without some of their leaves, and with other names of classes."""
        rows = self.take(np.arange(len(self)))
        return Arrays(
            {key: value for key, value in rows.items() if key not in {"index", *leaves}},
            classes=classes,
            names=self.names,
            origin=self.origin,
            skipped=self.skipped,
            readable=self.readable,
            vocabulary=self.vocabulary,
        )

    def chosen(self, index: np.ndarray, learnt: Rows, **options: Any) -> Any:
        """What a student learns from: some of the examples, as `Chosen`."""
        from ssljax.data.chosen import Chosen  # which is made of arrays

        return Chosen(self, index, learnt, **options)


def labelled_part(dataset: Any) -> Any:  # whatever has parts, and the same comes back
    """A data set without its examples that have no label; itself where all have one."""
    labels = dataset.labels()
    if labels is None or (labels >= 0).all():
        return dataset
    log.info("%d of %d examples have no label and are left out", (labels < 0).sum(), len(labels))
    return dataset.part(np.flatnonzero(labels >= 0))
