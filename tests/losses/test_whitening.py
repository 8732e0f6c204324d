"""Whitening and W-MSE against torch and naive float64 code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.whitening import whiten, wmse

KEY = jax.random.key(3)


@pytest.fixture
def views():
    """[24, 3 views, 4]."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 1, 4)) @ rng.normal(size=(4, 4)) + 2
    return (x + 0.3 * rng.normal(size=(24, 3, 4))).astype(np.float32)


def test_whiten(views):
    w = whiten(views[:, 0])
    assert w.dtype == jnp.float32
    np.testing.assert_allclose(w.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(np.cov(w.T), np.eye(4), atol=1e-5)  # ddof 1
    # Cholesky's root, not the symmetric one: the first output depends on the first input alone.
    other = views[:, 0].copy()
    other[:, 1:] = np.random.default_rng(9).normal(size=(24, 3))
    np.testing.assert_allclose(whiten(other)[:, 0], w[:, 0], atol=1e-5)
    # Leading axes are whitened apart.
    np.testing.assert_allclose(whiten(np.moveaxis(views, 1, 0))[0], w, rtol=1e-4, atol=1e-5)


def reference(torch, z, parts, eps):
    """2 - 2 cos of all pairs of views, in float64; whitening by an explicit inverse."""

    def white(x):
        x = x - x.mean(0)
        s = (1 - eps) * x.T @ x / (len(x) - 1) + eps * torch.eye(x.shape[1], dtype=x.dtype)
        return x @ torch.linalg.inv(torch.linalg.cholesky(s)).T

    total, pairs = 0.0, [(0, 1), (0, 2), (1, 2)]
    for part in parts:
        w = [torch.nn.functional.normalize(white(z[part, v]), dim=1) for v in range(3)]
        for i, j in pairs:
            total = total + (2 - 2 * (w[i] * w[j]).sum(1).mean()) / (len(parts) * len(pairs))
    return total


@pytest.mark.turns
@pytest.mark.parametrize(("size", "eps"), [(24, 0.0), (12, 0.0), (8, 0.1)])
def test_value_and_gradient_equal_torch(views, size, eps):
    torch = pytest.importorskip("torch")
    order = np.array(jax.random.permutation(jax.random.split(KEY, 1)[0], 24))
    t = torch.tensor(views, dtype=torch.float64, requires_grad=True)
    loss = reference(torch, t, order.reshape(-1, size), eps)
    loss.backward()
    value, grad = jax.value_and_grad(lambda z: wmse(z, KEY, size=size, eps=eps))(views)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, loss.item(), rtol=1e-4)
    np.testing.assert_allclose(grad, t.grad, rtol=1e-3, atol=1e-4)


def test_iterations_average_over_divisions(views):
    keys = jax.random.split(KEY, 3)
    torch = pytest.importorskip("torch")
    z = torch.tensor(views, dtype=torch.float64)
    orders = [np.array(jax.random.permutation(k, 24)).reshape(-1, 12) for k in keys]
    values = [reference(torch, z, parts, 0.0).item() for parts in orders]
    assert np.ptp(values) > 1e-3  # the division matters
    value = wmse(views, KEY, size=12, iterations=3)
    np.testing.assert_allclose(value, np.mean(values), rtol=1e-4)


def test_equal_and_opposite_views(views):
    one = views[:, :1]
    same = np.concatenate([one, one], axis=1)
    np.testing.assert_allclose(wmse(same, KEY, size=24), 0, atol=1e-5)
    opposite = np.concatenate([one, -one], axis=1)
    np.testing.assert_allclose(wmse(opposite, KEY, size=24), 4, rtol=1e-5)


def test_a_scale_cannot_lower_the_loss(views):
    """Shrinking all embeddings, the cheap way to agree, changes nothing."""
    value = wmse(views, KEY, size=24)
    np.testing.assert_allclose(wmse(1e-3 * views, KEY, size=24), value, rtol=1e-3)


def test_bad_input(views):
    with pytest.raises(ValueError, match="size 10 does not divide the batch of 24"):
        wmse(views, KEY, size=10)
    with pytest.raises(ValueError, match="more than 4 rows"):
        wmse(views, KEY, size=4)
    with pytest.raises(ValueError, match="at least 2 of each image"):
        wmse(views[:, :1], KEY, size=24)
