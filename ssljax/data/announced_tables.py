"""What a Parquet file says of its size before anything of it is held, as `announced` for zips."""

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_UNKNOWN = 2**34  # bytes of memory, where the system does not say how much there is
_CELL = 8  # bytes that a cell has in memory at least, however it is packed
_ROWS = 128  # that are unpacked at once


def most() -> int:
    """Bytes that one table may have: half of the memory of this machine."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN // 2


def read_table(file: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Parquet as a table, all of it or some columns. Raises: ValueError where it is too large."""
    with pq.ParquetFile(file) as opened:
        meta = opened.metadata
        found = sum(_announced(meta.row_group(g), columns) for g in range(meta.num_row_groups))
        _check(f"{file}", found, "split the file")
        return opened.read(columns=columns)


def read_group(file: str | Path, group: int, column: str) -> pa.ChunkedArray:
    """One column of a row group; one that repeats a few large values is counted while it unpacks.

    Raises: as `read_table`.
    """
    what, advice = f"{file}, row group {group}", "write the file in smaller row groups"
    with pq.ParquetFile(file, page_checksum_verification=True) as opened:
        _check(what, _announced(opened.metadata.row_group(group), [column]), advice)
        batches, size = [], 0
        for batch in opened.iter_batches(_ROWS, row_groups=[group], columns=[column]):
            size += batch.nbytes
            _check(what, size, advice)
            batches.append(batch)
        schema = pa.schema([opened.schema_arrow.field(column)])
        return pa.Table.from_batches(batches, schema)[column]


def _announced(group: pq.RowGroupMetaData, columns: Sequence[str] | None) -> int:
    """Bytes of a row group, of some columns with all of their fields."""
    parts = [group.column(c) for c in range(group.num_columns)]
    wanted = [p for p in parts if columns is None or p.path_in_schema.split(".")[0] in columns]
    return sum(max(p.total_uncompressed_size, _CELL * group.num_rows) for p in wanted)


def _check(what: str, size: int, advice: str) -> None:
    if size > most():
        raise ValueError(
            f"{what} announces {size / 2**30:.1f} GiB, more than the {most() / 2**30:.1f} GiB that "
            f"a table may have on this machine: {advice}"
        )
