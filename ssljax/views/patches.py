"""Pieces of an image for pretext tasks, and what hides the cues by which they could be cheated.

Noroozi, Favaro, "Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles", 2016,
arXiv:1603.09246; Doersch, Gupta, Efros, "Unsupervised Visual Representation Learning by Context
Prediction", 2015, arXiv:1505.05192.

Edges that go on across a border, the colours at which a lens focuses differently towards the edge,
and the brightness of a whole piece all say where a piece came from: hence gaps, jitter, one channel
or a projection of the colours, and pieces standardised one by one.
"""

import jax
import jax.numpy as jnp


def cut(image: jax.Array, corners: jax.Array, *, size: int) -> jax.Array:
    """Squares of [H, W, C] with the given (top, left) corners [N, 2]: [N, size, size, C]."""
    shape = (size, size, image.shape[-1])
    return jax.vmap(lambda at: jax.lax.dynamic_slice(image, (at[0], at[1], 0), shape))(corners)


def tiles(image: jax.Array, *, grid: int, size: int, key: jax.Array | None = None) -> jax.Array:
    """A tile out of each cell of a grid, row by row: [S, S, C] -> [grid^2, size, size, C].

    Each lies at random in its cell, so that neighbours do not touch; without a key in its middle.
    Raises: ValueError where a tile is larger than a cell.
    """
    cell = image.shape[0] // grid
    if size > cell:
        raise ValueError(f"tiles of {size} pixels do not fit into cells of {cell}")
    row, column = jnp.divmod(jnp.arange(grid * grid), grid)
    corners = cell * jnp.stack([row, column], axis=1)
    free = cell - size
    if key is None:
        return cut(image, corners + free // 2, size=size)
    return cut(image, corners + jax.random.randint(key, corners.shape, 0, free + 1), size=size)


def patches(
    image: jax.Array, *, size: int, gap: int, jitter: int, key: jax.Array | None = None
) -> jax.Array:
    """Nine patches around each other, row by row: [S, S, C] -> [9, size, size, C].

    `gap` pixels lie between them, each moves by up to `jitter` in either direction but not out of
    the image, and all nine together lie anywhere in it; without a key all is in the middle.
    Raises: ValueError where the image is too small.
    """
    side, free = image.shape[0], image.shape[0] - 3 * size - 2 * gap
    if free < 0:
        raise ValueError(
            f"an image of {side} pixels is too small for three patches of {size} and gaps of {gap}"
        )
    row, column = jnp.divmod(jnp.arange(9), 3)
    corners = (size + gap) * jnp.stack([row, column], axis=1)
    if key is None:
        return cut(image, corners + free // 2, size=size)
    place, shake = jax.random.split(key)
    corners = corners + jax.random.randint(place, (2,), 0, free + 1)
    corners = corners + jax.random.randint(shake, corners.shape, -jitter, jitter + 1)
    return cut(image, jnp.clip(corners, 0, side - size), size=size)


def standardize(x: jax.Array) -> jax.Array:
    """Mean 0 and deviation 1 of each piece [..., h, w, C], over its pixels and channels."""
    axes = (-3, -2, -1)
    x = x - jnp.mean(x, axis=axes, keepdims=True)
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=axes, keepdims=True) + 1e-6)


def one_channel(key: jax.Array, x: jax.Array) -> jax.Array:
    """One channel of a piece [h, w, C], without its mean; weak noise in place of the others."""
    if x.shape[-1] == 1:
        return x
    which, draw = jax.random.split(key)
    kept = jnp.arange(x.shape[-1]) == jax.random.randint(which, (), 0, x.shape[-1])
    noise = jax.random.uniform(draw, x.shape, minval=-0.5, maxval=0.5) / 255
    return jnp.where(kept, x - jnp.mean(x, axis=(0, 1)), noise)


def without_green(x: jax.Array) -> jax.Array:
    """Colours [..., 3] projected along the axis from green to magenta, (-1, 2, -1)."""
    if x.shape[-1] == 1:
        return x
    r, g, b = x[..., :1], x[..., 1:2], x[..., 2:]
    along = (2 * g - r - b) / 6
    return jnp.concatenate([r + along, g - 2 * along, b + along], axis=-1)
