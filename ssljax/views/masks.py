"""Which patches of an image are hidden or left out, as pure functions of a random key.

Blocks: Bao et al., "BEiT", 2021, arXiv:2106.08254, algorithm 1; iBOT and DINOv2 use it as well.
"""

import jax
import jax.numpy as jnp

# Blocks in a row that do not fit before a mask stays as it is.
TRIES = 10
# Extremes of the height of a block over its width, or the other way round.
ASPECT = 0.3


def block_mask(
    key: jax.Array, count: jax.Array, *, grid: tuple[int, int], smallest: int
) -> jax.Array:
    """A mask made of random rectangles, bool [rows * columns], true where a patch is hidden.

    Each block has an area uniform between `smallest` and what is still missing, and a logarithm of
    its aspect that is uniform; one that covers nothing new, too much, or a whole side of the grid
    is drawn again, and after ten of those in a row the mask remains smaller than asked.

    Args:
      count: how many patches at most.
      grid: rows and columns of patches.
      smallest: smallest area that is drawn, in patches.
    """
    rows, columns = grid
    row, column = jnp.arange(rows)[:, None], jnp.arange(columns)

    def missing(mask: jax.Array) -> jax.Array:
        return count - jnp.sum(mask)

    def unfinished(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        _, mask, failures = carry
        return (missing(mask) > 0) & (failures < TRIES)

    def draw(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple:
        key, mask, failures = carry
        key, now = jax.random.split(key)
        size, shape, top, left = jax.random.uniform(now, (4,))
        most = missing(mask)
        area = smallest + size * (most - smallest)
        aspect = jnp.exp((2 * shape - 1) * jnp.log(ASPECT))
        h, w = jnp.round(jnp.sqrt(area * aspect)), jnp.round(jnp.sqrt(area / aspect))
        top, left = jnp.floor(top * (rows - h + 1)), jnp.floor(left * (columns - w + 1))
        inside = (row >= top) & (row < top + h) & (column >= left) & (column < left + w)
        new = jnp.sum(inside & ~mask)
        fits = (h < rows) & (w < columns) & (new > 0) & (new <= most)
        return key, jnp.where(fits, mask | inside, mask), jnp.where(fits, 0, failures + 1)

    start = (key, jnp.zeros(grid, bool), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(unfinished, draw, start)[1].reshape(-1)


def block_masks(
    key: jax.Array, counts: jax.Array, *, grid: tuple[int, int], smallest: int
) -> jax.Array:
    """A `block_mask` for each of `counts` [...], independent of each other: bool [..., N]."""

    def one(index: jax.Array, count: jax.Array) -> jax.Array:
        key_mask = jax.random.fold_in(key, index)
        return block_mask(key_mask, count, grid=grid, smallest=smallest)

    masks = jax.vmap(one)(jnp.arange(counts.size), counts.reshape(-1))
    return masks.reshape(*counts.shape, -1)


def spread_counts(
    key: jax.Array, images: int, *, patches: int, share: float, ratio: tuple[float, float]
) -> jax.Array:
    """DINOv2's numbers of hidden patches, int32 [images]: a `share` of the images, in random order,
    has masks whose ratios cover `ratio` evenly; the others have none.
    """
    key_order, key_ratio = jax.random.split(key)
    masked = int(images * share)
    bounds = jnp.linspace(*ratio, masked + 1)
    low, high = bounds[:-1], bounds[1:]
    drawn = low + jax.random.uniform(key_ratio, (masked,)) * (high - low)
    counts = jnp.floor(patches * drawn).astype(jnp.int32)
    return jax.random.permutation(key_order, jnp.pad(counts, (0, images - masked)))


def hidden_first(mask: jax.Array, most: int) -> tuple[jax.Array, jax.Array]:
    """The hidden patches of masks [B, N] that hide at most `most` patches each.

    Returns: (indices [B, most] of all hidden patches and then of others; bool [B, most], true where
      it is a hidden one).
    """
    index = jnp.argsort(~mask, axis=1, stable=True)[:, :most]
    return index, jnp.take_along_axis(mask, index, axis=1)


def random_keep(key: jax.Array, images: int, *, patches: int, keep: int) -> jax.Array:
    """Which `keep` of the patches stay, at random for each image: int32 [images, keep]."""
    noise = jax.random.uniform(key, (images, patches))
    return jnp.argsort(noise, axis=1)[:, :keep]
