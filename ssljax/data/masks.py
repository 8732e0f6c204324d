"""Pictures with a class for each pixel: two folders, one of images and one of masks.

    masks:PATH    a folder or a zip

A folder of masks is called mask, label, annot, annotation, ground_truth, ... (or that and an s),
the one of images beside it image, img, picture, photo, ... They lie in train/, val/ and test/, or
such folders lie in them; or folders are called train and trainannot, as of SegNet's CamVid; or
there are the two alone, which are the training split. An image and its mask have the same name, of
which endings such as _mask do not count. A row is

    "image"  uint8 [size, size, C]      "regions"  uint8 [size, size], 255 for ignored pixels
"""

import io
import logging
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal, NamedTuple

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
IGNORE = 255
_MASK = r"(?:masks?|labels?|annot(?:ation)?s?|ground_?truths?|gt|targets?|segmentations?)"
_IMAGE = r"(?:images?|imgs?|pictures?|photos?|inputs?|frames?)"
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif"}


class Pair(NamedTuple):
    """Files of one example, below the place of the data."""

    image: str
    mask: str


@dataclass(frozen=True, kw_only=True)
class Masks:
    """How pictures and their masks become rows."""

    plain_name: ClassVar[str] = "pixels"
    size: int = 128
    """Side in pixels: pictures are stretched to a square of it (bilinear, antialiased), masks by
    the nearest pixel."""
    channels: Literal[1, 3] = 3
    """Grey (1) or colour (3)."""
    classes: tuple[str, ...] = ()
    """Names by number; none: they have no names, and the target says how many there are."""
    ignore: int = 255
    """Number of the pixels that count for nothing, beside 255."""
    threshold: int | None = None
    """Masks of two classes drawn in grey: what is at least so bright is class 1. None: numbers are
    classes, unless all masks hold 0 and 255 alone, which is said."""

    test: float = 0.0
    """Share of the training images, the last ones by name, that are the test split of data without
    one: images that follow each other look alike, so that none is drawn."""

    def __post_init__(self) -> None:
        if not 0 <= self.test < 1:
            raise ValueError(f"test {self.test}: a share of the images, from 0 to below 1")
        if self.size < 1:
            raise ValueError(f"size {self.size}: the side of a picture in pixels, at least 1")
        Images(channels=self.channels)
        if not 0 <= self.ignore <= 255:
            raise ValueError(f"ignore {self.ignore}: the number of a class, from 0 to 255")

    def prepared(self, spec: str, folder: Path | None = None) -> "Masks":
        """Itself."""
        del spec, folder
        return self

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return tuple(s for s in SPLITS if s in self._split(spec, say=False))

    def load(
        self, spec: str, *, split: str = "train", in_memory_bytes: int = 0, workers: int = 0
    ) -> Arrays:
        """A split of `spec` in memory; corrupt pictures are left out, counted and named.

        Raises: ValueError or FileNotFoundError that say what was found and what to do.
        """
        del in_memory_bytes, workers  # small pictures, all of them needed at once
        offered = self._split(spec)
        if normal(split) not in offered:
            raise ValueError(f"{spec} has no split {split!r}: it has {', '.join(offered)}")
        chosen = offered[normal(split)]
        files = Files(spec.partition(":")[2])
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(lambda pair: self._read(files.place, pair), chosen))
        skipped = [row for row in found if isinstance(row, str)]
        check_corrupt(skipped, len(chosen))
        if skipped:
            log.warning("left out %d corrupt example(s): %s", len(skipped), "; ".join(skipped[:10]))
        origin = np.array([i for i, row in enumerate(found) if not isinstance(row, str)])
        images, masks = (np.stack([found[i][k] for i in origin]) for k in (0, 1))
        masks, classes = self._numbered(masks, [chosen[i] for i in origin], spec)
        return Arrays(
            {"image": images, "regions": masks},
            classes=classes,
            names=[chosen[i].image for i in origin],
            origin=origin,
            skipped=skipped,
        )

    def _split(self, spec: str, *, say: bool = True) -> dict[str, list[Pair]]:
        """The pairs of each split, with the last ones for tests where that is asked for."""
        found = pairs(spec, say=say)
        if not self.test or "test" in found:
            return found
        rows = found["train"]
        count = max(1, round(self.test * len(rows)))
        return found | {"train": rows[:-count], "test": rows[-count:]}

    def shapes(self) -> Spec:
        """Image and mask of a row."""
        side, kind = (self.size, self.size), np.dtype(np.uint8)
        return {"image": ((*side, self.channels), kind), "regions": (side, kind)}

    def plain(self, rows: Rows) -> np.ndarray:
        """Raw pixels [B, H*W*C] in [0, 1]."""
        return Images().plain(rows)

    def _read(self, place: str, pair: Pair) -> tuple[np.ndarray, np.ndarray] | str:
        """(image, mask), or why it cannot be read. Raises: ValueError where they do not fit."""
        files = Files(place)  # a zip is not read by several threads at once
        try:
            image = Images(channels=self.channels)(files.read(pair.image), pair.image)
            mask = _numbers(files.read(pair.mask), f"{place}/{pair.mask}")
        except (CorruptExample, *READ_ERRORS) as error:
            return f"{pair.image}: cannot be read: {error}"
        if image.shape[:2] != mask.shape:
            sizes = (f"{a.shape[1]}x{a.shape[0]}" for a in (image, mask))
            raise ValueError(
                f"{place}: the image {pair.image} is {' and its mask '.join(sizes)} pixels: give "
                "both the same size"
            )
        side = (self.size, self.size)
        picture = Image.fromarray(image[..., 0] if self.channels == 1 else image)
        small = np.asarray(picture.resize(side, Image.Resampling.BILINEAR))
        near = Image.fromarray(mask).resize(side, Image.Resampling.NEAREST)
        return small.reshape(*side, self.channels), np.asarray(near)

    def _numbered(
        self, masks: np.ndarray, files: list[Pair], spec: str
    ) -> tuple[np.ndarray, tuple[str, ...] | None]:
        """(masks of class numbers and 255, names of the classes or None)."""
        classes, threshold = self.classes, self.threshold
        two = self.ignore == IGNORE and len(classes) in (0, 2)
        if threshold is None and two and set(np.unique(masks)) == {0, 255}:
            log.warning("%s: masks hold 0 and 255 alone: read as two classes, 0 and 1", spec)
            threshold = 128
        if threshold is not None:
            masks = (masks >= threshold).astype(np.uint8)
            classes = classes or ("0", "1")
        masks = np.where(masks == self.ignore, IGNORE, masks).astype(np.uint8)
        counts = masks != IGNORE
        if not classes:
            return masks, None
        bad = counts & (masks >= len(classes))
        if bad.any():
            i, y, x = (int(a[0]) for a in bad.nonzero())
            raise ValueError(
                f"{spec}: {files[i].mask} holds the class {masks[i, y, x]}, but there are "
                f"{len(classes)}, 0 to {len(classes) - 1} ({', '.join(classes)}): "
                "name it in --reader.classes, or as --reader.ignore"
            )
        return masks, classes


def _numbers(data: bytes, name: str) -> np.ndarray:
    """The numbers uint8 [H, W] of a mask with a palette or of grey. Raises: CorruptExample where it
    cannot be read, ValueError where it has colours."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise CorruptExample(name, str(error) or type(error).__name__) from error
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode not in ("P", "L"):
        raise ValueError(
            f"{name} has pixels of mode {image.mode}: a mask needs one number of a class a pixel, "
            "in a PNG file with a palette or of grey with 8 bits"
        )
    return np.asarray(image)


def pairs(spec: str, *, say: bool = True) -> dict[str, list[Pair]]:
    """The pairs of each split, in the order of their names.

    Raises: ValueError where there are no two such folders, or a partner is missing.
    """
    kind, _, place = spec.partition(":")
    if kind != "masks" or not place:
        raise ValueError(f"data {spec!r}: pictures with masks are named by masks:PATH")
    found = find(place, kind="masks", suffixes=_SUFFIXES, what="pictures")
    if say:
        found.say(spec)
    sides: dict[str, dict[str, dict[str, str]]] = {"image": {}, "mask": {}}
    left = Counter()
    for file in found.names:
        split, side, key = _role(file)
        if side is None:
            left[str(PurePosixPath(file).parent)] += 1
            continue
        here = sides[side].setdefault(split, {})
        if key in here:
            raise ValueError(f"{spec}: {here[key]} and {file} are both the {side} {key}: keep one")
        here[key] = file
    if not sides["mask"] or not sides["image"]:
        folders = sorted({str(PurePosixPath(f).parent) for f in found.names})
        raise ValueError(
            f"{spec} needs a folder of images and one of masks, such as image/ and label/, or "
            f"train/ and trainannot/; it has {', '.join(folders[:5])}"
        )
    if left and say:
        log.warning("%s: not read: %s", spec, ", ".join(f"{n} in {d}/" for d, n in left.items()))
    result = {}
    for split in sorted({*sides["image"], *sides["mask"]}):
        images, masks = (sides[side].get(split, {}) for side in ("image", "mask"))
        for has, lacks, what in ((images, masks, "mask"), (masks, images, "image")):
            missing = sorted(has.keys() - lacks.keys())
            if missing:
                raise ValueError(
                    f"{spec}: {len(missing)} of {len(has)} pictures of {split} have no {what}, "
                    f"first {has[missing[0]]}: add it, or take the picture away"
                )
        result[split] = [Pair(images[key], masks[key]) for key in sorted(images)]
    return result


def _role(file: str) -> tuple[str, str | None, str]:
    """(split, "image", "mask" or None, name that a picture and its mask share) of a file."""
    *folders, name = PurePosixPath(file).parts
    split, side, rest = "train", None, []
    for folder in folders:
        low = folder.lower()
        joint = re.fullmatch(rf"([a-z]+?)[_-]?{_MASK}", low)
        if normal(low) in SPLITS:
            split = normal(low)
        elif re.fullmatch(_MASK, low):
            side = "mask"
        elif re.fullmatch(_IMAGE, low):
            side = "image"
        elif joint and normal(joint[1]) in SPLITS:
            split, side = normal(joint[1]), "mask"
        else:
            rest.append(folder)
    if side is None and any(normal(f.lower()) in SPLITS for f in folders):
        side = "image"  # train/ beside trainannot/
    stem = re.sub(rf"[_-]{_MASK}$", "", PurePosixPath(name).stem, flags=re.IGNORECASE)
    # Of folders that are neither only those below tell pictures apart.
    return split, side, "/".join([*rest, stem])
