"""The network of wav2vec 2.0 and HuBERT: convolutions over samples, then a transformer.

Baevski, Zhou, Mohamed, Auli 2020, arXiv:2006.11477; Hsu et al. 2021, arXiv:2106.07447. Base: a
group norm behind the first convolution, a norm behind each shortcut. Large: layer norms behind all
convolutions, which have a bias, and before each part. Positions are a wide grouped convolution with
weight norm. Parameters have the names of Hugging Face transformers.

Differs from both codes: the group norm takes its mean over the real samples alone, and attention
sees no padding, so that what a recording gives does not depend on how far its row is filled up.
"""

import math
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.apply import apply
from ssljax.nets.attention import attend
from ssljax.nets.bert import NORMAL

_BASE = ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2)
Convs = tuple[tuple[int, int, int], ...]


class SpeechOutputs(NamedTuple):
    """What the network makes of recordings.

    features: [B, T, C] float32 of the convolutions. normed: the same after its norm, what a
    quantizer reads. layers: 1 + depth of [B, T, width]; real: bool [B, T], false for padding.
    """

    features: jax.Array
    normed: jax.Array
    layers: list[jax.Array]
    real: jax.Array


class Wav2Vec2Encoder(nn.Module):
    """{"audio": float [B, N], "length": int [B]} -> [B, width] float32, the mean of real frames.

    Without "length" all samples are real. Training needs rngs={"dropout": key} where a rate is
    above 0. Raises: ValueError for other input.
    """

    width: int = 768
    """Width of a frame."""
    depth: int = 12
    """Number of layers."""
    heads: int = 12
    """Attention heads; the width must be divisible by it."""
    hidden: int = 3072
    """Hidden width of the feedforward parts."""
    convs: Convs = _BASE
    """(channels, kernel, stride) of each convolution."""
    conv_norm: Literal["group", "layer"] = "group"
    """A group norm behind the first convolution, or a layer norm behind each."""
    conv_bias: bool = False
    """Whether convolutions have a bias, as in large."""
    pre_norm: bool = False
    """A norm before each part, as in large, and not behind each shortcut."""
    position_kernel: int = 128
    """Frames that the convolution of positions sees."""
    position_groups: int = 16
    """Groups of that convolution."""
    eps: float = 1e-5
    """Of the norms."""
    dropout: float = 0.1
    """Rate behind linear layers."""
    attention_dropout: float = 0.1
    """Rate on attention weights."""
    input_dropout: float = 0.1
    """Rate on the projected features."""
    layer_drop: float = 0.05
    """Probability of leaving a layer out in training."""
    feature_gradient: float = 0.1
    """Factor of the gradient into the convolutions."""
    normalize: bool = False
    """Give each recording mean 0 and variance 1, as large expects."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    def __call__(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        outputs = self.outputs(x, train)
        return mean_frames(outputs.layers[-1], outputs.real)

    def layers(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        """What enters the first layer and leaves all of them: [1 + depth, B, T, width] float32."""
        return jnp.stack(self.outputs(x, train).layers).astype(jnp.float32)

    def frames(self, samples: Any) -> Any:
        """Frames of that many samples, an int or an array of them."""
        for _, kernel, stride in self.convs:
            samples = (samples - kernel) // stride + 1
        return max(0, samples) if isinstance(samples, int) else jnp.maximum(0, samples)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(stride for _, _, stride in self.convs)

    @property
    def window(self) -> int:
        """Samples that a frame of the convolutions sees."""
        size, hop = 1, 1
        for _, kernel, stride in self.convs:
            size, hop = size + (kernel - 1) * hop, hop * stride
        return size

    @nn.compact
    def outputs(
        self, x: dict[str, jax.Array], train: bool = False, *, mask: jax.Array | None = None
    ) -> SpeechOutputs:
        """All that is inside. mask: bool [B, T], frames that the transformer does not see."""
        audio, length = _check(x, self.window)
        if self.width % self.heads:
            raise ValueError(f"the width {self.width} is not divisible by {self.heads} heads")
        if self.normalize:
            audio = _standardized(audio, length)
        real = jnp.arange(self.frames(audio.shape[1])) < self.frames(length)[:, None]
        fields = (self.convs, self.conv_norm, self.conv_bias, self.dtype)
        features = _Extractor(*fields, name="feature_extractor")(audio, length)
        features = scale_gradient(features, self.feature_gradient)
        h, normed = _Projection(self.width, self.eps, self.dtype, name="feature_projection")(
            features
        )
        h = nn.Dropout(self.input_dropout, deterministic=not train)(h)
        start = nn.initializers.uniform(1.0)
        blank = self.param("masked_spec_embed", start, (self.width,))
        if mask is not None:
            h = jnp.where(mask[..., None], blank.astype(h.dtype), h)
        layer = {
            "heads": self.heads,
            "hidden": self.hidden,
            "eps": self.eps,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "pre_norm": self.pre_norm,
            "dtype": self.dtype,
        }
        layers = _Encoder(
            depth=self.depth,
            layer=layer,
            kernel=self.position_kernel,
            groups=self.position_groups,
            drop=self.layer_drop,
            name="encoder",
        )(h, real, train)
        return SpeechOutputs(features.astype(jnp.float32), normed.astype(jnp.float32), layers, real)


def wav2vec2(size: Literal["base", "large"], **fields: Any) -> Wav2Vec2Encoder:
    """A network of a size of the paper. `fields` are further fields of it.

    Raises: ValueError for another size.
    """
    if size == "base":
        return Wav2Vec2Encoder(**fields)
    if size != "large":
        raise ValueError(f"there is no wav2vec 2.0 size {size!r}: choose base or large")
    usual = {"width": 1024, "depth": 24, "heads": 16, "hidden": 4096, "conv_norm": "layer"}
    usual |= {"conv_bias": True, "pre_norm": True, "normalize": True}
    usual |= {"dropout": 0.0, "attention_dropout": 0.0, "layer_drop": 0.0}
    return Wav2Vec2Encoder(**usual | fields)


def audio_inputs(batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """What networks of sound read of a batch: samples, and how many of them are real."""
    return {k: batch[k] for k in ("audio", "length") if k in batch}


def apply_speech(
    encoder: Wav2Vec2Encoder,
    params: Any,
    x: dict[str, jax.Array],
    *,
    mask: jax.Array | None = None,
    key: jax.Array | None = None,
) -> SpeechOutputs:
    """All that is inside of an encoder; with a key in training mode. mask: see `outputs`."""
    rngs = None if key is None else {"dropout": key}
    train = key is not None
    return apply(encoder, params, {}, x, train=train, rngs=rngs, method="outputs", mask=mask)[0]


def mean_frames(frames: jax.Array, real: jax.Array) -> jax.Array:
    """Mean of the real frames [B, T, D], bool [B, T]: [B, D] float32."""
    real = real.astype(jnp.float32)[..., None]
    return jnp.sum(frames.astype(jnp.float32) * real, 1) / jnp.maximum(jnp.sum(real, 1), 1.0)


def scale_gradient(x: jax.Array, factor: float) -> jax.Array:
    """x itself, with its gradient times `factor`."""
    frozen = jax.lax.stop_gradient(x)
    return x if factor == 1 else frozen + factor * (x - frozen)


def _check(x: Any, window: int) -> tuple[jax.Array, jax.Array]:
    """(samples [B, N], length [B]). Raises: ValueError where they are none."""
    if not isinstance(x, dict) or "audio" not in x:
        raise ValueError('Wav2Vec2 takes {"audio": float [B, N], "length": int [B]}')
    audio = x["audio"]
    if audio.ndim != 2 or not jnp.issubdtype(audio.dtype, jnp.floating):
        raise ValueError(f"Wav2Vec2 takes float audio [B, N], got {audio.dtype} {audio.shape}")
    if audio.shape[1] < window:
        raise ValueError(f"rows of {audio.shape[1]} samples, but a frame of Wav2Vec2 sees {window}")
    return audio, x.get("length", jnp.full(len(audio), audio.shape[1], jnp.int32))


def _standardized(audio: jax.Array, length: jax.Array) -> jax.Array:
    real = jnp.arange(audio.shape[1]) < length[:, None]
    count = jnp.maximum(length, 1)[:, None]
    x = audio - jnp.sum(jnp.where(real, audio, 0.0), 1, keepdims=True) / count
    x = jnp.where(real, x, 0.0)
    return x * jax.lax.rsqrt(jnp.sum(x * x, 1, keepdims=True) / count + 1e-7)


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


class _Extractor(nn.Module):
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


class _Projection(nn.Module):
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


class _Encoder(nn.Module):
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
