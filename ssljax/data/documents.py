"""Text on disk: documents, and labels where there are any, by split.

    text:PATH[:SPLIT]       a .txt file, or a folder of them; any may be gzipped; or a pattern of
                            files such as multi30k/*.en.gz, whatever their ending
    tsv:PATH[:SPLIT]        a table with a column of text and maybe one of labels, or a folder of
    csv:PATH[:SPLIT]        such tables, one a split

A file whose name starts with a split (train.tsv, dev.en.gz) is all of that split. Plain text that
names no split is cut: the first 90% of its characters train, the rest is for validation. A table
whose first row names its columns needs the text under text or sentence and the label under label,
category, class or intent; a table without such a row has the text first and the label second.
"""

import csv
import difflib
import gzip
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ssljax.data.labels import Column, classes_of
from ssljax.data.split_names import SPLITS, normal

KINDS = {"text": ("txt",), "tsv": ("tsv",), "csv": ("csv",)}
_TEXT, _LABEL = ("text", "sentence"), ("label", "category", "class", "intent")
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
    return (named,) if named else tuple(s for s in SPLITS if s in _offered(kind, place))


def read_documents(
    spec: str, *, split: str, unit: Literal["file", "block", "line"] = "file"
) -> Documents:
    """The documents of a split. A split in the spec counts more than `split`.

    unit: what a document is in plain text: a file, a block between blank lines, or a line. Empty
      ones are left out.
    Raises: ValueError or FileNotFoundError that say what was found and what to do.
    """
    kind, place, named = _parse(spec)
    split = named or normal(split)
    offered = _offered(kind, place)
    if split not in offered:
        raise ValueError(
            f"{spec} has no split {split!r}: it has {', '.join(s for s in SPLITS if s in offered)}"
        )
    if kind != "text":
        return _table(kind, place, offered, split)
    texts = [_read(file) for file in offered[split]]
    if not _by_name(offered[split]):
        texts = _cut(texts, split)
    found = [
        (document, f"{_below(place, file)}:{line}" if line else _below(place, file))
        for file, text in zip(offered[split], texts, strict=True)
        for line, document in _units(text, unit)
    ]
    if not found:
        raise ValueError(f"{spec} ({split}) holds no text")
    return Documents([text for text, _ in found], [name for _, name in found])


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


Lines = list[tuple[int, list[str]]]
"""Rows of a table: the line where each ends, and its cells."""


def read_cells(spec: str, *, split: str) -> list[tuple[Path, Lines]]:
    """The tables of a split as they are: (file, rows that are not empty).

    Raises: ValueError or FileNotFoundError that say what was found.
    """
    kind, place, named = _parse(spec)
    offered, split = _offered(kind, place), named or normal(split)
    if kind == "text" or split not in offered:
        raise ValueError(f"{spec} has no table {split!r}: it has {', '.join(offered)}")
    return [(file, _cells(kind, file)) for file in offered[split]]


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


def _offered(kind: str, place: Path) -> dict[str, list[Path]]:
    """Files by split."""
    if place.is_file():
        files = [place]
    elif not place.exists():
        files = _matching(place)
    else:
        ends = [end for e in KINDS[kind] for end in (f".{e}", f".{e}.gz")]
        files = sorted(f for f in place.rglob("*") if f.name.endswith(tuple(ends)))
    if not files:
        raise FileNotFoundError(f"{place} holds no .{KINDS[kind][0]} files")
    found: dict[str, list[Path]] = {}
    for file in files:
        if _split_of(file) in SPLITS:
            found.setdefault(_split_of(file), []).append(file)
    if found:
        return found
    return {"train": files, "validation": files} if kind == "text" else {"train": files}


def _matching(pattern: Path) -> list[Path]:
    """Files whose name fits the pattern that a path ends with; none where it is no pattern."""
    if not any(c in pattern.name for c in "*?["):
        return []
    return sorted(f for f in pattern.parent.glob(pattern.name) if f.is_file())


def _split_of(file: Path) -> str:
    return normal(re.split(r"[^A-Za-z]", file.name)[0])


def _by_name(files: list[Path]) -> bool:
    return all(_split_of(file) in SPLITS for file in files)


def _read(file: Path) -> str:
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 ({error}): convert it first") from error


def _cut(texts: list[str], split: str) -> list[str]:
    """The first 90% of the characters, or the rest; the text at the border gives to both."""
    ends = list(itertools.accumulate(map(len, texts)))
    border = int(_TRAINED * ends[-1])
    places = [min(max(border - end + len(text), 0), len(text)) for text, end in zip(texts, ends)]
    if split == "train":
        return [text[:place] for text, place in zip(texts, places)]
    return [text[place:] for text, place in zip(texts, places)]


def _table(kind: str, place: Path, offered: dict[str, list[Path]], split: str) -> Documents:
    tables = {
        s: [(file, *row) for file in offered[s] for row in _rows(kind, file)] for s in offered
    }
    rows = tables[split]
    if not rows:
        raise ValueError(f"{offered[split][0]} holds no examples")
    columns = {}
    for name, table in tables.items():
        labels = [label for _, _, _, label in table]
        if None in labels and any(label is not None for label in labels):
            file, line, *_ = table[labels.index(None)]
            raise ValueError(f"{file}, line {line}: this row has no label, others have one")
        if labels and labels[0] is not None:
            columns[name] = Column(labels, lambda i, t=table: f"{t[i][0]}, line {t[i][1]}")
    labels, classes = classes_of(columns, split, place=f"{kind}:{place}")
    names = [f"{_below(place, file)}:{line}" for file, line, _, _ in rows]
    return Documents([text for _, _, text, _ in rows], names, labels, classes)


def _rows(kind: str, file: Path) -> list[tuple[int, str, str | None]]:
    """(line, text, label or None) of each row."""
    table = _cells(kind, file)
    text, label = 0, 1
    if table and {cell.strip().lower() for cell in table[0][1]} & {*_TEXT, *_LABEL}:
        head = [cell.strip().lower() for cell in table.pop(0)[1]]
        text = next((head.index(name) for name in _TEXT if name in head), -1)
        label = next((head.index(name) for name in _LABEL if name in head), len(head))
        if text < 0:
            raise ValueError(
                f"{file} has the columns {', '.join(head)}: the text must be under text or sentence"
            )
    for line, row in table:
        if len(row) <= text:
            raise ValueError(f"{file}, line {line} has {len(row)} columns, and no text")
    return [
        (line, row[text], row[label].strip() if len(row) > label else None) for line, row in table
    ]


def _cells(kind: str, file: Path) -> Lines:
    """Rows of a table that are not empty."""
    lines = [f"{line}\n" for line in _read(file).split("\n")]
    if kind == "tsv":  # quotes mean nothing there
        rows = [(i, line.rstrip("\r\n").split("\t")) for i, line in enumerate(lines, start=1)]
    else:
        reader = csv.reader(lines)
        rows = [(reader.line_num, row) for row in reader]
    return [(line, row) for line, row in rows if any(cell.strip() for cell in row)]
