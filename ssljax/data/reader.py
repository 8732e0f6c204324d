"""What knows a modality: `Experiment.reader`, and nothing else in the runner.

`Images` is the reader of pictures; `Captions` and `Matched` read pairs. A reader is a frozen
dataclass of settings, recorded with the run; what it learns from the data, such as a tokenizer,
lies in files of the run folder.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeGuard

import numpy as np

from ssljax.data.dataset import Dataset, Rows, Spec


class Reader(Protocol):
    """How the examples of one modality come out of storage."""

    plain_name: ClassVar[str]
    """What `plain` gives, as results call it: pixels, bag of words, log-mel statistics."""

    def prepared(self, spec: str, folder: Path | None) -> "Reader":
        """The reader with what it learns from the training data `spec`, read from `folder` where it
        lies there already, and else written there. Readers that learn nothing return themselves.
        """
        ...

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers, of train, validation and test."""
        ...

    def load(self, spec: str, *, split: str, in_memory_bytes: int, workers: int) -> Dataset:
        """A split as a data set. One of pairs may have `prompts`,
        a data set of one side alone with labels: all that stands for a class in zero-shot
        classification (`Captions`, `Matched`).
        """
        ...

    def shapes(self) -> Spec | None:
        """Leaves of an example beside label and index, or None where only the data tells."""
        ...

    def plain(self, rows: Rows) -> np.ndarray:
        """The plainest features [B, D] of a batch, float32: what every encoder has to beat."""
        ...


class ReaderOfValues(Reader, Protocol):
    """A reader that makes rows of examples in Python too, such as arrays of pixels or texts. One
    without `rows` reads data by its name alone, and an encoder takes the leaves of a batch instead.
    """

    def rows(self, values: Sequence[Any], *, like: Spec | None = None) -> Rows:
        """Rows of n examples. like: of the data that was learned from, for what only it tells.

        Raises: ValueError for examples that are of another kind.
        """
        ...


def reads_values(reader: Any) -> TypeGuard[ReaderOfValues]:
    """Whether a reader has `rows`."""
    return hasattr(reader, "rows")


class ReaderOfClasses(Reader, Protocol):
    """A reader that opens the training data to learn what its classes are called, unless it is
    told. One without `with_classes` asks for no such names.
    """

    def with_classes(self, classes: tuple[str, ...]) -> Reader:
        """The reader that knows the classes of the training data."""
        ...


def asks_classes(reader: Any) -> TypeGuard[ReaderOfClasses]:
    """Whether a reader has `with_classes`."""
    return hasattr(reader, "with_classes")


class ReaderOfTime(Reader, Protocol):
    """A reader of what lasts, such as recordings. One without `durations` reads what does not."""

    def durations(self, rows: Rows) -> np.ndarray:
        """Seconds of each row, float [N]."""
        ...


def tells_time(reader: Any) -> TypeGuard[ReaderOfTime]:
    """Whether a reader has `durations`."""
    return hasattr(reader, "durations")
