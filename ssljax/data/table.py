"""Tables: one example a row, with numbers and categories in its columns.

    csv:PATH, tsv:PATH    with the names of the columns in the first row; a file, or a folder with
                          files whose names begin with train, validation or test
    sklearn:NAME          what comes with scikit-learn: iris, wine, breast_cancer, diabetes

A row is {"features": float32 [D]} with {"label": int32} where one class is to be predicted, or with
{"value": float32} a number, or {"value": float32 [K]} a set of classes. A column that holds other
things than numbers is a category: one feature for each value of the training split.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from ssljax.data.columns import label_columns
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.documents import document_splits, read_cells
from ssljax.data.labels import Column, classes_of
from ssljax.data.learnt import Prepared, learnt
from ssljax.data.split_names import normal

log = logging.getLogger("ssljax")
FILE = "columns.json"
_TARGETS = ("label", "target", "class")
_SKLEARN = ("iris", "wine", "breast_cancer", "diabetes")
_LARGEST = float(np.finfo(np.float32).max)
_CATEGORIES = 200  # values of a column beyond which it is no category but a text or a number of it

Columns = dict[str, np.ndarray]
"""Cells of each column, str [N], or float64 [N] where they are known to be numbers."""


class Cells(NamedTuple):
    """A split. names: what a person calls each row; where: what a message calls it."""

    columns: Columns
    names: list[str]
    where: list[str]


@dataclass(frozen=True, kw_only=True)
class Table:
    """How the rows of a table become examples."""

    plain_name: ClassVar[str] = "columns"

    kind: Literal["class", "value", "set"] = "class"
    """What is predicted: one class, a number, or a set: columns of 0 and 1."""
    target: tuple[str, ...] = ()
    """The column to predict, for a set those of all its classes; (): the one that is called label,
    target, class or alike."""
    drop: tuple[str, ...] = ()
    """Columns that are left out, such as numbers of the rows."""
    standardize: bool = True
    """Every number less its mean, over its spread, in the training split."""

    def __post_init__(self) -> None:
        if self.kind not in ("class", "value", "set"):
            raise ValueError(f"kind {self.kind!r}: choose class, value or set")
        if self.kind == "set" and not self.target:
            raise ValueError("a set needs the names of its columns: --reader.target A B C")
        if len(set(self.target)) < len(self.target):
            raise ValueError(f"a column is named twice: --reader.target {' '.join(self.target)}")
        if self.kind != "set" and len(self.target) > 1:
            raise ValueError(f"kind {self.kind} has one target, not {', '.join(self.target)}")

    def prepared(self, spec: str, folder: Any = None) -> "Table | Prepared":
        """With spreads and categories of the training split of `spec`, kept in `folder`; itself
        without a folder: it then reads them from whatever data it is given.
        """
        if folder is None:
            return self
        known = learnt(folder, FILE, lambda: {"columns": self._learn(spec)})
        return Prepared(self, known["columns"])

    def _learn(self, spec: str) -> dict[str, Any]:
        """What each column of the training split is: mean and spread, or its values."""
        offered = self.splits(spec)
        first = _cells(spec, "train" if "train" in offered else offered[0]).columns
        targets = self._targets(spec, first)
        used = [name for name in first if name not in (*targets, *self.drop)]
        return {name: self._column(spec, name, first[name]) for name in used}

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return ("train",) if spec.startswith("sklearn:") else document_splits(spec)

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Arrays:
        """A split of `spec`. Raises: ValueError or FileNotFoundError that say what to do."""
        del in_memory_bytes, workers
        return self.scaled(spec, split, None)

    def scaled(self, spec: str, split: str, known: dict[str, Any] | None) -> Arrays:
        """A split by the columns of other data, see `prepared`; None: those of `spec` itself."""
        tables = {s: _cells(spec, s) for s in self.splits(spec)}
        split = normal(split)
        if split not in tables:  # a split that the spec names; else this says what is missing
            tables[split] = _cells(spec, split)
        here, names, _ = tables[split]
        targets = self._targets(spec, here, needed=known is None)
        used = [name for name in here if name not in (*targets, *self.drop)]
        if not used:
            raise ValueError(f"{spec} has no columns beside {', '.join(targets)}")
        if known is None:
            first = tables["train"].columns if "train" in tables else here
            known = {n: self._column(spec, n, first[n]) for n in used if n in first}
        rows: Rows = {"features": self.features(spec, {n: here[n] for n in used}, known)}
        if not targets:
            return Arrays(rows, names=names)
        if self.kind == "class":
            columns = {
                s: Column(t.columns[targets[0]], t.where.__getitem__)
                for s, t in tables.items()
                if targets[0] in t.columns
            }
            labels, classes = classes_of(columns, split, place=spec)
            if labels is not None:
                rows["label"] = labels
            return Arrays(rows, classes=classes, names=names)
        values = np.stack([_numbers(spec, name, here[name]) for name in targets], axis=1)
        if self.kind == "set" and not np.isin(values, (0, 1)).all():
            raise ValueError(f"{spec}: the columns of a set hold 0 and 1 only")
        rows["value"] = (values if self.kind == "set" else values[:, 0]).astype(np.float32)
        return Arrays(rows, names=names)

    def shapes(self) -> Spec | None:
        """None: the number of features is in the data."""
        return None

    def plain(self, rows: Rows) -> np.ndarray:
        """The features themselves [B, D]."""
        return np.asarray(rows["features"], np.float32)

    def _targets(self, spec: str, columns: Columns, *, needed: bool = True) -> tuple[str, ...]:
        named = tuple(n for n in columns if n.lower() in _TARGETS) or label_columns(list(columns))
        if not self.target and len(named) > 1:
            raise ValueError(
                f"{spec} has several columns that may be predicted, {', '.join(named)}: name one "
                "with --reader.target, and leave the other out with --reader.drop"
            )
        found = self.target or tuple(named)
        if not needed and not any(name in columns for name in found):
            return ()
        missing = [name for name in (*found, *self.drop) if name not in columns]
        if missing or not found:
            what = f"no column {missing[0]!r}" if missing else "no column label, target or class"
            raise ValueError(
                f"{spec} has {what}, only {', '.join(columns)}: name what to predict with "
                "--reader.target NAME"
            )
        return found

    def _column(self, spec: str, name: str, cells: np.ndarray) -> dict[str, Any]:
        """What a column of the training split is. Raises: ValueError for too many categories."""
        if _is_numbers(cells):
            x = _numbers(spec, name, cells)
            if not self.standardize:
                return {"mean": 0.0, "std": 1.0}
            return {"mean": float(x.mean()), "std": float(max(x.std(), 1e-8))}
        values = np.unique(cells)
        if len(values) > _CATEGORIES:
            raise ValueError(
                f"{spec}: column {name!r} holds {len(values):,} different values, which is no "
                f"category: leave it out with --reader.drop {name}"
            )
        return {"values": values.tolist()}

    def given(
        self, values: Sequence[dict[str, Any]], known: dict[str, Any], like: Spec | None
    ) -> Rows:
        """{"features": float32 [N, D]} of rows {column: number or text}."""
        del like
        columns = {n: np.array([row[n] for row in values]) for n in values[0] if n in known}
        return {"features": self.features("these rows", columns, known)}

    def features(self, spec: str, columns: Columns, known: dict[str, Any]) -> np.ndarray:
        """float32 [N, D] of columns. Raises: ValueError where there are others than in training."""
        for name in columns:
            if name not in known:
                raise ValueError(f"{spec}: the training split has no column {name!r}")
        if missing := [name for name in known if name not in columns]:
            raise ValueError(f"{spec} has no column {missing[0]!r}, which the training data has")
        parts = []
        for name, what in known.items():
            if "values" in what:
                alike = columns[name][:, None].astype(str) == np.array(what["values"], str)
                if strange := int((~alike.any(axis=1)).sum()):
                    log.warning(
                        "%s: in %d rows the category of column %r is none of the training data",
                        *(spec, strange, name),
                    )
                parts.append(alike)
            else:
                x = _numbers(spec, name, columns[name])
                parts.append(((x - what["mean"]) / what["std"])[:, None])
        return np.concatenate([p.astype(np.float64) for p in parts], axis=1).astype(np.float32)


def _cells(spec: str, split: str) -> Cells:
    """The cells of a split by column, in the order of the file."""
    kind, _, name = spec.partition(":")
    if kind == "sklearn":
        return _bundled(name, split)
    found: dict[str, list[str]] = {}
    called: list[str] = []
    where: list[str] = []
    for file, cells in read_cells(spec, split=split):
        if len(cells) < 2:
            raise ValueError(f"{file} holds no examples: it needs a row of names, and others below")
        (_, head), *rows = cells
        names = [cell.strip() for cell in head]
        if len(set(names)) < len(names):
            raise ValueError(f"{file}: two columns have one name in the first row: {names}")
        if found and set(names) != set(found):
            raise ValueError(f"{file} has other columns than the files before it: {names}")
        for line, row in rows:
            if len(row) != len(names):
                raise ValueError(f"{file}: row {line} has {len(row)} cells, the first {len(names)}")
            for column, cell in zip(names, row, strict=True):
                found.setdefault(column, []).append(cell.strip())
            called.append(f"{file.name}:{line}")
            where.append(f"{file}, line {line}")
    return Cells({column: np.array(cells) for column, cells in found.items()}, called, where)


def _bundled(name: str, split: str) -> Cells:
    if name not in _SKLEARN:
        raise ValueError(f"there is no sklearn:{name}: choose {', '.join(_SKLEARN)}")
    if split != "train":
        raise ValueError(f"sklearn:{name} has no split {split!r}: it has train")
    from sklearn import datasets  # takes seconds

    data = getattr(datasets, f"load_{name}")()
    columns = {str(n): data.data[:, i] for i, n in enumerate(data.feature_names)}
    named = "target_names" in data  # classes
    columns["target"] = np.array(data.target_names)[data.target] if named else data.target
    called = [f"{name}[{i}]" for i in range(len(data.target))]
    return Cells(columns, called, called)


def _is_numbers(cells: np.ndarray) -> bool:
    """Whether most cells are numbers: a few that are not are mistakes, and `_numbers` says so."""
    if np.issubdtype(cells.dtype, np.number):
        return True
    return bool(np.mean([_number(cell) is not None for cell in cells]) > 0.5)


def _numbers(spec: str, name: str, cells: np.ndarray) -> np.ndarray:
    """float64 [N]. Raises: ValueError that names the row of a cell that is no finite number."""
    if np.issubdtype(cells.dtype, np.number):
        return cells.astype(np.float64)
    values = [_number(cell) for cell in cells]
    if None in values:
        i = values.index(None)
        raise ValueError(
            f"{spec}: column {name!r} holds {str(cells[i])!r} in example {i + 1}, which is no "
            f"number: fill it in, or leave the column out with --reader.drop {name}"
        )
    return np.array(values, np.float64)


def _number(cell: str) -> float | None:
    try:
        value = float(cell) if "_" not in cell else math.nan  # Python reads 1_0 as 10
    except ValueError:
        return None
    return value if abs(value) <= _LARGEST else None
