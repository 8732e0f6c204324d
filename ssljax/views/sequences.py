"""Random views of what someone dealt with, one thing after another, as pure functions of a key.

Xie et al., "Contrastive Learning for Sequential Recommendation", ICDE 2022 (arXiv:2010.14395). Each
works on one row of n items, int [L] with the newest last and 0 in front, and is meant for
`jax.vmap`; it takes a share of the items, rounded down.
"""

import jax
import jax.numpy as jnp


def crop_items(key: jax.Array, words: jax.Array, *, share: float) -> jax.Array:
    """Items that follow each other, from a random place on; one at least."""
    length, real = len(words), jnp.sum(words > 0)
    kept = jnp.maximum(_part(share, real), 1)
    start = jax.random.randint(key, (), 0, jnp.maximum(real - kept, 0) + 1)
    moved = jnp.roll(words, real - kept - start)
    return jnp.where(jnp.arange(length) >= length - kept, moved, 0)


def hide_items(key: jax.Array, words: jax.Array, *, share: float, hidden: int) -> jax.Array:
    """Random items become the word `hidden`."""
    noise = jnp.where(words > 0, jax.random.uniform(key, words.shape), 2.0)
    rank = jnp.argsort(jnp.argsort(noise))
    return jnp.where(rank < _part(share, jnp.sum(words > 0)), hidden, words)


def reorder_items(key: jax.Array, words: jax.Array, *, share: float) -> jax.Array:
    """Items that follow each other, from a random place on, in random order."""
    length, real = len(words), jnp.sum(words > 0)
    count, (key_start, key_order) = _part(share, real), jax.random.split(key)
    first = length - real + jax.random.randint(key_start, (), 0, real - count + 1)
    at = jnp.arange(length)
    part = (at >= first).astype(jnp.int32) + (at >= first + count)  # before, inside and behind
    noise = jax.random.uniform(key_order, words.shape)
    return words[jnp.lexsort((jnp.where(part == 1, noise, at), part))]


def view_items(
    key: jax.Array,
    words: jax.Array,
    *,
    crop: float,
    hide: float,
    reorder: float,
    hidden: int,
) -> jax.Array:
    """One of the three, each as likely, with its share."""
    key_which, key = jax.random.split(key)
    views = (
        crop_items(key, words, share=crop),
        hide_items(key, words, share=hide, hidden=hidden),
        reorder_items(key, words, share=reorder),
    )
    return jnp.stack(views)[jax.random.randint(key_which, (), 0, len(views))]


def _part(share: float, count: jax.Array) -> jax.Array:
    return jnp.floor(share * count).astype(jnp.int32)
