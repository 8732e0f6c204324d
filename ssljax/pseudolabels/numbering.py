"""One numbering: a file of labels means the data as a person sees it, whatever a run left out.

An example is called by its row in the data, before anything was held out or left out, and by its
name; a class by its name, and by the number that the data itself has for it. Names decide, and what
contradicts them is an error.
"""

import difflib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow as pa

from ssljax.pseudolabels.cells import (
    is_list,
    is_number,
    is_text,
    labels_of,
    rows_of_numbers,
    table_of,
    texts,
    wholes,
)
from ssljax.tasks.target import Target, Targets

log = logging.getLogger("ssljax")


@dataclass(frozen=True)
class Numbering:
    """How a person calls the N examples of a pool and the K classes."""

    origin: np.ndarray
    """int64 [N], the row of each example in the data, before anything was held out or left out."""
    size: int
    """Rows of that data; at least the largest of `origin` plus 1."""
    names: Sequence[str] | None = None
    """What a person calls each example, or None."""
    classes: tuple[str, ...] | None = None
    """Names of the classes, where targets are classes."""
    apart: frozenset[str] = frozenset()
    """Names of examples that the data has and the pool has not: held out, or not readable."""

    @classmethod
    def plain(cls, size: int, *, classes: tuple[str, ...] | None = None) -> "Numbering":
        """Examples 0 to size - 1 without names."""
        return cls(np.arange(size), size, classes=classes)

    @classmethod
    def of(
        cls, data: Any, *, classes: tuple[str, ...] | None = None, held_out: Any = None
    ) -> "Numbering":
        """Of a data set in memory. held_out: what was held out of the same data, or None."""
        parts = [data] if held_out is None else [data, held_out]
        size = sum(map(len, parts)) + len(data.skipped)
        size = max(size, *(1 + int(part.origin.max()) for part in parts))
        apart = {str(reason).split(": ")[0] for reason in data.skipped}
        apart |= (
            set() if held_out is None or held_out.names is None else set(map(str, held_out.names))
        )
        return cls(np.asarray(data.origin), size, data.names, classes, frozenset(apart))

    def __len__(self) -> int:
        return len(self.origin)

    def columns(self, index: np.ndarray, target: Targets, kind: Target) -> dict[str, Any]:
        """The columns index, file, target and, of classes, class of labels of the pool's examples
        `index`. kind: of the targets."""
        names = [None] * len(index) if self.names is None else [str(self.names[i]) for i in index]
        found = {"index": self.origin[index], "file": pa.array(names, pa.string())}
        if not kind.has_classes():
            return found | {"target": kind.column(target)}
        hard = kind.hard(target)
        own = self._own if target is hard else None
        found["target"] = kind.column(target) if own is None else own[hard]
        if self.classes is not None:
            found["class"] = pa.array([self.classes[k] for k in hard], pa.string())
        return found

    def examples(self, table: pa.Table, path: Path) -> np.ndarray:
        """int64 [n]: the example of the pool that each row names, -1 for one that is apart.

        Raises: ValueError that names the row which names no example, or two.
        """
        at = np.full(self.size, -1, np.int64)
        at[self.origin] = np.arange(len(self))
        index, said = np.zeros(table.num_rows, np.int64), np.zeros(table.num_rows, bool)
        if "index" in table.column_names:
            index, said = wholes(table["index"], f"{path}: index")
            bad = said & ((index < 0) | (index >= self.size))
            if bad.any():
                i = int(bad.argmax())
                raise ValueError(
                    f"{path}, row {i + 1}: index {index[i]}, but this data has the numbers 0 to "
                    f"{self.size - 1} ({bad.sum():,} of {len(bad):,} rows are such)"
                )
        files = texts(table["file"]) if "file" in table.column_names else [None] * len(index)
        named = np.array([f is not None for f in files], bool)
        if named.any() and self.names is None:
            if not said[named].all():
                i = int((named & ~said).argmax())
                raise ValueError(f"{path}, row {i + 1}: give an index, these examples have no name")
            log.info("%s: its examples are told by index, this data has no names", path)
            named[:] = False
        if not (said | named).all():
            i = int((~(said | named)).argmax())
            raise ValueError(f"{path}, row {i + 1}: names no example, by index or file")
        found = at[np.where(said, index, 0)]
        for i in np.flatnonzero(named).tolist():
            found[i] = self._named(str(files[i]), int(index[i]) if said[i] else None, path, i + 1)
        return found

    def _named(self, name: str, index: int | None, path: Path, row: int) -> int:
        here = self._places.get(name, [])
        if index is not None and here:
            here = [i for i in here if self.origin[i] == index]
            if not here:
                rows = ", ".join(str(self.origin[i]) for i in self._places[name][:3])
                raise ValueError(
                    f"{path}, row {row}: file {name!r} is example {rows}, but index says {index}: "
                    "correct one of them, or leave the index empty"
                )
        if len(here) == 1:
            return here[0]
        if here:
            raise ValueError(
                f"{path}, row {row}: {len(here)} examples are called {name!r}: give an index"
            )
        if name in self.apart or any(other.endswith(f"/{name}") for other in self.apart):
            return -1
        near = difflib.get_close_matches(name, list(self._places)[:20_000], n=1)
        raise ValueError(
            f"{path}, row {row}: this data has no example {name!r}"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for i, name in enumerate(() if self.names is None else self.names):
            found.setdefault(str(name), []).append(i)
        return found

    @cached_property
    def _known(self) -> dict[str, int]:
        return {name: k for k, name in enumerate(self.classes or ())}

    @property
    def _mixed(self) -> bool:
        """Whether a number may mean two classes: some are called by numbers and others by words, or
        two by one number, as 1 and 01."""
        called = [c for c in self.classes or () if is_number(c)]
        numbers = {float(c) for c in called}
        return 0 < len(called) < len(self.classes or ()) or len(numbers) < len(called)

    @cached_property
    def _own(self) -> np.ndarray | None:
        """The numbers that the data has for its classes, where they are others than 0 to K-1."""
        if not self.classes or not all(re.fullmatch(r"-?\d{1,18}(\.0*)?", c) for c in self.classes):
            return None
        own = np.array([int(c.split(".")[0]) for c in self.classes])
        plain = len(np.unique(own)) < len(own) or (own == np.arange(len(own))).all()
        return None if plain else own

    def targets(self, table: pa.Table, path: Path, kind: Target) -> tuple[Targets, np.ndarray]:
        """(targets of n rows, bool [n]: there is one). kind: what they are.

        Raises: ValueError that names the row whose class does not exist or which says two.
        """
        where = f"{path}: target"
        if not kind.has_classes():
            return _others(table, where, kind)
        count = kind.require_classes("a class of each row")
        named = [None] * table.num_rows
        if "class" in table.column_names:
            named = labels_of(table["class"], self._known)
        if "target" not in table.column_names:
            target, full = np.zeros(table.num_rows, np.int64), np.zeros(table.num_rows, bool)
        elif is_list(table["target"]):
            target, full = rows_of_numbers(table["target"], where)
            self._check_rows(target, full, path, count)
        else:
            target, full = self._classes(table["target"], where, count)
        unclear = full & np.array([name is None for name in named], bool)
        numbered = "target" in table.column_names and not is_list(table["target"])
        unclear &= numbered and self._mixed and not is_text(table["target"])
        if unclear.any():
            i = int(unclear.argmax())
            raise ValueError(
                f"{path}, row {i + 1}: a number may mean two classes of this data, by place and by "
                f"name ({', '.join((self.classes or ())[:5])}): name the class"
            )
        hard = kind.hard(target) if len(target) else target
        for i, name in enumerate(named):
            if name is None:
                continue
            if full[i] and self.classes and self.classes[hard[i]] == name:
                continue
            k = self._class(name, path, i + 1, count)
            if full[i] and hard[i] != k:
                raise ValueError(
                    f"{path}, row {i + 1}: class says {name!r}, and target another one: correct "
                    "one of them, or leave one of them empty"
                )
            if not full[i]:
                target[i] = k if hard is target else np.eye(target.shape[-1])[k]
                full[i] = True
        return target.astype(np.int32) if hard is target else target, full

    def _classes(
        self, column: pa.ChunkedArray, where: str, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        cells = labels_of(column, self._known) if is_text(column) else []
        if {"True", "False"} & set(self.classes or ()):  # as Python writes them, not Arrow
            cells = [{"true": "True", "false": "False"}.get(c or "", c) for c in cells]
        words = self._mixed or not all(map(is_number, self.classes or ()))
        if not all(map(is_number, cells)) or (words and any(c in self._known for c in cells)):
            known = (
                -1 if c is None else self._class(c, where, i, count) for i, c in enumerate(cells, 1)
            )
            target = np.fromiter(known, np.int64, len(cells))
            return np.maximum(target, 0), target >= 0
        if cells:
            column = pa.chunked_array([pa.array(cells, pa.string())])
        if pa.types.is_boolean(column.type) and {"True", "False"} & set(self.classes or ()):
            return self._classes(column.cast(pa.string()), where, count)
        number, full = wholes(column, where)
        if self._own is None or -1 not in self._own:
            full = full & (number != -1)
        target = number
        if self._own is not None:
            place = np.minimum(np.searchsorted(np.sort(self._own), number), len(self._own) - 1)
            target = np.argsort(self._own)[place]
            target = np.where(self._own[target] == number, target, -1)
        bad = full & ((target < 0) | (target >= count))
        if bad.any():
            i = int(bad.argmax())
            raise ValueError(f"{where}, row {i + 1}: {number[i]} is {self._none_of(count)}")
        return np.where(full, target, 0), full

    def _class(self, name: str, where: Any, row: int, count: int) -> int:
        known = self._known or {str(k): k for k in range(count)}
        if name in known and (self.classes or ()).count(name) < 2:
            return known[name]
        if name in known:
            raise ValueError(
                f"{where}, row {row}: two classes are called {name!r}: give its number as target"
            )
        near = difflib.get_close_matches(name, list(known), n=1)
        raise ValueError(
            f"{where}, row {row}: {name!r} is {self._none_of(count)}"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )

    def _none_of(self, count: int) -> str:
        said = ", ".join(self.classes[:5]) if self.classes else f"0 to {count - 1}"
        more = ", ..." if self.classes and count > 5 else ""
        return f"no class: there are {count} classes, {said}{more}"

    def _check_rows(self, target: np.ndarray, full: np.ndarray, path: Path, count: int) -> None:
        bad = full & ~((target >= 0) & (target <= 1 + 1e-6)).all(1)  # NaN is neither
        bad |= full & ~(np.abs(target.sum(1) - 1) < 1e-2)
        if full.any() and target.shape[1] != count:
            i = int(full.argmax())
            raise ValueError(
                f"{path}, row {i + 1}: {target.shape[1]} numbers as target, but there are "
                f"{count} classes"
            )
        if bad.any():
            i = int(bad.argmax())
            raise ValueError(
                f"{path}, row {i + 1}: target {target[i].tolist()} are no probabilities"
            )


def refuse_older(path: Path, called: Numbering) -> None:
    """Raises ValueError for a file that an older version of `ssljax label` has written, whose index
    counted what was left after tests were held out, where that is not the data itself.
    """
    columns = set(table_of(path).column_names)
    older = {"provenance", "round", "index"} <= columns and "file" not in columns
    if older and not np.array_equal(called.origin, np.arange(called.size)):
        raise ValueError(
            f"{path} was written by an older version, whose index counts the examples that are not "
            "held out for testing: write it anew with `ssljax label`; or where index is the row in "
            "the data, drop the column provenance"
        )


def _others(table: pa.Table, where: str, kind: Target) -> tuple[Targets, np.ndarray]:
    """Targets that are no classes, by what they are: (of n rows, bool [n]: there is one)."""
    if "target" not in table.column_names:
        raise ValueError(f"{where}: there is no such column, and {type(kind).__name__} needs it")
    column = table["target"].combine_chunks()
    full = column.is_valid().to_numpy(zero_copy_only=False)
    try:
        found = kind.from_column(column.drop_null())
    except ValueError as error:
        apart = "" if full.all() else " (of the rows that have a target)"
        raise ValueError(f"{where}{apart}, {error}") from None

    def placed(x: np.ndarray) -> np.ndarray:
        every = np.zeros((len(full), *x.shape[1:]), x.dtype)
        every[full] = x
        return every

    return jax.tree.map(placed, found), full
