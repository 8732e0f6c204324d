"""Labels become classes here, in every reader: checked first, cast afterwards.

A column of labels holds whole numbers (also as floats, the way pandas writes them), words or truth
values. -1, null, NaN and empty cells say that an example has no label; everywhere in ssljax that is
the class -1. What is no class (0.5, infinity, a number beyond int32) is refused by file and row.

Numbers 0 to K-1 are the classes themselves. Other numbers (1 to 4, or 200000 to 200003) and words
are counted through in their order, and the class keeps what stands in the file as its name. All
splits of a data set are counted together, so that a class has one number in all of them.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

log = logging.getLogger("ssljax")
NONE = -1
MAX_CLASSES = 10**6  # more are numbers of something else, such as of the examples
_LARGEST = 2**31 - 1
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_LONGEST = 200  # letters of a class
_NO_WORD = {"", "nan", "-1", "-1.0"}  # no label, among words
_NO_NUMBER = {"", "nan", "na", "n/a", "<na>", "null", "none", "?"}  # no label, among numbers


class Column(NamedTuple):
    """Labels of a split as they are stored.

    cells: an array [N] of numbers, truth values or words, or a list of str and None.
    where: what to call cell i in a message, such as "train.csv, line 7".
    missing: whether NaN says that there is no label, as in tables; else it is refused.
    word: whether each cell names a class as it stands, as folders do.
    """

    cells: Any
    where: Callable[[int], str]
    missing: bool = True
    word: bool = False


def classes_of(
    columns: Mapping[str, Column],
    split: str,
    *,
    place: str,
    names: Sequence[str] | None = None,
    say: bool = True,
) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """(class of each example of `split`, int32 [N], -1 for none; names of all classes).

    Args:
      columns: labels of all splits that have some, by split.
      place: what to call the data in a message.
      names: of the classes, where the data know them: labels are then their numbers, or they.
      say: whether to say what a person should know, such as how many examples have no label.
    Returns: None in place of the classes where no example of the split has one, and in place of the
      names where no split has any.
    Raises: ValueError that names file and row of what is no class.
    """
    found = {name: _cleaned(column) for name, column in columns.items()}
    if names is None:
        for column in (c for c in columns.values() if not c.word):
            _look_at_signs(column, place, say=say)
    if any(x.dtype.kind == "U" for x in found.values()):
        found = {name: _words(x) for name, x in found.items()}
    known = {name: np.unique(x[_labelled(x)]) for name, x in found.items()}
    every = np.unique(np.concatenate([*known.values()])) if known else np.empty(0, np.int64)
    if names is not None:
        classes = tuple(names)
        places = _named(columns, found, every, classes)
    else:
        classes = tuple(str(value) for value in every)
        doubtful = [name for name in classes if name.lower() in _NO_NUMBER]
        if say and doubtful and not all(column.word for column in columns.values()):
            text = "%s: %s is read as a class: where it says that there is no label, leave it empty"
            log.warning(text, place, _some(doubtful))
        places = every
        _check(every, place, say=say)
    if split not in found:
        return None, classes or None
    if say:
        _compare(known, split, place)
        if len(found[split]) > (count := int(_labelled(found[split]).sum())):
            total = len(found[split])
            log.info("%s (%s): %d of %d examples have no label", place, split, total - count, total)
    return _numbered(found[split], places), classes or None


def _numbered(x: np.ndarray, every: np.ndarray) -> np.ndarray | None:
    """Places in the sorted values `every`, int32 [N]; -1 for none; None where there are none."""
    labelled = _labelled(x)
    if not labelled.any():
        return None
    order = np.argsort(every, kind="stable")
    at = order[np.searchsorted(every, np.where(labelled, x, every[order[0]]), sorter=order)]
    return np.where(labelled, at, NONE).astype(np.int32)


def _cleaned(column: Column) -> np.ndarray:
    """int64 [N], -1 for none; or words, str [N], "" for none."""
    cells, where = column.cells, column.where
    if column.word:
        return np.array(cells, str)
    x = np.asarray(cells, object if isinstance(cells, list) else None)
    if x.dtype.kind == "b":
        return np.where(x, "True", "False")
    if x.dtype.kind in "iuf":
        return _whole(x.astype(np.float64) if x.dtype.kind == "f" else x, column)
    if x.dtype.kind not in "OUS":
        raise ValueError(f"{where(0)}: labels are {x.dtype}, and no whole numbers or words")
    if x.dtype.kind == "S":
        x = np.char.decode(x, "utf-8", "backslashreplace")
    words = ["" if cell is None else str(cell).strip() for cell in x.tolist()]
    given = [word for word in words if word.lower() not in _NO_NUMBER]
    if all(_NUMBER.fullmatch(word) for word in given) and not any(map(_padded, given)):
        empty = np.array([word.lower() in _NO_NUMBER for word in words])
        values = [0.0 if none else float(word) for word, none in zip(words, empty)]
        return _whole(np.where(empty, np.nan, values), column._replace(missing=True))
    for i, word in enumerate(words):
        if len(word) > _LONGEST:
            raise ValueError(f"{where(i)}: a label of {len(word):,} letters is no class")
    return np.array(["" if word.lower() in _NO_WORD else word for word in words], str)


def _whole(x: np.ndarray, column: Column) -> np.ndarray:
    """Numbers as int64, or ValueError for the first that is none of a class."""
    none = np.isnan(x) if x.dtype.kind == "f" and column.missing else np.zeros(len(x), bool)
    bad = ~none & ~((x >= NONE) & (x <= _LARGEST))
    if x.dtype.kind == "f":
        bad |= ~none & (x != np.floor(x))
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(_no_class(column.where(i), x[i].item()))
    return np.where(none, NONE, x).astype(np.int64)


def _look_at_signs(column: Column, place: str, *, say: bool) -> None:
    """-1 and 1 alone are two classes to the one who wrote them, and here one and no label; -1, 0
    and 1 may be three. Raises: ValueError for the first, and says the second.
    """
    x = np.asarray(column.cells, object if isinstance(column.cells, list) else None)
    x = np.char.decode(x, "utf-8", "backslashreplace") if x.dtype.kind == "S" else x
    cells = x.tolist() if x.dtype.kind == "O" else np.unique(x).tolist()
    words = {"" if cell is None else str(cell).strip().lower() for cell in cells} - _NO_NUMBER
    if not all(map(_NUMBER.fullmatch, words)):
        return
    found = {float(word) for word in words}
    if found == {-1, 1}:
        raise ValueError(
            f"{column.where(0)} and below: labels are -1 and 1 alone, and -1 says that an example "
            "has no label: write 0 and 1 for two classes, or leave the label empty where none is"
        )
    if say and found == {-1, 0, 1}:
        log.warning(
            "%s: labels are -1, 0 and 1, and -1 says that an example has no label: for three "
            "classes write 0, 1 and 2, or words",
            place,
        )


def _no_class(where: str, value: object) -> str:
    return (
        f"{where}: label {value} is no class: classes are words or whole numbers from 0 to K-1, at "
        "most 2147483647; -1 or nothing where there is no label"
    )


def _padded(word: str) -> bool:
    """Whether a number is a name: 007 is no 7."""
    return len(word) > 1 and word[0] == "0" and word.isdecimal()


def _words(x: np.ndarray) -> np.ndarray:
    return x if x.dtype.kind == "U" else np.where(x == NONE, "", x.astype(str))


def _labelled(x: np.ndarray) -> np.ndarray:
    return x != ("" if x.dtype.kind == "U" else NONE)


def _named(
    columns: Mapping[str, Column],
    found: Mapping[str, np.ndarray],
    every: np.ndarray,
    classes: tuple[str, ...],
) -> np.ndarray:
    """The value of each class in the files: its number, or its name."""
    if every.dtype.kind == "U":
        if twice := [name for name in every.tolist() if classes.count(name) > 1]:
            where = columns[next(iter(columns))].where(0)
            raise ValueError(f"{where} and below: two classes are called {twice[0]!r}: number them")
        places = np.array(classes)
    else:
        places = np.arange(len(classes))
    strange = every[~np.isin(every, places)]
    if len(strange):
        for split, x in found.items():
            if (x == strange[0]).any():
                i = int(np.argmax(x == strange[0]))
                raise ValueError(
                    f"{columns[split].where(i)}: label {strange[0]}, but labels must be 0 to "
                    f"{len(classes) - 1} for {len(classes)} classes ({', '.join(classes[:3])}, ...)"
                )
    return places


def _check(every: np.ndarray, place: str, *, say: bool) -> None:
    """Raises: ValueError for more classes than there can be; says what numbers are called."""
    if len(every) > MAX_CLASSES:
        raise ValueError(
            f"{place}: {len(every):,} different labels are no classes: name another column, or "
            "leave the labels out"
        )
    if not say or every.dtype.kind == "U" or not len(every) or every[-1] == len(every) - 1:
        return
    log.info("%s: labels are not 0 to K-1: %d classes, called %s", place, len(every), _some(every))


def _compare(known: Mapping[str, np.ndarray], split: str, place: str) -> None:
    """Says which classes one of training and this split has alone."""
    if split == "train" or not len(known.get("train", ())) or not len(known[split]):
        return
    for here, there in ((split, "train"), ("train", split)):
        alone = np.setdiff1d(known[here], known[there])
        if len(alone):
            log.warning(
                "%s: %s has %d class(es) that %s has not: %s",
                *(place, here, len(alone), there, _some(alone)),
            )


def _some(values: Sequence[Any] | np.ndarray) -> str:
    more = ", ..." if len(values) > 5 else ""
    return ", ".join(str(value) for value in values[:5]) + more
