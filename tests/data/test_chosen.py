"""What a student learns from: targets in place of labels, in an order that (seed, step) decides."""

import itertools

import numpy as np
import pytest

from ssljax.data import Arrays, Chosen
from ssljax.data.chosen import ChosenAndPool


@pytest.fixture
def data():
    return Arrays({"x": np.arange(20.0), "label": np.zeros(20, np.int32)})


def chosen(data, **options):
    index = np.array([3, 7, 11, 15, 19])
    return Chosen(
        data, index, {"target": index * 10, "weight": np.linspace(0.1, 0.5, 5)}, **options
    )


def test_rows_have_targets_and_no_labels(data):
    rows = next(chosen(data).batches(8, seed=0))
    assert set(rows) == {"x", "index", "target", "weight"} == set(chosen(data).spec)
    np.testing.assert_array_equal(rows["target"], rows["x"] * 10)
    assert len(rows["x"]) == 8  # more than there are
    np.testing.assert_allclose(rows["weight"], 0.1 * (1 + (rows["index"] - 3) // 4), rtol=1e-6)


def test_every_example_comes_equally_often_and_resumed_is_the_same(data):
    batches = list(itertools.islice(chosen(data).batches(4, seed=1), 10))
    index = np.concatenate([b["index"] for b in batches])
    assert set(np.bincount(index, minlength=20)[[3, 7, 11, 15, 19]]) == {8}
    later = next(chosen(data).batches(4, seed=1, start=6))
    np.testing.assert_array_equal(later["index"], batches[6]["index"])


def test_a_share_of_true_labels(data):
    given = np.array([True, False, False, False, False])
    for rows in itertools.islice(chosen(data, given=given, share=0.25).batches(8, seed=0), 5):
        assert (rows["index"] == 3).sum() == 2


def test_bad_input(data):
    with pytest.raises(ValueError, match="no labelled example"):
        Chosen(data, np.array([], int), {"target": np.array([])})
    with pytest.raises(ValueError, match="keeps its pool in memory"):
        Chosen(object(), np.array([0]), {"target": np.array([0])})
    with pytest.raises(ValueError, match="a share of 2"):
        chosen(data, given=np.arange(5) == 0, share=2)


def test_a_pool_beside_every_labelled_example():
    numbers = np.arange(6, dtype=np.uint8)
    image = np.broadcast_to(numbers[:, None, None, None], (6, 2, 2, 1))
    data, index = Arrays({"image": image}), np.array([1, 4])
    both = ChosenAndPool(data, index, {"target": index * 10, "weight": np.ones(2)}, ratio=3)
    batches = list(itertools.islice(both.batches(2, seed=0), 4))
    for rows in batches:
        assert {k: (v.shape[1:], v.dtype) for k, v in rows.items()} == both.spec
        np.testing.assert_array_equal(rows["target"], rows["index"] * 10)
        assert sorted(rows["index"]) == [1, 4]
        assert sorted(rows["pool"][..., 0, 0, 0].ravel()) == [0, 1, 2, 3, 4, 5]  # all, unlabelled
    orders = {tuple(rows["pool"][..., 0, 0, 0].ravel()) for rows in batches}
    assert len(orders) > 1
    again = next(both.batches(2, seed=0, start=2))
    np.testing.assert_array_equal(again["pool"], batches[2]["pool"])
    with pytest.raises(ValueError, match="ratio 0 must be at least 1"):
        ChosenAndPool(data, index, {"target": index}, ratio=0)
    with pytest.raises(ValueError, match="this data has only x"):
        ChosenAndPool(Arrays({"x": np.zeros(6)}), index, {"target": index}, ratio=1)
