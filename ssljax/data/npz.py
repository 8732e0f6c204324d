"""Pictures and labels in an .npz file, whose arrays may have the names that people give them.

    image, images, x, data                      with label, labels, y, target, class, ...
    x_train, y_train, x_test, y_test, ...       as Keras has it
    train_images, train_labels, ...             as MedMNIST has it

What an array announces is read before the array is: too much is refused.
"""

import io
import logging
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ssljax.data.announced import read_member
from ssljax.data.labels import Column, classes_of
from ssljax.data.split_names import normal

log = logging.getLogger("ssljax")
_IMAGES = ("image", "x", "images", "imgs", "data")
_LABELS = ("label", "y", "labels", "target", "targets", "class", "classes", "category")
_WORDS = ("train", "test", "val", "validation", "valid")
_LEAST = 256 * 2**20  # bytes that may be held in any case
_HEADER = 2**16  # bytes of the header of an array


class Npz:
    """Arrays of an .npz file as a source of pictures."""

    def __init__(self, place: str, split: str, most: int = 4 * 2**30) -> None:
        """most: bytes that an array may have, at least 256 MiB."""
        self._place, self._split, self._most = place, split, most
        keys = npz_splits(place)
        labels = {s: label for s, (_, label) in keys.items() if label}
        self._key, _ = keys[split]
        announced = _announced(place)
        for name in (self._key, *labels.values()):
            shape, dtype = announced[name]
            _check_size(place, name, math.prod(shape) * dtype.itemsize, max(most, _LEAST))
        try:
            with _open_npz(place) as file:
                self._images = file[self._key]
                columns = {s: _column(place, name, file[name]) for s, name in labels.items()}
        except ValueError as error:
            more = ". Pickled objects are not read" if "pickle" in str(error) else ""
            raise ValueError(f"npz:{place}: {error}{more}") from error
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"npz:{place} is damaged: {error}") from error
        if self._images.dtype not in (np.uint8, np.uint16) or self._images.ndim not in (3, 4):
            raise ValueError(
                f"npz:{place}: {self._key} is {self._images.dtype} {self._images.shape}; images "
                "must be uint8 [N, H, W] or [N, H, W, C], values 0 to 255"
            )
        for s, column in columns.items():
            count = next(iter(announced[keys[s][0]][0]), None)
            if len(column.cells) != count:
                raise ValueError(
                    f"npz:{place}: {labels[s]} is {announced[labels[s]]}; labels must be one for "
                    f"each of the {count} images"
                )
        self._labels, self.classes = classes_of(columns, split, place=f"npz:{place}")
        used = {name for pair in keys.values() for name in pair}
        if unread := sorted(set(announced) - used):
            log.info("npz:%s: not read: %s", place, ", ".join(unread))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {"image": self._images[i]}

    def labels(self) -> np.ndarray | None:
        return self._labels

    def name(self, i: int) -> str:
        return f"{self._place}[{i}]"

    def key(self, i: int) -> str:
        return f"{self._key}[{i}]"

    def __reduce__(self) -> tuple:
        return Npz, (self._place, self._split, self._most)

    def __repr__(self) -> str:
        return f"Npz({self._place}, {self._split})"


def npz_splits(place: str) -> dict[str, tuple[str, str | None]]:
    """Split to (name of the images, name of the labels) in an .npz file.

    Raises: ValueError or FileNotFoundError where there are no images, or it is unclear which array
    holds the labels.
    """
    with _open_npz(place) as file:
        names = {name.lower(): name for name in file.files}
    found: dict[str, tuple[str, str | None]] = {}
    for form in ("{0}_{1}", "{1}_{0}"):
        for word in _WORDS:
            if pair := _pair(place, names, lambda name, w=word, f=form: f.format(name, w)):
                found.setdefault(normal(word), pair)
    if not found and (pair := _pair(place, names, str)):
        found["train"] = pair
    if not found:
        raise ValueError(
            f"npz:{place} holds {', '.join(sorted(names.values())) or 'nothing'}: name the arrays "
            "image and label, or x_train, y_train, x_test, y_test"
        )
    rest = sorted(set(names.values()) - {name for pair in found.values() for name in pair})
    if rest and all(label is None for _, label in found.values()):
        announced = _announced(place)
        counts = {announced[image][0][:1] for image, _ in found.values()}
        like = [n for n in rest if announced[n][0][:1] in counts and len(announced[n][0]) <= 2]
        if like := [n for n in like if announced[n][1].kind in "iubUSfO"]:
            raise ValueError(
                f"npz:{place}: is {', '.join(like)} the labels? Then call it label, and else leave "
                "it out of the file"
            )
    return found


def _pair(place: str, names: dict[str, str], form: Any) -> tuple[str, str | None] | None:
    """The images and the labels of one split, whose names have a form."""
    image = next((names[form(n)] for n in _IMAGES if form(n) in names), None)
    labels = [names[form(n)] for n in _LABELS if form(n) in names]
    if image is not None and len(labels) > 1:
        raise ValueError(f"npz:{place} holds {' and '.join(labels)}: leave one of them")
    return None if image is None else (image, labels[0] if labels else None)


def _open_npz(place: str) -> Any:
    path = Path(place)
    if not path.is_file():
        raise FileNotFoundError(f"npz:{place}: there is no such file")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"npz:{place} is not an .npz file: write it with numpy.savez")
    return np.load(path, allow_pickle=False)


def _announced(place: str) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of each array, from its header alone."""
    found = {}
    try:
        with zipfile.ZipFile(place) as archive:
            for name in archive.namelist():
                # The header alone: a longer one is none, and would be held before it is refused.
                file = io.BytesIO(read_member(archive, name, _HEADER))
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_2_0
                if version == (1, 0):
                    read = np.lib.format.read_array_header_1_0
                shape, _, dtype = read(file)
                found[name.removesuffix(".npy")] = shape, dtype
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"npz:{place} is damaged: {error}") from error
    return found


def _check_size(place: str, name: str, size: int, most: int) -> None:
    if size > most:
        raise ValueError(
            f"npz:{place}: {name} announces {size / 2**30:.1f} GiB, more than the "
            f"{most / 2**30:.1f} GiB that may be held: raise --in-memory-gb, or store the pictures "
            "as a folder or Parquet, which stream"
        )


def _column(place: str, name: str, cells: np.ndarray) -> Column:
    if cells.ndim > 1 and cells.shape[1:] == (1,) * (cells.ndim - 1):
        cells = cells.reshape(-1)
    if cells.ndim != 1:
        raise ValueError(f"{name} is {cells.dtype} {cells.shape}; labels must be one for each")
    return Column(cells, lambda i: f"{place}, {name}[{i}]", missing=False)
