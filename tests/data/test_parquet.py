"""Parquet: columns, shards, splits, class names; what is said where it is not right; real files."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_pictures import contents, expected, picture, png, table

from ssljax import data
from ssljax.data import Images, open_source, splits


@pytest.mark.parametrize("image", ["image", "img"])
@pytest.mark.parametrize("label", ["label", "fine_label", "labels", None])
@pytest.mark.parametrize("wrapped", [True, False])
def test_parquet_columns(tmp_path, image, label, wrapped):
    file = tmp_path / "some.parquet"
    pq.write_table(table(range(10), image=image, label=label, wrapped=wrapped), file)
    source = open_source(f"parquet:{file}", split="train")
    assert contents(source) == [(i, i % 3 if label else None) for i in range(10)]
    assert source.classes == (("0", "1", "2") if label else None)
    assert source.key(4) == "some.parquet:4"


def test_parquet_row_groups_shards_splits_and_class_names(tmp_path):
    names = ["cat", "dog", "eel"]
    parts = {
        "train-00000-of-00002": range(7),
        "train-00001-of-00002": range(7, 12),
        "validation-00000-of-00001": range(12, 15),
        "test-00000-of-00001": range(15, 17),
    }
    for name, numbers in parts.items():
        pq.write_table(table(numbers, names=names), tmp_path / f"{name}.parquet", row_group_size=3)
    spec = f"parquet:{tmp_path}"
    assert splits(spec) == ("train", "validation", "test")
    for split, numbers in (("train", range(12)), ("val", range(12, 15)), ("test", range(15, 17))):
        source = open_source(spec, split=split)
        assert contents(source) == expected(numbers)
        assert source.classes == ("cat", "dog", "eel")
        assert contents(open_source(f"{spec}:{split}", split="train")) == expected(numbers)
    assert "train-00001-of-00002.parquet row 1" in open_source(spec, split="train").name(8)


def test_parquet_splits_as_folders_and_a_single_file_of_any_split(tmp_path):
    for split, numbers in (("train", range(4)), ("test", range(4, 6))):
        (tmp_path / split).mkdir()
        pq.write_table(table(numbers), tmp_path / split / "0000.parquet")
    assert contents(open_source(f"parquet:{tmp_path}", split="test")) == expected([4, 5])
    file = tmp_path / "only-test.parquet"
    pq.write_table(table(range(5)), file)
    assert contents(open_source(f"parquet:{file}:test", split="train")) == expected(range(5))


def test_parquet_lists_of_pixels(tmp_path):
    cells = [picture(i).tolist() for i in range(4)]
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": cells, "label": pa.array([0, 1, 2, 0])}), file)
    assert contents(open_source(f"parquet:{file}", split="train")) == expected(range(4))


def test_parquet_missing_cells_are_corrupt_examples(tmp_path):
    good = table(range(300))
    cells, labels = good["image"].to_pylist(), good["label"].to_pylist()
    cells[5], cells[6]["bytes"], labels[7] = None, None, None
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": cells, "label": labels}), file)
    arrays = data.load(f"parquet:{file}")
    assert len(arrays) == 298 and arrays.origin[5] == 7 and arrays.names[5] == "a.parquet:7"
    assert [s.split(": ")[0].split()[-1] for s in arrays.skipped] == ["5", "6"]
    assert arrays.labels()[5] == -1 and arrays.labelled_count == 297  # a label may be missing
    stream = data.load(f"parquet:{file}", in_memory_bytes=0, workers=0)
    rows = list(stream.once(50))
    masks, found = (np.concatenate([b[k] for b in rows]) for k in ("mask", "label"))
    assert np.flatnonzero(~masks).tolist() == [5, 6]
    np.testing.assert_array_equal(found[masks], np.delete(stream.labels(), [5, 6]))


def test_parquet_larger_than_its_cache_is_read_right_and_said_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("ssljax.data.parquet.CACHE_BYTES", 1000)
    pq.write_table(table(range(60)), tmp_path / "a.parquet", row_group_size=3)
    source = open_source(f"parquet:{tmp_path}", split="train")
    order = np.random.default_rng(0).permutation(60).tolist() * 2
    found = [(Images()(source[i]["image"], "x")[0, 0, 0], source.labels()[i]) for i in order]
    assert found == expected(order)
    assert caplog.text.count("does not fit into") == 1
    assert sum(image.nbytes for image in source._cache.values()) <= 1000


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"picture": [b"x"], "label": [1]}, "columns picture, label.*image or img"),
        ({"image": [png(0)], "label": [[1]]}, "column label is list.*a whole number, a word"),
        ({"image": [png(0)] * 2, "label": [1, 0.5]}, "a.parquet row 1: label 0.5 is no class"),
        ({"image": ["cat.png"], "label": [1]}, "column image is string"),
        ({"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())}, "no examples"),
        ({"image": [png(0)] * 3, "label": [0, -2, 1]}, "row 1: label -2 is no class"),
    ],
)
def test_parquet_columns_that_are_not_right(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=message):
        data.load(f"parquet:{tmp_path}")
    with pytest.raises(ValueError, match=message):
        data.load(f"parquet:{tmp_path}", in_memory_bytes=0, workers=0)


def test_two_columns_of_one_name_are_refused(tmp_path):
    columns = [[png(0)], [png(1)], [0]]
    pq.write_table(
        pa.Table.from_arrays([pa.array(c) for c in columns], names=["image", "image", "label"]),
        tmp_path / "a.parquet",
    )
    with pytest.raises(ValueError, match=r"a\.parquet: 2 columns are called image"):
        data.load(f"parquet:{tmp_path}")


def test_parquet_damaged_inside_names_the_file(tmp_path):
    file = tmp_path / "a.parquet"
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    pq.write_table(table(range(200)), file, **options)  # so that only the checksum can tell
    raw = bytearray(file.read_bytes())
    raw[raw.index(png(70)) + 20] ^= 255
    file.write_bytes(raw)
    with pytest.raises(ValueError, match=r"a\.parquet, row group 0"):
        data.load(f"parquet:{file}")


def test_parquet_shards_of_two_data_sets_are_refused(tmp_path):
    pq.write_table(table(range(3)), tmp_path / "a.parquet")
    pq.write_table(table(range(3), image="img"), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet has the columns.*one data set"):
        open_source(f"parquet:{tmp_path}", split="train")


@pytest.mark.parametrize(
    ("name", "split", "size", "shape", "classes"),
    [
        ("cifar10", "train", 50_000, (32, 32, 3), 10),
        ("cifar10", "test", 10_000, (32, 32, 3), 10),
        ("mnist", "test", 10_000, (28, 28, 1), 10),
    ],
)
def test_real_parquet(shared_data, name, split, size, shape, classes):
    folder = shared_data / name
    if not folder.is_dir():
        pytest.skip(f"no {name} in {shared_data}")
    source = open_source(f"parquet:{folder}", split=split)
    assert len(source) == size
    assert Images()(source[size - 1]["image"], "x").shape == shape
    assert np.bincount(source.labels()).shape == (classes,)
    if name == "cifar10":
        assert (np.bincount(source.labels()) == size // 10).all()


def test_real_signs_of_all_sizes(shared_data):
    folder = shared_data / "gtsrb"
    if not folder.is_dir():
        pytest.skip(f"no gtsrb in {shared_data}")
    source = open_source(f"parquet:{folder}", split="test")
    assert len(np.unique(source.labels())) == 43
    for i in range(0, 200, 20):
        assert Images(size=32)(source[i]["image"], "x").shape == (32, 32, 3)


def test_a_table_that_announces_more_than_memory_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "a.parquet"
    cells, labels = [bytes(2**16)] * 2000, ["ant", "bee"] * 1000  # a dictionary of one value
    pq.write_table(pa.table({"image": cells, "label": labels}), file)
    assert file.stat().st_size < 2**16
    monkeypatch.setattr("ssljax.data.announced_tables.most", lambda: 2**25)
    with pytest.raises(ValueError, match=r"row group 0 announces .*in smaller row groups"):
        open_source(f"parquet:{file}", split="train")[0]
    monkeypatch.setattr("ssljax.data.announced_tables.most", lambda: 15_999)
    with pytest.raises(ValueError, match=r"a\.parquet announces .*split the file"):
        open_source(f"parquet:{file}", split="train")
    monkeypatch.setattr("ssljax.data.announced_tables.most", lambda: 2**28)
    source = open_source(f"parquet:{file}", split="train")
    assert source[1999]["image"] == cells[0] and len(source) == 2000
