"""Parquet in the layout of Hugging Face `datasets`: a column of images, maybe one of labels.

A row can be read only with its whole row group, so groups that were read are kept, up to
CACHE_BYTES of encoded images in each process. Shuffled streaming is fast where the file fits
into that; where it does not, nearly every image costs a row group, and a warning says so. Shards
that `ssljax prepare` has written are read picture by picture instead, whatever their size.
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

from ssljax.data.announced_tables import read_group, read_table
from ssljax.data.columns import label_columns, looks_like_class
from ssljax.data.corrupt import CorruptExample
from ssljax.data.labels import Column, classes_of
from ssljax.data.packed import places
from ssljax.data.split_names import SPLITS, normal
from ssljax.data.walk import find

log = logging.getLogger("ssljax")
CACHE_BYTES = 512 * 2**20
_IMAGE = ("image", "img")
_STRINGS = ("string", "large_string", "string_view")
_SEEN = 10_000  # rows that tell whether a column of another name may be the class


def parquet_files(place: str) -> dict[str, list[Path]]:
    """Split to files. A file's name says its split, else the folder it is in; otherwise train."""
    path = Path(place)
    if not path.exists():
        raise FileNotFoundError(f"parquet:{place}: there is no such file or folder")
    if path.is_file():
        files = [path]
    else:
        try:
            names = find(place, kind="parquet", suffixes=[".parquet"], what=".parquet files").names
        except ValueError as error:
            raise FileNotFoundError(str(error)) from error
        files = [path / name for name in names]
    found: dict[str, list[Path]] = {}
    for file in files:
        parents = file.relative_to(path).parts[:-1]
        keys = [part for part in parents if label_columns([part.partition("=")[0]]) and "=" in part]
        if keys:
            raise ValueError(
                f"parquet:{place}: labels in the names of folders ({keys[0]}) are not read: write "
                "them as a column"
            )
        words = re.split(r"[^a-zA-Z]+", file.stem) + list(reversed(parents))
        split = next((normal(w) for w in words if normal(w) in SPLITS), "train")
        found.setdefault(split, []).append(file)
    return found


class Parquet:
    """Shards that are read as one table."""

    def __init__(self, place: str, split: str, label: str | None = None) -> None:
        """The files of a split; those of the others tell which classes there are.

        label: the column of labels; None to find it, "" for none.
        """
        parts = parquet_files(place)
        self._root = Path(place) if Path(place).is_dir() else Path(place).parent
        self._files = [str(f) for f in parts[split]]
        self._groups: list[tuple[int, int, int, int]] = []  # file, row group, first row, in file
        rows, columns = 0, None
        for f, file in enumerate(self._files):
            schema, groups = _opened(file)
            here = (_image_column(schema, file), _label_column(schema, file, label))
            if columns not in (None, here):
                raise ValueError(
                    f"{file} has the columns {here}, but {self._files[0]} has {columns}: name one "
                    "data set's files"
                )
            columns = here
            first = rows
            for g, count in enumerate(groups):
                self._groups.append((f, g, rows, first))
                rows += count
        assert columns is not None  # a split has files
        self._image, column = columns
        self._rows = rows
        self._starts = np.array([start for _, _, start, _ in self._groups])
        begins = [s for _, g, s, _ in self._groups if g == 0]
        self._packed = places(self._files, begins) if self._image == "image" else None
        self._open()
        found = {s: _labels(files, column) for s, files in parts.items()} if column else {}
        found = {s: cells for s, cells in found.items() if cells is not None}
        names = _class_names(parts, column)
        self._labels, self.classes = classes_of(found, split, place=f"parquet:{place}", names=names)
        rest = [n for n in _opened(self._files[0])[0].names if n not in (self._image, column)]
        if rest and self._packed is None:
            log.info("parquet:%s: not read: %s", place, ", ".join(rest))

    def _open(self) -> None:
        self._cache: OrderedDict[int, Any] = OrderedDict()
        self._dropped: set[int] = set()
        self._warned = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._rows

    def _group(self, number: int) -> Any:
        with self._lock:
            if number in self._cache:
                self._cache.move_to_end(number)
                return self._cache[number]
            if number in self._dropped and not self._warned:
                self._warned = True
                log.warning(
                    "%r does not fit into %d MiB: every image read in random order costs its whole "
                    "row group. ssljax prepare writes it once as shards that are read picture by "
                    "picture",
                    self,
                    CACHE_BYTES // 2**20,
                )
            f, g, _, _ = self._groups[number]
            try:
                image = read_group(self._files[f], g, self._image).combine_chunks()
            except (pa.ArrowException, OSError) as error:
                raise ValueError(f"{self._files[f]}, row group {g}: {error}") from error
            if pa.types.is_struct(image.type):
                image = pc.call_function("struct_field", [image], pc.StructFieldOptions("bytes"))
            self._cache[number] = image
            while sum(image.nbytes for image in self._cache.values()) > CACHE_BYTES:
                if len(self._cache) == 1:
                    break
                self._dropped.add(self._cache.popitem(last=False)[0])
            return self._cache[number]

    def __getitem__(self, i: int) -> dict[str, Any]:
        if self._packed is not None:
            return {"image": self._packed.read(i, self.name(i))}
        number = self._number(i)
        image = self._group(number)[i - int(self._starts[number])].as_py()
        if image is None:
            raise CorruptExample(self.name(i), "the image is missing, or only its path is there")
        return {"image": np.asarray(image, np.uint8) if isinstance(image, list) else image}

    def labels(self) -> np.ndarray | None:
        return self._labels

    def name(self, i: int) -> str:
        file, row = self._place(i)
        return f"{file} row {row}"

    def key(self, i: int) -> str:
        if self._packed is not None:
            return self._packed.names[i].as_py()
        file, row = self._place(i)
        return f"{Path(file).relative_to(self._root).as_posix()}:{row}"

    def _place(self, i: int) -> tuple[str, int]:
        """File, and row in it."""
        f, _, _, first = self._groups[self._number(i)]
        return self._files[f], i - first

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


def _opened(file: str | Path) -> tuple[pa.Schema, list[int]]:
    """Schema and rows of each row group of a file."""
    try:
        with pq.ParquetFile(file) as opened:
            meta = opened.metadata
            schema = opened.schema_arrow
            groups = [meta.row_group(g).num_rows for g in range(meta.num_row_groups)]
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{file} is not a readable Parquet file: {error}") from error
    if twice := [name for name in schema.names if schema.names.count(name) > 1]:
        raise ValueError(f"{file}: {len(twice)} columns are called {twice[0]}: rename all but one")
    return schema, groups


def _image_column(schema: pa.Schema, file: str) -> str:
    found = next((n for n in _IMAGE if n in schema.names), None)
    if found is None:
        raise ValueError(
            f"{file} has the columns {', '.join(schema.names)}: the images must be called "
            f"{' or '.join(_IMAGE)}"
        )
    kind = schema.field(found).type
    if not _holds_images(kind) and not (pa.types.is_struct(kind) and "bytes" in kind.names):
        raise ValueError(
            f"{file}: column {found} is {kind}, but images must be bytes, a struct with the field "
            "bytes, or lists of pixels"
        )
    return found


def _label_column(schema: pa.Schema, file: str, label: str | None) -> str | None:
    """The column of labels. Raises: ValueError where several may be it, or none is called so."""
    if label is not None:
        if label and label not in schema.names:
            raise ValueError(f"{file} has no column {label!r}, only {', '.join(schema.names)}")
        return label or None
    others = [name for name in schema.names if name not in _IMAGE]
    found = label_columns(others)
    if set(found) == {"fine_label", "coarse_label"}:  # as CIFAR-100 is published
        log.info("%s: fine_label is read, coarse_label is not", file)
        return "fine_label"
    if not found:
        features = _features(schema)
        found = [n for n in others if _field(features, n).get("_type") == "ClassLabel"]
    if len(found) > 1:
        raise ValueError(
            f"{file} has several columns that may be the class, {', '.join(found)}: name one with "
            "--reader.label"
        )
    if not found and (like := _like_class(schema, others, file)):
        raise ValueError(
            f"{file}: is the class in the column {', '.join(like)}? Name it with --reader.label, "
            'or leave it out with --reader.label ""'
        )
    return found[0] if found else None


def _like_class(schema: pa.Schema, names: list[str], file: str) -> list[str]:
    """Columns of words or whole numbers that look like classes in the first rows."""
    kinds = (pa.types.is_integer, pa.types.is_string, pa.types.is_boolean, pa.types.is_dictionary)
    names = [n for n in names if any(kind(schema.field(n).type) for kind in kinds)]
    if not names:
        return []
    with pq.ParquetFile(file) as opened:
        table = next(opened.iter_batches(_SEEN, columns=names), None)
    if table is None:
        return []
    cells = {n: [str(x) for x in table[n].to_pylist() if x is not None] for n in names}
    return [name for name in names if looks_like_class(name, cells[name])]


def _labels(files: list[Path], label: str) -> Column | None:
    """The labels in some files; None where a file has no such column."""
    parts: list[np.ndarray] = []
    ends: list[int] = []
    for file in files:
        schema, groups = _opened(file)
        if label not in schema.names:
            return None
        try:
            column = read_table(file, [label])[label]
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{file}, column {label}: {error}") from error
        parts.append(_cells(column, f"{file}: column {label}"))
        ends.append(sum(groups) + (ends[-1] if ends else 0))
    if len({part.dtype.kind for part in parts} & set("OU")) and len(parts) > 1:
        parts = [part.astype(object) for part in parts]

    def where(i: int) -> str:
        f = int(np.searchsorted(ends, i, side="right"))
        return f"{files[f]} row {i - (ends[f - 1] if f else 0)}"

    return Column(np.concatenate(parts), where)


def _cells(column: pa.ChunkedArray, what: str) -> np.ndarray:
    """A column as numbers, truth values or words: see `Column`."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_integer(kind):
        return (column.cast(pa.float64(), safe=False) if column.null_count else column).to_numpy()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.float64()).to_numpy()
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        words = [None if x is None else str(x) for x in column.to_pylist()]
    elif any(getattr(pa.types, f"is_{t}")(kind) for t in _STRINGS):
        words = column.to_pylist()
    else:
        raise ValueError(
            f"{what} is {kind}, but a label must be a whole number, a word or a truth value: name "
            'another column with --reader.label, or --reader.label "" to read without labels'
        )
    return np.array(words, object)


def _holds_images(kind: pa.DataType) -> bool:
    tests = ("binary", "large_binary", "binary_view", "list", "large_list", "fixed_size_list")
    return any(getattr(pa.types, f"is_{test}")(kind) for test in tests)


def _features(schema: pa.Schema) -> dict[str, Any]:
    """What `datasets` writes about columns, if it is there."""
    try:
        found = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _field(features: dict[str, Any], name: str | None) -> dict[str, Any]:
    found = None if name is None else features.get(name)
    return found if isinstance(found, dict) else {}


def _class_names(parts: dict[str, list[Path]], label: str | None) -> tuple[str, ...] | None:
    """Class names from the metadata of the files of all splits, if they are there.

    Raises: ValueError where two files disagree.
    """
    found: dict[tuple[str, ...], Path] = {}
    for file in (file for files in parts.values() for file in files):
        names = _field(_features(_opened(file)[0]), label).get("names")
        if isinstance(names, list):
            found.setdefault(tuple(map(str, names)), file)
    if len(found) > 1:
        one, other, *_ = found.values()
        raise ValueError(f"{one} and {other} name the classes of column {label} differently")
    return next(iter(found), None)
