"""Effective ranks and spread: known values, torch parity, collapse."""

import numpy as np
import pytest

from ssljax.probes import feature_std, lidar, rankme
from ssljax.training.metrics import spread


def test_rankme_by_its_definition():
    x = np.random.default_rng(0).normal(size=(200, 30)) @ np.diag(0.7 ** np.arange(30))
    for features in (x, x[:10], x.astype(np.float32)):
        s = np.linalg.svd(features.astype(np.float64), compute_uv=False)
        p = s / s.sum() + 1e-7
        np.testing.assert_allclose(rankme(features), np.exp(-(p * np.log(p)).sum()), rtol=1e-5)
    torch = pytest.importorskip("torch")
    p = torch.linalg.svdvals(torch.tensor(x))
    p = p / p.sum() + 1e-7
    np.testing.assert_allclose(rankme(x), torch.exp(torch.special.entr(p).sum()), rtol=1e-5)


def test_known_ranks():
    orthogonal = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 16)))[0]
    np.testing.assert_allclose(rankme(orthogonal), 16, rtol=1e-4)
    np.testing.assert_allclose(rankme(np.ones((64, 16))), 1, rtol=1e-3)
    np.testing.assert_allclose(rankme(5 * orthogonal[:, :4] @ np.eye(4, 16)), 4, rtol=1e-3)


def test_feature_std():
    x = np.random.default_rng(0).normal(size=(5000, 64)).astype(np.float32)
    np.testing.assert_allclose(feature_std(x), 1 / 8, rtol=0.01)
    assert feature_std(np.ones((50, 64), np.float32) * 3) < 1e-12
    np.testing.assert_allclose(feature_std(7 * x), feature_std(x), rtol=1e-6)


def test_the_monitor_during_training_says_the_same():
    x = np.random.default_rng(0).normal(size=(100, 12)).astype(np.float32)
    expected = {"rankme": rankme(x), "feature_std": feature_std(x)}
    numbers = spread(x)
    for name, value in expected.items():
        np.testing.assert_allclose(numbers[name], value, rtol=1e-4)


@pytest.mark.parametrize("shape", [(5,), (0, 4), (2, 3, 4)])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match=r"\[N, D\]"):
        rankme(np.zeros(shape))


def views(n=40, q=6, dimensions=9):
    """Images in a space of their own, and views that move in all directions, less in the last."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(n, 1, dimensions)) * 0.6 ** np.arange(dimensions)
    return images + 0.2 * rng.normal(size=(n, q, dimensions)) @ rng.normal(size=(dimensions,) * 2)


def test_lidar_by_its_definition():
    """Loops over images and views, and the symmetric matrix that the paper writes."""
    x, delta = views(), 1e-4
    n, q, d = x.shape
    means = [np.mean([x[i, j] for j in range(q)], axis=0) for i in range(n)]
    centre = np.mean(means, axis=0)
    between, within = np.zeros((d, d)), delta * np.eye(d)
    for i in range(n):
        between += np.outer(means[i] - centre, means[i] - centre) / (n - 1)
        for j in range(q):
            within += np.outer(x[i, j] - means[i], x[i, j] - means[i]) / (n * (q - 1))
    values, axes = np.linalg.eigh(within)
    root = axes @ np.diag(values**-0.5) @ axes.T
    p = np.linalg.eigvalsh(root @ between @ root)
    p = p / p.sum() + 1e-7
    np.testing.assert_allclose(lidar(x), np.exp(-(p * np.log(p)).sum()), rtol=1e-9)
    np.testing.assert_allclose(lidar(x.astype(np.float32)), lidar(x), rtol=1e-5)


def test_lidar_does_not_count_what_only_the_views_move():
    """Three directions tell images apart and four more are augmentation: RankMe counts all."""
    rng = np.random.default_rng(0)
    images = np.linalg.qr(rng.normal(size=(64, 3)))[0] * 8
    noise = rng.normal(size=(64, 10, 7)) * np.array([0.1] * 3 + [1.0] * 4)
    x = np.pad(images, ((0, 0), (0, 4)))[:, None] + noise
    assert lidar(x) == pytest.approx(3, abs=0.15)
    assert rankme(x.reshape(-1, 7)) > 6.5


def test_lidar_of_a_collapse_and_bad_shapes():
    assert lidar(np.ones((30, 4, 8))) == pytest.approx(1, abs=1e-3)
    rng = np.random.default_rng(0)
    assert lidar(rng.normal(size=(200, 1, 1)) + np.zeros((200, 4, 8))) == pytest.approx(1, abs=1e-3)
    for shape in ((20, 8), (20, 1, 8), (1, 20, 8)):
        with pytest.raises(ValueError, match="two views of two images"):
            lidar(np.zeros(shape))
