"""Time series: the format by hand, the real files, and bad ones."""

import numpy as np
import pytest

from ssljax.data import TimeSeries
from ssljax.data.timeseries import read_ts

_HEAD = "# x\n@problemName x\n@timeStamps false\n@classLabel true a b\n@data\n"


def test_by_hand(tmp_path):
    (tmp_path / "X_TRAIN.ts").write_text(_HEAD + "1,2,3:4,5,6:b\n7,8:9,10:a\n")
    (tmp_path / "X_TEST.ts").write_text(_HEAD + "1:2:a\n")
    reader = TimeSeries(length=3, standardize=False)
    data = reader.load(f"ts:{tmp_path}", split="train")
    rows = data.take(np.arange(2))
    np.testing.assert_array_equal(rows["series"][0], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(rows["series"][1], [[7, 9], [8, 10], [0, 0]])
    np.testing.assert_array_equal(rows["steps"], [[1, 1, 1], [1, 1, 0]])
    assert rows["label"].tolist() == [1, 0] and data.classes == ("a", "b")
    assert reader.splits(f"ts:{tmp_path}") == ("train", "test")
    plain = reader.plain(rows)
    np.testing.assert_allclose(plain[1], [7.5, 9.5, 0.5, 0.5])
    # the test split is measured with the spread of the training split
    x = TimeSeries(length=3).load(f"ts:{tmp_path}", split="test").take(np.array([0]))["series"]
    steps = np.array([[1, 4], [2, 5], [3, 6], [7, 9], [8, 10]])
    np.testing.assert_allclose(x[0, 0], ([1, 2] - steps.mean(0)) / steps.std(0), rtol=1e-5)


def test_cut_series_are_said_and_classes_are_those_of_training(tmp_path, caplog):
    (tmp_path / "X_TRAIN.ts").write_text(_HEAD + "1,2,3:4,5,6:b\n7,8:9,10:a\n")
    (tmp_path / "X_TEST.ts").write_text(_HEAD.replace("a b", "b a") + "1:2:a\n3:4:?\n")
    reader = TimeSeries(length=2)
    reader.load(f"ts:{tmp_path}")
    assert "(train): 1 of 2 series are longer than 2 steps and are cut (the longest has 3)" in (
        caplog.text
    )
    test = reader.load(f"ts:{tmp_path}", split="test")
    assert test.classes == ("a", "b") and test.labels().tolist() == [0, -1]
    assert test.names == ["X_TEST.ts:6", "X_TEST.ts:7"]
    (tmp_path / "Y_TEST.ts").write_text(_HEAD + "1:2:a\n")
    with pytest.raises(ValueError, match=r"X_TEST\.ts and Y_TEST\.ts are both test"):
        reader.load(f"ts:{tmp_path}", split="test")


def test_rows_are_as_long_as_the_longest_training_series(tmp_path, caplog):
    (tmp_path / "X_TRAIN.ts").write_text(_HEAD + "1,2,3:4,5,6:b\n7,8:9,10:a\n")
    (tmp_path / "X_TEST.ts").write_text(_HEAD + "1:2:a\n1,2,3,4:1,2,3,4:b\n")
    spec, run = f"ts:{tmp_path}", tmp_path / "run"
    run.mkdir()
    for standardize in (True, False):
        reader = TimeSeries(standardize=standardize)
        shapes = {s: reader.load(spec, split=s).spec["steps"][0] for s in ("train", "test")}
        assert shapes == {"train": (3,), "test": (3,)}
        assert "longer than 3 steps and are cut (the longest has 4)" in caplog.text
        kept = reader.prepared(spec, run)  # other data later, rows as long as before
        only = kept.load(f"ts:{tmp_path / 'X_TEST.ts'}", split="test")
        assert only.spec["series"][0] == (3, 2)
        assert kept.rows([np.ones((1, 2))])["series"].shape == (1, 3, 2)
    with pytest.raises(ValueError, match="length 0"):
        TimeSeries(length=0)


def test_splits_have_the_same_channels_and_what_is_no_series_is_said(tmp_path, caplog):
    (tmp_path / "X_TRAIN.ts").write_text(_HEAD + "1,2:3,4:a\n")
    (tmp_path / "X_TEST.TS").write_text(_HEAD + "1,2:3,4:5,6:a\n")
    (tmp_path / "X_TRAIN.arff").touch()
    assert TimeSeries().splits(f"ts:{tmp_path}") == ("train", "test")
    with pytest.raises(ValueError, match=r"X_TEST\.TS: 3 channels, and .*X_TRAIN\.ts has 2"):
        TimeSeries().load(f"ts:{tmp_path}", split="test")
    assert "not read: 1 .arff (X_TRAIN.arff)" in caplog.text


def test_real(shared_data):
    for name, classes, channels, count in (
        ("japanesevowels", 9, 12, 270),
        ("basicmotions", 4, 6, 40),
    ):
        data = TimeSeries(length=29).load(f"ts:{shared_data / name}", split="train")
        assert len(data) == count and len(data.classes) == classes
        assert data.spec["series"][0] == (29, channels)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_HEAD + "1,2:3,4:c\n", "line 6: class 'c'"),
        (_HEAD + "1,2:3:a\n", "line 6: not a series"),
        (_HEAD + "1:2:a\n1:2:3:a\n", "line 7: 3 channels"),
        (_HEAD + "?:2:a\n", "not a series"),
        (_HEAD + "nan:2:a\n", "missing values"),
        ("hello\n", "holds no series"),
        (_HEAD + "1e39:2:a\n", "line 6: 1e\\+39 is more than a float32"),
        ("@classLabel true\n@data\n1:a\n", "line 1: names no class"),
        ("@classLabel true a b a\n@data\n1:a\n", "line 1: .* one of them twice"),
        ("@targetlabel true\n@data\n1:0.5\n", "line 1: series with a number to predict"),
        ("@timestamps\n@classLabel\n@data\n1:a\n", "line 4: not a series"),
    ],
)
def test_bad_files(tmp_path, text, message):
    (tmp_path / "x.ts").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_ts(tmp_path / "x.ts")
