"""Losses of single examples against a target: a class, a set of classes or a value.

    class    -sum_k t_k log softmax(z)_k,   t a one-hot vector or any distribution
    set      mean over classes of BCE(sigmoid(z_k), t_k),   t_k in [0, 1]
    value    1/2 (log s^2 + (y - m)^2 / s^2),   outputs m and log s^2

The last is the negative log-likelihood of a Gaussian without its constant: Nix, Weigend,
"Estimating the mean and variance of the target probability distribution", 1994.
"""

import chex
import jax
import jax.numpy as jnp

LOG_VAR = 10.0  # largest |log s^2|; beyond it a single example could give an infinite loss


def cross_entropy(logits: jax.Array, target: jax.Array) -> jax.Array:
    """[B] float32. logits: [B, K]. target: int [B] in 0 to K-1, or distributions [B, K]."""
    chex.assert_rank(logits, 2)
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    if jnp.issubdtype(target.dtype, jnp.integer):
        chex.assert_shape(target, logits.shape[:1])
        return -jnp.take_along_axis(log_p, target[:, None], axis=1)[:, 0]
    chex.assert_equal_shape((logits, target))
    return -jnp.sum(target.astype(jnp.float32) * log_p, axis=-1)


def binary_cross_entropy(logits: jax.Array, target: jax.Array) -> jax.Array:
    """[B] float32, the mean over classes. logits: [B, K]. target: [B, K] in [0, 1]."""
    chex.assert_rank(logits, 2)
    chex.assert_equal_shape((logits, target))
    logits = logits.astype(jnp.float32)
    return jnp.mean(jax.nn.softplus(logits) - logits * target.astype(jnp.float32), axis=-1)


def gaussian_nll(mean: jax.Array, log_var: jax.Array, target: jax.Array) -> jax.Array:
    """[B] float32 from mean, log_var and target, all [B]; log_var is cut off at +-10."""
    chex.assert_equal_shape((mean, log_var, target))
    log_var = jnp.clip(log_var.astype(jnp.float32), -LOG_VAR, LOG_VAR)
    error = target.astype(jnp.float32) - mean.astype(jnp.float32)
    return 0.5 * (log_var + error**2 * jnp.exp(-log_var))
