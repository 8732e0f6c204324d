"""Losses of single examples against torch, and what they do at the edges."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.supervised import binary_cross_entropy, cross_entropy, gaussian_nll

torch = pytest.importorskip("torch")
F = torch.nn.functional
rng = np.random.default_rng(0)


def test_cross_entropy_is_that_of_torch():
    logits, hard = rng.normal(size=(6, 5)).astype(np.float32), rng.integers(0, 5, 6)
    soft = rng.dirichlet(np.ones(5), 6).astype(np.float32)
    for target in (hard, soft):
        peer = F.cross_entropy(torch.tensor(logits), torch.tensor(target), reduction="none")
        np.testing.assert_allclose(cross_entropy(logits, jnp.asarray(target)), peer, rtol=1e-5)
    one_hot = jnp.eye(5)[hard]
    np.testing.assert_allclose(
        cross_entropy(logits, one_hot), cross_entropy(logits, jnp.asarray(hard)), rtol=1e-6
    )


def test_binary_cross_entropy_is_that_of_torch():
    logits = rng.normal(size=(6, 5)).astype(np.float32) * 30
    target = rng.random((6, 5)).astype(np.float32)
    peer = F.binary_cross_entropy_with_logits(
        torch.tensor(logits), torch.tensor(target), reduction="none"
    )
    np.testing.assert_allclose(binary_cross_entropy(logits, target), peer.mean(1), rtol=1e-5)


def test_gaussian_nll_is_that_of_torch():
    mean, log_var, target = (rng.normal(size=7).astype(np.float32) for _ in range(3))
    peer = F.gaussian_nll_loss(
        *map(torch.tensor, (mean, target, np.exp(log_var))), reduction="none", full=False
    )
    np.testing.assert_allclose(gaussian_nll(mean, log_var, target), peer, rtol=1e-5)


def test_gaussian_nll_of_a_certain_network_is_finite():
    value = gaussian_nll(jnp.zeros(1), jnp.full(1, -1e6), jnp.ones(1))
    assert np.isfinite(value).all()
