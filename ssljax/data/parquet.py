"""Parquet in the layout of Hugging Face `datasets`: a column of images, maybe one of labels.

A row can be read only with its whole row group, so groups that were read are kept, up to
CACHE_BYTES of encoded images in each process. Shuffled streaming is fast where the file fits
into that; where it does not, nearly every image costs a row group, and a warning says so.
"""

import json
import logging
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ssljax.data.corrupt import CorruptExample
from ssljax.data.split_names import SPLITS, normal

log = logging.getLogger("ssljax")
CACHE_BYTES = 512 * 2**20
_IMAGE, _LABEL = ("image", "img"), ("label", "fine_label", "labels")


def parquet_files(place: str) -> dict[str, list[Path]]:
    """Split to files. A file's name says its split, else the folder it is in; otherwise train."""
    path = Path(place)
    if not path.exists():
        raise FileNotFoundError(f"parquet:{place}: there is no such file or folder")
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not files:
        raise FileNotFoundError(f"parquet:{place} holds no .parquet files")
    found: dict[str, list[Path]] = {}
    for file in files:
        parents = file.relative_to(path).parts[:-1]
        words = re.split(r"[^a-zA-Z]+", file.stem) + list(reversed(parents))
        split = next((normal(w) for w in words if normal(w) in SPLITS), "train")
        found.setdefault(split, []).append(file)
    return found


class Parquet:
    """Shards that are read as one table."""

    def __init__(self, files: list[Path]) -> None:
        self._files = [str(f) for f in files]
        self._groups: list[tuple[int, int, int, int]] = []  # file, row group, first row, in file
        rows, columns = 0, None
        for f, file in enumerate(self._files):
            try:
                opened = pq.ParquetFile(file)
            except (pa.ArrowInvalid, OSError) as error:
                raise ValueError(f"{file} is not a readable Parquet file: {error}") from error
            with opened:
                schema, meta = opened.schema_arrow, opened.metadata
            here = (_column(schema, _IMAGE, file), _column(schema, _LABEL, file, needed=False))
            if columns not in (None, here):
                raise ValueError(
                    f"{file} has the columns {here}, but {self._files[0]} has {columns}: name one "
                    "data set's files"
                )
            if columns is None:
                columns, self.classes = here, _class_names(schema, here[1])
            first = rows
            for g in range(meta.num_row_groups):
                self._groups.append((f, g, rows, first))
                rows += meta.row_group(g).num_rows
        self._image, self._label = columns
        self._rows = rows
        self._starts = np.array([start for _, _, start, _ in self._groups])
        self._open()

    def _open(self) -> None:
        self._cache: OrderedDict[int, tuple[Any, Any]] = OrderedDict()
        self._dropped: set[int] = set()
        self._warned = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._rows

    def _group(self, number: int) -> tuple[Any, Any]:
        with self._lock:
            if number in self._cache:
                self._cache.move_to_end(number)
                return self._cache[number]
            if number in self._dropped and not self._warned:
                self._warned = True
                log.warning(
                    "%r does not fit into %d MiB: every image read in random order costs its whole "
                    "row group. For speed keep the data in memory, or store it as folder: (a zip) "
                    "or tfds:",
                    self,
                    CACHE_BYTES // 2**20,
                )
            f, g, _, _ = self._groups[number]
            columns = [c for c in (self._image, self._label) if c]
            try:
                with pq.ParquetFile(self._files[f], page_checksum_verification=True) as file:
                    table = file.read_row_group(g, columns=columns)
            except (pa.ArrowException, OSError) as error:
                raise ValueError(f"{self._files[f]}, row group {g}: {error}") from error
            image = table[self._image].combine_chunks()
            if pa.types.is_struct(image.type):
                image = pc.struct_field(image, "bytes")
            label = table[self._label].combine_chunks() if self._label else None
            self._cache[number] = image, label
            while sum(i.nbytes for i, _ in self._cache.values()) > CACHE_BYTES:
                if len(self._cache) == 1:
                    break
                self._dropped.add(self._cache.popitem(last=False)[0])
            return self._cache[number]

    def __getitem__(self, i: int) -> dict[str, Any]:
        number = self._number(i)
        images, labels = self._group(number)
        row = i - int(self._starts[number])
        image = images[row].as_py()
        if image is None:
            raise CorruptExample(self.name(i), "the image is missing, or only its path is there")
        if isinstance(image, list):
            image = np.asarray(image, np.uint8)
        if labels is None:
            return {"image": image}
        if (label := labels[row].as_py()) is None:
            raise CorruptExample(self.name(i), "the label is missing")
        return {"image": image, "label": int(label)}

    def labels(self) -> np.ndarray | None:
        """As in `Source`; -1 where the label is missing."""
        if self._label is None:
            return None
        parts = []
        for file in self._files:
            try:
                column = pq.read_table(file, columns=[self._label])[self._label]
            except (pa.ArrowException, OSError) as error:
                raise ValueError(f"{file}, column {self._label}: {error}") from error
            if (pc.min(column).as_py() or 0) < 0:
                raise ValueError(
                    f"{file}: label {pc.min(column)}, but labels must be 0 to K-1 for K classes"
                )
            parts.append(column.fill_null(-1).to_numpy())
        return np.concatenate(parts).astype(np.int32)

    def name(self, i: int) -> str:
        f, _, _, first = self._groups[self._number(i)]
        return f"{self._files[f]} row {i - first}"

    def _number(self, i: int) -> int:
        return int(np.searchsorted(self._starts, i, side="right")) - 1

    def __getstate__(self) -> dict[str, Any]:
        mine = ("_cache", "_dropped", "_warned", "_lock")
        return {k: v for k, v in self.__dict__.items() if k not in mine}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __repr__(self) -> str:
        more = f" and {len(self._files) - 1} more" if len(self._files) > 1 else ""
        return f"Parquet({self._files[0]}{more}, {self._rows} rows)"


def _column(
    schema: pa.Schema, names: tuple[str, ...], file: str, *, needed: bool = True
) -> str | None:
    found = next((n for n in names if n in schema.names), None)
    if found is None and needed:
        raise ValueError(
            f"{file} has the columns {', '.join(schema.names)}: the images must be called "
            f"{' or '.join(names)}"
        )
    kind = schema.field(found).type if found else None
    if found and not needed and not pa.types.is_integer(kind):
        raise ValueError(f"{file}: column {found} is {kind}, but labels must be integers")
    if needed and not (_holds_images(kind) or (pa.types.is_struct(kind) and "bytes" in kind.names)):
        raise ValueError(
            f"{file}: column {found} is {kind}, but images must be bytes, a struct with the field "
            "bytes, or lists of pixels"
        )
    return found


def _holds_images(kind: pa.DataType) -> bool:
    tests = ("binary", "large_binary", "binary_view", "list", "large_list", "fixed_size_list")
    return any(getattr(pa.types, f"is_{test}")(kind) for test in tests)


def _class_names(schema: pa.Schema, label: str | None) -> tuple[str, ...] | None:
    """Class names from the metadata that `datasets` writes, if they are there."""
    try:
        info = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return tuple(info[label]["names"])
    except (KeyError, TypeError, ValueError):
        return None
