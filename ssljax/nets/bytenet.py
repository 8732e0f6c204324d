"""ByteNet over tokens, both ways: dilated convolutions in place of attention, for genes, proteins.

Kalchbrenner et al. 2016, arXiv:1610.10099; as it is for masked proteins in CARP: Yang, Fusi, Lu,
"Convolutions are competitive with transformers for protein sequence pretraining", 2024.

    h <- h + up(conv_r(down(h))),   down: norm, GELU, linear to half, norm, GELU
                                    up: norm, GELU, linear to all;   r = 1, 2, 4, ... and again

A token sees a neighbourhood, whose size does not depend on the row: rows of other lengths than in
training may be given. Differs from CARP: embeddings are as wide as the network, which is what
`BERT` ties its head to.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import known_vocab
from ssljax.nets.bert import check_tokens, mean_tokens, segments_of
from ssljax.nets.blocks import NORMAL, dense, layer_norm


class _Block(nn.Module):
    kernel: int
    dilation: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, real: jax.Array) -> jax.Array:
        def ready(h: jax.Array, name: str) -> jax.Array:
            h = layer_norm(dtype=self.dtype, name=name, eps=1e-5)(h)
            return jax.nn.gelu(h, approximate=False)

        half = x.shape[-1] // 2
        h = dense(half, dtype=self.dtype, name="down")(ready(x, "norm1"))
        h = jnp.where(real, ready(h, "norm2"), 0)  # padding says nothing
        conv = nn.Conv(
            half,
            (self.kernel,),
            kernel_dilation=(self.dilation,),
            padding="SAME",
            dtype=jnp.dtype(self.dtype),
            name="conv",
        )
        return x + dense(x.shape[-1], dtype=self.dtype, name="up")(ready(conv(h), "norm3"))


class _Words(nn.Module):
    vocab: int
    width: int

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        table = nn.Embed(self.vocab, self.width, embedding_init=NORMAL, name="word_embeddings")
        return table(tokens)


class ByteNet(nn.Module):
    """{"tokens": int [B, L], "segments": int [B, L]} -> features [B, width] float32, the mean of
    the tokens without padding. A row is one document.

    Raises: ValueError for other input, or an even kernel.
    """

    vocab: int | None = None
    """Tokens of the vocabulary; None: as many as the reader has."""
    width: int = 128
    depth: int = 8
    """Blocks."""
    kernel: int = 5
    """Tokens that a convolution sees."""
    dilations: int = 4
    """Blocks until dilation begins at 1 again: 1, 2, 4 and 8."""
    activation: Literal["gelu"] = "gelu"
    eps: float = 1e-5
    """Of the norms."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    def __call__(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        return mean_tokens(self.tokens(x, train), segments_of(x))

    @nn.compact
    def tokens(self, x: dict[str, Any], train: bool = False) -> jax.Array:
        """All tokens after the last block: [B, L, width] float32."""
        del train
        check_tokens(x, length=x["tokens"].shape[-1], network="ByteNet")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel}: a token in the middle needs an odd number")
        real = segments_of(x)[..., None] > 0
        h = _Words(known_vocab(self.vocab, "ByteNet"), self.width, name="embeddings")(x["tokens"])
        h = h.astype(self.dtype)
        for i in range(self.depth):
            block = _Block(self.kernel, 2 ** (i % self.dilations), self.dtype, name=f"block_{i}")
            h = block(h, real)
        return layer_norm(dtype=self.dtype, name="norm", eps=self.eps)(h).astype(jnp.float32)
