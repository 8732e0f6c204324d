"""Files of interactions: who dealt with what, how much they liked it and when, and what else is
known of people and things.

    a file       .csv, .tsv (also .gz) or .parquet with a row of column names
    a folder     interactions.csv (.tsv, .parquet), maybe users.csv and items.csv beside it
    ml-100k      the folder of MovieLens 100K as it comes: u.data, u.user, u.item, u.genre; also
                 its own splits, such as ua.base and ua.test
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ssljax.data import announced_tables

KINDS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
Columns = dict[str, np.ndarray]
"""Cells by column, str [N]; "" where there is nothing."""


class Names(NamedTuple):
    """What the columns are called."""

    user: str
    item: str
    rating: str
    time: str
    part: str = "split"


class Log(NamedTuple):
    """Interactions as they lie in a file, before anything is numbered or left out."""

    file: Path
    user: np.ndarray
    """str [N]"""
    item: np.ndarray
    """str [N]"""
    rating: np.ndarray | None
    """float64 [N], NaN where the cell is no number; None where there is no such column."""
    time: np.ndarray | None
    """The same, in seconds since 1970."""
    users: Columns | None
    """What is known of the users; None: nothing."""
    items: Columns | None
    """What is known of the items."""
    scale: tuple[float, float] | None
    """Lowest and highest rating, where the format says so."""
    part: np.ndarray | None
    """The split of each row as the file calls it, str [N]; None where it does not say."""
    names: Names


def read_log(place: Path, names: Names, *, fold: str | None = None) -> Log:
    """All that a file or a folder holds.

    fold: of MovieLens 100K, the split that is read in place of u.data, such as "ua".
    Raises: FileNotFoundError, or ValueError that says what a file lacks.
    """
    if (place / "u.data").is_file():
        return _movielens(place, names, fold)
    main = _offered(place, "interactions") if place.is_dir() else place
    if main is None or not main.is_file():
        wanted = ", ".join(f"interactions{kind}" for kind in KINDS)
        raise FileNotFoundError(f"{place} holds no interactions: it needs one of {wanted}")
    table = read_table(main)
    for name in (names.user, names.item):
        if name not in table:
            raise ValueError(
                f"{main} has no column {name!r}, only {', '.join(table)}: name it with "
                f"--reader.{'user' if name == names.user else 'item'}"
            )
    sides = []
    for stem, key in (("users", names.user), ("items", names.item)):
        file = _offered(place, stem) if place.is_dir() else None
        side = None if file is None else read_table(file)
        if side is not None and key not in side:
            raise ValueError(f"{file} has no column {key!r}, by which its rows are found")
        sides.append(side)
    rating, time = (
        numbers(table[name]) if name in table else None for name in (names.rating, names.time)
    )
    users, items = sides
    pair, part = (table[names.user], table[names.item]), table.get(names.part)
    return Log(main, *pair, rating, time, users, items, None, part, names)


def read_table(file: Path) -> Columns:
    """The columns of a file as text. Sets in lists become words between bars, times seconds."""
    kind = file.name.removesuffix(".gz").rpartition(".")[2]
    try:
        if kind == "parquet":
            table = announced_tables.read_table(file)
        elif kind in ("csv", "tsv"):
            table = _read_text(file, "," if kind == "csv" else "\t", quoted=kind == "csv")
        else:
            raise ValueError(f"{file}: interactions are {', '.join(KINDS)}")
        if len(set(table.column_names)) < table.num_columns:
            names = ", ".join(table.column_names)
            raise ValueError(f"{file} has two columns of one name: {names}")
        found = {name: _text(table.column(name)) for name in table.column_names}
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{file} cannot be read as a table with a row of names: {error}") from None
    if not table.num_rows:
        raise ValueError(f"{file} holds no rows below the names of its columns")
    return found


def numbers(cells: np.ndarray) -> np.ndarray:
    """float64 [N] of cells, NaN where one is no finite number."""

    def number(cell: str) -> float:
        try:
            value = float(cell) if "_" not in cell else np.nan  # Python reads 1_0 as 10
        except ValueError:
            return np.nan
        return value if np.isfinite(value) else np.nan

    return np.array([number(cell) for cell in cells], np.float64)


def _read_text(
    file: Path,
    between: str,
    *,
    quoted: bool = False,
    names: list[str] | None = None,
    encoding: str = "utf8",
) -> pa.Table:
    """A table whose cells are text. names: of the columns, where the file has no row of them."""
    reading = pyarrow.csv.ReadOptions(column_names=names, encoding=encoding)
    parsing = pyarrow.csv.ParseOptions(
        delimiter=between, quote_char='"' if quoted else False, ignore_empty_lines=False
    )
    if names is None:
        with pyarrow.csv.open_csv(file, read_options=reading, parse_options=parsing) as opened:
            names = opened.schema.names
    text = pyarrow.csv.ConvertOptions(column_types={name: pa.string() for name in names or ()})
    return pyarrow.csv.read_csv(file, reading, parsing, text)


def _text(column: pa.ChunkedArray) -> np.ndarray:
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        cells = ["" if x is None else "|".join(map(str, x)) for x in column.to_pylist()]
    else:
        cells = ["" if x is None else x.strip() for x in column.cast(pa.string()).to_pylist()]
    return np.array(cells, str)


def _offered(folder: Path, stem: str) -> Path | None:
    """The one file of this name in a folder."""
    found = [folder / (stem + kind) for kind in KINDS if (folder / (stem + kind)).is_file()]
    if len(found) > 1:
        raise ValueError(f"{folder} has several: {', '.join(file.name for file in found)}")
    return found[0] if found else None


def _movielens(folder: Path, names: Names, fold: str | None) -> Log:
    """MovieLens 100K: ratings from 1 to 5; age, gender and occupation; title, year and genres."""
    files = ["u.data"] if fold is None else [f"{fold}.base", f"{fold}.test"]
    asked = dict.fromkeys(files, ("\t", ["user", "item", "rating", "time"]))
    asked |= {
        "u.user": ("|", ["user", "age", "gender", "occupation", "zip"]),
        "u.genre": ("|", ["genre", "number"]),
    }
    if missing := [n for n in (*asked, "u.item") if not (folder / n).is_file()]:
        raise FileNotFoundError(f"{folder} has u.data but no {missing[0]}: it belongs to MovieLens")
    try:
        *tables, people, genre = (
            _read_text(folder / name, between, names=columns)
            for name, (between, columns) in asked.items()
        )
        kinds = [name for name in _text(genre.column("genre")) if name]  # the file ends in blanks
        head = ["item", "title", "date", "video", "address", *kinds]
        things = _read_text(folder / "u.item", "|", names=head, encoding="latin-1")
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{folder} cannot be read as MovieLens 100K: {error}") from None
    marks = np.stack([_text(things.column(kind)) == "1" for kind in kinds], axis=1)
    items = {
        names.item: _text(things.column("item")),
        "title": _text(things.column("title")),
        "year": np.array([date[-4:] for date in _text(things.column("date"))]),
        "genres": np.array(
            ["|".join(k for k, on in zip(kinds, m, strict=True) if on) for m in marks]
        ),
    }
    users = {name: _text(people.column(name)) for name in ("user", "age", "gender", "occupation")}
    users[names.user] = users.pop("user")
    rows, scale = pa.concat_tables(tables), (1.0, 5.0)
    user, item, rating, time = (_text(rows.column(name)) for name in rows.column_names)
    part = None if fold is None else np.repeat(["train", "test"], [t.num_rows for t in tables])
    pair, rest = (user, item), (numbers(rating), numbers(time), users, items, scale)
    # Rows are counted through both files of a split.
    return Log(folder / " and ".join(files), *pair, *rest, part, names)
