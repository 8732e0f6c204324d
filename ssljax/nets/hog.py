"""Histograms of oriented gradients: the edges of an image, whatever the light.

Dalal and Triggs 2005, "Histograms of Oriented Gradients for Human Detection", CVPR. The gradient of
a pixel is [-1, 0, 1] in both directions, of the channel where it is longest; the border is
repeated. A cell of pixels adds up the lengths of its gradients by direction without sign, each
shared between the two nearest bins. A block of 2 x 2 cells is normalised by L2-Hys: to length 1,
cut at 0.2, to length 1 again; blocks overlap by a cell. Pixels do not share their votes between
cells.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import check_images

_CUT = 0.2


def hog(x: jax.Array, *, cell: int = 4, bins: int = 9) -> jax.Array:
    """Images `[B, H, W, C]` -> `[B, H / cell - 1, W / cell - 1, 4 * bins]` float32 between 0 and 1.

    cell: side of a cell in pixels. bins: directions, of which the first is centred on 0 degrees.
    Raises: ValueError for other input, and where a side is not two or more cells.
    """
    check_images(x, "HOG")
    b, height, width, _ = x.shape
    if height % cell or width % cell or min(height, width) < 2 * cell:
        raise ValueError(
            f"HOG: {height} x {width} pixels cannot be cut into cells of {cell}, and at least two "
            "cells along each side"
        )
    x = jnp.pad(x.astype(jnp.float32), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    down, right = x[:, 2:, 1:-1] - x[:, :-2, 1:-1], x[:, 1:-1, 2:] - x[:, 1:-1, :-2]
    longest = jnp.argmax(down**2 + right**2, axis=-1, keepdims=True)
    down, right = (jnp.take_along_axis(v, longest, axis=-1)[..., 0] for v in (down, right))
    at = jnp.mod(jnp.arctan2(down, right), jnp.pi) / jnp.pi * bins
    apart = jnp.abs(at[..., None] - jnp.arange(bins))
    votes = jnp.maximum(1.0 - jnp.minimum(apart, bins - apart), 0.0)
    votes = votes * jnp.hypot(down, right)[..., None]
    cells = votes.reshape(b, height // cell, cell, width // cell, cell, bins).sum((2, 4))
    four = cells[:, :-1, :-1], cells[:, :-1, 1:], cells[:, 1:, :-1], cells[:, 1:, 1:]
    block = _unit(jnp.concatenate(four, axis=-1))
    return _unit(jnp.minimum(block, _CUT))


def _unit(x: jax.Array) -> jax.Array:
    return x / jnp.sqrt((x**2).sum(-1, keepdims=True) + 1e-6)


class HOG(nn.Module):
    """A network that sees histograms of oriented gradients in place of pixels.

    Images `[B, H, W, C]` or clips `[B, T, H, W, C]`, float -> what `body` makes of `hog` of them,
    frame by frame. Nothing of the histograms is learnt, and no gradient passes through them.
    """

    body: nn.Module | None = None
    """None: the histograms themselves, in a row."""
    cell: int = 4
    """Side of a cell in pixels."""
    bins: int = 9
    """Directions."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        frames = x.reshape(-1, *x.shape[-3:])
        seen = jax.lax.stop_gradient(hog(frames, cell=self.cell, bins=self.bins))
        seen = seen.reshape(*x.shape[:-3], *seen.shape[1:])
        return seen.reshape(len(x), -1) if self.body is None else self.body(seen, train)
