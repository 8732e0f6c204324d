"""Pseudo-labels as a table: a target with a confidence and a weight, and where it comes from.

On disk it is a Parquet file that any tool opens: one row an example, with the columns index, file,
target, class, confidence, weight, provenance and round. Index, file and class are those of the data
as a person sees it (`numbering`). Whoever edits it may change a class, set a weight to 0 or drop
rows; `read` checks what comes back.
"""

import dataclasses
import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ssljax.pseudolabels.cells import numbers, table_of, texts, wholes
from ssljax.pseudolabels.numbering import Numbering

log = logging.getLogger("ssljax")
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

    def write(self, path: Path, numbering: Numbering | None = None) -> None:
        """Writes the whole file or nothing. numbering: how a person calls examples and classes;
        None: by the numbers that they have here.
        """
        if numbering is None:
            numbering = Numbering.plain(1 + int(self.index.max(initial=-1)))
        columns = numbering.columns(self.index, self.target)
        columns |= {"confidence": self.confidence, "weight": self.weight}
        columns["provenance"] = pa.array(list(map(str, self.provenance)), pa.string())
        columns["round"] = self.round
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(path).with_name(Path(path).name + ".tmp")
        pq.write_table(pa.table(columns), fresh)
        os.replace(fresh, path)


def read(path: Path, *, examples: int | Numbering, classes: int | None = None) -> Labels:
    """Labels from a Parquet or CSV file that `Labels.write`, or a person, has written.

    Only an example (index or file) and what it is (target or class) are needed: confidence and
    weight are 1 where they are missing, the provenance is "edited" and the round 0. An empty
    target, -1 where targets are classes, and a weight of 0 are no label. Labels of examples that
    were held out or left out are left out too, and counted.

    Args:
      examples: the pool that they are for, or its size. classes: K, where targets are classes.
    Raises: ValueError that names file and row for a cell that is no such number, an example or a
      class that does not exist, two labels of one example and numbers outside [0, 1];
      FileNotFoundError.
    """
    table, pool = table_of(path), examples
    if not isinstance(pool, Numbering):
        pool = Numbering.plain(pool)
    for names in (("index", "file"), ("target", "class")):
        if not set(names) & set(table.column_names):
            raise ValueError(
                f"{path} has no column {' and no column '.join(names)}, only "
                f"{', '.join(table.column_names)}: labels need one of each"
            )
    where = pool.examples(table, path)
    target, full = pool.targets(table, path, classes)
    labels = Labels(
        index=where,
        target=target,
        confidence=_share(table, "confidence", path),
        weight=_share(table, "weight", path),
        provenance=np.array(_optional(table, "provenance", "edited"), object),
        round=wholes(table["round"], f"{path}: round")[0].astype(np.int32)
        if "round" in table.column_names
        else np.zeros(table.num_rows, np.int32),
    )
    apart = full & (where < 0)
    if apart.any():
        log.warning(
            "%s: %d of its %d labels are of examples that were held out for testing or left out, "
            "and are not used", path, apart.sum(), full.sum()
        )  # fmt: skip
    labels = _once(labels, np.flatnonzero(full & ~apart), path)
    rejected = labels.weight == 0
    if rejected.all():
        raise ValueError(
            f"{path} holds no labels that can be used: of {table.num_rows:,} rows {(~full).sum():,}"
            f" have no target, {apart.sum():,} are held out or left out, and {rejected.sum():,} "
            "have weight 0"
        )
    return labels.take(~rejected)


def _once(labels: Labels, rows: np.ndarray, path: Path) -> Labels:
    """These rows in the order of the pool, each example once."""
    rows = rows[np.argsort(labels.index[rows], kind="stable")]
    twice = np.flatnonzero(np.diff(labels.index[rows]) == 0)
    for a, b in zip(rows[twice], rows[twice + 1]):
        same = np.array_equal(labels.target[a], labels.target[b])
        if not same or labels.weight[a] != labels.weight[b]:
            raise ValueError(
                f"{path}, rows {a + 1} and {b + 1}: one example has two labels that contradict "
                "each other: keep one"
            )
    if len(twice):
        log.info("%s: %d rows say the same of an example again", path, len(twice))
    return labels.take(np.delete(rows, twice + 1))


def _share(table: pa.Table, name: str, path: Path) -> np.ndarray:
    """A column of numbers in [0, 1]; 1 where it is missing."""
    if name not in table.column_names:
        return np.ones(table.num_rows, np.float32)
    found, full = numbers(table[name], f"{path}: {name}")
    x = np.asarray(found, np.float64)
    bad = ~full | ~(np.isfinite(x) & (x >= 0) & (x <= 1 + 1e-6))
    if bad.any():
        i = int(bad.argmax())
        said = x[i] if full[i] else "an empty cell"
        raise ValueError(
            f"{path}, row {i + 1}: {name} {said} is not in [0, 1] ({bad.sum()} of {len(x)} are not)"
        )
    return x.astype(np.float32)


def _optional(table: pa.Table, name: str, default: str) -> list[str]:
    if name not in table.column_names:
        return [default] * table.num_rows
    return [default if x is None else x for x in texts(table[name])]


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
