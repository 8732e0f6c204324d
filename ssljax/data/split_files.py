"""Files of text by split: those of a folder whose names begin with one, or one file."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ssljax.data.split_names import SPLITS, normal


class SplitFiles(NamedTuple):
    """place: file or folder; named: the split that is named, or None; files: by split."""

    place: Path
    named: str | None
    files: dict[str, list[Path]]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits on offer."""
        return (self.named,) if self.named else tuple(s for s in SPLITS if s in self.files)

    def of(self, split: str) -> list[Path]:
        """Files of a split; one that is named counts more. Raises: ValueError where it has none."""
        split = self.named or normal(split)
        if split not in self.files:
            raise ValueError(f"{self.place} has no split {split!r}: it has {', '.join(self.files)}")
        return self.files[split]

    def called(self, file: Path) -> str:
        """What a person calls a file of the data."""
        return file.relative_to(self.place).as_posix() if self.place.is_dir() else file.name


def split_files(spec: str, *, kind: str, what: str, endings: Sequence[str]) -> SplitFiles:
    """The files of "KIND:PATH[:SPLIT]": a file, or all files of a folder that end so. One that is
    called by a split (train.fasta, dev.txt) is of that split; where none is, all are for training.

    what: what the data is, for messages.
    Raises: ValueError or FileNotFoundError that say what was found.
    """
    found_kind, _, place = spec.partition(":")
    if found_kind != kind or not place:
        raise ValueError(f"data {spec!r}: {what} are named by {kind}:PATH")
    head, _, tail = place.rpartition(":")
    named = normal(tail) if head and normal(tail) in SPLITS and not Path(place).exists() else None
    path = Path(head if named else place)
    if not path.exists():
        raise FileNotFoundError(f"data {spec!r}: there is no {path}")
    files = [path]
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.name.lower().endswith(tuple(endings)))
    found: dict[str, list[Path]] = {}
    for file in files:
        split = normal(re.split(r"[^A-Za-z]", file.name)[0])
        if split in SPLITS:
            found.setdefault(split, []).append(file)
    found = found or {"train": files}
    if not any(found.values()):
        raise FileNotFoundError(f"{path} holds no files {', '.join(endings)}")
    return SplitFiles(path, named, found)
