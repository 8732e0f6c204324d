"""Examples in batches, addressed by step, from memory.

A resumed run needs to remember nothing but its step, and any number of hosts sees the same global
batch (`ssljax.data.order`). Data that fits in memory is one array that NumPy indexes; larger data
streams through Grain in the same order (`ssljax.data.stream`).
"""

import itertools
import logging
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ssljax.data.corrupt import CorruptExample
from ssljax.data.order import Once, Shuffled
from ssljax.data.sources import Source

log = logging.getLogger("ssljax")
Rows = dict[str, np.ndarray]
Spec = dict[str, tuple[tuple[int, ...], np.dtype]]
Decode = Callable[[Any, str], np.ndarray]
"""(stored image, name) -> uint8 [H, W, C]; raises CorruptExample. `Images` is one."""
# More corrupt examples than this share means that something else is wrong.
MAX_CORRUPT = 0.01
# Labels beyond this, without class names, are not numbers of classes.
MAX_CLASSES = 10**6
# RuntimeError: a zip member with a password or a compression that Python lacks.
READ_ERRORS = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Arrays:
    """A data set in memory: a dict of arrays with equal leading axes.

    spec: of one example, name -> (shape, dtype); skipped: the examples that could not be decoded.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        classes: tuple[str, ...] | None = None,
        skipped: Sequence[str] = (),
        readable: Callable[[Rows], list[str]] | None = None,
    ) -> None:
        """rows: such as {"image": uint8 [N, H, W, C], "label": int [N]}; "index" is added.

        readable: rows -> what a person reads in each, for data that are text.

        Raises: ValueError where lengths differ, there are no rows, or labels are not integers [N].
        """
        self._rows = {key: np.asarray(value) for key, value in rows.items()}
        sizes = {key: len(value) for key, value in self._rows.items()}
        if len(set(sizes.values())) != 1 or not min(sizes.values()):
            raise ValueError(f"all arrays need the same, non-zero number of rows: {sizes}")
        self._size = min(sizes.values())
        self._rows["index"] = np.arange(self._size, dtype=np.int32)
        self.labelled = "label" in rows
        if self.labelled:
            label = self._rows["label"]
            if label.ndim != 1 or not np.issubdtype(label.dtype, np.integer):
                raise ValueError(f"labels must be integers [N], not {label.dtype} {label.shape}")
            check_label(int(label.min()), classes, "these labels")
            check_label(int(label.max()), classes, "these labels")
            self._rows["label"] = label.astype(np.int32)
            classes = classes or numbered(label)
        self.classes, self.readable = classes, readable
        self.skipped = list(skipped)
        self.spec: Spec = {k: (v.shape[1:], v.dtype) for k, v in self._rows.items()}

    def __len__(self) -> int:
        return self._size

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
        """All labels, int32 [N], by "index"; None without labels."""
        return self._rows.get("label")

    def take(self, index: np.ndarray) -> Rows:
        """The rows of the given examples [B]."""
        return {key: np.take(value, index, axis=0) for key, value in self._rows.items()}


def check_label(label: int, classes: tuple[str, ...] | None, name: str) -> None:
    """Raises ValueError where `label` is none of 0 to K-1."""
    if not 0 <= label < (len(classes) if classes else MAX_CLASSES):
        known = f"{len(classes)} classes" if classes else "K classes"
        top = len(classes) - 1 if classes else "K-1"
        raise ValueError(f"{name}: label {label}, but labels must be 0 to {top} for {known}")


def numbered(labels: np.ndarray) -> tuple[str, ...]:
    """Class names "0", "1", ... for labels that came without names."""
    return tuple(map(str, range(int(labels.max()) + 1)))


def read(
    source: Source, images: Decode, i: int, shape: tuple[int, ...] | None = None
) -> dict[str, Any]:
    """Example i, decoded. Raises CorruptExample, or ValueError for a shape other than `shape`."""
    try:
        row = source[i]
    except READ_ERRORS as error:
        raise CorruptExample(source.name(i), f"cannot be read: {error}") from error
    image = images(row["image"], source.name(i))
    if shape is not None and image.shape != tuple(shape):
        what = "channels" if image.shape[:2] == tuple(shape)[:2] else "size"
        raise ValueError(
            f"images differ in shape: {source.name(i)} is {image.shape}, others are "
            f"{tuple(shape)}. Set {what} so that all come out alike: Images({what}=...), on the "
            f"command line --reader.{what}"
        )
    if "label" in row:
        check_label(row["label"], source.classes, source.name(i))
    return row | {"image": image}


def first_good(source: Source, images: Decode) -> dict[str, Any]:
    """The first example that can be decoded, which gives shape and leaves."""
    reasons = []
    for i in range(min(len(source), 100)):
        try:
            return read(source, images, i)
        except CorruptExample as error:
            reasons.append(str(error))
    raise ValueError(
        f"{source!r}: none of the first {len(reasons)} examples can be decoded:\n  "
        + "\n  ".join(reasons[:5])
    )


def check_corrupt(skipped: Sequence[str], size: int) -> None:
    """Raises ValueError with the list where more than 1% of the examples are corrupt."""
    if len(skipped) > MAX_CORRUPT * size:
        more = f"\n  and {len(skipped) - 20} more" if len(skipped) > 20 else ""
        raise ValueError(
            f"{len(skipped)} of {size} examples are corrupt, more than {MAX_CORRUPT:.0%}: repair "
            "or remove them\n  " + "\n  ".join(skipped[:20]) + more
        )


def in_memory(source: Source, images: Decode) -> Arrays:
    """All of `source`, decoded by threads; corrupt examples are left out, counted and named.

    Small images cost about 0.15 ms each whatever the number of threads, most of it spent by Pillow
    in Python on the header; large ones scale with the cores.
    """
    first = first_good(source, images)
    shape, size = first["image"].shape, len(source)
    store = np.empty((size, *shape), np.uint8)
    labels = np.zeros(size, np.int32) if "label" in first else None

    def load(i: int) -> str | None:
        try:
            row = read(source, images, i, shape)
        except CorruptExample as error:
            return str(error)
        store[i] = row["image"]
        if labels is not None:
            labels[i] = row["label"]
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = list(pool.map(load, range(size)))
    skipped = [reason for reason in reasons if reason is not None]
    check_corrupt(skipped, size)
    rows = {"image": store} | ({} if labels is None else {"label": labels})
    if skipped:
        log.warning(
            "left out %d corrupt example(s) of %d: %s", len(skipped), size, "; ".join(skipped[:10])
        )
        good = np.array([reason is None for reason in reasons])
        rows = {key: value[good] for key, value in rows.items()}
    return Arrays(rows, classes=source.classes, skipped=skipped)
