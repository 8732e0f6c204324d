"""Scores of clusterings, by hand and against every permutation; agglomerative clustering."""

import itertools

import numpy as np
import pytest

from ssljax.clustering import accuracy, agglomerative, ari, matching, nmi, scores


def test_by_hand():
    classes = np.array([0, 0, 0, 1, 1, 2])
    found = np.array([1, 1, 0, 0, 0, 0])
    assert matching(found, classes) == {1: 0, 0: 1}
    assert accuracy(found, classes) == pytest.approx(4 / 6)
    # entropies and mutual information from the table of counts
    table = np.array([[1, 2, 1], [2, 0, 0]]) / 6

    def entropy(q):
        q = q[q > 0]
        return -np.sum(q * np.log(q))

    rows, columns = entropy(table.sum(1)), entropy(table.sum(0))
    mutual = rows + columns - entropy(table.ravel())
    assert nmi(found, classes) == pytest.approx(2 * mutual / (rows + columns))
    # the geometric mean would be another number
    assert nmi(found, classes) != pytest.approx(mutual / np.sqrt(rows * columns), abs=1e-4)
    pairs = list(itertools.combinations(range(6), 2))
    same = np.array([[found[i] == found[j], classes[i] == classes[j]] for i, j in pairs])
    both, a, b, n = same.all(1).sum(), same[:, 0].sum(), same[:, 1].sum(), len(pairs)
    chance = a * b / n
    assert ari(found, classes) == pytest.approx((both - chance) / ((a + b) / 2 - chance))
    assert scores(found, classes) == {
        "accuracy": accuracy(found, classes),
        "nmi": nmi(found, classes),
        "ari": ari(found, classes),
    }


def test_accuracy_is_the_best_of_all_permutations():
    rng = np.random.default_rng(0)
    for _ in range(20):
        found, classes = rng.integers(0, 4, 30), rng.integers(0, 4, 30)
        best = max(
            np.mean(np.array(order)[found] == classes) for order in itertools.permutations(range(4))
        )
        assert accuracy(found, classes) == pytest.approx(best)


def test_names_of_clusters_do_not_matter():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 5, 100)
    renamed = np.array([3, 0, 4, 1, 2])[classes]
    assert scores(renamed, classes) == pytest.approx({"accuracy": 1, "nmi": 1, "ari": 1})


def test_more_clusters_than_classes():
    """One-to-one: a class split in two keeps only its larger part."""
    classes = np.array([0, 0, 0, 1])
    assert accuracy(np.array([0, 0, 2, 1]), classes) == pytest.approx(3 / 4)
    assert accuracy(np.array([0, 0, 0, 0]), classes) == pytest.approx(3 / 4)


def test_bad_input():
    with pytest.raises(ValueError, match="need two"):
        accuracy(np.zeros(3, int), np.zeros(4, int))
    with pytest.raises(ValueError, match="from 0"):
        accuracy(np.array([-1, 0]), np.array([0, 1]))


def test_agglomerative():
    """Two long chains: single linkage follows them, Ward cuts across."""
    t = np.linspace(0, 10, 60)
    x = np.concatenate([np.stack([t, 0 * t], 1), np.stack([t, 0 * t + 1.0], 1)])
    chain = np.repeat([0, 1], 60)
    single = agglomerative(x, 2, linkage="single")
    assert single.dtype == np.int32
    assert accuracy(single, chain) == 1
    assert accuracy(agglomerative(x, 2), chain) < 0.7
    angles = agglomerative(
        np.array([[1, 0], [9, 1], [0, 1], [1, 9.0]]), 2, linkage="average", metric="cosine"
    )
    assert angles[0] == angles[1] != angles[2] == angles[3]
    with pytest.raises(ValueError, match="too many"):
        agglomerative(np.zeros((30_001, 1)), 2)
    with pytest.raises(ValueError, match="clusters"):
        agglomerative(x, 0)
