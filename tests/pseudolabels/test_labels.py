"""Files of labels: there and back, edited by hand, and refused with a reason."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ssljax.pseudolabels.cells import classes_of
from ssljax.pseudolabels.labels import Guess, Labels, every_class, read
from ssljax.pseudolabels.numbering import Numbering
from ssljax.tasks import AnyOf, OneOf, Tags, Value

CLASSES = OneOf(classes=3)


def some(targets=(2, 0, 1)):
    return Labels.made(
        np.array([4, 1, 7]), np.array(targets), np.array([0.9, 0.8, 1.0]), provenance="m", round=2
    )


@pytest.mark.parametrize(
    ("target", "targets"),
    [
        (CLASSES, (2, 0, 1)),
        (Value(), (0.5, -1.0, 3.25)),
        (AnyOf(classes=2), [[0.1, 0.9], [1, 0], [0.5, 0.5]]),
    ],
)
def test_there_and_back(tmp_path, target, targets):
    """Classes, values and rows of probabilities, in the order of the pool."""
    labels = some(targets)
    labels.write(tmp_path / "labels.parquet", target)
    found = read(tmp_path / "labels.parquet", examples=8, target=target)
    order = [1, 0, 2]
    for name in ("index", "target", "confidence", "weight", "provenance", "round"):
        mine = getattr(labels, name)[order]
        np.testing.assert_array_equal(getattr(found, name), mine)
        assert getattr(found, name).dtype == mine.dtype
    assert [p.name for p in tmp_path.iterdir()] == ["labels.parquet"]


def test_a_person_edits(tmp_path):
    """Index and target are enough; weight 0 is no label."""
    pq.write_table(pa.table({"index": [3, 0], "target": [1, 1]}), tmp_path / "mine.parquet")
    found = read(tmp_path / "mine.parquet", examples=4, target=CLASSES)
    assert found.index.tolist() == [0, 3] and found.provenance.tolist() == ["edited"] * 2
    np.testing.assert_array_equal(found.weight, 1)
    columns = {"index": [3, 0], "target": [1, 1], "weight": [0.25, 0]}
    pq.write_table(pa.table(columns), tmp_path / "mine.parquet")
    found = read(tmp_path / "mine.parquet", examples=4, target=CLASSES)
    assert found.index.tolist() == [3] and found.weight.tolist() == [0.25]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"index": [0, 9], "target": [0, 0]}, "row 2: index 9, but this data has the numbers 0 to"),
        ({"index": [-1], "target": [0]}, "row 1: index -1"),
        ({"index": [0.6], "target": [0]}, "index, row 1: 0.6 is no whole number"),
        ({"index": [2**32 + 1], "target": [0]}, "index 4294967297, but"),
        ({"index": [1, 2, 1], "target": [0, 1, 2]}, "rows 1 and 3: one example has two labels"),
        ({"index": [1, 1], "target": [0, 0], "weight": [1.0, 0.0]}, "contradict each other"),
        ({"index": [1], "target": [5]}, "row 1: 5 is no class: there are 3 classes, 0 to 2"),
        ({"index": [1], "target": [-2]}, "-2 is no class"),
        ({"index": [1], "target": [2**32 + 1]}, "4294967297 is no class"),
        ({"index": [1], "target": [0.5]}, "target, row 1: 0.5 is no whole number"),
        ({"index": [1], "target": [float("nan")]}, "row 1: nan is no whole number"),
        ({"index": [1], "target": [0], "confidence": [1.5]}, "confidence 1.5 is not in"),
        ({"index": [1], "target": [0], "weight": [float("nan")]}, "row 1: weight nan is not in"),
        ({"index": [1, 2], "target": [0, None], "weight": [0.0, 1]}, "1 have no target.*1 have w"),
        ({"index": [1], "label": [0]}, "no column target and no column class"),
        ({"target": [0]}, "no column index and no column file"),
        ({"index": [None], "target": [0]}, "row 1: names no example"),
        ({"index": [1], "target": ["cat"]}, "row 1: 'cat' is no class"),
        ({"index": [1, 2], "target": [[0.5, 0.5, 0], [1]]}, "row 2: 1 numbers where others have 3"),
        ({"index": [1], "target": [[0.5, 0.5]]}, "row 1: 2 numbers as target, but there are 3"),
        (
            {"index": [1], "target": [[0.5, float("nan"), 0]]},
            r"row 1: target .* are no probabilities",
        ),
        ({"index": [1], "target": [[0.9, 0.9, 0]]}, r"row 1: target .* are no probabilities"),
        ({"index": pa.array([], pa.int64()), "target": pa.array([], pa.int64())}, "no labels"),
    ],
)
def test_bad_files(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "bad.parquet")
    with pytest.raises(ValueError, match=rf"bad\.parquet.*{message}"):
        read(tmp_path / "bad.parquet", examples=8, target=CLASSES)


def test_json_says_what_to_do(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"file": "a.wav", "text": "one"}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl: labels are read from Parquet and CSV"):
        read(tmp_path / "a.jsonl", examples=8, target=CLASSES)


@pytest.mark.parametrize(
    ("target", "want"),
    [
        ([2.0, None, 0.0], {0: 2, 2: 0}),  # as pandas writes whole numbers beside empty cells
        ([2, -1, 0], {0: 2, 2: 0}),
        (["dog", None, "cat"], {0: 2, 2: 0}),
        (["2", "-1", "0.0"], {0: 2, 2: 0}),
        (pa.array(["dog", None, "cat"]).dictionary_encode(), {0: 2, 2: 0}),
        (pa.array([True, None, False]), {0: 1, 2: 0}),
        (pa.array([2, None, 0], pa.uint64()), {0: 2, 2: 0}),
    ],
)
def test_what_is_a_class_and_what_is_no_label(tmp_path, target, want):
    pq.write_table(pa.table({"index": [0.0, 1.0, 2.0], "target": target}), tmp_path / "a.parquet")
    animals = Numbering.plain(3, classes=("cat", "cow", "dog"))
    found = read(tmp_path / "a.parquet", examples=animals, target=CLASSES)
    assert dict(zip(found.index.tolist(), found.target.tolist())) == want
    assert found.target.dtype == np.int32


def pool():
    """What is left of ten rows: 3 and 8 were held out, 5 could not be read."""
    names = [f"{i}.png" for i in range(10)]
    left = [9, 0, 1, 2, 4, 6, 7]
    apart = frozenset({"3.png", "8.png", "5.png"})
    return Numbering(np.array(left), 10, [names[i] for i in left], ("cat", "cow", "dog"), apart)


def test_one_numbering_there_and_back(tmp_path):
    """Rows are those of the whole data; the file says names too, and either alone is enough."""
    labels = dataclasses.replace(some(), index=np.array([4, 1, 6]))
    labels.write(tmp_path / "l.parquet", CLASSES, pool())
    table = pq.read_table(tmp_path / "l.parquet")
    assert table["index"].to_pylist() == [4, 0, 7]
    assert table["file"].to_pylist() == ["4.png", "0.png", "7.png"]
    assert table["class"].to_pylist() == ["dog", "cat", "cow"]
    for left in (["index", "target"], ["file", "class"], ["index", "class"], ["file", "target"]):
        pq.write_table(table.select(left), tmp_path / "some.parquet")
        found = read(tmp_path / "some.parquet", examples=pool(), target=CLASSES)
        assert found.index.tolist() == [1, 4, 6] and found.target.tolist() == [0, 2, 1]


def test_a_csv_names_files_and_classes(tmp_path, caplog):
    """Those that were held out are counted; what is twice and the same is one label."""
    rows = "file;class;weight\n4.png;dog;0.5\n3.png;cat;1\n0.png;;1\n4.png;dog;0.5\n6.png;cow;0\n"
    (tmp_path / "mine.csv").write_text("\ufeff" + rows)
    found = read(tmp_path / "mine.csv", examples=pool(), target=CLASSES)
    assert found.index.tolist() == [4] and found.target.tolist() == [2]
    assert found.weight.tolist() == [0.5]
    assert "1 of its 4 labels are of examples that were held out" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,file,class\n1,4.png,dog\n", "row 1: file '4.png' is example 4, but index says 1"),
        ("file,target,class\n4.png,1,dog\n", "row 1: class says 'dog', and target another"),
        (
            "file,class\n1.png,cat\n44.png,dog\n",
            "row 2: this data has no example '44.png'; did you",
        ),
        ("file,class\n4.png,dgo\n", "row 1: 'dgo' is no class.*cat, cow, dog; did you mean 'dog'"),
        ("file,class\n4.png,dog,1\n", "row 1: 3 cells for 2 columns"),
        ('file,class\n4.png,"dog\n', "not a readable CSV"),
        ("file,class\n3.png,dog\n", "no labels that can be used.*1 are held out"),
    ],
)
def test_bad_names(tmp_path, text, message):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"mine\.csv.*{message}"):
        read(tmp_path / "mine.csv", examples=pool(), target=CLASSES)


def test_classes_that_are_numbers_keep_them(tmp_path):
    """Classes 1 to 3 of the data are 1 to 3 in the file, whatever they are in memory."""
    pages = Numbering.plain(9, classes=("1", "2", "3"))
    some().write(tmp_path / "l.parquet", CLASSES, pages)
    assert pq.read_table(tmp_path / "l.parquet")["target"].to_pylist() == [3, 1, 2]
    pq.write_table(pa.table({"index": [4, 1], "target": [3, 1]}), tmp_path / "mine.parquet")
    assert read(tmp_path / "mine.parquet", examples=pages, target=CLASSES).target.tolist() == [0, 2]
    pq.write_table(pa.table({"index": [4], "target": [0]}), tmp_path / "mine.parquet")
    with pytest.raises(ValueError, match="0 is no class: there are 3 classes, 1, 2, 3"):
        read(tmp_path / "mine.parquet", examples=pages, target=CLASSES)


def test_a_number_must_not_mean_two_classes(tmp_path):
    pages = Numbering.plain(9, classes=("1", "2", "none"))
    pq.write_table(pa.table({"index": [4, 1], "target": ["2", "none"]}), tmp_path / "l.parquet")
    assert read(tmp_path / "l.parquet", examples=pages, target=CLASSES).target.tolist() == [2, 1]
    pq.write_table(pa.table({"index": [4], "target": [1]}), tmp_path / "l.parquet")
    with pytest.raises(ValueError, match=r"row 1: a number may mean two .*: name the class"):
        read(tmp_path / "l.parquet", examples=pages, target=CLASSES)
    some().write(tmp_path / "l.parquet", CLASSES, pages)
    assert read(tmp_path / "l.parquet", examples=pages, target=CLASSES).target.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("classes", "cells", "want"),
    [
        (("1.0", "2.0", "3.0"), [1.0, 3.0], [0, 2]),  # were the classes at place 1 and 3
        (("-1", "1"), [-1, 1], [0, 1]),  # -1 was no label
        (("True", "False"), [True, False], [0, 1]),  # True was the class at place 1
        (("01", "1", "2"), ["01", "1"], [0, 1]),  # 01 was the class at place 1
    ],
)
def test_classes_are_told_by_their_own_names(tmp_path, classes, cells, want):
    called = Numbering.plain(4, classes=classes)
    target = OneOf(classes=len(classes))
    pq.write_table(pa.table({"index": [2, 3], "target": cells}), tmp_path / "l.parquet")
    text = "".join(f"{i},{cell}\n" for i, cell in zip((2, 3), cells, strict=True))
    (tmp_path / "l.csv").write_text(f"Index,TARGET\n{text}")
    for file in ("l.parquet", "l.csv"):
        found = read(tmp_path / file, examples=called, target=target)
        assert found.index.tolist() == [2, 3] and found.target.tolist() == want
    if classes[0] == "01":
        pq.write_table(pa.table({"index": [2], "target": [1]}), tmp_path / "l.parquet")
        with pytest.raises(ValueError, match=r"row 1: a number may mean two .*: name the class"):
            read(tmp_path / "l.parquet", examples=called, target=target)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,target\n0,1\n".encode("utf-16"), "is no text in UTF-8 .*: save it as CSV in UTF-8"),
        ("index,target\n0,1\n".encode("utf-16-le"), "is no text in UTF-8"),
        (b"index,target\n1_0,1\n", "row 1: '1_0' is no number"),
        (b"index,target,Weight\n3,1,0\n", "1 have weight 0"),
        (b"index,target,Target\n3,1,0\n", "two columns have one name"),
    ],
)
def test_files_of_other_programs(tmp_path, text, message):
    (tmp_path / "l.csv").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "l.csv", examples=20, classes=2)


def test_what_is_not_read_is_said(tmp_path, caplog):
    (tmp_path / "l.csv").write_text("index,target,weights\n3,1,0\n")
    assert len(read(tmp_path / "l.csv", examples=20, classes=2)) == 1
    assert "l.csv: its columns 'weights' are not read, only index, file" in caplog.text
    parts = {"index": [0], "target": [1], "weight": [[1.0, 0.0]]}
    pq.write_table(pa.table(parts), tmp_path / "l.parquet")
    with pytest.raises(ValueError, match=r"weight: OneOf has one .*an example, not \(1, 2\)"):
        read(tmp_path / "l.parquet", examples=20, classes=2)


def test_values_are_no_classes(tmp_path):
    (tmp_path / "v.csv").write_text("index,target\n0,-1\n1,2.5\n2,\n")
    found = read(tmp_path / "v.csv", examples=3, target=Value())
    assert found.target.tolist() == [-1, 2.5] and found.target.dtype == np.float32


def test_classes_of_a_file_alone(tmp_path):
    def named(**columns):
        return classes_of(pa.table({"index": [0, 1, 2], **columns}), tmp_path)

    assert named(target=[1, 2, -1]) == ("1", "2")  # no class 0 that nobody has named
    assert named(target=["b", "a", "b"]) == ("a", "b")
    assert named(target=[1, 0, 1], **{"class": ["x10", "x9", "x10"]}) == ("x9", "x10")
    with pytest.raises(ValueError, match="name them"):
        named(target=[-7, 0, 1])


def test_no_label_has_several_names(tmp_path):
    data = Numbering.plain(5, classes=("a", "b", "c"))
    for column in ("target", "class"):
        for no in ("", "-1", "-1.0", "nan", "null"):
            (tmp_path / "l.csv").write_text(f"index,{column}\n0,b\n3,{no}\n")
            found = read(tmp_path / "l.csv", examples=data, classes=3)
            assert found.index.tolist() == [0] and found.target.tolist() == [1]
    (tmp_path / "l.csv").write_text("index,target\n0,1.0\n3,nan\n")
    assert read(tmp_path / "l.csv", examples=data, classes=3).target.tolist() == [1]


def test_classes_of_one_name_are_told_by_number(tmp_path):
    data = Numbering.plain(5, classes=("crane", "b", "crane"))
    Labels.given(np.array([1, 2]), np.array([0, 2])).write(tmp_path / "l.parquet", CLASSES, data)
    assert read(tmp_path / "l.parquet", examples=data, classes=3).target.tolist() == [0, 2]
    (tmp_path / "l.csv").write_text("index,class\n0,crane\n")
    with pytest.raises(ValueError, match="row 1: two classes are called 'crane': give its number"):
        read(tmp_path / "l.csv", examples=data, classes=3)


def test_columns_as_other_programs_write_them(tmp_path):
    words = pa.array(["b", "a"], pa.string_view())
    pq.write_table(pa.table({"index": [0, 1], "target": words}), tmp_path / "l.parquet")
    data = Numbering.plain(5, classes=("a", "b"))
    assert read(tmp_path / "l.parquet", examples=data, classes=2).target.tolist() == [1, 0]
    names = ["index", "target", "target"]
    twice = pa.Table.from_arrays([pa.array([0])] * 3, names=names)
    pq.write_table(twice, tmp_path / "l.parquet")
    with pytest.raises(ValueError, match="2 columns are called target"):
        read(tmp_path / "l.parquet", examples=data, classes=2)


def test_not_a_parquet_file(tmp_path):
    (tmp_path / "x.parquet").write_text("hello")
    with pytest.raises(ValueError, match="not a readable Parquet file"):
        read(tmp_path / "x.parquet", examples=8, target=CLASSES)
    with pytest.raises(FileNotFoundError, match="no file of labels"):
        read(tmp_path / "y.parquet", examples=8, target=CLASSES)


def test_joined_is_in_order_and_refuses_two_labels():
    given = Labels.given(np.array([5, 2]), np.array([0, 1]))
    both = given.joined(some(), CLASSES)
    assert both.index.tolist() == [1, 2, 4, 5, 7]
    assert both.is_given.tolist() == [False, True, False, True, False]
    with pytest.raises(ValueError, match="two labels"):
        both.joined(given, CLASSES)


def test_classes_and_probabilities_join():
    given = Labels.given(np.array([0]), np.array([1]))
    soft = Labels.made(np.array([3]), [[0.2, 0.8]], np.array([0.8]), provenance="m", round=1)
    target = OneOf(classes=2)
    both = given.joined(soft, target).target
    np.testing.assert_allclose(both, [[0, 1], [0.2, 0.8]])
    assert target.hard(both).tolist() == [1, 1]


def test_weights_of_parts_join_those_of_examples(tmp_path):
    tags = Tags(tags=("O", "a", "b"))
    given = Labels.given(np.array([3]), np.array([[1, 2]]))
    parts = Labels.made(
        np.array([0, 1]), np.array([[1, 2], [2, -100]]), np.ones(2), provenance="m", round=1,
        weight=np.array([[1, 0.5], [0, 0]]),
    )  # fmt: skip
    assert parts.is_used.tolist() == [True, False]
    both = given.joined(parts, tags)
    np.testing.assert_array_equal(both.weight, [[1, 0.5], [0, 0], [1, 1]])
    np.testing.assert_array_equal(both.target, [[1, 2], [2, -100], [1, 2]])
    both.write(tmp_path / "l.parquet", tags)
    cells = pq.read_table(tmp_path / "l.parquet")["target"].to_pylist()
    assert cells == [["a", "b"], ["b", None], ["a", "b"]]
    found = read(tmp_path / "l.parquet", examples=4, target=tags)
    np.testing.assert_array_equal(found.weight, both.weight[[0, 2]])  # none of 1 counts
    np.testing.assert_array_equal(found.target, both.target[[0, 2]])


def test_every_class_must_be_there():
    with pytest.raises(ValueError, match="no labelled example of 1 of 4 classes \\(dog\\)"):
        every_class(some(), OneOf(classes=4), ("cat", "cow", "pig", "dog"))
    every_class(some(), CLASSES)


def test_guesses_are_checked():
    Guess.of(np.array([[0.1, 0.9], [0, 0]])).check("x")
    with pytest.raises(ValueError, match="x abstains on all 2"):
        Guess.of(np.zeros((2, 3))).check("x")
    with pytest.raises(ValueError, match=r"confidence 1\.2 is not in"):
        Guess(np.zeros(2), np.array([1.2, 0.5])).check("x")
    with pytest.raises(ValueError, match="confidence nan"):
        Guess(np.zeros(2), np.array([np.nan, 0.5])).check("x")
    with pytest.raises(ValueError, match="do not fit"):
        Guess(np.zeros(3), np.array([0.2, 0.5])).check("x")
