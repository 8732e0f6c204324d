"""How far a reconstruction is from its image, and a Gaussian code from its prior.

    bernoulli:  -log p(x | z) = sum over pixels of BCE(sigmoid(logit), x),  x in [0, 1]
    Gaussian:   KL(N(mu, s^2) || N(0, 1)) = -1/2 sum_d (1 + log s^2 - mu^2 - s^2)

Kingma, Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114, appendix B and C.1.
"""

import chex
import jax
import jax.numpy as jnp


def bernoulli_nll(logits: jax.Array, x: jax.Array) -> jax.Array:
    """Binary cross-entropy summed over all pixels, in nats: [B].

    Args:
      logits: [B, ...], before the sigmoid.
      x: [B, ...] in [0, 1].
    """
    chex.assert_equal_shape((logits, x))
    logits, x = logits.astype(jnp.float32), x.astype(jnp.float32)
    pixel = jax.nn.softplus(logits) - logits * x  # finite for any logit
    return pixel.reshape(len(x), -1).sum(axis=1)


def gaussian_kl(mean: jax.Array, log_var: jax.Array) -> jax.Array:
    """KL divergence from N(0, 1) of N(mean, exp(log_var)), summed over the code: [B].

    Args:
      mean, log_var: [B, D]; log_var is log s^2.
    """
    chex.assert_equal_shape((mean, log_var))
    chex.assert_rank(mean, 2)
    mean, log_var = mean.astype(jnp.float32), log_var.astype(jnp.float32)
    return -0.5 * jnp.sum(1.0 + log_var - mean**2 - jnp.exp(log_var), axis=1)


def masked_l1(prediction: jax.Array, x: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean absolute error of the pixels where `mask` is true, over the whole batch: scalar.

    Args:
      prediction, x: [B, H, W, C].
      mask: [B, H, W, 1] or [1, H, W, 1], bool.
    """
    chex.assert_equal_shape((prediction, x))
    chex.assert_rank((x, mask), 4)
    error = jnp.abs(prediction.astype(jnp.float32) - x.astype(jnp.float32))
    weight = jnp.broadcast_to(mask, x.shape).astype(jnp.float32)
    return jnp.sum(error * weight) / jnp.maximum(jnp.sum(weight), 1.0)
