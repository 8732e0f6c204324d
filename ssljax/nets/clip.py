"""The towers of CLIP and SigLIP, with the structure of their published weights.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021,
arXiv:2103.00020; Zhai, Mustafa, Kolesnikov, Beyer, "Sigmoid Loss for Language Image Pre-Training",
2023, arXiv:2303.15343.

    CLIP     image   class token and a norm before the blocks; features = norm(class token)
             text    causal attention; features = norm(h)[first end-of-text token]
             both    quick GELU, x sigmoid(1.702 x); norms with eps 1e-5
    SigLIP   image   no class token; features = attention of one learned query over norm(h)
             text    attention to all tokens; features = norm(h)[last token], padding or not
             both    GELU by its tanh formula; norms with eps 1e-6

A tower gives features `[B, width]`. What maps them into the space that both share is a network of
its own, one linear layer: `MLP(widths=(512,), norm=False)` with `output_bias=False` for both of
CLIP's towers, with a bias for SigLIP's text, and none for SigLIP's images. The defaults below are
those of CLIP with ViT-B/32. Weights start as in `ViT` (normal, deviation 0.02), which is not what
the authors of either did.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import check_images
from ssljax.nets.attention import attend
from ssljax.nets.bert_layers import dense
from ssljax.nets.blocks import (
    NORMAL,
    Activation,
    Feedforward,
    TransformerBlock,
    check_activation,
    layer_norm,
)


class ImageTower(nn.Module):
    """Images `[B, H, W, C]` -> features `[B, width]` float32.

    Raises: ValueError for other input, and for images whose sides are not multiples of the patch.
    """

    patch: int = 32
    """Side of a patch in pixels."""
    width: int = 768
    """Width of a token."""
    depth: int = 12
    """Number of blocks."""
    heads: int = 12
    """Attention heads; the width must be divisible by it."""
    hidden: int = 3072
    """Hidden width of the feedforward parts."""
    pool: Literal["cls", "attention"] = "cls"
    """"cls" has a class token, a norm before the blocks and patches without bias, as CLIP;
    "attention" has none of them and pools by attention, as SigLIP."""
    activation: Activation = "quick_gelu"
    """Of the feedforward parts."""
    eps: float = 1e-5
    """Added to the variance in the norms."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self._run(x)

    def layers(self, x: jax.Array, train: bool = False) -> jax.Array:
        """What enters the first block and what leaves each: `[1 + depth, B, N, width]` float32."""
        return self._run(x, layers=True)

    @nn.compact
    def _run(self, x: jax.Array, *, layers: bool = False) -> jax.Array:
        self._check(x)
        b, cls = len(x), self.pool == "cls"
        x = nn.Conv(
            self.width,
            (self.patch, self.patch),
            strides=(self.patch, self.patch),
            padding="VALID",
            use_bias=not cls,
            dtype=jnp.dtype(self.dtype),
            name="patch_embed",
        )(x).reshape(b, -1, self.width)
        if cls:
            token = self.param("cls_token", NORMAL, (self.width,)).astype(x.dtype)
            x = jnp.concatenate([jnp.broadcast_to(token, (b, 1, self.width)), x], axis=1)
        x = x + self.param("pos_embed", NORMAL, x.shape[1:]).astype(x.dtype)
        if cls:
            x = layer_norm(dtype=self.dtype, name="norm_pre", eps=self.eps)(x)
        x, outputs = _blocks(self, x)
        if layers:
            return outputs
        norm = layer_norm(dtype=self.dtype, name="norm", eps=self.eps)
        if cls:
            return norm(x[:, 0]).astype(jnp.float32)
        pool = AttentionPool(
            heads=self.heads,
            hidden=self.hidden,
            activation=self.activation,
            eps=self.eps,
            dtype=self.dtype,
            name="pool",
        )
        return pool(norm(x)).astype(jnp.float32)

    def _check(self, x: jax.Array) -> None:
        check_images(x, "ImageTower")
        _check_fields(self)
        h, w = x.shape[1:3]
        if min(h, w) < self.patch or h % self.patch or w % self.patch:
            raise ValueError(
                f"an image of {h}x{w} is not divisible into patches of {self.patch} pixels: "
                "resize it, or choose another patch"
            )
        if self.pool not in ("cls", "attention"):
            raise ValueError(f"ImageTower has no pool {self.pool!r}: choose 'cls' or 'attention'")


class TextTower(nn.Module):
    """Tokens int32 `[B, L]` -> features `[B, width]` float32.

    Nothing attends to tokens where `valid`, a bool `[B, L]`, is false; SigLIP's own use has no such
    mask. A text without an end-of-text token is pooled at its first one.
    Raises: ValueError for other input, and for texts longer than `length`.
    """

    vocabulary: int = 49408
    """Number of tokens."""
    length: int = 77
    """Tokens of the longest text."""
    width: int = 512
    """Width of a token."""
    depth: int = 12
    """Number of blocks."""
    heads: int = 8
    """Attention heads; the width must be divisible by it."""
    hidden: int = 2048
    """Hidden width of the feedforward parts."""
    causal: bool = True
    """Whether a token attends to itself and earlier ones only."""
    pool: Literal["eot", "last"] = "eot"
    """The features: those of the first end-of-text token, or of the last token."""
    eot: int = 49407
    """The end-of-text token."""
    activation: Activation = "quick_gelu"
    """Of the feedforward parts."""
    eps: float = 1e-5
    """Added to the variance in the norms."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    def __call__(
        self, x: jax.Array, train: bool = False, *, valid: jax.Array | None = None
    ) -> jax.Array:
        h = self.tokens(x, train, valid=valid)
        if self.pool == "last":
            return h[:, -1]
        at = jnp.argmax(x == self.eot, axis=1)
        return jnp.take_along_axis(h, at[:, None, None], axis=1)[:, 0]

    def tokens(
        self, x: jax.Array, train: bool = False, *, valid: jax.Array | None = None
    ) -> jax.Array:
        """All tokens after the last norm: `[B, L, width]` float32."""
        return self._run(x, valid)

    def layers(
        self, x: jax.Array, train: bool = False, *, valid: jax.Array | None = None
    ) -> jax.Array:
        """What enters the first block and what leaves each: `[1 + depth, B, L, width]` float32."""
        return self._run(x, valid, layers=True)

    @nn.compact
    def _run(
        self, x: jax.Array, valid: jax.Array | None = None, *, layers: bool = False
    ) -> jax.Array:
        if x.ndim != 2 or not jnp.issubdtype(x.dtype, jnp.integer):
            raise ValueError(f"TextTower takes tokens int32 [B, L], got {x.dtype} {x.shape}")
        if x.shape[1] > self.length:
            raise ValueError(
                f"a text of {x.shape[1]} tokens is longer than length={self.length}: cut it"
            )
        if self.pool not in ("eot", "last"):
            raise ValueError(f"TextTower has no pool {self.pool!r}: choose 'eot' or 'last'")
        _check_fields(self)
        embed = nn.Embed(
            self.vocabulary,
            self.width,
            embedding_init=NORMAL,
            dtype=jnp.dtype(self.dtype),
            name="token_embed",
        )
        places = self.param("pos_embed", NORMAL, (self.length, self.width))
        x = embed(x) + places[: x.shape[1]].astype(jnp.dtype(self.dtype))
        x, outputs = _blocks(self, x, valid, causal=self.causal)
        if layers:
            return outputs
        return layer_norm(dtype=self.dtype, name="norm", eps=self.eps)(x).astype(jnp.float32)


class AttentionPool(nn.Module):
    """One learned query attends to all tokens, then a feedforward part: `[B, N, D]` -> `[B, D]`.

    Lee et al., "Set Transformer", 2019, arXiv:1810.00825, as SigLIP uses it.
    """

    heads: int
    """Attention heads."""
    hidden: int
    """Hidden width of the feedforward part."""
    activation: Activation
    """Of the feedforward part."""
    eps: float
    """Added to the variance in the norm."""
    dtype: str
    """Compute dtype."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        b, _, d = x.shape
        probe = self.param("probe", NORMAL, (1, 1, d)).astype(x.dtype)
        # One linear layer for all three, as published weights have it, wastes what it makes of the
        # tokens as queries and of the probe as key and value: little, beside a single block.
        both = jnp.concatenate([jnp.broadcast_to(probe, (b, 1, d)), x], axis=1)
        qkv = dense(3 * d, dtype=self.dtype, name="qkv")(both)
        q, k, v = jnp.moveaxis(qkv.reshape(b, -1, 3, self.heads, d // self.heads), 2, 0)
        y = attend(q[:, :1], k[:, 1:], v[:, 1:]).reshape(b, d)
        y = dense(d, dtype=self.dtype, name="proj")(y)
        mlp = Feedforward(
            hidden=self.hidden, dtype=self.dtype, activation=self.activation, name="mlp"
        )
        return y + mlp(layer_norm(dtype=self.dtype, name="norm", eps=self.eps)(y))


def _blocks(
    tower: ImageTower | TextTower,
    x: jax.Array,
    valid: jax.Array | None = None,
    *,
    causal: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """(output `[B, N, width]`, input and outputs of all blocks `[1 + depth, B, N, width]`)."""
    outputs = [x]
    for i in range(tower.depth):
        x = TransformerBlock(
            heads=tower.heads,
            hidden=tower.hidden,
            dtype=tower.dtype,
            eps=tower.eps,
            activation=tower.activation,
            causal=causal,
            name=f"blocks_{i}",
        )(x, valid)
        outputs.append(x)
    return x, jnp.stack(outputs).astype(jnp.float32)


def _check_fields(tower: ImageTower | TextTower) -> None:
    if tower.width % tower.heads:
        raise ValueError(f"the width {tower.width} is not divisible by {tower.heads} heads")
    check_activation(tower.activation)


def siglip_image(patch: int = 16, **fields: Any) -> ImageTower:
    """SigLIP's image tower, ViT-B; `fields` are further fields of `ImageTower`."""
    usual: dict[str, Any] = {"pool": "attention", "activation": "gelu_tanh", "eps": 1e-6}
    return ImageTower(**{**usual, "patch": patch, **fields})


def siglip_text(**fields: Any) -> TextTower:
    """SigLIP's text tower beside ViT-B; `fields` are further fields of `TextTower`."""
    size: dict[str, Any] = {
        "vocabulary": 32000,
        "length": 64,
        "width": 768,
        "heads": 12,
        "hidden": 3072,
    }
    usual = {"causal": False, "pool": "last", "activation": "gelu_tanh", "eps": 1e-6}
    return TextTower(**(size | usual | fields))
