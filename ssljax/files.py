"""Small files that are whole or absent, and errors that name the one that is damaged."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def atomically(path: Path, fill: Callable[[Path], Any]) -> None:
    """Lets `fill` write a file beside `path`, then puts it in place: no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        fill(fresh)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Writes the whole file or nothing."""
    atomically(path, lambda fresh: fresh.write_text(json.dumps(content, indent=2) + "\n"))


def read_json(path: Path, kind: type | None = None, *, remedy: str = "") -> Any:
    """What a JSON file holds.

    Args:
      kind: what its outermost value must be, such as dict. remedy: a sentence that says what to do
        about a damaged file, added to the error.
    Raises: ValueError that names the file where it is damaged; FileNotFoundError as ever.
    """
    try:
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}. {remedy}".rstrip()) from error
    if kind is not None and not isinstance(content, kind):
        raise ValueError(f"{path} is damaged: it holds no {kind.__name__}. {remedy}".rstrip())
    return content
