"""The layers of BERT: embeddings, attention, feedforward, each norm behind its shortcut."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.attention import attend
from ssljax.nets.blocks import ACTIVATIONS, NORMAL


def dense(features: int, dtype: str, name: str) -> nn.Dense:
    return nn.Dense(features, kernel_init=NORMAL, dtype=jnp.dtype(dtype), name=name)


def norm(eps: float, dtype: str, name: str = "LayerNorm") -> nn.LayerNorm:
    # Two passes: E[x^2] - E[x]^2 loses digits where a row is far from zero.
    return nn.LayerNorm(epsilon=eps, use_fast_variance=False, dtype=jnp.dtype(dtype), name=name)


class Embeddings(nn.Module):
    vocab: int
    width: int
    positions: int
    types: int
    eps: float
    dropout: float
    dtype: str

    @nn.compact
    def __call__(self, tokens: jax.Array, places: jax.Array, types: jax.Array, train: bool) -> Any:
        def table(size: int, name: str) -> nn.Embed:
            return nn.Embed(size, self.width, embedding_init=NORMAL, name=name)

        x = table(self.vocab, "word_embeddings")(tokens)
        x = x + table(self.types, "token_type_embeddings")(types)
        x = x + table(self.positions, "position_embeddings")(places)
        x = norm(self.eps, self.dtype)(x)
        return nn.Dropout(self.dropout, deterministic=not train)(x)


class _SelfAttention(nn.Module):
    heads: int
    dropout: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, segments: jax.Array, train: bool) -> jax.Array:
        b, n, d = x.shape
        q, k, v = (
            dense(d, self.dtype, name)(x).reshape(b, n, self.heads, d // self.heads)
            for name in ("query", "key", "value")
        )
        rate = self.dropout if train else 0.0
        key = self.make_rng("dropout") if rate > 0 else None
        return attend(q, k, v, segments=segments, dropout=rate, key=key).reshape(b, n, d)


class _Output(nn.Module):
    """A linear layer, dropout, the shortcut, and the norm behind it."""

    eps: float
    dropout: float
    dtype: str

    @nn.compact
    def __call__(self, y: jax.Array, x: jax.Array, train: bool) -> jax.Array:
        y = dense(x.shape[-1], self.dtype, "dense")(y)
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        return norm(self.eps, self.dtype)(x + y)


class _AttentionPart(nn.Module):
    heads: int
    eps: float
    dropout: float
    attention_dropout: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, segments: jax.Array, train: bool) -> jax.Array:
        attention = _SelfAttention(self.heads, self.attention_dropout, self.dtype, name="self")
        y = attention(x, segments, train)
        return _Output(self.eps, self.dropout, self.dtype, name="output")(y, x, train)


class _Intermediate(nn.Module):
    hidden: int
    activation: str
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return ACTIVATIONS[self.activation](dense(self.hidden, self.dtype, "dense")(x))


class _Layer(nn.Module):
    heads: int
    hidden: int
    activation: str
    eps: float
    dropout: float
    attention_dropout: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, segments: jax.Array, train: bool) -> jax.Array:
        x = _AttentionPart(
            self.heads,
            self.eps,
            self.dropout,
            self.attention_dropout,
            self.dtype,
            name="attention",
        )(x, segments, train)
        y = _Intermediate(self.hidden, self.activation, self.dtype, name="intermediate")(x)
        return _Output(self.eps, self.dropout, self.dtype, name="output")(y, x, train)


class Layers(nn.Module):
    depth: int
    layer: dict[str, Any]

    @nn.compact
    def __call__(self, x: jax.Array, segments: jax.Array, train: bool) -> list[jax.Array]:
        outputs = [x]
        for i in range(self.depth):
            outputs.append(_Layer(**self.layer, name=f"layer_{i}")(outputs[-1], segments, train))
        return outputs
