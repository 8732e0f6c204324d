"""Text on disk: documents, and labels where there are any, by split.

    text:PATH[:SPLIT]       a .txt file, or a folder of them; any may be gzipped; or a pattern of
                            files such as multi30k/*.en.gz, whatever their ending
    tsv:PATH[:SPLIT]        a table with a column of text and maybe one of labels, or a folder of
    csv:PATH[:SPLIT]        such tables, one a split

A file whose name starts with a split (train.tsv, dev.en.gz), or that lies in a folder called so, is
all of that split. Plain text that names no split is cut: the first 90% of its characters train, the
rest is for validation; in class folders it is all for training, and the folder is the class. Which
columns of a table are text and class: `ssljax.data.columns`.
"""

import difflib
import itertools
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ssljax.data.cells import Lines, read_rows, read_text
from ssljax.data.columns import Chosen, choose_columns
from ssljax.data.folder import folder_columns
from ssljax.data.labels import Column, classes_of
from ssljax.data.split_names import SPLITS, normal
from ssljax.data.walk import Found, find, hidden, layout

log = logging.getLogger("ssljax")
KINDS = {"text": ("txt",), "tsv": ("tsv",), "csv": ("csv",)}
_TRAINED = 0.9  # share of a text without splits


class Documents(NamedTuple):
    """Documents of a split. labels: int32 [N], -1 where there is none, or None without any; names:
    what a person calls each, such as "train.csv:7" for its line.
    """

    texts: list[str]
    names: list[str]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] | None = None


def document_splits(spec: str) -> tuple[str, ...]:
    """The splits that `spec` offers, of train, validation and test; just the one that it names.

    Raises: ValueError or FileNotFoundError that say what was found.
    """
    kind, place, named = _parse(spec)
    return (named,) if named else tuple(s for s in SPLITS if s in _offered(kind, place).files)


def read_documents(
    spec: str,
    *,
    split: str,
    unit: Literal["file", "block", "line"] = "file",
    columns: tuple[str, ...] = (),
    label: str | None = None,
) -> Documents:
    """The documents of a split. A split in the spec counts more than `split`.

    Args:
      unit: what a document is in plain text: a file, a block between blank lines, or a line. Empty
        ones are left out.
      columns, label: of a table: see `choose_columns`.
    Raises: ValueError or FileNotFoundError that say what was found and what to do.
    """
    kind, place, named = _parse(spec)
    split = named or normal(split)
    offered = _offered(kind, place)
    files = offered.files.get(split)
    if not files:
        raise ValueError(f"{spec} has no split {split!r}: it has {', '.join(offered.files)}")
    Found([str(file) for file in files], offered.left).say(spec)
    if kind != "text":
        return _table(kind, place, offered.files, split, columns, label)
    texts = [read_text(file) for file in files]
    if offered.cut:
        texts = _cut(texts, split)
    found = [
        (document, f"{_below(place, file)}:{line}" if line else _below(place, file), i)
        for i, (file, text) in enumerate(zip(files, texts, strict=True))
        for line, document in _units(text, unit)
    ]
    if not found:
        raise ValueError(f"{spec} ({split}) holds no text")
    folders = {s: [offered.classes[f] for f in part] for s, part in offered.files.items()}
    labels, classes = classes_of(folder_columns(folders, spec), split, place=spec)
    if labels is not None:
        labels = labels[[i for _, _, i in found]]
    return Documents([x for x, _, _ in found], [name for _, name, _ in found], labels, classes)


def _units(text: str, unit: str) -> Iterator[tuple[int, str]]:
    """(line where it starts, or 0 for a whole file; document) of the documents in a text."""
    if unit == "file":
        pieces = [text]
    elif unit == "block":
        pieces = re.split(r"(\n[ \t\r]*(?=\n))", text)
    elif unit == "line":
        pieces = text.split("\n")
    else:
        raise ValueError(f"no unit {unit!r} of text: choose file, block or line")
    line = 1
    for piece in pieces:
        if piece.strip():
            first = line + piece[: len(piece) - len(piece.lstrip())].count("\n")
            yield (0, piece) if unit == "file" else (first, piece.strip())
        line += piece.count("\n") + (unit == "line")


def _below(place: Path, file: Path) -> str:
    """What to call a file of the data at a place."""
    return file.relative_to(place).as_posix() if place.is_dir() else file.name


def read_cells(spec: str, *, split: str) -> list[tuple[Path, Lines]]:
    """The tables of a split as they are: (file, rows that are not empty).

    Raises: ValueError or FileNotFoundError that say what was found.
    """
    kind, place, named = _parse(spec)
    files, split = _offered(kind, place).files, named or normal(split)
    if kind == "text" or split not in files:
        raise ValueError(f"{spec} has no table {split!r}: it has {', '.join(files)}")
    return [(file, read_rows(kind, file)) for file in files[split]]


def _parse(spec: str) -> tuple[str, Path, str | None]:
    """(kind, place, split or None) of "kind:place[:split]"; a place may hold colons itself."""
    kind, _, place = spec.partition(":")
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"data {spec!r}: text starts with text:, tsv: or csv:{hint}")
    if not place:
        raise ValueError(f"data {spec!r}: name what to read, as in {kind}:PATH")
    head, _, tail = place.rpartition(":")
    named = normal(tail) if head and normal(tail) in SPLITS and not Path(place).exists() else None
    path = Path(head if named else place)
    if not path.exists() and not (kind == "text" and _matching(path)):
        raise FileNotFoundError(f"data {spec!r}: there is no {path}")
    return kind, path, named


class _Offered(NamedTuple):
    """files: by split; classes: the class folder of each, or ""; cut: whether training and
    validation are parts of the same files; left: what is not read, by reason.
    """

    files: dict[str, list[Path]]
    classes: dict[Path, str]
    cut: bool
    left: dict[str, list[str]]


def _offered(kind: str, place: Path) -> _Offered:
    """Raises: ValueError or FileNotFoundError where there is nothing, or it is unclear."""
    left: dict[str, list[str]] = {}
    if place.is_dir():
        ends = [end for e in KINDS[kind] for end in (f".{e}", f".{e}.gz")]
        found = find(str(place), kind=kind, suffixes=ends, what=f".{KINDS[kind][0]} files")
        files, left = [place / name for name in found.names], found.left
    else:
        files = [place] if place.is_file() else _matching(place)
    if not files:
        raise FileNotFoundError(f"{place} holds no .{KINDS[kind][0]} files")
    of = {file: (_split_of(file), "") for file in files}
    if place.is_dir() and not any(split in SPLITS for split, _ in of.values()):
        folders = layout([f.relative_to(place).as_posix() for f in files], f"{kind}:{place}")
        of = dict(zip(files, folders.values(), strict=True))
    named = {split: [f for f in files if of[f][0] == split] for split in SPLITS}
    named = {split: part for split, part in named.items() if part}
    classes = {file: name for file, (_, name) in of.items()}
    if not named:  # one file that is called otherwise, or several of a pattern
        named = {"train": files}
    elif len(files) > sum(map(len, named.values())):
        rest = [str(_below(place, f)) for f in files if of[f][0] not in SPLITS]
        left["without a split in the name, beside files with one"] = rest
    told = any(_split_of(file) in SPLITS for file in files) or set(named) != {"train"}
    cut = kind == "text" and not told and len(set(classes.values())) == 1
    if cut and not (place.is_dir() and normal(files[0].relative_to(place).parts[0]) in SPLITS):
        return _Offered({"train": files, "validation": files}, classes, True, left)
    return _Offered(named, classes, False, left)


def _matching(pattern: Path) -> list[Path]:
    """Files whose name fits the pattern that a path ends with; none where it is no pattern."""
    if not any(c in pattern.name for c in "*?["):
        return []
    found = sorted(pattern.parent.glob(pattern.name))
    return [f for f in found if f.is_file() and not hidden(f.name)]


def _split_of(file: Path) -> str:
    return normal(re.split(r"[^A-Za-z]", file.name)[0])


def _cut(texts: list[str], split: str) -> list[str]:
    """The first 90% of the characters, or the rest; the text at the border gives to both."""
    ends = list(itertools.accumulate(map(len, texts)))
    border = int(_TRAINED * ends[-1])
    places = [min(max(border - end + len(text), 0), len(text)) for text, end in zip(texts, ends)]
    if split == "train":
        return [text[:place] for text, place in zip(texts, places)]
    return [text[place:] for text, place in zip(texts, places)]


def _table(
    kind: str,
    place: Path,
    offered: dict[str, list[Path]],
    split: str,
    columns: tuple[str, ...],
    label: str | None,
) -> Documents:
    tables = {
        s: [row for file in files for row in _rows(kind, file, columns, label, say=s == split)]
        for s, files in offered.items()
    }
    rows = tables[split]
    if not rows:
        raise ValueError(f"{offered[split][0]} holds no examples")
    called = {row.column: row.file for row in rows if row.column}
    if len(called) > 1:
        (one, a), (other, b), *_ = called.items()
        raise ValueError(
            f"the classes are in the column {one} of {a} and in {other} of {b}: call them alike"
        )
    found = {
        s: Column([row.label for row in table], lambda i, t=table: f"{t[i].file}, line {t[i].line}")
        for s, table in tables.items()
        if any(row.label is not None for row in table)
    }
    labels, classes = classes_of(found, split, place=f"{kind}:{place}")
    names = [f"{_below(place, row.file)}:{row.line}" for row in rows]
    return Documents([row.text for row in rows], names, labels, classes)


class _Row(NamedTuple):
    file: Path
    line: int
    text: str
    label: str | None
    column: str | None  # the name of that of the label, where it has one


def _rows(
    kind: str, file: Path, columns: tuple[str, ...], label: str | None, *, say: bool
) -> list[_Row]:
    """The rows of a table; labels are None where it has none."""
    table = read_rows(kind, file)
    if not table:
        return []
    chosen = choose_columns(file, table, columns, label, say=say)
    named = _named(chosen)
    column = None
    if chosen.label is not None and len(chosen.rows) < len(table):
        column = table[0][1][chosen.label].strip().lower()
    found = []
    for line, row in chosen.rows:
        word = None if chosen.label is None else row[chosen.label].strip()
        text = " ".join(row[i] for i in chosen.text)
        found.append(_Row(file, line, text, named.get(word, word) if word else word, column))
    return found


def _named(chosen: Chosen) -> dict[str, str]:
    """What the numbers of the classes are called beside them; {} where that is not one name each,
    and the numbers then stay.
    """
    if chosen.label is None or chosen.names is None:
        return {}
    pairs = {(row[chosen.label].strip(), row[chosen.names].strip()) for _, row in chosen.rows}
    pairs = {(number, name) for number, name in pairs if number and name and number != "-1"}
    named = dict(pairs)
    return named if len(named) == len(pairs) == len(set(named.values())) else {}
