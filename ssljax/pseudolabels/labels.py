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
from typing import Any, NamedTuple

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ssljax.pseudolabels.cells import is_list, numbers, table_of, texts, wholes
from ssljax.pseudolabels.numbering import Numbering
from ssljax.tasks import OneOf
from ssljax.tasks.cells import lists
from ssljax.tasks.cells import numbers as lists_of_numbers
from ssljax.tasks.target import Array, Target, Targets, count, padded, take

log = logging.getLogger("ssljax")
GIVEN = "given"
"""Provenance of a label that a person gave."""


class Guess(NamedTuple):
    """What a source says about every example of a pool.

    target: the target of each, arrays [N, ...]. confidence: float in [0, 1], [N] or of the parts of
    a target [N, ...]; 0 is an abstention. p: probabilities of the classes [N, K], where the source
    has them, else None.
    """

    target: Targets
    confidence: np.ndarray
    p: np.ndarray | None = None

    @classmethod
    def of(cls, p: np.ndarray) -> "Guess":
        """The most probable class of each row of p [N, K]; a row of zeros abstains."""
        p = np.asarray(p, np.float64)
        return cls(p.argmax(1).astype(np.int32), p.max(1), p)

    def take(self, rows: np.ndarray) -> "Guess":
        """What it says about some of the examples: rows is a mask [N] or row numbers."""
        p = None if self.p is None else np.asarray(self.p)[rows]
        return Guess(take(self.target, rows), np.asarray(self.confidence)[rows], p)

    def whole(self, target: Target) -> "Guess":
        """With one confidence an example [N] in place of those of its parts."""
        m = target.whole(np.asarray(self.confidence), self.target)
        return self._replace(confidence=np.minimum(m, 1))

    def check(self, source: str, target: Target | None = None) -> "Guess":
        """Itself. Raises: ValueError where it is not finite, not in [0, 1], or all of it abstains.

        source: what to call it in the message. target: of this kind must be what does not abstain.
        """
        m = np.asarray(self.confidence)
        if not m.shape or count(self.target) != len(m):
            raise ValueError(
                f"{source}: {count(self.target)} targets and confidences {m.shape} do not fit: "
                "give one confidence an example"
            )
        _in_unit(m.reshape(-1), f"{source}: confidence")
        if not all(np.isfinite(x).all() for x in jax.tree.leaves(self.target)):
            raise ValueError(f"{source}: NaN or infinite targets: look at what makes them")
        if not (m > 0).any():
            raise ValueError(
                f"{source} abstains on all {len(m):,} examples: give it more labels, more rules or "
                "a weaker condition"
            )
        if target is not None:
            try:
                target.verify(take(self.target, m.reshape(len(m), -1).max(1) > 0))
            except ValueError as error:
                raise ValueError(f"{source}: {error}") from None
        return self


@dataclass(frozen=True)
class Labels:
    """Labels of n of the examples of a pool.

    index: int64 [n], which examples, each once. target: arrays [n, ...]. confidence: float32 [n] in
    [0, 1]. weight: likewise, or of the parts of a target [n, ...]. provenance: str [n], "given" for
    true labels. round: int32 [n], the round in which it was made; 0 for given ones.
    """

    index: np.ndarray
    target: Targets
    confidence: np.ndarray
    weight: np.ndarray
    provenance: np.ndarray
    round: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    @classmethod
    def given(cls, index: np.ndarray, target: Targets) -> "Labels":
        """True labels: index [n], targets of n."""
        return cls.made(index, target, np.ones(len(index)), provenance=GIVEN, round=0)

    @classmethod
    def made(
        cls,
        index: np.ndarray,
        target: Targets,
        confidence: np.ndarray,
        *,
        provenance: str,
        round: int,
        weight: np.ndarray | None = None,
    ) -> "Labels":
        """Labels of one source: index [n], targets of n, confidence [n]; weight [n] or of parts."""
        n = len(index)
        return cls(
            index=np.asarray(index, np.int64),
            target=jax.tree.map(_narrow, target) if isinstance(target, dict) else _narrow(target),
            confidence=np.asarray(confidence, np.float32),
            weight=np.ones(n, np.float32) if weight is None else np.asarray(weight, np.float32),
            provenance=np.full(n, provenance, object),
            round=np.full(n, round, np.int32),
        )

    @property
    def is_given(self) -> np.ndarray:
        """bool [n]: true labels."""
        return self.provenance == GIVEN

    @property
    def is_used(self) -> np.ndarray:
        """bool [n]: some part of it has a weight above 0."""
        parts = tuple(range(1, len(self.weight.shape)))
        return np.any(self.weight > 0, axis=parts)

    def take(self, rows: np.ndarray) -> "Labels":
        """Some of them: rows is a mask [n] or row numbers."""
        return dataclasses.replace(self, **{n: take(x, rows) for n, x in vars(self).items()})

    def joined(self, others: "Labels", target: Target) -> "Labels":
        """These and others, in the order of the pool. Raises: ValueError where both label one."""
        both = np.intersect1d(self.index, others.index)
        if len(both):
            raise ValueError(f"{len(both)} examples have two labels, first number {both[0]}")
        both = (self, others)
        plain = [f.name for f in dataclasses.fields(self) if f.name not in ("target", "weight")]
        parts: dict[str, Any] = {n: np.concatenate([getattr(x, n) for x in both]) for n in plain}
        parts["target"] = target.join([x.target for x in both])
        parts["weight"] = _weights([x.weight for x in both])
        return Labels(**parts).take(np.argsort(parts["index"]))

    def write(
        self,
        path: Path,
        target: Target,
        numbering: Numbering | None = None,
        about: dict[bytes, bytes] | None = None,
    ) -> None:
        """Writes the whole file or nothing. target: their kind. numbering: how a person calls
        examples and classes; None: by the numbers that they have here. about: metadata of the file.
        """
        if numbering is None:
            numbering = Numbering.plain(1 + int(self.index.max(initial=-1)))
        columns = numbering.columns(self.index, self.target, target)
        columns |= {"confidence": self.confidence, "weight": lists(self.weight)}
        columns["provenance"] = pa.array(list(map(str, self.provenance)), pa.string())
        columns["round"] = self.round
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(path).with_name(Path(path).name + ".tmp")
        table = pa.table(columns)
        pq.write_table(table if about is None else table.replace_schema_metadata(about), fresh)
        os.replace(fresh, path)


def read(
    path: Path,
    *,
    examples: int | Numbering,
    target: Target | None = None,
    classes: int | None = None,
) -> Labels:
    """Labels from a Parquet or CSV file that `Labels.write`, or a person, has written.

    Only an example (index or file) and what it is (target or class) are needed: confidence and
    weight are 1 where they are missing, the provenance is "edited" and the round 0. An empty
    target, -1 where targets are classes, and a weight of 0 are no label. Labels of examples that
    were held out or left out are left out too, and counted.

    Args:
      examples: the pool that they are for, or its size. target: their kind. classes: K, in place
        of the target OneOf(classes=K).
    Raises: ValueError that names file and row for a cell that is no such number, an example or a
      class that does not exist, two labels of one example and numbers outside [0, 1];
      FileNotFoundError.
    """
    if target is None:
        if not classes:
            raise ValueError("say what the labels are: target, or classes")
        target = OneOf(classes=classes)
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
    found, full = pool.targets(table, path, target)
    labels = Labels(
        index=where,
        target=found,
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
    for name in ("confidence", "weight"):
        if len((shares := getattr(labels, name)).shape) > 1:
            try:
                target.whole(shares, found)
            except ValueError as error:
                raise ValueError(f"{path}: {name}: {error}") from None
    labels = _once(labels, np.flatnonzero(full & ~apart), path)
    rejected = ~labels.is_used
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
        said = (*jax.tree.leaves(labels.target), labels.weight)
        if not all(np.array_equal(x[a], x[b]) for x in said):
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
    if is_list(table[name]):  # of the parts of a target
        found = lists_of_numbers(table[name]).astype(np.float32)
        _in_unit(found, f"{path}: {name}")
        return found
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


def every_class(labels: Labels, target: Target, names: tuple[str, ...] | None = None) -> None:
    """Raises ValueError where some class has no labelled example: nothing would ever find it."""
    classes = target.require_classes("every class")
    missing = np.setdiff1d(np.arange(classes), target.hard(labels.target)[labels.is_used])
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


def _narrow(array: Array) -> np.ndarray:
    """Without the digits that no network uses."""
    x = np.asarray(array)
    return x.astype({"int64": np.int32, "float64": np.float32}.get(str(x.dtype), x.dtype))


def _weights(several: list[np.ndarray]) -> np.ndarray:
    """Weights [n] or of parts [n, ...] one after the other. One weight of an example is that of all
    its parts; parts that others have and these have not weigh 0."""
    axes = max(len(w.shape) for w in several)
    several = [w.reshape(w.shape + (1,) * (axes - len(w.shape))) for w in several]
    sizes = tuple(map(max, zip(*(w.shape[1:] for w in several), strict=True)))
    found = []
    for w in several:
        alike = [new if now == 1 else now for now, new in zip(w.shape[1:], sizes, strict=True)]
        found.append(padded(np.broadcast_to(w, (len(w), *alike)), sizes))
    return np.concatenate(found)
