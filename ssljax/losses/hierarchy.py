"""Contrast at every scale of time: TS2Vec's loss (Yue et al. 2022, arXiv:2106.10466, section 3.4).

    temporal:  l_it = -log exp(z_it . z'_it) / sum over times s of row i of
                      (exp(z_it . z'_is) + [s is not t] exp(z_it . z_is))
    instance:  the same, with rows j at time t in place of times s of row i
    L = mean over levels of mean over both views and all real (i, t) of
        alpha instance + (1 - alpha) temporal

A level is the one before, of which each two steps became their largest numbers; the last has one
step. What is not real is no positive, no negative and no largest number.
"""

import chex
import jax
import jax.numpy as jnp

_NEVER = -1e9


def hierarchical_contrast(
    z: jax.Array, other: jax.Array, real: jax.Array, *, alpha: float = 0.5
) -> jax.Array:
    """The loss of two views [B, T, D] of the same steps, real bool [B, T]: a scalar float32.

    On the last level, of one step, there is nothing temporal to tell.
    """
    chex.assert_equal_shape((z, other))
    chex.assert_equal_shape_prefix((z, real), 2)
    z, other = z.astype(jnp.float32), other.astype(jnp.float32)
    total, levels = jnp.zeros(()), 0
    while True:
        total = total + alpha * _among(*(jnp.swapaxes(x, 0, 1) for x in (z, other, real)))
        levels += 1
        if z.shape[1] == 1:
            return total / levels
        total = total + (1 - alpha) * _among(z, other, real)
        z, other, real = _halved(z, real), _halved(other, real), _halved(real[..., None], real)
        real = real[..., 0]


def _among(z: jax.Array, other: jax.Array, real: jax.Array) -> jax.Array:
    """Each of N finds itself in the other view, of which G groups [G, N, D] are told apart among
    themselves."""
    both = jnp.concatenate([z, other], axis=1)  # [G, 2 N, D]
    there, n = jnp.concatenate([real, real], axis=1), z.shape[1]
    logits = jnp.einsum("gid,gjd->gij", both, both, precision=jax.lax.Precision.HIGHEST)
    logits = jnp.where(there[:, None] & ~jnp.eye(2 * n, dtype=bool), logits, _NEVER)
    log_p = jax.nn.log_softmax(logits, axis=-1)
    partner = (jnp.arange(2 * n) + n) % (2 * n)
    nll = -log_p[:, jnp.arange(2 * n), partner]
    weight = there.astype(jnp.float32)
    return jnp.sum(jnp.where(there, nll, 0.0)) / jnp.maximum(jnp.sum(weight), 1.0)


def _halved(x: jax.Array, real: jax.Array) -> jax.Array:
    """The largest of each two steps that are real; an odd last step is left out, as in the paper's
    code. Of truth values: whether one of two is true."""
    size = x.shape[1] // 2 * 2
    if x.dtype == bool:
        return jnp.any(x[:, :size].reshape(len(x), -1, 2, x.shape[2]), axis=2)
    x = jnp.where(real[..., None], x, _NEVER)[:, :size]
    x = jnp.max(x.reshape(len(x), -1, 2, x.shape[2]), axis=2)
    return jnp.where(x > _NEVER / 2, x, 0.0)
