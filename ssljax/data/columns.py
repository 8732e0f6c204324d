"""Which columns of a table are the text of an example, and which one its class.

Columns are found by their names, or where there are none by what is in them. What is not clear is
refused by name, and what is not read is said.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ssljax.data.cells import Lines

log = logging.getLogger("ssljax")
_TEXT = ("text", "sentence")
_TEXTS = {
    *("content", "review", "reviewtext", "tweet", "tweettext", "message", "comment", "commenttext"),
    *("body", "document", "utterance", "question", "query", "headline", "title", "description"),
    *("abstract", "summary", "article", "post", "sms", "email", "phrase", "verse", "fulltext"),
}
_LABEL = {
    *("label", "labels", "category", "categories", "class", "classes", "intent", "target"),
    *("targets", "y", "sentiment", "classindex", "classid", "labelid", "classlabel", "goldlabel"),
    *("airlinesentiment", "finelabel", "coarselabel", "emotion", "polarity", "topic"),
}
_LABELS = {"rating", "ratings", "star", "stars", "score", "genre", "tag", "type", "spam", "toxic"}
_NAMES = {"labeltext", "labelname", "classname", "categoryname", "targetname", "intentname"}
_OTHER = {
    *("", "id", "ids", "idx", "index", "no", "number", "url", "link", "date", "time", "timestamp"),
    *("user", "username", "userid", "author", "source", "name", "file", "filename", "path"),
    *("split", "lang", "language", "country", "location", "length", "unnamed0"),
    *("width", "height", "size", "channels", "depth", "format", "mode", "license", "caption"),
}


def label_columns(names: Sequence[str]) -> list[str]:
    """Those of the names that say that a column is the class; the surest kind of names alone."""
    for known in (_LABEL, _LABELS):
        if found := [name for name in names if _plain(name) in known]:
            return found
    return []


def looks_like_class(name: str, cells: Sequence[str]) -> bool:
    """Whether a column called otherwise may be the class: few short words or numbers."""
    return _plain(name) not in _OTHER and _is_class(cells)


class Chosen(NamedTuple):
    """Places of columns. text: joined by a space; label: None without one; names: what the numbers
    of `label` are called, or None; rows: those below the head.
    """

    text: tuple[int, ...]
    label: int | None
    names: int | None
    rows: Lines


def choose_columns(
    file: Path, table: Lines, columns: tuple[str, ...], label: str | None, *, say: bool = True
) -> Chosen:
    """The columns of a table with at least one row.

    Args:
      columns: names of those that are the text; () to find them. Without a head they are 1, 2, ...
      label: name of the class; None to find it, "" for none.
      say: whether to say what was found where that may surprise.
    Raises: ValueError that names the columns where it is not clear.
    """
    head = [cell.strip() for cell in table[0][1]]
    if not _is_head(table, {*columns, label or ""}):
        if columns or label:
            head = [str(i) for i in range(1, len(head) + 1)]
            rows = table
        else:
            return _by_content(file, table, label, say=say)
    else:
        rows = table[1:]
    plain = [_plain(name) for name in head]
    text = [_place(file, head, name) for name in columns] or _texts(plain)
    if not text:
        raise ValueError(
            f"{file} has the columns {', '.join(head)}: the text must be under text or sentence, "
            "or name its columns with --reader.columns"
        )
    names = None
    if label:
        found: int | None = _place(file, head, label)
    elif label is None:
        found, names = _label(file, head, plain, text, rows)
    else:
        found = None
    used = {*text, found, names}
    unread = [name or "(no name)" for i, name in enumerate(head) if i not in used]
    if say and (unread or len(text) > 1):
        said = f"; not read: {', '.join(unread)}" if unread else ""
        log.info("%s: the text is %s%s", file, " + ".join(head[i] for i in text), said)
    return Chosen(tuple(text), found, names, rows)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_head(table: Lines, named: set[str]) -> bool:
    """Whether the first row names columns: it holds a known name that is in no row below."""
    first = table[0][1]
    known = {*_TEXT, *_TEXTS, *_LABEL, *_LABELS, *_NAMES}
    for i, cell in enumerate(first):
        name = cell.strip()
        known_here = bool(name) and (_plain(name) in known or name in named)
        if known_here and not any(row[i].strip() == name for _, row in table[1:]):
            return True
    return False


def _place(file: Path, head: list[str], name: str) -> int:
    if name not in head:
        raise ValueError(f"{file} has no column {name!r}, only {', '.join(head)}")
    return head.index(name)


def _texts(plain: list[str]) -> list[int]:
    """The column called text or sentence, or else all that are called as texts are."""
    one = next((plain.index(name) for name in _TEXT if name in plain), None)
    return [one] if one is not None else [i for i, name in enumerate(plain) if name in _TEXTS]


def _label(
    file: Path, head: list[str], plain: list[str], text: list[int], rows: Lines
) -> tuple[int | None, int | None]:
    """The column of the class, and the one of its names. Raises: ValueError where several may be
    it, or where none is called so and some look like it.
    """
    rest = [i for i in range(len(plain)) if i not in text]
    names = [i for i in rest if plain[i] in _NAMES]
    found = [i for i in rest if head[i] in label_columns([head[i] for i in rest])]
    if len(found) > 1:
        raise ValueError(
            f"{file} has several columns that may be the class, "
            f"{', '.join(head[i] for i in found)}: name one with --reader.label"
        )
    if found:
        return found[0], names[0] if names else None
    if names:
        return names[0], None
    if like := [i for i in rest if looks_like_class(head[i], [row[i] for _, row in rows])]:
        may = ", ".join(head[i] for i in like)
        raise ValueError(
            f"{file}: is the class in the column {may}? Name it with --reader.label, or leave "
            'it out with --reader.label ""'
        )
    return None, None


def _is_class(cells: Sequence[str]) -> bool:
    """Whether cells look like classes: short, and few of them, or all whole numbers."""
    words = [cell.strip() for cell in cells if cell.strip()]
    if not words or max(map(len, words)) > 40:
        return False
    return len(set(words)) <= max(2, len(words) // 2)


def _by_content(file: Path, table: Lines, label: str | None, *, say: bool) -> Chosen:
    """Columns without names: one of whole numbers or of few short words at either end is the class,
    the others are the text.
    """
    width = len(table[0][1])
    if width == 1 or label == "":
        return Chosen(tuple(range(width)), None, None, table)
    columns = [[row[i].strip() for _, row in table] for i in range(width)]
    first = " | ".join(column[0][:30] for column in columns)
    numbers = [i for i in range(width) if _are_numbers(columns[i])]
    below = [i for i in range(width) if len(table) > 2 and _are_numbers(columns[i][1:])]
    headed = not numbers and len(below) == 1
    found: int | None = None
    if len(numbers) == 1 and numbers[0] in (0, width - 1):
        found = numbers[0]
    elif width == 2 and not numbers:
        found = _shorter(columns)
        headed |= found is not None and _is_apart(columns[found])
    if headed:
        raise ValueError(
            f"{file}: is its first row, {first}, the names of the columns? Name those of the text "
            "with --reader.columns and the class with --reader.label, and where the columns have "
            "no names their numbers, as in --reader.columns 1 --reader.label 2"
        )
    if found is None:
        raise ValueError(
            f"{file} has {width} columns without a known name (the first row is {first}), and it "
            "is not clear which one is the class: name columns as the first row does, or by their "
            "number, as in --reader.columns 2 --reader.label 1"
        )
    text = tuple(i for i in range(width) if i != found)
    if say:
        log.warning(
            "%s has no known names of columns: the class is column %d, the text %s; the first row "
            "is %s",
            *(file, found + 1, " + ".join(str(i + 1) for i in text)),
            first,
        )
    return Chosen(text, found, None, table)


def _are_numbers(cells: list[str]) -> bool:
    return any(cells) and all(re.fullmatch(r"[+-]?\d+(\.0*)?|", cell) for cell in cells)


def _is_apart(cells: list[str]) -> bool:
    """Whether the first cell is in no other row, and those below come again and again."""
    return cells[0] not in cells[1:] and 2 * len(set(cells[1:])) <= len(cells) - 1


def _shorter(columns: list[list[str]]) -> int | None:
    """Which of two columns of words is the class: the one of few words, or of few values."""
    words = [max((len(cell.split()) for cell in column), default=0) for column in columns]
    values = [len(set(column)) for column in columns]
    for i, other in ((1, 0), (0, 1)):
        if (words[i] <= 2 < words[other] and values[i] <= values[other]) or (
            2 * values[i] <= len(columns[i]) < 2 * values[other]
        ):
            return i
    return None
