"""What T5's encoder and decoder are made of: norms, attention by buckets of distances, blocks.

With a cache attention sees, beside its own tokens, keys and values of those before them; see
`T5Decoder.extend`.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.attention import attend

Cache = dict[str, Any]
_BUCKETS, _FAR = 32, 128  # buckets of distances, and the distance from which all share the last


def distance_buckets(
    rows: int, columns: int, *, both_ways: bool, first: jax.Array | int = 0
) -> jax.Array:
    """Buckets of the distance from query to key, int32 [rows, columns]: exact when small, then
    logarithmic; keys that come later have buckets of their own, or with both_ways=False share one.
    Queries count from `first`, keys from 0.
    """
    distance = jnp.arange(columns)[None] - (first + jnp.arange(rows))[:, None]
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
        self,
        x: jax.Array,
        past: jax.Array,
        train: bool,
        bias: Any = None,
        cache: Cache | None = None,
        **masks: Any,
    ) -> tuple[jax.Array, jax.Array | None, Cache | None]:
        b, n, d = x.shape
        inner, at = self.heads * self.head_width, 0

        def split(y: jax.Array) -> jax.Array:
            return y.reshape(b, -1, self.heads, self.head_width)

        q = split(_linear(inner, (d * self.head_width) ** -0.5, self.dtype, "q")(x))
        if cache is not None and "at" not in cache:  # of what the encoder said
            k, v = cache["k"], cache["v"]
        else:
            k, v = (split(_linear(inner, d**-0.5, self.dtype, name)(past)) for name in "kv")
        if cache is not None and "at" in cache:
            at, fill = cache["at"], jax.lax.dynamic_update_slice_in_dim
            k, v = (fill(cache[c], y, at, axis=1) for c, y in (("k", k), ("v", v)))
            seen = jnp.arange(k.shape[1]) <= at + jnp.arange(n)[:, None]
            cache, masks = {"k": k, "v": v}, {"seen": jnp.broadcast_to(seen, (b, *seen.shape))}
        if self.buckets != "none":
            table = nn.Embed(
                _BUCKETS,
                self.heads,
                embedding_init=nn.initializers.normal(d**-0.5),
                name="relative_attention_bias",
            )
            found = distance_buckets(n, k.shape[1], both_ways=self.buckets == "both", first=at)
            bias = jnp.moveaxis(table(found), -1, 0)[None]
        rate = self.dropout if train else 0.0
        key = self.make_rng("dropout") if rate > 0 else None
        y = attend(q, k, v, bias=bias, scale=1.0, dropout=rate, key=key, **masks)
        return _linear(d, inner**-0.5, self.dtype, "o")(y.reshape(b, n, inner)), bias, cache


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
        self, x: jax.Array, train: bool, past: jax.Array | None = None, **more: Any
    ) -> tuple[jax.Array, jax.Array | None, Cache | None]:
        y, bias, cache = _Norm(self.eps, self.dtype, name="layer_norm")(x), None, None
        if self.kind == "DenseReluDense":
            y = _DenseReluDense(**self.fields, name=self.kind)(y, train)
        else:
            attention = _Attention(**self.fields, name=self.kind)
            y, bias, cache = attention(y, y if past is None else past, train, **more)
        return x + nn.Dropout(self.dropout, deterministic=not train)(y), bias, cache


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
        cache: Cache | None = None,
        **masks: Any,
    ) -> tuple[jax.Array, jax.Array | None, Cache | None]:
        net, own, theirs = self.net, None, None
        if cache is not None:
            own = {"k": cache["k"], "v": cache["v"], "at": cache["at"]}
            theirs = {"k": cache["past_k"], "v": cache["past_v"]}
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
                x, bias, own = part(x, train, bias=bias, cache=own, **masks)
            elif kind == "EncDecAttention":
                x, *_ = part(x, train, past, seen=past_seen, cache=theirs)
            else:
                x, *_ = part(x, train)
        return x, bias, own


def t5_blocks(
    net: Any, x: jax.Array, train: bool, buckets: Any, cache: Cache | None = None, **masks: Any
) -> tuple[jax.Array, Cache | None]:
    """All blocks and the last norm; only the first block has the numbers of the distances."""
    x, bias, kept = nn.Dropout(net.dropout, deterministic=not train)(x), None, []
    for i in range(net.depth):
        block = _Block(net.clone(parent=None), buckets if i == 0 else "none", name=f"block_{i}")
        of = None if cache is None else {k: v if k == "at" else v[i] for k, v in cache.items()}
        x, bias, own = block(x, train, bias, cache=of, **masks)
        kept.append(own)
    if cache is not None:
        at = cache["at"] + x.shape[1]
        cache = cache | {k: jnp.stack([own[k] for own in kept]) for k in "kv"} | {"at": at}
    x = _Norm(net.eps, net.dtype, name="final_layer_norm")(x)
    return nn.Dropout(net.dropout, deterministic=not train)(x), cache
