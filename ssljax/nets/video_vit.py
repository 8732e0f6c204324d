"""Vision transformer over tubes of a clip: pre-norm blocks, fixed positions, no class token.

Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video
Pre-Training", 2022, arXiv:2203.12602.

A tube is a square patch of `tube` frames. Positions are sines and cosines of the number of a tube,
counted through time, rows and columns: sin(n w) and cos(n w) side by side, w = 10000^(-2i/dim).
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.blocks import TransformerBlock, layer_norm
from ssljax.nets.start import uniform_bias, uniform_kernel


def counted_positions(count: int, dim: int) -> jax.Array:
    """Fixed positions of tubes, float32 `[count, dim]`. Raises: ValueError for an odd dim."""
    if dim % 2:
        raise ValueError(f"positions of tubes need an even width, got {dim}")
    frequency = 10000.0 ** (-2 * jnp.arange(dim // 2, dtype=jnp.float32) / dim)
    angle = jnp.arange(count, dtype=jnp.float32)[:, None] * frequency
    return jnp.stack([jnp.sin(angle), jnp.cos(angle)], axis=-1).reshape(count, dim)


class VideoViT(nn.Module):
    """Clips `[B, T, H, W, C]` -> `[B, width]` float32, the mean of the tubes after the last norm.

    Raises: ValueError for other input, and for clips that tubes do not divide.
    """

    patch: int = 16
    """Side of a tube in pixels."""
    tube: int = 2
    """Frames of a tube."""
    width: int = 384
    """Width of a token."""
    depth: int = 12
    """Number of blocks."""
    heads: int = 6
    """Attention heads; the width must be divisible by it."""
    mlp_ratio: int = 4
    """Hidden width of the feedforward parts, in widths of a token."""
    eps: float = 1e-6
    """Added to the variance in the norms."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.tokens(x, train).mean(1)

    @nn.nowrap
    def grid(self, x: jax.Array) -> tuple[int, int, int]:
        """Tubes of clips `[B, T, H, W, C]` along time, height and width."""
        return x.shape[1] // self.tube, x.shape[2] // self.patch, x.shape[3] // self.patch

    @nn.compact
    def tokens(
        self, x: jax.Array, train: bool = False, *, keep: jax.Array | None = None
    ) -> jax.Array:
        """All tubes after the last norm, `[B, N, width]` float32.

        keep: int32 `[B, K]`, the tubes that stay, in this order; the result is `[B, K, width]`.
        """
        del train  # nothing here behaves differently in training
        self._check(x)
        shape = (self.tube, self.patch, self.patch)
        pixels = self.tube * self.patch**2 * x.shape[-1]
        x = nn.Conv(
            self.width,
            shape,
            strides=shape,
            padding="VALID",
            dtype=jnp.dtype(self.dtype),
            kernel_init=uniform_kernel,
            bias_init=uniform_bias(pixels),
            name="patch_embed",
        )(x).reshape(len(x), -1, self.width)
        x = x + counted_positions(x.shape[1], self.width).astype(x.dtype)
        if keep is not None:
            x = jnp.take_along_axis(x, keep[..., None], axis=1)
        for i in range(self.depth):
            x = TransformerBlock(
                heads=self.heads,
                hidden=self.mlp_ratio * self.width,
                dtype=self.dtype,
                eps=self.eps,
                name=f"blocks_{i}",
            )(x, None)
        return layer_norm(dtype=self.dtype, name="norm", eps=self.eps)(x).astype(jnp.float32)

    def _check(self, x: jax.Array) -> None:
        if x.ndim != 5:
            raise ValueError(f"VideoViT takes clips [B, T, H, W, C], got {x.shape}")
        t, h, w = x.shape[1:4]
        if not (t and h and w) or t % self.tube or h % self.patch or w % self.patch:
            raise ValueError(
                f"a clip of {t} frames of {h}x{w} is not divisible into tubes of {self.tube} "
                f"frames of {self.patch}x{self.patch}: resize it, or choose other tubes"
            )
        if self.width % self.heads:
            raise ValueError(f"the width {self.width} is not divisible by {self.heads} heads")
