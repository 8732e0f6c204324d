"""The views of a batch with few labels and a pool (`ssljax.data.Few`), beside each other."""

from typing import Any

import jax
import jax.numpy as jnp

from ssljax.views.image import view_batch


def labelled_weak_strong(
    views: tuple[Any, Any], key: jax.Array, batch: dict[str, jax.Array]
) -> jax.Array:
    """Weak views of labelled images, weak and strong views of the pool: [B, 1 + 2 r, s, s, C].

    views: (weak, strong), of one size. batch: "image" [B, H, W, C] and "pool" [B, r, H, W, C]. The
    views of one row lie together, so that each device keeps those of its own images.
    """
    weak, strong = views
    first, *rest = jax.random.split(key, 3)
    parts = [view_batch(weak, first, batch["image"])[:, None]]
    parts += [pool_views(view, k, batch) for view, k in zip((weak, strong), rest, strict=True)]
    return jnp.concatenate(parts, axis=1)


def pool_views(view: Any, key: jax.Array, batch: dict[str, jax.Array]) -> jax.Array:
    """One view of each image of the pool, [B, r, s, s, C].

    Raises: ValueError where the batch has no pool.
    """
    if "pool" not in batch:
        raise ValueError(
            "this method learns from few labels and a pool without: set few=FewLabels(...) in the "
            "experiment, or wrap the data in data.Few"
        )
    pool = batch["pool"]
    x = view_batch(view, key, pool.reshape(-1, *pool.shape[2:]))
    return x.reshape(*pool.shape[:2], *x.shape[1:])
