"""Labels that are made anew while they are learnt from: a cache with a place for each example.

Likhomanenko, Xu, Kahn, Synnaeve, Collobert, "slimIPL: Language-Model-Free Iterative
Pseudo-Labeling", 2020, arXiv:2010.11524: labels that were learnt from go back into the cache, or
with probability p others take their place, which the network of now gives without augmentation and
without a language model. So they are those of many earlier networks, and not of the one that learns
from them, which makes online labels stable.

Differs from the paper: every example of the pool has a place, where the paper keeps some hundred
batches and draws new examples for those that leave; a place is first filled by the labels of the
round, and training on the true labels alone is round 0.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ssljax.tasks.target import Targets


class Cache(NamedTuple):
    """target: of each example, arrays [n, ...]; weight: [n], 0 for those that abstain; renewed:
    bool [n], false where the labels of the round still count."""

    target: Targets
    weight: jax.Array
    renewed: jax.Array


def empty(pool: int, guess: Any) -> Cache:
    """A cache of `pool` examples. guess: the shapes of (target, confidence) of some of them."""
    target, confidence = guess
    if len(confidence.shape) != 1:
        raise ValueError("labels are renewed where they have one confidence an example, not parts")
    zeros = jax.tree.map(lambda x: jnp.zeros((pool, *x.shape[1:]), x.dtype), target)
    return Cache(zeros, jnp.zeros(pool), jnp.zeros(pool, bool))


def learnt(
    cache: Cache, index: jax.Array, target: Targets, weight: jax.Array
) -> tuple[Targets, jax.Array]:
    """(targets, weights) to learn from: those of the cache where they were renewed, else the given
    ones, filled up with 0 to the shapes of the cache.

    Args:
      index: int [B], places. target, weight: of the round.
    Raises: ValueError where a target is larger than what the network can say, or of another form.
    """
    chosen = cache.renewed[index]

    def pick(kept: jax.Array, now: jax.Array) -> jax.Array:
        size = kept.shape[1:]
        if now.ndim != kept.ndim or any(a > b for a, b in zip(now.shape[1:], size, strict=True)):
            raise ValueError(
                f"labels of shape {now.shape[1:]}, and the network says {size}: nothing to renew"
            )
        now = jnp.pad(
            now, [(0, 0), *((0, b - a) for a, b in zip(now.shape[1:], size, strict=True))]
        )
        return jnp.where(chosen.reshape(-1, *[1] * len(size)), kept[index], now.astype(kept.dtype))

    return jax.tree.map(pick, cache.target, target), jnp.where(chosen, cache.weight[index], weight)


def renew(
    cache: Cache,
    key: jax.Array,
    index: jax.Array,
    guess: tuple[Targets, jax.Array],
    *,
    given: jax.Array,
    prob: float,
) -> Cache:
    """The cache after a step: with probability `prob` the guess takes the place of a label, but
    never of one that a person has given, bool [B].

    What is drawn for an example is a function of the key and its index, so that one that is there
    twice is treated alike.
    """
    draw = jax.vmap(lambda i: jax.random.bernoulli(jax.random.fold_in(key, i), prob))
    fresh = draw(index) & ~given
    target, confidence = guess

    def put(kept: jax.Array, new: jax.Array) -> jax.Array:
        where = fresh.reshape(-1, *[1] * (kept.ndim - 1))
        return kept.at[index].set(jnp.where(where, new.astype(kept.dtype), kept[index]))

    said = (confidence > 0).astype(jnp.float32)
    return Cache(
        jax.tree.map(put, cache.target, target), put(cache.weight, said), put(cache.renewed, fresh)
    )
