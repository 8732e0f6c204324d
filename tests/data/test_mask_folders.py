"""Pictures with masks: two folders or a zip, splits, palettes, sizes, and what does not fit."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from ssljax.data import Masks

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 255, (8, 12, 3), np.uint8)
MASK = RNG.choice(np.array([0, 1, 2, 11], np.uint8), (8, 12))


def put(path, array, *, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if palette:
        image.putpalette([7 * i % 256 for i in range(768)])
    image.save(path)


@pytest.fixture
def segnet(tmp_path):
    for split in ("train", "val", "test"):
        for name in ("0001", "0002"):
            put(tmp_path / split / f"{name}.png", IMAGE)
            put(tmp_path / f"{split}annot" / f"{name}.png", MASK, palette=name == "0001")
    return tmp_path


def test_camvid_as_segnet_has_it(segnet):
    reader, spec = Masks(size=4, ignore=11, classes=("sky", "road", "car")), f"masks:{segnet}"
    assert reader.splits(spec) == ("train", "validation", "test")
    data = reader.load(spec, split="val")
    rows = data.take(np.arange(2))
    assert data.classes == ("sky", "road", "car") and data.names == ["val/0001.png", "val/0002.png"]
    assert {k: v for k, v in data.spec.items() if k != "index"} == reader.shapes()
    near = MASK[1::2, 1::3][:4, :4]  # the middle of 2x3 pixels
    want = np.where(near == 11, 255, near)
    np.testing.assert_array_equal(rows["regions"], [want, want])
    small = np.asarray(Image.fromarray(IMAGE).resize((4, 4), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(rows["image"][0], small)
    assert reader.plain(rows).shape == (2, 48)


def test_a_zip_of_two_folders(tmp_path, caplog):
    put(tmp_path / "d" / "image" / "a.jpg", IMAGE)
    put(tmp_path / "d" / "label" / "a_mask.png", np.where(MASK > 0, 255, 0).astype(np.uint8))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for file in sorted((tmp_path / "d").rglob("*.*")):
            archive.write(file, file.relative_to(tmp_path))
    data = Masks(size=8, channels=1).load(f"masks:{tmp_path / 'x.zip'}")
    rows = data.take(np.arange(1))
    assert "read as two classes" in caplog.text and data.classes == ("0", "1")
    assert data.names == ["d/image/a.jpg"] and rows["image"].shape == (1, 8, 8, 1)
    assert set(np.unique(rows["regions"])) == {0, 1}


def test_corrupt_pictures_are_left_out(tmp_path, caplog):
    for i in range(120):
        put(tmp_path / "image" / f"{i:03}.png", IMAGE)
        put(tmp_path / "mask" / f"{i:03}.png", MASK)
    (tmp_path / "mask" / "001.png").write_bytes(b"none")
    data = Masks(size=4).load(f"masks:{tmp_path}")
    assert len(data) == 119 and data.origin[:2].tolist() == [0, 2]
    assert data.skipped[0].startswith("image/001.png: cannot be read") and data.classes is None
    assert "left out 1 corrupt" in caplog.text


def test_what_does_not_fit_is_named(segnet):
    spec = f"masks:{segnet}"
    with pytest.raises(
        ValueError, match=r"trainannot/0001\.png holds the class 2, but there are 2"
    ):
        Masks(size=8, ignore=11, classes=("a", "b")).load(spec)
    put(segnet / "trainannot" / "0002.png", MASK[:6])
    with pytest.raises(ValueError, match=r"train/0002\.png is 12x8 and its mask 12x6 pixels"):
        Masks().load(spec)
    put(segnet / "trainannot" / "0002.png", IMAGE)
    with pytest.raises(ValueError, match=r"0002\.png has pixels of mode RGB"):
        Masks().load(spec)
    (segnet / "trainannot" / "0002.png").unlink()
    with pytest.raises(
        ValueError, match=r"1 of 2 pictures of train have no mask, first train/0002"
    ):
        Masks().load(spec)
    (segnet / "train" / "0002.png").unlink()
    assert len(Masks().load(spec)) == 1
    (segnet / "train" / "0001.png").unlink()
    with pytest.raises(ValueError, match=r"have no image, first trainannot/0001"):
        Masks().load(spec)
    with pytest.raises(ValueError, match="needs a folder of images and one of masks"):
        Masks().load(f"{spec}/val")
    with pytest.raises(ValueError, match="named by masks:PATH"):
        Masks().load("folder:x")


def test_real_zips(shared_data):
    isbi, camvid = (f"masks:{shared_data / n}.zip" for n in ("isbi2012_membrane", "camvid"))
    data = Masks(size=32, channels=1).load(isbi)
    assert len(data) == 30 and data.names[:2] == ["image/00.png", "image/01.png"]
    ordered = Masks(size=8, channels=1, test=1 / 3)
    assert ordered.splits(isbi) == ("train", "test")
    last = ordered.load(isbi, split="test").names
    assert last == [f"image/{i}.png" for i in range(20, 30)] and len(ordered.load(isbi)) == 20
    assert 0.6 < data.take(np.arange(30))["regions"].mean() < 0.9  # membranes are dark and few
    assert Masks().splits(camvid) == ("train", "validation", "test")
    frames = Masks(size=16, ignore=11).load(camvid, split="validation")
    found = np.unique(frames.take(np.arange(101))["regions"])
    assert len(frames) == 101 and frames.classes is None and found.tolist() == [*range(11), 255]
