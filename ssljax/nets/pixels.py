"""From the maps of an encoder back to pixels: convolution, batch norm, ReLU, twice the size."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp


class PixelHead(nn.Module):
    """Maps `[B, h, w, D]` -> `[B, 2^n h, 2^n w, outputs]` float32, n = len(widths)."""

    outputs: int
    """Numbers for each pixel."""
    widths: tuple[int, ...] = (128,)
    """Channels of each convolution; each is followed by doubling the size (nearest)."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        if x.ndim != 4:
            raise ValueError(f"PixelHead takes maps [B, h, w, D], got an array of shape {x.shape}")
        dtype = jnp.dtype(self.dtype)
        for i, width in enumerate(self.widths, start=1):
            x = nn.Conv(width, (3, 3), use_bias=False, dtype=dtype, name=f"conv{i}")(x)
            x = nn.BatchNorm(
                use_running_average=not train,
                momentum=0.9,
                epsilon=1e-5,
                dtype=dtype,
                name=f"bn{i}",
            )(x)
            b, h, w, c = x.shape
            x = jax.image.resize(nn.relu(x), (b, 2 * h, 2 * w, c), "nearest")
        return nn.Conv(self.outputs, (1, 1), dtype=dtype, name="outputs")(x).astype(jnp.float32)
