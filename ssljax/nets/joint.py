"""One transformer over the patches of an image and the tokens of a text.

Geng, Liu, Lee, Schuurmans, Levine, Abbeel, "Multimodal Masked Autoencoders Learn Transferable
Representations", 2022, arXiv:2205.14204.

    h = blocks([class token, E patch + position + kind, E' token + position + kind])

Either kind may be absent: an image alone gives features as it does beside a text. Differs from the
paper: hidden patches are replaced by a learned token in place of being left out, so there is no
decoder; positions of patches are learned.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import check_images
from ssljax.nets.bert import check_tokens, segments_of
from ssljax.nets.bert_layers import dense
from ssljax.nets.blocks import NORMAL, TransformerBlock, layer_norm


class JointViT(nn.Module):
    """{"image": `[B, H, W, C]`, "tokens": int `[B, L]`, "segments": int `[B, L]`} -> `[B, width]`
    float32, the class token after the last norm.

    "image" or "tokens" may be missing, and an array is an image; nothing attends to padding, where
    segments is 0. "hidden", bool `[B, N]`, says which patches are replaced by a learned token.
    Raises: ValueError for other input, and for images whose sides are not multiples of the patch.
    """

    patch: int = 16
    """Side of a patch in pixels."""
    vocab: int = 8192
    """Size of the vocabulary."""
    length: int = 64
    """Tokens of the longest text."""
    width: int = 384
    """Width of a token."""
    depth: int = 12
    """Number of blocks."""
    heads: int = 6
    """Attention heads; the width must be divisible by it."""
    hidden: int = 1536
    """Hidden width of the feedforward parts."""
    eps: float = 1e-6
    """Added to the variance in the norms."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    def __call__(self, x: dict[str, jax.Array] | jax.Array, train: bool = False) -> jax.Array:
        return self.tokens(x, train)[:, 0]

    @nn.compact
    def tokens(self, x: dict[str, jax.Array] | jax.Array, train: bool = False) -> jax.Array:
        """Class token, patches and tokens after the last norm, `[B, 1 + N + L, width]` float32."""
        del train
        x = x if isinstance(x, dict) else {"image": x}
        parts, valid = [], []
        if "image" in x:
            parts.append(self._patches(x["image"], x.get("hidden")))
            valid.append(jnp.ones(parts[-1].shape[:2], bool))
        if "tokens" in x:
            check_tokens(x, length=self.length, network="JointViT")
            parts.append(self._words(x["tokens"]))
            valid.append(segments_of(x) > 0)
        if not parts:
            raise ValueError("JointViT takes an image, tokens, or both")
        if self.width % self.heads:
            raise ValueError(f"the width {self.width} is not divisible by {self.heads} heads")
        b = len(parts[0])
        token = self.param("cls_token", NORMAL, (self.width,)).astype(parts[0].dtype)
        h = jnp.concatenate([jnp.broadcast_to(token, (b, 1, self.width)), *parts], axis=1)
        seen = jnp.concatenate([jnp.ones((b, 1), bool), *valid], axis=1)
        for i in range(self.depth):
            block = TransformerBlock(
                heads=self.heads,
                hidden=self.hidden,
                dtype=self.dtype,
                eps=self.eps,
                name=f"blocks_{i}",
            )
            h = block(h, seen)
        return layer_norm(dtype=self.dtype, name="norm", eps=self.eps)(h).astype(jnp.float32)

    def grid(self, x: jax.Array) -> tuple[int, int]:
        """Rows and columns of patches of images `[B, H, W, C]`."""
        return x.shape[1] // self.patch, x.shape[2] // self.patch

    def _patches(self, x: jax.Array, hidden: jax.Array | None) -> jax.Array:
        check_images(x, "JointViT")
        b, height, width, c = x.shape
        (rows, columns), p = self.grid(x), self.patch
        if not rows or not columns or height % p or width % p:
            raise ValueError(
                f"an image of {height}x{width} is not divisible into patches of {p} pixels: resize "
                "it, or choose another patch"
            )
        x = x.reshape(b, rows, p, columns, p, c).transpose(0, 1, 3, 2, 4, 5)
        h = dense(self.width, dtype=self.dtype, name="patch_embed")(
            x.reshape(b, rows * columns, -1)
        )
        token = self.param("mask_token", NORMAL, (self.width,)).astype(h.dtype)
        h = h if hidden is None else jnp.where(hidden[..., None], token, h)
        place = self.param("pos_embed", NORMAL, (rows * columns, self.width))
        return h + (place + self.param("image_kind", NORMAL, (self.width,))).astype(h.dtype)

    def _words(self, tokens: jax.Array) -> jax.Array:
        embed = nn.Embed(
            self.vocab,
            self.width,
            embedding_init=NORMAL,
            dtype=jnp.dtype(self.dtype),
            name="token_embed",
        )
        h = embed(tokens)
        place = self.param("word_embed", NORMAL, (self.length, self.width))[: tokens.shape[1]]
        return h + (place + self.param("text_kind", NORMAL, (self.width,))).astype(h.dtype)
