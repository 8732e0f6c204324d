"""Colour as a class: a distribution over bins of the (a, b) plane for each pixel of a grey image.

Zhang, Isola, Efros, "Colorful Image Colorization", 2016, arXiv:1603.08511, equations 2 to 5:

    Z_q  = exp(-|y - c_q|^2 / 2 sigma^2), normalised over the nearest bins c_q of the true colour y
    L    = -mean over pixels of v(y) sum_q Z_q log Zhat_q,    v = w at the bin with the largest Z
    w_q  = 1 / ((1 - lambda) p_q + lambda / Q), scaled so that sum_q p_q w_q = 1
    y    = sum_q c_q softmax(log Zhat_q / T)                       the annealed mean
"""

import chex
import jax
import jax.numpy as jnp


def soft_bins(ab: jax.Array, bins: jax.Array, *, neighbors: int, sigma: float) -> jax.Array:
    """Targets [..., Q] of colours [..., 2] for bins [Q, 2]: zero but for the nearest bins."""
    chex.assert_shape((ab, bins), (..., 2))
    difference = ab[..., None, :] - bins
    square = jnp.sum(difference**2, axis=-1)
    limit = -jax.lax.top_k(-square, neighbors)[0][..., -1:]
    # Less the smallest: for a colour far from all bins every exp would be zero.
    closest = jnp.min(square, axis=-1, keepdims=True)
    weight = jnp.where(square <= limit, jnp.exp(-(square - closest) / (2 * sigma**2)), 0.0)
    return weight / jnp.sum(weight, axis=-1, keepdims=True)


def rebalance(prior: jax.Array, *, mix: float) -> jax.Array:
    """Weights [Q] of the bins from how often each is seen, `prior` [Q]; mix is lambda."""
    chex.assert_rank(prior, 1)
    weight = 1 / ((1 - mix) * prior + mix / len(prior))
    return weight / jnp.sum(prior * weight)


def colour_classes(
    logits: jax.Array, targets: jax.Array, weights: jax.Array, counted: jax.Array
) -> jax.Array:
    """The rebalanced cross-entropy, a scalar float32.

    Args:
      logits, targets: [B, h, w, Q]; see `soft_bins`. weights: [Q], see `rebalance`.
      counted: bool [B], false for images without colour, which add nothing.
    """
    chex.assert_equal_shape((logits, targets))
    chex.assert_shape((weights, counted), (None,))
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    weight = weights[jnp.argmax(targets, axis=-1)] * counted[:, None, None]
    return -jnp.mean(weight * jnp.sum(targets * log_p, axis=-1))


def annealed_mean(logits: jax.Array, bins: jax.Array, *, temperature: float) -> jax.Array:
    """Colours [..., 2] out of logits [..., Q]: T = 1 is the mean, towards 0 the mode."""
    p = jax.nn.softmax(logits.astype(jnp.float32) / temperature, axis=-1)
    return jnp.dot(p, bins, precision=jax.lax.Precision.HIGHEST)
