"""R3D: the ResNet whose convolutions also reach through time, identical to torchvision's `r3d_18`.

Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", 2018,
arXiv:1711.11248.

    h <- relu(h + F(h)),  F = two 3x3x3 convolutions with batch norm

The first convolution (3x7x7) halves height and width alone; from the second stage on, the first
block of each halves time, height and width. Submodules carry torchvision's names, with `conv1_0`
for `conv1.0`."""

from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.resnet import _norm

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
Triple = tuple[int, int, int]


def conv_whole(x: jax.Array, w: jax.Array, stride: Triple) -> jax.Array:
    """Clips `[B, T, H, W, C]`, kernels `[t, h, w, C, D]` of odd sides -> `[B, T', H', W', D]`,
    padded by half a kernel."""
    names = ("NDHWC", "DHWIO", "NDHWC")
    return jax.lax.conv_general_dilated(x, w, stride, _pads(w), dimension_numbers=names)


def conv_flat(x: jax.Array, w: jax.Array, stride: Triple) -> jax.Array:
    """The same over height and width alone: frames that meet in a kernel are channels of one
    picture."""
    taps, step, pads = len(w), stride[0], _pads(w)
    last = step * ((x.shape[1] - 1) // step) + 1
    x = jnp.pad(x, [pads[0] if axis == 1 else (0, 0) for axis in range(5)])
    x = jnp.concatenate([x[:, k : k + last : step] for k in range(taps)], axis=-1)
    w = jnp.moveaxis(w, 0, 2).reshape(*w.shape[1:3], -1, w.shape[-1])
    names = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(
        x.reshape(-1, *x.shape[2:]), w, stride[1:], pads[1:], dimension_numbers=names
    )
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _pads(w: jax.Array) -> list[tuple[int, int]]:
    return [(side // 2, side // 2) for side in w.shape[:3]]


class ClipConv(nn.Module):
    """A convolution over time, height and width without bias."""

    features: int
    """Channels of the result."""
    kernel: Triple
    """Sides in time, height and width."""
    stride: Triple
    """Steps in these."""
    dtype: str
    """Compute dtype."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        start = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
        w = self.param("kernel", start, (*self.kernel, x.shape[-1], self.features))
        x, w = x.astype(self.dtype), w.astype(self.dtype)
        # On a CPU XLA is several times slower over three axes than over two.
        return jax.lax.platform_dependent(
            x,
            w,
            cpu=partial(conv_flat, stride=self.stride),
            default=partial(conv_whole, stride=self.stride),
        )


def _conv(features: int, kernel: Triple, stride: Triple, *, dtype: str, name: str) -> ClipConv:
    return ClipConv(features=features, kernel=kernel, stride=stride, dtype=dtype, name=name)


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
