"""Tables: columns by hand, what comes with scikit-learn, and bad input."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine

from ssljax.data import Table

_TRAIN = "id,age,colour,label\n1,10,red,yes\n2,20,blue,no\n3,60,red,no\n"
_TEST = "id,age,colour,label\n4,30,green,yes\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.csv").write_text(_TRAIN)
    (tmp_path / "test.csv").write_text(_TEST)
    return f"csv:{tmp_path}"


def rows(data):
    return data.take(np.arange(len(data)))


def test_by_hand(folder):
    reader = Table(drop=("id",))
    assert reader.splits(folder) == ("train", "test")
    train, test = (reader.load(folder, split=s) for s in ("train", "test"))
    age = np.array([10, 20, 60.0])
    want = np.stack([(age - 30) / age.std(), [0, 1, 0], [1, 0, 1]], axis=1)
    np.testing.assert_allclose(rows(train)["features"], want, rtol=1e-6)
    assert train.classes == ("no", "yes") and train.labels().tolist() == [1, 0, 0]
    # The spread of the training split; a colour that it does not know is none.
    np.testing.assert_allclose(rows(test)["features"], [[0, 0, 0]], atol=1e-6)
    assert test.labels().tolist() == [1]
    np.testing.assert_array_equal(reader.plain(rows(train)), rows(train)["features"])
    raw = Table(drop=("id",), standardize=False).load(folder)
    np.testing.assert_array_equal(rows(raw)["features"][:, 0], age)


def test_values_and_sets(tmp_path):
    (tmp_path / "x.tsv").write_text("x\ta\tb\n0.5\t1\t0\n1.5\t0\t0\n")
    spec = f"tsv:{tmp_path / 'x.tsv'}"
    value = Table(kind="value", target=("x",)).load(spec)
    assert not value.labelled
    np.testing.assert_array_equal(rows(value)["value"], [0.5, 1.5])
    both = rows(Table(kind="set", target=("a", "b")).load(spec))
    np.testing.assert_array_equal(both["value"], [[1, 0], [0, 0]])
    assert both["features"].shape == (2, 1)


def test_what_comes_with_sklearn():
    found = rows(Table(kind="value").load("sklearn:diabetes"))
    x = load_diabetes()
    np.testing.assert_allclose(found["features"], x.data / x.data.std(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found["value"], x.target.astype(np.float32))
    wine = Table().load("sklearn:wine")
    assert wine.labels().tolist() == load_wine().target.tolist()
    assert Table().load("sklearn:iris").classes == ("setosa", "versicolor", "virginica")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n", {}, "no column label, target or class"),
        ("a,label\n1,2\n", {"target": ("x",)}, "no column 'x', only a, label"),
        ("a,label\n1,2\n", {"drop": ("x",)}, "no column 'x'"),
        ("a,label\n1,2\n,1\n3,1\n", {}, "column 'a' holds '' in example 2, which is no number"),
        ("a,label\n1,2\nnan,1\n3,1\n", {}, "holds 'nan' in example 2"),
        ("a,label\n1\n", {}, "line 2 has 1 cells, the first 2"),
        ("a,label,Class\n1,2,3\n", {}, "several columns that may be predicted, label, Class"),
        ("a,a,label\n1,1,2\n", {}, "two columns have one name"),
        ("a,label\n", {}, "holds no examples"),
        ("label\n1\n", {}, "no columns beside label"),
        ("a,label\n1,x\n", {"kind": "value"}, "column 'label' holds 'x'"),
        ("a,b\n1,2\n", {"kind": "set", "target": ("b",)}, "0 and 1 only"),
        ("a,label\n" + "".join(f"w{i},1\n" for i in range(300)), {}, "300 different values"),
    ],
)
def test_bad_tables(tmp_path, text, options, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        Table(**options).load(f"csv:{tmp_path / 'x.csv'}")


def test_bad_settings():
    for options, message in (
        ({"kind": "text"}, "choose class, value or set"),
        ({"kind": "set"}, "needs the names of its columns"),
        ({"kind": "value", "target": ("a", "b")}, "has one target"),
    ):
        with pytest.raises(ValueError, match=message):
            Table(**options)
    with pytest.raises(ValueError, match="choose iris, wine"):
        Table().load("sklearn:digits")
    with pytest.raises(ValueError, match="has no split 'test'"):
        Table().load("sklearn:wine", split="test")
    with pytest.raises(FileNotFoundError):
        Table().load("csv:/nowhere.csv")
