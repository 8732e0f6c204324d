"""Pseudo-labels as a table: a target with a confidence and a weight, and where it comes from.

On disk it is a Parquet file that any tool opens: one row an example, with the columns index,
target, confidence, weight, provenance and round. Whoever edits it may set a target, set a weight to
0 or drop rows; `read` checks what comes back.
"""

import dataclasses
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_COLUMNS = ("index", "target", "confidence", "weight", "provenance", "round")
GIVEN = "given"
"""Provenance of a label that a person gave."""


class Guess(NamedTuple):
    """What a source says about every example of a pool.

    target: [N, ...], the target of each. confidence: float [N] in [0, 1]; 0 is an abstention.
    p: probabilities of the classes [N, K], where the source has them, else None.
    """

    target: np.ndarray
    confidence: np.ndarray
    p: np.ndarray | None = None

    @classmethod
    def of(cls, p: np.ndarray) -> "Guess":
        """The most probable class of each row of p [N, K]; a row of zeros abstains."""
        p = np.asarray(p, np.float64)
        return cls(p.argmax(1).astype(np.int32), p.max(1), p)

    def check(self, source: str) -> "Guess":
        """Itself. Raises: ValueError where it is not finite, not in [0, 1], or all of it abstains.

        source: what to call it in the message.
        """
        m = np.asarray(self.confidence)
        if m.ndim != 1 or len(self.target) != len(m):
            raise ValueError(
                f"{source}: targets {np.shape(self.target)} and confidences {m.shape} do not fit: "
                "give one confidence an example"
            )
        _in_unit(m, f"{source}: confidence")
        if not np.isfinite(np.asarray(self.target, np.float64)).all():
            raise ValueError(f"{source}: NaN or infinite targets: look at what makes them")
        if not (m > 0).any():
            raise ValueError(
                f"{source} abstains on all {len(m):,} examples: give it more labels, more rules or "
                "a weaker condition"
            )
        return self


@dataclass(frozen=True)
class Labels:
    """Labels of n of the examples of a pool.

    index: int64 [n], which examples, each once. target: int32 [n] classes, or float32 [n, ...].
    confidence, weight: float32 [n] in [0, 1]. provenance: str [n], "given" for true labels.
    round: int32 [n], the round in which it was made; 0 for given ones.
    """

    index: np.ndarray
    target: np.ndarray
    confidence: np.ndarray
    weight: np.ndarray
    provenance: np.ndarray
    round: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    @classmethod
    def given(cls, index: np.ndarray, target: np.ndarray) -> "Labels":
        """True labels: index [n], target [n, ...]."""
        return cls.made(index, target, np.ones(len(index)), provenance=GIVEN, round=0)

    @classmethod
    def made(
        cls,
        index: np.ndarray,
        target: np.ndarray,
        confidence: np.ndarray,
        *,
        provenance: str,
        round: int,
        weight: np.ndarray | None = None,
    ) -> "Labels":
        """Labels of one source: index [n], target [n, ...], confidence and weight [n]."""
        n, target = len(index), np.asarray(target)
        whole = np.issubdtype(target.dtype, np.integer)
        return cls(
            index=np.asarray(index, np.int64),
            target=target.astype(np.int32 if whole else np.float32),
            confidence=np.asarray(confidence, np.float32),
            weight=np.ones(n, np.float32) if weight is None else np.asarray(weight, np.float32),
            provenance=np.full(n, provenance, object),
            round=np.full(n, round, np.int32),
        )

    @property
    def is_given(self) -> np.ndarray:
        """bool [n]: true labels."""
        return self.provenance == GIVEN

    def take(self, rows: np.ndarray) -> "Labels":
        """Some of them: rows is a mask [n] or row numbers."""
        names = (f.name for f in dataclasses.fields(self))
        return Labels(**{name: getattr(self, name)[rows] for name in names})

    def joined(self, others: "Labels") -> "Labels":
        """These and others, in the order of the pool. Raises: ValueError where both label one."""
        both = np.intersect1d(self.index, others.index)
        if len(both):
            raise ValueError(f"{len(both)} examples have two labels, first number {both[0]}")
        if len(self) and len(others) and self.target.shape[1:] != others.target.shape[1:]:
            # Classes beside probabilities of classes: the same thing, written in two ways.
            width = max(self.target, others.target, key=np.ndim).shape[1]
            return self.soft(width).joined(others.soft(width))
        names = [f.name for f in dataclasses.fields(self)]
        parts = {n: np.concatenate([getattr(self, n), getattr(others, n)]) for n in names}
        return Labels(**parts).take(np.argsort(np.concatenate([self.index, others.index])))

    def soft(self, classes: int) -> "Labels":
        """With classes written as probabilities [n, classes]."""
        if self.target.ndim == 2:
            return self
        return dataclasses.replace(self, target=np.eye(classes, dtype=np.float32)[self.target])

    def hard(self) -> np.ndarray:
        """Classes [n] where the targets are classes or probabilities of them."""
        return self.target if self.target.ndim == 1 else self.target.argmax(1).astype(np.int32)

    def write(self, path: Path) -> None:
        """Writes the whole file or nothing."""
        target = self.target
        columns = {name: getattr(self, name) for name in _COLUMNS}
        columns["target"] = pa.array(target if target.ndim == 1 else list(map(list, target)))
        columns["provenance"] = pa.array(list(map(str, self.provenance)), pa.string())
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(path).with_name(Path(path).name + ".tmp")
        pq.write_table(pa.table(columns), fresh)
        os.replace(fresh, path)


def read(path: Path, *, examples: int, classes: int | None = None) -> Labels:
    """Labels from a Parquet file that `Labels.write`, or a person, has written.

    Only index and target are needed: confidence and weight are 1 where they are missing, the
    provenance is "edited" and the round 0.

    Args:
      examples: size of the pool that they are for. classes: K, where targets are classes.
    Raises: ValueError for a file that cannot be read or lacks a column, for labels of other
      examples, two labels of one example, classes that do not exist, and numbers outside [0, 1].
    """
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a readable Parquet file of labels: {error}") from error
    missing = [c for c in ("index", "target") if c not in table.column_names]
    if missing:
        raise ValueError(
            f"{path} has no column {' and no column '.join(missing)}, only "
            f"{', '.join(table.column_names)}: labels need index and target"
        )
    empty = [c for c in table.column_names if c in _COLUMNS and table[c].null_count]
    if empty:
        raise ValueError(f"{path}: column {empty[0]} has empty cells: fill them or drop the rows")
    n = table.num_rows
    defaults = {
        "confidence": np.ones(n, np.float32),
        "weight": np.ones(n, np.float32),
        "provenance": np.full(n, "edited", object),
        "round": np.zeros(n, np.int32),
    }
    found = {c: _column(table, c, path) for c in _COLUMNS if c in table.column_names}
    labels = Labels(**{name: found.get(name, defaults.get(name)) for name in _COLUMNS})
    labels = dataclasses.replace(labels, index=labels.index.astype(np.int64))
    check(labels, examples=examples, classes=classes, name=str(path))
    return labels.take(np.argsort(labels.index))


def _column(table: pa.Table, name: str, path: Path) -> np.ndarray:
    column = table[name].combine_chunks()
    if name == "provenance":
        return np.array([str(x) for x in column.to_pylist()], object)
    kind, want = column.type, {"index": np.int64, "round": np.int32}.get(name, np.float32)
    try:
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return np.array(column.to_pylist(), np.float32)
        if name == "target" and pa.types.is_integer(kind):
            want = np.int32
        return column.to_numpy(zero_copy_only=False).astype(want)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: column {name} does not hold numbers: {error}") from error


def check(labels: Labels, *, examples: int, classes: int | None, name: str) -> None:
    """Raises ValueError where the labels do not fit a pool of so many examples and classes."""
    if not len(labels):
        raise ValueError(f"{name} holds no labels")
    if labels.index.min() < 0 or labels.index.max() >= examples:
        bad = labels.index[(labels.index < 0) | (labels.index >= examples)]
        raise ValueError(
            f"{name}: {len(bad)} labels are of other examples, first number {bad[0]}: this data "
            f"has the numbers 0 to {examples - 1}"
        )
    values, counts = np.unique(labels.index, return_counts=True)
    if counts.max() > 1:
        raise ValueError(f"{name}: example {values[counts.argmax()]} has two labels: keep one")
    for column in ("confidence", "weight"):
        _in_unit(getattr(labels, column), f"{name}: {column}")
    target = labels.target
    if not np.isfinite(np.asarray(target, np.float64)).all():
        raise ValueError(f"{name}: NaN or infinite targets")
    if classes is not None and target.ndim == 1 and np.issubdtype(target.dtype, np.integer):
        bad = target[(target < 0) | (target >= classes)]
        if len(bad):
            raise ValueError(
                f"{name}: target {bad[0]}, but there are {classes} classes, 0 to {classes - 1}"
            )


def every_class(labels: Labels, classes: int, names: tuple[str, ...] | None = None) -> None:
    """Raises ValueError where some class has no labelled example: nothing would ever find it."""
    missing = np.setdiff1d(np.arange(classes), labels.hard()[labels.weight > 0])
    if len(missing):
        said = ", ".join(names[c] if names else str(c) for c in missing[:5])
        raise ValueError(
            f"no labelled example of {len(missing)} of {classes} classes ({said}): label at least "
            "one of each, or leave the class out"
        )


def fingerprint(path: Path) -> str:
    """What tells whether a file was edited: its SHA-256."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _in_unit(x: np.ndarray, name: str) -> None:
    bad = ~(np.isfinite(x) & (x >= 0) & (x <= 1 + 1e-6))
    if bad.any():
        raise ValueError(
            f"{name} {np.asarray(x)[bad][0]} is not in [0, 1] ({bad.sum()} of {len(x)} are not): "
            "give probabilities"
        )
