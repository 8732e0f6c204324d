"""Regression of one view's target from another view's prediction, without negatives.

Grill et al. 2020 (BYOL), arXiv:2006.07733, equation 2:  l(p, z) = |n(p) - n(z)|^2 = 2 - 2 cos(p, z)
Chen, He 2020 (SimSiam), arXiv:2011.10566, equation 1:    D(p, z) = -cos(p, z)
"""

import chex
import jax
import jax.numpy as jnp

from ssljax.losses.normalize import l2_normalize


def byol_regression(p: jax.Array, z: jax.Array) -> jax.Array:
    """Mean over the batch of 2 - 2 cos(p, z), one direction; a method adds both.

    Args:
      p: predictions [B, D] of the online network.
      z: projections [B, D] of the target network; no gradient reaches them.
    Returns: scalar in [0, 4].
    """
    chex.assert_equal_shape((p, z))
    chex.assert_rank(p, 2)
    difference = l2_normalize(p) - jax.lax.stop_gradient(l2_normalize(z))
    return jnp.mean(jnp.sum(difference**2, axis=-1))


def negative_cosine(p: jax.Array, z: jax.Array) -> jax.Array:
    """Mean over the batch of -cos(p, z); p and z [B, D], a scalar in [-1, 1].

    The gradient reaches both: a method stops it where its paper does.
    """
    chex.assert_equal_shape((p, z))
    chex.assert_rank(p, 2)
    return -jnp.mean(jnp.sum(l2_normalize(p) * l2_normalize(z), axis=-1))
