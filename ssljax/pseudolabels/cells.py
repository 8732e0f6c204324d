"""Files of labels as columns, and their cells as numbers that are checked before they are cast.

A row is counted from 1, without the header of a CSV file.
"""

import csv
import logging
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

log = logging.getLogger("ssljax")
COLUMNS = (*("index", "file", "target", "class", "confidence", "weight", "provenance", "round"),)
_CSV = (".csv", ".tsv", ".txt")
_NO_LABEL = ("-1", "-1.0", "nan", "NaN", "null", "<NA>")
_NO_TEXT = "{} is no text in UTF-8 ({}): save it as CSV in UTF-8, without UTF-16"
_FAR = 2**62  # no number of an example or of a class lies beyond


def table_of(path: Path) -> pa.Table:
    """A Parquet file, or by its ending a CSV file with a header (comma, semicolon or tab).

    Raises: ValueError where it cannot be read, FileNotFoundError.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of labels {path}")
    if path.suffix.lower() in _CSV:
        return _csv(path)
    if path.suffix.lower() in (".json", ".jsonl"):
        raise ValueError(
            f"{path}: labels are read from Parquet and CSV, and not from JSON: write them with "
            "ssljax label RUN --out labels.parquet, or as a .csv with file (or index) and target"
        )
    try:
        names = pq.read_schema(path).names
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(
                f"{path}: {len(twice)} columns are called {twice[0]}: rename all but one"
            )
        return _plain(pq.read_table(path), path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{path} is not a readable Parquet file of labels (nor called .csv): {error}"
        ) from error


def _csv(path: Path) -> pa.Table:
    """All cells as text; an empty one is null."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            if "\0" in head:
                raise ValueError(_NO_TEXT.format(path, "bytes of 0"))
            mark = "\t" if "\t" in head else ";" if ";" in head and "," not in head else ","
            file.seek(0)
            rows = [r for r in csv.reader(file, delimiter=mark, strict=True) if r]
    except UnicodeDecodeError as error:
        raise ValueError(_NO_TEXT.format(path, error)) from error
    except csv.Error as error:
        raise ValueError(f"{path} is not a readable CSV file of labels: {error}") from error
    if not rows:
        raise ValueError(f"{path} is empty: labels need a header with index (or file) and target")
    names = [name.strip() for name in rows[0]]
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: two columns of its header have one name: {', '.join(names)}")
    for i, row in enumerate(rows[1:], 1):
        if len(row) != len(names):
            raise ValueError(f"{path}, row {i}: {len(row)} cells for {len(names)} columns")
    columns = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(names)
    cells = {n: [c.strip() or None for c in column] for n, column in zip(names, columns)}
    table = pa.table({name: pa.array(column, pa.string()) for name, column in cells.items()})
    return _plain(table, path)


def _plain(table: pa.Table, path: Path) -> pa.Table:
    """With the names of columns that are read in small letters; says which are not read."""
    small = [name.strip().lower() for name in table.column_names]
    names = [s if s in COLUMNS else n for s, n in zip(small, table.column_names, strict=True)]
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: two columns have one name: {', '.join(table.column_names)}")
    if ignored := [name for name in names if name not in COLUMNS]:
        log.warning(
            "%s: its columns %s are not read, only %s",
            path,
            ", ".join(map(repr, ignored[:5])),
            ", ".join(COLUMNS),
        )
    return table.rename_columns(names)


def texts(column: pa.ChunkedArray) -> list[str | None]:
    """Cells as text, None where one is empty."""
    return [None if x is None or x == "" else str(x) for x in column.to_pylist()]


def labels_of(column: pa.ChunkedArray, known: Collection[str]) -> list[str | None]:
    """Cells as text, None where one says that there is no label, unless a class is called so."""
    return [None if x in _NO_LABEL and x not in known else x for x in texts(column)]


def is_text(column: pa.ChunkedArray) -> bool:
    """Whether cells are words, as they are or numbered by a dictionary."""
    kind = column.type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(
        getattr(pa.types, f"is_{t}")(kind) for t in ("string", "large_string", "string_view")
    )


def is_list(column: pa.ChunkedArray) -> bool:
    """Whether cells are lists."""
    kind = column.type
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def numbers(column: pa.ChunkedArray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """(int64 or float64 [n], bool [n]: the cell is not empty), 0 for empty ones.

    where: file and column. Raises: ValueError that names the row of what is no number.
    """
    column = column.combine_chunks()
    full, kind = column.is_valid().to_numpy(zero_copy_only=False), column.type
    if pa.types.is_boolean(kind):
        column, kind = column.cast(pa.int8()), pa.int8()
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and kind != pa.uint64()):
        plain = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
        return plain.astype(np.float64 if pa.types.is_floating(kind) else np.int64), full
    found: list[Any] = []
    for i, cell in enumerate(column.to_pylist(), 1):
        try:
            found.append(0 if cell is None or cell == "" else _number(cell))
        except (ValueError, TypeError):
            raise ValueError(f"{where}, row {i}: {cell!r} is no number") from None
        full[i - 1] &= cell != ""
    whole = all(isinstance(x, int) and abs(x) < _FAR for x in found)
    return np.array(found, np.int64 if whole else np.float64), full


def _number(cell: Any) -> int | float:
    if isinstance(cell, str) and "_" in cell:  # which Python reads over
        raise ValueError(cell)
    try:
        return int(cell) if isinstance(cell, str | int) else float(cell)
    except ValueError:
        return float(cell)


def wholes(column: pa.ChunkedArray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """As `numbers`, int64: 3 and, as pandas writes it, 3.0, but not 3.5 or NaN."""
    found, full = numbers(column, where)
    if found.dtype == np.int64:
        return found, full
    bad = full & ~(np.isfinite(found) & (found == np.round(found)) & (np.abs(found) < _FAR))
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"{where}, row {i + 1}: {found[i]} is no whole number ({_many(bad)})")
    return np.where(full, found, 0).astype(np.int64), full


def rows_of_numbers(column: pa.ChunkedArray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """(float32 [n, K], bool [n]: the cell is not empty), of a column of lists.

    Raises: ValueError that names the row whose list is of another length or holds no number.
    """
    cells = column.to_pylist()
    full = np.array([c is not None for c in cells], bool)
    width = len(next((c for c in cells if c is not None), ()))
    found = np.zeros((len(cells), width), np.float32)
    for i, cell in enumerate(cells):
        if cell is None:
            continue
        if len(cell) != width or any(x is None for x in cell):
            raise ValueError(
                f"{where}, row {i + 1}: {len(cell)} numbers where others have {width}, or empty"
            )
        try:
            found[i] = cell
        except (ValueError, TypeError):
            raise ValueError(f"{where}, row {i + 1}: {cell!r} is no list of numbers") from None
    return found, full


def classes_of(table: pa.Table, path: Path) -> tuple[str, ...]:
    """Names of the classes in a file of labels, for data that has none: those of its class column
    or of its targets where they are words, else the numbers that occur.
    """
    for name in ("class", "target"):
        if name in table.column_names and is_text(table[name]):
            said = {x for x in labels_of(table[name], ()) if x is not None}
            if (name == "class" and said) or not all(map(is_number, said)):
                return tuple(sorted(said, key=_natural))
    if "target" not in table.column_names:
        raise ValueError(f"{path} has no column target and no class names: labels need one")
    if is_list(table["target"]):
        return tuple(map(str, range(rows_of_numbers(table["target"], str(path))[0].shape[1])))
    target, full = wholes(table["target"], f"{path}: target")
    full = full & (target != -1)
    if not full.any() or target[full].min() < 0 or len(np.unique(target[full])) > 10**5:
        raise ValueError(f"{path}: its targets are no numbers of classes: name them (column class)")
    return tuple(map(str, np.unique(target[full])))


def is_number(cell: str | None) -> bool:
    """Whether a text is a whole number, or empty."""
    return cell is None or re.fullmatch(r"\s*[-+]?\d+(\.0*)?\s*", cell) is not None


def _natural(name: str) -> list[Any]:
    return [(0, int(x), "") if x.isdigit() else (1, 0, x) for x in re.split(r"(\d+)", name)]


def _many(bad: np.ndarray) -> str:
    return f"{bad.sum():,} of {len(bad):,} rows are such"
