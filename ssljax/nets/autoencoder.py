"""Convolutional encoders and mirrored decoders: convolution, ReLU, pooling, and back by upsampling.

    28x28x1 -> conv 32, pool, conv 32, pool, conv 32 -> 7x7x32        encoder
    7x7x32  -> conv 32, up, conv 32, up, conv 1      -> 28x28x1       decoder, logits

All convolutions are 3x3; pooling and upsampling (nearest) are by two. A `code` turns the last grid
into a short vector by a linear layer, and `grid` in the decoder turns it back.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import apply, check_images


def _conv(features: int, *, dtype: str, name: str, bias: bool = True) -> nn.Conv:
    return nn.Conv(
        features,
        (3, 3),
        use_bias=bias,
        kernel_init=nn.initializers.he_normal(),
        dtype=jnp.dtype(dtype),
        name=name,
    )


def _norm(*, train: bool, dtype: str, name: str) -> nn.BatchNorm:
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        dtype=jnp.dtype(dtype),
        name=name,
    )


class ConvEncoder(nn.Module):
    """Images `[B, H, W, C]` -> the code `[B, D]` float32, D = code or all of the last grid.

    Raises: ValueError for other input, and for sides that cannot be halved so often.
    """

    widths: tuple[int, ...] = (32, 32, 32)
    """Channels of each convolution; pooling lies between them."""
    code: int | None = None
    """Length of the code, by a linear layer; None: the last grid, flattened row by row."""
    norm: bool = False
    """Batch norm after each convolution."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        check_images(x, "ConvEncoder")
        _check_sides(x.shape[1:3], len(self.widths), "ConvEncoder")
        for i, width in enumerate(self.widths, start=1):
            if i > 1:
                x = nn.max_pool(x, (2, 2), strides=(2, 2))
            x = _conv(width, dtype=self.dtype, name=f"conv{i}", bias=not self.norm)(x)
            if self.norm:
                x = _norm(train=train, dtype=self.dtype, name=f"bn{i}")(x)
            x = nn.relu(x)
        x = x.reshape(x.shape[0], -1)
        if self.code is not None:
            x = nn.Dense(self.code, dtype=jnp.dtype(self.dtype), name="code")(x)
        return x.astype(jnp.float32)


class VariationalEncoder(nn.Module):
    """A `ConvEncoder` with a Gaussian over codes: images `[B, H, W, C]` -> its mean `[B, code]`."""

    widths: tuple[int, ...] = (32, 32, 32)
    """As in `ConvEncoder`."""
    code: int = 16
    """Length of the code."""
    norm: bool = False
    """Batch norm after each convolution."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.posterior(x, train)[0]

    @nn.compact
    def posterior(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Mean and log variance of the code, two of `[B, code]` float32."""
        body = ConvEncoder(widths=self.widths, norm=self.norm, dtype=self.dtype, name="body")
        x = body(x, train)
        return nn.Dense(self.code, name="mean")(x), nn.Dense(self.code, name="log_var")(x)


class ConvDecoder(nn.Module):
    """Codes `[B, D]` -> images `[B, size, size, channels]` float32, unbounded (logits).

    Raises: ValueError where `size` cannot be halved so often or D is not the grid's.
    """

    size: int = 28
    """Side of the image."""
    channels: int = 1
    """Channels of the image."""
    widths: tuple[int, ...] = (32, 32)
    """Channels of each convolution that is followed by upsampling; one more makes the image."""
    grid: int | None = None
    """Channels of the grid that a linear layer makes of the code; None: the code is that grid."""
    norm: bool = False
    """Batch norm after each convolution but the last."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        _check_sides((self.size, self.size), len(self.widths) + 1, "ConvDecoder")
        side = self.size >> len(self.widths)
        if self.grid is not None:
            x = nn.Dense(side * side * self.grid, dtype=jnp.dtype(self.dtype), name="grid")(x)
            x = nn.relu(x)
        if x.ndim != 2 or x.shape[1] % (side * side):
            raise ValueError(
                f"a code of shape {x.shape} is no grid of {side}x{side} pixels: set `grid` of the "
                "decoder, so that a linear layer makes one, or fit its size and widths"
            )
        x = x.reshape(x.shape[0], side, side, -1)
        for i, width in enumerate(self.widths, start=1):
            x = _conv(width, dtype=self.dtype, name=f"conv{i}", bias=not self.norm)(x)
            if self.norm:
                x = _norm(train=train, dtype=self.dtype, name=f"bn{i}")(x)
            x = _double(nn.relu(x))
        return _conv(self.channels, dtype="float32", name="image")(x.astype(jnp.float32))


def draw(decoder: nn.Module, params: Any, stats: Any, codes: jax.Array) -> jax.Array:
    """Runs a decoder or generator on codes with any leading axes: `[..., D]` -> `[..., H, W, C]`,
    in evaluation mode.
    """
    rows = codes.reshape(-1, codes.shape[-1])
    images = apply(decoder, params, stats, rows, train=False)[0]
    return images.reshape(*codes.shape[:-1], *images.shape[1:])


def blend(codes: jax.Array, *, count: int, spherical: bool = False) -> jax.Array:
    """Codes between each one and the next (the last and the first): `[B, D]` -> `[B, count, D]`.

    The ends are left out. With `spherical` a blend of two normal codes is as long as they are.
    """
    t = (jnp.arange(1, count + 1) / (count + 1))[:, None]
    between = (1 - t) * codes[:, None] + t * jnp.roll(codes, -1, axis=0)[:, None]
    return between / jnp.sqrt((1 - t) ** 2 + t**2) if spherical else between


def _double(x: jax.Array) -> jax.Array:
    """Each pixel becomes four: `[B, H, W, C]` -> `[B, 2 H, 2 W, C]`."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def _check_sides(sides: tuple[int, ...], stages: int, network: str) -> None:
    if stages < 1 or any(side % 2 ** (stages - 1) for side in sides):
        raise ValueError(
            f"{network} with {stages} stages halves the image {stages - 1} times, which a size of "
            f"{'x'.join(map(str, sides))} does not allow: use fewer widths or another size"
        )
