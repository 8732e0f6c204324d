"""Few-shot least squares against scikit-learn's ridge regression, and what it may look at."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from ssljax.probes import least_squares
from ssljax.probes.least_squares import ridge
from ssljax.probes.splits import drawn


@pytest.fixture(scope="module")
def blobs():
    """Features far from zero and of different scale: [300, 12], 4 classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 300)
    x = (rng.normal(size=(4, 12))[y] + 0.8 * rng.normal(size=(300, 12))) * 10.0 ** np.arange(-6, 6)
    x = (x + 3).astype(np.float32)
    return x[:200], y[:200], x[200:], y[200:]


@pytest.mark.parametrize("rows", [200, 8], ids=["many rows", "fewer rows than features"])
def test_equals_scikit_learn(blobs, rows):
    """Targets -1 and 1, a bias column of 100 that is penalised like the others, penalty 1024."""
    train_x, train_y, test_x, _ = blobs
    x, y = train_x[:rows].astype(np.float64), train_y[:rows]
    kernel, bias = ridge(x, y, classes=4)
    mean, std = x.mean(0), x.std(0) + 1e-5
    columns = [np.c_[(a - mean) / std, np.full(len(a), 100.0)] for a in (x, test_x)]
    peer = Ridge(alpha=1024, fit_intercept=False, solver="svd").fit(
        columns[0], 2 * np.eye(4)[y] - 1
    )
    np.testing.assert_allclose(test_x @ kernel + bias, peer.predict(columns[1]), atol=1e-8)


def test_draws_and_shots(blobs):
    found = least_squares(*blobs, classes=4, shots=(1, 10), draws=4, seed=3)
    assert {n: v.shape for n, v in found.items()} == {1: (4,), 10: (4,)}
    assert found[10].mean() > found[1].mean()
    assert found[10].mean() > 0.7
    train_x, train_y, test_x, test_y = blobs
    rows = drawn(train_y, count=10, seed=(3, 10, 2))
    kernel, bias = ridge(train_x[rows], train_y[rows], classes=4)
    assert found[10][2] == np.mean((test_x @ kernel + bias).argmax(1) == test_y)


def test_the_draws_are_those_of_the_logistic_probe():
    """Of each class as many as asked for, all where there are fewer, and no row twice."""
    labels = np.array([0] * 50 + [1] * 20 + [2] * 3)
    rows = drawn(labels, count=5, seed=(0, 5, 0))
    assert np.bincount(labels[rows]).tolist() == [5, 5, 3]
    assert len(set(rows)) == 13
    rng = np.random.default_rng((0, 5, 0))
    members = [np.flatnonzero(labels == c) for c in range(3)]
    np.testing.assert_array_equal(rows, np.concatenate([rng.permutation(m)[:5] for m in members]))


def test_bad_input(blobs):
    with pytest.raises(ValueError, match="but there are 2 classes"):
        least_squares(*blobs, classes=2)
