"""GPT-2: a transformer in which a token sees only those before it.

Radford, Wu, Child, Luan, Amodei, Sutskever, "Language Models are Unsupervised Multitask Learners",
2019: learned positions, a norm before each part (pre-LN), the tanh form of GELU, logits through the
embeddings of the words, and projections into a shortcut that start 1/sqrt(2 depth) as large.
Parameters have the names of Hugging Face transformers.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import known_vocab
from ssljax.nets.attention import attend
from ssljax.nets.bert import check_tokens, mean_tokens, places_of, segments_of, tied_logits
from ssljax.nets.blocks import ACTIVATIONS, NORMAL, Activation, check_activation

_SIZES = {
    "small": (768, 12, 12),
    "medium": (1024, 24, 16),
    "large": (1280, 36, 20),
    "xl": (1600, 48, 25),
}
Cache = dict[str, Any]


class _Attention(nn.Module):
    heads: int
    dropout: float
    attention_dropout: float
    out_std: float
    dtype: str

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        segments: jax.Array | None,
        train: bool,
        cache: Cache | None = None,
    ) -> tuple[jax.Array, Cache | None]:
        b, n, d = x.shape
        dtype = jnp.dtype(self.dtype)
        qkv = nn.Dense(3 * d, kernel_init=NORMAL, name="c_attn", dtype=dtype)(x)
        q, k, v = jnp.moveaxis(qkv.reshape(b, n, 3, self.heads, d // self.heads), 2, 0)
        if cache is None:
            rate = self.attention_dropout if train else 0.0
            key = self.make_rng("dropout") if rate > 0 else None
            y = attend(q, k, v, causal=True, segments=segments, dropout=rate, key=key)
        else:
            at = cache["at"]
            k = jax.lax.dynamic_update_slice_in_dim(cache["k"], k, at, axis=1)
            v = jax.lax.dynamic_update_slice_in_dim(cache["v"], v, at, axis=1)
            seen = jnp.arange(k.shape[1]) <= at + jnp.arange(n)[:, None]
            y = attend(q, k, v, seen=jnp.broadcast_to(seen, (b, *seen.shape)))
            cache = {"k": k, "v": v, "at": at + n}
        start = nn.initializers.normal(self.out_std)
        y = nn.Dense(d, kernel_init=start, name="c_proj", dtype=dtype)(y.reshape(b, n, d))
        return nn.Dropout(self.dropout, deterministic=not train)(y), cache


class _MLP(nn.Module):
    hidden: int
    activation: str
    dropout: float
    out_std: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        dtype = jnp.dtype(self.dtype)
        y = nn.Dense(self.hidden, kernel_init=NORMAL, dtype=dtype, name="c_fc")(x)
        start = nn.initializers.normal(self.out_std)
        y = nn.Dense(x.shape[-1], kernel_init=start, dtype=dtype, name="c_proj")(
            ACTIVATIONS[self.activation](y)
        )
        return nn.Dropout(self.dropout, deterministic=not train)(y)


class _Block(nn.Module):
    heads: int
    hidden: int
    activation: str
    dropout: float
    attention_dropout: float
    eps: float
    out_std: float
    dtype: str

    @nn.compact
    def __call__(
        self, x: jax.Array, segments: jax.Array | None, train: bool, cache: Cache | None = None
    ) -> tuple[jax.Array, Cache | None]:
        y, cache = _Attention(
            heads=self.heads,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            out_std=self.out_std,
            dtype=self.dtype,
            name="attn",
        )(_norm(self.eps, self.dtype, "ln_1")(x), segments, train, cache)
        x = x + y
        y = _norm(self.eps, self.dtype, "ln_2")(x)
        fields = (self.hidden, self.activation, self.dropout, self.out_std, self.dtype)
        return x + _MLP(*fields, name="mlp")(y, train), cache


def _norm(eps: float, dtype: str, name: str) -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=eps, use_fast_variance=False, dtype=jnp.dtype(dtype), name=name)


class GPT2(nn.Module):
    """{"tokens": int [B, L], "segments": int [B, L]} -> [B, width] float32, the mean of the tokens.

    `segments` numbers the documents of a row from 1, 0 is padding; without it a row is one
    document. Training needs rngs={"dropout": key} where a rate is above 0.
    Raises: ValueError for other input.
    """

    vocab: int | None = 50257
    """Size of the vocabulary; None: that of the reader (`Experiment.filled`)."""
    width: int = 768
    """Width of a token."""
    depth: int = 12
    """Number of blocks."""
    heads: int = 12
    """Attention heads; the width must be divisible by it."""
    length: int = 1024
    """Positions: the longest row, and how far back a token sees."""
    hidden: int | None = None
    """Hidden width of the feedforward parts, if not four times the width."""
    activation: Activation = "gelu_tanh"
    """Of the feedforward parts."""
    eps: float = 1e-5
    """Of the norms."""
    dropout: float = 0.1
    """Rate behind embeddings and linear layers."""
    attention_dropout: float = 0.1
    """Rate on attention weights; above 0 attention cannot use a fused kernel."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""
    remat: bool = False
    """Keep only what enters each block and compute the rest again in the backward pass: less
    memory, a third more time."""

    def __call__(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        return mean_tokens(self._run(x, train)[0], segments_of(x))

    def tokens(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        """All tokens after the last norm: [B, L, width] float32."""
        return self._run(x, train)[0].astype(jnp.float32)

    def layers(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        """Embeddings and the outputs of all blocks, the last one after the last norm:
        [1 + depth, B, L, width] float32.
        """
        last, outputs, _ = self._run(x, train)
        return jnp.stack([*outputs[:-1], last]).astype(jnp.float32)

    def logits(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        """What may come after each token: [B, L, V] float32."""
        return tied_logits(self._run(x, train)[0], self._table(), self.dtype)

    def extend(
        self, x: dict[str, jax.Array], train: bool = False, *, cache: Cache
    ) -> tuple[jax.Array, Cache]:
        """Logits [B, n, V] of the next n tokens of texts whose past is in `cache`, and the cache
        with them in it. A cache comes from `empty_cache`, or from the call before.
        """
        last, _, longer = self._run(x, train, cache)
        assert longer is not None  # a cache went in
        return tied_logits(last, self._table(), self.dtype), longer

    def prompt(self, x: dict[str, jax.Array], train: bool = False) -> dict[str, Any]:
        """The tokens [B, L], and the parameters with which `GPT2Writer` writes on behind them."""
        if self.is_initializing():
            self._run(x, train)
        return {"tokens": x["tokens"], "params": self.variables["params"]}

    @nn.nowrap
    def empty_cache(self, batch: int) -> Cache:
        """Keys and values of no token yet, with room for `length` of them."""
        shape = (self.depth, batch, self.length, self.heads, self.width // self.heads)
        empty = jnp.zeros(shape, self.dtype)
        return {"k": empty, "v": empty, "at": jnp.zeros((), jnp.int32)}

    def _table(self) -> jax.Array:
        return self.get_variable("params", "wte")["embedding"]

    @nn.compact
    def _run(
        self, x: dict[str, jax.Array], train: bool, cache: Cache | None = None
    ) -> tuple[jax.Array, list[jax.Array], Cache | None]:
        check_tokens(x, length=self.length, network="GPT2")
        if self.width % self.heads:
            raise ValueError(f"the width {self.width} is not divisible by {self.heads} heads")
        check_activation(self.activation)
        tokens, segments = x["tokens"], x.get("segments")
        if cache is None:
            places = places_of(segments_of(x))
        else:
            places = cache["at"] + jnp.arange(tokens.shape[1])[None]
        dtype = jnp.dtype(self.dtype)
        vocab = known_vocab(self.vocab, "GPT2")
        h = nn.Embed(vocab, self.width, embedding_init=NORMAL, dtype=dtype, name="wte")(tokens)
        h = h + nn.Embed(self.length, self.width, embedding_init=NORMAL, dtype=dtype, name="wpe")(
            places
        )
        h = nn.Dropout(self.dropout, deterministic=not train)(h)
        outputs, kept = [h], []
        block = nn.remat(_Block, static_argnums=(3,)) if self.remat else _Block
        for i in range(self.depth):
            one = None if cache is None else {k: cache[k][i] for k in "kv"} | {"at": cache["at"]}
            h, one = block(
                heads=self.heads,
                hidden=self.hidden or 4 * self.width,
                activation=self.activation,
                dropout=self.dropout,
                attention_dropout=self.attention_dropout,
                eps=self.eps,
                out_std=0.02 / (2 * self.depth) ** 0.5,
                dtype=self.dtype,
                name=f"h_{i}",
            )(h, segments, train, one)
            outputs.append(h)
            kept.append(one)
        h = _norm(self.eps, self.dtype, "ln_f")(h)
        if cache is not None:
            cache = {k: jnp.stack([one[k] for one in kept]) for k in "kv"} | {"at": kept[0]["at"]}
        return h, outputs, cache


def gpt2(size: Literal["small", "medium", "large", "xl"], **fields: Any) -> GPT2:
    """A GPT-2 of a published size, or ValueError; `fields` are further fields of it."""
    if size not in _SIZES:
        raise ValueError(f"there is no GPT-2 size {size!r}: choose one of {', '.join(_SIZES)}")
    width, depth, heads = _SIZES[size]
    usual: dict[str, Any] = {"width": width, "depth": depth, "heads": heads}
    return GPT2(**usual | fields)
