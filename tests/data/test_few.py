"""Few labels and a pool: what is in a batch, addressed by step, and labels that do not fit."""

import itertools

import numpy as np
import pytest

from ssljax.data import Arrays, Few, FewLabels
from ssljax.data.order import Cycled


def data(n=40, labelled=True):
    image = np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    return Arrays({"image": image} | ({"label": np.arange(n) % 4} if labelled else {}))


def take(iterator, count):
    return list(itertools.islice(iterator, count))


def test_what_is_in_a_batch():
    few = FewLabels(per_class=2, ratio=3, seed=1)(data())
    assert len(few.few) == 8
    assert np.bincount(few.few % 4).tolist() == [2, 2, 2, 2]
    pool, labelled = [], []
    for rows in take(few.batches(10, seed=5), 12):
        for name, (shape, dtype) in few.spec.items():
            assert rows[name].shape == (10, *shape)
            assert rows[name].dtype == dtype
        assert rows.keys() == few.spec.keys()
        assert set(rows["index"]) <= set(few.few)
        np.testing.assert_array_equal(rows["image"][:, 0, 0, 0], rows["index"])
        np.testing.assert_array_equal(rows["label"], rows["index"] % 4)
        np.testing.assert_array_equal(rows["pool"][..., 0, 0, 0], rows["pool_index"])
        np.testing.assert_array_equal(rows["pool_label"], rows["pool_index"] % 4)
        assert len(np.unique(rows["pool_index"])) == 30  # no example twice in the pool of a batch
        pool.append(rows["pool_index"])
        labelled.append(rows["index"])
    assert set(np.concatenate(pool).ravel()) == set(range(40))  # the labelled ones are in it
    # 120 draws from 8 are fifteen permutations, one after the other
    for part in np.concatenate(labelled).reshape(15, 8):
        assert sorted(part) == sorted(few.few)
    assert len({tuple(part) for part in np.concatenate(labelled).reshape(15, 8)}) == 15


def test_batches_depend_on_seed_and_step_alone():
    few = FewLabels(per_class=2, ratio=3)(data())
    straight = take(few.batches(6, seed=3), 9)
    resumed = take(few.batches(6, seed=3, start=4), 5)
    for a, b in zip(straight[4:], resumed, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
    halves = [take(few.batches(6, seed=3, host=(h, 2)), 9) for h in range(2)]
    for whole, *parts in zip(straight, *halves, strict=True):
        for name in whole:
            np.testing.assert_array_equal(whole[name], np.concatenate([p[name] for p in parts]))
    other = take(few.batches(6, seed=4), 9)
    for name in ("index", "pool_index"):
        assert any((a[name] != b[name]).any() for a, b in zip(straight, other, strict=True))


def test_the_choice_is_a_function_of_its_seed():
    a, b, c = (FewLabels(per_class=3, seed=s)(data()).few for s in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert set(a) != set(c)
    smaller = FewLabels(per_class=1, seed=0)(data()).few
    assert len(smaller) == 4 and set(smaller) < set(a)


def test_once_is_all_of_the_data():
    few = FewLabels(per_class=1)(data())
    index = np.concatenate([rows["index"][rows["mask"]] for rows in few.once(16)])
    np.testing.assert_array_equal(index, np.arange(40))
    np.testing.assert_array_equal(few.labels(), np.arange(40) % 4)


def test_labels_from_a_file(tmp_path):
    file = tmp_path / "few.csv"
    file.write_text("index,label\n3,0\n8,1\n")
    few = FewLabels(file=str(file), ratio=1)(data(labelled=False))
    rows = next(few.batches(4, seed=0))
    assert {(int(i), int(y)) for i, y in zip(rows["index"], rows["label"])} == {(3, 0), (8, 1)}
    assert "pool_label" not in rows and "pool_label" not in few.spec
    assert few.classes == ("0", "1") and not few.labelled
    file.write_text("3\n8\n5\n6\n")  # the labels are those of the data
    rows = next(FewLabels(file=str(file), ratio=1)(data()).batches(4, seed=0))
    assert {(int(i), int(y)) for i, y in zip(rows["index"], rows["label"])} == {
        (3, 3), (8, 0), (5, 1), (6, 2),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3\nx\n", "line 2: there is no example 'x'; every line must be"),
        ("3\n4,1\n", "line 2 has 2 cells, the first 1"),
        ("", "every line must be"),
        ("3\n3\n", "example 3 is labelled more than once"),
        ("3\n40\n", "line 2: there is no example '40'.*from 0 to 39"),
        ("3.6\n4\n", "line 1: there is no example '3.6'"),
        ("index,label\n3,0\n4,\n", "line 3: this line has no label"),
        ("file\na.png\n", "have no names"),
        ("3\n4\n", r"2 of 4 classes have no labelled example \(first 1, 2\)"),
        ("3,9\n4,1\n", "label 9"),
        ("index,label,weight\n3,0,0.5\n", "line 2: weight '0.5'"),
        ("index,weight\n3,0\n", "every line has weight 0"),
        ("index,label,class\n3,0,1\n", "every line must be"),
    ],
)
def test_bad_files(tmp_path, text, message):
    file = tmp_path / "few.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        FewLabels(file=str(file))(data())


def test_one_numbering_of_examples_and_classes(tmp_path):
    """Rows and names are those of the whole data, and a class is what it is called."""
    rows = {"image": np.arange(6, dtype=np.uint8)[:, None, None, None], "label": np.arange(6) + 1}
    whole = Arrays(rows, names=[f"{i}.png" for i in range(6)])
    part = whole.part(np.array([1, 2, 5]))
    file = tmp_path / "few.csv"
    for text in ("index,label\n5,6\n2,3\n", "class,file\n6,5.png\n3,2.png\n"):
        file.write_text(text + ("1,2\n" if "index" in text else "2,1.png\n"))
        few = FewLabels(file=str(file), ratio=1)
        with pytest.raises(ValueError, match=r"3 of 6 classes have no labelled example"):
            few(part)
        small = Arrays({"image": np.arange(3)}, classes=("2", "3", "6"), names=part.names,
                       origin=part.origin)  # fmt: skip
        found = few(small)
        assert found.few.tolist() == [2, 1, 0] and found.classes == ("2", "3", "6")
        assert {(int(r["index"][0]), int(r["label"][0])) for r in take(
            found.batches(1, seed=0), 9)} == {(2, 2), (1, 1), (0, 0)}  # fmt: skip
    file.write_text("0\n")
    with pytest.raises(ValueError, match=r"no example '0'.*held out"):
        FewLabels(file=str(file))(part)


def test_targets_weights_and_names_of_a_file_count(tmp_path, caplog):
    file = tmp_path / "few.csv"
    file.write_text("index,target,weight,note\n3,cat,1,x\n8,dog,1,x\n5,dog,0,x\n")
    few = FewLabels(file=str(file), ratio=1)(data(labelled=False))
    assert [x.tolist() for x in few.given] == [[3, 8], [0, 1]] and few.classes == ("cat", "dog")
    assert "not read: note" in caplog.text
    named = Arrays({"image": np.arange(4)}, names=["a", "b", "c", "d"])
    file.write_text("index,file,label\n0,a,0\n1,c,1\n")
    with pytest.raises(ValueError, match="line 3: file and index are of two examples"):
        FewLabels(file=str(file))(named)


def test_any_record_has_a_pool():
    series = np.arange(8, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    rows = {
        "series": series,
        "steps": np.ones((8, 3), bool),
        "label": np.array([0, 1] * 3 + [-1] * 2),
    }
    few = FewLabels(per_class=1, ratio=2)(Arrays(rows))
    batch = next(few.batches(2, seed=0))
    assert batch.keys() == few.spec.keys() >= {"series", "pool_series", "pool_steps", "pool_label"}
    np.testing.assert_array_equal(batch["pool_series"][..., 0], batch["pool_index"])
    assert {k: (v.shape[1:], v.dtype) for k, v in batch.items()} == few.spec
    assert few.labelled_count == 6


def test_bad_input():
    with pytest.raises(ValueError, match="class 0 has 10 examples, fewer than the 11"):
        FewLabels(per_class=11)(data())
    with pytest.raises(ValueError, match="at least 1"):
        FewLabels(per_class=0)(data())
    with pytest.raises(ValueError, match=r"few\.file"):
        FewLabels()(data(labelled=False))
    with pytest.raises(ValueError, match="has no labels"):
        Few(data(labelled=False), np.arange(4))
    with pytest.raises(ValueError, match="ratio 0"):
        Few(data(), np.arange(4), ratio=0)
    with pytest.raises(ValueError, match=r"smaller batch or few\.ratio"):
        FewLabels(ratio=7)(data()).batches(6, seed=0)
    with pytest.raises(ValueError, match="cannot be divided over 2"):
        FewLabels(ratio=2)(data()).batches(5, seed=0, host=(0, 2))
    with pytest.raises(ValueError, match="as many labels"):
        Few(data(), np.arange(4), labels=np.arange(3))


def test_cycled_goes_on_without_a_gap():
    plan = Cycled(5, 3, seed=0)
    drawn = np.concatenate([plan[i][0] for i in range(10)]).reshape(6, 5)
    assert all(sorted(part) == [0, 1, 2, 3, 4] for part in drawn)
    later = Cycled(5, 3, seed=0, start=7)
    np.testing.assert_array_equal(later[2][0], plan[9][0])
