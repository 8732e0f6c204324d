"""CutMix: a random rectangle of one picture laid over another, and of all that lies over pixels.

Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
2019, arXiv:1905.04899; for pixels French et al. 2020, arXiv:1906.01916.

    mixed(x)_i = box_i x_{i-1} + (1 - box_i) x_i

Picture, labels and weights are mixed by the same box. Where the authors of UniMatch draw again
until a rectangle fits, here its place is drawn among those where it fits.
"""

import jax
import jax.numpy as jnp


def cut_boxes(
    key: jax.Array,
    shape: tuple[int, ...],
    *,
    p: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    ratio: tuple[float, float] = (0.3, 1 / 0.3),
) -> jax.Array:
    """A rectangle for each of B pictures, bool [B, H, W], true inside; with probability 1 - p none.

    Its area is uniform in `area`, as a share of the picture, its height / width in `ratio`, and its
    place wherever it fits; a side that would be longer than the picture's is as long as that.

    shape: (B, H, W).
    """
    b, height, width = shape
    share, form, top, left, cut = jax.random.uniform(key, (5, b))
    pixels = (area[0] + share * (area[1] - area[0])) * height * width
    form = ratio[0] + form * (ratio[1] - ratio[0])
    h = jnp.minimum(jnp.floor(jnp.sqrt(pixels * form)), height)
    w = jnp.minimum(jnp.floor(jnp.sqrt(pixels / form)), width)
    top, left = jnp.floor(top * (height - h + 1)), jnp.floor(left * (width - w + 1))
    y, x = jnp.arange(height)[:, None], jnp.arange(width)
    top, left, h, w, cut = (v[:, None, None] for v in (top, left, h, w, cut))
    return (y >= top) & (y < top + h) & (x >= left) & (x < left + w) & (cut < p)


def cut_in(boxes: jax.Array, x: jax.Array) -> jax.Array:
    """What lies over pixels, [B, H, W, ...], with the part in each box [B, H, W] taken from the
    example before; the first takes from the last."""
    inside = boxes.reshape(*boxes.shape, *(1,) * (x.ndim - 3))
    return jnp.where(inside, jnp.roll(x, 1, axis=0), x)
