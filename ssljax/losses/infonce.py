"""Queries against keys: find one's own key among those of other images.

van den Oord et al. 2018 (InfoNCE), arXiv:1807.03748. With q = n(q), k = n(k):

    batch   mean_i  log sum_j exp(q_i k_j / T) - q_i k_i / T                        MoCo v3, NNCLR
    queue   mean_i  log(exp(q_i k_i / T) + sum_j exp(q_i u_j / T)) - q_i k_i / T           MoCo v2

The queue is a ring of unit vectors u [K, D] with the place where the next batch goes.
"""

import chex
import jax
import jax.numpy as jnp

from ssljax.losses.normalize import l2_normalize


def info_nce(q: jax.Array, k: jax.Array, *, temperature: float) -> jax.Array:
    """Cross-entropy over the batch, one direction; queries and keys [B, D], a scalar float32.

    The gradient reaches both: a method stops it where its paper does.
    """
    chex.assert_equal_shape((q, k))
    s = _products(q, k) / temperature
    return jnp.mean(jax.nn.logsumexp(s, axis=-1) - jnp.diagonal(s))


def info_nce_queue(
    q: jax.Array, k: jax.Array, queue: jax.Array, *, temperature: float
) -> jax.Array:
    """Cross-entropy of 1 + K keys: one's own and those of the queue; a scalar float32.

    Args:
      q: queries [B, D]. k: their keys [B, D]. queue: unit vectors [K, D], without those of this
        batch. No gradient reaches keys or queue.
    """
    chex.assert_equal_shape((q, k))
    k, queue = jax.lax.stop_gradient((k, queue))
    positive = jnp.sum(l2_normalize(q) * l2_normalize(k), axis=-1) / temperature
    negative = _products(q, queue) / temperature
    spread = jnp.logaddexp(positive, jax.nn.logsumexp(negative, axis=-1))
    return jnp.mean(spread - positive)


def nearest(z: jax.Array, queue: jax.Array) -> jax.Array:
    """For each of [B, D] the entry of the queue [K, D] with the largest cosine: [B, D]."""
    z, queue = jax.lax.stop_gradient((z, queue))
    return queue[jnp.argmax(_products(z, queue), axis=-1)]


def fresh_queue(key: jax.Array, size: int, dim: int, *, batch: int) -> dict[str, jax.Array]:
    """A queue of random unit vectors: {"rows" [size, dim], "next" int32 scalar}.

    Raises: ValueError unless a whole number of batches fits.
    """
    if size < batch or size % batch:
        raise ValueError(
            f"a queue of {size} does not hold whole batches of {batch}: choose a multiple of it"
        )
    rows = l2_normalize(jax.random.normal(key, (size, dim)))
    return {"rows": rows, "next": jnp.zeros((), jnp.int32)}


def enqueue(queue: dict[str, jax.Array], z: jax.Array) -> dict[str, jax.Array]:
    """The queue with unit vectors of z [B, D] in place of its oldest B entries; no gradient."""
    size, start = len(queue["rows"]), queue["next"]
    if size % len(z):
        raise ValueError(f"a queue of {size} does not hold whole batches of {len(z)}")
    z = l2_normalize(jax.lax.stop_gradient(z))
    rows = jax.lax.dynamic_update_slice_in_dim(queue["rows"], z, start, axis=0)
    return {"rows": rows, "next": (start + len(z)) % size}


def _products(a: jax.Array, b: jax.Array) -> jax.Array:
    """Cosines [B, N] of [B, D] and [N, D], in full float32."""
    chex.assert_rank((a, b), 2)
    chex.assert_equal_shape_suffix((a, b), 1)
    return jnp.dot(l2_normalize(a), l2_normalize(b).T, precision=jax.lax.Precision.HIGHEST)
