"""Generator and discriminator of the size of DCGAN and SNGAN, and spectral normalisation.

Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", 2015, arXiv:1511.06434. Miyato, Kataoka, Koyama, Yoshida, "Spectral
Normalization for Generative Adversarial Networks", 2018, arXiv:1802.05957: the layers are those of
its table 3 (standard CNN), and a normalised weight is

    W / (u^T W v),   v <- n(W^T u), u <- n(W v) once a training pass, no gradient through u, v

with W as a matrix of one row an output. u and v are state, in the same collection as batch
statistics; in evaluation they stay as they are.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import apply, check_images, init

PyTree = Any

_NORMAL = nn.initializers.normal(0.02)
Norm = Literal["spectral", "batch", "none"]


class SpectralKernel(nn.Module):
    """The parameter "kernel" `[..., outputs]` divided by its largest singular value."""

    shape: tuple[int, ...]
    """Shape of the kernel, outputs last."""

    @nn.compact
    def __call__(self, train: bool) -> jax.Array:
        kernel = self.param("kernel", _NORMAL, self.shape)
        w = kernel.reshape(-1, self.shape[-1]).T  # [outputs, inputs]
        start = self.is_initializing()
        u = self.variable("batch_stats", "u", lambda: self._unit_vector(w.shape[0]))
        v = self.variable("batch_stats", "v", lambda: _unit(_dot(w.T, u.value)))
        left, right = u.value, v.value
        if train:
            right = _unit(_dot(w.T, left))
            left = _unit(_dot(w, right))
            left, right = jax.lax.stop_gradient((left, right))
            if not start:
                u.value, v.value = left, right
        return kernel / jnp.dot(left, _dot(w, right), precision=jax.lax.Precision.HIGHEST)

    def _unit_vector(self, length: int) -> jax.Array:
        return _unit(jax.random.normal(self.make_rng("params"), (length,)))


class _Layer(nn.Module):
    """A convolution (or, with kernel 0, a linear layer) with the norm that `norm` says."""

    features: int
    """Output channels."""
    kernel: int
    """Side of the kernel, 0 for a linear layer."""
    stride: int
    """Stride of the convolution."""
    norm: str
    """"spectral" normalises the weight, "batch" the output."""
    dtype: str
    """Compute dtype."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        shape = (*[self.kernel] * (2 if self.kernel else 0), x.shape[-1], self.features)
        if self.norm == "spectral":
            kernel = SpectralKernel(shape=shape, name="spectral")(train)
        else:
            kernel = self.param("kernel", _NORMAL, shape)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        if self.kernel:
            x = jax.lax.conv_general_dilated(
                x,
                kernel,
                window_strides=(self.stride, self.stride),
                padding="SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        else:
            x = x @ kernel
        if self.norm == "batch":
            return _norm(train=train, dtype=self.dtype, name="bn")(x)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return x + bias.astype(x.dtype)


class DiscriminatorTrunk(nn.Module):
    """The discriminator without its last layer: images `[B, H, W, C]` -> pooled `[B, widths[-1]]`.

    The discriminator itself goes on from the grid (`grid`), not from its mean.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of each stage; every stage but the last halves the image."""
    norm: Norm = "spectral"
    """Batch norm leaves out the first layer, as in DCGAN, and is not for gradient penalties."""
    slope: float = 0.1
    """Of the leaky ReLU: 0.1 in SNGAN, 0.2 in DCGAN."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.grid(x, train).mean((1, 2))

    @nn.compact
    def grid(self, x: jax.Array, train: bool = False) -> jax.Array:
        """The last feature maps `[B, h, w, widths[-1]]` float32."""
        check_images(x, "DiscriminatorTrunk")
        for i, width in enumerate(self.widths):
            for kernel, stride in ((3, 1), (4, 2)) if i < len(self.widths) - 1 else ((3, 1),):
                norm = "none" if self.norm == "batch" and i == 0 and stride == 1 else self.norm
                name = f"conv{i + 1}_{stride}"
                layer = _Layer(width, kernel, stride, norm, self.dtype, name=name)
                x = nn.leaky_relu(layer(x, train), self.slope)
        return x.astype(jnp.float32)


class DiscriminatorHead(nn.Module):
    """Feature maps `[B, h, w, C]` -> one score each, `[B]` float32."""

    norm: Norm = "spectral"
    """Spectral normalisation of the weights, or none: an output has no batch norm."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        norm = "spectral" if self.norm == "spectral" else "none"
        x = x.astype(jnp.float32).reshape(x.shape[0], -1)
        return _Layer(1, 0, 1, norm, "float32", name="score")(x, train)[:, 0]


def init_discriminator(
    chain: dict[str, nn.Module], key: jax.Array, x: PyTree
) -> tuple[PyTree, PyTree]:
    """Fresh (params, stats) of {"encoder": trunk, "head": head} for images like x `[B, ...]`."""
    k1, k2 = jax.random.split(key)
    trunk, trunk_stats = init(chain["encoder"], k1, x)
    grid = jax.eval_shape(
        lambda *args: apply(chain["encoder"], *args, train=False, method="grid")[0],
        *(trunk, trunk_stats, x),
    )
    head, head_stats = init(chain["head"], k2, grid)
    return {"encoder": trunk, "head": head}, {"encoder": trunk_stats, "head": head_stats}


def score(
    chain: dict[str, nn.Module], params: PyTree, stats: PyTree, x: jax.Array
) -> tuple[jax.Array, PyTree]:
    """Scores `[B]` of images in training mode, and the new stats; further entries of both stay."""
    grid, trunk = apply(
        chain["encoder"], params["encoder"], stats["encoder"], x, train=True, method="grid"
    )
    scores, head = apply(chain["head"], params["head"], stats["head"], grid, train=True)
    return scores, stats | {"encoder": trunk, "head": head}


class Generator(nn.Module):
    """Codes `[B, D]` -> images `[B, size, size, channels]` in [-1, 1], float32.

    Raises: ValueError where `size` cannot be halved so often.
    """

    size: int = 32
    """Side of the image."""
    channels: int = 3
    """Channels of the image."""
    widths: tuple[int, ...] = (512, 256, 128, 64)
    """Channels of the first grid and of each grid twice as large."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters and statistics are float32."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        doublings = len(self.widths) - 1
        if self.size % 2**doublings:
            raise ValueError(
                f"{doublings} doublings do not end at {self.size} pixels: use fewer or more widths"
            )
        side, dtype = self.size >> doublings, jnp.dtype(self.dtype)
        first = side * side * self.widths[0]
        x = nn.Dense(first, kernel_init=_NORMAL, dtype=dtype, name="linear")(x)
        x = x.reshape(x.shape[0], side, side, self.widths[0])
        x = nn.relu(_norm(train=train, dtype=self.dtype, name="bn0")(x))
        for i, width in enumerate(self.widths[1:], start=1):
            x = Deconv(width, self.dtype, name=f"deconv{i}")(x)
            x = nn.relu(_norm(train=train, dtype=self.dtype, name=f"bn{i}")(x))
        x = nn.Conv(self.channels, (3, 3), kernel_init=_NORMAL, dtype=dtype, name="image")(x)
        return jnp.tanh(x.astype(jnp.float32))


class Deconv(nn.Module):
    """Transposed convolution 4x4 with stride 2, no bias: `[B, H, W, C]` -> `[B, 2 H, 2 W, F]`.

    The numbers of `flax.linen.ConvTranspose` with "SAME", computed as one 2x2 convolution with
    four outputs a pixel, which are then interleaved. On CPU, XLA has no fast path for the weight
    gradient of that module, nor where a convolution this small pads by itself: measured 20 times
    slower than this.
    """

    features: int
    """Output channels F."""
    dtype: str
    """Compute dtype."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        b, h, w, c = x.shape
        kernel = self.param("kernel", _NORMAL, (4, 4, c, self.features))
        # Output row 2 i + p meets input rows i + p - 1 and i + p with kernel rows p and 2 + p.
        taps = kernel.reshape(2, 2, 2, 2, c, self.features).transpose(0, 2, 4, 1, 3, 5)
        y = jax.lax.conv_general_dilated(
            jnp.pad(x.astype(self.dtype), ((0, 0), (1, 1), (1, 1), (0, 0))),
            taps.reshape(2, 2, c, -1).astype(self.dtype),
            window_strides=(1, 1),
            padding="VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        ).reshape(b, h + 1, w + 1, 2, 2, self.features)
        rows = jnp.stack([y[:, p : p + h, :, p] for p in (0, 1)], axis=2)  # [b, h, 2, w + 1, 2, f]
        both = jnp.stack([rows[:, :, :, p : p + w, p] for p in (0, 1)], axis=4)
        return both.reshape(b, 2 * h, 2 * w, self.features)


def _norm(*, train: bool, dtype: str, name: str) -> nn.BatchNorm:
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        dtype=jnp.dtype(dtype),
        name=name,
    )


def _dot(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    return jnp.dot(matrix, vector, precision=jax.lax.Precision.HIGHEST)


def _unit(x: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x), 1e-24))
