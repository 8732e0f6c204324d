"""Attention against a loop over positions in float64, and its kernels against each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssljax.nets.attention import _splash, attend, plain_attention

B, T, H, D = 2, 7, 3, 4
KEY = jax.random.key(0)


def arrays(length=T, width=D):
    return [jax.random.normal(k, (B, length, H, width)) for k in jax.random.split(KEY, 3)]


def loop(q, k, v, *, sees, scale, bias=None):
    """sees(b, i, j): whether position i of row b sees position j."""
    q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
    out = np.zeros_like(q)
    for b in range(q.shape[0]):
        for h in range(q.shape[2]):
            for i in range(q.shape[1]):
                js = [j for j in range(k.shape[1]) if sees(b, i, j)]
                logits = np.array([q[b, i, h] @ k[b, j, h] * scale for j in js])
                if bias is not None:
                    logits = logits + np.array([bias[h, i, j] for j in js])
                w = np.exp(logits - logits.max())
                out[b, i, h] = (w / w.sum()) @ v[b, js, h]
    return out


SEGMENTS = np.array([[1, 1, 1, 2, 2, 3, 0], [1, 1, 2, 2, 2, 0, 0]])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("segments", [None, SEGMENTS])
def test_agrees_with_a_loop(causal, segments):
    q, k, v = arrays()

    def sees(b, i, j):
        same = segments is None or segments[b, i] == segments[b, j]
        return same and (j <= i or not causal)

    given = None if segments is None else jnp.asarray(segments)
    with jax.default_matmul_precision("highest"):
        y = attend(q, k, v, causal=causal, segments=given)
        plain = attend(q, k, v, causal=causal, segments=given, dropout=1e-9, key=KEY)
    want = loop(q, k, v, sees=sees, scale=D**-0.5)
    np.testing.assert_allclose(y, want, atol=2e-6)
    np.testing.assert_allclose(plain, want, atol=2e-6)


def test_bias_scale_and_seen():
    q, k, v = arrays()
    bias = jax.random.normal(KEY, (1, H, T, T))
    seen = jnp.asarray(SEGMENTS > 0)
    y = attend(q, k, v, bias=bias, scale=1.0, seen=seen)
    want = loop(
        q, k, v, sees=lambda b, i, j: SEGMENTS[b, j] > 0, scale=1.0, bias=np.asarray(bias[0])
    )
    np.testing.assert_allclose(y, want, atol=5e-6)


def test_dropout_keeps_the_mean_and_drops_its_share():
    q = jnp.zeros((1, 1, 1, D))
    k, v = jnp.zeros((1, 4000, 1, D)), jnp.ones((1, 4000, 1, D))
    y = plain_attention(q, k, v, scale=1.0, dropout=(0.25, KEY))
    np.testing.assert_allclose(y, 1.0, atol=0.05)
    other = plain_attention(q, k, v, scale=1.0, dropout=(0.25, jax.random.key(1)))
    assert not np.array_equal(y, other)


@pytest.mark.parametrize("causal", [False, True])
def test_splash_equals_the_plain_form(causal):
    """The kernel of TPUs, interpreted: values and gradients."""
    q, k, v = arrays(128, 64)
    segments = jnp.asarray(np.repeat([[1, 2, 2, 0], [1, 1, 1, 2]], 32, axis=1))

    def total(fn, **options):
        def loss(q, k, v):
            y = fn(q, k, v, causal=causal, segments=segments, **options)
            return jnp.sum(jnp.sin(y)), y

        return jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True)(q, k, v)

    with jax.default_matmul_precision("highest"):
        (_, y), grads = total(_splash, scale=0.125, interpret=True)
        (_, want), want_grads = total(attend, scale=0.125)
    np.testing.assert_allclose(y, want, atol=1e-5)
    for a, b in zip(grads, want_grads, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
