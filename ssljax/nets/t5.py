"""T5: an encoder, and a decoder that writes what it is asked for, with relative positions.

Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
2019, arXiv:1910.10683: norms without mean and bias before each part, no biases anywhere, attention
without 1/sqrt(d), and a learned number for each head and bucket of distances added to its logits,
the same in all blocks. Parameters have the names of Hugging Face transformers.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import known_vocab
from ssljax.nets.bert import check_tokens, mean_tokens, segments_of, tied_logits
from ssljax.nets.t5_layers import Cache, t5_blocks

_SIZES = {"small": (512, 6, 8, 2048), "base": (768, 12, 12, 3072), "large": (1024, 24, 16, 4096)}


class T5Encoder(nn.Module):
    """{"tokens": int [B, L], "segments": int [B, L]} -> [B, width] float32, the mean of the tokens.

    `segments` numbers the documents of a row from 1, 0 is padding. Training needs
    rngs={"dropout": key} where the rate is above 0. Raises: ValueError for other input.
    """

    vocab: int | None = 32128
    """Size of the vocabulary; the last tokens are sentinels. None: that of the reader."""
    width: int = 512
    """Width of a token."""
    depth: int = 6
    """Number of blocks."""
    heads: int = 8
    """Attention heads."""
    head_width: int = 64
    """Width of a head."""
    hidden: int = 2048
    """Hidden width of the feedforward parts."""
    eps: float = 1e-6
    """Of the norms."""
    dropout: float = 0.1
    """Rate everywhere."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    def __call__(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        return mean_tokens(self.tokens(x, train), segments_of(x))

    @nn.compact
    def tokens(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        """All tokens after the last norm: [B, L, width] float32."""
        check_tokens(x, length=1 << 30, network="T5Encoder")
        start = nn.initializers.normal(1.0)
        vocab = known_vocab(self.vocab, "T5Encoder")
        shared = nn.Embed(vocab, self.width, embedding_init=start, name="shared")
        h = shared(x["tokens"]).astype(self.dtype)
        return t5_blocks(self, h, train, "both", segments=segments_of(x))[0].astype(jnp.float32)

    def memory(self, x: dict[str, jax.Array], train: bool = False) -> dict[str, jax.Array]:
        """For a decoder: {"past": [B, L, width], "seen": bool [B, L], "table": [V, width]}."""
        table = self.get_variable("params", "shared")["embedding"]
        return {"past": self.tokens(x, train), "seen": segments_of(x) > 0, "table": table}


class T5Decoder(nn.Module):
    """The tokens so far, int [B, T] -> logits of the next ones [B, T, V] float32.

    `table` holds the embeddings of the encoder [V, D], which it reads and writes words with, `past`
    the tokens of the encoder [B, L, D], and `seen` which of them are no padding, bool [B, L].
    """

    depth: int = 6
    """Number of blocks."""
    heads: int = 8
    """Attention heads."""
    head_width: int = 64
    """Width of a head."""
    hidden: int = 2048
    """Hidden width of the feedforward parts."""
    eps: float = 1e-6
    """Of the norms."""
    dropout: float = 0.1
    """Rate everywhere."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    def __call__(
        self,
        x: jax.Array,
        train: bool = False,
        *,
        table: jax.Array,
        past: jax.Array,
        seen: jax.Array,
    ) -> jax.Array:
        return self._run(x, train, table, causal=True, past=past, past_seen=seen)[0]

    def remember(self, past: jax.Array, train: bool = False, *, length: int) -> Cache:
        """The cache of texts of which no token is written, with room for `length` of them: keys and
        values of the encoder's tokens [B, L, D] in every block, computed once."""
        del train
        (b, _, _), dtype, found = past.shape, jnp.dtype(self.dtype), {}
        shape = (self.depth, b, length, self.heads, self.head_width)
        for name in "kv":
            blocks = [self.get_variable("params", f"block_{i}") for i in range(self.depth)]
            kernels = [block["layer_1"]["EncDecAttention"][name]["kernel"] for block in blocks]
            theirs = [past.astype(dtype) @ kernel.astype(dtype) for kernel in kernels]
            shaped = [y.reshape(b, -1, self.heads, self.head_width) for y in theirs]
            found |= {name: jnp.zeros(shape, dtype), f"past_{name}": jnp.stack(shaped)}
        return found | {"at": jnp.zeros((), jnp.int32)}

    def extend(
        self, x: jax.Array, train: bool = False, *, table: jax.Array, seen: jax.Array, cache: Cache
    ) -> tuple[jax.Array, Cache]:
        """Logits [B, n, V] of the next n tokens int [B, n] of texts whose beginning is in `cache`,
        and the cache with them in it. A cache comes from `remember`, or from the call before."""
        past = jnp.zeros((len(x), seen.shape[1], table.shape[1]))  # the cache has it
        logits, longer = self._run(x, train, table, past=past, past_seen=seen, cache=cache)
        assert longer is not None  # a cache went in
        return logits, longer

    @nn.compact
    def _run(
        self, x: jax.Array, train: bool, table: jax.Array, *, past: jax.Array, **more: Any
    ) -> tuple[jax.Array, Cache | None]:
        h = table[x].astype(self.dtype)
        h, cache = t5_blocks(self, h, train, "past", past=past.astype(self.dtype), **more)
        return tied_logits(h * table.shape[1] ** -0.5, table, self.dtype), cache


def t5(size: Literal["small", "base", "large"], **fields: Any) -> T5Encoder:
    """The encoder of a T5 of a published size, or ValueError; `fields` are further fields of it."""
    if size not in _SIZES:
        raise ValueError(f"there is no T5 size {size!r}: choose one of {', '.join(_SIZES)}")
    width, depth, heads, hidden = _SIZES[size]
    usual: dict[str, Any] = {"width": width, "depth": depth, "heads": heads, "hidden": hidden}
    return T5Encoder(**usual | fields)


def shared_table(params: Any) -> jax.Array:
    """Embeddings of the words [V, D] in the parameters of a `T5Encoder`."""
    return params["shared"]["embedding"]
