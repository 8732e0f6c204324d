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
from ssljax.nets.speech_layers import Convs, Encoder, Extractor, Projection

_BASE = ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2)


class SpeechOutputs(NamedTuple):
    """What the network makes of recordings.

    features: [B, T, C] float32 of the convolutions. normed: the same after its norm, what a
    quantizer reads. layers: 1 + depth of [B, T, width]; real: bool [B, T], false for padding.
    """

    features: jax.Array
    normed: jax.Array
    layers: list[jax.Array]
    real: jax.Array


class SpeechNet(nn.Module):
    """What networks of speech share, whose `outputs` are all that is inside."""

    def outputs(self, x: dict[str, jax.Array], train: bool = False) -> SpeechOutputs:
        raise NotImplementedError

    def __call__(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        outputs = self.outputs(x, train)
        return mean_frames(outputs.layers[-1], outputs.real)

    def layers(self, x: dict[str, jax.Array], train: bool = False) -> jax.Array:
        """What enters the first layer and leaves all of them: [1 + depth, B, T, width] float32."""
        return jnp.stack(self.outputs(x, train).layers).astype(jnp.float32)


class Wav2Vec2Encoder(SpeechNet):
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
        features = Extractor(*fields, name="feature_extractor")(audio, length)
        features = scale_gradient(features, self.feature_gradient)
        h, normed = Projection(self.width, self.eps, self.dtype, name="feature_projection")(
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
        layers = Encoder(
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
