"""Labels before they are cast: numbers, words, and what is none, in every reader."""

import json
import logging
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_pictures import png

from ssljax import data
from ssljax.data.labels import Column, classes_of


def numbered(*cells, names=None, missing=True):
    """(labels, classes) of one column."""
    column = Column(cells[0] if len(cells) == 1 else list(cells), lambda i: f"row {i}", missing)
    found, classes = classes_of({"train": column}, "train", place="x", names=names)
    return None if found is None else found.tolist(), classes


@pytest.mark.parametrize(
    ("cells", "labels", "classes"),
    [
        (np.array([2, 0, 1], np.uint64), [2, 0, 1], ("0", "1", "2")),
        (np.array([1.0, 2.0, np.nan]), [0, 1, -1], ("1", "2")),  # as pandas writes them
        (np.array([200_003, 200_000, -1]), [1, 0, -1], ("200000", "200003")),
        (np.array([True, False]), [1, 0], ("False", "True")),
        (np.array([-1, -1]), None, None),
        (np.array(["b", "a", ""]), [1, 0, -1], ("a", "b")),
        (np.array([b"b", b"a"]), [1, 0], ("a", "b")),
        (np.array([b"b", b"\xe9"]), [1, 0], ("\\xe9", "b")),
        (["3", "1", None, "-1", " "], [1, 0, -1, -1, -1], ("1", "3")),
        (["1.0", "", "0.0", "NA", "?"], [1, -1, 0, -1, -1], ("0", "1")),
        (["007", "7"], [0, 1], ("007", "7")),
        (["cat", "nan", "none"], [0, -1, 1], ("cat", "none")),
        (["2", "10", "1"], [1, 2, 0], ("1", "2", "10")),
        (["x", "3", "x"], [1, 0, 1], ("3", "x")),
    ],
)
def test_what_is_a_class(cells, labels, classes):
    assert numbered(cells) == (labels, classes)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (np.array([0, 2**32 + 3]), "row 1: label 4294967299 is no class"),
        (np.array([0, 2**64 - 1], np.uint64), "row 1: label 18446744073709551615"),
        (np.array([0.5, 1]), "row 0: label 0.5"),
        (np.array([1, np.inf]), "row 1: label inf"),
        (np.array([0, -2]), "row 1: label -2"),
        (["1", "2.5"], "row 1: label 2.5"),
        (["1", "1e300"], r"row 1: label 1e\+300"),
        (np.array([-1, 1, 1]), "-1 and 1 alone"),
        (["1", "-1"], "-1 and 1 alone"),
        (["+1", "-1", "NA"], "-1 and 1 alone"),
        (np.array([b"+1", b"-1"]), "-1 and 1 alone"),
        (np.array([1j]), "row 0: labels are complex128"),
        (["a", "x" * 500], "row 1: a label of 500 letters"),
    ],
)
def test_what_is_no_class(cells, message):
    with pytest.raises(ValueError, match=message):
        numbered(cells)


def test_nan_is_no_label_in_tables_alone():
    with pytest.raises(ValueError, match="row 1: label nan"):
        numbered(np.array([0, np.nan]), missing=False)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["-1", "+1", "0"], "labels are -1, 0 and 1"),
        (np.array([-1.0, 0, 1]), "labels are -1, 0 and 1"),
        (["None", "a", None], "None is read as a class"),
    ],
)
def test_what_may_be_meant_otherwise_is_said(cells, message, caplog):
    numbered(cells)
    assert message in caplog.text


def test_names_of_the_data_count():
    assert numbered(np.array([2, -1]), names=("a", "b", "c")) == ([2, -1], ("a", "b", "c"))
    assert numbered(["c", "a"], names=("a", "b", "c")) == ([2, 0], ("a", "b", "c"))
    with pytest.raises(ValueError, match=r"row 0: label 3, but labels must be 0 to 2 for 3"):
        numbered(np.array([3, 0]), names=("a", "b", "c"))
    assert numbered(np.array([2, 0]), names=("a", "b", "a"))[0] == [2, 0]  # two kinds of cranes
    with pytest.raises(ValueError, match="row 0 and below: two classes are called 'a'"):
        numbered(["b", "a"], names=("a", "b", "a"))


def test_splits_have_one_numbering_and_it_is_said_where_they_differ(caplog):
    columns = {
        "train": Column(np.array([1, 3, 4]), str),
        "test": Column(np.array([3, 9]), str),
        "validation": Column(["-1", ""], str),
    }
    with caplog.at_level(logging.INFO, "ssljax"):
        found = {s: classes_of(columns, s, place="x") for s in columns}
    assert {c for _, c in found.values()} == {("1", "3", "4", "9")}
    assert found["train"][0].tolist() == [0, 1, 2] and found["test"][0].tolist() == [1, 3]
    assert found["validation"][0] is None
    assert "test has 1 class(es) that train has not: 9" in caplog.text
    assert "train has 2 class(es) that test has not: 1, 4" in caplog.text
    assert "x (validation): 2 of 2 examples have no label" in caplog.text
    assert "labels are not 0 to K-1: 4 classes, called 1, 3, 4, 9" in caplog.text


def parquet(folder, labels, name="train", **columns):
    table = pa.table({"image": [png(i) for i in range(len(labels))], "label": labels} | columns)
    pq.write_table(table, folder / f"{name}.parquet")
    return f"parquet:{folder}"


@pytest.mark.parametrize(
    ("labels", "want", "classes"),
    [
        (["ant", None, "bee"], [0, -1, 1], ("ant", "bee")),
        ([True, False, None], [1, 0, -1], ("False", "True")),
        ([1.0, None, 2.0], [0, -1, 1], ("1", "2")),
        (pa.array(["b", "a", "b"]).dictionary_encode(), [1, 0, 1], ("a", "b")),
        (pa.array([0, None, 1], pa.uint8()), [0, -1, 1], ("0", "1")),
        (pa.array([1, 2, 1], pa.decimal128(5, 0)), [0, 1, 0], ("1", "2")),
    ],
)
@pytest.mark.parametrize("memory", [0, 10**9])
def test_parquet(tmp_path, labels, want, classes, memory):
    spec = parquet(tmp_path, labels)
    found = data.load(spec, in_memory_bytes=memory, workers=0)
    assert found.labels().tolist() == want and found.classes == classes
    assert next(found.once(3))["label"].tolist() == want


def test_names_of_classes_are_those_of_all_files(tmp_path):
    def write(name, labels, names):
        table = pa.table({"image": [png(0)] * len(labels), "label": labels})
        info = {"huggingface": json.dumps({"info": {"features": {"label": {"names": names}}}})}
        pq.write_table(table.replace_schema_metadata(info if names else None), tmp_path / name)

    write("train.parquet", [1, 1], ["a", "b"])
    write("test.parquet", [1, 0], None)
    test = data.load(f"parquet:{tmp_path}", split="test")
    assert test.classes == ("a", "b") and test.labels().tolist() == [1, 0]
    write("test.parquet", [1, 0], ["b", "a"])
    with pytest.raises(ValueError, match="name the classes of column label differently"):
        data.load(f"parquet:{tmp_path}", split="test")
    (tmp_path / "label=3").mkdir()
    write("label=3/part.parquet", [0], None)
    with pytest.raises(ValueError, match=r"names of folders \(label=3\)"):
        data.load(f"parquet:{tmp_path}")


def test_hidden_test_labels_are_no_labels(tmp_path):
    parquet(tmp_path, [0, 1, 2])
    spec = parquet(tmp_path, [-1, -1], "test")
    test = data.load(spec, split="test")
    assert not test.labelled and test.labels() is None and test.classes == ("0", "1", "2")


def test_columns_of_classes_in_parquet(tmp_path):
    table = {"image": [png(0), png(1)], "Target": ["a", "b"]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    assert data.load(f"parquet:{tmp_path}").classes == ("a", "b")
    pq.write_table(pa.table(table | {"class": [0, 1]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="Target, class: name one with"):
        data.load(f"parquet:{tmp_path}")
    chosen = data.Images(label="class").load(f"parquet:{tmp_path}")
    assert chosen.classes == ("0", "1")
    assert not data.Images(label="").load(f"parquet:{tmp_path}").labelled
    with pytest.raises(ValueError, match="no column 'kind', only image, Target, class"):
        data.Images(label="kind").load(f"parquet:{tmp_path}")
    features = {"fine_label": {"names": ["x", "y"]}, "coarse_label": {"names": ["z"]}}
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    both = {"img": [png(0), png(1)], "fine_label": [1, 0], "coarse_label": [0, 0]}
    pq.write_table(pa.table(both).replace_schema_metadata(meta), tmp_path / "a.parquet")
    assert data.load(f"parquet:{tmp_path}").classes == ("x", "y")
    coarse = data.Images(label="coarse_label").load(f"parquet:{tmp_path}")
    assert coarse.classes == ("z",) and coarse.labels().tolist() == [0, 0]


def test_npz_by_other_names(tmp_path):
    images = np.zeros((3, 4, 4), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, target=np.array(["b", "a", "b"]))
    assert data.load(f"npz:{tmp_path}/a.npz").labels().tolist() == [1, 0, 1]
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=np.array([[1], [2], [1]]))
    assert data.load(f"npz:{tmp_path}/a.npz").classes == ("1", "2")
    np.savez(tmp_path / "a.npz", image=images, kind=np.array([1, 2, 1]))
    with pytest.raises(ValueError, match=r"kind.*call it label"):
        data.load(f"npz:{tmp_path}/a.npz")
    np.savez(tmp_path / "a.npz", image=images, kind=np.array([1.0, 2.0, 1.0]))
    with pytest.raises(ValueError, match=r"kind.*call it label"):
        data.load(f"npz:{tmp_path}/a.npz")
    x = np.zeros((8, 4, 4), np.uint8)
    y = np.arange(8)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y // 2 * 2, x_test=x, y_test=y // 4 * 2)
    train, test = (data.load(f"npz:{tmp_path}/a.npz", split=s) for s in ("train", "test"))
    assert train.classes == test.classes == ("0", "2", "4", "6")
    assert test.labels().tolist() == [0] * 4 + [1] * 4


def test_an_array_that_announces_too_much_is_not_allocated(tmp_path):
    header = str({"descr": "|u1", "fortran_order": False, "shape": (10**6, 1000, 1000)}) + "\n"
    body = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("image.npy", body)
    with pytest.raises(ValueError, match=r"image announces 931\.3 GiB.*--in-memory-gb"):
        data.load(f"npz:{tmp_path}/a.npz")


def test_the_header_of_an_array_is_not_held_where_it_is_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        body = b"\x93NUMPY\x02\x00" + (2**25).to_bytes(4, "little") + b" " * 2**25
        archive.writestr("image.npy", body)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"a\.npz is damaged: .*header"):
        data.load(f"npz:{tmp_path}/a.npz")
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()
    np.savez(tmp_path / "b.npz", x_train=np.uint8(1), y_train=[0], x_test=np.uint8(1), y_test=[0])
    with pytest.raises(ValueError, match=r"x_train is uint8 \(\)"):
        data.load(f"npz:{tmp_path}/b.npz")
