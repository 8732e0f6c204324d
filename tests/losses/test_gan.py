"""GAN losses and penalties: torch parity with gradients, and what a misread penalty gets wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses import gan


@pytest.fixture
def scores():
    return np.random.default_rng(0).normal(0, 2, size=(2, 9)).astype(np.float32)


def peers():
    """The same in torch, from the definitions of the papers."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    one, zero = torch.ones_like, torch.zeros_like
    bce = F.binary_cross_entropy_with_logits
    return {
        "nonsaturating": (lambda r, f: bce(r, one(r)) + bce(f, zero(f)), lambda f: bce(f, one(f))),
        "hinge": (
            lambda r, f: (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean(),
            lambda f: -f.mean(),
        ),
        "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda f: -f.mean()),
    }


@pytest.mark.parametrize("name", list(gan.GAMES))
def test_games_equal_torch(name, scores):
    torch = pytest.importorskip("torch")
    discriminator, generator = gan.GAMES[name]
    peer_d, peer_g = peers()[name]
    real, fake = (torch.tensor(s, dtype=torch.float64, requires_grad=True) for s in scores)
    expected = peer_d(real, fake)
    expected.backward()
    value, grads = jax.value_and_grad(discriminator, (0, 1))(*scores)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-6)
    np.testing.assert_allclose(grads[0], real.grad, atol=1e-7)
    np.testing.assert_allclose(grads[1], fake.grad, atol=1e-7)
    alone = torch.tensor(scores[1], dtype=torch.float64, requires_grad=True)
    peer_g(alone).backward()
    value, grad = jax.value_and_grad(generator)(scores[1])
    np.testing.assert_allclose(value, peer_g(alone).item(), rtol=1e-6)
    np.testing.assert_allclose(grad, alone.grad, atol=1e-7)


def test_the_generator_learns_most_where_the_discriminator_is_sure():
    """The saturating loss log(1 - D(G)) has a gradient near 0 there."""
    grad = jax.grad(gan.nonsaturating_generator)(jnp.array([-20.0]))
    np.testing.assert_allclose(grad, -1.0, rtol=1e-6)


def images(*, seed, size=5):
    return np.random.default_rng(seed).normal(size=(size, 4, 3, 2)).astype(np.float32)


def linear_critic(norm):
    w = np.random.default_rng(7).normal(size=(4, 3, 2))
    w = (w * norm / np.linalg.norm(w)).astype(np.float32)
    return lambda x: jnp.sum(x * w, axis=(1, 2, 3))


@pytest.mark.parametrize(("norm", "penalty", "half_square"), [(1, 0, 0.5), (3, 4, 4.5)])
def test_a_linear_critic(norm, penalty, half_square):
    """Its slope is |w| everywhere, in each sample: a norm over the batch axis too is sqrt(5)."""
    critic, real, fake = linear_critic(norm), images(seed=0), images(seed=1)
    value = gan.gradient_penalty(critic, real, fake, jax.random.key(0))
    np.testing.assert_allclose(value, penalty, atol=1e-5)
    np.testing.assert_allclose(gan.r1(critic, real), half_square, rtol=1e-5)


def test_gradient_penalty_against_its_definition():
    """One u a sample: |grad| of D(x) = |x|^2 / 2 is |x|, so the points show."""
    real, fake, key = images(seed=0), images(seed=1), jax.random.key(3)
    u = np.asarray(jax.random.uniform(key, (5, 1, 1, 1)), np.float64)
    assert len(np.unique(u)) == 5
    points = (u * real + (1 - u) * fake).reshape(5, -1)
    expected = np.mean((np.linalg.norm(points, axis=1) - 1) ** 2)
    value = gan.gradient_penalty(lambda x: jnp.sum(x**2, axis=(1, 2, 3)) / 2, real, fake, key)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_r1_and_its_gradient_to_the_critic_equal_torch():
    torch = pytest.importorskip("torch")
    x, w = images(seed=0).reshape(5, -1), np.random.default_rng(1).normal(size=(24, 3))
    weight = torch.tensor(w, requires_grad=True)
    points = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.tanh(points @ weight).sum(), points, create_graph=True)
    expected = 0.5 * slope.pow(2).sum(1).mean()
    expected.backward()
    with jax.default_matmul_precision("highest"):
        value, grad = jax.value_and_grad(
            lambda w: gan.r1(lambda x: jnp.tanh(x.reshape(5, -1) @ w).sum(1), x)
        )(w.astype(np.float32))
    np.testing.assert_allclose(value, expected.item(), rtol=1e-5)
    np.testing.assert_allclose(grad, weight.grad, rtol=1e-4, atol=1e-6)


def test_a_flat_critic_has_a_finite_gradient():
    x = images(seed=0)
    value, grad = jax.value_and_grad(
        lambda s: gan.gradient_penalty(lambda x: s * x.sum((1, 2, 3)), x, x, jax.random.key(0))
    )(0.0)
    np.testing.assert_allclose(value, 1.0, rtol=1e-5)
    assert np.isfinite(grad)


def test_penalties_add_up():
    critic, real, fake, key = linear_critic(3), images(seed=0), images(seed=1), jax.random.key(0)
    both = gan.penalties(critic, real, fake, key, slope_one=10.0, r1_gamma=2.0)
    np.testing.assert_allclose(both, 10 * 4 + 2 * 4.5, rtol=1e-5)
    assert gan.penalties(critic, real, fake, key, slope_one=0.0, r1_gamma=0.0) == 0


def test_scores_are_vectors():
    with pytest.raises(AssertionError):
        gan.hinge_discriminator(jnp.zeros((3, 1)), jnp.zeros((3, 1)))
