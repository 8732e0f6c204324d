"""Vision transformer, identical to timm's and torchvision's: pre-norm blocks over image patches.

Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020, arXiv:2010.11929.

    h <- h + attention(norm(h)),   h <- h + mlp(norm(h)),   features = norm(h)[class token]

LayerNorm has eps 1e-6 (`eps`) and GELU is the exact one, as in both libraries; the defaults of Flax
and torch differ. Submodules carry timm's names, with `blocks_0` for `blocks.0`.

Weights start as in timm: linear layers and positions normal of deviation 0.02 with biases zero, the
patch embedding as torch's convolution, the class token normal of deviation 1e-6. The mask token is
normal of deviation 0.02. Authors' code differs here and there: class tokens of deviation 0.02 (MAE,
DINO, iBOT), mask tokens of zero (iBOT, DINOv2), a patch embedding of deviation 0.02 (I-JEPA). What
a method does to these starts, such as MAE's Xavier, its file says.

For masked methods some patches can be replaced by a learned token (`mask`) or left out (`keep`).
"""

import math
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import check_images
from ssljax.nets.blocks import NORMAL, TransformerBlock, layer_norm
from ssljax.nets.start import uniform_bias, uniform_kernel, xavier_patches

# width, depth, heads
SIZES = {
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "huge": (1280, 32, 16),
}


def sincos_positions(height: int, width: int, dim: int) -> jax.Array:
    """Fixed positions of a grid of patches, row by row: `[height * width, dim]` float32.

    [sin(c w), cos(c w), sin(r w), cos(r w)] for column c, row r, frequencies w_i = 10000^(-4i/dim);
    the order is that of the authors' code of He et al., "Masked Autoencoders Are Scalable Vision
    Learners", 2021, arXiv:2111.06377.
    Raises: ValueError where dim is not divisible by four.
    """
    if dim % 4:
        raise ValueError(f"sin-cos positions need a width divisible by 4, got {dim}")
    frequency = 10000.0 ** (-jnp.arange(dim // 4, dtype=jnp.float32) / (dim // 4))
    row, column = jnp.divmod(jnp.arange(height * width), width)
    angles = [position[:, None] * frequency for position in (column, row)]
    return jnp.concatenate([f(a) for a in angles for f in (jnp.sin, jnp.cos)], axis=1)


def resize_positions(table: jax.Array, height: int, width: int) -> jax.Array:
    """Positions of a square grid for another one: `[1, N, D]` -> `[1, height * width, D]`.

    Bicubic as torch has it (a = -0.75, borders repeated, not antialiased); DINO does the same.
    """
    side = math.isqrt(table.shape[1])
    grid = table.reshape(side, side, -1)
    rows, columns = _bicubic(side, height), _bicubic(side, width)
    grid = jnp.einsum("ri,cj,ijd->rcd", rows, columns, grid, precision="highest")
    return grid.reshape(1, height * width, -1)


def _bicubic(old: int, new: int) -> jax.Array:
    """Weights of the old points in each of the new ones, `[new, old]`."""
    at = (jnp.arange(new) + 0.5) * old / new - 0.5
    taps = jnp.floor(at)[:, None] + jnp.arange(-1, 3)
    d = jnp.abs(at[:, None] - taps)
    near = (1.25 * d - 2.25) * d**2 + 1
    far = ((-0.75 * d + 3.75) * d - 6) * d + 3
    which = jnp.clip(taps, 0, old - 1)[..., None] == jnp.arange(old)
    return jnp.sum(jnp.where(d <= 1, near, far)[..., None] * which, axis=1)


class ViT(nn.Module):
    """A vision transformer without its classifier: images `[B, H, W, C]` -> `[B, width]` float32.

    Raises: ValueError for other input, and for images whose sides are not multiples of the patch.
    """

    patch: int = 16
    """Side of a patch in pixels."""
    width: int = 192
    """Width of a token."""
    depth: int = 12
    """Number of blocks."""
    heads: int = 3
    """Attention heads; the width must be divisible by it."""
    mlp_ratio: int = 4
    """Hidden width of the feedforward parts, in widths of a token."""
    positions: Literal["learned", "sincos"] = "learned"
    """Learned embeddings fix the image size; sin-cos ones are no parameters and fit any size."""
    pool: Literal["cls", "mean"] = "cls"
    """The features: the class token, or the mean of the patch tokens, both after the last norm."""
    any_size: bool = False
    """Resize learned positions for images of another size than that at the start (see `init`)."""
    mask_token: bool = False
    """Have a learned token for masked patches."""
    eps: float = 1e-6
    """Added to the variance in the norms; some published weights were trained with another."""
    start: Literal["normal", "xavier"] = "normal"
    """How kernels start: as timm's, or uniformly after Xavier, which keeps what a narrow network
    sees of an image apart."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""
    remat: bool = False
    """Keep only what enters each block and compute the rest again in the backward pass: less
    memory, a third more time."""

    def __call__(self, x: jax.Array, train: bool = False, **masks: jax.Array | None) -> jax.Array:
        """`masks` are those of `tokens`, but not `valid` with pool="mean"."""
        if self.pool not in ("cls", "mean"):
            raise ValueError(f"ViT has no pool {self.pool!r}: choose 'cls' or 'mean'")
        return self.pooled(self.tokens(x, train, **masks))

    @nn.nowrap
    def pooled(self, tokens: jax.Array) -> jax.Array:
        """What stands for the whole image, `[B, width]`, of all its tokens `[B, 1 + N, width]`."""
        return tokens[:, 0] if self.pool == "cls" else tokens[:, 1:].mean(1)

    def tokens(
        self,
        x: jax.Array,
        train: bool = False,
        *,
        mask: jax.Array | None = None,
        keep: jax.Array | None = None,
        valid: jax.Array | None = None,
    ) -> jax.Array:
        """All tokens after the last norm, the class token first: `[B, 1 + N, width]` float32.

        Args:
          mask: bool `[B, N]`, true where a patch is replaced by the mask token.
          keep: int32 `[B, K]`, the patches that stay, in this order; the result is
            `[B, 1 + K, width]`.
          valid: bool `[B, K]`, false where an entry of `keep` only fills up; nothing attends to it.
        """
        return self._run(x, mask, keep, valid)

    def layers(self, x: jax.Array, train: bool = False, **masks: jax.Array | None) -> jax.Array:
        """The outputs of all blocks, not normalised: `[depth, B, 1 + N, width]` float32."""
        return self._run(x, **masks, want="layers")

    def attention(self, x: jax.Array, train: bool = False) -> jax.Array:
        """How each token attends to each in the last block: `[B, heads, 1 + N, 1 + N]` float32."""
        return self._run(x, want="attention")

    @nn.nowrap
    def grid(self, x: jax.Array) -> tuple[int, int]:
        """Rows and columns of patches of images `[B, H, W, C]`."""
        return x.shape[1] // self.patch, x.shape[2] // self.patch

    @nn.compact
    def _run(
        self,
        x: jax.Array,
        mask: jax.Array | None = None,
        keep: jax.Array | None = None,
        valid: jax.Array | None = None,
        want: Literal["tokens", "layers", "attention"] = "tokens",
    ) -> jax.Array:
        self._check(x)
        b, grid = x.shape[0], self.grid(x)
        x = nn.Conv(
            self.width,
            (self.patch, self.patch),
            strides=(self.patch, self.patch),
            padding="VALID",
            dtype=jnp.dtype(self.dtype),
            kernel_init=uniform_kernel if self.start == "normal" else xavier_patches,
            bias_init=uniform_bias(self.patch**2 * x.shape[-1]),
            name="patch_embed",
        )(x)
        x = x.reshape(b, -1, self.width)
        token = None
        if self.mask_token and (mask is not None or self.is_initializing()):
            token = self.param("mask_token", NORMAL, (1, 1, self.width)).astype(x.dtype)
        if mask is not None:
            if token is None:
                raise ValueError("this ViT has no token for masked patches: set mask_token=True")
            x = jnp.where(mask[..., None], token, x)
        cls = self.param("cls_token", nn.initializers.normal(1e-6), (1, 1, self.width))
        x = jnp.concatenate([jnp.broadcast_to(cls, (b, 1, self.width)).astype(x.dtype), x], axis=1)
        x = x + self._positions(*grid).astype(x.dtype)
        if keep is not None:
            x = jnp.take_along_axis(x, jnp.pad(keep + 1, ((0, 0), (1, 0)))[..., None], axis=1)
        if valid is not None:
            valid = jnp.pad(valid, ((0, 0), (1, 0)), constant_values=True)
        outputs = []
        for i in range(self.depth):
            maps = want == "attention" and i == self.depth - 1
            block = nn.remat(TransformerBlock) if self.remat and not maps else TransformerBlock
            block = block(
                heads=self.heads,
                hidden=self.mlp_ratio * self.width,
                dtype=self.dtype,
                eps=self.eps,
                kernel_init=NORMAL if self.start == "normal" else nn.initializers.xavier_uniform(),
                name=f"blocks_{i}",
            )
            x = block(x, valid, maps=True) if maps else block(x, valid)
            outputs.append(x)
        if want == "attention":
            return x
        if want == "layers":
            return jnp.stack(outputs).astype(jnp.float32)
        return layer_norm(dtype=self.dtype, name="norm", eps=self.eps)(x).astype(jnp.float32)

    def _positions(self, rows: int, columns: int) -> jax.Array:
        """`[1, 1 + rows * columns, width]` float32."""
        if self.positions == "sincos":  # the class token has no place in the grid: zero
            grid = sincos_positions(rows, columns, self.width)
            return jnp.pad(grid, ((1, 0), (0, 0)))[None]
        shape = (1, 1 + rows * columns, self.width)
        if not self.any_size:
            return self.param("pos_embed", NORMAL, shape)
        # The table has the shape that it got at the start, so that shape tells the grid.
        if self.is_initializing() and rows != columns:
            raise ValueError("a ViT with any_size=True has to start with square images")
        if self.is_initializing() or not self.has_variable("params", "pos_embed"):
            return self.param("pos_embed", NORMAL, shape)
        table = self.get_variable("params", "pos_embed")
        if rows == columns and table.shape == shape:
            return table
        grid = resize_positions(table[:, 1:], rows, columns)
        return jnp.concatenate([table[:, :1], grid], axis=1)

    def _check(self, x: jax.Array) -> None:
        check_images(x, "ViT")
        h, w = x.shape[1:3]
        if h < self.patch or w < self.patch:
            raise ValueError(f"an image of {h}x{w} is smaller than a patch of {self.patch} pixels")
        if h % self.patch or w % self.patch:
            raise ValueError(
                f"an image of {h}x{w} is not divisible into patches of {self.patch} pixels: "
                "resize it, or choose another patch"
            )
        if self.width % self.heads:
            raise ValueError(f"the width {self.width} is not divisible by {self.heads} heads")
        if self.positions not in ("learned", "sincos"):
            raise ValueError(f"no positions {self.positions!r}: choose 'learned' or 'sincos'")
        if self.start not in ("normal", "xavier"):
            raise ValueError(f"no start {self.start!r}: choose 'normal' or 'xavier'")


def vit(
    size: Literal["tiny", "small", "base", "large", "huge"], patch: int = 16, **fields: Any
) -> ViT:
    """A ViT of a usual size; `fields` are further fields of it. Raises ValueError for others."""
    if size not in SIZES:
        raise ValueError(f"there is no ViT size {size!r}: choose one of {', '.join(SIZES)}")
    width, depth, heads = SIZES[size]
    usual: dict[str, Any] = {"patch": patch, "width": width, "depth": depth, "heads": heads}
    return ViT(**usual | fields)
