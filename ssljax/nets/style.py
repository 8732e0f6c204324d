"""A convolutional encoder whose feature maps at every scale are for use: style is read from them.

    [conv 3x3, ReLU] [2x2 pooling, conv 3x3, ReLU] ...  ->  one level of maps from each

The places of VGG-19's relu1_1, relu2_1, ... that style transfer reads, in few layers. Borders are
reflected, as in the decoders of that literature: zeros would draw a frame.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import check_images


def _conv(x: jax.Array, features: int, *, dtype: str, name: str) -> jax.Array:
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    layer = nn.Conv(
        features,
        (3, 3),
        padding="VALID",
        kernel_init=nn.initializers.he_normal(),
        dtype=jnp.dtype(dtype),
        name=name,
    )
    return layer(x)


class StyleEncoder(nn.Module):
    """Images `[B, H, W, C]` -> moments of the last maps `[B, 2 widths[-1]]` float32."""

    widths: tuple[int, ...] = (32, 64, 128)
    """Channels of each level; every level but the first halves the image."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        last = self.levels(x, train)[-1]
        return jnp.concatenate([last.mean((1, 2)), last.std((1, 2))], axis=1)

    @nn.compact
    def levels(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
        """Maps of all levels, fine to coarse, each `[B, h, w, C]` float32."""
        del train  # nothing here behaves differently in training
        check_images(x, "StyleEncoder")
        maps = []
        for i, width in enumerate(self.widths, start=1):
            if i > 1:
                x = nn.max_pool(x, (2, 2), strides=(2, 2))
            x = nn.relu(_conv(x, width, dtype=self.dtype, name=f"conv{i}"))
            maps.append(x.astype(jnp.float32))
        return tuple(maps)


class StyleDecoder(nn.Module):
    """Maps `[B, h, w, C]` -> images `[B, H, W, channels]` float32, unbounded; no norm anywhere."""

    channels: int = 3
    """Channels of the image."""
    widths: tuple[int, ...] = (64, 32)
    """Channels before each doubling, one fewer than the encoder has levels."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        del train
        for i, width in enumerate(self.widths, start=1):
            x = nn.relu(_conv(x, width, dtype=self.dtype, name=f"conv{i}"))
            x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
        x = nn.relu(_conv(x, self.widths[-1], dtype=self.dtype, name="mix"))
        return _conv(x.astype(jnp.float32), self.channels, dtype="float32", name="image")
