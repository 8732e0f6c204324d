"""Objects cut out of pictures that are annotated with boxes, in the layout of Pascal VOC
(Everingham et al. 2010, doi:10.1007/s11263-009-0275-4).

    voc:PATH    a folder or zip with Annotations/*.xml, JPEGImages/ and ImageSets/Main/SPLIT.txt

The layout may lie in a folder of the zip. Without ImageSets everything is the training split.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal, NamedTuple
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from ssljax.data.corrupt import CorruptExample
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.decode import READ_ERRORS, check_corrupt
from ssljax.data.folder import Files
from ssljax.data.images import Images
from ssljax.data.split_names import SPLITS, normal
from ssljax.data.walk import find

log = logging.getLogger("ssljax")
_ENDS = ("xmin", "ymin", "xmax", "ymax")


class Annotated(NamedTuple):
    """A picture. boxes: float64 [N, 4], left, top, right, bottom in pixels from 0; names: [N]."""

    file: str
    boxes: np.ndarray
    names: tuple[str, ...]


class Voc:
    """A folder or a zip in that layout, of which only the lists of splits are read at first."""

    def __init__(self, spec: str) -> None:
        """Raises: ValueError or FileNotFoundError where `spec` is none."""
        kind, _, place = spec.partition(":")
        if kind != "voc" or not place:
            raise ValueError(f"data {spec!r}: annotated pictures are read from voc:PATH")
        self.place = Path(place)
        kinds = {".xml", ".txt", ".jpg", ".jpeg", ".png"}
        found = find(place, kind="voc", suffixes=kinds, what="annotated pictures")
        files, self._files, self._found = found.names, Files(place), found
        self._pictures = {PurePosixPath(f).stem: f for f in files if "/JPEGImages/" in f"/{f}"}
        xml = {PurePosixPath(f).stem: f for f in files if "/Annotations/" in f"/{f}"}
        if not xml or not self._pictures:
            raise ValueError(
                f"{spec} needs Annotations/*.xml and JPEGImages/: is this another layout?"
            )
        lists = {PurePosixPath(f).stem: f for f in files if "/ImageSets/Main/" in f"/{f}"}
        self._of = {
            normal(name): _lines(self._text(f), xml)
            for name, f in lists.items()
            if normal(name) in SPLITS
        } or {"train": sorted(xml)}
        self._xml = xml

    def say(self) -> None:
        """One line about the files that are not read, where there are some."""
        self._found.say(f"voc:{self.place}")

    def splits(self) -> tuple[str, ...]:
        """Those of train, validation and test that are there."""
        return tuple(s for s in SPLITS if s in self._of)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the objects of all splits, sorted."""
        return tuple(sorted({n for rows in self._boxes.values() for a in rows for n in a.names}))

    def split(self, name: str) -> list[Annotated]:
        """The pictures of a split.

        Raises: ValueError where there is none of that name, or too many annotations are broken.
        """
        if normal(name) not in self._of:
            raise ValueError(
                f"voc:{self.place} has no split {name!r}, but {', '.join(self.splits())}"
            )
        return self._boxes[normal(name)]

    def read(self, file: str) -> bytes:
        """The bytes of a file."""
        return self._files.read(file)

    def _text(self, file: str) -> str:
        try:
            return self.read(file).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{self.place}/{file} is not UTF-8 ({error}): convert it first"
            ) from error

    @cached_property
    def _boxes(self) -> dict[str, list[Annotated]]:
        found, skipped = {}, []
        for split, names in self._of.items():
            found[split] = []
            for name in names:
                try:
                    found[split].append(self._annotated(name))
                except CorruptExample as error:
                    skipped.append(str(error))
        check_corrupt(skipped, sum(map(len, self._of.values())))
        if skipped:
            log.warning("left out %d annotation(s): %s", len(skipped), "; ".join(skipped[:10]))
        return found

    def _annotated(self, name: str) -> Annotated:
        """Raises: CorruptExample where something is missing or broken."""
        try:
            tree = ElementTree.fromstring(self.read(self._xml[name]))
            boxes, names = [], []
            for thing in tree.iter("object"):
                ends = [thing.findtext(f"bndbox/{end}", "") for end in _ENDS]
                left, top, right, bottom = (float(x) for x in ends)
                if right < left or bottom < top:
                    raise ValueError(f"a box from {left}, {top} to {right}, {bottom}")
                # Pixels count from 1 in this format, and both ends belong to the box.
                boxes.append((left - 1, top - 1, right, bottom))
                names.append(str(thing.findtext("name")))
            file = self._pictures[name]
        except (KeyError, TypeError, ValueError, ElementTree.ParseError, *READ_ERRORS) as error:
            what = f"no file for {error}" if isinstance(error, KeyError) else str(error)
            raise CorruptExample(f"{self.place}/{name}", what) from error
        return Annotated(file, np.array(boxes, np.float64).reshape(-1, 4), tuple(names))


def _lines(text: str, known: Collection[str]) -> list[str]:
    """The names in a list of a split; a number that says how sure an object is may follow one."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    found = []
    for line in lines:
        words = line.split()
        sure = len(words) > 1 and words[-1] in ("1", "0", "-1")
        found += [line] if line in known else words[:-1] if sure else words
    return found


@dataclass(frozen=True, kw_only=True)
class Crops:
    """Each annotated object as an image of its own, with its class: rows as of `Images`."""

    plain_name: ClassVar[str] = "pixels"
    size: int = 32
    """Side in pixels."""
    channels: Literal[1, 3] = 3
    margin: float = 0.1
    """What is seen around an object on each side, in units of the longer side of its box."""
    smallest: float = 4.0
    """Boxes whose longer side is shorter, in pixels, are left out."""

    def __post_init__(self) -> None:
        Images(size=self.size, channels=self.channels)
        if self.margin < 0:
            raise ValueError(f"margin {self.margin}: at least 0")

    def prepared(self, spec: str, folder: Path | None = None) -> "Crops":
        """Itself."""
        del spec, folder
        return self

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return Voc(spec).splits()

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Arrays:
        """A split of `spec` in memory.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        del in_memory_bytes, workers
        voc = Voc(spec)
        voc.say()
        number = {name: i for i, name in enumerate(voc.classes)}
        images, labels, names, skipped = [], [], [], []
        pictures = voc.split(split)
        for picture in pictures:
            try:
                cut = self._cut(voc.read(picture.file), picture)
            except (CorruptExample, *READ_ERRORS) as error:
                skipped.append(str(error))
                continue
            images += [image for image, _, _ in cut]
            labels += [number[name] for _, name, _ in cut]
            names += [f"{picture.file}:{place}" for _, _, place in cut]
        check_corrupt(skipped, len(pictures))
        if skipped:
            log.warning("left out %d corrupt picture(s): %s", len(skipped), "; ".join(skipped[:10]))
        small = sum(len(picture.names) for picture in pictures) - len(images)
        if small and not skipped:
            log.info("%d objects smaller than %g pixels are left out", small, self.smallest)
        if not images:
            raise ValueError(f"{spec} ({split}) has no objects of {self.smallest} pixels and more")
        rows = {"image": np.stack(images), "label": np.array(labels, np.int32)}
        return Arrays(rows, classes=voc.classes, names=names, skipped=skipped)

    def shapes(self) -> Spec:
        """{"image": (shape, dtype)}."""
        return {"image": ((self.size, self.size, self.channels), np.dtype(np.uint8))}

    def plain(self, rows: Rows) -> np.ndarray:
        """Raw pixels [B, H*W*C] in [0, 1]."""
        return Images().plain(rows)

    def _cut(self, data: bytes, picture: Annotated) -> list[tuple[np.ndarray, str, int]]:
        """Squares around the objects, moved into the picture where they stick out: each with its
        class and its place among the objects of the picture.
        """
        pixels = Images(channels=self.channels)(data, picture.file)
        image = Image.fromarray(pixels[..., 0] if self.channels == 1 else pixels)
        found = []
        for i, (box, name) in enumerate(zip(picture.boxes, picture.names, strict=True)):
            square = enclosing(box, image.size, margin=self.margin)
            if max(box[2] - box[0], box[3] - box[1]) < self.smallest:
                continue
            part = image.resize((self.size, self.size), Image.Resampling.BICUBIC, box=tuple(square))
            array = np.asarray(part)
            found.append((array[..., None] if array.ndim == 2 else array, name, i))
        return found


def enclosing(box: Any, size: tuple[int, int], *, margin: float) -> np.ndarray:
    """The square around a box, float64 [4], within a picture of (width, height).

    margin: around the longer side of the box, in units of it. A square larger than the picture is
    cut to it, and then no square.
    """
    box, whole = np.asarray(box, np.float64), np.asarray(size, np.float64)
    side = (box[2:] - box[:2]).max() * (1 + 2 * margin)
    sides = np.minimum(side, whole)
    start = np.clip((box[:2] + box[2:]) / 2 - sides / 2, 0, whole - sides)
    return np.concatenate([start, start + sides])
