"""The layers of wav2vec 2.0: convolutions over samples, wide positions, a transformer of frames."""

import math
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.attention import attend
from ssljax.nets.blocks import NORMAL

Convs = tuple[tuple[int, int, int], ...]
"""Of each convolution: channels, width, stride."""


class _GroupNorm(nn.Module):
    """Every channel over the real frames: mean 0, variance 1, then scale and bias."""

    @nn.compact
    def __call__(self, x: jax.Array, real: jax.Array) -> jax.Array:
        c = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (c,))
        bias = self.param("bias", nn.initializers.zeros, (c,))
        y = x.astype(jnp.float32)
        weight = real.astype(jnp.float32)[..., None]
        count = jnp.maximum(jnp.sum(weight, 1, keepdims=True), 1.0)
        y = y - jnp.sum(y * weight, 1, keepdims=True) / count
        variance = jnp.sum(y * y * weight, 1, keepdims=True) / count
        return (y * jax.lax.rsqrt(variance + 1e-5) * scale + bias).astype(x.dtype)


class _ConvLayer(nn.Module):
    conv: tuple[int, int, int]
    norm: Literal["group", "layer", "none"]
    bias: bool
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, length: jax.Array) -> tuple[jax.Array, jax.Array]:
        channels, kernel, stride = self.conv
        x = nn.Conv(
            channels,
            (kernel,),
            strides=(stride,),
            padding="VALID",
            use_bias=self.bias,
            kernel_init=nn.initializers.he_normal(),
            dtype=jnp.dtype(self.dtype),
            name="conv",
        )(x)
        length = jnp.maximum(0, (length - kernel) // stride + 1)
        if self.norm == "group":
            x = _GroupNorm(name="layer_norm")(x, jnp.arange(x.shape[1]) < length[:, None])
        elif self.norm == "layer":
            x = _norm(1e-5, self.dtype, "layer_norm")(x)
        return jax.nn.gelu(x, approximate=False), length


class Extractor(nn.Module):
    convs: Convs
    norm: Literal["group", "layer"]
    bias: bool
    dtype: str

    @nn.compact
    def __call__(self, audio: jax.Array, length: jax.Array) -> jax.Array:
        x = audio[..., None].astype(self.dtype)
        for i, conv in enumerate(self.convs):
            norm = "none" if self.norm == "group" and i else self.norm
            layer = _ConvLayer(conv, norm, self.bias, self.dtype, name=f"conv_layers_{i}")
            x, length = layer(x, length)
        return x


class Projection(nn.Module):
    width: int
    eps: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = _norm(self.eps, self.dtype, "layer_norm")(x)
        return _dense(self.width, self.dtype, "projection")(x), x


class _Positions(nn.Module):
    kernel: int
    groups: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        d = x.shape[-1]
        start = nn.initializers.normal(math.sqrt(4 / (self.kernel * d)))
        v = self.param("v", start, (self.kernel, d // self.groups, d))

        def sizes() -> jax.Array:
            return jnp.sqrt(jnp.sum(v * v, axis=(1, 2), keepdims=True))

        g = self.param("g", lambda _: sizes())
        bias = self.param("bias", nn.initializers.zeros, (d,))
        half = self.kernel // 2
        # One convolution a group: of a single grouped one, XLA doubles the gradient of the weights
        # where its channels lie on several devices (jax 0.10, two of them on the model axis).
        parts = [
            jax.lax.conv_general_dilated(
                part,
                weight.astype(x.dtype),
                window_strides=(1,),
                padding=((half, half - (self.kernel % 2 == 0)),),
                dimension_numbers=("NWC", "WIO", "NWC"),
            )
            for part, weight in zip(
                jnp.split(x, self.groups, axis=-1), jnp.split(g * v / sizes(), self.groups, axis=-1)
            )
        ]
        y = jnp.concatenate(parts, axis=-1)
        return jax.nn.gelu(y + bias.astype(x.dtype), approximate=False)


class _Attention(nn.Module):
    heads: int
    dropout: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, real: jax.Array, train: bool) -> jax.Array:
        b, n, d = x.shape
        q, k, v = (
            _dense(d, self.dtype, name)(x).reshape(b, n, self.heads, d // self.heads)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        rate = self.dropout if train else 0.0
        key = self.make_rng("dropout") if rate > 0 else None
        y = attend(q, k, v, seen=real, dropout=rate, key=key)
        return _dense(d, self.dtype, "out_proj")(y.reshape(b, n, d))


class _FeedForward(nn.Module):
    hidden: int
    dropout: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        y = _dense(self.hidden, self.dtype, "intermediate_dense")(x)
        y = _dense(x.shape[-1], self.dtype, "output_dense")(jax.nn.gelu(y, approximate=False))
        return nn.Dropout(self.dropout, deterministic=not train)(y)


class _Layer(nn.Module):
    heads: int
    hidden: int
    eps: float
    dropout: float
    attention_dropout: float
    pre_norm: bool
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, real: jax.Array, train: bool) -> jax.Array:
        attention = _Attention(self.heads, self.attention_dropout, self.dtype, name="attention")
        forward = _FeedForward(self.hidden, self.dropout, self.dtype, name="feed_forward")
        first = _norm(self.eps, self.dtype, "layer_norm")
        last = _norm(self.eps, self.dtype, "final_layer_norm")
        drop = nn.Dropout(self.dropout, deterministic=not train)
        if self.pre_norm:
            x = x + drop(attention(first(x), real, train))
            return x + forward(last(x), train)
        x = first(x + drop(attention(x, real, train)))
        return last(x + forward(x, train))


class Encoder(nn.Module):
    depth: int
    layer: dict[str, Any]
    kernel: int
    groups: int
    drop: float

    @nn.compact
    def __call__(self, x: jax.Array, real: jax.Array, train: bool) -> list[jax.Array]:
        pre_norm, dtype = self.layer["pre_norm"], self.layer["dtype"]
        norm = _norm(self.layer["eps"], dtype, "layer_norm")
        x = jnp.where(real[..., None], x, 0)
        x = x + _Positions(self.kernel, self.groups, dtype, name="pos_conv_embed")(x)
        x = x if pre_norm else norm(x)
        outputs = [nn.Dropout(self.layer["dropout"], deterministic=not train)(x)]
        for i in range(self.depth):
            x = outputs[-1]
            y = _Layer(**self.layer, name=f"layers_{i}")(x, real, train)
            if train and self.drop > 0:
                y = jnp.where(jax.random.bernoulli(self.make_rng("dropout"), self.drop), x, y)
            outputs.append(y)
        if pre_norm:
            outputs[-1] = norm(outputs[-1])
        return outputs


def _dense(features: int, dtype: str, name: str) -> nn.Dense:
    return nn.Dense(features, kernel_init=NORMAL, dtype=jnp.dtype(dtype), name=name)


def _norm(eps: float, dtype: str, name: str) -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=eps, use_fast_variance=False, dtype=jnp.dtype(dtype), name=name)
