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
from ssljax.nets.attention import attend
from ssljax.nets.bert import check_tokens, mean_tokens, segments_of, tied_logits

_BUCKETS, _FAR = 32, 128  # buckets of distances, and the distance from which all share the last
_SIZES = {"small": (512, 6, 8, 2048), "base": (768, 12, 12, 3072), "large": (1024, 24, 16, 4096)}


def distance_buckets(rows: int, columns: int, *, both_ways: bool) -> jax.Array:
    """Buckets of the distance from query to key, int32 [rows, columns]: exact when small, then
    logarithmic; keys that come later have buckets of their own, or with both_ways=False share one.
    """
    distance = jnp.arange(columns)[None] - jnp.arange(rows)[:, None]
    count = _BUCKETS // 2 if both_ways else _BUCKETS
    start = jnp.where(distance > 0, count, 0) if both_ways else 0
    distance = jnp.abs(distance) if both_ways else jnp.maximum(-distance, 0)
    exact = count // 2
    ratio = jnp.log(jnp.maximum(distance, 1) / exact) / jnp.log(_FAR / exact)
    far = jnp.minimum(exact + (ratio * (count - exact)).astype(jnp.int32), count - 1)
    return start + jnp.where(distance < exact, distance, far)


class _Norm(nn.Module):
    """x / sqrt(mean(x^2) + eps), times a learned scale."""

    eps: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        x = x.astype(jnp.float32)
        x = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + self.eps)
        return (x * scale).astype(self.dtype)


def _linear(features: int, std: float, dtype: str, name: str) -> nn.Dense:
    start = nn.initializers.normal(std)
    return nn.Dense(features, use_bias=False, kernel_init=start, dtype=jnp.dtype(dtype), name=name)


class _Attention(nn.Module):
    heads: int
    head_width: int
    dropout: float
    dtype: str
    buckets: Literal["none", "both", "past"] = "none"

    @nn.compact
    def __call__(
        self, x: jax.Array, past: jax.Array, train: bool, bias: Any = None, **masks: Any
    ) -> tuple[jax.Array, jax.Array | None]:
        (b, n, d), m = x.shape, past.shape[1]
        inner = self.heads * self.head_width
        q = _linear(inner, (d * self.head_width) ** -0.5, self.dtype, "q")(x)
        k, v = (_linear(inner, d**-0.5, self.dtype, name)(past) for name in "kv")
        if self.buckets != "none":
            table = nn.Embed(
                _BUCKETS,
                self.heads,
                embedding_init=nn.initializers.normal(d**-0.5),
                name="relative_attention_bias",
            )
            found = distance_buckets(n, m, both_ways=self.buckets == "both")
            bias = jnp.moveaxis(table(found), -1, 0)[None]
        rate = self.dropout if train else 0.0
        key = self.make_rng("dropout") if rate > 0 else None
        q, k, v = (y.reshape(b, -1, self.heads, self.head_width) for y in (q, k, v))
        y = attend(q, k, v, bias=bias, scale=1.0, dropout=rate, key=key, **masks)
        return _linear(d, inner**-0.5, self.dtype, "o")(y.reshape(b, n, inner)), bias


class _DenseReluDense(nn.Module):
    hidden: int
    dropout: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        d = x.shape[-1]
        y = jax.nn.relu(_linear(self.hidden, d**-0.5, self.dtype, "wi")(x))
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        return _linear(d, self.hidden**-0.5, self.dtype, "wo")(y)


_Kind = Literal["SelfAttention", "EncDecAttention", "DenseReluDense"]


class _Part(nn.Module):
    """Attention or feedforward behind its norm, beside a shortcut."""

    kind: _Kind
    fields: dict[str, Any]
    eps: float
    dropout: float
    dtype: str

    @nn.compact
    def __call__(
        self, x: jax.Array, train: bool, past: jax.Array | None = None, **masks: Any
    ) -> tuple[jax.Array, jax.Array | None]:
        y, bias = _Norm(self.eps, self.dtype, name="layer_norm")(x), None
        if self.kind == "DenseReluDense":
            y = _DenseReluDense(**self.fields, name=self.kind)(y, train)
        else:
            attention = _Attention(**self.fields, name=self.kind)
            y, bias = attention(y, y if past is None else past, train, **masks)
        return x + nn.Dropout(self.dropout, deterministic=not train)(y), bias


class _Block(nn.Module):
    net: Any
    buckets: Literal["none", "both", "past"]

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        train: bool,
        bias: jax.Array | None,
        past: jax.Array | None = None,
        past_seen: jax.Array | None = None,
        **masks: Any,
    ) -> tuple[jax.Array, jax.Array | None]:
        net = self.net
        shared = {"eps": net.eps, "dropout": net.dropout, "dtype": net.dtype}
        sizes = {k: getattr(net, k) for k in ("heads", "head_width", "dropout", "dtype")}
        parts: list[tuple[_Kind, dict[str, Any]]]
        parts = [("SelfAttention", sizes | {"buckets": self.buckets})]
        if past is not None:
            parts.append(("EncDecAttention", sizes))
        hidden = {"hidden": net.hidden, "dropout": net.dropout, "dtype": net.dtype}
        parts.append(("DenseReluDense", hidden))
        for i, (kind, fields) in enumerate(parts):
            part = _Part(kind, fields, **shared, name=f"layer_{i}")
            if kind == "SelfAttention":
                x, bias = part(x, train, bias=bias, **masks)
            elif kind == "EncDecAttention":
                x, _ = part(x, train, past, seen=past_seen)
            else:
                x, _ = part(x, train)
        return x, bias


def _blocks(net: Any, x: jax.Array, train: bool, buckets: Any, **masks: Any) -> jax.Array:
    """All blocks and the last norm; only the first block has the numbers of the distances."""
    x, bias = nn.Dropout(net.dropout, deterministic=not train)(x), None
    for i in range(net.depth):
        block = _Block(net.clone(parent=None), buckets if i == 0 else "none", name=f"block_{i}")
        x, bias = block(x, train, bias, **masks)
    x = _Norm(net.eps, net.dtype, name="final_layer_norm")(x)
    return nn.Dropout(net.dropout, deterministic=not train)(x)


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
        return _blocks(self, h, train, "both", segments=segments_of(x)).astype(jnp.float32)


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

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        train: bool = False,
        *,
        table: jax.Array,
        past: jax.Array,
        seen: jax.Array,
    ) -> jax.Array:
        h = table[x].astype(self.dtype)
        past = past.astype(self.dtype)
        h = _blocks(self, h, train, "past", causal=True, past=past, past_seen=seen)
        return tied_logits(h * table.shape[1] ** -0.5, table, self.dtype)


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
