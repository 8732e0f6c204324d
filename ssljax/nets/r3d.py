"""R3D: the ResNet whose convolutions also reach through time, identical to torchvision's `r3d_18`.

Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", 2018,
arXiv:1711.11248.

    h <- relu(h + F(h)),  F = two 3x3x3 convolutions with batch norm

The first convolution (3x7x7) halves height and width alone; from the second stage on, the first
block of each halves time, height and width. Submodules carry torchvision's names, with `conv1_0`
for `conv1.0`."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.resnet import _norm

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
Triple = tuple[int, int, int]


def _conv(features: int, kernel: Triple, stride: Triple, *, dtype: str, name: str) -> nn.Conv:
    """A convolution over time, height and width without bias; pads as `padding=kernel // 2`."""
    return nn.Conv(
        features,
        kernel,
        strides=stride,
        padding=tuple((k // 2, k // 2) for k in kernel),
        use_bias=False,
        kernel_init=nn.initializers.variance_scaling(2.0, "fan_out", "normal"),
        dtype=jnp.dtype(dtype),
        name=name,
    )


class ClipBlock(nn.Module):
    """A residual block: `[B, T, H, W, C]` -> `[B, T / s, H / s, W / s, features]`, s = stride."""

    features: int
    """Channels of both convolutions."""
    stride: int
    """Of the first, in time and space."""
    dtype: str
    """Compute dtype."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        y, step = x, (self.stride, self.stride, self.stride)
        for i, by in ((1, step), (2, (1, 1, 1))):
            y = _conv(self.features, (3, 3, 3), by, dtype=self.dtype, name=f"conv{i}_0")(y)
            y = _norm(train=train, dtype=self.dtype, name=f"conv{i}_1")(y)
            y = nn.relu(y) if i == 1 else y
        if x.shape[-1] != self.features or self.stride != 1:
            x = _conv(self.features, (1, 1, 1), step, dtype=self.dtype, name="downsample_0")(x)
            x = _norm(train=train, dtype=self.dtype, name="downsample_1")(x)
        return nn.relu(x + y)


class R3D(nn.Module):
    """An R3D without its classifier: clips `[B, T, H, W, C]` -> pooled features `[B, 8 * width]`
    float32. Raises ValueError for other input.
    """

    depth: Literal[10, 18, 34] = 18
    """Number of layers; 18 is torchvision's, 10 has one block a stage, for small machines."""
    width: int = 64
    """Channels of the first stage."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.maps(x, train).mean((1, 2, 3))

    @nn.compact
    def maps(self, x: jax.Array, train: bool = False) -> jax.Array:
        """What is pooled into the features: `[B, t, h, w, 8 * width]` float32, t an eighth of the
        frames and h, w a sixteenth of the pixels, rounded up."""
        check_clips(x, "R3D")
        if self.depth not in BLOCKS:
            raise ValueError(f"R3D has no depth {self.depth}: choose one of {list(BLOCKS)}")
        x = _conv(self.width, (3, 7, 7), (1, 2, 2), dtype=self.dtype, name="stem_0")(x)
        x = nn.relu(_norm(train=train, dtype=self.dtype, name="stem_1")(x))
        for stage, count in enumerate(BLOCKS[self.depth]):
            for i in range(count):
                x = ClipBlock(
                    features=self.width * 2**stage,
                    stride=2 if stage > 0 and i == 0 else 1,
                    dtype=self.dtype,
                    name=f"layer{stage + 1}_{i}",
                )(x, train)
        return x.astype(jnp.float32)


def check_clips(x: jax.Array, network: str) -> None:
    """Raises ValueError unless x is a float array `[B, T, H, W, C]`."""
    if x.ndim != 5:
        raise ValueError(f"{network} takes clips [B, T, H, W, C], got an array of shape {x.shape}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"{network} takes normalised float frames, got {x.dtype}: divide by 255 first"
        )
