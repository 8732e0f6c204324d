"""Style as the statistics of feature maps, whatever their place.

    AdaIN(c, s) = std(s) (c - mean(c)) / std(c) + mean(s)        each channel of each image
    L_style = sum over levels of  |mean(g) - mean(s)|^2 + |std(g) - std(s)|^2
    Gram(f) = f^T f / (H W C)                                      [C, C]

Huang, Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", 2017,
arXiv:1703.06868, equations 8 and 13; Gatys, Ecker, Bethge, "A Neural Algorithm of Artistic Style",
2015, arXiv:1508.06576 (its style loss is the distance of Gram matrices).
"""

import chex
import jax
import jax.numpy as jnp

_EPS = 1e-5  # on the variance, as in the authors' code


def moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation over space: [B, H, W, C] -> two of [B, 1, 1, C]."""
    chex.assert_rank(x, 4)
    x = x.astype(jnp.float32)
    mean = jnp.mean(x, axis=(1, 2), keepdims=True)
    variance = jnp.mean((x - mean) ** 2, axis=(1, 2), keepdims=True)
    return mean, jnp.sqrt(variance + _EPS)


def adain(content: jax.Array, style: jax.Array) -> jax.Array:
    """Maps of `content` with the moments of `style`, both [B, h, w, C] with sides of their own."""
    (mean_c, std_c), (mean_s, std_s) = moments(content), moments(style)
    return std_s * (content - mean_c) / std_c + mean_s


def moment_distance(a: jax.Array, b: jax.Array) -> jax.Array:
    """Mean squared difference of means plus that of standard deviations: scalar.

    Args:
      a, b: maps [B, h, w, C] of one level.
    """
    (mean_a, std_a), (mean_b, std_b) = moments(a), moments(b)
    return jnp.mean((mean_a - mean_b) ** 2) + jnp.mean((std_a - std_b) ** 2)


def gram(x: jax.Array) -> jax.Array:
    """Gram matrices: maps [B, H, W, C] -> [B, C, C]."""
    chex.assert_rank(x, 4)
    b, h, w, c = x.shape
    rows = x.astype(jnp.float32).reshape(b, h * w, c)
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("bnc,bnd->bcd", rows, rows, precision=exact) / (h * w * c)
