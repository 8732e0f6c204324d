"""ResNet, identical to torchvision's and timm's, and a small network for small images.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015, arXiv:1512.03385.

    h <- relu(h + F(h)),  F = two 3x3 convolutions (depth 18, 34) or 1x1, 3x3, 1x1 (depth 50, 101)

Differs from the paper: the stride of a bottleneck sits on its 3x3 convolution ("v1.5"), as both
libraries have it. Padding is torch's, symmetric; Flax's "SAME" shifts strided convolutions by one.
Submodules carry torchvision's names, with `layer1_0` for `layer1.0`.
"""

import functools
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import check_images

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def _conv(features: int, kernel: int, *, stride: int = 1, dtype: str, name: str) -> nn.Conv:
    """A convolution without bias that pads as torch's `padding=kernel // 2`."""
    pad = kernel // 2
    return nn.Conv(
        features,
        (kernel, kernel),
        strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        use_bias=False,
        kernel_init=nn.initializers.variance_scaling(2.0, "fan_out", "normal"),
        dtype=jnp.dtype(dtype),
        name=name,
    )


def _norm(*, train: bool, dtype: str, name: str, zero: bool = False) -> nn.BatchNorm:
    """Batch norm with torch's constants. Statistics are float32 whatever the dtype; the running
    variance averages biased ones (torch: unbiased, larger by n / (n - 1))."""
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        scale_init=nn.initializers.zeros if zero else nn.initializers.ones,
        dtype=jnp.dtype(dtype),
        name=name,
    )


def _pooled(x: jax.Array, *, axis: int) -> jax.Array:
    """The largest of three on an axis, stride 2, padding 1, of numbers that are not negative: one
    direction of `nn.max_pool`, whose gradient is slow on CPUs."""
    count, pads = -(-x.shape[axis] // 2), [(0, 0)] * x.ndim
    pads[axis] = (1, 1)
    x = jnp.pad(x, pads)  # zeros: nothing here is below
    parts = (jax.lax.slice_in_dim(x, i, i + 2 * count - 1, 2, axis) for i in range(3))
    return functools.reduce(jnp.maximum, parts)


class Block(nn.Module):
    """A residual block: `[B, H, W, C]` -> `[B, H / stride, W / stride, features * (4 or 1)]`."""

    features: int
    """Channels inside the block."""
    stride: int
    """Stride of its (first) 3x3 convolution."""
    bottleneck: bool
    """1x1, 3x3, 1x1 with four times the channels at the end, in place of 3x3, 3x3."""
    zero_init: bool
    """Start the last batch norm at scale zero, so that the block starts as the identity."""
    dtype: str
    """Compute dtype."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        f, s = self.features, self.stride
        # (channels, kernel, stride) of each convolution
        layers = [(f, 3, s), (f, 3, 1)]
        if self.bottleneck:
            layers = [(f, 1, 1), (f, 3, s), (4 * f, 1, 1)]
        y = x
        for i, (channels, kernel, stride) in enumerate(layers, start=1):
            last = i == len(layers)
            y = _conv(channels, kernel, stride=stride, dtype=self.dtype, name=f"conv{i}")(y)
            zero = last and self.zero_init
            y = _norm(train=train, dtype=self.dtype, name=f"bn{i}", zero=zero)(y)
            y = y if last else nn.relu(y)
        if x.shape[-1] != y.shape[-1] or s != 1:
            x = _conv(y.shape[-1], 1, stride=s, dtype=self.dtype, name="downsample_0")(x)
            x = _norm(train=train, dtype=self.dtype, name="downsample_1")(x)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """A ResNet without its classifier: images `[B, H, W, C]` -> pooled features `[B, D]` float32.

    D is 8 * width at depth 18 and 34, 32 * width at 50 and 101. Raises ValueError for other input.
    """

    depth: Literal[18, 34, 50, 101] = 18
    """Number of layers; 50 and 101 are made of bottlenecks."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """imagenet: 7x7 stride 2 and max-pool. cifar: 3x3 stride 1, no pooling, for small images."""
    width: int = 64
    """Channels of the first stage."""
    zero_init_residual: bool = True
    """Start each block as the identity (Goyal et al. 2017, arXiv:1706.02677)."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.maps(x, train).mean((1, 2))

    def maps(self, x: jax.Array, train: bool = False) -> jax.Array:
        """What is pooled into the features: `[B, h, w, D]` float32."""
        return self.levels(x, train)[-1]

    @nn.compact
    def levels(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
        """The images, and the maps of the stem and of the four stages, float32, for heads that need
        places as fine as the pixels: at strides 1, 2, 4, 8, 16, 32, or 1, 1, 1, 2, 4, 8 with the
        cifar stem."""
        check_images(x, "ResNet")
        if self.depth not in BLOCKS:
            raise ValueError(f"ResNet has no depth {self.depth}: choose one of {list(BLOCKS)}")
        if self.stem not in ("imagenet", "cifar"):
            raise ValueError(f"ResNet has no stem {self.stem!r}: choose 'imagenet' or 'cifar'")
        large = self.stem == "imagenet"
        stem, found = (7, 2) if large else (3, 1), [x]
        x = _conv(self.width, stem[0], stride=stem[1], dtype=self.dtype, name="conv1")(x)
        x = nn.relu(_norm(train=train, dtype=self.dtype, name="bn1")(x))
        found.append(x)
        if large:
            x = _pooled(_pooled(x, axis=1), axis=2)
        for stage, count in enumerate(BLOCKS[self.depth]):
            for i in range(count):
                x = Block(
                    features=self.width * 2**stage,
                    stride=2 if stage > 0 and i == 0 else 1,
                    bottleneck=self.depth >= 50,
                    zero_init=self.zero_init_residual,
                    dtype=self.dtype,
                    name=f"layer{stage + 1}_{i}",
                )(x, train)
            found.append(x)
        return tuple(level.astype(jnp.float32) for level in found)


class SmallConv(nn.Module):
    """Convolution, batch norm, ReLU, once a stage, for small images and small machines.

    Images `[B, H, W, C]` -> features `[B, widths[-1]]` float32. Raises ValueError for others.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    """Channels of each stage; every stage but the first halves the image."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.maps(x, train).mean((1, 2))

    @nn.compact
    def maps(self, x: jax.Array, train: bool = False) -> jax.Array:
        """What is pooled into the features: `[B, h, w, D]` float32."""
        check_images(x, "SmallConv")
        if not self.widths:
            raise ValueError("SmallConv needs at least one stage: widths=(32, 64, 128)")
        for i, width in enumerate(self.widths, start=1):
            stride = 1 if i == 1 else 2
            x = _conv(width, 3, stride=stride, dtype=self.dtype, name=f"conv{i}")(x)
            x = nn.relu(_norm(train=train, dtype=self.dtype, name=f"bn{i}")(x))
        return x.astype(jnp.float32)
