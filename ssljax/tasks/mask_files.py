"""Masks as picture files: PNG with a palette, one number a pixel, without loss."""

import io
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

IGNORE = 255
"""The class of a pixel that counts for nothing."""


def _palette() -> np.ndarray:
    """Colours uint8 [256, 3] that lie far apart: the bits of a number, three at a time, are the
    highest bits of red, green and blue that are left. 255 is white."""
    number = np.arange(256)
    colours = np.zeros((256, 3), np.int64)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((number >> (3 * bit + channel)) & 1) << (7 - bit)
    colours[IGNORE] = 255
    return colours.astype(np.uint8)


PALETTE = _palette()
"""The colour of each class, uint8 [256, 3], as in the masks of Pascal VOC."""


def mask_name(name: str) -> str:
    """The file of the mask of an image: its name with the ending .png."""
    return PurePosixPath(name).with_suffix(".png").as_posix()


def encoded(mask: np.ndarray) -> bytes:
    """A mask uint8 [H, W] as a PNG file with a palette, without loss."""
    image, file = Image.fromarray(np.asarray(mask, np.uint8)), io.BytesIO()
    image.putpalette(PALETTE.tobytes())
    image.save(file, "PNG")
    return file.getvalue()


def decoded(data: bytes, place: str) -> np.ndarray:
    """uint8 [H, W] of a PNG file with a palette or of grey. Raises: ValueError with the place."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise ValueError(f"{place}: no readable picture: {error}") from error
    if image.mode not in ("P", "L"):
        raise ValueError(f"{place}: a mask has a palette or is grey with 8 bits, not {image.mode}")
    return np.asarray(image)
