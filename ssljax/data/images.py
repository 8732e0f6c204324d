"""Records to images: decoding and resizing on the host, nothing random.

Every image of a data set comes out with the same shape, uint8 [H, W, C]; random crops and colours
are drawn on the device (`ssljax.views`). Transparency is dropped and not blended, an orientation in
the EXIF data is left alone, 16 bits become 8 by their full scale, whatever the image holds, and of
a file of several pictures the first is read, which is said.
"""

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from ssljax.data.corrupt import CorruptExample
from ssljax.data.dataset import Arrays, Rows, Spec
from ssljax.data.decode import in_memory, size_of
from ssljax.data.sources import open_source, splits
from ssljax.data.stream import Stream

log = logging.getLogger("ssljax")
_SAID: set[str] = set()  # kinds of files of several pictures that were spoken of


@dataclass(frozen=True, kw_only=True)
class Images:
    """How a record becomes an image: the `Reader` of pictures (see `ssljax.data.reader`)."""

    plain_name: ClassVar[str] = "pixels"
    size: int | None = None
    """Side in pixels: the shorter side is resized to it (bicubic, antialiased) and the centre cut
    out. None: as stored.
    """
    channels: Literal[1, 3] | None = None
    """Convert to grey (1) or colour (3). None: as stored."""
    label: str | None = None
    """Column of Parquet files that is the class; None: the one that is called so; "": none."""

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise ValueError(f"size {self.size}: the side of an image in pixels, at least 1")
        if self.channels not in (None, 1, 3):
            raise ValueError(f"channels {self.channels}: 1 for grey, 3 for colour")

    def prepared(self, spec: str, folder: Any = None) -> "Images":
        """Itself: pictures are read without anything learnt from them."""
        del spec, folder
        return self

    def splits(self, spec: str) -> tuple[str, ...]:
        """The splits that `spec` offers."""
        return splits(spec)

    def load(
        self,
        spec: str,
        *,
        split: str = "train",
        in_memory_bytes: int = 4 * 2**30,
        workers: int = 2,
    ) -> Arrays | Stream:
        """As `ssljax.data.load`."""
        source = open_source(spec, split=split, label=self.label, most=in_memory_bytes)
        if size_of(source, self.decode) <= in_memory_bytes:
            return in_memory(source, self.decode)
        return Stream(source, self.decode, workers=workers)

    def rows(self, values: Sequence[Any], *, like: Spec | None = None) -> Rows:
        """{"image": uint8 [N, H, W, C]} of files, or of arrays uint8 [H, W] or [H, W, C].

        like: leaves of the training data: files, and arrays that differ in shape, become images of
        that size and colour. Raises: ValueError that names what is no image.
        """
        if isinstance(values, np.ndarray) and values.ndim == 3 and values.shape[-1] in (1, 3, 4):
            raise ValueError(f"an array {values.shape} is one image: give a list, or [N, H, W, C]")
        given = [_value(v) for v in values]
        files = [isinstance(v, bytes) for v in given]
        reader, shape = self, () if like is None else like["image"][0]
        if len(shape) == 3:
            alike = not any(files) and len({np.shape(v) for v in given}) == 1
            side = shape[0] if shape[0] == shape[1] and not alike else None
            reader = replace(self, size=self.size or side, channels=self.channels or shape[2])
        names = [
            str(v) if isinstance(v, str | Path) else f"image {i}" for i, v in enumerate(values)
        ]
        decoded = [reader(v, name) for v, name in zip(given, names, strict=True)]
        return {"image": np.stack(decoded)}

    def shapes(self) -> Spec | None:
        """{"image": (shape, dtype)}, or None where the size or the channels are as stored."""
        if self.size is None or self.channels is None:
            return None
        return {"image": ((self.size, self.size, self.channels), np.dtype(np.uint8))}

    def plain(self, rows: Rows) -> np.ndarray:
        """Raw pixels [B, H*W*C] in [0, 1]."""
        image = rows["image"]
        return image.reshape(len(image), -1).astype(np.float32) / 255

    def decode(self, record: dict[str, Any], name: str) -> Rows:
        """{"image": ...} of a record with one. Raises: CorruptExample with `name`."""
        return {"image": self(record["image"], name)}

    def __call__(self, value: Any, name: str) -> np.ndarray:
        """bytes of an image file, or an array [H, W] or [H, W, C], to uint8 [H, W, C].

        Raises: CorruptExample with `name`.
        """
        if isinstance(value, bytes | bytearray | memoryview):
            return self._finish(self._decode(bytes(value), name), name)
        array = _checked(value, name)
        shape = array.shape
        if self.size in (None, min(shape[:2])) and self.size in (None, max(shape[:2])):
            colours = {2: 1, 4: 3}.get(shape[2], shape[2])  # without transparency
            if self.channels in (None, colours):
                return array[..., :colours]
        return self._finish(_pillow(array), name)

    def shrunk(self, value: Any, name: str) -> bytes:
        """An image file with the shorter side at `size`, all of the picture in it: JPEG of quality
        95. What is no larger stays as it is; as an array it becomes PNG, which loses nothing.

        Raises: CorruptExample with `name`.
        """
        assert self.size is not None
        encoded = isinstance(value, bytes | bytearray | memoryview)
        image = self._decode(bytes(value), name) if encoded else _pillow(_checked(value, name))
        image, buffer = self._convert(image, name), io.BytesIO()
        if min(image.size) > self.size:
            shape = self._short_side(image, name)
            image.resize(shape, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
        elif encoded:
            return bytes(value)
        else:
            image.save(buffer, "PNG")
        return buffer.getvalue()

    def _decode(self, data: bytes, name: str) -> Image.Image:
        try:
            image = Image.open(io.BytesIO(data))
            if image.format == "EPS":  # which Pillow has another program run
                raise CorruptExample(name, "a program (EPS) and no picture: convert it to PNG")
            if getattr(image, "is_animated", False):
                _say_first(image.format or "picture", name)
            if self.size is not None:
                # A JPEG far too large is decoded at 1/2, 1/4 or 1/8: as exact, and much faster.
                w, h = _short_side(image.size, 2 * self.size)
                image.draft(None, (w, h))
            image.load()
        except (MemoryError, CorruptExample):
            raise
        except Image.DecompressionBombError as error:
            raise CorruptExample(
                name,
                f"announces more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, the most that "
                "one picture may have: make it smaller, or cut it",
            ) from error
        except UnidentifiedImageError as error:
            reason = "no picture of a kind that is known" if data else "the file is empty"
            raise CorruptExample(name, reason) from error
        except Exception as error:  # Pillow's decoders raise nearly anything on broken files
            raise CorruptExample(name, str(error) or type(error).__name__) from error
        return image

    def _finish(self, image: Image.Image, name: str) -> np.ndarray:
        image = self._convert(image, name)
        if self.size is not None and image.size != (self.size, self.size):
            w, h = self._short_side(image, name)
            if image.size != (w, h):
                image = image.resize((w, h), Image.Resampling.BICUBIC)
            left, top = (w - self.size) // 2, (h - self.size) // 2
            image = image.crop((left, top, left + self.size, top + self.size))
        array = np.asarray(image)
        return array[..., None] if array.ndim == 2 else array

    def _convert(self, image: Image.Image, name: str) -> Image.Image:
        """Grey or RGB of eight bits."""
        if image.mode.startswith("I"):
            wide = np.asarray(image).astype(np.int64)
            if wide.min() < 0 or wide.max() > 65535:
                raise CorruptExample(name, f"pixels from {wide.min()} to {wide.max()}")
            image = Image.fromarray(_eight_bits(wide))
        if image.mode == "F":
            raise CorruptExample(name, "floating-point pixels (mode F) have no known scale")
        grey = image.mode in ("1", "L", "LA")
        mode = {1: "L", 3: "RGB", None: "L" if grey else "RGB"}[self.channels]
        return image if image.mode == mode else image.convert(mode)

    def _short_side(self, image: Image.Image, name: str) -> tuple[int, int]:
        """(width, height) with the shorter side at `size`."""
        assert self.size is not None
        w, h = _short_side(image.size, self.size)
        if Image.MAX_IMAGE_PIXELS and w * h > 2 * Image.MAX_IMAGE_PIXELS:
            raise CorruptExample(
                name,
                f"{image.width} x {image.height} pixels, too narrow for a side of {self.size}",
            )
        return w, h


def _checked(value: Any, name: str) -> np.ndarray:
    """An array as uint8 [H, W, C]."""
    array = np.asarray(value)
    shape = array.shape if array.ndim == 3 else (*array.shape, 1)
    if array.dtype == np.uint16 and len(shape) == 3:
        array = _eight_bits(array)
    if array.dtype != np.uint8 or len(shape) != 3 or not array.size or shape[2] > 4:
        raise CorruptExample(
            name, f"images are uint8 [H, W] or [H, W, C], not {array.dtype} {array.shape}"
        )
    return array.reshape(shape)


def _pillow(array: np.ndarray) -> Image.Image:
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def _value(value: Any) -> bytes | np.ndarray:
    """What an image is given as: the bytes of a file, or an array."""
    if isinstance(value, str | Path):
        return Path(value).read_bytes()
    return value if isinstance(value, bytes) else np.asarray(value)


def _say_first(kind: str, name: str) -> None:
    if kind not in _SAID:
        _SAID.add(kind)
        log.warning(
            "%s holds several pictures, of which the first alone is read, as of every %s",
            name,
            kind,
        )


def _eight_bits(wide: np.ndarray) -> np.ndarray:
    """0 to 65535, to 0 to 255, rounded."""
    return ((wide.astype(np.int64) * 255 + 32767) // 65535).astype(np.uint8)


def _short_side(size: tuple[int, int], target: int) -> tuple[int, int]:
    """(width, height) with the shorter side at `target` and the same shape."""
    w, h = size
    scale = target / min(w, h)
    return max(target, round(w * scale)), max(target, round(h * scale))
