"""KoLeo against a loop and torch; what it does not depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.koleo import koleo


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(9, 4))


def test_value(x):
    z = x / np.linalg.norm(x, axis=1, keepdims=True)
    nearest = [
        min(np.linalg.norm(a - b) for j, b in enumerate(z) if j != i) for i, a in enumerate(z)
    ]
    np.testing.assert_allclose(koleo(jnp.float32(x)), -np.mean(np.log(nearest)), rtol=1e-5)


def test_scale_of_the_features_does_not_matter(x):
    """Each row has a scale of its own: only directions count."""
    scaled = x * np.linspace(0.1, 30, 9)[:, None]
    np.testing.assert_allclose(koleo(jnp.float32(scaled)), koleo(jnp.float32(x)), rtol=1e-5)


def test_gradient_by_torch(x):
    """It reaches a vector as the one that looks and as the one that is nearest."""
    torch = pytest.importorskip("torch")
    t = torch.tensor(x, requires_grad=True)
    z = torch.nn.functional.normalize(t, eps=1e-8)
    dots = (z @ z.T).detach().fill_diagonal_(-1)
    distance = torch.nn.PairwiseDistance(2, eps=1e-8)(z, z[dots.argmax(1)])
    (-torch.log(distance + 1e-8).mean()).backward()
    np.testing.assert_allclose(jax.grad(koleo)(jnp.float32(x)), t.grad, atol=1e-5)


def test_equal_rows_and_single_rows(x):
    same = jnp.ones((3, 4))
    assert np.isfinite(koleo(same))
    assert np.isfinite(jax.grad(koleo)(same)).all()
    with pytest.raises(ValueError, match="at least 2"):
        koleo(jnp.float32(x[:1]))
