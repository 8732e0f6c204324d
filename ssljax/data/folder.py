"""Image files below a folder or inside a zip, which is read and never unpacked."""

import logging
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ssljax.data.split_names import SPLITS, normal

log = logging.getLogger("ssljax")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}


class Folder:
    """Image files; the folder directly above a file is its class."""

    def __init__(self, place: str, names: list[str], labels: list[str] | None, classes) -> None:
        """names: below `place`; labels: the class of each; classes: those of all splits."""
        self._place, self._names = place, names
        self.classes: tuple[str, ...] | None = classes
        number = {c: i for i, c in enumerate(classes or ())}
        self._labels = [number[c] for c in labels] if classes else None
        self._zip: zipfile.ZipFile | None = None

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, i: int) -> dict[str, Any]:
        if self._place.endswith(".zip"):
            if self._zip is None:
                self._zip = zipfile.ZipFile(self._place)
            data = self._zip.read(self._names[i])
        else:
            data = (Path(self._place) / self._names[i]).read_bytes()
        return {"image": data}

    def labels(self) -> np.ndarray | None:
        return None if self._labels is None else np.array(self._labels, np.int32)

    def name(self, i: int) -> str:
        return f"{self._place}/{self._names[i]}"

    def key(self, i: int) -> str:
        return self._names[i]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_zip": None}  # each process opens the zip for itself

    def __repr__(self) -> str:
        return f"Folder({self._place}, {len(self._names)} files)"


def folder_splits(place: str) -> dict[str, Folder]:
    """Split to source. All splits number their classes alike, also where one lacks a class.

    Raises: FileNotFoundError or ValueError where there are no images, or where it is unclear which
    of them belong to a split.
    """
    files = list_files(place, kind="folder", suffixes=_SUFFIXES, what="images")
    parts = {f: PurePosixPath(f).parts for f in files}
    depth = 0  # folders that hold everything, such as the one at the root of most zips
    while len(tops := {p[depth] if len(p) > depth + 1 else "" for p in parts.values()}) == 1:
        if "" in tops or normal(next(iter(tops))) in SPLITS:
            break
        depth += 1
    named = {t for t in tops if normal(t) in SPLITS}
    others = sorted(tops - named)
    if named and others:
        flat = all(len(p) == depth + 2 for p in parts.values() if p[depth] in named)
        if len(named) > 1 or "" in others or not flat:
            where = ", ".join(f"{t}/" if t else "beside them" for t in others[:5])
            raise ValueError(
                f"folder:{place} has the split folders {', '.join(sorted(named))} and also images "
                f"elsewhere ({where}): move those away, or name one folder, as in "
                f"folder:{place}/{min(named)}"
            )
        named = set()  # a class that is called train, among other vehicles
    of = {f: normal(p[depth]) if named else "train" for f, p in parts.items()}
    below = {f: p[depth + bool(named) : -1] for f, p in parts.items()}
    label = {f: b[-1] if b else "" for f, b in below.items()}
    classes = tuple(sorted(set(label.values())))
    if len(classes) == 1:
        classes = None
    elif "" in classes:
        log.warning("folder:%s has images outside the class folders: read without labels", place)
        classes = None
    found: dict[str, Folder] = {}
    for split in SPLITS:
        if chosen := [f for f in files if of[f] == split]:
            found[split] = Folder(place, chosen, [label[f] for f in chosen], classes)
    return found


def list_files(place: str, *, kind: str, suffixes: set[str], what: str) -> list[str]:
    """Names of the files with these endings below a folder or in a zip, sorted.

    kind, what: how messages call the data and its files.
    Raises: FileNotFoundError or ValueError where there are none.
    """
    path = Path(place)
    if path.is_dir():
        names = [p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()]
    elif path.is_file() and path.suffix == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except zipfile.BadZipFile as error:
            raise ValueError(f"{kind}:{place} is not a readable zip: {error}") from error
    else:
        found = "this is a file" if path.exists() else "there is nothing there"
        raise FileNotFoundError(f"{kind}:{place} must be a folder or a .zip, but {found}")
    names = sorted(
        n
        for n in names
        if PurePosixPath(n).suffix.lower() in suffixes
        and not any(p == "__MACOSX" or p.startswith("._") for p in PurePosixPath(n).parts)
    )
    if not names:
        raise ValueError(f"{kind}:{place} holds no {what} ({', '.join(sorted(suffixes))})")
    return names
