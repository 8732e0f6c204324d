"""What may stand behind a flag, in words: values are checked before anything is made of them."""

import difflib
import types
from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import Any, Literal, Union, get_args, get_origin

_ONE: dict[Any, str] = {int: "a whole number", float: "a number", str: "a word"}
_SWITCH = {bool: "True or False"}
_MANY: dict[Any, str] = {int: "whole numbers", float: "numbers", str: "words"}


def complaint(flag: str, kind: Any, words: Sequence[str]) -> str | None:
    """One line about the words behind a flag that cannot be of a type; None where they can be, or
    where the type is none of numbers, words, choices and rows of them.

    kind: a type, or a tuple of choices.
    """
    if kind is bool or _fits(kind, words) is not False:
        return None
    wanted = expected(kind)
    said = f"{flag} {' '.join(words)}: expected {wanted}" if words else f"{flag} needs {wanted}"
    each = [row[0] if (row := _row(option)) else option for option in _options(kind)]
    choices = [str(c) for option in each for c in _choices(option)]
    near = difflib.get_close_matches(" ".join(words), choices, n=1)
    return f"{said}; did you mean {near[0]}?" if near else said


def expected(kind: Any) -> str:
    """What a type takes: "a whole number or None"."""
    return " or ".join(_wanted(option) for option in _options(kind))


def _wanted(kind: Any) -> str:
    if choices := _choices(kind):
        return f"one of {', '.join(map(str, choices))}"
    if kind is type(None):
        return "None"
    if row := _row(kind):
        inner, count = row
        if choices := _choices(inner):
            return f"any of {', '.join(map(str, choices))} with spaces between them"
        return f"{'' if count is None else f'{count} '}{_MANY[inner]} with spaces between them"
    return (_ONE | _SWITCH).get(kind) or getattr(kind, "__name__", "something else")


def holds(kind: Any, value: Any) -> bool:
    """Whether a field of this type may hold a value; True where only a type checker knows."""
    options = _options(kind)
    if not all(o in (int, float, str, bool, type(None)) or is_dataclass(o) for o in options):
        return True
    numbers = {int: "__index__", float: "__float__"}  # those of NumPy, too
    return any(
        hasattr(value, numbers[o]) if o in numbers else isinstance(value, o) for o in options
    )


def _fits(kind: Any, words: Sequence[str]) -> bool | None:
    """Whether the words are of a type; None where nothing is known of it."""
    found = [_fits_one(option, words) for option in _options(kind)]
    return True if True in found else None if None in found else False


def _fits_one(kind: Any, words: Sequence[str]) -> bool | None:
    if row := _row(kind):
        inner, count = row
        enough = count is None or len(words) >= count  # what is too much is told later
        return enough and all(_is(inner, word) for word in words[:count])
    if not (kind in _ONE or kind is type(None) or _choices(kind)):
        return None
    if not words:
        return False
    return words[0] == "None" if kind is type(None) else _is(kind, words[0])


def _is(kind: Any, word: str) -> bool:
    if choices := _choices(kind):
        return word in map(str, choices)
    try:
        kind(word)
    except ValueError:
        return False
    return True


def _options(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _choices(kind: Any) -> tuple[Any, ...]:
    if isinstance(kind, tuple):
        return kind
    return get_args(kind) if get_origin(kind) is Literal else ()


def _row(kind: Any) -> tuple[Any, int | None] | None:
    """(type of each, how many or None for any number) of a tuple of numbers, words or choices."""
    inner = get_args(kind) if get_origin(kind) is tuple else ()
    if not inner or not (inner[0] in _ONE or _choices(inner[0])):
        return None
    if inner[1:] == (...,):
        return inner[0], None
    return (inner[0], len(inner)) if len(set(inner)) == 1 else None
