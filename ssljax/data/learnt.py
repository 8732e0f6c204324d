"""What a reader learns from the training data, kept in the run folder as a small JSON file."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TRAINED = ("saved.json", "results.json", "checkpoints", "data.json")


def learnt(folder: Path | None, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What lies in `folder` under `name`; else what `make` finds in the training data, which is
    written there, but for a run of an older version, which was trained without the file.

    Raises: ValueError where the file is damaged.
    """
    file = None if folder is None else Path(folder) / name
    if file is not None and file.is_file():
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return dict(found)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{file} is damaged: {error}. Put back a copy of it: the run was trained with it"
            ) from error
    found = make()
    if file is not None and not _has_trained(file.parent):
        fresh = file.with_name(f".{name}.{os.getpid()}.tmp")
        fresh.write_text(json.dumps(found) + "\n", encoding="utf-8")
        os.replace(fresh, file)
    return found


def _has_trained(folder: Path) -> bool:
    return any((folder / name).exists() for name in _TRAINED) or any(folder.glob("seed*"))
