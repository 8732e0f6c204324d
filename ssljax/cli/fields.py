"""All fields of an experiment as flags, with the sentences that describe them: `--help`.

The description of a field is the string below it in its class, as everywhere in ssljax; where there
is none, what fields of this name mean everywhere (`words.py`).
"""

import ast
import dataclasses
import functools
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args, get_type_hints

from ssljax.cli.values import expected, holds
from ssljax.cli.words import WORDS
from ssljax.runs import record


class Field(NamedTuple):
    """One flag: `--method.temperature`, with the value that it has now, and what it means."""

    flag: str
    value: str
    text: str
    leaves_out: bool = False
    """Whether it leaves out a part that may be None: `--evaluation.no-knn`."""
    kind: Any = None
    """The type of its value; None where only a type checker knows it."""

    @property
    def path(self) -> list[str]:
        return self.flag.lstrip("-").split(".")


def fields(value: Any, prefix: str = "") -> Iterator[Field]:
    """All flags of a dataclass or of a network, those of its parts after its own."""
    parts = []
    for name, inner in record.fields_of(value).items():
        path = f"{prefix}{name.replace('_', '-')}"
        if _is_part(inner):
            parts.append((inner, f"{path}."))
            if _may_be_none(type(value), name):
                head, _, last = path.rpartition(".")
                text = f"Leaves out: {text_of(value, name)}"
                yield Field(f"--{head + '.' if head else ''}no-{last}", "", text, True)
        elif isinstance(inner, tuple) and any(map(_is_part, inner)):
            parts += [(one, f"{path}.{i}.") for i, one in enumerate(inner) if _is_part(one)]
        elif inner not in (None, ()) or not _may_be_part(type(value), name):
            no = "no-" if inner is True else ""
            head, _, last = path.rpartition(".")
            flag, kind = f"--{head + '.' if head else ''}{no}{last}", _kind(type(value), name)
            yield Field(flag, _shown(inner), text_of(value, name), kind=kind)
    for inner, path in parts:
        yield from fields(inner, path)


def text_of(value: Any, name: str) -> str:
    """What a field means, in one line; empty where nobody has said so."""
    for cls in type(value).__mro__:
        if text := _texts(cls).get(name):
            return text
    return WORDS.get(name, "")


def help_of(experiment: Any, usage: str, *, all_fields: bool) -> str:
    """The flags of an experiment file for a person: those of every day, or every one."""
    found = list(fields(experiment))
    main = next((f.path[0] for f in found if len(f.path) > 1), "")  # the method, or the learner
    title = f"{main} is {type(getattr(experiment, main)).__name__}" if main else ""
    shown = found if all_fields else [f for f in found if _everyday(f, main)]
    lines = [usage, "", f"Fields with the values that they have now ({title}):", ""]
    for field in shown:
        lines.append(f"  {field.flag} {field.value}".rstrip())
        lines += textwrap.wrap(field.text, 92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    if not all_fields:
        left: dict[str, int] = {}
        for field in found:
            if not _everyday(field, main):
                depth = 2 if field.path[0] == main and len(field.path) > 2 else 1
                group = ".".join(field.path[:depth])
                left[group] = left.get(group, 0) + 1
        groups = ", ".join(f"{name} ({count})" for name, count in left.items())
        lines += ["", *textwrap.wrap(f"More fields, by --help-all: {groups}.", 98)]
    return "\n".join(lines)


def _everyday(field: Field, main: str) -> bool:
    path = field.path
    return len(path) == 1 or path[:-1] == [main] or path == ["optimizer", "learning-rate"]


def _is_part(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _may_be_part(cls: type, name: str) -> bool:
    """Whether a field that is None or () now would have fields of its own: then no flag can fill
    it."""
    options = _options(cls, name)
    return any(dataclasses.is_dataclass(o) or getattr(o, "_is_protocol", False) for o in options)


def _may_be_none(cls: type, name: str) -> bool:
    """Whether a part may be left out."""
    return type(None) in _options(cls, name)


def _options(cls: type, name: str) -> tuple[Any, ...]:
    """What the type of a field offers, of a union."""
    try:
        return get_args(get_type_hints(cls).get(name))
    except NameError:  # a name that is only known to a type checker
        return ()


def misfit(value: Any, prefix: str = "") -> str | None:
    """One line about the first field of a dataclass, or of its parts, that holds what its type does
    not allow; None where there is none. Judged are numbers, words, switches and parts alone.
    """
    for field in dataclasses.fields(value):
        inner, path = getattr(value, field.name), f"{prefix}{field.name}"
        if not holds(kind := _kind(type(value), field.name), inner):
            return f"{path} is {inner!r}: expected {expected(kind)}"
        if dataclasses.is_dataclass(inner) and (said := misfit(inner, f"{path}.")):
            return said
    return None


def _kind(cls: type, name: str) -> Any:
    """The type of a field, also where other fields of a network have types that are not known."""
    kind = next((field.type for field in dataclasses.fields(cls) if field.name == name), None)
    try:
        return get_type_hints(cls).get(name) if isinstance(kind, str) else kind
    except NameError:
        return None


def _shown(value: Any) -> str:
    """A value as one types it after the flag; nothing for a flag that only switches."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, tuple | list):
        return " ".join(map(str, value))
    return repr(value) if isinstance(value, str) and (not value or " " in value) else str(value)


@functools.cache
def _texts(cls: type) -> dict[str, str]:
    """The strings below the fields of one class, by name."""
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, SyntaxError):
        return {}
    if not isinstance(node, ast.ClassDef):
        return {}
    found = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            found[field.target.id] = " ".join(below.value.value.split())
    return found
