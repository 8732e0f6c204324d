"""Boxes in COCO JSON, which most tools for annotating pictures read and write.

{"images": [{"id", "file_name", "width", "height"}], "annotations": [{"id", "image_id",
"category_id", "bbox": [x, y, width, height], "area", "iscrowd", "score"}], "categories": [{"id",
"name"}]}, in pixels of the file; ids count from 1.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssljax.files import write_json
from ssljax.tasks.cells import found_in
from ssljax.tasks.target import Examples

Row = list[tuple[list[float], int, float]]
"""(x1, y1, x2, y2 in pixels of the stored picture; class; score) of the objects of a picture."""


def write(
    path: Path, examples: Examples, rows: Sequence[Row], classes: Sequence[str], size: int
) -> None:
    """Writes the whole file or nothing. size: side of the stored pictures."""
    images, annotations = [], []
    for i, (name, row) in enumerate(zip(examples.names, rows, strict=True)):
        sides = _sides(examples, i, size)
        width, height = (int(x) for x in sides)
        images.append({"id": i + 1, "file_name": name, "width": width, "height": height})
        for box, kind, score in row:
            x1, y1, x2, y2 = np.array(box) * np.tile(sides, 2) / size
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i + 1,
                    "category_id": kind + 1,
                    "bbox": [float(x) for x in (x1, y1, x2 - x1, y2 - y1)],
                    "area": float((x2 - x1) * (y2 - y1)),
                    "iscrowd": 0,
                    "score": score,
                }
            )
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(classes)]
    write_json(path, {"images": images, "annotations": annotations, "categories": categories})


def read(
    path: Path, examples: Examples, classes: Sequence[str], size: int
) -> tuple[np.ndarray, list[Row]]:
    """(which of the examples, int64 [m]; their objects). A picture without annotations has none.

    Raises: ValueError that names the file and the annotation.
    """
    found = json.loads(Path(path).read_text("utf-8"))
    if not isinstance(found, dict) or not {"images", "annotations", "categories"} <= found.keys():
        raise ValueError(f"{path} is no COCO JSON: it needs images, annotations and categories")
    number = {name: i for i, name in enumerate(examples.names)}
    known = {name: k for k, name in enumerate(classes)}
    names = {c["id"]: c["name"] for c in found["categories"]}
    places, index = {}, []
    for image in found["images"]:
        places[image["id"]] = len(index)
        index.append(found_in(number, image["file_name"], f"{path}, image {image['id']}"))
    rows: list[Row] = [[] for _ in index]
    for one in found["annotations"]:
        what = f"{path}, annotation {one.get('id')}"
        if one.get("image_id") not in places:
            raise ValueError(f"{what}: there is no image {one.get('image_id')}")
        name = names.get(one.get("category_id"))
        if name not in known:
            raise ValueError(f"{what}: {name!r} is none of the classes {', '.join(classes)}")
        box, place = one.get("bbox"), places[one["image_id"]]
        if not isinstance(box, list) or len(box) != 4:
            raise ValueError(f"{what}: bbox {box} is not x, y, width, height")
        score = one.get("score", 1.0)
        corners = [*box[:2], *(a + b for a, b in zip(box[:2], box[2:]))]
        check_box([*corners, score], what)
        scaled = np.array(corners) * size / np.tile(_sides(examples, index[place], size), 2)
        rows[place].append((scaled.tolist(), known[name], score))
    return np.array(index, np.int64), rows


def check_box(numbers: Sequence[Any], place: str) -> None:
    """Raises ValueError unless x1, y1, x2, y2 and score are a box with an area and a score in
    (0, 1]."""
    if not all(isinstance(x, int | float) and math.isfinite(x) for x in numbers):
        raise ValueError(f"{place}: {list(numbers)} are not x1, y1, x2, y2 and a score")
    x1, y1, x2, y2, score = numbers
    if not (x1 < x2 and y1 < y2):
        raise ValueError(f"{place}: the box {x1:g}, {y1:g}, {x2:g}, {y2:g} has no area")
    if not 0 < score <= 1:
        raise ValueError(f"{place}: the score {score:g} is not above 0 and at most 1")


def _sides(examples: Examples, i: int, size: int) -> np.ndarray:
    """Width and height of the file of an example, float64 [2]."""
    sides = examples.rows.get("sides")
    return np.array([size, size] if sides is None else sides[i], np.float64)
