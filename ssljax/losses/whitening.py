"""W-MSE: views agree after a whitening of their batch, which no collapsed embedding survives.

Ermolov, Siarohin, Sangineto, Sebe, "Whitening for Self-Supervised Representation Learning", 2020,
arXiv:2007.06346. For each view and each sub-batch by itself, with covariance S (ddof 1) and its
Cholesky factor S = l l^T:

    w = l^{-1} (z - mean z)^T,    L = mean over pairs of views of  2 - 2 cos(w_u, w_v)

The authors call it W = l^{-1}; W S W^T = 1 whichever root of S it is.
"""

import itertools

import chex
import jax
import jax.numpy as jnp

from ssljax.losses.normalize import l2_normalize


def whiten(z: jax.Array, *, eps: float = 0.0) -> jax.Array:
    """[..., N, D] -> the same shape, float32: mean zero and covariance one over the N rows.

    eps: share of the identity in the covariance, for N that is hardly above D.
    Raises: ValueError for N of D or less, whose covariance has no inverse.
    """
    n, d = z.shape[-2:]
    if n <= d:
        raise ValueError(
            f"whitening {d} dimensions needs more than {d} rows, at least twice as many in "
            f"practice; got {n}"
        )
    z = z.astype(jnp.float32)
    z = z - jnp.mean(z, axis=-2, keepdims=True)
    exact = jax.lax.Precision.HIGHEST
    covariance = jnp.einsum("...nd,...ne->...de", z, z, precision=exact) / (n - 1)
    covariance = (1 - eps) * covariance + eps * jnp.eye(d)
    root = jnp.linalg.cholesky(covariance)
    return jax.lax.linalg.triangular_solve(root, z, left_side=False, lower=True, transpose_a=True)


def wmse(
    z: jax.Array, key: jax.Array, *, size: int, iterations: int = 1, eps: float = 0.0
) -> jax.Array:
    """The loss of embeddings [B, V, D] of V views of each image, a scalar float32 in [0, 4].

    Args:
      key: for the division of the batch.
      size: rows whitened together; must divide B and be above D.
      iterations: divisions of the batch to average over.
    Raises: ValueError where the size does not fit.
    """
    chex.assert_rank(z, 3)
    b, v, d = z.shape
    if size < 1 or b % size:
        raise ValueError(f"size {size} does not divide the batch of {b}: choose one that does")
    if v < 2:
        raise ValueError("W-MSE compares views: it needs at least 2 of each image")
    pairs = list(itertools.combinations(range(v), 2))
    total = jnp.zeros(())
    for k in jax.random.split(key, iterations):
        parts = z[jax.random.permutation(k, b)].reshape(b // size, size, v, d)
        w = l2_normalize(whiten(jnp.moveaxis(parts, 2, 0), eps=eps))
        cosines = [jnp.mean(jnp.sum(w[i] * w[j], axis=-1)) for i, j in pairs]
        total += sum(2.0 - 2.0 * c for c in cosines)
    return total / (iterations * len(pairs))
