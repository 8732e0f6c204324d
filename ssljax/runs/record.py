"""Experiments as JSON: readable, complete, and safe to read back.

A dataclass becomes an object whose "type" names its class, with all its fields. Reading back
imports only classes of ssljax, or of the experiment file that the caller names: a run folder never
brings code along.
"""

import contextlib
import dataclasses
import difflib
import importlib
import importlib.util
import json
import linecache
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from ssljax.runs import older

# Fields that Flax adds to every module; they say where a module sits, not what it is.
_FLAX_FIELDS = ("parent", "name")
_FILE = "experiment file"
# Where classes lay when older run folders were written.
_MOVED = {
    "ssljax.experiment": "ssljax.runs.experiment",
    "ssljax.selftrain": "ssljax.selftraining.plan",
    "ssljax.learners": "ssljax.selftraining.learners",
    "ssljax.optimizers": "ssljax.training.optimizers",
    "ssljax.sharding": "ssljax.training.sharding",
    "ssljax.train": "ssljax.training.train",
}

# Values that had other names in older run folders.
_RENAMED = {("labels_from", "live"): "online"}


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass instance that describe it, by name."""
    names = [f.name for f in dataclasses.fields(value) if f.init]
    is_module = {"parent", "name"} <= set(names)
    return {n: getattr(value, n) for n in names if not (is_module and n in _FLAX_FIELDS)}


def encode(value: Any) -> Any:
    """Plain JSON data for an experiment or any part of it. Raises TypeError for what JSON cannot
    hold.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        cls = type(value)
        home = cls.__module__ if cls.__module__.split(".")[0] == "ssljax" else _FILE
        body = {name: encode(field) for name, field in fields_of(value).items()}
        return {"type": f"{home}:{cls.__qualname__}", **body}
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"an experiment holds {value!r}, which JSON cannot hold: use numbers, strings, tuples "
        "and dataclasses"
    )


def decode(data: Any, *, module: ModuleType | None = None) -> Any:
    """The inverse of `encode`. module: the loaded experiment file, for classes that are defined in
    it.

    Raises: ValueError for a class that is not a dataclass of ssljax or of `module`, or for unknown
    fields.
    """
    if isinstance(data, list):
        return tuple(decode(item, module=module) for item in data)
    if not isinstance(data, dict):
        return data
    if "type" not in data:
        return {key: decode(item, module=module) for key, item in data.items()}
    if (read := older.READ.get(data["type"])) is not None:
        return read({key: item for key, item in data.items() if key != "type"})
    home, _, name = str(data["type"]).partition(":")
    home = _MOVED.get(home, home)
    if home == _FILE:
        if module is None:
            raise ValueError(
                f"this run uses the class {name} of its own experiment file: name that file with "
                "--experiment FILE"
            )
        source: Any = module
    elif home.split(".")[0] == "ssljax":
        source = importlib.import_module(home)
    else:
        raise ValueError(f"the configuration names {home}:{name}, which is not part of ssljax")
    cls = getattr(source, name, None)
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise ValueError(f"{home} has no dataclass {name}: the run was written by another version")
    known = {f.name: f for f in dataclasses.fields(cls) if f.init}
    values = {key: item for key, item in data.items() if key != "type"}
    for key, item in values.items():
        if key in known and not _can_be(known[key], item):
            raise Damaged(f"{name}.{key} is {json.dumps(item)[:40]}")
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{name} has no field {key!r}{hint}")
    for key, item in values.items():
        if isinstance(item, str):
            values[key] = _RENAMED.get((key, item), item)
    return cls(**{key: decode(item, module=module) for key, item in values.items()})


class Damaged(ValueError):
    """A value that no run has written."""


def _can_be(field: dataclasses.Field, item: Any) -> bool:
    """Whether JSON data may be the value of a field, as far as its type says."""
    if item is None:
        return field.default is None or "None" in str(field.type)
    plain = {int: int | float, float: int | float, bool: bool | int, str: str}.get(field.type)
    return plain is None or isinstance(item, plain)


def differences(a: Any, b: Any, path: str = "") -> list[str]:
    """The places where two encoded values differ, as `method.temperature: 0.5 -> 0.1`."""
    if isinstance(a, dict) and isinstance(b, dict):
        found = []
        for key in sorted({*a, *b}):
            where = f"{path}.{key}" if path else key
            found += differences(a.get(key), b.get(key), where)
        return found
    return [] if a == b else [f"{path}: {_short(a)} -> {_short(b)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def changes(before: Any, now: Any) -> list[str]:
    """The `differences` between the encoded experiment of a run folder and the one to run in it.

    A field that did not exist when the folder was written counts with its default: what is new does
    not keep a run from going on.
    """
    # With a class of its experiment file, or a field that is gone, it is compared as it stands.
    with contextlib.suppress(ValueError, TypeError):
        before = encode(decode(before))
    return differences(before, now)


def load_file(path: str | Path) -> ModuleType:
    """Runs an experiment file and returns its module.

    Raises: FileNotFoundError, or ValueError with the line of the file where it fails.
    """
    path = Path(path)
    if path.suffix != ".py" or not path.is_file():
        near = sorted(str(p) for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
        close = difflib.get_close_matches(str(path), near, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise FileNotFoundError(f"there is no experiment file {path}{hint}")
    spec = importlib.util.spec_from_file_location(f"ssljax_experiment_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        line = _line_of(error, path)
        source = linecache.getline(str(path), line).strip()
        raise ValueError(
            f"{path}, line {line}: {source}\n  {type(error).__name__}: "
            f"{error.msg if isinstance(error, SyntaxError) else error}"
        ) from error
    return module


def _line_of(error: BaseException, path: Path) -> int:
    """The last line of the file at `path` that was at work when the error was raised."""
    here = path.resolve()
    if (
        isinstance(error, SyntaxError)
        and error.lineno
        and Path(error.filename or "").resolve() == here
    ):
        return error.lineno
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((f.lineno for f in frames if Path(f.filename).resolve() == here and f.lineno), 1)
