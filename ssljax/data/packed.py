"""Parquet shards whose pictures are read one by one, without their row groups: what `prepare`
writes. Every reader of Parquet opens them.

    image     binary, required: encoded pictures    label     int32, or null; absent without labels
    file      what a person calls the picture       length    int32, bytes of the picture

The images of a row group are one page that nothing packs: [4 bytes of length, the bytes], one after
another. So the lengths say where each picture begins, and any order of reading costs as many bytes
as the pictures have. The classes stand in the metadata as Hugging Face `datasets` writes them.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ssljax.data.announced_tables import read_table
from ssljax.data.corrupt import CorruptExample
from ssljax.files import atomically

_KEY = b"ssljax"
_GROUP = 256  # rows of a row group
_PREFIX = 4  # bytes of a length
_HEAD = 64  # bytes that what stands before the pictures of a row group takes at most


class Shard(NamedTuple):
    """What a shard says of itself: how many there are of its split, its rows, and what is not in it
    with the reason.
    """

    shards: int
    rows: int
    left_out: list[str]


def write(
    path: Path,
    images: Sequence[bytes],
    files: Sequence[str],
    labels: Sequence[int] | None,
    *,
    classes: tuple[str, ...] | None,
    shards: int,
    left_out: Sequence[str],
) -> None:
    """Writes a shard, whole or not at all. labels: -1 for none."""
    kinds: dict[str, Any] = {"image": {"_type": "Image"}}
    columns = [("image", pa.array(images, pa.binary()))]
    if labels is not None:
        cells = [None if label < 0 else int(label) for label in labels]
        columns.append(("label", pa.array(cells, pa.int32())))
        kinds["label"] = {"_type": "ClassLabel", "names": list(classes or ())}
    columns.append(("file", pa.array(files, pa.string())))
    columns.append(("length", pa.array([len(image) for image in images], pa.int32())))
    kinds |= {
        n: {"_type": "Value", "dtype": d} for n, d in (("file", "string"), ("length", "int32"))
    }
    fields = [pa.field(name, x.type, nullable=name == "label") for name, x in columns]
    about = {"prepared": 1, "shards": shards, "left_out": list(left_out)}
    said = {"huggingface": json.dumps({"info": {"features": kinds}}), _KEY: json.dumps(about)}
    table = pa.table([x for _, x in columns], pa.schema(fields, metadata=said))
    options: dict[str, Any] = {
        "row_group_size": _GROUP,
        "data_page_size": 2**30,  # one page a row group
        "compression": {"image": "none", "label": "zstd", "file": "zstd", "length": "zstd"},
        "use_dictionary": [name for name, _ in columns if name == "label"],
        "write_statistics": [name for name, _ in columns if name != "image"],
    }
    atomically(path, lambda fresh: pq.write_table(table, fresh, **options))


def about(path: Path) -> Shard | None:
    """What a shard says of itself; None for any other file.

    Raises: ValueError where the file is no readable Parquet.
    """
    try:
        meta = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a readable Parquet file: {error}") from error
    try:
        said = json.loads((meta.metadata or {})[_KEY])
        return Shard(said["shards"], meta.num_rows, said["left_out"]) if said["prepared"] else None
    except (KeyError, TypeError, ValueError):
        return None


class Places:
    """Where each picture of some shards lies, and what it is called."""

    def __init__(
        self, files: Sequence[str], first: Sequence[int], names: pa.Array, found: list[np.ndarray]
    ) -> None:
        """first: the number of the first row of each file. found: `_begins` of each file."""
        self._files, self._first, self.names = files, np.asarray(first), names
        self._begins = np.concatenate(found)  # [N, 2]: byte and length

    def read(self, i: int, name: str) -> bytes:
        """Picture i. Raises: CorruptExample where the file is no longer what it was."""
        begin, length = self._begins[i].tolist()
        place = self._files[int(np.searchsorted(self._first, i, side="right")) - 1]
        with open(place, "rb") as file:
            file.seek(begin)
            found = file.read(_PREFIX + length)
        if len(found) < _PREFIX + length or int.from_bytes(found[:_PREFIX], "little") != length:
            raise CorruptExample(name, "the shard is damaged here: prepare it again")
        return found[_PREFIX:]


def places(files: Sequence[str], first: Sequence[int]) -> Places | None:
    """Where the pictures of a split lie, where its files are as `prepare` has written them.

    Raises: ValueError where shards are missing.
    """
    said = [about(Path(file)) for file in files]
    if any(shard is None for shard in said):
        return None
    tables = [read_table(file, ["file", "length"]) for file in files]
    pairs = zip(files, tables, strict=True)
    found = [_begins(file, t["length"].to_numpy().astype(np.int64)) for file, t in pairs]
    if any(begins is None for begins in found):  # written once more by another program
        return None
    if len(files) != (count := next(shard.shards for shard in said if shard is not None)):
        raise ValueError(
            f"{Path(files[0]).parent} holds {len(files)} of {count} shards: call ssljax prepare "
            "once more, as before, which writes the others"
        )
    names = pa.chunked_array([c for t in tables for c in t["file"].chunks], pa.string())
    return Places(files, first, names.combine_chunks(), [b for b in found if b is not None])


def _begins(file: str, lengths: np.ndarray) -> np.ndarray | None:
    """[N, 2]: the byte of a file at which each picture begins with its length, and the length; None
    where the pictures do not lie one after another.
    """
    with pq.ParquetFile(file) as opened:
        meta, at = opened.metadata, opened.schema_arrow.names.index("image")
    found, row = np.empty((len(lengths), 2), np.int64), 0
    for g in range(meta.num_row_groups):
        column, rows = meta.row_group(g).column(at), meta.row_group(g).num_rows
        size = lengths[row : row + rows] + _PREFIX
        head = column.total_compressed_size - int(size.sum())
        if column.compression != "UNCOMPRESSED" or not 0 < head < _HEAD:
            return None
        found[row : row + rows, 0] = column.data_page_offset + head + np.cumsum(size) - size
        row += rows
    found[:, 1] = lengths
    return found
