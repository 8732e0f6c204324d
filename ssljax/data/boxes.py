"""Pictures with the boxes of their objects, in the layouts of Pascal VOC and COCO.

    boxes:PATH    a folder or a zip with Annotations/*.xml and JPEGImages/ as in `voc`, or with one
                  COCO JSON a split (instances_train2017.json, valid/_annotations.coco.json, ...)
                  and the pictures below it

A row is "image" uint8 [size, size, C], stretched to that size; "sides" int32 [2], width and height
of the file; and of its objects "boxes" float32 [M, 4], x1, y1, x2, y2 in pixels of the row, "kinds"
int32 [M] and "scores" float32 [M], 1, and 0 in padding. M is the most that a picture of any split
has. Pictures without objects are kept. Boxes are cut to the picture; those without any area in it
are left out, which is said.
"""

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image

from ssljax.data.corrupt import CorruptExample
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.decode import READ_ERRORS, check_corrupt
from ssljax.data.folder import Files
from ssljax.data.images import Images
from ssljax.data.split_names import SPLITS, normal
from ssljax.data.voc import Annotated, Voc
from ssljax.data.walk import find

log = logging.getLogger("ssljax")
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class Coco:
    """Pictures and boxes of COCO JSON files below a folder or in a zip."""

    def __init__(self, place: Path) -> None:
        """Raises: ValueError that names the file and the entry which does not fit."""
        files = find(str(place), kind="boxes", suffixes={".json", *_PICTURES}, what="pictures")
        self._files, self._found, self.place = Files(str(place)), files, place
        tables = {f: self._table(f) for f in files.names if f.endswith(".json")}
        tables = {f: table for f, table in tables.items() if table is not None}
        if not tables:
            raise ValueError(
                f"boxes:{place} holds neither Annotations/*.xml nor a JSON file with images, "
                "annotations and categories"
            )
        split = {f: _split(f) if len(tables) > 1 else "train" for f in tables}
        if unclear := [f for f, name in split.items() if not name]:
            raise ValueError(
                f"boxes:{place}: {unclear[0]} is of no split: call it as in train.json, test.json"
            )
        by_name: dict[str, list[str]] = {}
        for name in files.names:
            if name.lower().endswith(_PICTURES):
                by_name.setdefault(PurePosixPath(name).name, []).append(name)
        self._by_name = by_name
        self._of: dict[str, list[Annotated]] = {}
        for file, table in tables.items():
            self._of.setdefault(split[file], []).extend(self._annotated(file, table))
        self.classes = tuple(sorted({n for r in self._of.values() for a in r for n in a.names}))

    def say(self) -> None:
        """One line about the files that are not read, where there are some."""
        self._found.say(f"boxes:{self.place}")

    def splits(self) -> tuple[str, ...]:
        """Those of train, validation and test that are there."""
        return tuple(s for s in SPLITS if s in self._of)

    def split(self, name: str) -> list[Annotated]:
        """The pictures of a split. Raises: ValueError where there is none of that name."""
        if normal(name) not in self._of:
            raise ValueError(
                f"boxes:{self.place} has no split {name!r}, but {', '.join(self.splits())}"
            )
        return self._of[normal(name)]

    def read(self, file: str) -> bytes:
        """The bytes of a file."""
        return self._files.read(file)

    def _table(self, file: str) -> dict[str, Any] | None:
        try:
            table = json.loads(self.read(file))
        except (ValueError, *READ_ERRORS) as error:
            raise ValueError(f"{self.place}/{file} is no readable JSON: {error}") from error
        needed = {"images", "annotations", "categories"}
        return table if isinstance(table, dict) and needed <= table.keys() else None

    def _annotated(self, file: str, table: dict[str, Any]) -> list[Annotated]:
        place = f"{self.place}/{file}"
        try:
            names = {c["id"]: str(c["name"]) for c in table["categories"]}
            pictures = {
                x["id"]: self._picture(place, file, x["file_name"]) for x in table["images"]
            }
        except (KeyError, TypeError) as error:
            raise ValueError(f"{place}: an image or a category lacks {error}") from error
        of: dict[Any, list[tuple[list[float], str]]] = {i: [] for i in pictures}
        for one in table["annotations"]:
            try:
                if one.get("iscrowd"):
                    continue  # a region of many objects, and no object
                x, y, width, height = map(float, one["bbox"])
                of[one["image_id"]].append(
                    ([x, y, x + width, y + height], names[one["category_id"]])
                )
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{place}, annotation {one.get('id') if isinstance(one, dict) else one}: bbox, "
                    f"image_id or category_id does not fit ({error!r})"
                ) from error
        if crowds := sum(bool(one.get("iscrowd")) for one in table["annotations"]):
            log.warning("%s: %d annotations of crowds are left out", place, crowds)
        return [
            Annotated(
                picture,
                np.array([box for box, _ in of[i]], np.float64).reshape(-1, 4),
                tuple(name for _, name in of[i]),
            )
            for i, picture in pictures.items()
        ]

    def _picture(self, place: str, file: str, name: str) -> str:
        """The file that a JSON file calls so: below its folder, else the one with that ending."""
        found = self._by_name.get(PurePosixPath(name).name, [])
        beside = (PurePosixPath(file).parent / name).as_posix()
        if beside in found:
            return beside
        found = [f for f in found if f"/{f}".endswith(f"/{name.lstrip('./')}")]
        words = re.split(r"[^a-z]+", PurePosixPath(file).stem.lower())
        same = [
            f for f in found if {normal(p) for p in PurePosixPath(f).parts} & {*map(normal, words)}
        ]
        found = same if len(same) == 1 else found
        if len(found) != 1:
            what = "nowhere" if not found else f"at {len(found)} places, such as {found[0]}"
            raise ValueError(f"{place}: the picture {name!r} lies {what} below {self.place}")
        return found[0]


def _split(file: str) -> str:
    """train, validation or test, by the words of a file or a folder; "" where none says so."""
    for part in reversed(PurePosixPath(file).with_suffix("").parts):
        for word in re.split(r"[^a-z]+", part.lower()):
            if normal(word) in SPLITS:
                return normal(word)
    return ""


@dataclass(frozen=True, kw_only=True)
class BoxedImages:
    """How annotated pictures become rows, in memory."""

    plain_name: ClassVar[str] = "pixels"
    size: int = 320
    """Side in pixels to which pictures are stretched, with their boxes."""
    channels: Literal[1, 3] = 3

    def __post_init__(self) -> None:
        Images(size=self.size, channels=self.channels)

    def prepared(self, spec: str, folder: Path | None = None) -> "BoxedImages":
        """Itself."""
        del spec, folder
        return self

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return _opened(spec).splits()

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Arrays:
        """A split of `spec` in memory.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        del in_memory_bytes, workers
        source = _opened(spec)
        source.say()
        pictures = source.split(split)
        number = {name: k for k, name in enumerate(source.classes)}
        most = max(len(a.names) for s in source.splits() for a in source.split(s))
        rows: list[Rows] = []
        names, origin, skipped, dropped, cut = [], [], [], [], 0
        for place, one in enumerate(pictures):
            try:
                image, sides = self._image(source.read(one.file), one.file)
            except (CorruptExample, *READ_ERRORS) as error:
                skipped.append(f"{one.file}: {error}")
                continue
            inside = np.clip(one.boxes, 0, np.tile(sides, 2))
            real = np.all(inside[:, 2:] > inside[:, :2], axis=1)
            dropped += [f"{one.file}, object {i + 1}" for i in np.flatnonzero(~real)]
            cut += int((inside[real] != one.boxes[real]).any(1).sum())
            n = int(real.sum())
            row = {
                "image": image,
                "sides": np.array(sides, np.int32),
                "boxes": np.zeros((most, 4), np.float32),
                "kinds": np.zeros(most, np.int32),
                "scores": np.zeros(most, np.float32),
            }
            row["boxes"][:n] = inside[real] * self.size / np.tile(sides, 2)
            row["kinds"][:n] = [number[x] for x, r in zip(one.names, real, strict=True) if r]
            row["scores"][:n] = 1
            rows.append(row)
            names.append(one.file)
            origin.append(place)
        check_corrupt(skipped, len(pictures))
        if skipped:
            log.warning("left out %d corrupt picture(s): %s", len(skipped), "; ".join(skipped[:10]))
        if dropped:
            log.warning(
                "%s: %d boxes have no area in their picture and are left out: %s",
                *(spec, len(dropped), "; ".join(dropped[:10])),
            )
        if cut:
            log.info("%s: %d boxes reach out of their picture and are cut to it", spec, cut)
        return Arrays(
            {name: np.stack([row[name] for row in rows]) for name in rows[0]},
            classes=source.classes,
            names=names,
            origin=np.array(origin),
            skipped=skipped,
        )

    def shapes(self) -> Spec:
        """{"image": ..., "sides": ...}: the leaves that the truth does not hold."""
        image = ((self.size, self.size, self.channels), np.dtype(np.uint8))
        return {"image": image, "sides": ((2,), np.dtype(np.int32))}

    def plain(self, rows: Rows) -> np.ndarray:
        """Raw pixels [B, H*W*C] in [0, 1]."""
        return Images().plain(rows)

    def _image(self, data: bytes, name: str) -> tuple[np.ndarray, tuple[int, int]]:
        """(uint8 [size, size, C], (width, height) of the file)."""
        pixels = Images(channels=self.channels)(data, name)
        image = Image.fromarray(pixels[..., 0] if self.channels == 1 else pixels)
        array = np.asarray(image.resize((self.size, self.size), Image.Resampling.BICUBIC))
        return (array[..., None] if array.ndim == 2 else array), image.size


def _opened(spec: str) -> Voc | Coco:
    kind, _, place = spec.partition(":")
    if kind != "boxes" or not place:
        raise ValueError(f"data {spec!r}: pictures with boxes are read from boxes:PATH")
    found = find(place, kind="boxes", suffixes={".xml", ".json", *_PICTURES}, what="pictures")
    if any("/Annotations/" in f"/{f}" and f.endswith(".xml") for f in found.names):
        return Voc(f"voc:{place}")
    return Coco(Path(place))
