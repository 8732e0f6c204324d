"""Squares and blocks of patches that are hidden or predicted, as pure functions of a random key.

Squares: Xie et al., "SimMIM: A Simple Framework for Masked Image Modeling", 2021, arXiv:2111.09886.
Blocks: Assran et al., "Self-Supervised Learning from Images with a Joint-Embedding Predictive
Architecture", 2023, arXiv:2301.08243, section 3; sizes as in the authors' code.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ssljax.views.masks import hidden_first

# Sizes of blocks that are told apart along the one uniform draw that decides about them.
POINTS = 1024
# Places of a context block that are tried before it may overlap a target.
TRIES = 20


def square_masks(
    key: jax.Array, images: int, *, grid: tuple[int, int], square: int, ratio: float
) -> jax.Array:
    """SimMIM's masks: a share of the squares that tile an image, bool [images, rows * columns].

    Args:
      grid: rows and columns of patches, both multiples of `square`.
      square: side of a square in patches.
      ratio: share of the squares that is hidden, rounded up.
    """
    if grid[0] % square or grid[1] % square:
        raise ValueError(f"squares of {square} patches do not tile a grid of {grid[0]}x{grid[1]}")
    rows, columns = grid[0] // square, grid[1] // square
    rank = jnp.argsort(jax.random.uniform(key, (images, rows * columns)), axis=1)
    mask = (rank < math.ceil(rows * columns * ratio)).reshape(images, rows, columns)
    return jnp.repeat(jnp.repeat(mask, square, axis=1), square, axis=2).reshape(images, -1)


class Blocks(NamedTuple):
    """Patches of I-JEPA's context and targets; entries that are not valid only fill up.

    context, context_valid: int32 and bool [B, K].
    targets, targets_valid: int32 and bool [B, M, T].
    """

    context: jax.Array
    context_valid: jax.Array
    targets: jax.Array
    targets_valid: jax.Array


def block_sizes(
    grid: tuple[int, int], *, scale: tuple[float, float], aspect: tuple[float, float]
) -> list[tuple[int, int]]:
    """Heights and widths in patches along one uniform draw, which decides about area *and* aspect.

    Both stay below the sides of the grid.
    """
    sizes = []
    for i in range(POINTS):
        u = (i + 0.5) / POINTS
        area = int(grid[0] * grid[1] * (scale[0] + u * (scale[1] - scale[0])))
        ratio = aspect[0] + u * (aspect[1] - aspect[0])
        height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        sizes.append((min(height, grid[0] - 1), min(width, grid[1] - 1)))
    return sizes


def jepa_blocks(
    key: jax.Array,
    images: int,
    *,
    grid: tuple[int, int],
    targets: int,
    target_scale: tuple[float, float],
    target_aspect: tuple[float, float],
    context_scale: tuple[float, float],
    smallest: int,
    most: int,
) -> Blocks:
    """I-JEPA's target blocks, and a square context block without the patches of all targets.

    Sizes are drawn once and shared by the images, places are drawn for each. A context that is left
    with no more than `smallest` patches is placed again, and then may overlap the last targets.

    Args:
      grid: rows and columns of patches.
      targets: target blocks of an image, M.
      target_scale, context_scale: smallest and largest area, as fractions of the image.
      target_aspect: smallest and largest height over width.
      most: patches of a context at most, K; the last ones, row by row, are dropped.
    """
    sizes = block_sizes(grid, scale=target_scale, aspect=target_aspect)
    context_sizes = block_sizes(grid, scale=context_scale, aspect=(1.0, 1.0))
    if min(h * w for h, w in context_sizes) <= smallest or min(map(min, sizes)) < 1:
        raise ValueError(
            f"a grid of {grid[0]}x{grid[1]} patches is too small for contexts of more than "
            f"{smallest} patches: use smaller patches or larger images"
        )
    key_size, key_context_size, key_place, key_context_place = jax.random.split(key, 4)
    blocks = _place(key_place, _draw(key_size, sizes), grid, (images, targets))
    tries = _place(key_context_place, _draw(key_context_size, context_sizes), grid, (images, TRIES))
    # What no target covers, of the first M, M - 1, ..., 0 targets
    free = jnp.cumsum(blocks, axis=1) == 0
    free = jnp.concatenate([free[:, ::-1], jnp.ones_like(free[:, :1])], axis=1)
    left = jnp.einsum("bmn,brn->bmr", free.astype(jnp.float32), tries.astype(jnp.float32))
    first = jnp.argmax((left > smallest).reshape(images, -1), axis=1)
    image, (m, r) = jnp.arange(images), jnp.divmod(first, TRIES)
    context, context_valid = hidden_first(free[image, m] & tries[image, r], most)
    length = max(h * w for h, w in sizes)
    inside, valid = hidden_first(blocks.reshape(images * targets, -1), length)
    shape = (images, targets, length)
    return Blocks(context, context_valid, inside.reshape(shape), valid.reshape(shape))


def hide(images: jax.Array, mask: jax.Array, *, patch: int) -> jax.Array:
    """Images [B, H, W, C] with zeros in the patches where the bool `mask` [B, N] is true."""
    b, h, w, _ = images.shape
    grid = mask.reshape(b, h // patch, w // patch, 1)
    return jnp.where(jnp.repeat(jnp.repeat(grid, patch, axis=1), patch, axis=2), 0.0, images)


def _draw(key: jax.Array, sizes: list[tuple[int, int]]) -> jax.Array:
    return jnp.asarray(sizes)[jax.random.randint(key, (), 0, len(sizes))]


def _place(
    key: jax.Array, size: jax.Array, grid: tuple[int, int], shape: tuple[int, int]
) -> jax.Array:
    """Blocks of one size (height, width) in random places: bool [*shape, rows * columns]."""
    spots = jax.random.uniform(key, (2, *shape, 1, 1))
    ends = jnp.asarray(grid) - size + 1
    top, left = jnp.floor(spots[0] * ends[0]), jnp.floor(spots[1] * ends[1])
    row, column = jnp.arange(grid[0])[:, None], jnp.arange(grid[1])
    inside = (row >= top) & (row < top + size[0]) & (column >= left) & (column < left + size[1])
    return inside.reshape(*shape, -1)
