"""Losses on unlabelled examples against plain float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.losses.consistency import annealed, fairness, mse, pseudo, sharpened

RNG = np.random.default_rng(0)
B, K = 12, 5
STRONG = RNG.normal(size=(B, K)) * 2
WEAK = RNG.normal(size=(B, K)) * 2
WEIGHT = np.where(RNG.random(B) < 0.4, 0.0, RNG.random(B))


def softmax(x, t=1.0):
    e = np.exp(x / t - (x / t).max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def f32(*arrays):
    return [jnp.asarray(a, jnp.float32) for a in arrays]


def test_pseudo_is_a_mean_over_all_examples():
    """Dividing by the sum of the weights, or by the number selected, is another method."""
    ids = WEAK.argmax(1)
    log_p = np.log(softmax(STRONG))
    want = sum(-WEIGHT[i] * log_p[i, ids[i]] for i in range(B)) / B
    strong, weight = f32(STRONG, WEIGHT)
    np.testing.assert_allclose(pseudo(strong, jnp.asarray(ids), weight), want, rtol=1e-5)
    assert not np.isclose(want, want * B / WEIGHT.sum())
    assert not np.isclose(want, want * B / (WEIGHT > 0).sum())
    q = softmax(WEAK, 0.4)
    want = sum(-WEIGHT[i] * (q[i] * log_p[i]).sum() for i in range(B)) / B
    np.testing.assert_allclose(pseudo(strong, *f32(q), weight), want, rtol=1e-5)
    np.testing.assert_allclose(sharpened(*f32(WEAK), temperature=0.4), q, rtol=1e-5)
    assert pseudo(strong, jnp.asarray(ids), jnp.zeros(B)) == 0


def test_mse_is_a_mean_over_classes_too():
    want = ((softmax(STRONG) - softmax(WEAK)) ** 2).sum() / (B * K)
    np.testing.assert_allclose(mse(*f32(STRONG, WEAK)), want, rtol=1e-5)
    grads = jax.grad(mse, argnums=(0, 1))(*f32(STRONG, WEAK))
    assert np.abs(grads[0]).max() > 0
    assert not np.any(grads[1])


def fairness_in_loops(strong, weight, prior, histogram):
    """As the authors have it: boolean indexing, infinities replaced, and no minus sign."""
    p = softmax(strong[weight > 0])
    counts = np.zeros(K)
    for row in p:
        counts[row.argmax()] += 1
    share = counts / counts.sum()
    with np.errstate(divide="ignore"):
        q = prior * np.where(np.isinf(1 / histogram), 0, 1 / histogram)
        r = p.mean(0) * np.where(np.isinf(1 / share), 0, 1 / share)
    q, r = q / q.sum(), r / r.sum()
    return (q * np.log(r + 1e-12)).sum()


@pytest.mark.parametrize("empty", [False, True])
def test_fairness_is_that_of_freematch(empty):
    prior, histogram = softmax(RNG.normal(size=K)), softmax(RNG.normal(size=K))
    if empty:
        histogram[2] = 0
    want = fairness_in_loops(STRONG, WEIGHT, prior, histogram)
    got = fairness(*f32(STRONG, WEIGHT, prior, histogram))
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert want < 0  # with a minus sign it would be a cross-entropy
    # weights count as chosen or not, and not by their size
    whole = fairness(*f32(STRONG, WEIGHT > 0, prior, histogram))
    np.testing.assert_allclose(whole, want, rtol=1e-5)


def test_fairness_of_nothing():
    """Nothing selected: no loss and no gradient that is not a number."""
    even = np.full(K, 1 / K)
    value, grad = jax.value_and_grad(fairness)(*f32(STRONG, np.zeros(B), even, even))
    assert value == 0
    assert not np.any(grad)


def test_annealing_leaves_out_what_is_known():
    labels = RNG.integers(0, K, B)
    p = softmax(STRONG)[np.arange(B), labels]
    limit = float(np.median(p))
    kept = [i for i in range(B) if p[i] <= limit]
    assert 0 < len(kept) < B
    got, share = annealed(*f32(STRONG), jnp.asarray(labels), jnp.float32(limit))
    np.testing.assert_allclose(got, np.mean([-np.log(p[i]) for i in kept]), rtol=1e-5)
    np.testing.assert_allclose(share, len(kept) / B)
    everything, share = annealed(*f32(STRONG), jnp.asarray(labels), jnp.float32(1))
    np.testing.assert_allclose(everything, -np.log(p).mean(), rtol=1e-5)
    assert share == 1
    assert annealed(*f32(STRONG), jnp.asarray(labels), jnp.float32(0)) == (0, 0)
