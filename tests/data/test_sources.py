"""Every kind of storage, on tiny data made here; every message about data that is not right."""

import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_pictures import contents, expected, picture, png, table

from ssljax import data
from ssljax.data import open_source, splits

# Folders and zips


def tree(root, names):
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(i))


def zipped(root, file):
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root))
    return file


@pytest.fixture(params=["folder", "zip"])
def place(request, tmp_path):
    """Writes names as images, and says where."""

    def write(names):
        tree(tmp_path / "root", names)
        if request.param == "folder":
            return tmp_path / "root"
        return zipped(tmp_path / "root", tmp_path / "root.zip")

    return write


def test_folder_with_classes(place):
    source = open_source(f"folder:{place(['ant/0.png', 'ant/1.PNG', 'bee/2.png'])}", split="train")
    assert source.classes == ("ant", "bee")
    assert contents(source) == [(0, 0), (1, 0), (2, 1)]


def test_flat_folder_has_no_labels(place):
    root = place(["a.png", "b.png", "notes.txt", ".hidden", "__MACOSX/._a.png"])
    source = open_source(f"folder:{root}", split="train")
    assert contents(source) == [(0, None), (1, None)]
    assert source.classes is None and splits(f"folder:{root}") == ("train",)


@pytest.mark.parametrize("held_out", ["val", "valid", "validation", "test", "testing"])
def test_folder_with_splits_numbers_classes_alike(place, held_out):
    names = [f"{held_out}/bee/0.png", "train/ant/1.png", "train/bee/2.png", "train/cow/3.png"]
    spec = f"folder:{place(names)}"
    known = "test" if held_out.startswith("test") else "validation"
    assert splits(spec) == ("train", known)
    train, other = (open_source(spec, split=s) for s in ("train", held_out))
    assert contents(train) == [(1, 0), (2, 1), (3, 2)]
    assert contents(other) == [(0, 1)]
    assert train.classes == other.classes == ("ant", "bee", "cow")


def test_splits_below_one_common_folder(place):
    spec = f"folder:{place(['set/images/train/a/0.png', 'set/images/test/b/1.png'])}"
    assert splits(spec) == ("train", "test")
    assert contents(open_source(spec, split="test")) == [(1, 1)]


def test_a_class_may_be_called_train(place):
    spec = f"folder:{place(['bus/0.png', 'train/1.png', 'tram/2.png'])}"
    source = open_source(spec, split="train")
    assert source.classes == ("bus", "train", "tram") and splits(spec) == ("train",)
    assert contents(source) == [(0, 0), (1, 1), (2, 2)]


def test_images_beside_the_splits_are_refused(place):
    spec = f"folder:{place(['train/a/0.png', 'test/a/1.png', 'more/2.png'])}"
    with pytest.raises(ValueError, match=r"more/.*name one folder"):
        splits(spec)


def test_names_that_climb_out_of_a_zip_are_only_names(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    file = inside / "a.zip"
    (tmp_path / "evil.png").write_bytes(b"not to be read")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with zipfile.ZipFile(file, "w") as archive:
        for i, name in enumerate(["../evil.png", "/etc/evil.png", "a/../../evil.png"]):
            archive.writestr(name, png(i))
    source = open_source(f"folder:{file}", split="train")
    assert sorted(n for n, _ in contents(source)) == [0, 1, 2]  # from the archive itself
    after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert set(after) - {file} == set(before) and before.items() <= after.items()


def test_damaged_zip_member_is_a_corrupt_example(tmp_path):
    tree(tmp_path / "root", [f"{i:03}.png" for i in range(150)])
    file = zipped(tmp_path / "root", tmp_path / "root.zip")
    raw = bytearray(file.read_bytes())
    at = raw.index(png(70))
    raw[at + 20] ^= 255  # the checksum of member 70 no longer holds
    file.write_bytes(raw)
    arrays = data.load(f"folder:{file}")
    assert len(arrays) == 149
    assert len(arrays.skipped) == 1 and "070.png" in arrays.skipped[0]


def test_zip_with_a_password_says_so(tmp_path):
    tree(tmp_path / "root", ["a.png"])
    file = zipped(tmp_path / "root", tmp_path / "root.zip")
    raw = bytearray(file.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory
    raw[6] |= 1  # and before the member
    file.write_bytes(raw)
    with pytest.raises(ValueError, match=r"a\.png.*(encrypted|password)"):
        data.load(f"folder:{file}")


# npz, digits


@pytest.mark.parametrize("keys", [("image", "label"), ("x", "y"), ("images", "labels")])
def test_npz_of_one_split(tmp_path, keys):
    images = np.stack([picture(i) for i in range(5)])
    np.savez(tmp_path / "a.npz", **{keys[0]: images, keys[1]: np.arange(5)[:, None] % 3})
    assert contents(open_source(f"npz:{tmp_path}/a.npz", split="train")) == expected(range(5))
    np.savez(tmp_path / "a.npz", **{keys[0]: images})
    assert contents(open_source(f"npz:{tmp_path}/a.npz", split="train"))[4] == (4, None)


def test_npz_with_the_names_of_keras(tmp_path):
    images, labels = np.stack([picture(i)[..., 0] for i in range(5)]), np.arange(5) % 3
    np.savez_compressed(
        tmp_path / "mnist.npz",
        x_train=images[:3], y_train=labels[:3], x_test=images[3:], y_test=labels[3:],
    )  # fmt: skip
    spec = f"npz:{tmp_path}/mnist.npz"
    assert splits(spec) == ("train", "test")
    assert contents(open_source(spec, split="train")) == expected(range(3))
    assert contents(open_source(spec, split="test")) == expected([3, 4])
    assert data.load(spec).spec["image"] == ((6, 7, 1), np.uint8)


class Trap:
    """Unpickling this would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("key", ["x", "y"])
def test_npz_objects_are_not_unpickled(tmp_path, key):
    trap = np.array([Trap(tmp_path / "sprung")] * 2, object)
    arrays = {"x": np.zeros((2, 4, 4), np.uint8), "y": np.zeros(2, np.int32)} | {key: trap}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=r"a\.npz.*Pickled objects are not read"):
        open_source(f"npz:{tmp_path}/a.npz", split="train")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((2, 4, 4), np.float32)}, r"float32 \(2, 4, 4\).*0 to 255"),
        ({"x": np.zeros((2, 4), np.uint8)}, "uint8"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.zeros(3, int)}, "each of the 2 images"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.array([0, 0.5])}, r"y\[1\]: label 0.5"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.array([0, -2])}, r"y\[1\]: label -2"),
        ({"x": np.zeros((0, 4, 4), np.uint8)}, "no examples"),
        ({"a": np.zeros(3), "b": np.zeros(3)}, "holds a, b: name the arrays image and label"),
        ({}, "holds nothing"),
    ],
)
def test_npz_that_is_not_right(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        data.load(f"npz:{tmp_path}/a.npz")


def test_npz_that_is_no_npz(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 but no more")
    with pytest.raises(ValueError, match=r"not an \.npz"):
        open_source(f"npz:{tmp_path}/a.npz", split="train")
    np.savez(tmp_path / "b.npz", x=np.arange(10**5, dtype=np.uint8).reshape(-1, 10, 10))
    raw = bytearray((tmp_path / "b.npz").read_bytes())
    raw[5000] ^= 255
    (tmp_path / "b.npz").write_bytes(raw)
    with pytest.raises(ValueError, match=r"b\.npz"):
        open_source(f"npz:{tmp_path}/b.npz", split="train")


def test_digits_are_those_of_sklearn():
    from sklearn.datasets import load_digits

    source = open_source("digits", split="train")
    digits = load_digits()
    assert len(source) == 1797 and source.classes == tuple("0123456789")
    np.testing.assert_array_equal(source.labels(), digits.target)
    images = np.stack([source[i]["image"] for i in range(100)])
    assert images.shape == (100, 8, 8, 1) and images.dtype == np.uint8 and images.max() == 255
    np.testing.assert_allclose(images[..., 0] / 255 * 16, digits.images[:100], atol=0.04)


# Messages


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("parket:/x", ValueError, "did you mean parquet"),
        ("digit", ValueError, "did you mean digits"),
        ("", ValueError, "start with digits, tfds:"),
        ("digits:test", ValueError, "no split but train"),
        ("parquet:", ValueError, "parquet:PATH"),
        ("parquet:/no/such", FileNotFoundError, "parquet:/no/such"),
        ("folder:/no/such", FileNotFoundError, "folder:/no/such"),
        ("npz:/no/such.npz", FileNotFoundError, r"npz:/no/such\.npz"),
        ("tfds:", ValueError, "tfds:NAME"),
    ],
)
@pytest.mark.parametrize("function", [lambda s: open_source(s, split="train"), splits])
def test_specs_that_are_not_right(spec, error, message, function):
    with pytest.raises(error, match=message):
        function(spec)


def test_folders_without_data(tmp_path):
    with pytest.raises(ValueError, match=r"no images.*\.png"):
        open_source(f"folder:{tmp_path}", split="train")
    with pytest.raises(FileNotFoundError, match=r"no \.parquet files"):
        open_source(f"parquet:{tmp_path}", split="train")
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"must be a folder or a \.zip"):
        open_source(f"folder:{tmp_path}/a.tar", split="train")


def test_unknown_splits_name_those_that_exist(tmp_path):
    file = tmp_path / "train.parquet"
    pq.write_table(table(range(3)), file)
    with pytest.raises(ValueError, match="no split 'test': it has train"):
        open_source(f"parquet:{tmp_path}", split="test")
    with pytest.raises(ValueError, match="no split 'tets', only train, validation, test"):
        open_source(f"parquet:{tmp_path}:tets", split="train")
    with pytest.raises(ValueError, match="no split 'test': it has train"):
        open_source("digits", split="test")


def test_paths_may_hold_colons(tmp_path):
    folder = tmp_path / "a:test"
    folder.mkdir()
    pq.write_table(table(range(3)), folder / "x:y.parquet")
    assert len(open_source(f"parquet:{folder}", split="train")) == 3
    assert len(open_source(f"parquet:{folder}/x:y.parquet", split="train")) == 3


def test_broken_files_are_named(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(ValueError, match=r"a\.parquet is not a readable Parquet file"):
        open_source(f"parquet:{tmp_path}", split="train")
    (tmp_path / "a.zip").write_bytes(b"PK but no more")
    with pytest.raises(ValueError, match=r"a\.zip is not a readable zip"):
        open_source(f"folder:{tmp_path}/a.zip", split="train")
