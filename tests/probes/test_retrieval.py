"""Retrieval against a naive loop and scikit-learn's average precision."""

import sys

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from ssljax.probes import retrieval


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 90)
    x = (rng.normal(size=(4, 6))[y] + rng.normal(size=(90, 6))) * rng.uniform(0.1, 10, (90, 1))
    return x.astype(np.float32), y


def naive(x, y, k):
    """(mean average precision, recall at k), one query after the other, in float64."""
    unit = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    precision, recall = [], []
    for i in range(len(x)):
        others = np.delete(np.arange(len(x)), i)
        score, right = unit[others] @ unit[i], y[others] == y[i]
        precision.append(average_precision_score(right, score))
        recall.append(right[np.argsort(-score)[:k]].any())
    return np.mean(precision), np.mean(recall)


def test_equals_scikit_learn(blobs, monkeypatch):
    found = retrieval(*blobs, classes=4)
    for k in (1, 5, 10):
        mean, recall = naive(*blobs, k)
        np.testing.assert_allclose(found["map"], mean, rtol=1e-9)
        np.testing.assert_allclose(found[f"recall@{k}"], recall, rtol=1e-12)
    assert 0.3 < found["map"] < found["recall@1"] < found["recall@10"] < 1
    monkeypatch.setattr(sys.modules["ssljax.probes.retrieval"], "_ENTRIES", 7 * 90)
    assert retrieval(*blobs, classes=4) == found


def test_known_rankings():
    """On a circle: each of two pairs lies together, and one example is alone in its class."""
    angle = np.array([0.0, 0.1, 1.0, 1.1, 3.0])
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert retrieval(x, np.array([0, 0, 1, 1, 2]), classes=3, at=(1,)) == {"map": 1, "recall@1": 1}
    # Each finds its own second: the other pair's nearer example comes before, or both do.
    found = retrieval(x[:4], np.array([0, 1, 0, 1]), classes=2, at=(1, 2))
    assert found == {"map": pytest.approx((1 / 2 + 1 / 3 + 1 / 3 + 1 / 2) / 4), "recall@1": 0,
                     "recall@2": 0.5}  # fmt: skip


def test_a_query_is_never_its_own_answer():
    assert retrieval(np.eye(4), np.array([0, 1, 2, 3]), classes=4) == {}
    same = np.repeat(np.eye(2), 2, axis=0)
    assert retrieval(same, np.array([0, 1, 0, 1]), classes=2, at=(1,))["recall@1"] == 0


def test_zero_features_and_bad_input(blobs):
    x, y = blobs
    assert np.isfinite(retrieval(0 * x, y, classes=4)["map"])
    with pytest.raises(ValueError, match="labels"):
        retrieval(x, y[:-1], classes=4)
