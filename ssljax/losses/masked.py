"""Errors on hidden patches, and what the patches of an image are.

    L = sum over hidden patches of mean_d e(prediction, target)  /  number of hidden patches

with one ratio for the whole batch, not a mean over images of their means. e is the squared error
in MAE (He et al. 2021, arXiv:2111.06377), the absolute one in SimMIM (Xie et al. 2021,
arXiv:2111.09886) and the smooth L1 in data2vec (Baevski et al. 2022, arXiv:2202.03555) and I-JEPA
(Assran et al. 2023, arXiv:2301.08243).
"""

import chex
import jax
import jax.numpy as jnp


def patchify(images: jax.Array, patch: int) -> jax.Array:
    """Images [B, H, W, C] -> patches [B, N, patch * patch * C].

    Patches and their pixels are in order row by row, the channels of a pixel side by side.
    """
    b, h, w, c = images.shape
    x = jnp.asarray(images).reshape(b, h // patch, patch, w // patch, patch, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, -1, patch * patch * c)


def unpatchify(patches: jax.Array, patch: int, *, height: int, width: int) -> jax.Array:
    """Patches [B, N, patch * patch * C] -> images [B, height, width, C], inverse of `patchify`."""
    b = patches.shape[0]
    x = patches.reshape(b, height // patch, width // patch, patch, patch, -1)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, height, width, -1)


def tubes_of(clips: jax.Array, tube: int, patch: int) -> jax.Array:
    """Clips [B, T, H, W, C] -> tubes [B, N, tube * patch * patch, C], through time, rows and
    columns, and so the pixels of each.
    """
    b, t, h, w, c = clips.shape
    x = clips.reshape(b, t // tube, tube, h // patch, patch, w // patch, patch, c)
    return x.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(b, -1, tube * patch * patch, c)


def clips_of(tubes: jax.Array, tube: int, patch: int, *, shape: tuple[int, ...]) -> jax.Array:
    """The inverse of `tubes_of`. shape: of the clips, [B, T, H, W, C]."""
    b, t, h, w, c = shape
    x = tubes.reshape(b, t // tube, h // patch, w // patch, tube, patch, patch, c)
    return x.transpose(0, 1, 4, 2, 5, 3, 6, 7).reshape(shape)


def patch_statistics(patches: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and deviation of patches, two of [B, N, 1]: sqrt(var + 1e-6), var over D - 1."""
    x = patches.astype(jnp.float32)
    variance = jnp.var(x, axis=-1, keepdims=True, ddof=1)
    return jnp.mean(x, axis=-1, keepdims=True), jnp.sqrt(variance + 1e-6)


def masked_mse(prediction: jax.Array, target: jax.Array, mask: jax.Array) -> jax.Array:
    """Squared error, see `_masked_mean`."""
    d = _difference(prediction, target)
    return _masked_mean(d * d, mask)


def masked_mae(prediction: jax.Array, target: jax.Array, mask: jax.Array) -> jax.Array:
    """Absolute error, see `_masked_mean`."""
    return _masked_mean(jnp.abs(_difference(prediction, target)), mask)


def masked_smooth_l1(
    prediction: jax.Array, target: jax.Array, mask: jax.Array, *, beta: float = 1.0
) -> jax.Array:
    """Smooth L1: d^2 / (2 beta) where |d| < beta, else |d| - beta / 2. See `_masked_mean`."""
    d = jnp.abs(_difference(prediction, target))
    return _masked_mean(jnp.where(d < beta, 0.5 * d * d / beta, d - 0.5 * beta), mask)


def standardize(x: jax.Array) -> jax.Array:
    """LayerNorm without scale and bias over the last axis, eps 1e-5, in float32."""
    x = x.astype(jnp.float32)
    x = x - jnp.mean(x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-5)


def layer_targets(layers: jax.Array) -> jax.Array:
    """data2vec's targets from the outputs of the top blocks: [L, ..., D] -> [..., D].

    Each is standardised, then their mean is, without a gradient.
    """
    mean = jnp.mean(standardize(layers), axis=0)
    return jax.lax.stop_gradient(standardize(mean))


def _difference(prediction: jax.Array, target: jax.Array) -> jax.Array:
    chex.assert_equal_shape((prediction, target))
    chex.assert_rank(prediction, 3)
    return prediction.astype(jnp.float32) - target.astype(jnp.float32)


def _masked_mean(error: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean of the error [B, N, D] over the patches where the bool `mask` [B, N] is true."""
    chex.assert_shape(mask, error.shape[:2])
    mask = mask.astype(jnp.float32)
    return jnp.sum(jnp.mean(error, axis=-1) * mask) / jnp.maximum(jnp.sum(mask), 1.0)
