"""The vector quantizer of wav2vec 2.0 (Baevski et al. 2020, arXiv:2006.11477, section 2).

    l = W x,   u ~ Gumbel,   code_g = argmax_v (l_gv + u_gv),   q = concat over g of e_{g, code_g}

Parameters have the names of Hugging Face transformers.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Quantizer(nn.Module):
    """Product quantization with Gumbel noise: [..., C] -> (q [..., width], logits [..., G, V],
    codes int32 [..., G]).

    Each of G groups picks one of V vectors: the likeliest, or in training one drawn by the logits,
    with the gradient of softmax((logits + noise) / temperature) (Jang, Gu, Poole 2016,
    arXiv:1611.01144). Training needs
    rngs={"dropout": key, "gumbel": key}.
    """

    groups: int = 2
    """G."""
    entries: int = 320
    """V, of each group."""
    width: int = 256
    """Width of q; each group gives a part of it."""
    dropout: float = 0.1
    """Rate on the input in training."""

    @nn.compact
    def __call__(
        self, x: jax.Array, train: bool = False, *, temperature: jax.Array | float = 1.0
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        g, v = self.groups, self.entries
        if self.width % g:
            raise ValueError(f"the width {self.width} is not divisible by {g} groups")
        x = nn.Dropout(self.dropout, deterministic=not train)(x.astype(jnp.float32))
        start = nn.initializers.normal(1.0)
        logits = nn.Dense(g * v, kernel_init=start, name="weight_proj")(x)
        logits = logits.reshape(*x.shape[:-1], g, v)
        shape = (1, g * v, self.width // g)
        table = self.param("codevectors", nn.initializers.uniform(1.0), shape).reshape(g, v, -1)
        noisy = logits
        if train:
            noisy = logits + jax.random.gumbel(self.make_rng("gumbel"), logits.shape)
        codes = jnp.argmax(noisy, axis=-1).astype(jnp.int32)
        picked = jax.nn.one_hot(codes, v)
        if train:
            soft = jax.nn.softmax(noisy / temperature, axis=-1)
            picked = picked + (soft - jax.lax.stop_gradient(soft))
        q = jnp.einsum("...gv,gvd->...gd", picked, table, precision=jax.lax.Precision.HIGHEST)
        return q.reshape(*x.shape[:-1], self.width), logits, codes
