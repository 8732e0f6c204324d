"""KoLeo: push every vector away from its nearest neighbour, so that they cover the sphere.

Sablayrolles, Douze, Schmid, Jegou, "Spreading vectors for similarity search", 2018,
arXiv:1806.03198; with the constants of Oquab et al. 2023 (DINOv2), arXiv:2304.07193.

    L = -mean_i log(|n(x_i) - n(x_j)| + eps),    j = the nearest neighbour of i,  j != i

It is the Kozachenko-Leonenko estimate of the entropy, up to constants.
"""

import chex
import jax
import jax.numpy as jnp

from ssljax.losses.normalize import l2_normalize


def koleo(x: jax.Array, *, eps: float = 1e-8) -> jax.Array:
    """The regulariser of features [B, D], a scalar float32; the gradient reaches both of a pair.

    Raises: ValueError for a single row, which has no neighbour.
    """
    chex.assert_rank(x, 2)
    if len(x) < 2:
        raise ValueError("KoLeo needs a batch of at least 2: a single row has no neighbour")
    x = l2_normalize(x, eps=eps)
    cosines = jnp.dot(x, x.T, precision=jax.lax.Precision.HIGHEST)
    cosines = jnp.where(jnp.eye(len(x), dtype=bool), -jnp.inf, cosines)
    nearest = jnp.argmax(jax.lax.stop_gradient(cosines), axis=1)
    # The authors' distance adds eps to the difference: the gradient is finite for equal rows.
    distance = jnp.linalg.norm(x - x[nearest] + eps, axis=1)
    return -jnp.mean(jnp.log(distance + eps))
