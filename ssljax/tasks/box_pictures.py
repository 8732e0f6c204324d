"""Boxes drawn on pictures: a colour a class, or a colour for what is right, wrong and missed."""

from collections.abc import Sequence

import numpy as np

from ssljax.tasks.average_precision import overlaps, taken

Row = Sequence[tuple[Sequence[float], int, float]]
"""(box x1, y1, x2, y2; class; score) of the objects of a picture."""
_CLASSES = ((230, 60, 60), (40, 110, 220), (30, 160, 70), (200, 120, 0), (140, 60, 180))
_RIGHT, _WRONG, _MISSED, _UNSURE = (20, 150, 60), (225, 30, 30), (20, 80, 235), (240, 190, 0)
COMPARED = "right green, wrong red, missed blue, unsure yellow"
"""What the colours of `compared` mean."""


def by_class(image: np.ndarray, rows: Sequence[Row], *, size: int, sure: float) -> np.ndarray:
    """The edges of boxes that are sure, on a copy of the pictures uint8 [n, H, W, C].

    size: side of the picture in which boxes are measured.
    """
    pictures = _colour(image)
    for picture, row in zip(pictures, rows, strict=True):
        for box, kind, score in row:
            if score >= sure:
                _edges(picture, box, _CLASSES[kind % len(_CLASSES)], size)
    return pictures


def compared(
    image: np.ndarray, truth: Sequence[Row], guess: Sequence[Row], *, size: int, sure: float
) -> np.ndarray:
    """As `by_class`, coloured by whether a box has a true one of its class, at an overlap of a
    half; true boxes that none has are missed, and labels below `sure` are unsure."""
    pictures = _colour(image)
    for picture, true, said in zip(pictures, truth, guess, strict=True):
        boxes = [(box, _UNSURE) for box, _, score in said if score < sure]
        for kind in {k for _, k, _ in (*true, *said)}:
            these = [box for box, k, _ in true if k == kind]
            ranked = sorted((x for x in said if x[1] == kind and x[2] >= sure), key=lambda x: -x[2])
            labels = [box for box, _, _ in ranked]
            found = taken(overlaps(_array(labels), _array(these)), 0.5)
            left = np.setdiff1d(np.arange(len(these)), found)
            boxes += [(these[i], _MISSED) for i in left]
            boxes += [(b, _RIGHT if i >= 0 else _WRONG) for b, i in zip(labels, found, strict=True)]
        for box, colour in boxes:
            _edges(picture, box, colour, size)
    return pictures


def _array(boxes: Sequence[Sequence[float]]) -> np.ndarray:
    return np.array(boxes, np.float64).reshape(-1, 4)


def _colour(image: np.ndarray) -> np.ndarray:
    return np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else np.array(image)


def _edges(picture: np.ndarray, box: Sequence[float], colour: Sequence[int], size: int) -> None:
    high = np.array(picture.shape[1::-1])[[0, 1, 0, 1]] - 1
    scale = picture.shape[0] / size
    x1, y1, x2, y2 = np.clip(np.round(np.array(box) * scale), 0, high).astype(int)
    picture[[y1, y2], x1 : x2 + 1] = colour
    picture[y1 : y2 + 1, [x1, x2]] = colour
