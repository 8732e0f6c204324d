"""SIGReg: a float64 loop, the integral it stands for, and its value for Gaussians and constants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.sigreg import directions, invariance, sigreg


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def loop(z, a):
    n, views, _ = z.shape
    t = np.linspace(0, 3, 17)
    weight = np.full(17, 2 * 3 / 16)
    weight[0] = weight[-1] = 3 / 16
    statistics = []
    for v in range(views):
        for direction in a.T:
            x = z[:, v] @ direction
            error = [abs(np.exp(1j * s * x).mean() - np.exp(-s * s / 2)) ** 2 for s in t]
            statistics.append(n * (weight * np.exp(-t * t / 2) * error).sum())
    return np.mean(statistics)


def test_against_a_loop(rng):
    z, a = rng.normal(size=(10, 3, 4)), rng.normal(size=(4, 6))
    a /= np.linalg.norm(a, axis=0)
    np.testing.assert_allclose(sigreg(jnp.float32(z), jnp.float32(a)), loop(z, a), rtol=1e-5)
    # misread: the statistic of the first views only
    assert abs(loop(z[:, :2], a) - loop(z, a)) > 1e-3


def test_directions_have_length_one():
    a = directions(jax.random.key(0), 5, 7)
    np.testing.assert_allclose(np.linalg.norm(a, axis=0), np.ones(7), rtol=1e-6)
    assert not np.allclose(a, directions(jax.random.key(1), 5, 7))


@pytest.mark.parametrize("n", [64, 1024])
def test_gaussian_and_constant(n):
    """Gaussian: about 1.05 for every N. Constant zeros: 0.402 N."""
    keys = jax.random.split(jax.random.key(0))
    a = directions(keys[0], 32, 64)
    z = jax.random.normal(keys[1], (n, 16, 32))
    run = jax.jit(sigreg)
    np.testing.assert_allclose(run(z, a), 1.05, rtol=0.1)
    np.testing.assert_allclose(run(0 * z, a), 0.402 * n, rtol=1e-3)
    assert run(2 * z, a) > 3


def test_gradient_by_torch(rng):
    torch = pytest.importorskip("torch")
    z, a = rng.normal(size=(10, 2, 4)) + 0.3, rng.normal(size=(4, 6))
    a /= np.linalg.norm(a, axis=0)
    t = torch.linspace(0, 3, 17, dtype=torch.float64)
    y = torch.tensor(z, requires_grad=True)
    x = (y @ torch.tensor(a))[..., None] * t
    phi = torch.exp(-t * t / 2)
    error = (x.cos().mean(0) - phi) ** 2 + x.sin().mean(0) ** 2
    (10 * torch.trapezoid(2 * phi * error, t, dim=-1).mean()).backward()
    grad = jax.grad(sigreg)(jnp.float32(z), jnp.float32(a))
    np.testing.assert_allclose(grad, y.grad, atol=1e-5)


def test_invariance(rng):
    z = rng.normal(size=(5, 4, 3))
    expected = np.mean((z - z[:, :2].mean(1, keepdims=True)) ** 2)
    value = invariance(jnp.float32(z), global_views=2)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    # the mean is no constant: moving a global view moves its centre as well
    grad = jax.grad(lambda z: invariance(z, global_views=2))(jnp.float32(z))
    np.testing.assert_allclose(np.asarray(grad).sum((0, 1)), 0, atol=1e-6)
