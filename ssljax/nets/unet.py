"""U-Net: maps of falling size, and a way back up that sees each of them once more.

Ronneberger, Fischer, Brox, "U-Net", 2015, arXiv:1505.04597.

    y <- F([up(y), level]),  level = the encoder's maps, from the coarsest to the finest

`UNetDecoder` is a head for any encoder with `levels`, so that a pretrained `ResNet` goes in; with
its fields as they are, the two are segmentation-models-pytorch's `Unet`. `UNetEncoder` with
`UNetDecoder(widths=(512, 256, 128, 64), up="learnt", norm=False)` is the network of the paper. It
differs: borders are padded with zeros, so that the logits are as large as the image, and the last
convolution is 3x3.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import check_images
from ssljax.nets.resnet import _conv, _norm


class Twice(nn.Module):
    """Two 3x3 convolutions, each with batch norm or a bias, and ReLU:
    `[B, H, W, C]` -> `[B, H, W, width]`."""

    width: int
    """Channels of both."""
    norm: bool
    """Batch norm in place of a bias."""
    dtype: str
    """Compute dtype."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        for i in (1, 2):
            if self.norm:
                x = _conv(self.width, 3, dtype=self.dtype, name=f"conv{i}_0")(x)
                x = _norm(train=train, dtype=self.dtype, name=f"conv{i}_1")(x)
            else:
                x = _biased(self.width, dtype=self.dtype, name=f"conv{i}_0")(x)
            x = nn.relu(x)
        return x


class UNetEncoder(nn.Module):
    """The left side of the U: images `[B, H, W, C]` -> pooled features `[B, widths[-1]]` float32.

    Each stage but the first halves the maps, and leaves out a last odd row or column. Raises
    ValueError for images that become nothing.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Channels of each stage."""
    norm: bool = False
    """Batch norm behind each convolution, which the paper has not."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.maps(x, train).mean((1, 2))

    def maps(self, x: jax.Array, train: bool = False) -> jax.Array:
        """What is pooled into the features: `[B, h, w, D]` float32."""
        return self.levels(x, train)[-1]

    @nn.compact
    def levels(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
        """The images and the maps of each stage, float32, at strides 1, 1, 2, 4, ..."""
        check_images(x, "UNetEncoder")
        least = 2 ** (len(self.widths) - 1)
        if min(x.shape[1:3]) < least:
            raise ValueError(
                f"UNetEncoder with {len(self.widths)} stages needs images of {least} pixels and "
                f"more, not {x.shape[1]}x{x.shape[2]}: give fewer widths"
            )
        found = [x]
        for i, width in enumerate(self.widths):
            x = nn.max_pool(x, (2, 2), strides=(2, 2)) if i else x
            x = Twice(width=width, norm=self.norm, dtype=self.dtype, name=f"stages_{i}")(x, train)
            found.append(x)
        return tuple(level.astype(jnp.float32) for level in found)


class UNetDecoder(nn.Module):
    """The right side of the U: `levels` of an encoder -> logits `[B, H, W, classes]` float32.

    The first of the levels is the image, which only says how large the logits are. Maps that do not
    halve evenly are enlarged to the size of the next finer ones.
    """

    classes: int
    """Number of logits of a pixel."""
    widths: tuple[int, ...] = (256, 128, 64, 32, 16)
    """Channels of each block: one for each level but the coarsest, and where those levels are
    smaller than the image one more, in which no level is seen."""
    up: Literal["nearest", "learnt"] = "nearest"
    """How maps are enlarged: pixels are repeated, or by a 2x2 transposed convolution to the width
    of the block (the paper's)."""
    norm: bool = True
    """Batch norm behind each convolution."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    @nn.compact
    def __call__(self, levels: tuple[jax.Array, ...], train: bool = False) -> jax.Array:
        image, *skips, y = levels
        skips = [*reversed(skips), None][: len(self.widths)]
        last = image if skips[-1:] == [None] else skips[-1] if skips else y
        if len(skips) != len(self.widths) or last.shape[1:3] != image.shape[1:3]:
            raise ValueError(
                f"UNetDecoder has {len(self.widths)} widths, and this encoder needs "
                f"{len(levels) - 1} or, if its first maps are as large as the image, "
                f"{len(levels) - 2}"
            )
        for i, (width, skip) in enumerate(zip(self.widths, skips, strict=True)):
            size = (image if skip is None else skip).shape[1:3]
            if self.up == "learnt":
                y = nn.ConvTranspose(
                    width, (2, 2), (2, 2), dtype=jnp.dtype(self.dtype), name=f"up_{i}"
                )(y)
            y = _enlarged(y, size)
            if skip is not None:
                y = jnp.concatenate([y, skip.astype(y.dtype)], axis=-1)
            y = Twice(width=width, norm=self.norm, dtype=self.dtype, name=f"blocks_{i}")(y, train)
        return _biased(self.classes, dtype=self.dtype, name="out")(y).astype(jnp.float32)


def _biased(features: int, *, dtype: str, name: str) -> nn.Conv:
    """A 3x3 convolution with a bias that keeps the size."""
    return nn.Conv(
        features,
        (3, 3),
        padding=((1, 1), (1, 1)),
        kernel_init=nn.initializers.variance_scaling(2.0, "fan_in", "normal"),
        dtype=jnp.dtype(dtype),
        name=name,
    )


def _enlarged(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """[B, h, w, C] to [B, *size, C] by the nearest pixel above and to the left, as torch has it."""
    for axis, (new, old) in enumerate(zip(size, x.shape[1:3], strict=True), start=1):
        if new % old == 0:
            x = jnp.repeat(x, new // old, axis=axis) if new > old else x
        else:
            x = jnp.take(x, jnp.arange(new) * old // new, axis=axis)
    return x
