"""A network of log-mel frames: two convolutions that halve the time, then a transformer.

As the front of acoustic models since Dong, Xu, Xu 2018 (Speech-Transformer): frames and bands are a
picture, of which each convolution keeps every second row and column; four frames become a step.
Behind it stand the layers of wav2vec 2.0 (`speech_layers`), positions by a wide convolution.
"""

from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.speech_layers import Encoder
from ssljax.nets.wav2vec2 import SpeechNet, SpeechOutputs


class MelEncoder(SpeechNet):
    """{"mel": float [B, F, M], "length": int [B]} -> [B, width] float32, the mean of real steps.

    Step t is of the frames 4 t to 4 t + 3 and sees none behind them before the transformer; frames
    that fill no step are left out. Without "length" all frames are real. Training needs
    rngs={"dropout": key} where a rate is above 0. Raises: ValueError for other input.
    """

    stride: ClassVar[int] = 4
    """Frames of a step."""
    width: int = 256
    """Width of a step."""
    depth: int = 4
    """Number of layers."""
    heads: int = 4
    """Attention heads; the width must be divisible by it."""
    hidden: int = 1024
    """Hidden width of the feedforward parts."""
    channels: int = 32
    """Of the two convolutions."""
    position_kernel: int = 32
    """Steps that the convolution of positions sees."""
    position_groups: int = 16
    """Groups of that convolution."""
    dropout: float = 0.0
    """Rate behind linear layers and on attention weights."""
    layer_drop: float = 0.0
    """Probability of leaving a layer out in training."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; parameters are float32."""

    def steps(self, frames: Any) -> Any:
        """Steps of that many frames, an int or an array of them."""
        return frames // self.stride

    @nn.compact
    def outputs(self, x: dict[str, jax.Array], train: bool = False) -> SpeechOutputs:
        """All that is inside; `features` and `normed` are what the convolutions give."""
        mel, length = _checked(x, self.stride)
        if self.width % self.heads:
            raise ValueError(f"the width {self.width} is not divisible by {self.heads} heads")
        steps = self.steps(mel.shape[1])
        real = jnp.arange(steps) < self.steps(length)[:, None]
        h = mel[:, : steps * self.stride, :, None].astype(self.dtype)
        for i in range(2):
            # Of three rows the last is one's own: no step hears what comes behind it, and so none
            # hears the padding.
            h = nn.Conv(
                self.channels,
                (3, 3),
                strides=(2, 2),
                padding=((1, 0), (1, 1)),
                kernel_init=nn.initializers.he_normal(),
                dtype=jnp.dtype(self.dtype),
                name=f"conv_{i}",
            )(h)
            h = nn.relu(h)
        h = h.reshape(*h.shape[:2], -1)
        h = nn.Dense(self.width, dtype=jnp.dtype(self.dtype), name="projection")(h)
        h = nn.LayerNorm(use_fast_variance=False, dtype=jnp.dtype(self.dtype), name="norm")(h)
        layers = Encoder(
            depth=self.depth,
            layer={
                "heads": self.heads,
                "hidden": self.hidden,
                "eps": 1e-5,
                "dropout": self.dropout,
                "attention_dropout": self.dropout,
                "pre_norm": True,
                "dtype": self.dtype,
            },
            kernel=self.position_kernel,
            groups=self.position_groups,
            drop=self.layer_drop,
            name="encoder",
        )(h, real, train)
        features = h.astype(jnp.float32)
        return SpeechOutputs(features, features, layers, real)


def _checked(x: Any, least: int) -> tuple[jax.Array, jax.Array]:
    """(frames [B, F, M], length [B]). Raises: ValueError where they are none."""
    if not isinstance(x, dict) or "mel" not in x:
        raise ValueError('MelEncoder takes {"mel": float [B, F, M], "length": int [B]}')
    mel = x["mel"]
    if mel.ndim != 3 or not jnp.issubdtype(mel.dtype, jnp.floating):
        raise ValueError(f"MelEncoder takes float frames [B, F, M], got {mel.dtype} {mel.shape}")
    if mel.shape[1] < least:
        raise ValueError(f"rows of {mel.shape[1]} frames, and a step of MelEncoder has {least}")
    return mel, x.get("length", jnp.full(len(mel), mel.shape[1], jnp.int32))
