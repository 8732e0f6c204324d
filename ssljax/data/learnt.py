"""What a reader learns from the training data, kept in the run folder as a small JSON file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from ssljax.data.dataset import Dataset, Rows, Spec
from ssljax.data.split_names import normal
from ssljax.files import read_json, write_json

_TRAINED = ("saved.json", "results.json", "checkpoints", "data.json")


def learnt(folder: Path | None, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What lies in `folder` under `name`; else what `make` finds in the training data, which is
    written there, but for a run of an older version, which was trained without the file.

    Raises: ValueError where the file is damaged.
    """
    if folder is None:
        return make()
    file = Path(folder) / name
    if file.is_file():
        return read_json(file, dict, remedy="Put back a copy of it: the run was trained with it")
    found = make()
    if not _has_trained(file.parent):
        write_json(file, found)
    return found


def _has_trained(folder: Path) -> bool:
    return any((folder / name).exists() for name in _TRAINED) or any(folder.glob("seed*"))


class Scaled(Protocol):
    """A reader that can read by what was learned from other data: a `Reader`, and two more."""

    plain_name: ClassVar[str]

    def splits(self, spec: str) -> tuple[str, ...]: ...

    def shapes(self) -> Spec | None: ...

    def plain(self, rows: Rows) -> np.ndarray: ...

    def scaled(self, spec: str, split: str, known: dict[str, Any] | None) -> Dataset:
        """A split as the data was read from which `known` was learned; None: from `spec` itself."""
        ...

    def given(self, values: Sequence[Any], known: dict[str, Any], like: Spec | None) -> Rows:
        """Rows of examples from Python."""
        ...


class Prepared:
    """A reader with what it has learned: it reads any data as it read the data of its run."""

    def __init__(self, reader: Scaled, known: dict[str, Any]) -> None:
        self.reader, self.known, self.plain_name = reader, known, reader.plain_name
        self.splits, self.shapes, self.plain = reader.splits, reader.shapes, reader.plain

    def prepared(self, spec: str, folder: Path | None = None) -> "Prepared":
        """Itself."""
        del spec, folder
        return self

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Dataset:
        """As `load` of the reader; data without what is to be predicted is read without labels."""
        del in_memory_bytes, workers
        return self.reader.scaled(spec, normal(split), self.known)

    def rows(self, values: Sequence[Any], *, like: Spec | None = None) -> Rows:
        """Rows of examples from Python: for tables {column: number or text}, for series [T, C]."""
        return self.reader.given(values, self.known, like)
