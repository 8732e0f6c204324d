"""Networks that speak: letters to states with lengths, states over time to log-mel frames.

The feed-forward transformer of FastSpeech (Ren et al. 2019, arXiv:1905.09263) with the soft length
regulator of EATS (Donahue et al. 2021, arXiv:2006.03575), through which lengths are learnt without
an aligner. The layers are those of `speech_layers`, whose positions are a wide convolution.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ssljax.nets.blocks import NORMAL
from ssljax.nets.speech_layers import Encoder

_FIRST = 8.0  # frames of a letter before anything is learnt


class TextReader(nn.Module):
    """{"text": int [B, N], "voice": int [B]} -> [B, width] float32, the mean of real letters.

    Letters are counted from 1; 0 fills up. Training needs rngs={"dropout": key} where the rate is
    above 0.
    """

    letters: int = 28
    """Kinds of letters."""
    voices: int | None = None
    """Who can speak; None: the classes of the data."""
    width: int = 96
    """Width of a state."""
    depth: int = 2
    """Number of layers."""
    heads: int = 4
    """Attention heads."""
    hidden: int = 256
    """Hidden width of the feedforward parts."""
    kernel: int = 4
    """Letters that the convolution of positions sees."""
    dropout: float = 0.1
    """Rate behind linear layers."""

    def __call__(self, x: Any, train: bool = False) -> jax.Array:
        states, _ = self.letters_of(x, train)
        real = (x["text"] > 0)[..., None].astype(jnp.float32)
        return jnp.sum(states * real, axis=1) / jnp.maximum(jnp.sum(real, axis=1), 1.0)

    @nn.compact
    def letters_of(self, x: Any, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """(state of each letter [B, N, width], frames that it lasts [B, N], 0 for none)."""
        if self.voices is None:
            raise ValueError("voices is open: give its number, or take it from data by `filled`")
        text = jnp.maximum(x["text"], 0)
        h = nn.Embed(1 + self.letters, self.width, embedding_init=NORMAL, name="letter")(text)
        voice = nn.Embed(self.voices, self.width, embedding_init=NORMAL, name="voice")(x["voice"])
        h = _layers(self, 1)(h + voice[:, None], text > 0, train)[-1] + voice[:, None]
        start = nn.initializers.constant(math.log(_FIRST))
        last = nn.Dense(1, kernel_init=NORMAL, bias_init=start, name="length")(h)[..., 0]
        return h.astype(jnp.float32), jnp.where(text > 0, jnp.exp(last), 0.0)


class FrameWriter(nn.Module):
    """States over time [B, T, D], of which `real` bool [B, T] are -> frames [B, T, mels]."""

    mels: int = 40
    """Bands of a frame."""
    width: int = 96
    """Width of a state."""
    depth: int = 2
    """Number of layers."""
    heads: int = 4
    """Attention heads."""
    hidden: int = 256
    """Hidden width of the feedforward parts."""
    kernel: int = 16
    """Frames that the convolution of positions sees."""
    groups: int = 4
    """Groups of that convolution."""
    dropout: float = 0.1
    """As of `TextReader`."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False, *, real: jax.Array) -> jax.Array:
        h = nn.Dense(self.width, kernel_init=NORMAL, name="first")(x)
        h = _layers(self, self.groups)(h, real, train)[-1]
        return nn.Dense(self.mels, kernel_init=NORMAL, name="last")(h)


def _layers(net: Any, groups: int) -> Encoder:
    layer = {"heads": net.heads, "hidden": net.hidden, "eps": 1e-5, "dropout": net.dropout}
    layer |= {"attention_dropout": 0.0, "pre_norm": True, "dtype": "float32"}
    return Encoder(net.depth, layer, net.kernel, groups, 0.0, name="layers")


def stretched(states: jax.Array, lengths: jax.Array, *, frames: int, spread: float) -> jax.Array:
    """The soft length regulator: states [B, N, D] of letters that last lengths [B, N] frames, in
    order -> [B, frames, D], where frame t is the mean of states by

        softmax_n(-(t + 1/2 - c_n)^2 / spread),   c_n = l_1 + .. + l_{n-1} + l_n / 2

    Letters of length 0 are none. spread: frames squared.
    """
    centre = jnp.cumsum(lengths, axis=1) - lengths / 2
    at = jnp.arange(frames)[None, :, None] + 0.5
    near = -jnp.square(at - centre[:, None]) / spread
    near = jnp.where(lengths[:, None] > 0, near, -1e9)
    weight = jax.nn.softmax(near, axis=-1)
    return jnp.einsum("btn,bnd->btd", weight, states, precision=jax.lax.Precision.HIGHEST)
