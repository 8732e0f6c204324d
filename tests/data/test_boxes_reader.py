"""Pictures with boxes: both layouts, folders and zips, and boxes that do not fit."""

import io
import json
import logging
import zipfile

import numpy as np
import pytest
from PIL import Image

from ssljax.data.boxes import BoxedImages

READER = BoxedImages(size=20)
OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"  # noqa: E501


def png(width, height):
    out = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(out, "png")
    return out.getvalue()


def voc():
    things = {
        "a": [("cell", 1, 1, 20, 5), ("dot", 11, 6, 50, 10)],  # the second reaches out
        "b": [],
        "c": [("dot", 60, 1, 70, 5)],  # wholly outside
    }
    files = {f"D/JPEGImages/{k}.png": png(40, 10) for k in things}
    for name, boxes in things.items():
        xml = f"<annotation>{''.join(OBJECT.format(*b) for b in boxes)}</annotation>"
        files[f"D/Annotations/{name}.xml"] = xml.encode()
    lists = {"train": "a\nb\n", "test": "c\n"}
    return files | {f"D/ImageSets/Main/{k}.txt": v.encode() for k, v in lists.items()}


def coco():
    def table(names, annotations):
        return {
            "images": [{"id": 7 + i, "file_name": n} for i, n in enumerate(names)],
            "categories": [{"id": 3, "name": "dot"}, {"id": 5, "name": "cell"}],
            "annotations": annotations,
        }

    first = {"id": 1, "image_id": 7, "category_id": 5, "bbox": [0, 0, 20, 5]}
    second = {"id": 2, "image_id": 7, "category_id": 3, "bbox": [10, 5, 40, 5]}
    out = {"id": 3, "image_id": 7, "category_id": 3, "bbox": [59, 0, 11, 5]}
    return {
        "train/_annotations.coco.json": json.dumps(table(["a.png", "b.png"], [first, second])),
        "test/_annotations.coco.json": json.dumps(table(["a.png"], [out])),
        **{n: png(40, 10) for n in ("train/a.png", "train/b.png", "test/a.png")},
    }


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("files", [voc, coco])
def test_both_layouts(tmp_path, files, zipped, caplog):
    caplog.set_level(logging.INFO)
    if zipped:
        place = tmp_path / "x.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for name, data in files().items():
                archive.writestr(name, data)
    else:
        place = tmp_path
        for name, data in files().items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    assert READER.splits(f"boxes:{place}") == ("train", "test")
    data = READER.load(f"boxes:{place}")
    rows = data.take(np.arange(2))
    assert data.classes == ("cell", "dot") and len(data) == 2
    assert data.names[1].endswith("b.png") and rows["sides"].tolist() == [[40, 10]] * 2
    np.testing.assert_array_equal(rows["boxes"][0], [[0, 0, 10, 10], [5, 10, 20, 20]])
    assert rows["kinds"].tolist() == [[0, 1], [0, 0]]
    assert rows["scores"].tolist() == [[1, 1], [0, 0]]
    assert rows["image"].shape == (2, 20, 20, 3) and np.all(rows["image"] == 90)
    assert "1 boxes reach out" in caplog.text and "no area" not in caplog.text
    assert READER.load(f"boxes:{place}", split="test").take([0])["scores"].sum() == 0
    assert "1 boxes have no area" in caplog.text and "object 1" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": [{"id": 9, "image_id": 8, "category_id": 1, "bbox": []}]}, "annotation 9"),
        ({"images": [{"id": 1, "file_name": "z.png"}]}, r"'z\.png' lies nowhere"),
        ({"images": [{"id": 1}]}, "lacks 'file_name'"),
    ],
)
def test_bad_coco(tmp_path, change, message):
    plain = {"images": [], "annotations": [], "categories": []}
    (tmp_path / "a.png").write_bytes(png(4, 4))
    (tmp_path / "x.json").write_text(json.dumps(plain | change))
    with pytest.raises(ValueError, match=rf"x\.json.*{message}"):
        READER.load(f"boxes:{tmp_path}")


def test_what_is_no_such_data(tmp_path):
    (tmp_path / "a.png").write_bytes(png(4, 4))
    with pytest.raises(ValueError, match=r"neither Annotations/\*\.xml nor a JSON"):
        READER.load(f"boxes:{tmp_path}")
    with pytest.raises(ValueError, match="from boxes:PATH"):
        READER.load("voc:x")
