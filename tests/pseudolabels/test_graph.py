"""Neighbour graphs, votes, propagation and spreading, against scikit-learn on the same weights."""

import time

import numpy as np
import pytest
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from ssljax.pseudolabels import graph


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 6)) * 3
    truth = rng.integers(0, 3, 90)
    return centres[truth] + rng.normal(size=(90, 6)), truth


def test_nearest_is_exact(blobs):
    x, _ = blobs
    z = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosine = z[:40] @ z.T
    similarity, index = graph.nearest(x, x[:40], k=5)
    np.testing.assert_array_equal(index, np.argsort(-cosine, axis=1)[:, :5])
    np.testing.assert_allclose(similarity, -np.sort(-cosine, axis=1)[:, :5], atol=1e-5)


def test_the_graph_is_symmetric_and_sparse(blobs):
    w = graph.neighbour_graph(blobs[0], k=4, temperature=0.2)
    assert abs(w - w.T).max() == 0 and not w.diagonal().any()
    assert (np.asarray((w > 0).sum(1)) >= 4).all() and w.nnz <= 90 * 8
    with pytest.raises(ValueError, match="1 <= k < N"):
        graph.neighbour_graph(blobs[0], k=90, temperature=0.2)


def test_vote():
    p = graph.vote(np.array([[0.9, 0.5, 0.1]]), np.array([[1, 0, 0]]), classes=2, temperature=0.5)
    e = np.exp(np.array([0.9, 0.5, 0.1]) / 0.5)
    np.testing.assert_allclose(p, [[(e[1] + e[2]) / e.sum(), e[0] / e.sum()]])


@pytest.mark.parametrize("rule", ["propagation", "spreading"])
def test_labels_spread_as_in_sklearn(blobs, rule):
    x, truth = blobs
    w = graph.neighbour_graph(x, k=8, temperature=0.3)
    index = np.concatenate([np.flatnonzero(truth == c)[:2] for c in range(3)])
    y = np.full(len(x), -1)
    y[index] = truth[index]
    options = {"kernel": lambda a, b: w.toarray(), "max_iter": 5000, "tol": 1e-12}
    if rule == "propagation":
        peer = LabelPropagation(**options).fit(x, y)
        p = graph.propagation(w, index, truth[index], classes=3, iterations=5000, tol=1e-12)
    else:
        peer = LabelSpreading(**options, alpha=0.8).fit(x, y)
        p = graph.spreading(
            w, index, truth[index], classes=3, alpha=0.8, iterations=5000, tol=1e-12
        )
    np.testing.assert_allclose(p, peer.label_distributions_, atol=1e-6)
    assert (p.argmax(1) == truth).mean() > 0.9


def test_what_no_path_reaches_abstains():
    x = np.array([[1, 0], [1, 0.01], [0, 1], [0.01, 1]])
    w = graph.neighbour_graph(x, k=1, temperature=0.1)
    for rule in (graph.propagation, graph.spreading):
        p = rule(w, np.array([0]), np.array([1]), classes=2)
        np.testing.assert_allclose(p, [[0, 1], [0, 1], [0, 0], [0, 0]], atol=1e-9)


def test_smoothing_over_the_graph_by_hand(blobs):
    rng = np.random.default_rng(1)
    w, p = graph.neighbour_graph(blobs[0], k=4, temperature=0.2), rng.dirichlet(np.ones(3), 90)
    dense = w.toarray()
    expected = [0.7 * p[i] + 0.3 * (dense[i] @ p) / dense[i].sum() for i in range(90)]
    np.testing.assert_allclose(graph.smoothed(p, w, alpha=0.3), expected, atol=1e-12)


@pytest.mark.slow
def test_fifty_thousand_points():
    """Sparse all the way: dense weights would take 20 GB."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(10, 32))
    truth = rng.integers(0, 10, 50_000)
    x = (centres[truth] + 0.7 * rng.normal(size=(50_000, 32))).astype(np.float32)
    began = time.perf_counter()
    w = graph.neighbour_graph(x, k=10, temperature=0.1)
    index = np.concatenate([np.flatnonzero(truth == c)[:4] for c in range(10)])
    p = graph.spreading(w, index, truth[index], classes=10)
    assert w.nnz <= 50_000 * 20
    assert (p.argmax(1) == truth).mean() > 0.95
    assert time.perf_counter() - began < 600
