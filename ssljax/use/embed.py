"""Features of a data set as a file that other tools open: one row an example.

    index     int64, the row of the example in the data      file    what a person calls it, or null
    class     its class, where the data has labels           features    float32 [D]

Parquet and CSV are written batch by batch, so that nothing but a batch is held; an .npz holds one
array for each of these columns, with "name" for file. A file is whole or absent.
"""

import csv
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ssljax.data.part import file_of, part_of, rows_of_part, said, whole
from ssljax.data.stream import without_workers
from ssljax.files import atomically
from ssljax.runs.experiment import Experiment
from ssljax.runs.folder import config_of
from ssljax.runs.known import moved, place_of, saved
from ssljax.use.encoder import Encoder

log = logging.getLogger("ssljax")
Columns = dict[str, Any]
"""index int64 [n], file and class lists of n (or absent), features float32 [n, D]."""
_TAKEN = "{} is there already: --overwrite replaces it, or name another file"
_FEW = 5_000  # examples that are decoded sooner than processes for it have started


def embed(
    encoder: Encoder,
    out: Path | str,
    *,
    data: str | None = None,
    split: str | None = None,
    shard: str | None = None,
    overwrite: bool = False,
) -> tuple[Path, int]:
    """Writes the features of `data` to `out`, on all devices of this host.

    Args:
      out: a .parquet, .npz or .csv file outside the run folder.
      data: such as folder:PATH; None: the training data of the run.
      split: train, validation or test; None: training, or whatever there is.
      shard: "i/n", i from 0 to n - 1: one of n nearly equal parts of the data, which is written to
        NAME-0000i-of-0000n.parquet. A part that is there is not done again.
      overwrite: replace a file that is there.
    Returns: (the file, the number of rows in it).
    Raises: ValueError or FileNotFoundError, before anything is computed, where the file is there,
      or the data cannot be read or is none for the encoder.
    """
    out, part = _place(encoder.run, Path(out), shard)
    own, data = data is None, data or place_of(encoder.experiment, encoder.run)
    about = _about(encoder.run, encoder.step, data, split, shard)
    if out.exists() and not overwrite:
        if part is not None and (rows := whole(out, about)) is not None:
            return out, rows
        raise ValueError(_TAKEN.format(out))

    # A shard decodes its own examples alone; an .npz is read as a whole.
    streams = part is not None and not data.startswith("npz:")
    try:
        dataset = encoder.dataset(data, split=split, memory=0 if streams else None)
    except FileNotFoundError as error:
        if not own:
            raise
        raise moved(error, encoder.run) from error
    if part is not None:
        dataset = dataset.part(np.array(rows_of_part(dataset, *part)))
    alone = without_workers() if len(dataset) < _FEW else nullcontext()
    columns, size = _columns(encoder, dataset), 0

    def counted() -> Iterator[Columns]:
        nonlocal size
        for some in columns:
            size += len(some["index"])
            yield some

    with alone:
        if jax.process_index() == 0:
            atomically(out, lambda fresh: _WRITERS[out.suffix](fresh, counted(), about))
        else:  # the other hosts compute, and the first one writes
            for _ in counted():
                pass
    if dataset.skipped:
        log.warning("%d examples that cannot be read are left out", len(dataset.skipped))
    return out, size


def finished(
    run: Path | str,
    out: Path | str,
    *,
    data: str | None = None,
    split: str | None = None,
    shard: str | None = None,
    overwrite: bool = False,
    file: str | None = None,
) -> tuple[Path, int] | None:
    """What `embed` would return at once, of a part that is there and whole; else None. Files alone
    are looked at: the run is not loaded.

    Args: as of `embed`. file: the experiment file, where the run uses a class of it. Raises:
      ValueError for what `embed` refuses without a look at the data.
    """
    out, part = _place(Path(run), Path(out), shard)
    if overwrite or not out.exists():
        return None
    if part is None:
        raise ValueError(_TAKEN.format(out))
    made = config_of(Path(run), file)
    if not isinstance(made, Experiment):  # whose last network is found with its pool
        return None
    data = data or place_of(made, Path(run))
    rows = whole(out, _about(Path(run), saved(Path(run)), data, split, shard))
    return None if rows is None else (out, rows)  # what else it may be, only the network tells


def _place(run: Path, out: Path, shard: str | None) -> tuple[Path, tuple[int, int] | None]:
    """(the file to write, the part of the data). Raises: ValueError where it cannot be."""
    if out.suffix not in _WRITERS:
        raise ValueError(f"--out {out}: the file ends in {', '.join(_WRITERS)}")
    if out.resolve().is_relative_to(run.resolve()):
        raise ValueError(f"--out {out} lies in the run folder, which stays as it is: name another")
    if shard is None:
        return out, None
    i, n = part_of(shard)
    return file_of(out, i, n), (i, n)


def _about(run: Path, step: int, data: str, split: str | None, shard: str | None) -> dict[str, Any]:
    """What a file says of itself."""
    about = {"run": str(run.resolve()), "step": step, "data": data, "split": split}
    return about if shard is None else about | {"shard": shard}


def _columns(encoder: Encoder, dataset: Any) -> Iterator[Columns]:
    names, classes = dataset.names, dataset.classes
    for rows, x in encoder.pieces(dataset):
        at = rows["index"]
        found: Columns = {"index": np.asarray(dataset.origin)[at].astype(np.int64)}
        found["file"] = [None if names is None else str(names[i]) for i in at]
        if dataset.labelled:
            found["class"] = [None if y < 0 else classes[y] for y in rows["label"]]
        yield found | {"features": x}


def _to_parquet(path: Path, pieces: Iterable[Columns], about: dict[str, Any]) -> None:
    writer = None
    try:
        for some in pieces:
            x = some["features"]
            flat = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), x.shape[1])
            columns = {"index": pa.array(some["index"])}
            columns |= {k: pa.array(some[k], pa.string()) for k in ("file", "class") if k in some}
            table = pa.table(columns | {"features": flat})
            table = table.replace_schema_metadata(said(about))
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _to_csv(path: Path, pieces: Iterable[Columns], about: dict[str, Any]) -> None:
    del about
    with path.open("w", newline="", encoding="utf-8") as file:
        rows, head = csv.writer(file, lineterminator="\n"), False
        for some in pieces:
            named = [k for k in ("index", "file", "class") if k in some]
            if not head:
                rows.writerow([*named, *(f"f{i}" for i in range(some["features"].shape[1]))])
                head = True
            for *cells, x in zip(*(some[k] for k in named), some["features"], strict=True):
                rows.writerow([*cells, *(f"{value:.9g}" for value in x)])


def _to_npz(path: Path, pieces: Iterable[Columns], about: dict[str, Any]) -> None:
    parts = list(pieces)
    arrays: dict[str, Any]  # `savez` has parameters of other types, under other names
    arrays = {k: np.concatenate([p[k] for p in parts]) for k in ("index", "features")}
    # NumPy's savez has a parameter "file" of its own, which no array can be called.
    for name, called in (("file", "name"), ("class", "class")):
        if name in parts[0]:
            cells = [cell for p in parts for cell in p[name]]
            if any(cell is not None for cell in cells):
                arrays[called] = np.array(["" if cell is None else cell for cell in cells])
    np.savez(path, **arrays, about=np.array(json.dumps(about)))


_WRITERS = {".parquet": _to_parquet, ".npz": _to_npz, ".csv": _to_csv}
