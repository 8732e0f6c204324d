"""Likelihoods, KL and masked errors against float64 loops, torch and Monte Carlo."""

import jax
import numpy as np
import pytest

from ssljax.losses.reconstruction import bernoulli_nll, gaussian_kl, masked_l1


def test_bernoulli_sums_over_pixels():
    rng = np.random.default_rng(0)
    logits, x = rng.normal(0, 3, size=(4, 3, 5, 2)), rng.uniform(size=(4, 3, 5, 2))
    p = 1 / (1 + np.exp(-logits))
    expected = [-np.sum(a * np.log(b) + (1 - a) * np.log(1 - b)) for a, b in zip(x, p, strict=True)]
    value = bernoulli_nll(logits.astype(np.float32), x.astype(np.float32))
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("logit", [-1e4, 0.0, 1e4])
def test_bernoulli_is_finite_for_any_logit(logit):
    value, grad = jax.value_and_grad(lambda l: bernoulli_nll(l, np.full((1, 2), 0.5)).sum())(
        np.full((1, 2), logit, np.float32)
    )
    assert np.isfinite(value)
    np.testing.assert_allclose(grad, {-1e4: -0.5, 0.0: 0.0, 1e4: 0.5}[logit], atol=1e-6)


def test_gaussian_kl_equals_torch():
    torch = pytest.importorskip("torch")
    mean, log_var = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)
    p = torch.distributions.Normal(
        torch.tensor(mean).double(), torch.tensor(log_var).double().mul(0.5).exp()
    )
    prior = torch.distributions.Normal(torch.zeros(4).double(), torch.ones(4).double())
    expected = torch.distributions.kl_divergence(p, prior).sum(1)
    np.testing.assert_allclose(gaussian_kl(mean, log_var), expected, rtol=1e-5)
    np.testing.assert_array_equal(gaussian_kl(np.zeros((2, 3)), np.zeros((2, 3))), 0)


def test_masked_l1_counts_masked_pixels_only():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 4, 5, 2)).astype(np.float32)
    mask = rng.uniform(size=(1, 4, 5, 1)) < 0.4
    errors = [
        abs(float(x[b, i, j, c]) - float(y[b, i, j, c]))
        for b in range(3)
        for i in range(4)
        for j in range(5)
        for c in range(2)
        if mask[0, i, j, 0]
    ]
    np.testing.assert_allclose(masked_l1(x, y, mask), np.mean(errors), rtol=1e-5)
    grad = jax.grad(masked_l1)(x, y, mask)
    np.testing.assert_array_equal(grad[:, ~mask[0, :, :, 0]], 0)
    assert (grad[:, mask[0, :, :, 0]] != 0).all()
    assert masked_l1(x, y, np.zeros_like(mask)) == 0
