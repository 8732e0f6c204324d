"""Image files below a folder or inside a zip, which is read and never unpacked."""

import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssljax.data.announced import read_member
from ssljax.data.corrupt import CorruptExample
from ssljax.data.labels import Column, classes_of
from ssljax.data.split_names import SPLITS
from ssljax.data.walk import find, layout

log = logging.getLogger("ssljax")
_SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm"),
}
LARGEST_FILE = 2**30  # bytes of one file: what announces more is no picture and no recording


class Folder:
    """Files as records {leaf: bytes}; the folder directly below the split is their class."""

    def __init__(
        self,
        place: str,
        names: Sequence[str],
        labels: np.ndarray | None,
        classes: tuple[str, ...] | None,
        *,
        leaf: str = "image",
    ) -> None:
        """names: below `place`. labels: int32 [N], places in `classes`, those of all splits."""
        self._files, self._names, self._labels, self._leaf = Files(place), names, labels, leaf
        self.classes = classes

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {self._leaf: self._files.read(self._names[i])}

    def labels(self) -> np.ndarray | None:
        return self._labels

    def name(self, i: int) -> str:
        return f"{self._files.place}/{self._names[i]}"

    def key(self, i: int) -> str:
        return self._names[i]

    def __repr__(self) -> str:
        return f"Folder({self._files.place}, {len(self._names)} files)"


class Files:
    """Bytes of files below a folder or in a zip; each process opens the zip for itself."""

    def __init__(self, place: str) -> None:
        self.place, self._packed = place, not Path(place).is_dir()
        self._zip: zipfile.ZipFile | None = None

    def read(self, name: str) -> bytes:
        """Raises: CorruptExample for a file that announces more than `LARGEST_FILE` bytes."""
        if not self._packed:
            path = Path(self.place) / name
            self._check(name, path.stat().st_size)
            return path.read_bytes()
        if self._zip is None:
            self._zip = zipfile.ZipFile(self.place)
        self._check(name, self._zip.getinfo(name).file_size)
        try:
            return read_member(self._zip, name)
        except ValueError as error:
            raise CorruptExample(f"{self.place}/{name}", str(error)) from error

    def _check(self, name: str, size: int) -> None:
        if size > LARGEST_FILE:
            raise CorruptExample(
                f"{self.place}/{name}",
                f"announces {size / 2**30:.1f} GiB, more than the {LARGEST_FILE / 2**30:.0f} GiB "
                "that one file may have",
            )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_zip": None}


def folder_splits(place: str) -> dict[str, list[str]]:
    """Split to files.

    Raises: FileNotFoundError or ValueError where there are no images, or where it is unclear which
    of them belong to a split.
    """
    names = find(place, kind="folder", suffixes=_SUFFIXES, what="images").names
    of = layout(names, f"folder:{place}")
    found = {s: [f for f in names if of[f][0] == s] for s in SPLITS}
    return {split: files for split, files in found.items() if files}


def open_folder(place: str, split: str) -> Folder:
    """A split that is there; says what is left out of the data."""
    what = f"folder:{place}"
    find(place, kind="folder", suffixes=_SUFFIXES, what="images").say(what)
    files = folder_splits(place)
    of = layout([f for names in files.values() for f in names], what)
    columns = folder_columns({s: [of[f][1] for f in names] for s, names in files.items()}, what)
    return Folder(place, files[split], *classes_of(columns, split, place=what))


def folder_columns(classes: dict[str, list[str]], what: str) -> dict[str, Column]:
    """Class folders of the files of each split as labels; none where they tell nothing. A split
    without class folders has no labels, as test data whose labels are kept back.
    """
    classes = {split: names for split, names in classes.items() if any(names)}
    every = {name for names in classes.values() for name in names}
    if len(every) <= 1:
        if every:
            log.info("%s has one class folder alone: read without labels", what)
        return {}
    if "" in every:
        log.warning("%s has files outside the class folders: read without labels", what)
        return {}
    return {
        split: Column(names, lambda i, s=split: f"{what}, file {i + 1} of {s}", word=True)
        for split, names in classes.items()
        if names
    }
