"""Files of labels: there and back, edited by hand, and refused with a reason."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ssljax.pseudolabels.labels import Guess, Labels, every_class, read


def some(targets=(2, 0, 1)):
    return Labels.made(
        np.array([4, 1, 7]), np.array(targets), np.array([0.9, 0.8, 1.0]), provenance="m", round=2
    )


@pytest.mark.parametrize(
    "targets", [(2, 0, 1), (0.5, -1.0, 3.25), [[0.1, 0.9], [1, 0], [0.5, 0.5]]]
)
def test_there_and_back(tmp_path, targets):
    """Classes, values and rows of probabilities, in the order of the pool."""
    labels = some(targets)
    labels.write(tmp_path / "labels.parquet")
    found = read(tmp_path / "labels.parquet", examples=8)
    order = [1, 0, 2]
    for name in ("index", "target", "confidence", "weight", "provenance", "round"):
        mine = getattr(labels, name)[order]
        np.testing.assert_array_equal(getattr(found, name), mine)
        assert getattr(found, name).dtype == mine.dtype
    assert [p.name for p in tmp_path.iterdir()] == ["labels.parquet"]


def test_a_person_edits(tmp_path):
    """Index and target are enough."""
    pq.write_table(pa.table({"index": [3, 0], "target": [1, 1]}), tmp_path / "mine.parquet")
    found = read(tmp_path / "mine.parquet", examples=4, classes=2)
    assert found.index.tolist() == [0, 3] and found.provenance.tolist() == ["edited"] * 2
    np.testing.assert_array_equal(found.weight, 1)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"index": [9], "target": [0]}, "other examples, first number 9: this data has"),
        ({"index": [-1], "target": [0]}, "other examples"),
        ({"index": [1, 1], "target": [0, 0]}, "example 1 has two labels"),
        ({"index": [1], "target": [5]}, "there are 3 classes"),
        ({"index": [1], "target": [0], "confidence": [1.5]}, "confidence 1.5 is not in"),
        ({"index": [1], "target": [0], "weight": [float("nan")]}, "weight nan is not in"),
        ({"index": [1], "target": [float("nan")]}, "NaN or infinite targets"),
        ({"index": [1, 2], "target": [0, None]}, "column target has empty cells"),
        ({"index": [1], "label": [0]}, "no column target"),
        ({"index": [1], "target": ["cat"]}, "does not hold numbers"),
        ({"index": pa.array([], pa.int64()), "target": pa.array([], pa.int64())}, "no labels"),
    ],
)
def test_bad_files(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "bad.parquet")
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "bad.parquet", examples=8, classes=3)


def test_not_a_parquet_file(tmp_path):
    (tmp_path / "x.parquet").write_text("hello")
    with pytest.raises(ValueError, match="not a readable Parquet file"):
        read(tmp_path / "x.parquet", examples=8)


def test_joined_is_in_order_and_refuses_two_labels():
    given = Labels.given(np.array([5, 2]), np.array([0, 1]))
    both = given.joined(some())
    assert both.index.tolist() == [1, 2, 4, 5, 7]
    assert both.is_given.tolist() == [False, True, False, True, False]
    with pytest.raises(ValueError, match="two labels"):
        both.joined(given)


def test_classes_and_probabilities_join():
    given = Labels.given(np.array([0]), np.array([1]))
    soft = Labels.made(np.array([3]), [[0.2, 0.8]], np.array([0.8]), provenance="m", round=1)
    np.testing.assert_allclose(given.joined(soft).target, [[0, 1], [0.2, 0.8]])
    assert given.joined(soft).hard().tolist() == [1, 1]


def test_every_class_must_be_there():
    with pytest.raises(ValueError, match="no labelled example of 1 of 4 classes \\(dog\\)"):
        every_class(some(), 4, ("cat", "cow", "pig", "dog"))
    every_class(some(), 3)


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
