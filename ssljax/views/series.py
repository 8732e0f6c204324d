"""Random contexts of time series, as pure functions of a random key."""

import jax
import jax.numpy as jnp


def contexts(key: jax.Array, steps: jax.Array) -> jax.Array:
    """Two windows that overlap in two steps or more, drawn once for all rows [B, T]: bool
    [2, B, T], which real steps each has (TS2Vec, Yue et al. 2022, arXiv:2106.10466).

    T must be 2 or more.
    """
    size = steps.shape[1]
    keys, at = jax.random.split(key, 4), jnp.arange(size)
    both = jax.random.randint(keys[0], (), 2, size + 1)
    begin = jax.random.randint(keys[1], (), 0, size - both + 1)
    first = jax.random.randint(keys[2], (), 0, begin + 1)
    last = jax.random.randint(keys[3], (), begin + both, size + 1)
    one = (at >= first) & (at < begin + both)
    two = (at >= begin) & (at < last)
    return jnp.stack([one & steps, two & steps])
