"""Objects cut out of annotated pictures."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from ssljax.data import Crops
from ssljax.data.voc import Voc, enclosing

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)


def png(array=PICTURE):
    out = io.BytesIO()
    Image.fromarray(array).save(out, "png")
    return out.getvalue()


def xml(*objects):
    things = "".join(
        f"<object><name>{n}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax>"
        f"<ymax>{d}</ymax></bndbox></object>"
        for n, a, b, c, d in objects
    )
    return f"<annotation>{things}</annotation>"


def write(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())


FILES = {
    "Annotations/a.xml": xml(("cell", 11, 6, 26, 21), ("dot", 1, 1, 2, 2)),
    "Annotations/b.xml": xml(("plate", 1, 1, 16, 16)),
    "JPEGImages/a.png": png(),
    "JPEGImages/b.png": png(PICTURE[::-1]),
    "ImageSets/Main/train.txt": "a\n",
    "ImageSets/Main/val.txt": "b\n",
    "ImageSets/Main/trainval.txt": "a\nb\n",
}


def test_a_crop_is_the_pixels_of_its_box(tmp_path):
    """Coordinates count from 1 and include both ends: 16 pixels, here not resized."""
    write(tmp_path, FILES)
    reader = Crops(size=16, margin=0.0)
    found = reader.load(f"voc:{tmp_path}")
    assert reader.splits(f"voc:{tmp_path}") == ("train", "validation")
    assert found.classes == ("cell", "dot", "plate")
    assert len(found) == 1  # the dot is too small
    np.testing.assert_array_equal(found.take(np.arange(1))["image"][0], PICTURE[5:21, 10:26])
    other = reader.load(f"voc:{tmp_path}", split="validation")
    np.testing.assert_array_equal(other.take(np.arange(1))["image"][0], PICTURE[::-1][:16, :16])
    assert other.labels().tolist() == [2]


def test_a_grey_crop_is_resized_as_pillow_does_it(tmp_path):
    """Half the size, of a square that a margin makes larger than the box; at its border the filter
    sees what lies around it, too."""
    write(tmp_path, FILES)
    found = Crops(size=12, margin=0.25, channels=1).load(f"voc:{tmp_path}")
    grey = Image.fromarray(PICTURE).convert("L").crop((6, 1, 30, 25))
    expected = np.asarray(grey.resize((12, 12), Image.Resampling.BICUBIC))
    image = found.take(np.arange(1))["image"][0, ..., 0]
    np.testing.assert_array_equal(image[2:-2, 2:-2], expected[2:-2, 2:-2])
    assert not np.array_equal(image, expected)


def test_a_zip_with_a_folder_is_the_same(tmp_path):
    write(tmp_path / "x", FILES)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in FILES.items():
            archive.writestr(f"root/{name}", data)
    a, b = (Crops(size=8).load(f"voc:{tmp_path / p}") for p in ("x", "x.zip"))
    np.testing.assert_array_equal(a.take(np.arange(1))["image"], b.take(np.arange(1))["image"])


def test_squares_stay_in_the_picture():
    np.testing.assert_allclose(enclosing((10, 10, 20, 30), (60, 40), margin=0.0), (5, 10, 25, 30))
    np.testing.assert_allclose(enclosing((10, 10, 20, 30), (60, 40), margin=0.25), (0, 5, 30, 35))
    np.testing.assert_allclose(enclosing((50, 0, 60, 10), (60, 40), margin=0.5), (40, 0, 60, 20))
    np.testing.assert_allclose(enclosing((0, 0, 60, 40), (60, 40), margin=0.5), (0, 0, 60, 40))


def test_without_lists_everything_is_for_training(tmp_path):
    write(tmp_path, {k: v for k, v in FILES.items() if "ImageSets" not in k})
    assert len(Voc(f"voc:{tmp_path}").split("train")) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Annotations/a.xml": "<annotation>"}, "corrupt"),
        ({"Annotations/a.xml": xml(("cell", 20, 1, 10, 5))}, "a box from 20"),
        ({"JPEGImages/a.png": b"no picture"}, "corrupt"),
        ({"ImageSets/Main/train.txt": "a missing"}, "no file for 'missing'"),
        ({"ImageSets/Main/train.txt": "a".encode("utf-16")}, r"train\.txt is not UTF-8"),
        ({"Annotations/a.xml": xml(("dot", 1, 1, 2, 2))}, "no objects of"),
    ],
)
def test_what_is_broken_is_named(tmp_path, change, message):
    write(tmp_path, FILES | change)
    with pytest.raises(ValueError, match=message):
        Crops(size=8).load(f"voc:{tmp_path}")


def test_another_layout_or_split_is_refused(tmp_path):
    write(tmp_path, {"cats/a.png": png()})
    with pytest.raises(ValueError, match="Annotations"):
        Crops().load(f"voc:{tmp_path}")
    with pytest.raises(ValueError, match="voc:PATH"):
        Crops().load("folder:x")
    write(tmp_path / "y", FILES)
    with pytest.raises(ValueError, match="no split 'test'"):
        Crops().load(f"voc:{tmp_path / 'y'}", split="test")


def test_real_blood_cells(shared_data):
    found = Crops(size=32).load(f"voc:{shared_data / 'bccd.zip'}", split="test")
    assert found.classes == ("Platelets", "RBC", "WBC")
    assert len(found) > 500
    # white cells are stained purple, and so bluer than red ones
    rows = found.take(np.arange(len(found)))
    mean = [rows["image"][rows["label"] == c].mean((0, 1, 2)) for c in range(3)]
    assert mean[2][0] - mean[2][2] < mean[1][0] - mean[1][2]
