"""Columns of numbers in Parquet, and CSV files of labels with a row an example."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssljax.files import atomically


def numbers(column: pa.Array) -> np.ndarray:
    """A column of numbers, or of lists of equally many numbers, as int32 or float32 [n, ...].

    Raises: ValueError for other cells, and for numbers that are NaN or infinite.
    """
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind, shape = column.type, [len(column)]
    while _is_list(kind):
        sizes = np.unique(np.asarray(pc.call_function("list_value_length", [column])))
        if len(sizes) > 1:
            raise ValueError(
                f"cells hold from {sizes[0]} to {sizes[-1]} numbers: give equally many"
            )
        shape.append(int(sizes[0]) if len(sizes) else 0)
        column, kind = column.flatten(), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):  # of a CSV file
        column = pa.array(
            [number_of(x, f"row {i}") for i, x in enumerate(column.to_pylist(), start=1)]
        )
        kind = pa.float64()
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise ValueError(f"cells are no numbers but {kind}")
    found = column.to_numpy(zero_copy_only=False)
    if pa.types.is_floating(kind) and not np.isfinite(found).all():
        raise ValueError("NaN or infinite targets")
    return found.astype(np.float32 if pa.types.is_floating(kind) else np.int32).reshape(shape)


def lists(x: np.ndarray) -> pa.Array:
    """[n, ...] as cells: numbers, or lists of equally many."""
    x = np.asarray(x)
    column = pa.array(x.reshape(-1))
    for size in reversed(x.shape[1:]):
        offsets = np.arange(0, len(column) + 1, max(size, 1), dtype=np.int32)
        column = pa.ListArray.from_arrays(
            offsets if size else np.zeros(len(x) + 1, np.int32), column
        )
    return column


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes the whole file or nothing."""

    def fill(fresh: Path) -> None:
        with open(fresh, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(head)
            writer.writerows(rows)

    atomically(Path(path), fill)


def read_csv(
    path: Path, names: Sequence[str], needed: Sequence[str]
) -> tuple[np.ndarray, dict[str, list[str]], list[str]]:
    """The cells of a CSV file with a column "name", by column.

    Args:
      names: of the examples. needed: columns that must be there.
    Returns: (which of the examples each row is of, int64 [m]; cells by column; the place of each
      row as text, for errors).
    Raises: ValueError that names file and line.
    """
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    head = rows[0] if rows else []
    missing = [c for c in ("name", *needed) if c not in head]
    if missing:
        raise ValueError(
            f"{path} has no column {missing[0]!r}, only {', '.join(head) or 'nothing'}"
        )
    number = {name: i for i, name in enumerate(names)}
    index, cells, places = [], {name: [] for name in head}, []
    for line, row in enumerate(rows[1:], start=2):
        place = f"{path}, line {line}"
        if len(row) != len(head):
            raise ValueError(f"{place} has {len(row)} cells, the first line {len(head)}")
        for column, cell in zip(head, row, strict=True):
            cells[column].append(cell)
        index.append(found_in(number, cells["name"][-1], place))
        places.append(place)
    return np.array(index, np.int64), cells, places


def found_in(number: dict[str, int], name: str, place: str) -> int:
    """The example of a name. Raises: ValueError where there is none."""
    if name not in number:
        raise ValueError(f"{place}: {name!r} is none of these {len(number):,} examples")
    return number[name]


def confidences(cells: dict[str, list[str]], places: list[str]) -> np.ndarray:
    """The column "confidence" as float32, 1 where there is none."""
    found = cells.get("confidence", ["1"] * len(places))
    return np.array(
        [number_of(x, place) for x, place in zip(found, places, strict=True)], np.float32
    )


def number_of(cell: str, place: str) -> float:
    """A cell that is a finite number. Raises: ValueError where it is none."""
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"{place}: {cell!r} is no number")
    return value


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
