"""A light transformer that predicts patches from others: MAE's decoder, I-JEPA's predictor.

He et al., "Masked Autoencoders Are Scalable Vision Learners", 2021, arXiv:2111.06377; Assran et
al., "Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture", 2023,
arXiv:2301.08243.

Tokens that are there and one learned token for each wanted patch, all with their positions, run
through the blocks together; what has become of the learned tokens is the result. No order is
needed: a transformer sees a set, and the positions say which patch is which.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.bert_layers import dense
from ssljax.nets.blocks import NORMAL, TransformerBlock, layer_norm


class Decoder(nn.Module):
    """Tokens `[B, K, D]` -> wanted ones `[B, M, width]` float32, normalised; a linear head follows.

    Args:
      places: position embeddings of the tokens, `[B, K, width]`.
      wanted: position embeddings of the wanted patches, `[B, M, width]`.
      valid: bool `[B, K + M]`, false where tokens and wanted ones only fill up; nothing attends to
        those.
    """

    width: int = 512
    """Width of a token."""
    depth: int = 8
    """Number of blocks."""
    heads: int = 16
    """Attention heads; the width must be divisible by it."""
    mlp_ratio: int = 4
    """Hidden width of the feedforward parts, in widths of a token."""
    eps: float = 1e-6
    """Added to the variance in the norms."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        train: bool = False,
        *,
        places: jax.Array,
        wanted: jax.Array,
        valid: jax.Array | None = None,
    ) -> jax.Array:
        del train  # nothing here behaves differently in training
        if self.width % self.heads:
            raise ValueError(f"the width {self.width} is not divisible by {self.heads} heads")
        x = dense(self.width, dtype=self.dtype, name="embed")(x)
        token = self.param("mask_token", NORMAL, (1, 1, self.width))
        x = jnp.concatenate([x + places.astype(x.dtype), (token + wanted).astype(x.dtype)], axis=1)
        for i in range(self.depth):
            x = TransformerBlock(
                heads=self.heads,
                hidden=self.mlp_ratio * self.width,
                dtype=self.dtype,
                eps=self.eps,
                name=f"blocks_{i}",
            )(x, valid)
        x = layer_norm(dtype=self.dtype, name="norm", eps=self.eps)(x[:, -wanted.shape[1] :])
        return x.astype(jnp.float32)
