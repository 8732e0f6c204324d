"""Weighted k-NN against a naive float64 loop and scikit-learn's brute force."""

import sys

import numpy as np
import pytest

from ssljax.probes import PROTOCOLS, knn
from ssljax.probes.knn import nearest, vote


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(5, 12))
    y = rng.integers(0, 5, 400)
    x = (centres[y] + 1.2 * rng.normal(size=(400, 12))) * rng.uniform(0.1, 10, (400, 1))
    return x[:300].astype(np.float32), y[:300], x[300:].astype(np.float32), y[300:]


def naive(train_x, train_y, test_x, k, temperature):
    unit = [row / np.sqrt(row @ row) for row in train_x.astype(np.float64)]
    ids = []
    for row in test_x.astype(np.float64):
        cosines = np.array([u @ row / np.sqrt(row @ row) for u in unit])
        votes = np.zeros(5)
        for i in np.argsort(-cosines)[:k]:
            votes[train_y[i]] += np.exp(cosines[i] / temperature)
        ids.append(votes.argmax())
    return np.array(ids)


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (20, 0.07), (200, 0.1)])
def test_equals_a_naive_loop(blobs, k, temperature):
    train_x, train_y, test_x, test_y = blobs
    expected = naive(train_x, train_y, test_x, k, temperature)
    similarity, index = nearest(train_x, test_x, k=k)
    ids = vote(similarity, train_y[index], k=k, temperature=temperature, classes=5)
    np.testing.assert_array_equal(ids, expected)
    accuracy = knn(*blobs, k=k, temperature=temperature, classes=5)
    assert accuracy == np.mean(expected == test_y)
    assert 0.5 < accuracy < 1


def test_equals_scikit_learn(blobs):
    from sklearn.neighbors import KNeighborsClassifier

    train_x, train_y, test_x, test_y = blobs
    peer = KNeighborsClassifier(
        20, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1 - d) / 0.07)
    ).fit(train_x, train_y)
    assert knn(*blobs, k=20, temperature=0.07, classes=5) == peer.score(test_x, test_y)


def test_neighbours_are_exact_and_chunks_do_not_matter(blobs, monkeypatch):
    train_x, _, test_x, _ = blobs
    similarity, index = nearest(train_x, test_x, k=7)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train_x, test_x)]
    cosines = unit[1].astype(np.float64) @ unit[0].T.astype(np.float64)
    np.testing.assert_array_equal(index, np.argsort(-cosines, axis=1)[:, :7])
    np.testing.assert_allclose(similarity, -np.sort(-cosines, axis=1)[:, :7], atol=1e-6)
    # 13 queries at a time
    monkeypatch.setattr(sys.modules["ssljax.probes.knn"], "_ENTRIES", 300 * 13)
    again = nearest(train_x, test_x, k=7)
    np.testing.assert_array_equal(again[1], index)


def test_temperature_decides():
    """One near neighbour against two far ones: a low temperature believes the near one."""
    similarity, labels = np.array([[0.9, 0.5, 0.5]]), np.array([[1, 0, 0]])
    options = {"k": 3, "classes": 2}
    assert vote(similarity, labels, temperature=0.1, **options) == [1]
    assert vote(similarity, labels, temperature=10.0, **options) == [0]
    assert vote(similarity, labels, temperature=1e-4, **options) == [1]  # exp(9000) is infinite


def test_large_k_uses_all_and_says_so(blobs, caplog):
    small = [a[:30] for a in blobs]
    assert knn(*small, k=200, temperature=0.1, classes=5) == knn(
        *small, k=30, temperature=0.1, classes=5
    )
    assert "k = 200 uses all 30 training examples" in caplog.text


def test_zero_features_and_bad_input(blobs):
    train_x, train_y, test_x, test_y = blobs
    options = {"k": 5, "temperature": 0.1, "classes": 5}
    assert 0 <= knn(train_x * 0, train_y, test_x, test_y, **options) <= 1
    with pytest.raises(ValueError, match="but there are 3 classes"):
        knn(*blobs, k=5, temperature=0.1, classes=3)
    with pytest.raises(ValueError, match="training data: features"):
        knn(train_x, train_y[:-1], test_x, test_y, **options)
    with pytest.raises(ValueError, match="temperature > 0"):
        knn(*blobs, k=5, temperature=0, classes=5)


def test_protocols():
    assert PROTOCOLS == {
        "knn20_t0.07": {"k": 20, "temperature": 0.07},
        "knn200_t0.1": {"k": 200, "temperature": 0.1},
    }
