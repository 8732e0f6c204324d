"""A checksum of every array of a pytree, computed where the arrays are."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@jax.jit
def checksums(tree: Any) -> jax.Array:
    """uint32 [leaves]: sums of all bits with odd weights, in integers, so that order and sharding
    do not matter. One flipped bit always shows; other damage goes unseen once in 2^32.
    """
    return jnp.stack([_checksum(leaf) for leaf in jax.tree.leaves(tree)])


def _checksum(x: jax.Array) -> jax.Array:
    if jnp.iscomplexobj(x):
        x = jnp.stack([x.real, x.imag])
    if x.dtype == jnp.bool_:
        x = x.astype(jnp.uint8)
    width = {1: jnp.uint8, 2: jnp.uint16}.get(x.dtype.itemsize, jnp.uint32)
    bits = jax.lax.bitcast_convert_type(x, width).astype(jnp.uint32)
    place, stride = jnp.zeros(bits.shape, jnp.uint32), 1
    for axis in reversed(range(bits.ndim)):
        place += jax.lax.broadcasted_iota(jnp.uint32, bits.shape, axis) * np.uint32(stride % 2**32)
        stride *= bits.shape[axis]
    # A multiplicative hash of the place (Knuth, volume 3, section 6.4), made odd.
    place = (place + 1) * np.uint32(2654435761)
    return jnp.sum(bits * ((place ^ (place >> 15)) | 1), dtype=jnp.uint32)
