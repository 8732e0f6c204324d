"""How alike two images are: PSNR and SSIM, larger is better.

Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
Similarity", 2004, IEEE TIP 13(4).

    PSNR = 10 log10(1 / MSE)
    SSIM = mean over pixels of
           (2 m_a m_b + C1) (2 c_ab + C2) / ((m_a^2 + m_b^2 + C1) (v_a + v_b + C2))

Means, variances and covariance are weighted by a Gaussian of sigma 1.5 on 11x11 pixels;
C1 = 0.01^2 and C2 = 0.03^2 for a range of 1. Windows that leave the image do not count, as in the
authors' code, and SSIM of a colour image is the mean over its channels.
"""

import chex
import jax
import jax.numpy as jnp

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr(a: jax.Array, b: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio in dB of images [B, H, W, C] in [0, 1]: [B].

    Equal images have 120 dB, the ratio of an error of 1e-6, in place of infinity.
    """
    a, b = _pair(a, b)
    error = jnp.mean((a - b) ** 2, axis=(1, 2, 3))
    return -10.0 * jnp.log10(jnp.maximum(error, 1e-12))


def ssim(a: jax.Array, b: jax.Array) -> jax.Array:
    """Structural similarity in [-1, 1] of images [B, H, W, C] in [0, 1], sides of 11 or more: [B].

    Raises: ValueError for smaller images.
    """
    a, b = _pair(a, b)
    if min(a.shape[1:3]) < _WINDOW:
        raise ValueError(f"SSIM needs images of {_WINDOW}x{_WINDOW} or larger, got {a.shape[1:3]}")
    mean_a, mean_b = _blur(a), _blur(b)
    var_a = _blur(a * a) - mean_a**2
    var_b = _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    alike = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    scale = (mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2)
    return jnp.mean(alike / scale, axis=(1, 2, 3))


def _blur(x: jax.Array) -> jax.Array:
    """Gaussian means of all windows inside: [B, H, W, C] -> [B, H - 10, W - 10, C]."""
    offset = jnp.arange(_WINDOW, dtype=jnp.float32) - _WINDOW // 2
    weight = jnp.exp(-0.5 * (offset / _SIGMA) ** 2)
    weight = weight / jnp.sum(weight)
    for axis in (1, 2):  # separable; slices, for a convolution would round on some devices
        length = x.shape[axis] - _WINDOW + 1
        parts = (jax.lax.slice_in_dim(x, i, i + length, axis=axis) for i in range(_WINDOW))
        x = jnp.asarray(sum(w * part for w, part in zip(weight, parts, strict=True)))
    return x


def _pair(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    chex.assert_equal_shape((a, b))
    chex.assert_rank(a, 4)
    return a.astype(jnp.float32), b.astype(jnp.float32)
